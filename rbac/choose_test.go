package rbac

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// rbac-M15: the roles chosen carry what is wanted, break nothing, and no other set is better; where none will do,
// the alternatives are the largest sets there are. By trying every subset.
func TestTheChoiceOfRolesIsTheBest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "roles")
		s := NewState()
		var perms []Permission
		for i := range 7 {
			perms = append(perms, Permission(fmt.Sprint("x/p:", i)))
			s.Load(PermissionDef{ID: perms[i]})
		}
		subset := func(label string) (out []Permission) {
			mask := rapid.IntRange(0, 1<<len(perms)-1).Draw(t, label)
			for i, p := range perms {
				if mask&(1<<i) != 0 {
					out = append(out, p)
				}
			}
			return out
		}
		s.Load(Subject{ID: "ann"}, Account{"ann", "ann"})
		var roles []RoleID
		for i := range n {
			r := Role{ID: RoleID(fmt.Sprint("r", i)), Name: fmt.Sprint(i), Permissions: subset("perms"), Risk: rapid.IntRange(0, 2).Draw(t, "risk")}
			if i > 0 && rapid.IntRange(0, 4).Draw(t, "inherits") == 0 {
				r.Juniors = []Junior{{Role: roles[rapid.IntRange(0, i-1).Draw(t, "junior")], Mode: rapid.SampledFrom([]EdgeMode{Both, Activate}).Draw(t, "mode")}}
			}
			roles = append(roles, r.ID)
			s.Load(r, Assignment{ID: AssignmentID(r.ID), Account: "ann", Role: r.ID, Eligible: rapid.IntRange(0, 5).Draw(t, "eligible") == 0})
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "rules") {
			a, b := rapid.SampledFrom(perms).Draw(t, "a"), rapid.SampledFrom(perms).Draw(t, "b")
			l, r := DutyID(fmt.Sprint("l", i)), DutyID(fmt.Sprint("r", i))
			s.Load(Duty{ID: l, Name: "l", Expr: AnyOf(a.Atom())}, Duty{ID: r, Name: "r", Expr: AnyOf(b.Atom())},
				Rule{ID: RuleID(fmt.Sprint("D", i)), Kind: Dynamic, Level: Low, Mode: Block, K: 2, Duties: []DutyID{l, r}, Version: 1,
					Reach: rapid.SampledFrom([]Reach{ReachSession, ReachSubject}).Draw(t, "reach")})
		}
		snap, err := s.Snapshot()
		if err != nil {
			t.Fatalf("Snapshot = %v", err)
		}
		h := s.Holder("ann")
		w := Want{Account: "ann", Permissions: subset("want"), Elevated: rapid.Bool().Draw(t, "elevated")}
		if rapid.Bool().Draw(t, "bounded") {
			w.Ceiling = append(subset("ceiling"), w.Permissions...)
		}
		if rapid.IntRange(0, 3).Draw(t, "another session") == 0 {
			w.Elsewhere = []RoleID{rapid.SampledFrom(roles).Draw(t, "elsewhere")}
		}

		may := snap.Activatable(h, "ann", 0, w.Elevated)
		carried := func(in []RoleID) (covered []Permission, extra int, within bool) {
			within = true
			for _, p := range snap.Authority(in).Permissions() {
				if slices.Contains(w.Permissions, p) {
					covered = append(covered, p)
				} else {
					extra++
				}
				within = within && (w.Ceiling == nil || slices.Contains(w.Ceiling, p))
			}
			return covered, extra, within
		}
		alone := func(in, elsewhere []RoleID) bool { return !blocks(snap.Together(in, elsewhere, 0)) }
		if !alone(nil, w.Elsewhere) {
			w.Elsewhere = nil // no session is ever in such a state
		}
		needed := map[Permission]bool{}
		var useful []RoleID
		for _, r := range may {
			covered, _, within := carried([]RoleID{r})
			if !within || len(covered) == 0 || !alone([]RoleID{r}, nil) {
				continue
			}
			for _, p := range covered {
				needed[p] = true
			}
			if alone([]RoleID{r}, w.Elsewhere) {
				useful = append(useful, r)
			}
		}
		var best *cost
		for set := range 1 << len(useful) {
			var in []RoleID
			risk := 0
			for i, r := range useful {
				if set&(1<<i) != 0 {
					in = append(in, r)
					risk += s.Roles[r].Risk
				}
			}
			covered, extra, _ := carried(in)
			if c := (cost{extra, len(in), risk}); len(covered) == len(needed) && alone(in, w.Elsewhere) && (best == nil || c.less(*best)) {
				best = &c
			}
		}

		got, alternatives, why := snap.Choose(h, w, 0)
		if (why == nil) != (best != nil) {
			t.Fatalf("got %+v %v, want a choice: %v", got, why, best)
		}
		if why == nil {
			covered, extra, within := carried(got.Roles)
			risk := 0
			for _, r := range got.Roles {
				risk += s.Roles[r].Risk
				if !slices.Contains(may, r) {
					t.Fatalf("%s is chosen and not held", r)
				}
			}
			if c := (cost{extra, len(got.Roles), risk}); c != *best || len(covered) != len(needed) || !within || !alone(got.Roles, w.Elsewhere) || !got.Exact || got.Extra != extra {
				t.Fatalf("got %+v at %+v, want cost %+v", got, c, *best)
			}
			return
		}
		for _, a := range alternatives {
			if len(a.Roles) == 0 || !alone(a.Roles, w.Elsewhere) {
				t.Fatalf("an alternative %+v is in conflict", a)
			}
			for _, r := range useful {
				if !slices.Contains(a.Roles, r) && alone(append(slices.Clone(a.Roles), r), w.Elsewhere) {
					t.Fatalf("the alternative %+v has room for %s", a, r)
				}
			}
		}
		if len(alternatives) == 0 && len(useful) > 0 {
			t.Fatalf("no alternative of %v", useful)
		}
	})
}

func TestManyCandidatesAreStillAnswered(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	o.person("ann")
	var want []Permission
	for i := range 30 {
		p := Permission(fmt.Sprint("x/p:", i))
		want = append(want, p)
		o.role(RoleID(fmt.Sprintf("r%02d", i)), p)
		o.does(o.assign("ann", RoleID(fmt.Sprintf("r%02d", i))))
	}
	o.dynamic(ReachSession, want[0].Atom(), want[1].Atom())
	_, alternatives, why := o.snap().Choose(o.s.Holder("ann"), Want{Account: "ann", Permissions: want}, o.now)
	if codeOf(why) != "dsd-conflict" || len(alternatives) == 0 || len(alternatives) > maxAlternatives || len(alternatives[0].Covered) != 29 || alternatives[0].Exact {
		t.Errorf("got %v and %d alternatives", why, len(alternatives))
	}
	got, _, why := o.snap().Choose(o.s.Holder("ann"), Want{Account: "ann", Permissions: want[1:]}, o.now)
	if why != nil || len(got.Roles) != 29 || got.Extra != 0 || !got.Exact {
		t.Errorf("got %+v %v, want 29 roles", got, why)
	}
}

// picker is somebody who holds n roles, each with a permission of its own, and all those permissions.
func picker(t *testing.T, n int) (*org, []Permission) {
	t.Helper()
	o := newOrg(t)
	o.person("ann")
	var perms []Permission
	for i := range n {
		p, r := Permission(fmt.Sprintf("x/p%03d:do", i)), RoleID(fmt.Sprintf("r%03d", i))
		perms = append(perms, p)
		o.s.Load(PermissionDef{ID: p}, Role{ID: r, Name: string(r), Permissions: []Permission{p}}, Assignment{ID: AssignmentID(r), Account: "ann", Role: r})
	}
	return o, perms
}

// Every largest set is offered however many candidates there are that have nothing to do with the conflict.
func TestBothSidesOfAConflictAreOffered(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 18, maxExactPicker, maxExactPicker + 1} {
		o, perms := picker(t, n)
		o.dynamic(ReachSession, perms[0].Atom(), perms[1].Atom())
		got, alternatives, why := o.snap().Choose(o.s.Holder("ann"), Want{Account: "ann", Permissions: perms}, o.now)
		if codeOf(why) != "dsd-conflict" || len(got.Roles) != 0 || len(alternatives) != 2 {
			t.Fatalf("%d candidates: got %v and %+v, want two alternatives", n, why, alternatives)
		}
		for i, a := range alternatives {
			if len(a.Roles) != n-1 || a.Roles[0] != RoleID(fmt.Sprintf("r%03d", i)) || a.Exact != (n <= maxExactPicker) {
				t.Errorf("%d candidates: alternative %d is %+v", n, i, a)
			}
			if !slices.IsSorted(a.Roles) || !slices.IsSorted(a.Covered) || len(a.Covered) != n-1 || a.Extra != 0 {
				t.Errorf("%d candidates: alternative %d is %+v, want all but one permission, sorted", n, i, a)
			}
		}
	}
}

// Two conflicts leave four largest sets, wherever among the candidates they are, and no set that has room for more.
func TestTwoConflictsLeaveFourSets(t *testing.T) {
	t.Parallel()
	o, perms := picker(t, 5)
	o.dynamic(ReachSession, perms[0].Atom(), perms[1].Atom())
	o.does(CreateRule{Rule: Rule{ID: "D2", Kind: Dynamic, Level: Low, Mode: Block, K: 2, Reach: ReachSession, Duties: o.duties(perms[3].Atom(), perms[4].Atom())}})
	_, got, _ := o.snap().Choose(o.s.Holder("ann"), Want{Account: "ann", Permissions: perms}, o.now)
	var sets []string
	for _, a := range got {
		sets = append(sets, fmt.Sprint(a.Roles))
	}
	if want := []string{"[r000 r002 r003]", "[r000 r002 r004]", "[r001 r002 r003]", "[r001 r002 r004]"}; !slices.Equal(sets, want) {
		t.Errorf("got %v, want %v", sets, want)
	}
}

// Where there are more sets than can be tried, what was found is offered, and not said to be all.
func TestASearchThatIsCutShortSaysSo(t *testing.T) {
	t.Parallel()
	o, perms := picker(t, maxExactPicker)
	var atoms []Atom
	for _, p := range perms {
		atoms = append(atoms, p.Atom())
	}
	o.does(CreateRule{Rule: Rule{ID: "D", Kind: Dynamic, Level: Low, Mode: Block, K: maxExactPicker/2 + 1, Reach: ReachSession, Duties: o.duties(atoms...)}})
	_, alternatives, why := o.snap().Choose(o.s.Holder("ann"), Want{Account: "ann", Permissions: perms}, o.now)
	if codeOf(why) != "dsd-conflict" || len(alternatives) != maxAlternatives {
		t.Fatalf("got %v and %d alternatives, want %d", why, len(alternatives), maxAlternatives)
	}
	if sets, _ := o.snap().newChooser(o.s.Holder("ann"), Want{Account: "ann", Permissions: perms}, o.now).maximal(); len(sets) > maxPickerSearches {
		t.Errorf("got %d sets, want the search to end before", len(sets))
	}
	for _, a := range alternatives {
		if a.Exact || len(a.Roles) != maxExactPicker/2 {
			t.Errorf("got %+v, want half of the roles, and that there may be better ones", a)
		}
	}

	// Fifty permissions, each in two roles of one extra permission each: no bound cuts this.
	o = newOrg(t)
	o.person("ann")
	perms = nil
	for i := range 50 {
		p := Permission(fmt.Sprintf("x/p%03d:do", i))
		perms = append(perms, p)
		o.s.Load(PermissionDef{ID: p})
	}
	for i := range 100 {
		own := Permission(fmt.Sprintf("x/own%03d:do", i))
		r := Role{ID: RoleID(fmt.Sprintf("r%03d", i)), Name: "r", Permissions: []Permission{perms[i/2], perms[(i*7+3)%50], own}}
		o.s.Load(PermissionDef{ID: own}, r, Assignment{ID: AssignmentID(r.ID), Account: "ann", Role: r.ID})
	}
	got, _, why := o.snap().Choose(o.s.Holder("ann"), Want{Account: "ann", Permissions: perms}, o.now)
	if why != nil || got.Exact || len(got.Covered) != 50 {
		t.Errorf("got %+v %v, want all of it, and that there may be better", got, why)
	}
}

// What is chosen covers what is wanted beyond the first word of permissions, and of equals the first.
func TestAChoiceAmongManyPermissions(t *testing.T) {
	t.Parallel()
	o, perms := picker(t, 150)
	o.s.Load(Role{ID: "wide", Name: "wide", Permissions: sorted([]Permission{perms[0], perms[1], perms[70], perms[140]})}, Assignment{ID: "wide", Account: "ann", Role: "wide"},
		Role{ID: "wider", Name: "wider", Permissions: sorted([]Permission{perms[2], perms[71], perms[141]})}, Assignment{ID: "wider", Account: "ann", Role: "wider"},
		Role{ID: "s000", Name: "s000", Permissions: perms[:1]}, Assignment{ID: "s000", Account: "ann", Role: "s000"},
		Role{ID: "0", Name: "0", Permissions: []Permission{"x/z:do"}}, Assignment{ID: "0", Account: "ann", Role: "0"})
	for _, tt := range []struct {
		name  string
		w     Want
		roles []RoleID
		extra int
	}{
		{"the role that carries just that, before its equal", Want{Permissions: perms[:1]}, []RoleID{"r000"}, 0},
		{"one role before two", Want{Permissions: []Permission{perms[140], perms[0], perms[1], perms[70]}}, []RoleID{"wide"}, 0},
		{"two roles before one that carries more", Want{Permissions: []Permission{perms[140], perms[70]}}, []RoleID{"r070", "r140"}, 0},
		{"in the last word alone", Want{Permissions: perms[141:142]}, []RoleID{"r141"}, 0},
		{"nothing beyond the ceiling", Want{Permissions: perms[2:3], Ceiling: perms[2:3]}, []RoleID{"r002"}, 0},
		{"a permission and one that the first role has", Want{Permissions: []Permission{"x/z:do", perms[3]}}, []RoleID{"0", "r003"}, 0},
		{"under a ceiling of nothing", Want{Permissions: perms[2:3], Ceiling: []Permission{}}, nil, 0},
		{"what nobody knows", Want{Permissions: []Permission{"x/none:do", perms[5]}}, []RoleID{"r005"}, 0},
		{"nothing", Want{}, nil, 0},
	} {
		tt.w.Account = "ann"
		got, _, why := o.snap().Choose(o.s.Holder("ann"), tt.w, o.now)
		if why != nil || !slices.Equal(got.Roles, tt.roles) || got.Extra != tt.extra || !got.Exact || !slices.IsSorted(got.Covered) {
			t.Errorf("%s: got %+v %v, want %v", tt.name, got, why, tt.roles)
		}
	}
	// A role whose permissions beyond the ceiling are in another word is beyond it.
	o.s.Load(Assignment{ID: "only", Account: "bob", Role: "wide"}, Account{"bob", "bob"}, Subject{ID: "bob"})
	got, _, why := o.snap().Choose(o.s.Holder("bob"), Want{Account: "bob", Permissions: perms[:2], Ceiling: perms[:100]}, o.now)
	if why != nil || len(got.Roles) != 0 {
		t.Errorf("got %+v %v, want nothing within the ceiling", got, why)
	}
	got, _, why = o.snap().Choose(o.s.Holder("bob"), Want{Account: "bob", Permissions: perms[:2]}, o.now)
	if why != nil || got.Extra != 2 || !slices.Equal(got.Covered, perms[:2]) {
		t.Errorf("got %+v %v, want two permissions too many", got, why)
	}
}

// The search begins with the permission that the fewest roles carry.
func TestTheRarestPermissionIsSoughtFirst(t *testing.T) {
	t.Parallel()
	o, perms := picker(t, 3)
	for i, more := range [][]Permission{perms[:2], perms[1:], {perms[0], perms[1]}} {
		id := RoleID(fmt.Sprint("s", i))
		o.s.Load(Role{ID: id, Name: string(id), Permissions: more}, Assignment{ID: AssignmentID(id), Account: "ann", Role: id})
	}
	s := o.snap()
	c := s.newChooser(o.s.Holder("ann"), Want{Account: "ann", Permissions: perms}, o.now)
	held := newBitset(len(s.perms)) // three roles carry the first, four the second, two the third
	for _, want := range []Permission{perms[2], perms[0], perms[1]} {
		got := c.rarest(held)
		if got < 0 || s.perms[got] != want {
			t.Fatalf("got %d, want %s", got, want)
		}
		held.set(got)
	}
	if got := c.rarest(held); got != -1 {
		t.Errorf("got %d, want none missing", got)
	}
	o, perms = picker(t, 3)
	if got := o.snap().newChooser(o.s.Holder("ann"), Want{Account: "ann", Permissions: perms[1:]}, o.now).rarest(newBitset(3)); got != 1 {
		t.Errorf("got %d, want the first of two that are equally rare", got)
	}
}

// Alternatives that cover most come first, then those that carry least beyond.
func TestAlternativesAreInOrder(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	o.person("ann")
	for id, perms := range map[RoleID][]Permission{"a": {"x/a:do", "x/z:do"}, "b": {"x/b:do"}, "c": {"x/c:do", "x/d:do"}, "d": {"x/b:do", "x/y:do", "x/z:do"}} {
		o.role(id, perms...)
		o.does(o.assign("ann", id))
	}
	o.dynamic(ReachSession, "role:a", "role:b", "role:c", "role:d")
	_, got, why := o.snap().Choose(o.s.Holder("ann"), Want{Account: "ann", Permissions: []Permission{"x/a:do", "x/b:do", "x/c:do", "x/d:do"}}, o.now)
	want := []Choice{
		{[]RoleID{"c"}, []Permission{"x/c:do", "x/d:do"}, 0, true}, {[]RoleID{"b"}, []Permission{"x/b:do"}, 0, true},
		{[]RoleID{"a"}, []Permission{"x/a:do"}, 1, true}, {[]RoleID{"d"}, []Permission{"x/b:do"}, 2, true},
	}
	if codeOf(why) != "dsd-conflict" || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v %v, want %v", got, why, want)
	}
}

// Where another session alone stands against it, there is nothing to choose here, and that is said.
func TestWhatAnotherSessionStandsAgainst(t *testing.T) {
	t.Parallel()
	o, perms := picker(t, 3)
	o.dynamic(ReachSubject, perms[0].Atom(), perms[1].Atom())
	got, alternatives, why := o.snap().Choose(o.s.Holder("ann"), Want{Account: "ann", Permissions: perms[:1], Elsewhere: []RoleID{"r001"}}, o.now)
	if codeOf(why) != "dsd-conflict" || len(got.Roles) != 0 || len(alternatives) != 0 {
		t.Errorf("got %+v %+v %v, want no role and no alternative", got, alternatives, why)
	}
}
