package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

func (c *cli) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Serve sign-ins and tokens", Args: exactly(),
		Long: "Serve sign-ins and tokens. An empty database is migrated first, unless migrate is false, and a single-use link for the\n" +
			"first administrator is printed. SIGTERM lets requests in progress end, then stops.",
		Example: "  COUNTERSIGN_ISSUER=https://id.example.org COUNTERSIGN_MASTER_KEY_FILE=master.key countersign serve",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.config("issuer", "master_key")
			if err != nil {
				return err
			}
			log := cfg.logger(c.stderr)
			if cfg.Migrate {
				if _, err := store.Migrate(cmd.Context(), cfg.store(log)); err != nil {
					return err
				}
			}
			db, err := store.Open(cmd.Context(), cfg.store(log))
			if err != nil {
				return err
			}
			defer db.Close()
			if cfg.MasterKeyOld != "" {
				if _, err := db.Rewrap(cmd.Context()); err != nil {
					return err
				}
			}
			if err := furnish(cmd.Context(), db, "system"); err != nil {
				return err
			}
			if err := offerSetup(cmd.Context(), cfg, db, c.stdout); err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, db, log, false, nil)
		},
	}
}

// serve runs a deployment until ctx ends. ready, if not nil, is called once its listeners are open.
func serve(ctx context.Context, cfg *Config, db *store.DB, log *slog.Logger, demo bool, ready func()) error {
	g, err := build(ctx, cfg, db, log, demo)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return errConfig("listen", err.Error(), "free the address or choose another")
	}
	server := web.Server(g.handler, log)
	serveOn := func(ctx context.Context) error { return web.Serve(ctx, server, listener, cfg.ShutdownGrace) }
	if cfg.TLS.Cert != "" {
		pair, err := web.LoadCertificate(cfg.TLS.Cert, cfg.TLS.Key, log)
		if err != nil {
			return errConfig("tls.certificate", firstLine(err), "name a certificate chain and its key, PEM")
		}
		server.TLSConfig = pair.TLS()
		serveOn = func(ctx context.Context) error { return web.ServeTLS(ctx, server, listener, cfg.ShutdownGrace) }
	}
	parts := []func(context.Context) error{serveOn}
	if cfg.Metrics.Listen != "" {
		figures, err := net.Listen("tcp", cfg.Metrics.Listen)
		if err != nil {
			return errConfig("metrics.listen", err.Error(), "free the address or choose another")
		}
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", g.metrics.Handler())
		parts = append(parts, func(ctx context.Context) error {
			return web.Serve(ctx, web.Server(mux, log), figures, cfg.ShutdownGrace)
		})
	}

	// The workers outlive the listeners: what the last requests did still gets into the log.
	working, stopWorkers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorkers()
	var workers sync.WaitGroup
	for _, w := range g.workers {
		workers.Go(func() { w(working) })
	}
	log.Info("serving", "issuer", cfg.Issuer, "listen", listener.Addr().String(), "version", version)
	debug.FreeOSMemory() // starting hashed a password and perhaps made keys: give back what that took
	if ready != nil {
		ready()
	}
	err = together(ctx, parts)
	stopWorkers()
	workers.Wait()
	g.close(context.WithoutCancel(ctx))
	log.Info("stopped")
	return err
}

// together runs parts until ctx ends or one fails, which ends the others.
func together(ctx context.Context, parts []func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(parts))
	for _, part := range parts {
		go func() {
			err := part(ctx)
			if err != nil {
				cancel()
			}
			failed <- err
		}()
	}
	var all error
	for range parts {
		all = errors.Join(all, <-failed)
	}
	return all
}

// offerSetup prints the link for the first administrator where there is no account yet.
func offerSetup(ctx context.Context, cfg *Config, db *store.DB, out io.Writer) error {
	var token auth.Secret
	err := db.Update(ctx, func(tx *store.Tx) error {
		token = nil
		n, err := tx.CountAccounts(ctx)
		if err != nil || n > 0 {
			return err
		}
		token, err = auth.OfferSetup(ctx, tx, "system", setupLife)
		return err
	})
	if err != nil || token == nil {
		return err
	}
	_, err = fmt.Fprintf(out, "There is no account yet. Make the first administrator here, once, within %s:\n  %s/setup?token=%s\n",
		setupLife, cfg.Issuer, string([]byte(token)))
	return err
}
