package rbac

import "slices"

// compileDuties numbers the atoms that duties speak of and turns every expression into thresholds. A
// scope and a nested expression become gates: bits that follow from other bits once a row is whole.
func (s *Snapshot) compileDuties(p Policy) {
	used := map[Atom]struct{}{}
	for _, d := range p.Duties {
		d.Expr.Atoms(func(a Atom) {
			used[a] = struct{}{}
			if kind, name := a.Split(); kind == ScopeAtom {
				for _, perm := range p.Scopes[ScopeID(name)].Permissions {
					used[perm.Atom()] = struct{}{}
				}
			}
		})
	}
	s.atoms = sortedKeys(used)
	s.atomAt = index(s.atoms)

	for _, a := range slices.Clone(s.atoms) {
		kind, name := a.Split()
		if kind != ScopeAtom {
			continue
		}
		sc := p.Scopes[ScopeID(name)]
		var members []int32
		for _, perm := range sc.Permissions {
			members = append(members, s.atomAt[perm.Atom()])
		}
		k := 1 // an empty scope is held by nobody
		if sc.Mode == ScopeExact && len(members) > 0 {
			k = len(members)
		}
		s.gates = append(s.gates, gate{newThreshold(k, members), s.atomAt[a]})
	}

	ids := sortedKeys(p.Duties)
	s.dutyAt = index(ids)
	s.duties = make([]duty, len(ids))
	for i, id := range ids {
		e := p.Duties[id].Expr
		s.duties[i] = duty{s.threshold(e), id, e}
	}
	s.dutiesOf = make([][]int32, len(s.atoms))
	for i, d := range s.duties {
		d.each(func(bit int32) { s.dutiesOf[bit] = append(s.dutiesOf[bit], int32(i)) })
	}
}

// threshold compiles e; its nested parts become gates before it.
func (s *Snapshot) threshold(e Expr) threshold {
	if e.Atom != "" {
		return newThreshold(1, []int32{s.atomAt[e.Atom]})
	}
	members := make([]int32, 0, len(e.Of))
	for _, sub := range e.Of {
		if sub.Atom != "" {
			members = append(members, s.atomAt[sub.Atom])
			continue
		}
		g := gate{s.threshold(sub), int32(len(s.atoms))}
		s.atoms = append(s.atoms, "") // a bit without a name
		s.gates = append(s.gates, g)
		members = append(members, g.bit)
	}
	return newThreshold(e.K, members)
}

// settle sets the bits of row that follow from others.
func (s *Snapshot) settle(row bitset) {
	for i := range s.gates {
		if s.gates[i].met(row) {
			row.set(s.gates[i].bit)
		}
	}
}
