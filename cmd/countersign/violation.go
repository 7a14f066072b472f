package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

// violationView is a violation as it stands now, with its case.
type violationView struct {
	conflictView
	Covered   bool            `json:"covered"` // by an exception, at this moment
	Uncovered []rbac.Window   `json:"uncovered"`
	FirstSeen rbac.Instant    `json:"first_seen"`
	LastSeen  rbac.Instant    `json:"last_seen"`
	FoundBy   rbac.Detection  `json:"found_by"`
	Case      *caseView       `json:"case,omitempty"`
	Accounts  []string        `json:"accounts,omitempty"`
	Excused   []exceptionView `json:"exceptions,omitempty"`
	Exact     *bool           `json:"fixes_exact,omitempty"`
}

// A case key is spelled as the rule and the person, apart by a space that no identifier of a person has.
func spellCaseKey(k rbac.CaseKey) string { return string(k.Subject) + " " + string(k.Rule) }

func parseCaseKey(s string) (rbac.CaseKey, error) {
	subject, rule, ok := strings.Cut(s, " ")
	if s != "" && !ok {
		return rbac.CaseKey{}, errFlag.Saying("--after takes the value of next from the page before.").At("after")
	}
	return rbac.CaseKey{Rule: rbac.RuleID(rule), Subject: rbac.SubjectID(subject)}, nil
}

func (c *cli) violationsCommand() *cobra.Command {
	return group("violations", "Who holds what a rule forbids, and why", c.violationsList(), c.violationsShow(), c.violationsSweep())
}

// coveredAt reports whether nothing of a conflict is uncovered at t.
func coveredAt(uncovered []rbac.Window, t rbac.Instant) bool {
	return !slices.ContainsFunc(uncovered, func(w rbac.Window) bool { return w.Holds(t) })
}

// violation tells of one as it stands: what the store has last seen, and why it is so by what is held now.
func (d *desk) violation(s *rbac.State, v rbac.Violation) violationView {
	rule := d.Rules[v.Rule]
	out := violationView{
		conflictView: conflictView{Rule: v.Rule, Level: rule.Level, Mode: rule.Mode, Person: d.tell(v.Subject), During: v.During, Why: []pathView{}},
		Uncovered:    v.Uncovered, FirstSeen: v.FirstSeen, LastSeen: v.LastSeen, FoundBy: v.By,
	}
	for _, f := range d.FindingsOf(s.Holder(v.Subject), v.Rule, d.now) {
		out.During, out.Uncovered, out.Why = f.During, f.Uncovered, d.witness(f.Witness)
	}
	out.Uncovered = orEmpty(out.Uncovered)
	out.Covered = coveredAt(out.Uncovered, d.now)
	if k, ok := s.Cases[rbac.CaseKey{Rule: v.Rule, Subject: v.Subject}]; ok {
		view := d.caseView(k)
		out.Case = &view
	}
	return out
}

func (v violationView) state() string {
	if v.Case != nil {
		return string(v.Case.State)
	}
	return ""
}

func (c *cli) violationsList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List violations, each with the way it comes about", Args: exactly(),
		Example: "  countersign violations list --uncovered\n  countersign violations list --person ada --json",
	}
	a := aboutFlags(cmd)
	uncovered := cmd.Flags().Bool("uncovered", false, "only those that no exception covers now")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.reads(cmd, func(d *desk) error {
			f, err := a.filter(d)
			if err != nil {
				return err
			}
			views := []violationView{}
			for len(views) < a.limit {
				list, err := d.tx.Violations(d.ctx, f, a.limit)
				if err != nil {
					return err
				}
				page, err := d.violations(list)
				if err != nil {
					return err
				}
				for i, v := range page {
					if len(views) < a.limit && !(*uncovered && v.Covered) {
						views = append(views, v)
						f.After = rbac.CaseKey{Rule: list[i].Rule, Subject: list[i].Subject}
					}
				}
				if len(list) < a.limit {
					break
				}
				if f.After = (rbac.CaseKey{Rule: list[len(list)-1].Rule, Subject: list[len(list)-1].Subject}); len(views) == a.limit {
					break
				}
			}
			out := map[string]any{"violations": views}
			if len(views) == a.limit && a.limit > 0 {
				out["next"] = spellCaseKey(f.After)
			}
			return c.print(out, func(w io.Writer) {
				if len(views) == 0 {
					fmt.Fprintln(w, "There are no violations.")
				}
				for _, v := range views {
					fmt.Fprintf(w, "%s  %s  %s  %s  case %s%s\n", v.Rule, v.Person, v.Level, v.Mode, orDash(v.state(), "–"), map[bool]string{true: "  covered"}[v.Covered])
					for _, p := range v.Why {
						fmt.Fprintf(w, "    %s: %s\n", p.Duty, p)
					}
				}
			})
		})
	}
	return cmd
}

// violations tells of a page of violations.
func (d *desk) violations(list []rbac.Violation) ([]violationView, error) {
	var whom rbac.Whom
	for _, v := range list {
		whom.Subjects = append(whom.Subjects, v.Subject)
	}
	s, err := d.state(whom)
	if err != nil {
		return nil, err
	}
	out := make([]violationView, len(list))
	for i, v := range list {
		out[i] = d.violation(s, v)
	}
	return out, nil
}

func (c *cli) violationsShow() *cobra.Command {
	return &cobra.Command{
		Use: "show PERSON RULE", Short: "Show why somebody breaks a rule, and the smallest ways to mend it", Args: exactly("a person", "a rule"),
		Example: "  countersign violations show ada AP-R01",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.reads(cmd, func(d *desk) error {
				id, err := d.person(args[0])
				if err != nil {
					return err
				}
				rule := rbac.RuleID(args[1])
				list, err := d.tx.Violations(d.ctx, store.ConflictFilter{Rules: []rbac.RuleID{rule}, Subject: id}, 1)
				if err != nil {
					return err
				}
				if len(list) == 0 {
					return rbac.ErrNotFound.Saying(fmt.Sprintf("No violation of %s by %s is on record.", rule, args[0])).At("rule")
				}
				s, err := d.state(rbac.Whom{Subjects: []rbac.SubjectID{id}})
				if err != nil {
					return err
				}
				v := d.violation(s, list[0])
				v.Accounts = d.people[id]
				h := s.Holder(id)
				fixes, exact := d.Fixes(h, []rbac.RuleID{rule}, d.now)
				v.Fixes, v.Exact = d.fixes(fixes), &exact
				if v.Excused, err = d.exceptionViews(slices.DeleteFunc(h.Exceptions, func(x rbac.Exception) bool { return x.Rule != rule })); err != nil {
					return err
				}
				return c.print(v, func(w io.Writer) {
					v.print(w)
					for _, x := range v.Excused {
						fmt.Fprintf(w, "      exception %s: %s, %s, approved by %s\n", x.ID, x.State, spell(x.During), joined(x.Approvers, ", "))
					}
					fmt.Fprintf(w, "      case %s, first seen %s, found %s\n", orDash(v.state(), "–"), spellTime(v.FirstSeen), v.FoundBy)
				})
			})
		},
	}
}

func (c *cli) violationsSweep() *cobra.Command {
	return &cobra.Command{
		Use: "sweep", Short: "Look at everybody now, as the server does each day", Args: exactly(), Example: "  countersign violations sweep",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd.Context(), func(_ *Config, db *store.DB) error {
				ctx := cmd.Context()
				before, err := conflictsNow(ctx, db)
				if err != nil {
					return err
				}
				looked, resolved := 0, 0
				if err := lookAtAll(ctx, db, func(p rbac.Passed) {
					looked, resolved = looked+p.People, resolved+len(p.Hits)
				}); err != nil {
					return err
				}
				after, err := conflictsNow(ctx, db)
				if err != nil {
					return err
				}
				out := map[string]int{
					"people": looked, "violations": after.open, "found": after.open - before.open + resolved, "resolved": resolved, "alarms": after.alarms,
				}
				return c.print(out, func(w io.Writer) {
					fmt.Fprintf(w, "%d looked at: %d violations stand, %d found, %d resolved.\n", looked, after.open, out["found"], resolved)
					if after.alarms > 0 {
						fmt.Fprintf(w, "%d of them break a rule that blocks, and nothing excuses them: countersign violations list --uncovered\n", after.alarms)
					}
				})
			})
		},
	}
}

// lookAtAll looks at everybody, a batch a transaction, and leaves the writer to others in between.
func lookAtAll(ctx context.Context, db *store.DB, seen func(rbac.Passed)) error {
	after := rbac.SubjectID("")
	for {
		var p rbac.Passed
		var last rbac.SubjectID
		if err := db.Update(ctx, func(tx *store.Tx) (err error) {
			p, last, err = rbac.PassAll(ctx, tx, after, passBatch)
			return err
		}); err != nil {
			return err
		}
		seen(p)
		if !p.More {
			return nil
		}
		after = last
		select {
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "interrupted", "It was stopped before it was done.").Because(ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
