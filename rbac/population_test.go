package rbac

import (
	"slices"
	"testing"
)

// A population that was rebased and the one it came from go their own ways: neither takes a context the other has
// met since for one of its own.
func TestARebasedPopulationIsApart(t *testing.T) {
	t.Parallel()
	o, enter, release := ledger(t)
	r := o.s.Rules["R1"]
	r.Join = SameContext
	o.does(EditRule{Rule: r})
	holds := func(id SubjectID, here, there string) Holder {
		return Holder{Subject: id, Grants: []Grant{{Account: AccountID(id), Role: enter, Context: here, Assignment: "1"}, {Account: AccountID(id), Role: release, Context: there, Assignment: "2"}}}
	}
	pop := NewPopulation(o.snap(), o.now)
	pop.Set(holds("ann", "org=1", "org=2"))
	pop.Set(holds("bob", "org=2", "org=3"))
	other := pop.Rebase(o.snap())
	pop.Set(holds("eve", "org=4", "org=1"))
	other.Set(holds("joe", "org=5", "org=1"))
	for _, tt := range []struct {
		in   *Population
		id   SubjectID
		org  string
		want []RuleID
	}{
		{pop, "eve", "org=4", []RuleID{"R1"}}, {pop, "eve", "org=5", nil}, {other, "joe", "org=5", []RuleID{"R1"}}, {other, "joe", "org=4", nil},
	} {
		if got := tt.in.Check(tt.id, Grant{Account: AccountID(tt.id), Role: release, Context: tt.org, Assignment: "3"}); !slices.Equal(got, tt.want) {
			t.Errorf("%s in %s: got %v, want %v", tt.id, tt.org, got, tt.want)
		}
	}
}
