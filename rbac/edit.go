package rbac

import (
	"fmt"

	"github.com/countersign-id/countersign/internal/fault"
)

// Write is one row that a change wrote: New in place of Old. A nil Old is a new row, a nil New a deleted
// one. Rows are the plain types of this package.
type Write struct{ Old, New any }

// edit is a changeset on its way: it writes into the state at once and can take everything back.
type edit struct {
	s   *State
	by  By
	now Instant

	loading     bool
	before      *Policy // the policy as it was, nil while nobody has touched it
	wasSnap     *Snapshot
	held        map[AccountID][]Grant     // what touched accounts held before
	excused     map[SubjectID][]Exception // the exceptions of touched subjects
	touched     map[SubjectID]bool
	linked      map[SubjectID]bool // people whose accounts turned out to be more than was known
	fresh       map[AssignmentID]bool
	grandfather map[RuleID]bool
	sweep       bool // time alone has passed
	everybody   bool // and everybody is looked at

	later  []func() *fault.Error // what must be true of the whole once everything is in
	writes []Write
	undo   []func()
}

func newEdit(s *State, by By, now Instant) *edit {
	return &edit{
		s: s, by: by, now: now, held: map[AccountID][]Grant{}, excused: map[SubjectID][]Exception{},
		touched: map[SubjectID]bool{},
		linked:  map[SubjectID]bool{}, fresh: map[AssignmentID]bool{}, grandfather: map[RuleID]bool{},
	}
}

// rollback takes every write back.
func (e *edit) rollback() {
	for i := len(e.undo) - 1; i >= 0; i-- {
		e.undo[i]()
	}
	e.undo = nil
}

// check asks for f to be true once the whole change is in, so that the order of operations does not matter.
func (e *edit) check(f func() *fault.Error) { e.later = append(e.later, f) }

// exists asks for m to have k in the end.
func exists[K comparable, R any](e *edit, m map[K]R, k K, what string) {
	e.check(func() *fault.Error {
		if _, ok := m[k]; !ok {
			return ErrNotFound.Saying(fmt.Sprintf("There is no %s %q.", what, any(k)))
		}
		return nil
	})
}

// put writes r under k.
func put[K comparable, R any](e *edit, m map[K]R, k K, r R) {
	old, had := m[k]
	w := Write{New: r}
	if had {
		w.Old = old
	}
	e.wrote(w, func() { m[k] = r }, func() {
		if had {
			m[k] = old
		} else {
			delete(m, k)
		}
	})
}

// drop deletes k.
func drop[K comparable, R any](e *edit, m map[K]R, k K) {
	old, had := m[k]
	if !had {
		return
	}
	e.wrote(Write{Old: old}, func() { delete(m, k) }, func() { m[k] = old })
}

func (e *edit) wrote(w Write, do, undo func()) {
	if e.loading {
		do()
		e.s.link(w.New, true)
		return
	}
	e.touch(w.Old)
	e.touch(w.New)
	do()
	e.s.link(w.Old, false)
	e.s.link(w.New, true)
	e.writes = append(e.writes, w)
	e.undo = append(e.undo, func() {
		undo()
		e.s.link(w.New, false)
		e.s.link(w.Old, true)
	})
}

// touch remembers what is about to change: the policy as it was, and what people held.
func (e *edit) touch(row any) {
	switch r := row.(type) {
	case ResourceServer, PermissionDef, Scope, Role, Group, Duty, Rule, Control:
		if e.before == nil {
			before := e.s.Policy.Clone()
			e.before = &before
		}
	case Subject:
		e.touched[r.ID] = true
		if r.Owner != "" {
			e.touched[r.Owner] = true
		}
	case Account:
		e.touchAccount(r.ID)
		e.touchSubject(r.Subject)
	case Assignment:
		e.touchAccount(r.Account)
	case Membership:
		e.touchAccount(r.Account)
	case Delegation:
		e.touchAccount(r.To)
	case Exception:
		if _, ok := e.excused[r.Subject]; !ok {
			e.excused[r.Subject] = e.s.Holder(r.Subject).Exceptions
		}
		e.touchSubject(r.Subject)
	}
}

func (e *edit) touchAccount(id AccountID) {
	if _, ok := e.held[id]; !ok {
		e.held[id] = e.s.grantsOf(id)
	}
	if a, ok := e.s.Accounts[id]; ok {
		e.touchSubject(a.Subject)
	}
}

func (e *edit) touchSubject(id SubjectID) {
	e.touched[id] = true
	if owner := e.s.Subjects[id].Owner; owner != "" {
		e.touched[owner] = true
	}
}

// base returns what the person behind id held before, by the accounts that are known now to be theirs.
// That two accounts are one person is not made worse by finding it out: linking is never refused.
func (e *edit) base(id SubjectID) Holder {
	h := e.s.holder(id, func(a AccountID) []Grant {
		if held, ok := e.held[a]; ok {
			return held
		}
		return e.s.grantsOf(a)
	})
	if was, ok := e.excused[id]; ok {
		h.Exceptions = was
	}
	return h
}

// write puts a row where its type belongs.
func (e *edit) write(row any) {
	s := e.s
	switch r := row.(type) {
	case ResourceServer:
		put(e, s.Servers, r.ID, r)
	case PermissionDef:
		put(e, s.Permissions, r.ID, r)
	case Scope:
		put(e, s.Scopes, r.ID, r)
	case Role:
		put(e, s.Roles, r.ID, r)
	case Group:
		put(e, s.Groups, r.ID, r)
	case Duty:
		put(e, s.Duties, r.ID, r)
	case Rule:
		put(e, s.Rules, r.ID, r)
	case Control:
		put(e, s.Controls, r.ID, r)
	case Subject:
		put(e, s.Subjects, r.ID, r)
	case Account:
		put(e, s.Accounts, r.ID, r)
	case Assignment:
		if _, ok := s.Assignments[r.ID]; !ok && !e.loading {
			e.fresh[r.ID] = true
		}
		put(e, s.Assignments, r.ID, r)
	case Membership:
		put(e, s.Memberships, MemberKey{r.Group, r.Account}, r)
	case Delegation:
		put(e, s.Delegations, r.ID, r)
	case Exception:
		put(e, s.Exceptions, r.ID, r)
	case Violation:
		put(e, s.Violations, CaseKey{r.Rule, r.Subject}, r)
	case Case:
		put(e, s.Cases, CaseKey{r.Rule, r.Subject}, r)
	case Hold:
		put(e, s.Holds, HoldKey{r.Rule, r.Subject, r.Duty}, r)
	default:
		panic(fmt.Sprintf("rbac: %T is no row", row))
	}
}
