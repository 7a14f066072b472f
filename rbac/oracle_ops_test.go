package rbac

import "slices"

// step: the world after ops, or the code of what is wrong with it. It follows the words of each
// operation, one at a time, and then judges the whole.
func (w world) step(ops []Op, now Instant, approved ...RuleID) (world, string) {
	v := w.clone()
	v.now = now
	grandfather := map[RuleID]bool{}
	for _, op := range ops {
		if code := v.do(op, grandfather); code != "" {
			return w, code
		}
	}
	if v.cyclic() {
		return w, "hierarchy-cycle"
	}
	if code := v.orphans(w); code != "" {
		return w, code
	}
	if code := v.standing(w, ops); code != "" {
		return w, code
	}
	if code := v.judge(w, grandfather, approved); code != "" {
		return w, code
	}
	return v, ""
}

// orphans: delegations last only while the one who delegates holds the role.
func (w *world) orphans(before world) string {
	for id, d := range w.delegated {
		if d.During.End() <= w.now {
			continue
		}
		alone := w.clone()
		alone.delegated = map[DelegationID]Delegation{}
		for _, r := range d.Roles {
			for _, t := range w.instants() {
				if !d.During.Holds(t) || alone.authorised(d.From, t, "")[r] {
					continue
				}
				if _, old := before.delegated[id]; !old {
					return "privilege-escalation"
				}
				d.Roles = without(d.Roles, r)
				break
			}
		}
		if w.delegated[id] = d; len(d.Roles) == 0 {
			delete(w.delegated, id)
		}
	}
	return ""
}

// people: how many persons hold r directly, by delegation or group, at t.
func (w world) people(r RoleID, t Instant) int {
	set := map[SubjectID]bool{}
	for a, x := range w.subjectOf {
		w.direct(a, t, func(held RoleID, _ GroupID, _ string) {
			if held == r {
				set[x] = true
			}
		})
	}
	return len(set)
}

func (w world) standing(before world, ops []Op) string {
	for id, r := range w.roles {
		held := map[Atom]bool{}
		for j := range w.roles {
			if w.reaches(id, j, false) {
				held[j.Atom()] = true
				for p := range w.pa {
					if p.a == j {
						held[p.b.Atom()] = true
					}
				}
			}
		}
		for _, rule := range w.rules {
			if r.assignable() && rule.static() && rule.Mode == Block && w.count(rule, held) >= rule.K {
				return "role-self-conflict"
			}
		}
	}
	link := slices.ContainsFunc(ops, func(op Op) bool { _, is := op.(LinkAccount); return is })
	over, under := false, false
	for id, r := range w.roles {
		for _, t := range w.instants(before) {
			n := w.people(id, t)
			if r.MaxAssignees > 0 && n > r.MaxAssignees && !(before.roles[id].MaxAssignees == r.MaxAssignees && before.people(id, t) >= n) {
				over = true
			}
		}
		if n := w.people(id, w.now); n < r.MinAssignees && n < before.people(id, w.now) && !link &&
			(before.roles[id].MinAssignees > 0 || before.roles[id].MaxAssignees > 0) {
			under = true
		}
	}
	if over {
		return "cardinality-exceeded"
	}
	if under {
		return "cardinality-underflow"
	}
	for _, a := range w.ua {
		cond := w.roles[a.Role].Prerequisite
		t := max(w.now, a.During.From)
		met := func(v world) bool {
			have := v.authorised(a.Account, t, a.ID)
			return cond.Met(func(r RoleID) bool { return have[r] })
		}
		if cond.Zero() || a.During.End() <= w.now || met(w) {
			continue
		}
		_, old := before.ua[a.ID]
		if !old || !sameCond(before.roles[a.Role].Prerequisite, cond) || met(before) {
			return "prerequisite-missing"
		}
	}
	return ""
}

// do: what each operation says, on the maps.
func (w *world) do(op Op, grandfather map[RuleID]bool) string {
	switch o := op.(type) {
	case AddInheritance:
		e := pair[RoleID, RoleID]{o.Senior, o.Junior}
		if _, ok := w.rh[e]; ok {
			return "already-exists"
		}
		if o.Senior == o.Junior {
			return "hierarchy-cycle"
		}
		w.rh[e] = o.Mode
	case DeleteInheritance:
		e := pair[RoleID, RoleID]{o.Senior, o.Junior}
		if _, ok := w.rh[e]; !ok {
			return "not-found"
		}
		delete(w.rh, e)
	case GrantPermission:
		e := pair[RoleID, Permission]{o.Role, o.Permission}
		if w.pa[e] {
			return "already-exists"
		}
		if !w.perms[o.Permission] {
			return "not-found"
		}
		w.pa[e] = true
	case RevokePermission:
		e := pair[RoleID, Permission]{o.Role, o.Permission}
		if !w.pa[e] {
			return "not-found"
		}
		delete(w.pa, e)
	case AddGroupEdge:
		e := pair[GroupID, GroupID]{o.Parent, o.Child}
		if w.contains[e] {
			return "already-exists"
		}
		w.contains[e] = true
	case DeleteGroupEdge:
		e := pair[GroupID, GroupID]{o.Parent, o.Child}
		if !w.contains[e] {
			return "not-found"
		}
		delete(w.contains, e)
	case AddGroupRole:
		e := pair[GroupID, RoleID]{o.Group, o.Role}
		if w.gr[e] {
			return "already-exists"
		}
		w.gr[e] = true
	case DeleteGroupRole:
		e := pair[GroupID, RoleID]{o.Group, o.Role}
		if !w.gr[e] {
			return "not-found"
		}
		delete(w.gr, e)
	case EditRole:
		r := o.Role
		for e := range w.pa {
			if e.a == r.ID {
				delete(w.pa, e)
			}
		}
		for e := range w.rh {
			if e.a == r.ID {
				delete(w.rh, e)
			}
		}
		for _, p := range r.Permissions {
			w.pa[pair[RoleID, Permission]{r.ID, p}] = true
		}
		for _, j := range r.Juniors {
			w.rh[pair[RoleID, RoleID]{r.ID, j.Role}] = j.Mode
		}
		r.Permissions, r.Juniors = nil, nil
		w.roles[r.ID] = r
	case DefineScope:
		w.scopes[o.Scope.ID] = o.Scope
	default:
		return w.doPeople(op, grandfather)
	}
	return ""
}

func (w *world) doPeople(op Op, grandfather map[RuleID]bool) string {
	switch o := op.(type) {
	case Assign:
		a := o.Assignment
		if a.During.From == 0 {
			a.During.From = w.now
		}
		if _, ok := w.ua[a.ID]; ok {
			return "already-exists"
		}
		if a.During.End() <= a.During.From {
			return "window-invalid"
		}
		if !w.roles[a.Role].assignable() {
			return "role-not-assignable"
		}
		for _, b := range w.ua {
			if b.Account == a.Account && b.Role == a.Role && b.Context == a.Context && b.During.From < a.During.End() && a.During.From < b.During.End() {
				return "already-exists"
			}
		}
		w.ua[a.ID] = a
	case Withdraw:
		a, ok := w.ua[o.Assignment]
		switch {
		case !ok || a.During.End() <= w.now:
			return "not-found"
		case a.During.From >= w.now:
			delete(w.ua, a.ID)
		default:
			a.During.To = w.now
			w.ua[a.ID] = a
		}
	case AddMember:
		key := MemberKey{o.Membership.Group, o.Membership.Account}
		if _, ok := w.gm[key]; ok {
			return "already-exists"
		}
		w.gm[key] = o.Membership.During
		if w.gm[key].From == 0 {
			w.gm[key] = Window{w.now, o.Membership.During.To}
		}
	case RemoveMember:
		key := MemberKey(o)
		if _, ok := w.gm[key]; !ok {
			return "not-found"
		}
		delete(w.gm, key)
	case Delegate:
		if _, ok := w.delegated[o.Delegation.ID]; ok {
			return "already-exists"
		}
		if o.Delegation.From == o.Delegation.To {
			return "change-invalid"
		}
		w.delegated[o.Delegation.ID] = o.Delegation
	case Undelegate:
		if _, ok := w.delegated[o.Delegation]; !ok {
			return "not-found"
		}
		delete(w.delegated, o.Delegation)
	case LinkAccount:
		w.subjectOf[o.Account] = o.Subject
	case GrantException:
		x := o.Exception
		if _, ok := w.exceptions[x.ID]; ok {
			return "already-exists"
		}
		if w.rules[x.Rule].ID == "" || w.rules[x.Rule].Version != x.Version {
			return "not-found"
		}
		if slices.Contains(x.Approvers, x.Subject) {
			return "self-action-forbidden"
		}
		w.exceptions[x.ID] = x
	case RevokeException:
		if _, ok := w.exceptions[o.Exception]; !ok {
			return "not-found"
		}
		delete(w.exceptions, o.Exception)
	case CreateRule:
		if _, ok := w.rules[o.Rule.ID]; ok {
			return "already-exists"
		}
		r := o.Rule
		r.Version = 1
		w.rules[r.ID], grandfather[r.ID] = r, o.Grandfather
	case EditRule:
		old, ok := w.rules[o.Rule.ID]
		if !ok {
			return "not-found"
		}
		r := o.Rule
		if r.Version = old.Version; !sameMeaning(old, r) {
			r.Version++
		}
		w.rules[r.ID], grandfather[r.ID] = r, o.Grandfather
	case DeleteRule:
		if _, ok := w.rules[o.Rule]; !ok {
			return "not-found"
		}
		delete(w.rules, o.Rule)
		for id, x := range w.exceptions {
			if x.Rule == o.Rule {
				delete(w.exceptions, id)
			}
		}
	case DefineDuty:
		if !sameExpr(w.duties[o.Duty.ID].Expr, o.Duty.Expr) {
			for id, r := range w.rules {
				if slices.Contains(r.Duties, o.Duty.ID) {
					r.Version++
					w.rules[id] = r
				}
			}
		}
		w.duties[o.Duty.ID] = o.Duty
	case Sweep:
	default:
		panic("the oracle does not know this operation")
	}
	return ""
}
