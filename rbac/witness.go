package rbac

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
)

// Witness is why a rule is in conflict: a smallest choice of atoms that suffices, each with the
// shortest way from an account to it. Taking any one atom away leaves no conflict.
type Witness struct {
	Rule    RuleID        `json:"rule"`
	Context string        `json:"context,omitempty"`
	Duties  []DutyWitness `json:"duties"`
}

// DutyWitness is why one duty is held.
type DutyWitness struct {
	Duty  DutyID `json:"duty"`
	Paths []Path `json:"paths"`
}

// Path is one derivation: account → assignment, delegation or groups → roles → atom.
type Path struct {
	Atom       Atom         `json:"atom"`
	Account    AccountID    `json:"account"`
	Assignment AssignmentID `json:"assignment,omitempty"`
	Delegation DelegationID `json:"delegation,omitempty"`
	Groups     []GroupID    `json:"groups,omitempty"` // from the one the account is in, upwards
	Roles      []RoleID     `json:"roles,omitempty"`  // from senior to junior

	grant int32
}

// Hash names the cause: it changes when the witness does.
func (w Witness) Hash() string {
	b, _ := json.Marshal(w) // structs of strings only: the encoding is canonical and cannot fail
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// reach is the shortest way from any grant to every node, by breadth-first search over base edges.
type reach struct {
	s     *Snapshot
	order []int32 // nodes as they were met, so by distance
	from  map[int32]int32
	dist  map[int32]int
	grant map[int32]int32 // of the nodes where it starts
	only  map[Atom]bool   // if set, the atoms to choose from
}

func (s *Snapshot) reach(hs []holding, t Instant, v view) *reach {
	w := &reach{s: s, from: map[int32]int32{}, dist: map[int32]int{}, grant: map[int32]int32{}}
	for i := range hs {
		if h := &hs[i]; h.from <= t && t < h.to && v.sees(h) {
			w.meet(h.node, -1, 0)
			if _, ok := w.grant[h.node]; !ok {
				w.grant[h.node] = h.grant
			}
		}
	}
	roles := int32(len(s.roles))
	for i := 0; i < len(w.order); i++ {
		n := w.order[i]
		if n < roles {
			for _, e := range s.juniors[n] {
				w.meet(e.role, n, w.dist[n]+1)
			}
			continue
		}
		for _, r := range s.groupRoles[n-roles] {
			w.meet(r, n, w.dist[n]+1)
		}
		for _, up := range s.parents[n-roles] {
			w.meet(roles+up, n, w.dist[n]+1)
		}
	}
	return w
}

func (w *reach) meet(n, from int32, dist int) {
	if _, ok := w.dist[n]; ok {
		return
	}
	w.dist[n], w.from[n] = dist, from
	w.order = append(w.order, n)
}

// node returns the nearest node that yields a, false if none does.
func (w *reach) node(a Atom) (int32, bool) {
	kind, name := a.Split()
	var n int32
	ok := false
	switch kind {
	case RoleAtom:
		n, ok = w.s.roleAt[RoleID(name)]
	case GroupAtom:
		n, ok = w.s.groupAt[GroupID(name)]
		n += int32(len(w.s.roles))
	case PermAtom:
		perm, known := w.s.permAt[Permission(name)]
		for _, at := range w.order {
			if known && at < int32(len(w.s.roles)) && slices.Contains(w.s.own[at], perm) {
				return at, true
			}
		}
		return 0, false
	}
	_, met := w.dist[n]
	return n, ok && met
}

// path spells out the way to a.
func (w *reach) path(a Atom, grants []Grant) Path {
	p := Path{Atom: a}
	n, _ := w.node(a)
	for ; ; n = w.from[n] {
		if n < int32(len(w.s.roles)) {
			p.Roles = append(p.Roles, w.s.roles[n])
		} else {
			p.Groups = append(p.Groups, w.s.groups[n-int32(len(w.s.roles))])
		}
		if w.from[n] < 0 {
			break
		}
	}
	slices.Reverse(p.Roles)
	slices.Reverse(p.Groups)
	p.grant = w.grant[n]
	g := grants[p.grant]
	p.Account, p.Assignment, p.Delegation = g.Account, g.Assignment, g.Delegation
	return p
}

// choice is a set of atoms that meets an expression, and what it costs: the steps to reach them all.
type choice struct {
	atoms []Atom
	cost  int
}

const unreachable = math.MaxInt32

// choose returns the cheapest atoms that meet e.
func (w *reach) choose(e Expr) choice {
	if e.Atom == "" {
		return w.cheapest(e.K, e.Of)
	}
	if kind, _ := e.Atom.Split(); kind != ScopeAtom {
		n, ok := w.node(e.Atom)
		if !ok || w.only != nil && !w.only[e.Atom] {
			return choice{cost: unreachable}
		}
		return choice{[]Atom{e.Atom}, 1 + w.dist[n]}
	}
	bit := w.s.bit(e.Atom)
	for _, g := range w.s.gates {
		if g.bit != bit {
			continue
		}
		var of []Expr
		g.each(func(b int32) { of = append(of, Leaf(w.s.atoms[b])) })
		return w.cheapest(g.k, of)
	}
	return choice{cost: unreachable}
}

func (w *reach) cheapest(k int, of []Expr) choice {
	options := make([]choice, 0, len(of))
	for _, sub := range of {
		if c := w.choose(sub); c.cost < unreachable {
			options = append(options, c)
		}
	}
	if len(options) < k {
		return choice{cost: unreachable}
	}
	slices.SortStableFunc(options, func(a, b choice) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), slices.Compare(a.atoms, b.atoms))
	})
	var out choice
	for _, c := range options[:k] {
		out.atoms = append(out.atoms, c.atoms...)
		out.cost += c.cost
	}
	return out
}

// past is what somebody held before a change, under the snapshot of that time: another structure, the same
// rules and duties.
type past struct {
	s  *Snapshot
	hs []holding
}

// duties returns which duties of r were held at t, as far as v sees.
func (p past) duties(r *rule, t Instant, v view) bitset {
	row, out := make(bitset, p.s.width), newBitset(len(p.s.duties))
	p.s.gather(row, p.hs, t, v)
	for _, d := range r.duties {
		if p.s.duties[d].met(row) {
			out.set(d)
		}
	}
	return out
}

// witness explains why h, who holds hs, is in conflict with r at t. Duties that before did not hold come
// first, so that what a change brought is what is shown.
func (s *Snapshot) witness(r *rule, h Holder, hs []holding, t Instant, before past) Witness {
	out := Witness{Rule: r.ID}
	row := make(bitset, s.width)
	for _, v := range views(nil, before.hs, hs) {
		if v.classes&(1<<r.class) == 0 {
			continue
		}
		if s.gather(row, hs, t, v); s.held(r, row) < r.K {
			continue
		}
		known := before.duties(r, t, v)
		if known.count() >= s.held(r, row) {
			continue // in this context nothing is new
		}
		w := s.reach(hs, t, v)
		for i := range hs {
			if hs[i].context == v.context {
				out.Context = h.Grants[hs[i].grant].Context
			}
		}
		out.Duties = s.minimal(r, w, known, h.Grants)
		return out
	}
	return out
}

// minimal picks r.K duties, those that are not known first, and, for each, atoms, so that no atom can be spared.
func (s *Snapshot) minimal(r *rule, w *reach, known bitset, grants []Grant) []DutyWitness {
	type option struct {
		duty  int32
		known bool
		choice
	}
	var options []option
	for _, d := range r.duties {
		if c := w.choose(s.duties[d].expr); c.cost < unreachable {
			options = append(options, option{d, known.has(d), c})
		}
	}
	slices.SortStableFunc(options, func(a, b option) int {
		if a.known != b.known {
			if b.known {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.duty, b.duty))
	})
	needed := map[Atom]bool{}
	for _, o := range options[:r.K] { // there are as many: the rule is broken
		for _, a := range o.atoms {
			needed[a] = true
		}
	}
	for _, a := range sortedKeys(needed) { // one atom may serve two duties and make others superfluous
		needed[a] = false
		row := make(bitset, s.width)
		for b, in := range needed {
			if in {
				row.set(s.bit(b))
			}
		}
		s.settle(row)
		needed[a] = s.held(r, row) < r.K
	}

	w.only = needed
	return s.spell(r, w, grants)
}

// spell lists r.K duties that the atoms w is confined to meet, with the way to each atom.
func (s *Snapshot) spell(r *rule, w *reach, grants []Grant) []DutyWitness {
	var out []DutyWitness
	for _, d := range r.duties {
		c := w.choose(s.duties[d].expr)
		if c.cost == unreachable {
			continue
		}
		dw := DutyWitness{Duty: s.duties[d].id}
		for _, a := range c.atoms {
			dw.Paths = append(dw.Paths, w.path(a, grants))
		}
		out = append(out, dw)
	}
	slices.SortFunc(out, func(a, b DutyWitness) int { return cmp.Compare(a.Duty, b.Duty) })
	return out[:min(r.K, len(out))]
}
