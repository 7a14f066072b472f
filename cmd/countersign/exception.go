package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

// about picks violations, cases or exceptions: --rule, --person, --after, --limit.
type about struct {
	rules  []string
	person string
	after  string
	limit  int
}

func aboutFlags(cmd *cobra.Command) *about {
	a := &about{}
	cmd.Flags().StringArrayVar(&a.rules, "rule", nil, "only of this rule; may be given several times")
	cmd.Flags().StringVar(&a.person, "person", "", "only about this person, by an account, or application")
	cmd.Flags().StringVar(&a.after, "after", "", "continue after this: the value of next in JSON")
	cmd.Flags().IntVar(&a.limit, "limit", 100, "at most so many")
	return a
}

func (a *about) filter(d *desk) (f store.ConflictFilter, err error) {
	for _, r := range a.rules {
		f.Rules = append(f.Rules, rbac.RuleID(r))
	}
	if a.person != "" {
		if f.Subject, err = d.person(a.person); err != nil {
			return f, err
		}
	}
	f.After, err = parseCaseKey(a.after)
	return f, err
}

// exceptionView is an exception with people by name.
type exceptionView struct {
	rbac.Exception
	Person    string   `json:"person"`
	Subject   string   `json:"subject,omitempty"` // the person's name is what is shown
	Requester string   `json:"requester,omitempty"`
	Approvers []string `json:"approvers"`
	State     string   `json:"state"` // coming, active, ended, superseded
}

func (d *desk) exceptionView(x rbac.Exception) exceptionView {
	v := exceptionView{Exception: x, Person: d.tell(x.Subject), Approvers: []string{}}
	if x.Requester != "" {
		v.Requester = d.tell(x.Requester)
	}
	for _, a := range x.Approvers {
		v.Approvers = append(v.Approvers, d.tell(a))
	}
	switch {
	case x.During.End() <= d.now:
		v.State = "ended"
	case d.Rules[x.Rule].Version != x.Version:
		v.State = "superseded"
	case x.During.From > d.now:
		v.State = "coming"
	default:
		v.State = "active"
	}
	return v
}

// exceptionViews tells of exceptions, with everybody in them by name.
func (d *desk) exceptionViews(list []rbac.Exception) ([]exceptionView, error) {
	var ids []rbac.SubjectID
	for _, x := range list {
		ids = append(append(ids, x.Subject, x.Requester), x.Approvers...)
	}
	slices.Sort(ids)
	if err := d.know(slices.Compact(ids)...); err != nil {
		return nil, err
	}
	views := make([]exceptionView, len(list))
	for i, x := range list {
		views[i] = d.exceptionView(x)
	}
	return views, nil
}

func (c *cli) exceptionCommand() *cobra.Command {
	return group("exception", "Exceptions: a person may be in conflict with a rule, until a day", c.exceptionList(), c.exceptionGrant(), c.exceptionRevoke())
}

func (c *cli) exceptionList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List exceptions", Args: exactly(), Example: "  countersign exception list --rule AP-R01",
	}
	a := aboutFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.reads(cmd, func(d *desk) error {
			f, err := a.filter(d)
			if err != nil {
				return err
			}
			list, err := d.tx.Exceptions(d.ctx, f, a.limit)
			if err != nil {
				return err
			}
			views, err := d.exceptionViews(list)
			if err != nil {
				return err
			}
			return c.print(map[string]any{"exceptions": views}, func(w io.Writer) {
				table(w, []string{"RULE", "PERSON", "STATE", "WHEN", "APPROVED BY", "ID"}, len(views), func(i int) []any {
					v := views[i]
					return []any{v.Rule, v.Person, v.State, spell(v.During), joined(v.Approvers, ", "), v.ID}
				})
			})
		})
	}
	return cmd
}

func (c *cli) exceptionGrant() *cobra.Command {
	cmd := &cobra.Command{
		Use: "grant PERSON RULE --until TIME --approver ACCOUNT", Short: "Let a person be in conflict with a rule for a while", Args: exactly("a person", "a rule"),
		Long: "Let a person be in conflict with a rule until it ends. It has an end, approvers other than who gains by it or asked for it, and the\n" +
			"controls that the rule asks for. The owner of the rule is one of the approvers; a rule of level critical takes two.",
		Example: "  countersign exception grant ada AP-R01 --until +14d --approver ingrid --control weekly-review --why 'Noor is ill'",
	}
	f := fieldsOf[rbac.Exception](cmd)
	during(f, func(x *rbac.Exception) *rbac.Window { return &x.During })
	persons(f, "approver", "who approved it, by account", func(x *rbac.Exception) *[]rbac.SubjectID { return &x.Approvers })
	somebody(f, "requester", "who asked for it", func(x *rbac.Exception) *rbac.SubjectID { return &x.Requester })
	many(f, "control", "control that watches meanwhile", func(x *rbac.Exception) *[]rbac.ControlID { return &x.Controls })
	text(f, "why", "the reason, for whoever reviews it", func(x *rbac.Exception) *string { return &x.Why })
	return c.changes(cmd, change{people: true, propose: func(d *desk, args []string) (proposal, error) {
		whom, err := d.person(args[0])
		if err != nil {
			return proposal{}, err
		}
		rule, err := known(d.Rules, rbac.RuleID(args[1]), "rule")
		if err != nil {
			return proposal{}, err
		}
		x := rbac.Exception{ID: rbac.ExceptionID(d.tx.NewID()), Rule: rule.ID, Version: rule.Version, Subject: whom, During: rbac.Window{From: d.now}}
		if err := f.into(d, &x); err != nil {
			return proposal{}, err
		}
		views, err := d.exceptionViews([]rbac.Exception{x})
		if err != nil {
			return proposal{}, err
		}
		return proposal{
			ops:  []rbac.Op{rbac.GrantException{Exception: x}},
			said: fmt.Sprintf("%s is excused from %s, %s (%s).", args[0], rule.ID, spell(x.During), x.ID), made: views[0],
		}, nil
	}})
}

func (c *cli) exceptionRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "End an exception; its case opens again", Args: exactly("the id of an exception"),
		Example: "  countersign exception revoke 0193e7c4-0d4f-7c5c-9c53-5f0d7b0f0c55",
	}
	return c.changes(cmd, change{people: true, propose: func(_ *desk, args []string) (proposal, error) {
		return proposal{ops: []rbac.Op{rbac.RevokeException{Exception: rbac.ExceptionID(args[0])}}, said: "The exception has ended."}, nil
	}})
}

// caseView is a case with people by name.
type caseView struct {
	Rule     rbac.RuleID     `json:"rule"`
	Person   string          `json:"person,omitempty"`
	State    rbac.CaseState  `json:"state"`
	Origin   rbac.CaseOrigin `json:"origin"`
	Opened   rbac.Instant    `json:"opened_at"`
	Due      rbac.Instant    `json:"due_at,omitempty"`
	Reopened int             `json:"reopened"`
	Assignee string          `json:"assignee,omitempty"`
}

func (d *desk) caseView(k rbac.Case) caseView {
	v := caseView{Rule: k.Rule, State: k.State, Origin: k.Origin, Opened: k.Opened, Due: k.Due, Reopened: k.Reopened}
	if k.Subject != "" {
		v.Person = d.tell(k.Subject)
	}
	if k.Assignee != "" {
		v.Assignee = d.tell(k.Assignee)
	}
	return v
}

func (c *cli) caseCommand() *cobra.Command {
	return group("case", "Cases: the work that conflicts make for people", c.caseList(), c.caseDecide())
}

func (c *cli) caseList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List cases; closed ones too with --state", Args: exactly(), Example: "  countersign case list --state open"}
	a := aboutFlags(cmd)
	var states []string
	cmd.Flags().StringArrayVar(&states, "state", nil, "only in this state; may be given several times; those not closed if none is")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.reads(cmd, func(d *desk) error {
			f, err := a.filter(d)
			if err != nil {
				return err
			}
			f.States = []rbac.CaseState{rbac.CaseOpen, rbac.CaseReview, rbac.CaseException, rbac.CaseRemediating, rbac.CaseInactive, rbac.CaseInvalid}
			if states != nil {
				f.States = nil
				for _, s := range states {
					f.States = append(f.States, rbac.CaseState(s))
				}
			}
			list, err := d.tx.Cases(d.ctx, f, a.limit)
			if err != nil {
				return err
			}
			var ids []rbac.SubjectID
			for _, k := range list {
				ids = append(ids, k.Subject, k.Assignee)
			}
			slices.Sort(ids)
			if err := d.know(slices.Compact(ids)...); err != nil {
				return err
			}
			views := make([]caseView, len(list))
			for i, k := range list {
				views[i] = d.caseView(k)
			}
			out := map[string]any{"cases": views}
			if len(list) == a.limit {
				out["next"] = spellCaseKey(rbac.CaseKey{Rule: list[len(list)-1].Rule, Subject: list[len(list)-1].Subject})
			}
			return c.print(out, func(w io.Writer) {
				table(w, []string{"RULE", "PERSON", "STATE", "ORIGIN", "OPENED", "REOPENED", "ASSIGNEE"}, len(views), func(i int) []any {
					v := views[i]
					return []any{v.Rule, v.Person, v.State, v.Origin, spellTime(v.Opened), v.Reopened, v.Assignee}
				})
			})
		})
	}
	return cmd
}

func (c *cli) caseDecide() *cobra.Command {
	cmd := &cobra.Command{
		Use: "decide PERSON RULE --state STATE", Short: "Say where a case stands", Args: exactly("a person", "a rule"),
		Example: "  countersign case decide ada AP-R01 --state remediating --assignee ingrid",
	}
	f := fieldsOf[rbac.DecideCase](cmd)
	choice(f, "state", "open, in_review, remediating or closed_false_positive", func(o *rbac.DecideCase) *rbac.CaseState { return &o.State },
		rbac.CaseOpen, rbac.CaseReview, rbac.CaseRemediating, rbac.CaseFalsePositive)
	somebody(f, "assignee", "who works on it", func(o *rbac.DecideCase) *rbac.SubjectID { return &o.Assignee })
	_ = cmd.MarkFlagRequired("state")
	return c.changes(cmd, change{people: true, propose: func(d *desk, args []string) (proposal, error) {
		whom, err := d.person(args[0])
		if err != nil {
			return proposal{}, err
		}
		op := rbac.DecideCase{Key: rbac.CaseKey{Rule: rbac.RuleID(args[1]), Subject: whom}}
		list, err := d.tx.Cases(d.ctx, store.ConflictFilter{Rules: []rbac.RuleID{op.Key.Rule}, Subject: whom}, 1)
		if err != nil {
			return proposal{}, err
		}
		if len(list) > 0 {
			op.Assignee = list[0].Assignee
		}
		if err := f.into(d, &op); err != nil {
			return proposal{}, err
		}
		return proposal{ops: []rbac.Op{op}, said: fmt.Sprintf("The case of %s and %s is %s.", args[0], args[1], op.State)}, nil
	}})
}
