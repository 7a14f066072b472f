package rbac

import (
	"maps"
	"slices"
)

// The oracle: what the engine means, by definition, over plain maps. It knows no closure, no bits, no
// cache and no index; it asks every question of every instant, every subject and every path anew. It
// shares the row types with the engine and nothing else.

type pair[A, B any] struct {
	a A
	b B
}

type world struct {
	now        Instant
	perms      map[Permission]bool
	roles      map[RoleID]Role // without permissions and juniors, which are pa and rh
	pa         map[pair[RoleID, Permission]]bool
	rh         map[pair[RoleID, RoleID]]EdgeMode
	scopes     map[ScopeID]Scope
	groups     map[GroupID]bool
	contains   map[pair[GroupID, GroupID]]bool // parent, child
	gr         map[pair[GroupID, RoleID]]bool
	subjectOf  map[AccountID]SubjectID
	ownerOf    map[SubjectID]SubjectID
	subjects   map[SubjectID]bool
	ua         map[AssignmentID]Assignment
	gm         map[MemberKey]Window
	delegated  map[DelegationID]Delegation
	duties     map[DutyID]Duty
	rules      map[RuleID]Rule
	exceptions map[ExceptionID]Exception
}

func newWorld() world {
	return world{0, map[Permission]bool{}, map[RoleID]Role{}, map[pair[RoleID, Permission]]bool{}, map[pair[RoleID, RoleID]]EdgeMode{},
		map[ScopeID]Scope{}, map[GroupID]bool{}, map[pair[GroupID, GroupID]]bool{}, map[pair[GroupID, RoleID]]bool{},
		map[AccountID]SubjectID{}, map[SubjectID]SubjectID{}, map[SubjectID]bool{}, map[AssignmentID]Assignment{}, map[MemberKey]Window{},
		map[DelegationID]Delegation{}, map[DutyID]Duty{}, map[RuleID]Rule{}, map[ExceptionID]Exception{}}
}

func (w world) clone() world {
	return world{w.now, maps.Clone(w.perms), maps.Clone(w.roles), maps.Clone(w.pa), maps.Clone(w.rh), maps.Clone(w.scopes), maps.Clone(w.groups),
		maps.Clone(w.contains), maps.Clone(w.gr), maps.Clone(w.subjectOf), maps.Clone(w.ownerOf), maps.Clone(w.subjects), maps.Clone(w.ua), maps.Clone(w.gm),
		maps.Clone(w.delegated), maps.Clone(w.duties), maps.Clone(w.rules), maps.Clone(w.exceptions)}
}

// reaches: senior = junior, or some edge leads on.
func (w world) reaches(senior, junior RoleID, carries bool) bool {
	if senior == junior {
		return true
	}
	for e, mode := range w.rh {
		if e.a == senior && (!carries || mode != Activate) && w.reaches(e.b, junior, carries) {
			return true
		}
	}
	return false
}

func (w world) within(child, parent GroupID) bool {
	if child == parent {
		return true
	}
	for e := range w.contains {
		if e.b == child && w.within(e.a, parent) {
			return true
		}
	}
	return false
}

func (w world) cyclic() bool {
	for e := range w.rh {
		if loops(e.a, func(r RoleID) (out []RoleID) {
			for f := range w.rh {
				if f.a == r {
					out = append(out, f.b)
				}
			}
			return out
		}) {
			return true
		}
	}
	for e := range w.contains {
		if loops(e.a, func(g GroupID) (out []GroupID) {
			for f := range w.contains {
				if f.a == g {
					out = append(out, f.b)
				}
			}
			return out
		}) {
			return true
		}
	}
	return false
}

func loops[T comparable](from T, next func(T) []T) bool {
	seen := map[T]bool{}
	var walk func(T) bool
	walk = func(n T) bool {
		for _, m := range next(n) {
			if m == from {
				return true
			}
			if !seen[m] {
				seen[m] = true
				if walk(m) {
					return true
				}
			}
		}
		return false
	}
	return walk(from)
}

// direct calls f for every role and group an account holds at t, with the context it holds it in.
func (w world) direct(a AccountID, t Instant, f func(RoleID, GroupID, string)) {
	for _, as := range w.ua {
		if as.Account == a && as.During.Holds(t) {
			f(as.Role, "", as.Context)
		}
	}
	for _, d := range w.delegated {
		if d.To == a && d.During.Holds(t) {
			for _, r := range d.Roles {
				f(r, "", "")
			}
		}
	}
	for m, during := range w.gm {
		if m.Account != a || !during.Holds(t) {
			continue
		}
		for g := range w.groups {
			if !w.within(m.Group, g) {
				continue
			}
			f("", g, "")
			for e := range w.gr {
				if e.a == g {
					f(e.b, "", "")
				}
			}
		}
	}
}

// authorised: the roles an account may use at t.
func (w world) authorised(a AccountID, t Instant, but AssignmentID) map[RoleID]bool {
	out := map[RoleID]bool{}
	v := w
	if but != "" {
		v.ua = maps.Clone(w.ua)
		delete(v.ua, but)
	}
	v.direct(a, t, func(r RoleID, _ GroupID, _ string) {
		for j := range v.roles {
			if r != "" && v.reaches(r, j, false) {
				out[j] = true
			}
		}
	})
	return out
}

const anywhere = "\x00any"

// atoms: what x holds at t, in context c (or anywhere), with owned workloads or without.
func (w world) atoms(x SubjectID, t Instant, c string, owned bool) map[Atom]bool {
	out := map[Atom]bool{}
	for a, s := range w.subjectOf {
		if s != x && !(owned && w.ownerOf[s] == x) {
			continue
		}
		w.direct(a, t, func(r RoleID, g GroupID, in string) {
			if c != anywhere && in != "" && in != c {
				return
			}
			if g != "" {
				out[g.Atom()] = true
				return
			}
			for j := range w.roles {
				if !w.reaches(r, j, false) {
					continue
				}
				out[j.Atom()] = true
				for p := range w.pa {
					if p.a == j {
						out[p.b.Atom()] = true
					}
				}
			}
		})
	}
	return out
}

func (w world) holds(e Expr, held map[Atom]bool) bool {
	if e.Atom != "" {
		kind, name := e.Atom.Split()
		if kind != ScopeAtom {
			return held[e.Atom]
		}
		n, all := 0, w.scopes[ScopeID(name)].Permissions
		for _, p := range all {
			if held[p.Atom()] {
				n++
			}
		}
		return n > 0 && (w.scopes[ScopeID(name)].Mode == ScopeCeiling || n == len(all))
	}
	n := 0
	for _, sub := range e.Of {
		if w.holds(sub, held) {
			n++
		}
	}
	return n >= e.K
}

// count: how many duties of r are held by these atoms.
func (w world) count(r Rule, held map[Atom]bool) int {
	n := 0
	for _, d := range r.Duties {
		if w.holds(w.duties[d].Expr, held) {
			n++
		}
	}
	return n
}

// counts: per context that matters to r.
func (w world) counts(r Rule, x SubjectID, t Instant) map[string]int {
	out := map[string]int{}
	if r.Join == AnyContext {
		out[anywhere] = w.count(r, w.atoms(x, t, anywhere, r.Owned))
		return out
	}
	contexts := map[string]bool{"": true}
	for _, a := range w.ua {
		contexts[a.Context] = true
	}
	for c := range contexts {
		out[c] = w.count(r, w.atoms(x, t, c, r.Owned))
	}
	return out
}

func (w world) violated(r Rule, x SubjectID, t Instant) bool {
	if !r.During.Holds(t) {
		return false
	}
	for _, n := range w.counts(r, x, t) {
		if n >= r.K {
			return true
		}
	}
	return false
}

func (w world) covered(r Rule, x SubjectID, t Instant) bool {
	for _, e := range w.exceptions {
		if e.Rule == r.ID && e.Version == r.Version && e.Subject == x && e.During.Holds(t) {
			return true
		}
	}
	return false
}

// instants: from now on, all at which anything can change; between two of them nothing does.
func (w world) instants(others ...world) []Instant {
	set := map[Instant]bool{w.now: true}
	add := func(d Window) { set[d.From], set[d.End()] = true, true }
	for _, v := range append(others, w) {
		for _, a := range v.ua {
			add(a.During)
		}
		for _, d := range v.gm {
			add(d)
		}
		for _, d := range v.delegated {
			add(d.During)
		}
		for _, r := range v.rules {
			add(r.During)
		}
		for _, x := range v.exceptions {
			add(x.During)
		}
	}
	var out []Instant
	for t := range set {
		if t >= w.now && t != Forever {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return out
}

// violations: every rule and subject in conflict at some time from now on, and whether uncovered.
func (w world) violations() map[CaseKey]bool {
	out := map[CaseKey]bool{}
	ts := w.instants()
	for _, r := range w.rules {
		if !r.filed() {
			continue
		}
		for x := range w.subjects {
			for _, t := range ts {
				if w.violated(r, x, t) {
					key := CaseKey{r.ID, x}
					out[key] = out[key] || !w.covered(r, x, t)
				}
			}
		}
	}
	return out
}

// judge: the code of the refusal that the step from before to w meets, "" if none.
func (w world) judge(before world, grandfather map[RuleID]bool, approved []RuleID) string {
	mid := before.clone()
	mid.rules, mid.duties, mid.subjectOf, mid.ownerOf, mid.now = w.rules, w.duties, w.subjectOf, w.ownerOf, w.now
	was := before.clone()
	was.subjectOf, was.ownerOf = w.subjectOf, w.ownerOf
	ts := w.instants(before)
	blocked, existing, waits := false, false, false
	for id, r := range w.rules {
		if !r.static() {
			continue
		}
		old, had := before.rules[id]
		changed := !had || old.Mode != r.Mode || old.Version != r.Version || old.Invalid != r.Invalid || !sameMeaning(old, r)
		for x := range w.subjects {
			for _, t := range ts {
				if !r.During.Holds(t) || w.covered(r, x, t) {
					continue
				}
				against := had && old.Mode == Block && was.violated(old, x, t) && !was.covered(old, x, t)
				base := mid.counts(r, x, t)
				for c, n := range w.counts(r, x, t) {
					b, ok := base[c]
					if !ok { // a context that did not exist: what is held everywhere counted there too
						b = mid.count(r, mid.atoms(x, t, c, r.Owned))
					}
					switch {
					case n < r.K:
					case n > b && r.Mode == Block:
						blocked = true
					case n > b && r.Mode == Approve && !slices.Contains(approved, id):
						waits = true
					case n <= b && changed && r.Mode == Block && !against && !grandfather[id]:
						existing = true
					}
				}
			}
		}
	}
	switch {
	case blocked:
		return "sod-violation"
	case existing:
		return "existing-violations"
	case waits:
		return "approval-required"
	}
	return ""
}
