package rbac

import (
	"slices"

	"github.com/countersign-id/countersign/internal/fault"
)

// The operations on duties, rules, exceptions and cases.
type (
	// DefineDuty creates a duty or changes what it takes.
	DefineDuty struct{ Duty Duty }
	// DeleteDuty deletes a duty that no rule names.
	DeleteDuty struct{ Duty DutyID }
	// CreateRule makes a rule. One that blocks is refused while people hold what it forbids, unless
	// Grandfather: then each of them becomes a case.
	CreateRule struct {
		Rule        Rule
		Grandfather bool
	}
	// EditRule replaces a rule. Its version grows if it then forbids something else, and exceptions
	// granted for the old version cover it no more.
	EditRule struct {
		Rule        Rule
		Grandfather bool
	}
	// DeleteRule deletes a rule and closes its cases.
	DeleteRule struct{ Rule RuleID }
	// DefineControl creates a mitigating control or changes it.
	DefineControl struct{ Control Control }
	// DeleteControl deletes a control that no exception rests on.
	DeleteControl struct{ Control ControlID }
	// GrantException lets a subject be in conflict with a rule for a while.
	GrantException struct{ Exception Exception }
	// RevokeException ends one.
	RevokeException struct{ Exception ExceptionID }
	// DecideCase moves a case to where people say it stands.
	DecideCase struct {
		Key      CaseKey
		State    CaseState
		Assignee SubjectID
	}
)

func (o DefineDuty) apply(e *edit) *fault.Error {
	d := o.Duty
	if !named(string(d.ID)) || !named(d.Name) {
		return ErrRuleInvalid.Saying("A duty needs a name that can be shown.").At("name")
	}
	nodes := 0
	if msg := d.Expr.check(0, &nodes); msg != "" {
		return ErrRuleInvalid.Saying("A duty's expression is wrong: " + msg + ".").At("expr")
	}
	e.check(func() *fault.Error { return e.atomsKnown(d) })
	old, had := e.s.Duties[d.ID]
	e.write(d)
	if had && !sameExpr(old.Expr, d.Expr) {
		for _, id := range sortedKeys(e.s.Rules) {
			if r := e.s.Rules[id]; slices.Contains(r.Duties, d.ID) {
				r.Version++
				e.write(r)
			}
		}
	}
	return nil
}

// atomsKnown asks that everything d speaks of exists. Duties of rules that are invalid already may wait for it.
func (e *edit) atomsKnown(d Duty) *fault.Error {
	missing := Atom("")
	d.Expr.Atoms(func(a Atom) {
		if missing == "" && !e.known(a) {
			missing = a
		}
	})
	if missing == "" {
		return nil
	}
	for _, r := range e.s.Rules {
		if slices.Contains(r.Duties, d.ID) && !r.Invalid {
			return ErrRuleInvalid.Saying("Nothing is known as " + string(missing) + ".").At("expr")
		}
	}
	for _, r := range e.s.Rules {
		if slices.Contains(r.Duties, d.ID) {
			return nil
		}
	}
	return ErrRuleInvalid.Saying("Nothing is known as " + string(missing) + ".").At("expr")
}

func sameExpr(a, b Expr) bool {
	return a.Atom == b.Atom && a.K == b.K && slices.EqualFunc(a.Of, b.Of, sameExpr)
}

func (o DeleteDuty) apply(e *edit) *fault.Error {
	if _, ok := e.s.Duties[o.Duty]; !ok {
		return ErrNotFound.At("duty")
	}
	drop(e, e.s.Duties, o.Duty)
	e.check(func() *fault.Error {
		if _, back := e.s.Duties[o.Duty]; back {
			return nil
		}
		for _, id := range sortedKeys(e.s.Rules) {
			if slices.Contains(e.s.Rules[id].Duties, o.Duty) {
				return ErrReferencedByRule.At(string(id))
			}
		}
		return nil
	})
	return nil
}

func (o CreateRule) apply(e *edit) *fault.Error {
	if _, ok := e.s.Rules[o.Rule.ID]; ok {
		return ErrExists.At("rule")
	}
	r := o.Rule
	r.Version = 1
	return e.putRule(r, o.Grandfather)
}

func (o EditRule) apply(e *edit) *fault.Error {
	old, ok := e.s.Rules[o.Rule.ID]
	if !ok {
		return ErrNotFound.At("rule")
	}
	r := o.Rule
	r.Version = old.Version
	if !sameMeaning(old, r) {
		r.Version++
	}
	return e.putRule(r, o.Grandfather)
}

func (e *edit) putRule(r Rule, grandfather bool) *fault.Error {
	if msg, field := r.check(); msg != "" {
		return ErrRuleInvalid.Saying(msg).At(field)
	}
	r.Duties = slices.Clone(r.Duties)
	for _, d := range r.Duties {
		exists(e, e.s.Duties, d, "duty")
	}
	for _, c := range r.Controls {
		exists(e, e.s.Controls, c, "control")
	}
	e.check(func() *fault.Error {
		for _, d := range r.Duties {
			if r.Kind == Dynamic && speaksOfGroups(e.s.Duties[d].Expr) {
				return ErrRuleInvalid.Saying("Groups are not activated, so a dynamic rule cannot speak of them.").At("duties")
			}
			if err := e.atomsKnown(e.s.Duties[d]); err != nil {
				return err
			}
		}
		return nil
	})
	if grandfather {
		e.grandfather[r.ID] = true
	}
	e.write(r)
	return nil
}

func speaksOfGroups(x Expr) bool {
	found := false
	x.Atoms(func(a Atom) {
		kind, _ := a.Split()
		found = found || kind == GroupAtom
	})
	return found
}

// check says what is wrong with r on its own, and where.
func (r Rule) check() (msg, field string) {
	distinct := map[DutyID]bool{}
	for _, d := range r.Duties {
		distinct[d] = true
	}
	_, mode := modeRank[r.Mode]
	switch {
	case !named(string(r.ID)):
		return "A rule needs an id.", "id"
	case !r.static() && r.Kind != Dynamic && !r.waits():
		return "There is no such kind of rule.", "kind"
	case !mode || r.Mode == "":
		return "There is no such mode.", "mode"
	case r.waits() && r.Mode != Draft:
		return "Rules of this kind cannot be enforced yet and stay drafts.", "mode"
	case r.Level != Low && r.Level != Medium && r.Level != High && r.Level != Grave:
		return "There is no such level.", "level"
	case r.Join != AnyContext && r.Join != SameContext:
		return "There is no such join.", "join"
	case r.Reach != ReachDefault && r.Reach != ReachSession && r.Reach != ReachSubject:
		return "There is no such reach.", "reach"
	case len(r.Duties) == 0:
		return "A rule names the duties it keeps apart.", "duties"
	case len(r.Duties) > maxDuties:
		return "A rule names too many duties.", "duties"
	case len(distinct) != len(r.Duties):
		return "A rule names a duty twice.", "duties"
	case r.K > len(r.Duties):
		return "A rule cannot count more duties than it names.", "k"
	case r.Kind == Critical && r.K != 1:
		return "A critical rule counts a single duty.", "k"
	case r.Kind != Critical && r.K < 2:
		return "A rule keeps at least two duties apart.", "k"
	case !r.During.Valid():
		return "The rule ends before it starts.", "during"
	case r.MaxExceptionDays < 0:
		return "An exception cannot last less than nothing.", "max_exception_days"
	}
	return "", ""
}

func (o DeleteRule) apply(e *edit) *fault.Error {
	if _, ok := e.s.Rules[o.Rule]; !ok {
		return ErrNotFound.At("rule")
	}
	for _, id := range sortedKeys(e.s.Exceptions) {
		if e.s.Exceptions[id].Rule == o.Rule {
			drop(e, e.s.Exceptions, id)
		}
	}
	drop(e, e.s.Rules, o.Rule)
	return nil
}

func (o DefineControl) apply(e *edit) *fault.Error {
	if !named(string(o.Control.ID)) || !named(o.Control.Name) {
		return ErrInvalid.At("name")
	}
	if !o.Control.During.Valid() {
		return ErrWindowInvalid.At("during")
	}
	e.write(o.Control)
	e.check(e.controlsHold)
	return nil
}

func (o DeleteControl) apply(e *edit) *fault.Error {
	if _, ok := e.s.Controls[o.Control]; !ok {
		return ErrNotFound.At("control")
	}
	for _, r := range e.s.Rules {
		if slices.Contains(r.Controls, o.Control) {
			return ErrReferencedByRule.At("control")
		}
	}
	drop(e, e.s.Controls, o.Control)
	e.check(e.controlsHold)
	return nil
}

// controlsHold asks that every exception that has not ended rests on controls that last as long.
func (e *edit) controlsHold() *fault.Error {
	for _, id := range sortedKeys(e.s.Exceptions) {
		x := e.s.Exceptions[id]
		for _, c := range x.Controls {
			control, ok := e.s.Controls[c]
			if x.During.End() > e.now && (!ok || control.During.From > x.During.From || control.During.End() < x.During.End()) {
				return ErrReferenced.Saying("An exception rests on this control.").At("control")
			}
		}
	}
	return nil
}

func (o GrantException) apply(e *edit) *fault.Error {
	x := o.Exception
	if _, ok := e.s.Exceptions[x.ID]; ok || x.ID == "" {
		return ErrExists.At("id")
	}
	if !x.During.Valid() {
		return ErrWindowInvalid.At("during")
	}
	exists(e, e.s.Subjects, x.Subject, "subject")
	e.check(func() *fault.Error { return e.exceptionStands(x) })
	e.write(x)
	return nil
}

// exceptionStands holds x against the rule it is for: an end, a length the rule allows, controls that
// last as long, and approvers of whom none gains by it. A critical rule takes two.
func (e *edit) exceptionStands(x Exception) *fault.Error {
	r, ok := e.s.Rules[x.Rule]
	if !ok || r.Version != x.Version {
		return ErrNotFound.Saying("There is no such version of the rule.").At("rule")
	}
	if !r.static() {
		return ErrExceptionInvalid.Saying("What is active together is chosen at sign-in and takes no exception.").At("rule")
	}
	if x.During.To == 0 || r.MaxExceptionDays > 0 && x.During.To-x.During.From > Instant(r.MaxExceptionDays)*Day {
		return ErrExceptionTooLong.At("during")
	}
	for _, c := range x.Controls {
		control, ok := e.s.Controls[c]
		if !ok || len(r.Controls) > 0 && !slices.Contains(r.Controls, c) {
			return ErrExceptionInvalid.At("controls")
		}
		if control.During.From > x.During.From || control.During.End() < x.During.End() {
			return ErrExceptionInvalid.Saying("A control ends before the exception does.").At("controls")
		}
	}
	if len(r.Controls) > 0 && len(x.Controls) == 0 {
		return ErrExceptionInvalid.At("controls")
	}
	return e.approvers(r, x)
}

func (e *edit) approvers(r Rule, x Exception) *fault.Error {
	distinct := sorted(x.Approvers)
	need := 1
	if r.Level == Grave {
		need = 2
	}
	if len(distinct) < need || len(distinct) != len(x.Approvers) {
		return ErrExceptionInvalid.Saying("Too few people approved the exception.").At("approvers")
	}
	for _, a := range distinct {
		if a == "" || a == x.Subject || a == x.Requester {
			return ErrSelfAction.At("approvers")
		}
	}
	if e.by.Subject != "" && e.by.Subject == x.Subject {
		return ErrSelfAction
	}
	if r.Owner != "" && !slices.Contains(distinct, r.Owner) {
		return ErrExceptionInvalid.Saying("The owner of the rule approves its exceptions.").At("approvers")
	}
	return nil
}

func (o RevokeException) apply(e *edit) *fault.Error {
	if _, ok := e.s.Exceptions[o.Exception]; !ok {
		return ErrNotFound.At("exception")
	}
	drop(e, e.s.Exceptions, o.Exception)
	return nil
}

func (o DecideCase) apply(e *edit) *fault.Error {
	c, ok := e.s.Cases[o.Key]
	if !ok {
		return ErrNotFound.At("case")
	}
	if o.State != CaseOpen && o.State != CaseReview && o.State != CaseRemediating && o.State != CaseFalsePositive {
		return ErrInvalid.Saying("A case cannot be put into that state by hand.").At("state")
	}
	if e.by.Subject != "" && e.by.Subject == o.Key.Subject {
		return ErrSelfAction
	}
	if c.State != CaseOpen && c.State != CaseReview && c.State != CaseRemediating {
		return ErrInvalid.Saying("The case is not open.").At("state")
	}
	c.State, c.Assignee = o.State, o.Assignee
	e.write(c)
	return nil
}
