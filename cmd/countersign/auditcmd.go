package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// logOrigin names the audit log in its checkpoints. Two deployments' logs differ by their keys.
const logOrigin = "countersign/audit"

// logKeys reads the log's signing key, making it the first time.
// verifier is the public key in the text form that note.NewVerifier takes.
func logKeys(ctx context.Context, db *store.DB) (keys audit.Keys, verifier string, err error) {
	var seed []byte
	if err := db.Update(ctx, func(tx *store.Tx) (err error) {
		seed, err = tx.SecretOnce(ctx, "audit-log-key", random32)
		return err
	}); err != nil {
		return audit.Keys{}, "", err
	}
	key := ed25519.NewKeyFromSeed(seed)
	signer, err := audit.NewSigner(logOrigin, key)
	if err != nil {
		return audit.Keys{}, "", fmt.Errorf("audit log key: %w", err)
	}
	if verifier, err = note.NewEd25519VerifierKey(logOrigin, key.Public().(ed25519.PublicKey)); err != nil {
		return audit.Keys{}, "", fmt.Errorf("audit log key: %w", err)
	}
	known, err := note.NewVerifier(verifier)
	if err != nil {
		return audit.Keys{}, "", fmt.Errorf("audit log key: %w", err)
	}
	return audit.Keys{Signer: signer, Known: note.VerifierList(known)}, verifier, nil
}

func (c *cli) auditCommand() *cobra.Command {
	return group("audit", "The audit log", c.auditList(), c.auditVerify(), c.auditCheckpoint())
}

// eventView is an event as the command line shows it.
type eventView struct {
	ID       string            `json:"id"`
	At       time.Time         `json:"at"`
	Kind     audit.Kind        `json:"kind"`
	Outcome  audit.Outcome     `json:"outcome"`
	Code     string            `json:"code,omitempty"`
	Actor    string            `json:"actor,omitempty"`
	Subject  string            `json:"subject,omitempty"`
	Client   string            `json:"client,omitempty"`
	Session  string            `json:"session,omitempty"`
	Grant    string            `json:"grant,omitempty"`
	Request  string            `json:"request,omitempty"`
	Detail   map[string]string `json:"detail,omitempty"`
	Personal map[string]string `json:"personal,omitempty"`
	Count    int               `json:"count,omitempty"`
	Position *int64            `json:"position"` // null while it waits to be put into the log
}

func (c *cli) auditList() *cobra.Command {
	var f store.EventFilter
	var kind string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List events, newest first", Args: exactly(),
		Example: "  countersign audit list --kind session.refused --limit 20",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			f.Kind, f.Newest = audit.Kind(kind), true
			return c.withStore(ctx, func(_ *Config, db *store.DB) error {
				var list []audit.Entry
				if err := db.View(ctx, func(tx *store.Tx) (err error) {
					list, err = tx.Events(ctx, f, limit)
					return err
				}); err != nil {
					return err
				}
				views := make([]eventView, len(list))
				for i, e := range list {
					views[i] = viewEvent(e)
				}
				return c.print(map[string]any{"events": views}, func(w io.Writer) {
					table(w, []string{"AT", "KIND", "OUTCOME", "ACTOR", "SUBJECT", "CODE"}, len(views), func(i int) []any {
						v := views[i]
						return []any{v.At.UTC().Format(time.RFC3339), v.Kind, v.Outcome, v.Actor, v.Subject, v.Code}
					})
				})
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&kind, "kind", "", "only this kind, such as grant.reused")
	fl.StringVar(&f.Subject, "subject", "", "only about this, such as account:ID")
	fl.StringVar(&f.Actor, "actor", "", "only by this, such as client:ID")
	fl.StringVar(&f.Before, "before", "", "continue before this event id")
	fl.IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

func viewEvent(e audit.Entry) eventView {
	v := eventView{
		ID: e.ID, At: e.At, Kind: e.Kind, Outcome: e.Outcome, Code: e.Code, Actor: e.Actor, Subject: e.Subject, Client: e.Client,
		Session: e.Session, Grant: e.Grant, Request: e.Request, Detail: e.Detail, Personal: e.Personal, Count: e.Count,
	}
	if e.Position >= 0 {
		v.Position = &e.Position
	}
	return v
}

func (c *cli) auditVerify() *cobra.Command {
	var checkpoint string
	cmd := &cobra.Command{
		Use: "verify", Short: "Check the whole log; name the first bad entry", Args: exactly(),
		Long: "Recompute every entry's hash and the whole tree, and compare them with every signed checkpoint. The first entry that is\n" +
			"not as it was signed is named, with exit code 7. Against a checkpoint kept elsewhere (--checkpoint) a log whose end was\n" +
			"cut off, together with its own checkpoints, is found out too.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return c.withStore(ctx, func(_ *Config, db *store.DB) error {
				keys, _, err := logKeys(ctx, db)
				if err != nil {
					return err
				}
				var opts audit.Options
				if checkpoint != "" {
					if opts.Checkpoint, err = os.ReadFile(checkpoint); err != nil {
						return fault.New(fault.Invalid, "bad-checkpoint", "The checkpoint file cannot be read.").Because(err)
					}
				}
				report, err := audit.Verify(ctx, db.Log(), keys.Known, opts)
				if err != nil {
					return err
				}
				err = c.print(report, func(w io.Writer) {
					if report.Bad != nil {
						fmt.Fprintf(w, "The log is damaged at entry %d: %s\n", report.Bad.First, report.Bad.Text)
						return
					}
					fmt.Fprintf(w, "The log is whole: %d entries, %d pruned, %d waiting; %d checkpoints agree.\n",
						report.Entries, report.Pruned, report.Unsequenced, report.Checkpoints)
				})
				if err == nil && report.Bad != nil {
					return errUnsound
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&checkpoint, "checkpoint", "", "file with a signed checkpoint kept elsewhere")
	return cmd
}

func (c *cli) auditCheckpoint() *cobra.Command {
	var key bool
	cmd := &cobra.Command{
		Use: "checkpoint", Short: "Print the newest signed checkpoint", Args: exactly(),
		Example: "  countersign audit checkpoint > /somewhere/else/checkpoint",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return c.withStore(ctx, func(_ *Config, db *store.DB) error {
				keys, verifier, err := logKeys(ctx, db)
				if err != nil {
					return err
				}
				if key {
					return c.print(map[string]string{"verifier": verifier}, func(w io.Writer) { fmt.Fprintln(w, verifier) })
				}
				// What waits is put into the log first: the checkpoint then covers everything done so far.
				if err := sequence(ctx, db, keys, "command-"+newMasterKey()[len(masterPrefix):][:12]); err != nil && !errors.Is(err, audit.ErrLeaseLost) {
					return err
				}
				var signed []byte
				if err := db.View(ctx, func(tx *store.Tx) (err error) {
					signed, err = tx.NewestCheckpoint(ctx)
					return err
				}); err != nil {
					return err
				}
				if signed == nil {
					return fault.New(fault.NotFound, "no-checkpoint", "The log is empty; there is no checkpoint yet.")
				}
				return c.print(map[string]string{"checkpoint": string(signed)}, func(w io.Writer) { fmt.Fprint(w, string(signed)) })
			})
		},
	}
	cmd.Flags().BoolVar(&key, "key", false, "print the public key that checkpoints are verified with instead")
	return cmd
}

// sequence puts all waiting events into the log, as holder of the sequencer's lease. ErrLeaseLost says that another
// process leads, and does it.
//
// It looks before it takes the lease: an idle server writes nothing.
func sequence(ctx context.Context, db *store.DB, keys audit.Keys, holder string) error {
	var waiting []audit.Entry
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		waiting, err = tx.Unsequenced(ctx, 1)
		return err
	})
	if err != nil || len(waiting) == 0 {
		return err
	}
	const batch = 500
	lease := audit.Lease{Name: "audit-sequencer", Holder: holder}
	for {
		held, n := false, 0
		err := db.Update(ctx, func(tx *store.Tx) (err error) {
			n = 0
			if held, err = lease.Hold(ctx, tx, 5*time.Second); err != nil || !held {
				return err
			}
			n, err = audit.Sequence(ctx, tx, keys, lease, batch)
			return err
		})
		switch {
		case err != nil:
			return err
		case !held:
			return audit.ErrLeaseLost
		case n < batch:
			return nil
		}
	}
}
