package rbac

import (
	"slices"

	"github.com/countersign-id/countersign/internal/fault"
)

// The operations on people.
type (
	// AddSubject makes a person or a workload known.
	AddSubject struct{ Subject Subject }
	// DeleteSubject deletes a subject who has no account and owns no workload.
	DeleteSubject struct{ Subject SubjectID }
	// AddAccount gives a subject an account.
	AddAccount struct{ Account Account }
	// DeleteAccount takes everything from an account and deletes it.
	DeleteAccount struct{ Account AccountID }
	// LinkAccount says whose account this really is. It is never refused: a conflict that comes to light is
	// filed as a case.
	LinkAccount struct {
		Account AccountID
		Subject SubjectID
	}
	// MergeSubjects says that two persons are one: all of From becomes Into's, as LinkAccount does.
	MergeSubjects struct{ From, Into SubjectID }

	// SetOwner says who answers for a workload, "" for nobody. Like LinkAccount it tells what is true: it is never refused.
	SetOwner struct{ Workload, Owner SubjectID }

	// Assign gives an account a role, from now if its window names no start.
	Assign struct{ Assignment Assignment }
	// Withdraw ends an assignment now; one that has not started is deleted. It is refused only where too
	// few would hold the role or another assignment rests on it.
	Withdraw struct{ Assignment AssignmentID }
	// AddMember puts an account into a group.
	AddMember struct{ Membership Membership }
	// RemoveMember takes it out.
	RemoveMember struct {
		Group   GroupID
		Account AccountID
	}
	// Delegate makes somebody a deputy in roles of somebody else.
	Delegate struct{ Delegation Delegation }
	// Undelegate ends a delegation.
	Undelegate struct{ Delegation DelegationID }

	// Sweep looks at people again: time has passed. Without names it looks at everybody.
	Sweep struct{ Subjects []SubjectID }
)

func (o AddSubject) apply(e *edit) *fault.Error {
	if !named(string(o.Subject.ID)) {
		return ErrInvalid.At("id")
	}
	if _, ok := e.s.Subjects[o.Subject.ID]; ok {
		return ErrExists.At("subject")
	}
	if o.Subject.Owner != "" {
		if o.Subject.Kind != Workload {
			return ErrInvalid.Saying("Only a workload has an owner.").At("owner")
		}
		exists(e, e.s.Subjects, o.Subject.Owner, "subject")
	}
	e.write(o.Subject)
	return nil
}

func (o DeleteSubject) apply(e *edit) *fault.Error {
	if _, ok := e.s.Subjects[o.Subject]; !ok {
		return ErrNotFound.At("subject")
	}
	for _, id := range sortedKeys(e.s.exceptionsOf[o.Subject]) {
		drop(e, e.s.Exceptions, id)
	}
	drop(e, e.s.Subjects, o.Subject)
	e.check(func() *fault.Error {
		if _, back := e.s.Subjects[o.Subject]; !back && (len(e.s.accountsOf[o.Subject]) > 0 || len(e.s.workloadsOf[o.Subject]) > 0) {
			return ErrReferenced.At("subject")
		}
		return nil
	})
	return nil
}

func (o AddAccount) apply(e *edit) *fault.Error {
	if !named(string(o.Account.ID)) {
		return ErrInvalid.At("id")
	}
	if _, ok := e.s.Accounts[o.Account.ID]; ok {
		return ErrExists.At("account")
	}
	exists(e, e.s.Subjects, o.Account.Subject, "subject")
	e.write(o.Account)
	return nil
}

func (o DeleteAccount) apply(e *edit) *fault.Error {
	if _, ok := e.s.Accounts[o.Account]; !ok {
		return ErrNotFound.At("account")
	}
	for _, id := range sortedKeys(e.s.assignedTo[o.Account]) {
		drop(e, e.s.Assignments, id)
	}
	for _, key := range sortedMembers(e.s.groupsOf[o.Account]) {
		drop(e, e.s.Memberships, key)
	}
	for _, id := range sortedKeys(e.s.delegatedTo[o.Account]) {
		drop(e, e.s.Delegations, id)
	}
	for _, id := range sortedKeys(e.s.delegatedBy[o.Account]) {
		drop(e, e.s.Delegations, id)
	}
	drop(e, e.s.Accounts, o.Account)
	return nil
}

func (o LinkAccount) apply(e *edit) *fault.Error {
	a, ok := e.s.Accounts[o.Account]
	if !ok {
		return ErrNotFound.At("account")
	}
	exists(e, e.s.Subjects, o.Subject, "subject")
	a.Subject = o.Subject
	e.linked[o.Subject] = true
	if owner := e.s.Subjects[o.Subject].Owner; owner != "" {
		e.linked[owner] = true
	}
	e.write(a)
	return nil
}

func (o MergeSubjects) apply(e *edit) *fault.Error {
	if o.From == o.Into {
		return ErrInvalid.At("into")
	}
	from, ok := e.s.Subjects[o.From]
	if _, has := e.s.Subjects[o.Into]; !ok || !has {
		return ErrNotFound.At("subject")
	}
	for _, id := range sortedKeys(e.s.accountsOf[o.From]) {
		if err := (LinkAccount{id, o.Into}).apply(e); err != nil {
			return err
		}
	}
	for _, id := range sortedKeys(e.s.workloadsOf[o.From]) {
		w := e.s.Subjects[id]
		w.Owner = o.Into
		e.write(w)
	}
	for _, id := range sortedKeys(e.s.exceptionsOf[o.From]) {
		x := e.s.Exceptions[id]
		x.Subject = o.Into
		e.write(x)
	}
	e.linked[o.Into] = true
	drop(e, e.s.Subjects, from.ID)
	return nil
}

func (o SetOwner) apply(e *edit) *fault.Error {
	w, ok := e.s.Subjects[o.Workload]
	if !ok || w.Kind != Workload {
		return ErrNotFound.At("workload")
	}
	if o.Owner != "" {
		if e.s.Subjects[o.Owner].Kind == Workload {
			return ErrInvalid.Saying("A person answers for a workload.").At("owner")
		}
		exists(e, e.s.Subjects, o.Owner, "subject")
		e.linked[o.Owner] = true
		e.touchSubject(o.Owner)
	}
	w.Owner = o.Owner
	e.write(w)
	return nil
}

// notSelf refuses what an actor does to their own account.
func (e *edit) notSelf(id AccountID) *fault.Error {
	if e.by.Subject != "" && e.s.Accounts[id].Subject == e.by.Subject {
		return ErrSelfAction
	}
	return nil
}

func (o Assign) apply(e *edit) *fault.Error {
	a := o.Assignment
	a.During = e.starting(a.During)
	if _, ok := e.s.Assignments[a.ID]; ok || a.ID == "" {
		return ErrExists.At("id")
	}
	if !a.During.Valid() {
		return ErrWindowInvalid.At("during")
	}
	if err := e.notSelf(a.Account); err != nil {
		return err
	}
	exists(e, e.s.Accounts, a.Account, "account")
	exists(e, e.s.Roles, a.Role, "role")
	e.check(func() *fault.Error {
		if !e.s.Roles[a.Role].assignable() {
			return ErrNotAssignable.At("role")
		}
		for id := range e.s.assignedTo[a.Account] {
			other := e.s.Assignments[id]
			if id != a.ID && other.Role == a.Role && other.Context == a.Context && other.During.Overlaps(a.During) {
				return ErrExists.Saying("The account holds this role at that time already.").At("during")
			}
		}
		return nil
	})
	e.write(a)
	return nil
}

// starting returns w, from now where it names no start: what is given now was not held before.
func (e *edit) starting(w Window) Window {
	if w.From == 0 {
		w.From = e.now
	}
	return w
}

// assignable reports whether r may be newly assigned.
func (r Role) assignable() bool {
	return !r.Unassignable && (r.Lifecycle == ActiveRole || r.Lifecycle == DeprecatedRole)
}

func (o Withdraw) apply(e *edit) *fault.Error {
	a, ok := e.s.Assignments[o.Assignment]
	if !ok || a.During.End() <= e.now {
		return ErrNotFound.At("assignment")
	}
	if a.During.From >= e.now {
		drop(e, e.s.Assignments, a.ID)
		return nil
	}
	a.During.To = e.now
	e.write(a)
	return nil
}

func (o AddMember) apply(e *edit) *fault.Error {
	m := o.Membership
	m.During = e.starting(m.During)
	if _, ok := e.s.Memberships[MemberKey{m.Group, m.Account}]; ok {
		return ErrExists.At("group")
	}
	if !m.During.Valid() {
		return ErrWindowInvalid.At("during")
	}
	if err := e.notSelf(m.Account); err != nil {
		return err
	}
	exists(e, e.s.Groups, m.Group, "group")
	exists(e, e.s.Accounts, m.Account, "account")
	e.write(m)
	return nil
}

func (o RemoveMember) apply(e *edit) *fault.Error {
	key := MemberKey(o)
	if _, ok := e.s.Memberships[key]; !ok {
		return ErrNotFound.At("group")
	}
	drop(e, e.s.Memberships, key)
	return nil
}

func (o Delegate) apply(e *edit) *fault.Error {
	d := o.Delegation
	d.During = e.starting(d.During)
	d.Roles = sorted(d.Roles)
	if _, ok := e.s.Delegations[d.ID]; ok || d.ID == "" {
		return ErrExists.At("id")
	}
	if !d.During.Valid() || d.During.To == 0 {
		return ErrWindowInvalid.Saying("A delegation has an end.").At("during")
	}
	if len(d.Roles) == 0 || d.From == d.To {
		return ErrInvalid.At("roles")
	}
	if err := e.notSelf(d.To); err != nil {
		return err
	}
	exists(e, e.s.Accounts, d.From, "account")
	exists(e, e.s.Accounts, d.To, "account")
	for _, r := range d.Roles {
		exists(e, e.s.Roles, r, "role")
	}
	e.fresh[AssignmentID(d.ID)] = true
	e.write(d)
	return nil
}

func (o Undelegate) apply(e *edit) *fault.Error {
	if _, ok := e.s.Delegations[o.Delegation]; !ok {
		return ErrNotFound.At("delegation")
	}
	drop(e, e.s.Delegations, o.Delegation)
	return nil
}

// narrow takes one role out of a delegation, and the delegation away once it has none.
func (e *edit) narrow(d Delegation, r RoleID) {
	d.Roles = without(d.Roles, r)
	if len(d.Roles) == 0 {
		drop(e, e.s.Delegations, d.ID)
		return
	}
	e.write(d)
}

func (o Sweep) apply(e *edit) *fault.Error {
	e.sweep = true
	if o.Subjects == nil {
		e.everybody = true
	}
	for _, id := range o.Subjects {
		e.touched[id] = true
	}
	return nil
}

// unheld ends delegations of what the one who delegates does not hold, by assignment or group, for as
// long as the delegation lasts. Only a new one is refused for it.
func (e *edit) unheld(snap *Snapshot) *fault.Error {
	for _, id := range sortedKeys(e.s.Delegations) {
		d := e.s.Delegations[id]
		if d.During.End() <= e.now {
			continue
		}
		if _, ok := e.held[d.From]; !ok && e.before == nil && !e.fresh[AssignmentID(id)] {
			continue
		}
		grants := slices.DeleteFunc(e.s.grantsOf(d.From), func(g Grant) bool { return g.Delegation != "" })
		for _, r := range d.Roles {
			if snap.covers(grants, r, window(max(e.now, d.During.From), d.During.End())) {
				continue
			}
			if e.fresh[AssignmentID(id)] {
				return ErrEscalation.Saying("Only what is held for all of that time can be delegated.").At("roles")
			}
			e.narrow(e.s.Delegations[id], r)
		}
	}
	return nil
}
