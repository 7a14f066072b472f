package rbac

import (
	"slices"
	"testing"
)

// What was loaded is compiled as far as it goes: a duty counts once in a rule that names it twice, and what does not
// exist counts nowhere.
func TestRulesOfDutiesTwiceOrNot(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	a, b := o.role("a"), o.role("b")
	ds := o.duties(a.Atom(), b.Atom())
	rule := func(id RuleID, ds ...DutyID) {
		o.s.Load(Rule{ID: id, Kind: Static, Level: Low, Mode: Record, K: 2, Duties: ds, Version: 1})
	}
	rule("twice", ds[0], ds[0], ds[1])
	rule("unknown", "none", ds[1])
	rule("both", ds[1], "none", ds[0])
	o.s.Load(Role{ID: "c", Name: "c", Juniors: []Junior{{Role: "none"}, {Role: b}}}, Group{ID: "g", Name: "g", Roles: []RoleID{"none", a}, Children: []GroupID{"none"}})
	for _, tt := range []struct {
		grants []Grant
		want   []RuleID
	}{
		{[]Grant{grant("x", a, "1")}, nil},
		{[]Grant{grant("x", b, "1")}, nil},
		{[]Grant{grant("x", "c", "1"), {Account: "x", Group: "g"}}, []RuleID{"both", "twice"}},
	} {
		var got []RuleID
		for _, f := range o.snap().Findings(Holder{Subject: "x", Grants: tt.grants}, o.now) {
			got = append(got, f.Rule)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v: got %v, want %v", tt.grants, got, tt.want)
		}
	}
}
