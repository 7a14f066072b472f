package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

// policyTime is how long a whole policy may take: a hundred thousand people are read and judged in one transaction.
const policyTime = 10 * time.Minute

const aboutPolicyFiles = "A policy file is YAML with sections: servers, permissions, scopes, roles, groups, duties, controls, rules,\n" +
	"people, workloads, assignments, members, delegations, exceptions. A section that is absent is not spoken of;\n" +
	"one that is there is the whole of its kind, so what it lacks is taken away. 'countersign export' writes one.\n" +
	"Accounts are named by username, applications as client:ID. People are added, never deleted."

func (c *cli) planCommand() *cobra.Command {
	return c.policyCommand(&cobra.Command{
		Use: "plan -f FILE", Short: "Show what a policy file would change, whom it touches and which conflicts come and go",
		Long:    aboutPolicyFiles + "\n\nNothing is changed. With --check the exit code is 7 where there is a difference.",
		Example: "  countersign plan -f policy.yaml\n  countersign export | countersign plan -f -",
	}, true)
}

func (c *cli) applyCommand() *cobra.Command {
	return c.policyCommand(&cobra.Command{
		Use: "apply -f FILE", Short: "Make the database what a policy file says: all of it or nothing",
		Long:    aboutPolicyFiles,
		Example: "  countersign apply -f policy.yaml\n  countersign apply -f policy.yaml --if-epoch 12",
	}, false)
}

func (c *cli) policyCommand(cmd *cobra.Command, dry bool) *cobra.Command {
	var files []string
	var check bool
	o := syncOptions{dry: dry}
	cmd.Args = exactly()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d, err := c.readDocuments(files)
		if err != nil {
			return err
		}
		out, err := c.runSync(cmd.Context(), d, o)
		if err != nil {
			return err
		}
		if err := c.print(out.view(), func(w io.Writer) { out.text(w, dry) }); err != nil {
			return err
		}
		switch why := out.result.Err(); {
		case why != nil:
			return why
		case check && len(out.plan.Steps)+len(out.added)+len(out.plan.Notes) > 0:
			return errUnsound
		}
		return nil
	}
	f := cmd.Flags()
	f.StringArrayVarP(&files, "file", "f", nil, "policy file, - for standard input; several are taken together")
	f.BoolVar(&o.adopt, "adopt", false, "take in what is found elsewhere: conflicts become cases, not refusals")
	f.BoolVar(&o.grandfather, "grandfather", false, "a rule that newly blocks lets stand what is there, each as a case")
	f.Uint64Var(&o.epoch, "if-epoch", 0, "refuse unless the policy is of this epoch, as the plan showed it")
	if dry {
		f.BoolVar(&check, "check", false, "exit with 7 where there is a difference")
	}
	_ = cmd.MarkFlagRequired("file")
	return cmd
}

// errUndone ends a transaction whose effects are not wanted.
var errUndone = errors.New("undone on purpose")

// runSync plans or applies d. Of a change that is refused nothing stays but the event of its refusal.
func (c *cli) runSync(ctx context.Context, d rbac.Document, o syncOptions) (out synced, err error) {
	by := rbac.By{Actor: c.by()}
	err = c.withPatience(ctx, policyTime, func(_ *Config, db *store.DB) error {
		err := db.Update(ctx, func(tx *store.Tx) (err error) {
			if out, err = syncPolicy(ctx, tx, by, d, o); err != nil {
				return err
			}
			if o.dry || out.result.Outcome != rbac.Applied {
				return errUndone
			}
			return nil
		})
		if !errors.Is(err, errUndone) || o.dry {
			return ignore(err, errUndone)
		}
		return db.Update(ctx, func(tx *store.Tx) error { return rbac.RecordRefusal(ctx, tx, by, out.result) })
	})
	return out, err
}

func ignore(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

func (s synced) view() map[string]any {
	steps := s.plan.Steps
	if steps == nil {
		steps = []rbac.Step{}
	}
	v := map[string]any{
		"outcome": s.result.Outcome, "epoch": s.result.Epoch, "epoch_before": s.epoch, "added_accounts": append([]string{}, s.added...), "steps": steps,
		"notes": append([]string{}, s.plan.Notes...), "people": len(s.result.Affected), "conflicts": s.conflicts,
	}
	if s.result.Why != nil {
		v["code"] = s.result.Why.Code
	}
	return v
}

func (s synced) text(w io.Writer, dry bool) {
	for _, name := range s.added {
		fmt.Fprintf(w, "+ account %s\n", name)
	}
	for _, step := range s.plan.Steps {
		fmt.Fprintf(w, "%s %s %s\n", step.Sign, step.Kind, step.Name)
		for _, line := range step.Detail {
			fmt.Fprintf(w, "    %s\n", line)
		}
	}
	for _, note := range s.plan.Notes {
		fmt.Fprintf(w, "! %s\n", note)
	}
	if len(s.conflicts) > 0 {
		fmt.Fprintln(w, "Conflicts:")
		for _, v := range s.conflicts {
			v.print(w)
		}
	}
	switch n := len(s.plan.Steps) + len(s.added); {
	case s.result.Outcome != rbac.Applied && dry:
		fmt.Fprintln(w, "This would not be done.")
	case s.result.Outcome != rbac.Applied:
		fmt.Fprintln(w, "Nothing was changed.")
	case n == 0:
		fmt.Fprintf(w, "The database is what the file says. The policy is at epoch %d.\n", s.result.Epoch)
	case dry:
		fmt.Fprintf(w, "%d changes, judged for %d people. The policy is at epoch %d.\n", n, len(s.result.Affected), s.epoch)
	default:
		fmt.Fprintf(w, "%d changes applied, judged for %d people. The policy is at epoch %d.\n", n, len(s.result.Affected), s.result.Epoch)
	}
}

func (c *cli) exportCommand() *cobra.Command {
	var to string
	var policyOnly bool
	cmd := &cobra.Command{
		Use: "export", Short: "Write the policy and who holds what as a policy file", Args: exactly(),
		Long:    aboutPolicyFiles + "\n\nTo apply what was exported changes nothing. What is built in, and what has ended, is left out.",
		Example: "  countersign export --to policy.yaml\n  countersign export --policy-only",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			var d rbac.Document
			err := c.withPatience(ctx, policyTime, func(_ *Config, db *store.DB) error {
				return db.View(ctx, func(tx *store.Tx) error {
					desk, err := openDesk(ctx, tx)
					if err != nil {
						return err
					}
					s, err := desk.everybody(!policyOnly)
					if err != nil {
						return err
					}
					d, err = desk.document(s)
					return err
				})
			})
			if err != nil {
				return err
			}
			if policyOnly {
				d.People, d.Workloads, d.Assignments, d.Members, d.Delegations, d.Exceptions = nil, nil, nil, nil, nil, nil
			}
			if c.json {
				return c.print(d, nil)
			}
			return writeTo(to, c.stdout, func(w io.Writer) error { return writeDocument(w, d) })
		},
	}
	cmd.Flags().StringVar(&to, "to", "-", "file to write, - for standard output")
	cmd.Flags().BoolVar(&policyOnly, "policy-only", false, "leave out people and what they hold")
	return cmd
}

// writeTo writes a file as a whole, or standard output.
func writeTo(name string, stdout io.Writer, write func(io.Writer) error) error {
	if name == "-" {
		return write(stdout)
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fault.New(fault.Invalid, "file-not-writable", "The file cannot be written.").Because(err)
	}
	return errors.Join(write(f), f.Close())
}
