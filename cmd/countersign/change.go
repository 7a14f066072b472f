package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

// proposal is what a command that writes comes to.
type proposal struct {
	ops  []rbac.Op
	said string // what was done, as a sentence
	made any    // what JSON answers beside the outcome
}

// change says how such a command runs. Its operations are made inside the transaction: names are resolved by what stands there.
type change struct {
	people   bool // it is about people alone: the policy is not held meanwhile
	only     bool // nothing is ever done: it is a simulation
	rehearse bool // what it would do is shown before it is done
	propose  func(d *desk, args []string) (proposal, error)
}

// answerView is what a change came to, or would come to.
type answerView struct {
	Outcome   rbac.Outcome   `json:"outcome"`
	DryRun    bool           `json:"dry_run"`
	Code      string         `json:"code,omitempty"`
	Text      string         `json:"text,omitempty"`
	Field     string         `json:"field,omitempty"`
	Epoch     uint64         `json:"epoch"`
	Made      any            `json:"made,omitempty"`
	People    []string       `json:"people"` // whose access was looked at
	Conflicts []conflictView `json:"conflicts"`

	why *fault.Error // unless it is applied
}

// changes completes cmd: the frame of every command that writes to the policy.
func (c *cli) changes(cmd *cobra.Command, w change) *cobra.Command {
	dry := false
	if !w.only {
		cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would happen, change nothing")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withStore(cmd.Context(), func(_ *Config, db *store.DB) error {
			if dry || w.only {
				return c.rehearsal(cmd.Context(), db, w, args)
			}
			if w.rehearse && !c.json {
				_, a, err := c.try(cmd.Context(), db, w, args)
				if err != nil {
					return err
				}
				a.print(c.stderr)
			}
			return c.perform(cmd.Context(), db, w, args)
		})
	}
	return cmd
}

// perform makes the change. A refusal commits, with its event, and is told afterwards.
func (c *cli) perform(ctx context.Context, db *store.DB, w change, args []string) error {
	if err := furnish(ctx, db, c.by()); err != nil {
		return err
	}
	var p proposal
	var a answerView
	err := db.Update(ctx, func(tx *store.Tx) error {
		if !w.people { // what the operations are made of must stand until they are applied
			if err := tx.LockPolicy(ctx, true); err != nil {
				return err
			}
		}
		d, err := openDesk(ctx, tx)
		if err != nil {
			return err
		}
		if p, err = w.propose(d, args); err != nil {
			return err
		}
		res, err := rbac.Apply(ctx, tx, rbac.By{Actor: c.by()}, rbac.Changeset{Ops: p.ops})
		if err != nil {
			return err
		}
		a, err = d.answer(res, p)
		return err
	})
	if err != nil {
		return err
	}
	if err := a.refusal(); err != nil {
		return err
	}
	return c.print(a, func(out io.Writer) {
		fmt.Fprintln(out, p.said)
		a.list(out)
	})
}

// try asks what the change would do.
func (c *cli) try(ctx context.Context, db *store.DB, w change, args []string) (p proposal, a answerView, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		d, err := openDesk(ctx, tx)
		if err != nil {
			return err
		}
		if missing := rbac.Install(d.Policy); len(missing) > 0 { // as if what is built in were there
			s := d.State()
			s.Policy = s.Clone()
			if res, err := s.Apply(rbac.By{Actor: c.by()}, rbac.Changeset{Ops: missing}, d.now); err != nil || res.Err() != nil {
				return errors.Join(err, res.Err())
			}
			if d.Structure, err = rbac.NewStructure(s.Policy, d.Epoch); err != nil {
				return err
			}
			p.ops = missing
		}
		installed := p.ops
		if p, err = w.propose(d, args); err != nil {
			return err
		}
		res, err := rbac.Apply(ctx, tx, rbac.By{Actor: c.by()}, rbac.Changeset{Ops: slices.Concat(installed, p.ops), DryRun: true})
		if err != nil {
			return err
		}
		a, err = d.answer(res, p)
		a.DryRun, a.Made = true, nil
		return err
	})
	return p, a, err
}

// rehearsal prints what would happen, and exits as the change itself would.
func (c *cli) rehearsal(ctx context.Context, db *store.DB, w change, args []string) error {
	_, a, err := c.try(ctx, db, w, args)
	if err != nil {
		return err
	}
	if err := c.print(a, a.print); err != nil {
		return err
	}
	if a.why != nil {
		return refusal{a.why, answerView{}}
	}
	return nil
}

// answer makes of a result what is told of it.
func (d *desk) answer(res rbac.Result, p proposal) (answerView, error) {
	a := answerView{Outcome: res.Outcome, Epoch: res.Epoch, Made: p.made, People: []string{}, Conflicts: []conflictView{}}
	if f := res.Why; f != nil {
		a.Code, a.Text, a.Field, a.Made, a.why = f.Code, f.Text, f.Field, nil, f
	}
	if err := d.know(res.Affected...); err != nil {
		return a, err
	}
	for _, id := range res.Affected {
		a.People = append(a.People, d.tell(id))
	}
	slices.Sort(a.People)
	var err error
	a.Conflicts, err = d.conflicts(res)
	return a, err
}

// conflicts tells the conflicts of a change, those that it brings first, and the smallest ways out of them.
func (d *desk) conflicts(res rbac.Result) ([]conflictView, error) {
	var whom []rbac.SubjectID
	for _, h := range res.Hits {
		whom = append(whom, h.Subject)
	}
	if err := d.know(whom...); err != nil {
		return nil, err
	}
	out := []conflictView{}
	for i, h := range res.Hits {
		v := d.conflict(h)
		if i < mostFixed {
			fixes, _ := res.Fixes(h.Subject)
			v.Fixes = d.fixes(fixes)
		}
		out = append(out, v)
	}
	rank := func(c rbac.Change) int {
		return slices.Index([]rbac.Change{rbac.Appears, rbac.Stands, rbac.Resolved}, c)
	}
	slices.SortStableFunc(out, func(x, y conflictView) int {
		return cmp.Or(cmp.Compare(rank(x.Change), rank(y.Change)), cmp.Compare(x.Person, y.Person), cmp.Compare(x.Rule, y.Rule))
	})
	return out, nil
}

// mostFixed is for how many conflicts fixes are looked for: finding the smallest takes its time.
const mostFixed = 20

// refusal is a change that was not applied, with the conflicts that stand in its way.
type refusal struct {
	why    *fault.Error
	answer answerView
}

func (r refusal) Error() string { return r.why.Error() }
func (r refusal) Unwrap() error { return r.why }

func (a answerView) refusal() error {
	if a.why != nil {
		return refusal{a.why, a}
	}
	return nil
}

// print tells what would happen.
func (a answerView) print(w io.Writer) {
	switch a.Outcome {
	case rbac.Applied:
		fmt.Fprintln(w, "This would be done.")
	case rbac.Pending:
		fmt.Fprintf(w, "This would wait: %s [%s]\n", a.said(), a.Code)
	default:
		fmt.Fprintf(w, "This would be refused: %s [%s]\n", a.said(), a.Code)
	}
	fmt.Fprintf(w, "People looked at: %d%s\n", len(a.People), some(a.People))
	counts := map[rbac.Change]int{}
	for _, v := range a.Conflicts {
		counts[v.Change]++
	}
	fmt.Fprintf(w, "Conflicts: %d new, %d existing, %d resolved\n", counts[rbac.Appears], counts[rbac.Stands], counts[rbac.Resolved])
	a.list(w)
}

// said is the sentence of a refusal, with the field where that says more.
func (a answerView) said() string {
	if a.Field == "" {
		return a.Text
	}
	return strings.TrimSuffix(a.Text, ".") + " (" + a.Field + ")."
}

// mostListed is how many conflicts or names a terminal is shown; JSON has all.
const mostListed = 20

func (a answerView) list(w io.Writer) {
	for _, v := range a.Conflicts[:min(mostListed, len(a.Conflicts))] {
		v.print(w)
	}
	if more := len(a.Conflicts) - mostListed; more > 0 {
		fmt.Fprintf(w, "  … and %d more; --json lists them all\n", more)
	}
}

func some(names []string) string {
	if len(names) == 0 {
		return ""
	}
	out := " (" + strings.Join(names[:min(mostListed, len(names))], ", ")
	if len(names) > mostListed {
		out += ", …"
	}
	return out + ")"
}
