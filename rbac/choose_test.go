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
