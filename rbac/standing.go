package rbac

import (
	"slices"

	"github.com/countersign-id/countersign/internal/fault"
)

// standing holds the whole against what is not separation of duty: roles that conflict with themselves,
// how many people hold a role, and prerequisites.
func (e *edit) standing(snap *Snapshot, before map[RoleID]profile, adopt bool) *fault.Error {
	if e.before != nil {
		for _, id := range snap.roles {
			r := e.s.Roles[id]
			if !r.assignable() || snap.SelfConflict(id) == "" {
				continue
			}
			if !adopt {
				return ErrRoleSelfConflict.At(string(id))
			}
			r.Unassignable = true
			e.write(r)
		}
	}
	if why := e.counted(snap, before); why != nil {
		return why
	}
	return e.prerequisites(snap)
}

// profile is how many persons hold a role, over time.
type profile struct {
	at     []Instant // sorted, the first is now
	people []int     // from at[i] until at[i+1]
}

func (p profile) when(t Instant) int {
	n := 0
	for i, at := range p.at {
		if at <= t {
			n = p.people[i]
		}
	}
	return n
}

// limited counts the people of every role that has a limit.
func (e *edit) limited() map[RoleID]profile {
	out := map[RoleID]profile{}
	for _, id := range e.wasSnap.limits {
		out[id] = e.profile(id)
	}
	return out
}

// profile counts persons who hold role by assignment, by delegation or through a group, not by
// inheritance.
func (e *edit) profile(role RoleID) profile {
	type held struct {
		subject SubjectID
		during  Window
	}
	var all []held
	e.s.holders(role, func(a AccountID, w Window) {
		if w.End() > e.now {
			all = append(all, held{e.s.Accounts[a].Subject, w})
		}
	})

	p := profile{at: []Instant{e.now}}
	for _, h := range all {
		p.at = append(p.at, max(h.during.From, e.now), h.during.End())
	}
	slices.Sort(p.at)
	p.at = slices.Compact(p.at)
	for _, t := range p.at {
		people := map[SubjectID]struct{}{}
		for _, h := range all {
			if h.during.Holds(t) {
				people[h.subject] = struct{}{}
			}
		}
		p.people = append(p.people, len(people))
	}
	return p
}

// holders calls f for every account that holds role by assignment, by delegation or through a group, and when; ended and future
// times too.
func (s *State) holders(role RoleID, f func(AccountID, Window)) {
	for id := range s.assigned[role] {
		f(s.Assignments[id].Account, s.Assignments[id].During)
	}
	for _, d := range s.Delegations {
		if slices.Contains(d.Roles, role) {
			f(d.To, d.During)
		}
	}
	for g := range s.groupsUnder(role) {
		for key := range s.membersOf[g] {
			f(key.Account, s.Memberships[key].During)
		}
	}
}

// groupsUnder returns the groups whose members hold role: those that have it and all that are in them.
func (s *State) groupsUnder(role RoleID) map[GroupID]struct{} {
	out := map[GroupID]struct{}{}
	var down func(g GroupID)
	down = func(g GroupID) {
		if _, seen := out[g]; seen {
			return
		}
		out[g] = struct{}{}
		for _, c := range s.Groups[g].Children {
			down(c)
		}
	}
	for id, g := range s.Groups {
		if slices.Contains(g.Roles, role) {
			down(id)
		}
	}
	return out
}

// counted refuses too many people in a role at any time from now on, and too few now. Too few is
// refused only where the change takes somebody away, and never where two accounts turn out to be one
// person.
func (e *edit) counted(snap *Snapshot, before map[RoleID]profile) *fault.Error {
	for _, id := range snap.limits {
		r := e.s.Roles[id]
		was, after := before[id], e.profile(id)
		sameMax := e.before == nil || e.before.Roles[id].MaxAssignees == r.MaxAssignees
		for i, t := range after.at {
			n := after.people[i]
			if r.MaxAssignees > 0 && n > r.MaxAssignees && !(sameMax && was.when(t) >= n) {
				return ErrCardinalityMax.At(string(id))
			}
		}
		if n := after.when(e.now); n < r.MinAssignees && n < was.when(e.now) && len(e.linked) == 0 {
			return ErrCardinalityMin.At(string(id))
		}
	}
	return nil
}

// prerequisites asks that every assignment of a role that needs others has them when it starts. An
// assignment that lacked them before is left alone.
func (e *edit) prerequisites(snap *Snapshot) *fault.Error {
	for _, id := range snap.conditions {
		cond := e.s.Roles[id].Prerequisite
		for _, aid := range sortedKeys(e.s.assigned[id]) {
			a := e.s.Assignments[aid]
			if a.During.End() <= e.now || e.meets(snap, a, cond, e.s.grantsOf(a.Account)) {
				continue
			}
			held, touched := e.held[a.Account]
			if !touched {
				held = e.s.grantsOf(a.Account)
			}
			same := e.before == nil || sameCond(e.before.Roles[id].Prerequisite, cond)
			if e.fresh[aid] || !same || e.meets(e.wasSnap, a, cond, held) {
				return ErrPrerequisite.At(string(id))
			}
		}
	}
	return nil
}

// meets reports whether cond is true for the account of a when a starts, by everything but a itself.
func (e *edit) meets(snap *Snapshot, a Assignment, cond Cond, grants []Grant) bool {
	t := max(e.now, a.During.From)
	roles := newBitset(len(snap.roles))
	for i := range grants {
		if g := &grants[i]; g.Assignment != a.ID && g.During.Holds(t) {
			roles.or(snap.rolesOf(g))
		}
	}
	return cond.Met(func(r RoleID) bool {
		at, ok := snap.roleAt[r]
		return ok && roles.has(at)
	})
}

func sameCond(a, b Cond) bool {
	return a.Role == b.Role && a.Not == b.Not && slices.EqualFunc(a.All, b.All, sameCond) && slices.EqualFunc(a.Any, b.Any, sameCond)
}
