package rbac

import (
	"slices"
	"testing"
)

// against makes somebody hold roles in spite of every rule.
func (o *org) against(id SubjectID, roles ...RoleID) {
	o.t.Helper()
	if _, ok := o.s.Subjects[id]; !ok {
		o.person(id)
	}
	var ops []Op
	for _, r := range roles {
		ops = append(ops, o.assign(AccountID(id), r))
	}
	if res := o.apply(Changeset{Ops: ops, Adopt: true}); res.Outcome != Applied {
		o.t.Fatalf("got %v, want it adopted", res.Why)
	}
}

// What a change of the structure brought is what its witness shows, not what was there before.
func TestAWitnessShowsWhatTheStructureBrought(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	a, b := o.role("a", "x/a:do"), o.role("b", "x/b:do")
	o.role("c", "x/c:do")
	o.apart("R", 2, "perm:x/a:do", "perm:x/b:do", "perm:x/c:do")
	o.against("ann", a, b, o.role("z"))
	res := o.cannot("sod-violation", GrantPermission{"z", "x/c:do"})
	if len(res.Hits) != 1 || !slices.Contains(res.Hits[0].Witness.atoms(), "perm:x/c:do") {
		t.Errorf("got %+v, want a witness with the permission that is new", res.Hits)
	}
}

// atoms returns what w rests on, sorted.
func (w Witness) atoms() []Atom {
	var out []Atom
	for _, d := range w.Duties {
		for _, p := range d.Paths {
			out = append(out, p.Atom)
		}
	}
	return sorted(out)
}
