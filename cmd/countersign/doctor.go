package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// finding is one thing the doctor looked at.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"` // ok, note, bad
	Text  string `json:"text"`
}

func (c *cli) doctorCommand() *cobra.Command {
	var readyAt, account string
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check the settings, the database and the keys; print what is in force", Args: exactly(),
		Long: "Check the settings, the database and the keys, and print the security settings in force. Exit code 7 if something is bad.\n" +
			"With --ready, ask a running server whether it is ready instead (for container health checks).",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if readyAt != "" {
				return askReady(cmd.Context(), readyAt)
			}
			cfg, err := c.config("issuer", "master_key")
			if err != nil {
				return err
			}
			found := append(cfg.findings(), c.storeFindings(cmd.Context(), cfg, account)...)
			bad := false
			for _, f := range found {
				bad = bad || f.State == "bad"
			}
			err = c.print(map[string]any{"findings": found, "settings": cfg.effective(), "sound": !bad}, func(w io.Writer) {
				table(w, []string{"", "CHECK", "FINDING"}, len(found), func(i int) []any {
					return []any{found[i].State, found[i].Check, found[i].Text}
				})
			})
			if err == nil && bad {
				return errUnsound
			}
			return err
		},
	}
	cmd.Flags().StringVar(&readyAt, "ready", "", "address of a running server, such as http://127.0.0.1:8080")
	cmd.Flags().StringVar(&account, "account", "", "say what policy asks of this account, by username or id")
	return cmd
}

// effective is every setting in force; secrets are only said to be set.
func (c *Config) effective() map[string]string {
	out := map[string]string{}
	for _, s := range settings() {
		out[s.Key] = s.show(c)
	}
	return out
}

// findings are what the settings alone tell.
func (c *Config) findings() []finding {
	out := []finding{{"settings", "ok", "every setting is known and within its bounds"}}
	switch {
	case c.issuer.Scheme == "http":
		out = append(out, finding{"issuer", "note", "plain http: good for a trial on this machine, nothing else"})
	case c.TLS.Cert != "":
		out = append(out, finding{"issuer", "ok", "https, served here"})
	default:
		out = append(out, finding{"issuer", "ok", "https, ended by a proxy"})
	}
	if c.Password.MinLength < 15 {
		out = append(out, finding{"passwords", "note", "shorter than 15 characters: only where every person has a second factor"})
	}
	out = append(out, finding{"password hash", "ok", fmt.Sprintf("argon2id, %d KiB, %d passes, %d lanes", c.Password.MemoryKiB, c.Password.Time, c.Password.Threads)})
	if c.MasterKeyOld != "" {
		out = append(out, finding{"master key", "note", "the previous key is still configured: remove it once every replica runs with the new one"})
	}
	return out
}

// storeFindings are what the database tells.
func (c *cli) storeFindings(ctx context.Context, cfg *Config, account string) []finding {
	log := c.log(cfg)
	all, err := store.MigrationStatus(ctx, cfg.store(log))
	if err != nil {
		return []finding{{"database", "bad", fault.From(err).Text}}
	}
	for _, m := range all {
		if m.AppliedAt.IsZero() {
			return []finding{{"schema", "bad", fmt.Sprintf("migration %d is not applied: run countersign migrate up", m.Version)}}
		}
	}
	db, err := store.Open(ctx, cfg.store(log))
	if err != nil {
		return []finding{{"database", "bad", fault.From(err).Text}}
	}
	defer db.Close()
	out := []finding{{"database", "ok", "reachable, schema up to date, the master key opens it"}}
	err = db.View(ctx, func(tx *store.Tx) error {
		n, err := tx.CountAccounts(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			out = append(out, finding{"first administrator", "note", "there is no account yet: serve prints a link"})
		}
		keys, err := tx.Keys(ctx)
		if err != nil {
			return err
		}
		out = append(out, keyFindings(keys, tx.Now())...)
		assured, err := cfg.assuranceFindings(ctx, tx, account)
		out = append(out, assured...)
		return err
	})
	if err != nil {
		out = append(out, finding{"database", "bad", fault.From(err).Text})
	}
	return out
}

// keyFindings says which algorithms can sign.
func keyFindings(keys []auth.Key, now time.Time) []finding {
	var out []finding
	for _, alg := range auth.SigningAlgs() {
		f := finding{"signing key " + alg, "note", "not made yet: serve makes it"}
		for _, k := range keys {
			if k.Alg == alg && k.State == auth.KeyActive {
				f.State, f.Text = "ok", "signs until "+stamp(k.RetireAt)
				if k.RetireAt.Before(now) {
					f.State, f.Text = "bad", "should have stopped signing on "+stamp(k.RetireAt)+": is a server running?"
				}
			}
		}
		out = append(out, f)
	}
	return out
}

var errNotReady = fault.New(fault.Unavailable, "not-ready", "The server is not ready.")

// askReady asks a running server's /readyz.
func askReady(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/readyz", nil)
	if err != nil {
		return usageError{fmt.Errorf("--ready %s is not an address", address)}
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return errNotReady.Because(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errNotReady
	}
	return nil
}
