package rbac

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What is worse, and what is found, by definition, for two arbitrary holders in a world of more atoms than fit into
// one word: any step, not only those that operations take.
func TestWorseByDefinition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, w := wideWorld(t)
		snap, err := s.Snapshot()
		if err != nil {
			t.Fatalf("Snapshot = %v", err)
		}
		roles := sortedKeys(s.Roles)
		draw := func(label string) (Holder, world) {
			h, v := Holder{Subject: "p"}, w.clone()
			for i := range rapid.IntRange(0, 5).Draw(t, label) {
				during := Window{}
				if rapid.IntRange(0, 2).Draw(t, "bounded") == 0 {
					during = drawWindow(t)
				}
				g := Grant{Account: "a", Role: rapid.SampledFrom(roles).Draw(t, "role"), During: during, Context: rapid.SampledFrom(smallContexts).Draw(t, "context"),
					Assignment: AssignmentID(fmt.Sprint(label, i))}
				if rapid.IntRange(0, 3).Draw(t, "owned") == 0 {
					g.Account, g.Owned = "aw", true
				}
				if rapid.IntRange(0, 4).Draw(t, "group") == 0 {
					g = Grant{Account: g.Account, Group: rapid.SampledFrom([]GroupID{"g0", "g1"}).Draw(t, "which"), During: during, Owned: g.Owned}
					if _, ok := v.gm[MemberKey{g.Group, g.Account}]; ok {
						continue
					}
					v.gm[MemberKey{g.Group, g.Account}] = during
				} else {
					v.ua[g.Assignment] = Assignment{ID: g.Assignment, Account: g.Account, Role: g.Role, Context: g.Context, During: during}
				}
				h.Grants = append(h.Grants, g)
			}
			return h, v
		}
		before, was := draw("before")
		after, is := draw("after")
		if rapid.Bool().Draw(t, "excused") {
			x := Exception{ID: "x", Rule: "R0", Version: rapid.IntRange(1, 2).Draw(t, "version"), Subject: "p", During: Window{100, 130}}
			after.Exceptions = []Exception{x}
			is.exceptions["x"] = x
		}

		hits := map[RuleID][]Window{}
		for _, h := range snap.Worsens(before, after, 100) {
			hits[h.Rule] = h.During
			if len(h.Witness.Duties) == 0 {
				t.Fatalf("a hit without a witness: %+v", h)
			}
		}
		for id, r := range w.rules {
			for _, at := range is.instants(was) {
				worse := false
				base := was.counts(r, "p", at)
				for c, n := range is.counts(r, "p", at) {
					b, ok := base[c]
					if !ok {
						b = was.count(r, was.atoms("p", at, c, r.Owned))
					}
					worse = worse || n >= r.K && n > b
				}
				want := worse && r.static() && modeRank[r.Mode] >= modeRank[Simulate] && r.During.Holds(at) && !is.covered(r, "p", at)
				if got := slices.ContainsFunc(hits[id], func(w Window) bool { return w.Holds(at) }); got != want {
					t.Fatalf("%s at %d: got %v, want %v", id, at, got, want)
				}
				found := snap.FindingsOf(after, id, 100)
				got := slices.ContainsFunc(found, func(f Finding) bool {
					return slices.ContainsFunc(f.During, func(w Window) bool { return w.Holds(at) })
				})
				if want := r.static() && is.violated(r, "p", at); got != want {
					t.Fatalf("%s is found at %d: got %v, want %v", id, at, got, want)
				}
			}
		}
	})
}

// wideWorld has 90 permissions in 9 roles, duties spread over all of them, and rules of every class.
func wideWorld(t *rapid.T) (*State, world) {
	s, w := NewState(), newWorld()
	w.now = 100
	var perms []Permission
	for i := range 90 {
		p := Permission(fmt.Sprintf("x/%02d:do", i))
		perms = append(perms, p)
		s.Load(PermissionDef{ID: p})
		w.perms[p] = true
	}
	for i := range 9 {
		r := Role{ID: RoleID(fmt.Sprint("r", i)), Name: fmt.Sprint(i), Permissions: perms[10*i : 10*i+10]}
		if i > 0 && rapid.IntRange(0, 4).Draw(t, "inherits") == 0 {
			r.Juniors = []Junior{{Role: RoleID(fmt.Sprint("r", i-1))}}
			w.rh[pair[RoleID, RoleID]{r.ID, r.Juniors[0].Role}] = Both
		}
		s.Load(r)
		w.roles[r.ID] = Role{ID: r.ID, Name: r.Name}
		for _, p := range r.Permissions {
			w.pa[pair[RoleID, Permission]{r.ID, p}] = true
		}
	}
	s.Load(Group{ID: "g0", Name: "g0", Roles: []RoleID{"r8"}}, Group{ID: "g1", Name: "g1", Children: []GroupID{"g0"}, Roles: []RoleID{"r7"}})
	w.groups["g0"], w.groups["g1"] = true, true
	w.gr[pair[GroupID, RoleID]{"g0", "r8"}], w.gr[pair[GroupID, RoleID]{"g1", "r7"}] = true, true
	w.contains[pair[GroupID, GroupID]{"g1", "g0"}] = true
	s.Load(Scope{ID: "x/s", Permissions: perms[60:62], Mode: ScopeExact})
	w.scopes["x/s"] = s.Scopes["x/s"]
	var duties []DutyID
	for i := range 30 { // one atom in three, so that every word of a row has some
		d := Duty{ID: DutyID(fmt.Sprintf("d%02d", i)), Name: "d", Expr: AnyOf(perms[3*i].Atom(), perms[3*i+1].Atom(), perms[3*i+2].Atom())}
		switch rapid.IntRange(0, 5).Draw(t, "form") {
		case 0:
			d.Expr.K = 2
		case 1:
			d.Expr = Expr{K: 2, Of: []Expr{Leaf(perms[3*i].Atom()), d.Expr}}
		case 2:
			d.Expr = AnyOf("scope:x/s", "group:g1", perms[3*i].Atom())
		}
		duties = append(duties, d.ID)
		s.Load(d)
		w.duties[d.ID] = d
	}
	for i := range 6 {
		r := drawRule(t)
		r.ID, r.Version = RuleID(fmt.Sprint("R", i)), 1
		r.Duties = slices.Clone(rapid.Permutation(duties).Draw(t, "duties")[:rapid.IntRange(3, 8).Draw(t, "n")])
		r.K = rapid.IntRange(2, 3).Draw(t, "k")
		if rapid.IntRange(0, 3).Draw(t, "bounded rule") == 0 {
			r.During = Window{110, 140}
		}
		s.Load(r)
		w.rules[r.ID] = r
	}
	s.Load(Subject{ID: "p"}, Subject{ID: "w", Kind: Workload, Owner: "p"}, Account{"a", "p"}, Account{"aw", "w"})
	w.subjects["p"], w.subjects["w"] = true, true
	w.subjectOf["a"], w.subjectOf["aw"], w.ownerOf["w"] = "p", "w", "p"
	return s, w
}
