package rbac

import (
	"fmt"
	"slices"
	"testing"
)

// limit makes a role that so many people must and may hold.
func (o *org) limit(id RoleID, least, most int) RoleID {
	o.t.Helper()
	o.does(CreateRole{Role{ID: id, Name: string(id), MinAssignees: least, MaxAssignees: most}})
	return id
}

// people makes persons with one account each.
func (o *org) people(ids ...SubjectID) {
	o.t.Helper()
	for _, id := range ids {
		o.person(id)
	}
}

// Persons are counted who hold a role by assignment, by delegation or through a group, however deep, once each, and
// not by inheritance; from now on, and whenever their number may change.
func TestWhoIsCountedInARole(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	role := o.role("role")
	o.role("senior")
	o.does(AddInheritance{Senior: "senior", Junior: role})
	o.people("ann", "bob", "eve", "joe", "kim", "lea", "max", "old")
	o.does(AddAccount{Account{"ann2", "ann"}})
	o.group("top", role)
	o.group("mid")
	o.group("low")
	o.group("apart")
	o.does(AddGroupEdge{"top", "mid"}, AddGroupEdge{"mid", "low"}, AddGroupEdge{"top", "low"}, AddGroupEdge{"apart", "top"})
	o.s.Load(
		Assignment{ID: "1", Account: "ann", Role: role, During: Window{From: 500, To: 3000}},
		Assignment{ID: "2", Account: "ann2", Role: role, During: Window{From: 500, To: 4000}},
		Assignment{ID: "3", Account: "bob", Role: role, During: Window{From: 2000, To: 3000}},
		Assignment{ID: "4", Account: "kim", Role: "senior"},
		Assignment{ID: "5", Account: "old", Role: role, During: Window{From: 500, To: 1000}},
		Delegation{"d1", "ann", "eve", []RoleID{"other", role}, Window{1500, 2000}},
		Delegation{"d2", "ann", "kim", []RoleID{"other"}, Window{1100, 1200}},
		Delegation{"d3", "ann", "old", []RoleID{role}, Window{1500, 2000}},
		Membership{"low", "joe", Window{}}, Membership{"low", "lea", Window{From: 1700}}, Membership{"mid", "lea", Window{From: 1700}},
		Membership{"apart", "max", Window{}},
	)
	got := newEdit(o.s, By{}, o.now).profile(role)
	wantAt, want := []Instant{1000, 1500, 1700, 2000, 3000, 4000, Forever}, []int{2, 4, 5, 4, 3, 2, 0}
	if !slices.Equal(got.at, wantAt) || !slices.Equal(got.people, want) {
		t.Errorf("got %v at %v, want %v at %v", got.people, got.at, want, wantAt)
	}
	for at, want := range map[Instant]int{1000: 2, 1499: 2, 1500: 4, 2999: 4, 3000: 3, 5000: 2} {
		if n := got.when(at); n != want {
			t.Errorf("got %d people at %d, want %d", n, at, want)
		}
	}
}

// A group that is in another by a million ways is in it.
func TestGroupsThatContainEachOtherInManyWays(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	role := o.limit("role", 0, 1)
	const depth = 40
	name := func(level, i int) GroupID { return GroupID(fmt.Sprint("g", level, "-", i)) }
	for level := range depth {
		for i := range 2 {
			g := Group{ID: name(level, i), Name: string(name(level, i))}
			if level > 0 {
				g.Children = []GroupID{name(level-1, 0), name(level-1, 1)}
			}
			if level == depth-1 {
				g.Roles = []RoleID{role}
			}
			o.s.Load(g)
		}
	}
	o.people("ann", "bob")
	o.does(AddMember{Membership{Group: name(0, 0), Account: "ann"}}, AddMember{Membership{Group: name(0, 1), Account: "ann"}})
	o.cannot("cardinality-exceeded", AddMember{Membership{Group: name(0, 1), Account: "bob"}})
}

func TestTooManyPeople(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	a, b := o.limit("a", 0, 2), o.limit("b", 0, 1)
	o.people("ann", "bob", "eve", "joe")
	o.does(o.assign("ann", a), o.assign("bob", a), o.assign("ann", b))
	o.cannot("cardinality-exceeded", o.assign("eve", a))
	o.cannot("cardinality-exceeded", o.assign("eve", b))
	// By delegation and through a group one holds it too.
	o.cannot("cardinality-exceeded", Delegate{Delegation{"d", "ann", "eve", []RoleID{a}, Window{To: 2000}}})
	o.group("outer", b)
	o.group("inner")
	o.does(AddGroupEdge{"outer", "inner"}, AddMember{Membership{Group: "inner", Account: "ann"}})
	o.cannot("cardinality-exceeded", AddMember{Membership{Group: "inner", Account: "bob"}})

	// Where there were as many before, against the same limit, that was not this change's doing.
	o.s.Load(Assignment{ID: "loaded", Account: "eve", Role: a})
	o.now++
	o.does(Withdraw{"loaded"}, o.assign("joe", a))
	o.cannot("cardinality-exceeded", o.assign("eve", a))
	// That there were too many once is no reason for too many later.
	c := o.limit("c", 0, 1)
	once := Window{From: o.now, To: 2000}
	o.s.Load(Assignment{ID: "c1", Account: "ann", Role: c, During: once}, Assignment{ID: "c2", Account: "bob", Role: c, During: once})
	o.cannot("cardinality-exceeded", o.assign("ann", c, Window{From: 3000}), o.assign("bob", c, Window{From: 3000}))
	o.does(o.assign("ann", c, Window{From: 3000}))
}

func TestPrerequisites(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	basic, other := o.role("basic"), o.role("other")
	o.role("first")
	o.does(CreateRole{Role{ID: "a", Name: "a", Prerequisite: Cond{Role: basic}}}, CreateRole{Role{ID: "b", Name: "b", Prerequisite: Cond{Role: basic}}},
		AddInheritance{Senior: "first", Junior: basic})
	o.people("ann", "bob", "eve")
	o.does(o.assign("eve", basic), o.assign("eve", "a"), o.assign("eve", "b")) // who meets everything and is asked first
	o.s.Load(Assignment{ID: "0", Account: "ann", Role: "a"})                   // from before there was a prerequisite: left alone
	o.does(o.assign("ann", other))
	o.does(o.assign("bob", "first"), o.assign("bob", "a"))
	// Those who meet it only through the hierarchy rest on it, although nobody touches them.
	o.cannot("prerequisite-missing", DeleteInheritance{Senior: "first", Junior: basic})
	o.does(o.assign("bob", "b"))
	o.cannot("prerequisite-missing", DeleteInheritance{Senior: "first", Junior: basic})
	o.cannot("prerequisite-missing", Withdraw{"as5"})
	// Another prerequisite is asked of everybody.
	r := o.s.Roles["a"]
	r.Risk = 7
	o.does(EditRole{r})
	r.Prerequisite = Cond{Role: other}
	o.cannot("prerequisite-missing", EditRole{r})
	// It is asked of everybody's role in turn, each at the start of the assignment.
	o.cannot("prerequisite-missing", o.assign("ann", "b"))
	o.cannot("prerequisite-missing", o.assign("ann", basic, Window{From: 2000}), o.assign("ann", "b", Window{From: 1999}))
	o.does(o.assign("ann", basic, Window{From: 2000}), o.assign("ann", "b", Window{From: 2000}))
}

func TestConditionsThatAreTheSame(t *testing.T) {
	t.Parallel()
	cs := []Cond{{}, {Role: "a"}, {Role: "b"}, {Role: "a", Not: true}, {Not: true},
		{Any: []Cond{{Role: "a"}}}, {All: []Cond{{Role: "a"}}}, {Any: []Cond{{Role: "b"}}}, {All: []Cond{{Role: "b"}}}, {All: []Cond{{Role: "a"}, {Role: "b"}}},
		{Role: "a", Any: []Cond{{Role: "a"}}}, {Role: "a", All: []Cond{{Role: "a"}}}, {All: []Cond{{All: []Cond{{Role: "a"}}}}}, {All: []Cond{{Any: []Cond{{Role: "a"}}}}}}
	for i, a := range cs {
		for j, b := range cs {
			if got := sameCond(a, b); got != (i == j) {
				t.Errorf("%+v and %+v are the same: got %v", a, b, got)
			}
		}
	}
}

// What is taken in as found may break a rule by itself: then it is for nobody any more.
func TestAnAdoptedRoleThatBreaksARuleIsForNobody(t *testing.T) {
	t.Parallel()
	o, enter, release := ledger(t)
	both := []Permission{"ledger/payment:enter", "ledger/payment:release"}
	y, z := CreateRole{Role{ID: "y", Name: "y", Permissions: both}}, CreateRole{Role{ID: "z", Name: "z", Permissions: both}}
	o.cannot("role-self-conflict", z)
	res := o.apply(Changeset{Ops: []Op{y, z}, Adopt: true})
	if res.Outcome != Applied || !o.s.Roles["y"].Unassignable || !o.s.Roles["z"].Unassignable || o.s.Roles[enter].Unassignable {
		t.Errorf("got %v and %+v, want y and z unassignable", res.Why, o.s.Roles)
	}
	o.cannot("role-not-assignable", o.assign("ann", "z"))
	o.does(o.assign("ann", release))
}

func TestTooFewPeople(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	a, b := o.limit("a", 2, 0), o.limit("b", 1, 3)
	o.people("ann", "bob", "eve")
	o.does(o.assign("ann", a)) // to have too few yet is no mistake
	o.does(o.assign("bob", a), o.assign("eve", a), o.assign("ann", b), o.assign("bob", b))
	o.now++
	o.does(Withdraw{"as1"}) // as many as it takes are left
	o.cannot("cardinality-underflow", Withdraw{"as2"})
	o.does(Withdraw{"as2"}, o.assign("ann", a))
	o.does(Withdraw{"as4"})
	o.cannot("cardinality-underflow", Withdraw{"as5"})
	// A minimum that the same change sets asks nothing of it.
	r := o.s.Roles[b]
	r.MinAssignees, r.MaxAssignees = 0, 0
	o.does(EditRole{r})
	r.MinAssignees = 1
	o.does(EditRole{r}, Withdraw{"as5"})
}
