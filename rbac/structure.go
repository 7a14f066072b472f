package rbac

import (
	"maps"
	"slices"
)

// Structure is a policy with its snapshot, of one epoch: what a process holds of who may hold what. It never
// changes and may be used by any number of goroutines.
type Structure struct {
	Policy
	*Snapshot
	byAudience map[string]ServerID
}

// NewStructure compiles p, which must not be changed afterwards.
func NewStructure(p Policy, epoch uint64) (*Structure, error) {
	snap, err := Compile(p, epoch)
	if err != nil {
		return nil, err
	}
	return structure(p, snap), nil
}

func structure(p Policy, snap *Snapshot) *Structure {
	st := &Structure{Policy: p, Snapshot: snap, byAudience: map[string]ServerID{}}
	for _, id := range sortedKeys(p.Servers) {
		for _, a := range p.Servers[id].Audiences {
			st.byAudience[a] = id
		}
	}
	return st
}

// State returns a state of this structure with some people in it: all that a change touches.
func (st *Structure) State(people ...any) *State {
	s := NewState()
	s.Policy, s.Epoch = st.Policy, st.Snapshot.Epoch
	s.Load(people...)
	s.snap = st.Snapshot
	return s
}

// Server returns the resource server that expects an audience.
func (st *Structure) Server(audience string) (ResourceServer, bool) {
	id, ok := st.byAudience[audience]
	return st.Servers[id], ok
}

// Scope returns a resource server's scope by the name that applications ask for.
func (st *Structure) Scope(server ServerID, name string) (Scope, bool) {
	sc, ok := st.Scopes[ScopeOf(server, name)]
	return sc, ok
}

// ScopeOf returns the id of a scope.
func ScopeOf(server ServerID, name string) ScopeID { return ScopeID(string(server) + "/" + name) }

// Standing returns the roles an account has active without asking for any: what is assigned to it, to a group of its or
// delegated to it at t, and what those inherit by any edge but Activate. What is only eligible, a draft or retired is not.
func (s *Snapshot) Standing(grants []Grant, t Instant) []RoleID {
	out := map[RoleID]struct{}{}
	add := func(r int32) {
		if trait := s.traits[r]; !trait.dormant && !trait.eligible {
			out[s.roles[r]] = struct{}{}
		}
	}
	for i := range grants {
		g := &grants[i]
		if g.Owned || g.Eligible || !g.During.Holds(t) {
			continue
		}
		if g.Group == "" {
			if r, ok := s.roleAt[g.Role]; ok {
				add(r)
			}
			continue
		}
		if at, ok := s.groupAt[g.Group]; ok {
			s.above[at].each(func(up int32) {
				for _, r := range s.groupRoles[up] {
					add(r)
				}
			})
		}
	}
	return slices.Sorted(maps.Keys(out))
}

// GroupsOf returns the groups an account is in at t, with those that contain them, sorted.
func (s *Snapshot) GroupsOf(grants []Grant, t Instant) []GroupID {
	out := map[GroupID]struct{}{}
	for i := range grants {
		if at, ok := s.groupAt[grants[i].Group]; ok && grants[i].During.Holds(t) {
			s.above[at].each(func(up int32) { out[s.groups[up]] = struct{}{} })
		}
	}
	return sortedKeys(out)
}

// Over reports whether a holds any permission of a resource server.
func (a Authority) Over(server ServerID) bool {
	found := false
	a.bits.each(func(p int32) { found = found || a.s.perms[p].Server() == server })
	return found
}

// Carries reports whether a comes to what sc takes: any of its permissions, or all of them where it is exact. A scope
// without permissions is carried by nobody.
func (a Authority) Carries(sc Scope) bool {
	if len(sc.Permissions) == 0 {
		return false
	}
	if sc.Mode == ScopeExact {
		return !slices.ContainsFunc(sc.Permissions, func(p Permission) bool { return !a.Has(p) })
	}
	return slices.ContainsFunc(sc.Permissions, a.Has)
}
