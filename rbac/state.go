package rbac

import (
	"cmp"
	"slices"
)

// MemberKey names a membership.
type MemberKey struct {
	Group   GroupID
	Account AccountID
}

// State is a policy with the people under it. It may be the whole of a deployment, or the part of it
// that a change touches. Its maps are for reading: only Apply and Load write them, because they keep
// the indexes beside them.
type State struct {
	Policy
	Subjects    map[SubjectID]Subject
	Accounts    map[AccountID]Account
	Assignments map[AssignmentID]Assignment
	Memberships map[MemberKey]Membership
	Delegations map[DelegationID]Delegation
	Exceptions  map[ExceptionID]Exception
	Violations  map[CaseKey]Violation
	Cases       map[CaseKey]Case
	Holds       map[HoldKey]Hold
	Epoch       uint64

	accountsOf   links[SubjectID, AccountID]
	workloadsOf  links[SubjectID, SubjectID]
	exceptionsOf links[SubjectID, ExceptionID]
	casesOf      links[SubjectID, CaseKey]
	holdsOf      links[SubjectID, HoldKey]
	assignedTo   links[AccountID, AssignmentID]
	assigned     links[RoleID, AssignmentID]
	groupsOf     links[AccountID, MemberKey]
	membersOf    links[GroupID, MemberKey]
	delegatedTo  links[AccountID, DelegationID]
	delegatedBy  links[AccountID, DelegationID]

	snap *Snapshot // of Policy, nil when it has changed since
}

// NewState returns a state of nothing.
func NewState() *State {
	return &State{
		Policy: NewPolicy(), Subjects: map[SubjectID]Subject{}, Accounts: map[AccountID]Account{},
		Assignments: map[AssignmentID]Assignment{}, Memberships: map[MemberKey]Membership{},
		Delegations: map[DelegationID]Delegation{}, Exceptions: map[ExceptionID]Exception{},
		Violations: map[CaseKey]Violation{}, Cases: map[CaseKey]Case{}, Holds: map[HoldKey]Hold{},
		accountsOf: links[SubjectID, AccountID]{}, workloadsOf: links[SubjectID, SubjectID]{},
		exceptionsOf: links[SubjectID, ExceptionID]{}, casesOf: links[SubjectID, CaseKey]{}, holdsOf: links[SubjectID, HoldKey]{},
		assignedTo: links[AccountID, AssignmentID]{}, assigned: links[RoleID, AssignmentID]{},
		groupsOf: links[AccountID, MemberKey]{}, membersOf: links[GroupID, MemberKey]{},
		delegatedTo: links[AccountID, DelegationID]{}, delegatedBy: links[AccountID, DelegationID]{},
	}
}

// links is a one-to-many index.
type links[K, V comparable] map[K]map[V]struct{}

func (l links[K, V]) set(k K, v V, present bool) {
	switch {
	case !present:
		if delete(l[k], v); len(l[k]) == 0 {
			delete(l, k)
		}
	case l[k] == nil:
		l[k] = map[V]struct{}{v: {}}
	default:
		l[k][v] = struct{}{}
	}
}

// link keeps the indexes: row is there from now on, or no more.
func (s *State) link(row any, present bool) {
	switch r := row.(type) {
	case Account:
		s.accountsOf.set(r.Subject, r.ID, present)
	case Subject:
		if r.Owner != "" {
			s.workloadsOf.set(r.Owner, r.ID, present)
		}
	case Assignment:
		s.assignedTo.set(r.Account, r.ID, present)
		s.assigned.set(r.Role, r.ID, present)
	case Membership:
		key := MemberKey{r.Group, r.Account}
		s.groupsOf.set(r.Account, key, present)
		s.membersOf.set(r.Group, key, present)
	case Delegation:
		s.delegatedTo.set(r.To, r.ID, present)
		s.delegatedBy.set(r.From, r.ID, present)
	case Exception:
		s.exceptionsOf.set(r.Subject, r.ID, present)
	case Case:
		s.casesOf.set(r.Subject, CaseKey{r.Rule, r.Subject}, present)
	case Hold:
		s.holdsOf.set(r.Subject, HoldKey{r.Rule, r.Subject, r.Duty}, present)
	}
}

// Load adds rows as they are, without judging them: what a store read back. It panics on a value that is no row.
func (s *State) Load(rows ...any) {
	e := &edit{s: s, loading: true}
	for _, row := range rows {
		e.write(row)
	}
	s.snap = nil
}

// Snapshot returns the compiled policy. It refuses a hierarchy with a cycle, which only Load can bring in.
func (s *State) Snapshot() (*Snapshot, error) {
	if s.snap == nil || s.snap.Epoch != s.Epoch {
		snap, err := Compile(s.Policy, s.Epoch)
		if err != nil {
			return nil, err
		}
		s.snap = snap
	}
	return s.snap, nil
}

// Holder returns what a subject holds through all their accounts, and through the workloads they own.
func (s *State) Holder(id SubjectID) Holder {
	return s.holder(id, s.grantsOf)
}

// holder is Holder with another reading of what an account holds.
func (s *State) holder(id SubjectID, grantsOf func(AccountID) []Grant) Holder {
	h := Holder{Subject: id}
	for _, a := range sortedKeys(s.accountsOf[id]) {
		h.Grants = append(h.Grants, grantsOf(a)...)
	}
	for _, w := range sortedKeys(s.workloadsOf[id]) {
		for _, a := range sortedKeys(s.accountsOf[w]) {
			for _, g := range grantsOf(a) {
				g.Owned = true
				h.Grants = append(h.Grants, g)
			}
		}
	}
	for _, x := range sortedKeys(s.exceptionsOf[id]) {
		h.Exceptions = append(h.Exceptions, s.Exceptions[x])
	}
	return h
}

// grantsOf returns what an account holds, in an order that does not depend on how it came about.
func (s *State) grantsOf(id AccountID) []Grant {
	var out []Grant
	for aid := range s.assignedTo[id] {
		a := s.Assignments[aid]
		out = append(out, Grant{
			Account: id, Role: a.Role, Context: a.Context, During: a.During, Eligible: a.Eligible, Assignment: aid,
		})
	}
	for key := range s.groupsOf[id] {
		out = append(out, Grant{Account: id, Group: key.Group, During: s.Memberships[key].During})
	}
	for did := range s.delegatedTo[id] {
		d := s.Delegations[did]
		for _, r := range d.Roles {
			out = append(out, Grant{Account: id, Role: r, During: d.During, Delegation: did})
		}
	}
	slices.SortFunc(out, func(a, b Grant) int {
		return cmp.Or(cmp.Compare(a.Assignment, b.Assignment), cmp.Compare(a.Delegation, b.Delegation),
			cmp.Compare(a.Group, b.Group), cmp.Compare(a.Role, b.Role))
	})
	return out
}
