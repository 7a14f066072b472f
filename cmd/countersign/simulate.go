package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

func (c *cli) simulateCommand() *cobra.Command {
	return group("simulate", "What would be, if; every command that writes also takes --dry-run", c.simulateRule(), c.simulateAssign())
}

func (c *cli) simulateAssign() *cobra.Command {
	cmd := &cobra.Command{
		Use: "assign ACCOUNT ROLE...", Short: "Say what giving an account roles would do", Args: atLeast(2, "an account and a role"),
		Example: "  countersign simulate assign ada ap-clerk ap-approver --from 2026-12-01",
	}
	f, client := assignment(cmd), clientFlag(cmd)
	return c.changes(cmd, change{people: true, only: true, propose: assigning(f, client)})
}

func (c *cli) simulateRule() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rule RULE|FILE", Short: "Say who breaks a rule now, whatever its mode, or rules that are not there yet", Args: exactly("a rule or a ruleset file"),
		Long:    "Say who breaks a rule now, whatever its mode. A file in the form of a ruleset may bring rules and duties that are not there yet; nothing is kept.",
		Example: "  countersign simulate rule AP-R01\n  countersign simulate rule draft.json --json",
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withStore(cmd.Context(), func(_ *Config, db *store.DB) error {
			ctx := cmd.Context()
			var st *rbac.Structure
			var rules []rbac.RuleID
			if err := c.readsFrom(ctx, db, func(d *desk) (err error) {
				st, rules, err = d.imagined(args[0])
				return err
			}); err != nil {
				return err
			}
			hit, people, err := whoBreaks(ctx, db, st, rules)
			if err != nil {
				return err
			}
			out := map[string]any{"rules": rules, "people": people, "conflicts": hit}
			return c.print(out, func(w io.Writer) {
				broken := map[string]bool{}
				for _, v := range hit {
					broken[v.Person] = true
				}
				fmt.Fprintf(w, "%d of %d people would be in conflict with %s.\n", len(broken), people, joined(rules, ", "))
				answerView{Conflicts: hit}.list(w)
			})
		})
	}
	return cmd
}

// imagined returns the policy with the rules that are asked about in it: one that is there, or those of a file.
func (d *desk) imagined(name string) (*rbac.Structure, []rbac.RuleID, error) {
	if _, ok := d.Rules[rbac.RuleID(name)]; ok {
		return d.Structure, []rbac.RuleID{rbac.RuleID(name)}, nil
	}
	rs, err := readRuleset(name)
	if os.IsNotExist(err) {
		return nil, nil, rbac.ErrNotFound.Saying(fmt.Sprintf("There is no rule and no file %q.", name)).At("rule")
	}
	if err != nil {
		return nil, nil, err
	}
	p := d.Clone()
	for _, duty := range rs.Duties {
		p.Duties[duty.ID] = duty
	}
	var ids []rbac.RuleID
	for _, r := range rs.Rules {
		p.Rules[r.ID] = r
		ids = append(ids, r.ID)
	}
	st, err := rbac.NewStructure(p, d.Epoch)
	return st, ids, err
}

// whoBreaks looks at everybody, a page a transaction.
func whoBreaks(ctx context.Context, db *store.DB, st *rbac.Structure, rules []rbac.RuleID) (hit []conflictView, people int, err error) {
	const page = 500
	for after, more := rbac.SubjectID(""), true; more; {
		var found []conflictView
		var n int
		var last rbac.SubjectID
		if err := db.View(ctx, func(tx *store.Tx) error {
			found = nil
			ids, err := tx.SubjectsAfter(ctx, after, page)
			if n = len(ids); err != nil || n == 0 {
				return err
			}
			last = ids[n-1]
			d, err := openDesk(ctx, tx)
			if err != nil {
				return err
			}
			d.Structure = st
			s, err := d.state(rbac.Whom{Subjects: ids})
			if err != nil {
				return err
			}
			for _, id := range ids {
				for _, rule := range rules {
					for _, f := range d.FindingsOf(s.Holder(id), rule, d.now) {
						found = append(found, d.finding(id, f))
					}
				}
			}
			return nil
		}); err != nil {
			return nil, 0, err
		}
		hit, people, after, more = slices.Concat(hit, found), people+n, last, n == page
	}
	return orEmpty(hit), people, nil
}
