package rbac

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// units names what fixes take away, in order.
func units(fixes []Fix) []string {
	var out []string
	for _, f := range fixes {
		var us []string
		for _, g := range f {
			us = append(us, string(g.Assignment)+string(g.Delegation)+string(g.Group))
		}
		slices.Sort(us)
		out = append(out, strings.Join(us, " "))
	}
	slices.Sort(out)
	return out
}

// A fix takes rows away: an assignment, a delegation with all its roles, a membership with all it brings. All of the
// smallest are found, each once.
func TestFixesTakeRowsAway(t *testing.T) {
	t.Parallel()
	o, expr, _ := pieces(t)
	for _, x := range []string{"a", "b", "c", "d", "e", "f"} {
		expr(DutyID(x), AnyOf(do(x)))
	}
	both := expr("both", AllOf(do("e"), do("f")))
	rule := func(id RuleID, mode Mode, ds ...DutyID) {
		o.does(CreateRule{Rule: Rule{ID: id, Kind: Static, Level: Low, Mode: mode, K: 2, Duties: ds}})
	}
	rule("R1", Block, "a", "b")
	rule("R2", Record, "c", "d")
	rule("R3", Simulate, "a", "c")
	rule("R4", Record, "a", both)
	rule("R5", Simulate, "d", "e", "f")
	o.group("g", "c", "e")
	o.group("h")
	as := func(r RoleID, w ...Window) Grant { return grant("ann", r, AssignmentID(r), w...) }
	deputy := func(r RoleID) Grant { return Grant{Account: "ann", Role: r, Delegation: "v"} }
	in := func(g GroupID) Grant { return Grant{Account: "ann", Group: g} }
	excused := Exception{Rule: "R1", Version: 1, Subject: "ann"}
	later, now := Window{From: 2000}, Window{To: 2000}

	for _, tt := range []struct {
		name  string
		h     Holder
		rules []RuleID
		want  []string
	}{
		{"nothing", Holder{}, nil, []string{""}},
		{"no conflict", Holder{Grants: []Grant{as("a"), as("c")}}, nil, []string{""}},
		{"a preview", Holder{Grants: []Grant{as("a"), as("c")}}, []RuleID{"R3"}, []string{"a", "c"}},
		{"either side", Holder{Grants: []Grant{as("a"), as("b"), as("f")}}, nil, []string{"a", "b"}},
		{"one of each of two", Holder{Grants: []Grant{as("a"), as("b"), as("c"), as("d")}}, nil, []string{"a c", "a d", "b c", "b d"}},
		{"one of two only", Holder{Grants: []Grant{as("a"), as("b"), as("c"), as("d")}}, []RuleID{"R2"}, []string{"c", "d"}},
		{"any two of three", Holder{Grants: []Grant{as("d"), as("e"), as("f")}}, []RuleID{"R5"}, []string{"d e", "d f", "e f"}},
		{"a delegation of two roles", Holder{Grants: []Grant{as("a"), as("d"), deputy("b"), deputy("c")}}, nil, []string{"v"}},
		{"a group among other groups", Holder{Grants: []Grant{in("h"), in("g"), as("d")}}, nil, []string{"d", "g"}},
		{"any atom of a duty", Holder{Grants: []Grant{as("a"), as("e"), as("f")}}, nil, []string{"a", "e", "f"}},
		{"held twice", Holder{Grants: []Grant{as("a"), as("b"), grant("ann", "b", "b2")}}, nil, []string{"a"}},
		{"covered", Holder{Grants: []Grant{as("a"), as("b")}, Exceptions: []Exception{excused}}, nil, []string{""}},
		{"the one that is not covered", Holder{Grants: []Grant{as("a"), as("b"), as("c"), as("d")}, Exceptions: []Exception{excused}}, nil, []string{"c", "d"}},
		{"what comes after an exception", Holder{
			Grants:     []Grant{as("a", now), as("b", now), grant("ann", "a", "a2", later), grant("ann", "b", "b2", later)},
			Exceptions: []Exception{{Rule: "R1", Version: 1, Subject: "ann", During: now}},
		}, nil, []string{"a2", "b2"}},
		{"the same role of two people", Holder{Grants: []Grant{as("a"), {Account: "bot", Group: "g", Owned: true}, in("g"), as("d")}}, nil, []string{"d", "g"}},
	} {
		fixes, exact := o.snap().Fixes(tt.h, tt.rules, o.now)
		if got := units(fixes); !slices.Equal(got, tt.want) || !exact {
			t.Errorf("%s: got %q (exact %v), want %q", tt.name, got, exact, tt.want)
		}
	}
}

// A search that was cut short says so, with what it found until then.
func TestFixesOfTooManyConflicts(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	h := Holder{Subject: "ann"}
	for i := range 11 { // some of the 2,048 fixes are found before the search is over
		var atoms []Atom
		for _, side := range []string{"l", "r"} {
			p := Permission(fmt.Sprintf("x/%s%02d:do", side, i))
			r := RoleID(fmt.Sprintf("%s%02d", side, i))
			o.s.Load(PermissionDef{ID: p}, Role{ID: r, Name: string(r), Permissions: []Permission{p}})
			h.Grants = append(h.Grants, grant("ann", r, AssignmentID(r)))
			atoms = append(atoms, p.Atom())
		}
		o.s.Load(Rule{ID: RuleID(fmt.Sprintf("R%02d", i)), Kind: Static, Level: Low, Mode: Record, K: 2, Duties: o.duties(atoms...), Version: 1})
	}
	fixes, exact := o.snap().Fixes(h, nil, o.now)
	if exact || len(fixes) == 0 || len(fixes) >= 2048 {
		t.Errorf("got %d fixes, exact %v, want some of them", len(fixes), exact)
	}
	few := []RuleID{"R00", "R05", "R10"}
	if fixes, exact = o.snap().Fixes(h, few, o.now); !exact || len(fixes) != 8 {
		t.Errorf("got %d fixes, exact %v, want 8", len(fixes), exact)
	}
}
