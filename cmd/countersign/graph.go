package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/oidc"
	"github.com/countersign-id/countersign/internal/outbound"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/ui"
)

const setupLife = 24 * time.Hour

// graph is a deployment, put together: the one place where the rooms meet.
type graph struct {
	handler http.Handler
	metrics *web.Metrics
	routes  []routeView
	workers []func(context.Context)
	close   func(context.Context)
}

// build puts a deployment together. Nothing listens yet.
func build(ctx context.Context, cfg *Config, db *store.DB, log *slog.Logger, demo bool) (*graph, error) {
	secrets, err := deploymentSecrets(ctx, db)
	if err != nil {
		return nil, err
	}
	hasher, err := cfg.hasher()
	if err != nil {
		return nil, err
	}
	rules, err := cfg.strength()
	if err != nil {
		return nil, err
	}
	dummy, err := hasher.Hash(ctx, rand.Text()) // nobody knows its password
	if err != nil {
		return nil, fmt.Errorf("hash a dummy password: %w", err)
	}
	ring, err := oidc.NewKeyring(oidc.KeyringConfig{DB: db, Policy: cfg.keyPolicy(), Log: log})
	if err != nil {
		return nil, err
	}
	if err := ring.Start(ctx); err != nil {
		return nil, err
	}
	logbook, _, err := logKeys(ctx, db)
	if err != nil {
		return nil, err
	}

	https := cfg.issuer.Scheme == "https"
	metrics := web.NewMetrics()
	refusals := &audit.Coalescer{Keys: 60}
	party, err := cfg.passkeys()
	if err != nil {
		return nil, err
	}
	signIn := auth.SignIn{
		Limits: cfg.limits(), Sessions: cfg.session(), Key: secrets.throttle, Dummy: dummy, Policy: cfg.policy, Passkeys: party != nil,
	}
	pages, err := ui.NewPages(ui.Site{Organisation: cfg.Organisation, Host: cfg.issuer.Host, HTTPS: https, Demo: demo}, log)
	if err != nil {
		return nil, err
	}
	provider, err := oidc.New(oidc.Config{
		Issuer: cfg.Issuer, DB: db, Keys: ring, SignIn: signIn,
		Issuing: auth.Issuing{Issuer: cfg.Issuer, Key: secrets.refresh, Defaults: cfg.lifetimes()},
		Cookies: web.Cookies{HTTPS: https}, Pages: pages, Outbound: outbound.New(outbound.Config{Allow: cfg.allowed}), Log: log,
		Coalesce: refusals.Add, Count: metrics.Endpoint, Locales: ui.Languages(),
	})
	if err != nil {
		return nil, err
	}
	people, err := ui.New(ui.Config{
		DB: db, OIDC: provider, Pages: pages, SignIn: signIn, Passwords: hasher, Rules: rules,
		Cookies: web.Cookies{HTTPS: https}, Log: log, Passkeys: party, Coalesce: refusals.Add, Count: metrics.SignIn,
	})
	if err != nil {
		return nil, err
	}
	metrics.Counter("countersign_kdf_runs_total", "Password hashes computed.", func() float64 { return float64(hasher.Runs()) })
	watchPools(metrics, db)

	mux := http.NewServeMux()
	mux.Handle("/", people)
	mux.Handle("/oauth2/", provider.Handler())
	mux.Handle("/.well-known/", provider.Handler())
	for _, name := range []string{"webauthn", "change-password", "passkey-endpoints"} {
		mux.Handle("/.well-known/"+name, people)
	}
	mux.HandleFunc("GET /livez", live)
	mux.Handle("GET /readyz", ready(db, ring))
	frame := web.Frame{Log: log, HTTPS: https, Sources: web.Sources{Trusted: cfg.trusted, ProxyOnly: https && cfg.TLS.Cert == ""}, Metrics: metrics}
	w := workers{db: db, log: log, ring: ring, logbook: logbook, refusals: refusals, holder: rand.Text()}
	work := w.all()
	if party != nil && cfg.Passkeys.Metadata != "" {
		work = append(work, learnMetadata(cfg, party, log))
	}
	return &graph{
		handler: frame.Handler(mux), metrics: metrics, routes: routeTable(people.Routes(), provider.Routes()),
		workers: work, close: w.last,
	}, nil
}

// deploymentKeys are the MAC keys that every replica shares.
type deploymentKeys struct{ throttle, refresh auth.Secret }

// random32 makes a key.
func random32() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return b
}

// deploymentSecrets reads them, making them the first time.
func deploymentSecrets(ctx context.Context, db *store.DB) (k deploymentKeys, err error) {
	err = db.Update(ctx, func(tx *store.Tx) error {
		throttle, err := tx.SecretOnce(ctx, "throttle-key", random32)
		if err != nil {
			return err
		}
		refresh, err := tx.SecretOnce(ctx, "refresh-key", random32)
		k = deploymentKeys{throttle, refresh}
		return err
	})
	return k, err
}

// live says that the process answers.
func live(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// ready says whether the process can do its work: the database answers and there are keys to sign with.
func ready(db *store.DB, ring *oidc.Keyring) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := db.Ping(ctx); err != nil || !ring.Ready() {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "not ready")
			return
		}
		fmt.Fprintln(w, "ok")
	})
}

func watchPools(m *web.Metrics, db *store.DB) {
	m.Gauge("countersign_database_writers_in_use", "Connections of the write pool in use.", func() float64 {
		w, _ := db.Stats()
		return float64(w.InUse)
	})
	m.Gauge("countersign_database_readers_in_use", "Connections of the read pool in use.", func() float64 {
		_, r := db.Stats()
		return float64(r.InUse)
	})
	m.Counter("countersign_database_statements_total", "SQL statements run.", func() float64 { return float64(db.Statements()) })
}
