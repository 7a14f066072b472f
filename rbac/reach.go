package rbac

import (
	"maps"
	"reflect"
	"slices"
)

// reach returns whom a change of the structure may touch besides those it names, and the roles with limits whose holders it
// has to count. Everybody whose conflicts, limits, prerequisites or delegations could come out otherwise is among them; most
// of a large deployment is not.
func (st *Structure) reach(c Changeset, by By, now Instant) (Whom, []RoleID) {
	after, ok := st.after(c, by, now)
	if !ok {
		return Whom{}, nil // it will be refused before anybody is looked at
	}
	r := reaching{old: st, new: after, roles: map[RoleID]bool{}, groups: map[GroupID]bool{}}
	r.editedRoles()
	r.editedGroups()
	rules := r.changedRules()
	w := Whom{Rules: slices.Sorted(maps.Keys(rules)), Delegating: true}
	for id := range rules {
		r.atomsOf(id)
	}
	r.close()
	if !reflect.DeepEqual(st.Controls, after.Controls) {
		w.Controls = slices.Concat(sortedKeys(st.Controls), sortedKeys(after.Controls))
	}
	var limited []RoleID
	if r.edited {
		limited = sorted(slices.Concat(st.limits, after.limits))
	}
	w.Roles = slices.Sorted(maps.Keys(r.roles))
	w.Groups = slices.Sorted(maps.Keys(r.groups))
	return w, limited
}

// after returns the structure as the operations on it would leave it; false if they cannot.
func (st *Structure) after(c Changeset, by By, now Instant) (*Structure, bool) {
	s := st.State()
	s.Policy = s.Policy.Clone()
	e := newEdit(s, by, now)
	for _, op := range c.Ops {
		if _, people := op.(peopleOp); !people && op.apply(e) != nil {
			return nil, false
		}
	}
	after, err := NewStructure(s.Policy, s.Epoch+1)
	return after, err == nil
}

// reaching collects the roles and groups whose holders a step from one structure to another touches.
type reaching struct {
	old, new *Structure
	roles    map[RoleID]bool
	groups   map[GroupID]bool
	edited   bool // some role or group is other than before
}

// close adds everything that comes to what was collected: the seniors of roles, the groups that have one of them, and all
// groups within those.
func (r *reaching) close() {
	roles, groups := maps.Clone(r.roles), maps.Clone(r.groups)
	for _, s := range []*Structure{r.old, r.new} {
		seeds, in := newBitset(len(s.roles)), newBitset(len(s.groups))
		for id := range roles {
			if at, ok := s.roleAt[id]; ok {
				seeds.set(at)
			}
		}
		for id := range groups {
			if at, ok := s.groupAt[id]; ok {
				in.set(at)
			}
		}
		seniors := newBitset(len(s.roles))
		for i, id := range s.roles {
			if s.may[i].meets(seeds) {
				seniors.set(int32(i))
				r.roles[id] = true
			}
		}
		for g, has := range s.groupRoles {
			if slices.ContainsFunc(has, seniors.has) {
				in.set(int32(g))
			}
		}
		for i, id := range s.groups {
			if s.above[i].meets(in) {
				r.groups[id] = true
			}
		}
	}
}

func (r *reaching) editedRoles() {
	for _, id := range differing(r.old.Roles, r.new.Roles) {
		r.edited = true
		r.roles[id] = true
	}
}

func (r *reaching) editedGroups() {
	for _, id := range differing(r.old.Groups, r.new.Groups) {
		r.edited = true
		r.groups[id] = true
	}
}

// changedRules returns the rules that mean or do something else, by themselves, by a duty or by a scope that a duty speaks of.
func (r *reaching) changedRules() map[RuleID]bool {
	scopes, duties, out := map[Atom]bool{}, map[DutyID]bool{}, map[RuleID]bool{}
	for _, id := range differing(r.old.Scopes, r.new.Scopes) {
		scopes[id.Atom()] = true
	}
	for _, id := range differing(r.old.Duties, r.new.Duties) {
		duties[id] = true
	}
	for _, p := range []*Structure{r.old, r.new} {
		for id, d := range p.Duties {
			d.Expr.Atoms(func(a Atom) { duties[id] = duties[id] || scopes[a] })
		}
	}
	for _, id := range differing(r.old.Rules, r.new.Rules) {
		out[id] = true
	}
	for _, p := range []*Structure{r.old, r.new} {
		for id, rule := range p.Rules {
			if slices.ContainsFunc(rule.Duties, func(d DutyID) bool { return duties[d] }) {
				out[id] = true
			}
		}
	}
	return out
}

// atomsOf adds everything that comes to an atom of a rule, as it was and as it will be.
func (r *reaching) atomsOf(id RuleID) {
	for _, p := range []*Structure{r.old, r.new} {
		for _, d := range p.Rules[id].Duties {
			p.Duties[d].Expr.Atoms(func(a Atom) { r.atom(p, a) })
		}
	}
}

func (r *reaching) atom(p *Structure, a Atom) {
	switch kind, name := a.Split(); kind {
	case RoleAtom:
		r.roles[RoleID(name)] = true
	case GroupAtom:
		r.groups[GroupID(name)] = true
	case PermAtom:
		r.permission(Permission(name))
	case ScopeAtom:
		for _, perm := range p.Scopes[ScopeID(name)].Permissions {
			r.permission(perm)
		}
	}
}

func (r *reaching) permission(perm Permission) {
	for _, s := range []*Structure{r.old, r.new} {
		at, ok := s.permAt[perm]
		if !ok {
			continue
		}
		for i, own := range s.own {
			if slices.Contains(own, at) {
				r.roles[s.roles[i]] = true
			}
		}
	}
}

// differing returns the keys under which two maps hold different values, or only one of them holds any; sorted.
func differing[K ~string, V any](a, b map[K]V) []K {
	out := map[K]struct{}{}
	for k, v := range a {
		if w, ok := b[k]; !ok || !reflect.DeepEqual(v, w) {
			out[k] = struct{}{}
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			out[k] = struct{}{}
		}
	}
	return sortedKeys(out)
}

// meets reports whether b and o, of one length, have a member in common.
func (b bitset) meets(o bitset) bool {
	for i, w := range b {
		if w&o[i] != 0 {
			return true
		}
	}
	return false
}
