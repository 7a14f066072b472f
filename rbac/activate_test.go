package rbac

import (
	"fmt"
	"slices"
	"testing"
)

// What active roles carry comes along the edges that carry, of all words of permissions, and from roles that exist.
func TestWhatActiveRolesCarry(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	var many []Permission
	for i := range 130 {
		many = append(many, Permission(fmt.Sprintf("x/p%03d:do", i)))
	}
	o.role("a", "x/own:do")
	o.s.Load(Role{ID: "b", Name: "b", Permissions: many}, Role{ID: "c", Name: "c", Permissions: []Permission{"x/c:do"}},
		Role{ID: "top", Name: "top", Juniors: []Junior{{Role: "a"}, {Role: "b", Mode: Inherit}, {Role: "c", Mode: Activate}}})
	s := o.snap()
	top := s.Authority([]RoleID{"none", "top"})
	if got := top.Permissions(); len(got) != 131 || !slices.IsSorted(got) {
		t.Errorf("got %d permissions, want 131, sorted", len(got))
	}
	for p, want := range map[Permission]bool{"x/own:do": true, many[0]: true, many[129]: true, "x/c:do": false, "x/none:do": false} {
		if got := top.Has(p); got != want {
			t.Errorf("top has %s: got %v, want %v", p, got, want)
		}
	}
	first := s.Authority([]RoleID{"a"}) // carries the permission that has number 0
	if !first.Has("x/own:do") || first.Has("x/none:do") || len(s.Authority(nil).Permissions()) != 0 {
		t.Errorf("got %v, want x/own:do alone", first.Permissions())
	}
	for r, want := range map[RoleID][]RoleID{"top": {"a", "b", "c"}, "a": nil, "none": nil} {
		if got := s.Juniors(r); !slices.Equal(got, want) {
			t.Errorf("the juniors of %s: got %v, want %v", r, got, want)
		}
	}
}

// What may become active is what the account itself holds now, by itself or what it reaches, in roles that are neither
// drafts nor retired; and what is only eligible after one has proved oneself.
func TestWhatMayBecomeActive(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	o.s.Load(Role{ID: "a", Name: "a"}, Role{ID: "draft", Name: "d", Lifecycle: DraftRole}, Role{ID: "retired", Name: "e", Lifecycle: RetiredRole},
		Role{ID: "old", Name: "o", Lifecycle: DeprecatedRole}, Role{ID: "jit", Name: "j", Eligible: true}, Role{ID: "once", Name: "n"},
		Role{ID: "top", Name: "t", Juniors: []Junior{{Role: "a"}, {Role: "draft"}, {Role: "jit", Mode: Activate}, {Role: "old"}, {Role: "retired"}}},
		Role{ID: "z", Name: "z"}, Group{ID: "g", Name: "g", Roles: []RoleID{"z"}})
	h := Holder{Subject: "ann", Grants: []Grant{
		{Account: "ann", Role: "top"}, {Account: "ann", Role: "once", Eligible: true}, {Account: "ann", Group: "g", During: Window{From: 900, To: 1001}},
		{Account: "ann", Role: "past", During: Window{From: 900, To: 1000}}, {Account: "admin", Role: "other"}, {Account: "ann", Role: "bot", Owned: true},
	}}
	for _, id := range []RoleID{"past", "other", "bot"} {
		o.s.Load(Role{ID: id, Name: string(id)})
	}
	s := o.snap()
	for elevated, want := range map[bool][]RoleID{false: {"a", "old", "top", "z"}, true: {"a", "jit", "old", "once", "top", "z"}} {
		if got := s.Activatable(h, "ann", o.now, elevated); !slices.Equal(got, want) {
			t.Errorf("elevated %v: got %v, want %v", elevated, got, want)
		}
	}
}

// Among several rules the strictest decides, every one is named, and what is not granted changes nothing.
func TestSeveralDynamicRulesAtOnce(t *testing.T) {
	t.Parallel()
	const p, q, z = Permission("x/p:do"), Permission("x/q:do"), Permission("x/z:do")
	for _, tt := range []struct {
		name    string
		modes   []Mode // of the rules D0, D1, …
		outcome Outcome
		code    string
	}{
		{"one that blocks", []Mode{Block}, Refused, "dsd-conflict"},
		{"one that waits", []Mode{Approve}, Pending, "approval-required"},
		{"one that warns", []Mode{Warn}, Applied, ""},
		{"one that counts", []Mode{Simulate}, Applied, ""},
		{"waits, then blocks", []Mode{Approve, Block}, Refused, "dsd-conflict"},
		{"blocks, then waits", []Mode{Block, Approve}, Refused, "dsd-conflict"},
		{"records, then waits", []Mode{Record, Approve, Warn}, Pending, "approval-required"},
	} {
		o := newOrg(t)
		o.role("p", p)
		o.role("q", q)
		o.role("z", z)
		o.person("ann")
		o.does(o.assign("ann", "p"), o.assign("ann", "q"), o.assign("ann", "z"))
		ds := o.duties(z.Atom(), p.Atom(), q.Atom())
		for i, m := range append(slices.Clone(tt.modes), Draft) {
			o.does(CreateRule{Rule: Rule{ID: RuleID(fmt.Sprint("D", i)), Kind: Dynamic, Level: Low, Mode: m, K: 2, Reach: ReachSession, Duties: ds}})
		}
		o.does(CreateRule{Rule: Rule{ID: "S", Kind: Static, Level: Low, Mode: Simulate, K: 2, Duties: ds}})
		snap, h := o.snap(), o.s.Holder("ann")
		got := snap.Activate(h, Active{Account: "ann", Here: []RoleID{"q"}}, "p", o.now)
		roles := []RoleID{"q"}
		if tt.outcome == Applied {
			roles = []RoleID{"p", "q"}
		}
		if got.Outcome != tt.outcome || codeOf(got.Why) != tt.code || !slices.Equal(got.Roles, roles) || len(got.Hits) != len(tt.modes) {
			t.Errorf("%s: got %+v, want %s with %v and %d hits", tt.name, got, tt.outcome, roles, len(tt.modes))
		}
		for i, hit := range got.Hits {
			ws := hit.Witness.Duties
			if hit.Subject != "ann" || hit.Rule != RuleID(fmt.Sprint("D", i)) || hit.Mode != tt.modes[i] || len(ws) != 2 || ws[0].Duty != ds[1] || ws[1].Duty != ds[2] {
				t.Errorf("%s: got hit %+v, want ann's under D%d, of the two duties that are held", tt.name, hit, i)
			}
		}
		if got := snap.Activate(h, Active{Account: "ann", Here: []RoleID{"p"}}, "z", o.now); got.Outcome == Applied != (tt.outcome == Applied) {
			t.Errorf("%s: got %+v for the first duty", tt.name, got)
		}
	}
}

// A dynamic rule reads scopes and nested expressions, of this session or of all, when it is in force.
func TestWhatADynamicRuleReads(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	o.role("a", "x/a:do")
	o.role("b", "x/b:do")
	o.role("c", "x/c:do")
	o.does(DefineScope{Scope{ID: "x/s", Permissions: []Permission{"x/a:do"}}},
		DefineDuty{Duty{ID: "nested", Name: "nested", Expr: Expr{K: 2, Of: []Expr{AnyOf("perm:x/b:do"), AnyOf("perm:x/c:do")}}}})
	ds := append(o.duties("scope:x/s"), "nested")
	o.does(CreateRule{Rule: Rule{ID: "here", Kind: Dynamic, Level: Low, Mode: Block, K: 2, Reach: ReachSession, Duties: ds, During: Window{1000, 2000}}},
		CreateRule{Rule: Rule{ID: "all", Kind: Dynamic, Level: High, Mode: Block, K: 2, Duties: ds, During: Window{1500, 2500}}})
	s := o.snap()
	all, two := []RoleID{"none", "a", "b", "c"}, []RoleID{"none", "b", "c"}
	for _, tt := range []struct {
		here, elsewhere []RoleID
		at              Instant
		want            []RuleID
	}{
		{all, nil, 999, nil}, {all, nil, 1000, []RuleID{"here"}}, {all, nil, 1500, []RuleID{"all", "here"}}, {all, nil, 2000, []RuleID{"all"}}, {all, nil, 2500, nil},
		{[]RoleID{"a"}, two, 1500, []RuleID{"all"}}, {[]RoleID{"a"}, two, 1499, nil}, {two, []RoleID{"a"}, 1500, []RuleID{"all"}},
		{[]RoleID{"a", "b"}, nil, 1500, nil}, {[]RoleID{"a", "b"}, []RoleID{"b"}, 1500, nil}, {nil, all, 1500, []RuleID{"all"}},
	} {
		var got []RuleID
		for _, hit := range s.Together(tt.here, tt.elsewhere, tt.at) {
			got = append(got, hit.Rule)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v here and %v elsewhere at %d: got %v, want %v", tt.here, tt.elsewhere, tt.at, got, tt.want)
		}
	}
}

// A session keeps what may still be active, and loses what may not, without a word about the rest.
func TestASessionIsTrimmedToWhatIsHeld(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	for _, r := range []RoleID{"a", "b", "c"} {
		o.role(r)
	}
	o.person("ann")
	o.does(o.assign("ann", "b"), o.assign("ann", "c", Window{To: 2000}))
	o.dynamic(ReachSubject, "role:b", "role:a")
	s, h := o.snap(), o.s.Holder("ann")
	for _, tt := range []struct {
		here, elsewhere []RoleID
		at              Instant
		want            []RoleID
	}{
		{[]RoleID{"c", "a", "b", "none"}, nil, 1999, []RoleID{"b", "c"}},
		{[]RoleID{"c", "b"}, nil, 2000, []RoleID{"b"}},
		{[]RoleID{"none"}, nil, 1999, nil},
		{[]RoleID{"b", "c"}, []RoleID{"a"}, 1999, nil},
		{[]RoleID{"c"}, []RoleID{"a"}, 1999, []RoleID{"c"}},
	} {
		if got := s.Trim(h, Active{Account: "ann", Here: tt.here, Elsewhere: tt.elsewhere}, tt.at); !slices.Equal(got, tt.want) {
			t.Errorf("%v at %d: got %v, want %v", tt.here, tt.at, got, tt.want)
		}
	}
}
