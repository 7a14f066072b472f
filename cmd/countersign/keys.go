package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/oidc"
	"github.com/countersign-id/countersign/store"
)

// keyView is a signing key as the command line shows it: never its private half.
type keyView struct {
	ID       string        `json:"kid"`
	Alg      string        `json:"alg"`
	State    auth.KeyState `json:"state"`
	ActiveAt time.Time     `json:"active_at"`
	RetireAt time.Time     `json:"retire_at,omitzero"`
	GoneAt   time.Time     `json:"gone_at,omitzero"`
}

func (c *cli) keysCommand() *cobra.Command {
	return group("keys", "Signing keys", c.keysList(), c.keysRotate(), c.keysRevoke())
}

func (c *cli) keysList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List signing keys", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd.Context(), func(_ *Config, db *store.DB) error { return c.printKeys(cmd.Context(), db) })
		},
	}
}

func (c *cli) keysRotate() *cobra.Command {
	var alg string
	cmd := &cobra.Command{
		Use: "rotate", Short: "Sign with new keys from now on", Args: exactly(),
		Long: "Make a new signing key for each algorithm, or for one, that signs at once. The key before it stays published until its\n" +
			"last token has died. Keys also turn over by themselves (keys.life), published a day before they sign: rotate is for when\n" +
			"you cannot wait. Relying parties that fetch the key set again for an unknown key id, as they should, notice nothing.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return c.withKeys(ctx, func(db *store.DB, ring *oidc.Keyring) error {
				algs := auth.SigningAlgs()
				if alg != "" {
					algs = []string{alg}
				}
				for _, a := range algs {
					if err := ring.Rotate(ctx, c.by(), a); err != nil {
						return err
					}
				}
				return c.printKeys(ctx, db)
			})
		},
	}
	cmd.Flags().StringVar(&alg, "alg", "", "one algorithm alone: RS256, ES256, PS256 or EdDSA")
	return cmd
}

func (c *cli) keysRevoke() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "revoke KID", Short: "Revoke a key at once: every token it signed is refused", Args: exactly("one key id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if err := c.confirm(yes, "Every token signed with "+args[0]+" will be refused, and a new key signs at once"); err != nil {
				return err
			}
			return c.withKeys(ctx, func(db *store.DB, ring *oidc.Keyring) error {
				if err := ring.Revoke(ctx, c.by(), args[0]); err != nil {
					return err
				}
				return c.printKeys(ctx, db)
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// withKeys opens the keyring beside the database.
func (c *cli) withKeys(ctx context.Context, do func(db *store.DB, ring *oidc.Keyring) error) error {
	return c.withStore(ctx, func(cfg *Config, db *store.DB) error {
		ring, err := oidc.NewKeyring(oidc.KeyringConfig{DB: db, Policy: cfg.keyPolicy(), Log: c.log(cfg)})
		if err != nil {
			return err
		}
		if err := ring.Start(ctx); err != nil {
			return err
		}
		return do(db, ring)
	})
}

func (c *cli) printKeys(ctx context.Context, db *store.DB) error {
	var keys []auth.Key
	if err := db.View(ctx, func(tx *store.Tx) (err error) {
		keys, err = tx.Keys(ctx)
		return err
	}); err != nil {
		return err
	}
	views := make([]keyView, len(keys))
	for i, k := range keys {
		views[i] = keyView{k.ID, k.Alg, k.State, k.ActiveAt, k.RetireAt, k.GoneAt}
	}
	return c.print(map[string]any{"keys": views}, func(w io.Writer) {
		table(w, []string{"KID", "ALG", "STATE", "SIGNS FROM", "UNTIL"}, len(views), func(i int) []any {
			v := views[i]
			return []any{v.ID, v.Alg, v.State, stamp(v.ActiveAt), stamp(v.RetireAt)}
		})
	})
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return fmt.Sprint(t.UTC().Format("2006-01-02 15:04"))
}
