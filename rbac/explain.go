package rbac

import (
	"cmp"
	"slices"
)

// Way is one reason why somebody comes to an atom, and when.
type Way struct {
	Path
	Context  string
	During   Window
	Owned    bool // by a workload they own
	Standing bool // it is in force now, in every session, without being activated
}

// Explain returns every way in which h comes to a, from now on, one for each thing that is held: who looks for what to take away
// has to see them all. A way stands where nothing has to be activated on it.
func (s *Snapshot) Explain(h Holder, a Atom, now Instant) []Way {
	return s.ways(h, now, func(w *reach, _ int32) []Atom {
		if _, ok := w.node(a); ok {
			return []Atom{a}
		}
		return nil
	})
}

// Access returns everything that h comes to, from now on: groups, roles and permissions, each with every way to it; sorted by atom.
func (s *Snapshot) Access(h Holder, now Instant) []Way {
	return s.ways(h, now, func(w *reach, roles int32) []Atom {
		var out []Atom
		for _, n := range w.order {
			if n >= roles {
				out = append(out, s.groups[n-roles].Atom())
				continue
			}
			out = append(out, s.roles[n].Atom())
			for _, p := range s.own[n] {
				out = append(out, s.perms[p].Atom())
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	})
}

func (s *Snapshot) ways(h Holder, now Instant, atoms func(w *reach, roles int32) []Atom) []Way {
	var out []Way
	for i := range h.Grants {
		g := h.Grants[i : i+1]
		if g[0].During.End() <= now {
			continue
		}
		w := s.reach(s.holdings(nil, g, contexts{}), max(now, g[0].During.From), view{anyContext, true, allClasses})
		for _, a := range atoms(w, int32(len(s.roles))) {
			way := Way{Path: w.path(a, g), Context: g[0].Context, During: g[0].During, Owned: g[0].Owned}
			way.Standing = !g[0].Eligible && !g[0].Owned && g[0].During.Holds(now) && s.stands(way.Roles)
			out = append(out, way)
		}
	}
	slices.SortStableFunc(out, func(a, b Way) int {
		return cmp.Or(cmp.Compare(a.Atom, b.Atom), cmp.Compare(len(a.Groups)+len(a.Roles), len(b.Groups)+len(b.Roles)))
	})
	return out
}

// stands reports whether a path of roles is active by itself: its first role is, and no edge of it waits for an activation.
func (s *Snapshot) stands(path []RoleID) bool {
	for i, id := range path {
		r := s.roleAt[id]
		if i == 0 {
			if t := s.traits[r]; t.dormant || t.eligible {
				return false
			}
			continue
		}
		up := s.roleAt[path[i-1]]
		if !slices.ContainsFunc(s.juniors[up], func(e edge) bool { return e.role == r && !e.activate }) {
			return false
		}
	}
	return true
}
