package rbac

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// explains finds h's conflict with rule at now and compares the witness, but for the rule it names.
func explains(t *testing.T, name string, s *Snapshot, h Holder, rule RuleID, now Instant, want Witness) {
	t.Helper()
	want.Rule = rule
	got := s.FindingsOf(h, rule, now)
	if len(got) != 1 {
		t.Errorf("%s: got %d findings, want one", name, len(got))
		return
	}
	if diff := cmp.Diff(want, got[0].Witness, cmpopts.IgnoreUnexported(Path{})); diff != "" {
		t.Errorf("%s: the witness differs (-want +got):\n%s", name, diff)
	}
}

func grant(account AccountID, r RoleID, id AssignmentID, during ...Window) Grant {
	g := Grant{Account: account, Role: r, Assignment: id}
	if len(during) > 0 {
		g.During = during[0]
	}
	return g
}

// The way to an atom is the shortest there is at that time, spelled out from the account on.
func TestAWitnessTakesTheShortestWay(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	for _, p := range []Permission{"x/a:do", "x/b:do"} {
		o.s.Load(PermissionDef{ID: p})
	}
	junior := func(rs ...RoleID) (out []Junior) {
		for _, r := range rs {
			out = append(out, Junior{Role: r})
		}
		return out
	}
	o.s.Load(
		// a0 → a1 → a2 and a0 → a2: the longer way is met first, and node 0 is on it.
		Role{ID: "a0", Name: "a0", Juniors: junior("a1", "a2")}, Role{ID: "a1", Name: "a1", Juniors: junior("a2")}, Role{ID: "a2", Name: "a2", Permissions: []Permission{"x/a:do"}},
		Role{ID: "near", Name: "near", Permissions: []Permission{"x/a:do"}}, Role{ID: "b", Name: "b", Permissions: []Permission{"x/b:do"}},
		Role{ID: "idle", Name: "idle"},
		Group{ID: "inner", Name: "inner", Roles: []RoleID{"idle"}}, Group{ID: "mid", Name: "mid", Children: []GroupID{"inner"}},
		Group{ID: "outer", Name: "outer", Children: []GroupID{"mid"}, Roles: []RoleID{"a0", "b"}}, Group{ID: "aside", Name: "aside", Children: []GroupID{"inner"}},
	)
	for id, a := range map[DutyID]Atom{"d0": "perm:x/a:do", "d1": "perm:x/b:do", "d2": "group:outer", "d3": "role:a1", "d4": "group:aside"} {
		o.s.Load(Duty{ID: id, Name: string(id), Expr: AnyOf(a)})
	}
	for id, ds := range map[RuleID][]DutyID{"R0": {"d1", "d0"}, "R1": {"d2", "d3"}, "R2": {"d4", "d1"}} {
		o.s.Load(Rule{ID: id, Kind: Static, Level: Low, Mode: Record, K: 2, Duties: ds, Version: 1})
	}
	s := o.snap()
	path := func(g Grant, a Atom, groups []GroupID, roles ...RoleID) []Path {
		return []Path{{Atom: a, Account: g.Account, Assignment: g.Assignment, Delegation: g.Delegation, Groups: groups, Roles: roles}}
	}
	b := grant("bob", "b", "b1")
	top := grant("ann", "a0", "a1")
	explains(t, "the shorter of two ways", s, Holder{Grants: []Grant{b, top}}, "R0", 1000, Witness{Duties: []DutyWitness{
		{"d0", path(top, "perm:x/a:do", nil, "a0", "a2")}, {"d1", path(b, "perm:x/b:do", nil, "b")}}})
	long := grant("ann", "a1", "a2")
	explains(t, "by way of the first of all roles", s, Holder{Grants: []Grant{{Account: "ann", Group: "outer"}}}, "R1", 1000, Witness{Duties: []DutyWitness{
		{"d2", path(Grant{Account: "ann"}, "group:outer", []GroupID{"outer"})}, {"d3", path(Grant{Account: "ann"}, "role:a1", []GroupID{"outer"}, "a0", "a1")}}})

	ended, future := grant("ann", "near", "n1", Window{To: 1000}), grant("ann", "near", "n2", Window{From: 1001})
	explains(t, "not by what has ended or is to come", s, Holder{Grants: []Grant{ended, future, b, long}}, "R0", 1000, Witness{Duties: []DutyWitness{
		{"d0", path(long, "perm:x/a:do", nil, "a1", "a2")}, {"d1", path(b, "perm:x/b:do", nil, "b")}}})
	bot := Grant{Account: "bot", Role: "near", Assignment: "n3", Owned: true}
	explains(t, "not by what a workload holds", s, Holder{Grants: []Grant{bot, b, long}}, "R0", 1000, Witness{Duties: []DutyWitness{
		{"d0", path(long, "perm:x/a:do", nil, "a1", "a2")}, {"d1", path(b, "perm:x/b:do", nil, "b")}}})
	twice, deputy := grant("ann", "b", "b2"), Grant{Account: "ann", Role: "near", Delegation: "v1"}
	explains(t, "by the first of two grants, and by delegation", s, Holder{Grants: []Grant{b, twice, long, deputy}}, "R0", 1000, Witness{Duties: []DutyWitness{
		{"d0", path(deputy, "perm:x/a:do", nil, "near")}, {"d1", path(b, "perm:x/b:do", nil, "b")}}})

	in := Grant{Account: "ann", Group: "inner"}
	explains(t, "up through groups and down through roles", s, Holder{Grants: []Grant{in}}, "R0", 1000, Witness{Duties: []DutyWitness{
		{"d0", path(in, "perm:x/a:do", []GroupID{"inner", "mid", "outer"}, "a0", "a2")}, {"d1", path(in, "perm:x/b:do", []GroupID{"inner", "mid", "outer"}, "b")}}})
	explains(t, "to a group and to a role itself", s, Holder{Grants: []Grant{in}}, "R1", 1000, Witness{Duties: []DutyWitness{
		{"d2", path(in, "group:outer", []GroupID{"inner", "mid", "outer"})}, {"d3", path(in, "role:a1", []GroupID{"inner", "mid", "outer"}, "a0", "a1")}}})
	explains(t, "to the group aside", s, Holder{Grants: []Grant{in, b}}, "R2", 1000, Witness{Duties: []DutyWitness{
		{"d1", path(b, "perm:x/b:do", nil, "b")}, {"d4", path(in, "group:aside", []GroupID{"inner", "aside"})}}})
}

// pieces is a world of one role for each of the permissions x/a:do to x/f:do, and far, which inherits from a far way
// to x/g:do; expr makes a duty.
func pieces(t *testing.T) (o *org, expr func(DutyID, Expr) DutyID, h func(...RoleID) Holder) {
	t.Helper()
	o = newOrg(t)
	for _, x := range []string{"a", "b", "c", "d", "e", "f"} {
		o.role(RoleID(x), Permission("x/"+x+":do"))
	}
	o.role("g", "x/g:do")
	o.does(CreateRole{Role{ID: "g1", Name: "g1", Juniors: []Junior{{Role: "g"}}}}, CreateRole{Role{ID: "far", Name: "far", Juniors: []Junior{{Role: "g1"}}}})
	expr = func(id DutyID, e Expr) DutyID {
		o.does(DefineDuty{Duty{ID: id, Name: string(id), Expr: e}})
		return id
	}
	h = func(roles ...RoleID) Holder {
		out := Holder{Subject: "ann"}
		for _, r := range roles {
			out.Grants = append(out.Grants, grant("ann", r, AssignmentID(r)))
		}
		return out
	}
	return o, expr, h
}

func do(x string) Atom { return Permission("x/" + x + ":do").Atom() }

// rests returns the duties of w, and the atoms each rests on.
func (w Witness) rests() map[DutyID][]Atom {
	out := map[DutyID][]Atom{}
	for _, d := range w.Duties {
		out[d.Duty] = nil
		for _, p := range d.Paths {
			out[d.Duty] = append(out[d.Duty], p.Atom)
		}
		slices.Sort(out[d.Duty])
	}
	return out
}

// A witness is the cheapest that suffices: the duties and atoms that take the fewest steps, as many as it takes, and
// no atom that others make superfluous.
func TestAWitnessIsTheCheapestThatSuffices(t *testing.T) {
	t.Parallel()
	o, expr, h := pieces(t)
	for id, e := range map[DutyID]Expr{
		"far":  AnyOf(do("g")),
		"a":    AnyOf(do("a")),
		"b":    AnyOf(do("b")),
		"c":    AnyOf(do("c")),
		"near": AnyOf(do("g"), do("c")),
		"pair": {K: 1, Of: []Expr{AllOf(do("d"), do("e")), Leaf(do("f"))}},
		"many": {K: 1, Of: []Expr{AllOf(do("a"), do("b"), do("c"), do("d"), do("e")), Leaf(do("g"))}},
		"two":  AtLeast(2, do("d"), do("e"), do("f")),
		"a or": AnyOf(do("a"), do("f")),
		"ab":   AnyOf(do("a"), do("b")),
		"ac":   AnyOf(do("a"), do("c")),
		"bd":   AnyOf(do("b"), do("d")),
		"d":    AnyOf(do("d")),
	} {
		expr(id, e)
	}
	rule := func(k int, ds ...DutyID) RuleID {
		id := RuleID(o.id("R"))
		o.s.Load(Rule{ID: id, Kind: Static, Level: Low, Mode: Record, K: k, Duties: ds, Version: 1})
		return id
	}
	for _, tt := range []struct {
		name string
		rule RuleID
		h    Holder
		want map[DutyID][]Atom
	}{
		{"the nearest duties", rule(2, "far", "b", "a"), h("far", "a", "b"), map[DutyID][]Atom{"a": {do("a")}, "b": {do("b")}}},
		{"what is held of them", rule(2, "a", "b", "far"), h("far", "b"), map[DutyID][]Atom{"b": {do("b")}, "far": {do("g")}}},
		{"of equals the first", rule(2, "c", "b", "a"), h("c", "b", "a"), map[DutyID][]Atom{"a": {do("a")}, "b": {do("b")}}},
		{"the nearest atom", rule(2, "a", "near"), h("far", "a", "c"), map[DutyID][]Atom{"a": {do("a")}, "near": {do("c")}}},
		{"one atom before two", rule(2, "a", "pair"), h("a", "d", "e", "f"), map[DutyID][]Atom{"a": {do("a")}, "pair": {do("f")}}},
		{"two where there is no one", rule(2, "a", "pair"), h("a", "d", "e"), map[DutyID][]Atom{"a": {do("a")}, "pair": {do("d"), do("e")}}},
		{"a far one before five", rule(2, "b", "many"), h("a", "b", "c", "d", "e", "far"), map[DutyID][]Atom{"b": {do("b")}, "many": {do("g")}}},
		{"two of three", rule(2, "a", "two"), h("a", "f", "d", "e"), map[DutyID][]Atom{"a": {do("a")}, "two": {do("d"), do("e")}}},
		{"one atom for two duties", rule(2, "a", "a or"), h("a", "f"), map[DutyID][]Atom{"a": {do("a")}, "a or": {do("a")}}},
		{"one atom for three duties, of which two suffice", rule(2, "ac", "ab", "a"), h("a"), map[DutyID][]Atom{"a": {do("a")}, "ab": {do("a")}}},
		{"an atom that others make superfluous", rule(3, "b", "c", "ab"), h("a", "b", "c"), map[DutyID][]Atom{"ab": {do("b")}, "b": {do("b")}, "c": {do("c")}}},
		{"one beside a nested duty", rule(3, "b", "ab", "pair"), h("a", "b", "d", "e"), map[DutyID][]Atom{"ab": {do("b")}, "b": {do("b")}, "pair": {do("d"), do("e")}}},
		{"one that two others make superfluous", rule(4, "b", "c", "ab", "ac"), h("a", "b", "c"), map[DutyID][]Atom{"ab": {do("b")}, "ac": {do("c")}, "b": {do("b")}, "c": {do("c")}}},
		{"two that others make superfluous", rule(4, "c", "d", "ac", "bd"), h("a", "b", "c", "d"), map[DutyID][]Atom{"ac": {do("c")}, "bd": {do("d")}, "c": {do("c")}, "d": {do("d")}}},
	} {
		got := o.snap().FindingsOf(tt.h, tt.rule, o.now)
		if len(got) != 1 {
			t.Errorf("%s: got %d findings, want one", tt.name, len(got))
			continue
		}
		if diff := cmp.Diff(tt.want, got[0].Witness.rests()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		var ids []DutyID
		for _, d := range got[0].Witness.Duties {
			ids = append(ids, d.Duty)
		}
		if !slices.IsSorted(ids) {
			t.Errorf("%s: got %v, want the duties sorted", tt.name, ids)
		}
	}
}

// What a step brought is what its witness shows, where it brought it: new duties first, in a context that is worse.
func TestAWitnessShowsWhatIsNew(t *testing.T) {
	t.Parallel()
	o, expr, h := pieces(t)
	for _, x := range []string{"a", "b", "c", "d"} {
		expr(DutyID(x), AnyOf(do(x)))
	}
	o.s.Load(Rule{ID: "R", Kind: Static, Level: Low, Mode: Block, K: 2, Duties: []DutyID{"d", "c", "b", "a"}, Version: 1},
		Rule{ID: "S", Kind: Static, Level: Low, Mode: Block, K: 2, Duties: []DutyID{"a", "b"}, Join: SameContext, Version: 1})
	s := o.snap()
	for _, tt := range []struct {
		name          string
		before, after Holder
		want          map[DutyID][]Atom
	}{
		{"the new one and the first of the others", h("a", "b"), h("a", "b", "c"), map[DutyID][]Atom{"a": {do("a")}, "c": {do("c")}}},
		{"two new ones", h("a"), h("a", "c", "d"), map[DutyID][]Atom{"c": {do("c")}, "d": {do("d")}}},
		{"from nothing", h(), h("d", "c"), map[DutyID][]Atom{"c": {do("c")}, "d": {do("d")}}},
	} {
		hits := s.Worsens(tt.before, tt.after, o.now)
		hits = slices.DeleteFunc(hits, func(h Hit) bool { return h.Rule != "R" })
		if len(hits) != 1 {
			t.Errorf("%s: got %+v, want one hit", tt.name, hits)
			continue
		}
		if diff := cmp.Diff(tt.want, hits[0].Witness.rests()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}

	in := func(r RoleID, context string) Grant {
		return Grant{Account: "ann", Role: r, Context: context, Assignment: AssignmentID(string(r) + context)}
	}
	before := Holder{Subject: "ann", Grants: []Grant{in("a", "org=1"), in("b", "org=1"), in("a", "org=2"), in("c", "org=3")}}
	after := before
	after.Grants = append(slices.Clone(before.Grants), in("b", "org=2"))
	hits := s.Worsens(before, after, o.now)
	if len(hits) != 1 || hits[0].Rule != "S" || hits[0].Witness.Context != "org=2" || len(hits[0].Witness.Duties) != 2 {
		t.Fatalf("got %+v, want S in org=2", hits)
	}
	for _, d := range hits[0].Witness.Duties {
		if id := string(d.Paths[0].Assignment); id != "aorg=2" && id != "borg=2" {
			t.Errorf("the witness rests on %s, want what is held in org=2", id)
		}
	}
	// A conflict of what is held everywhere names no context, and one in a context names that.
	found := s.FindingsOf(Holder{Subject: "ann", Grants: []Grant{in("c", "org=9"), in("a", ""), in("b", "")}}, "S", o.now)
	if len(found) != 1 || found[0].Witness.Context != "" || len(found[0].Witness.Duties) != 2 {
		t.Errorf("got %+v, want a conflict everywhere", found)
	}
	found = s.FindingsOf(Holder{Subject: "ann", Grants: []Grant{in("a", "org=8"), in("b", "org=9"), in("a", "org=9")}}, "S", o.now)
	if len(found) != 1 || found[0].Witness.Context != "org=9" {
		t.Errorf("got %+v, want a conflict in org=9", found)
	}
}
