package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/rbac"
)

func (c *cli) dutyCommand() *cobra.Command {
	n := noun[rbac.DutyID, rbac.Duty]{
		word: "duty", plural: "duties", arg: "DUTY",
		rows:  func(d *desk) map[rbac.DutyID]rbac.Duty { return d.Duties },
		fresh: func(_ *desk, id rbac.DutyID) (rbac.Duty, error) { return rbac.Duty{ID: id, Name: string(id)}, nil },
		fields: func(f *fields[rbac.Duty]) {
			text(f, "name", "name that people see", func(d *rbac.Duty) *string { return &d.Name })
			text(f, "process", "business process it is a part of", func(d *rbac.Duty) *string { return &d.Process })
			text(f, "description", "what it is", func(d *rbac.Duty) *string { return &d.Description })
			expr := f.cmd.Flags().String("expr", "", "what lets a person do it: perm:…, role:…, group:… or scope:…, any(…), all(…), K of (…)")
			f.given("expr", func(_ *desk, d *rbac.Duty) (err error) {
				d.Expr, err = parseExpr(*expr)
				return err
			})
		},
		add: func(d rbac.Duty) rbac.Op { return rbac.DefineDuty{Duty: d} }, edit: func(d rbac.Duty) rbac.Op { return rbac.DefineDuty{Duty: d} },
		drop: func(id rbac.DutyID, _ bool) rbac.Op { return rbac.DeleteDuty{Duty: id} },
		head: []string{"DUTY", "NAME", "PROCESS", "EXPRESSION"},
		line: func(_ *desk, d rbac.Duty) []any { return []any{d.ID, d.Name, d.Process, shorten(spellExpr(d.Expr))} },
		example: map[string]string{
			"add":  "  countersign duty add AP-ENTER --name 'Enter invoices' --expr 'any(perm:ledger/invoice:enter, role:ap-clerk)'",
			"edit": "  countersign duty edit AP-ENTER --expr '2 of (perm:ledger/invoice:enter, perm:ledger/vendor:edit, role:ap-clerk)'",
			"show": "  countersign duty show AP-ENTER",
		},
	}
	return group("duty", "Duties: pieces of work that rules keep apart", n.list(c), n.show(c), n.adding(c), n.editing(c), n.dropping(c))
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:79]) + "…"
	}
	return s
}

func (c *cli) controlCommand() *cobra.Command {
	n := noun[rbac.ControlID, rbac.Control]{
		word: "control", plural: "controls", arg: "CONTROL",
		rows: func(d *desk) map[rbac.ControlID]rbac.Control { return d.Controls },
		fresh: func(_ *desk, id rbac.ControlID) (rbac.Control, error) {
			return rbac.Control{ID: id, Name: string(id)}, nil
		},
		fields: func(f *fields[rbac.Control]) {
			text(f, "name", "name that people see", func(r *rbac.Control) *string { return &r.Name })
			somebody(f, "owner", "who answers for it", func(r *rbac.Control) *rbac.SubjectID { return &r.Owner })
			text(f, "monitor", "what watches over it", func(r *rbac.Control) *string { return &r.Monitor })
			text(f, "procedure", "how it is tested", func(r *rbac.Control) *string { return &r.Procedure })
			text(f, "frequency", "how often", func(r *rbac.Control) *string { return &r.Frequency })
			yes(f, "evidence", "it takes evidence", func(r *rbac.Control) *bool { return &r.Evidence })
			during(f, func(r *rbac.Control) *rbac.Window { return &r.During })
		},
		add: func(r rbac.Control) rbac.Op { return rbac.DefineControl{Control: r} }, edit: func(r rbac.Control) rbac.Op { return rbac.DefineControl{Control: r} },
		drop: func(id rbac.ControlID, _ bool) rbac.Op { return rbac.DeleteControl{Control: id} },
		head: []string{"CONTROL", "NAME", "OWNER", "FREQUENCY", "WHEN"},
		line: func(_ *desk, r rbac.Control) []any { return []any{r.ID, r.Name, r.Owner, r.Frequency, spell(r.During)} },
		view: func(d *desk, r rbac.Control) rbac.Control {
			r.Owner = rbac.SubjectID(d.tell(r.Owner))
			return r
		},
		example: map[string]string{
			"add":  "  countersign control add weekly-review --name 'Weekly review of invoices' --owner ingrid --frequency weekly",
			"show": "  countersign control show weekly-review",
		},
	}
	return group("control", "Mitigating controls: what watches over an exception", n.list(c), n.show(c), n.adding(c), n.editing(c), n.dropping(c))
}

// ruled is a rule as its commands change it.
type ruled struct {
	rbac.Rule
	grandfather bool
}

func (c *cli) ruleCommand() *cobra.Command {
	n := noun[rbac.RuleID, rbac.Rule]{
		word: "rule", plural: "rules", arg: "RULE",
		rows: func(d *desk) map[rbac.RuleID]rbac.Rule { return d.Rules },
		fresh: func(_ *desk, id rbac.RuleID) (rbac.Rule, error) {
			return rbac.Rule{ID: id, Kind: rbac.Static, K: 2, Level: rbac.Medium, Mode: rbac.Draft}, nil
		},
		fields: ruleFields, settle: (*desk).wholeRule,
		add:  func(r rbac.Rule) rbac.Op { return rbac.CreateRule{Rule: r} },
		edit: func(r rbac.Rule) rbac.Op { return rbac.EditRule{Rule: r} },
		drop: func(id rbac.RuleID, _ bool) rbac.Op { return rbac.DeleteRule{Rule: id} },
		head: []string{"RULE", "KIND", "DUTIES", "K", "LEVEL", "MODE", ""},
		line: func(_ *desk, r rbac.Rule) []any {
			invalid := ""
			if r.Invalid {
				invalid = "invalid"
			}
			return []any{r.ID, r.Kind, shorten(joined(r.Duties, " ")), r.K, r.Level, r.Mode, invalid}
		},
		view: func(d *desk, r rbac.Rule) rbac.Rule {
			r.Owner = rbac.SubjectID(d.tell(r.Owner))
			return r
		},
		example: map[string]string{
			"add":  "  countersign rule add AP-R01 --duty AP-ENTER --duty AP-APPROVE --level high --mode simulate --owner ingrid --description 'Nobody enters and approves invoices.'",
			"edit": "  countersign rule edit AP-R01 --max-exception-days 30 --control weekly-review",
			"show": "  countersign rule show AP-R01",
		},
	}
	return group("rule", "Rules: duties that nobody may hold together", n.list(c), n.show(c), n.adding(c), n.editing(c), n.dropping(c), c.rulePromote())
}

func ruleFields(f *fields[rbac.Rule]) {
	choice(f, "kind", "ssd (default), dsd, opsod, critical, odsd or hdsd", func(r *rbac.Rule) *rbac.RuleKind { return &r.Kind },
		rbac.Static, rbac.Dynamic, rbac.Operational, rbac.Critical, rbac.ObjectBased, rbac.History)
	many(f, "duty", "duty it keeps apart from the others", func(r *rbac.Rule) *[]rbac.DutyID { return &r.Duties })
	number(f, "k", "how many of its duties nobody may hold; 2 unless it is given", func(r *rbac.Rule) *int { return &r.K })
	choice(f, "join", "same_context: only what is held in one context conflicts", func(r *rbac.Rule) *rbac.Join { return &r.Join }, rbac.AnyContext, rbac.SameContext)
	choice(f, "level", "how much harm: low, medium (default), high or critical", func(r *rbac.Rule) *rbac.Level { return &r.Level }, rbac.Low, rbac.Medium, rbac.High, rbac.Grave)
	choice(f, "mode", "draft (default), simulate, record, warn, approve or block", func(r *rbac.Rule) *rbac.Mode { return &r.Mode }, modes...)
	choice(f, "reach", "of a dynamic rule: session or subject; its level decides if empty", func(r *rbac.Rule) *rbac.Reach { return &r.Reach },
		rbac.ReachDefault, rbac.ReachSession, rbac.ReachSubject)
	yes(f, "workloads", "a person answers for the workloads they own", func(r *rbac.Rule) *bool { return &r.Owned })
	somebody(f, "owner", "who approves exceptions", func(r *rbac.Rule) *rbac.SubjectID { return &r.Owner })
	many(f, "control", "control that may mitigate it; any if none is named", func(r *rbac.Rule) *[]rbac.ControlID { return &r.Controls })
	number(f, "max-exception-days", "longest exception; 0 is any length", func(r *rbac.Rule) *int { return &r.MaxExceptionDays })
	many(f, "tag", "control of a standard that it serves, such as nist:AC-5", func(r *rbac.Rule) *[]string { return &r.ControlTags })
	text(f, "description", "what it says, for people", func(r *rbac.Rule) *string { return &r.Description })
	text(f, "scenario", "how harm would come about", func(r *rbac.Rule) *string { return &r.Scenario })
	text(f, "mitigation", "what else helps", func(r *rbac.Rule) *string { return &r.Mitigation })
	during(f, func(r *rbac.Rule) *rbac.Window { return &r.During })
}

var modes = []rbac.Mode{rbac.Draft, rbac.Simulate, rbac.Record, rbac.Warn, rbac.Approve, rbac.Block}

// wholeRule takes the mark of an invalid rule away once all it speaks of exists.
func (d *desk) wholeRule(r *rbac.Rule) error {
	whole := true
	for _, id := range r.Duties {
		d.Duties[id].Expr.Atoms(func(a rbac.Atom) { whole = whole && d.knows(a) })
	}
	r.Invalid = r.Invalid && !whole
	return nil
}

// knows reports whether what an atom speaks of exists.
func (d *desk) knows(a rbac.Atom) (ok bool) {
	switch kind, name := a.Split(); kind {
	case rbac.PermAtom:
		_, ok = d.Permissions[rbac.Permission(name)]
	case rbac.RoleAtom:
		_, ok = d.Roles[rbac.RoleID(name)]
	case rbac.GroupAtom:
		_, ok = d.Groups[rbac.GroupID(name)]
	case rbac.ScopeAtom:
		_, ok = d.Scopes[rbac.ScopeID(name)]
	}
	return ok
}

func (c *cli) rulePromote() *cobra.Command {
	cmd := &cobra.Command{
		Use: "promote RULE --to MODE", Short: "Move a rule to another mode, after showing whom that affects", Args: exactly("a rule"),
		Long: "Move a rule to another mode: draft, simulate, record, warn, approve, block. Who would be affected is shown first. A rule is not\n" +
			"moved to block while people hold what it forbids, unless --grandfather makes each of them a case. The way back is the same command.",
		Example: "  countersign rule promote AP-R01 --to block --dry-run\n  countersign rule promote AP-R01 --to block --grandfather",
	}
	f := fieldsOf[ruled](cmd)
	choice(f, "to", "draft, simulate, record, warn, approve or block", func(r *ruled) *rbac.Mode { return &r.Mode }, modes...)
	yes(f, "grandfather", "let those who hold today what it forbids; each becomes a case", func(r *ruled) *bool { return &r.grandfather })
	_ = cmd.MarkFlagRequired("to")
	return c.changes(cmd, change{rehearse: true, propose: func(d *desk, args []string) (proposal, error) {
		rule, err := known(d.Rules, rbac.RuleID(args[0]), "rule")
		if err != nil {
			return proposal{}, err
		}
		r := ruled{Rule: rule}
		if err := f.into(d, &r); err != nil {
			return proposal{}, err
		}
		if r.Mode == rule.Mode {
			return proposal{}, rbac.ErrExists.Saying(fmt.Sprintf("The rule is in mode %s already.", r.Mode)).At("to")
		}
		return proposal{
			ops:  []rbac.Op{rbac.EditRule{Rule: r.Rule, Grandfather: r.grandfather}},
			said: fmt.Sprintf("Rule %s: %s → %s.", r.ID, cmp.Or(rule.Mode, rbac.Draft), r.Mode),
			made: map[string]any{"id": r.ID, "from": rule.Mode, "mode": r.Mode},
		}, nil
	}})
}
