package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/totp"
	"github.com/countersign-id/countersign/internal/demo"
	"github.com/countersign-id/countersign/internal/demo/ledger"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

// demoFlags say where the demo stands. The defaults are what the README shows.
type demoFlags struct {
	data, port, ledgerPort string
	bindAll                bool
}

func (c *cli) demoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use: "demo", Short: "Run a demonstration: the provider and an application that uses it", Args: exactly(),
		Long: "Run a demonstration on this machine alone: the provider, six people with roles, and Ledger, a small application that\n" +
			"delegates its sign-in. A second start keeps the data; remove the folder to forget it. None of it exists in serve.",
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runDemo(cmd.Context(), f) },
	}
	cmd.AddCommand(c.demoCode(&f))
	cmd.PersistentFlags().StringVar(&f.data, "data", "data/demo", "folder of the demo's database and keys")
	fl := cmd.Flags()
	fl.StringVar(&f.port, "port", "8080", "port of the provider")
	fl.StringVar(&f.ledgerPort, "ledger-port", "8090", "port of Ledger")
	fl.BoolVar(&f.bindAll, "bind-all-for-container", false, "listen on all addresses; only for a container published on loopback")
	return cmd
}

// demoCode makes `demo code`: the authenticator app of the demo's administrators.
func (c *cli) demoCode(f *demoFlags) *cobra.Command {
	return &cobra.Command{
		Use: "code ACCOUNT", Short: "Print the authenticator code of one of the demo's administrators", Args: exactly("one account of the demo"),
		Example: "  countersign demo code sysadmin",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			cfg, err := c.demoConfig(*f)
			if err != nil {
				return err
			}
			db, err := store.Open(ctx, cfg.store(c.log(cfg)))
			if err != nil {
				return err
			}
			defer db.Close()
			var code string
			err = db.View(ctx, func(tx *store.Tx) error {
				a, err := findAccount(ctx, tx, args[0])
				if err != nil {
					return err
				}
				t, err := tx.TOTP(ctx, a.ID)
				if err != nil {
					return err
				}
				code, err = totp.Code(t.Secret, max(totp.Step(tx.Now()), t.Step+1)) // one that was used is not good again
				return err
			})
			if err != nil {
				return err
			}
			return c.print(map[string]any{"code": code}, func(w io.Writer) { fmt.Fprintln(w, code) })
		},
	}
}

func (c *cli) runDemo(ctx context.Context, f demoFlags) error {
	cfg, err := c.demoConfig(f)
	if err != nil {
		return err
	}
	log := c.log(cfg)
	if _, err := store.Migrate(ctx, cfg.store(log)); err != nil {
		return err
	}
	db, err := store.Open(ctx, cfg.store(log))
	if err != nil {
		return err
	}
	defer db.Close()

	addresses := []string{"http://localhost:" + f.ledgerPort, "http://127.0.0.1:" + f.ledgerPort}
	secret, err := seedDemo(ctx, cfg, db, f.data, addresses)
	if err != nil {
		return err
	}
	// Ledger answers under two names, so that it can be tried as another site than the provider: ports do not make one.
	app, err := ledger.New(ledger.Config{
		Issuer: cfg.Issuer, Addresses: addresses, ClientID: string(demo.LedgerID), ClientSecret: string([]byte(secret)), Log: log,
	})
	if err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(cfg.Listen)
	listener, err := net.Listen("tcp", net.JoinHostPort(host, f.ledgerPort))
	if err != nil {
		return errConfig("ledger-port", err.Error(), "free the port or choose another with --ledger-port")
	}
	return together(ctx, []func(context.Context) error{
		func(ctx context.Context) error {
			return serve(ctx, cfg, db, log, true, func() { demoTable(c.stdout, cfg.Issuer, addresses[0]) })
		},
		func(ctx context.Context) error {
			return web.Serve(ctx, web.Server(app.Handler(), log), listener, cfg.ShutdownGrace)
		},
	})
}

// demoConfig is the demo's settings: loopback, the embedded database, a master key of its own.
func (c *cli) demoConfig(f demoFlags) (*Config, error) {
	if err := os.MkdirAll(f.data, 0o700); err != nil {
		return nil, fmt.Errorf("make the demo's folder: %w", err)
	}
	master, err := keptSecret(filepath.Join(f.data, "master.key"), newMasterKey)
	if err != nil {
		return nil, err
	}
	host := "127.0.0.1"
	if f.bindAll {
		host = "0.0.0.0"
	}
	given := map[string]string{}
	for k, v := range c.flags {
		given[k] = *v
	}
	given["issuer"] = "http://localhost:" + f.port
	given["listen"] = net.JoinHostPort(host, f.port)
	given["database"] = "sqlite:" + filepath.Join(f.data, "countersign.db")
	given["master_key"] = master
	if given["organisation"] == "" {
		given["organisation"] = "Northwind Group"
	}
	return loadConfigFor(c.configFile, nil, given, f.bindAll)
}

// keptSecret reads a secret from a file that only its owner can read, making it the first time.
func keptSecret(path string, fresh func() string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the demo's secret: %w", err)
	}
	v := fresh()
	if err := os.WriteFile(path, []byte(v+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the demo's secret: %w", err)
	}
	return v, nil
}

// seedDemo fills an empty database and keeps Ledger's secret beside it. On later starts it finds both.
func seedDemo(ctx context.Context, cfg *Config, db *store.DB, data string, ledgers []string) (auth.Secret, error) {
	hasher, err := cfg.hasher()
	if err != nil {
		return nil, err
	}
	hash, err := hasher.Hash(ctx, demo.Password)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(data, "ledger.secret")
	var secret auth.Secret
	if err := db.Update(ctx, func(tx *store.Tx) error {
		var fresh bool
		secret, fresh, err = demo.Seed(ctx, tx, demo.Setup{Hash: hash, Ledgers: ledgers})
		if err != nil || fresh {
			return err
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if secret != nil {
		return secret, os.WriteFile(file, append([]byte(secret), '\n'), 0o600)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.NotFound, "demo-broken", "The demo's data lack Ledger's secret. Run make clean-demo and start again.").Because(err)
	}
	return auth.Secret(strings.TrimSpace(string(b))), nil
}

// demoTable says where everything is and what to try first.
func demoTable(w io.Writer, issuer, ledger string) {
	fmt.Fprintf(w, "\nCountersign demo — for this machine alone, never for real people.\n\n")
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "  Ledger, an application\t%s\t← start here\n", ledger)
	fmt.Fprintf(tw, "  Countersign, the provider\t%s\t\n", issuer)
	fmt.Fprintf(tw, "  Password of every account\t%s\t\n", demo.Password)
	_ = tw.Flush()
	fmt.Fprintln(w)
	tw = tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "  ACCOUNT\tNAME\tTRY FIRST")
	for _, p := range demo.People {
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", p.Username, p.Name, p.Try)
	}
	_ = tw.Flush()
	fmt.Fprintf(w, "\nAdministrators (%s) need a second factor: 'countersign demo code ACCOUNT' prints their code.\n", strings.Join(demo.Administrators(), ", "))
	fmt.Fprintf(w, "\nStop with Ctrl-C. The data stay; 'make clean-demo' forgets them.\n")
}
