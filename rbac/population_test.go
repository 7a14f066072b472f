package rbac

import (
	"fmt"
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

// crowd is n people of whom each holds, by the bits of their number, the roles a, b and c, under rules that keep any two
// of them apart, all three, and a from b.
func crowd(t *testing.T, n int) (*org, *Population) {
	t.Helper()
	o := newOrg(t)
	abc := []RoleID{"a", "b", "c"}
	for _, r := range abc {
		o.role(r)
		o.does(DefineDuty{Duty{ID: DutyID(r), Name: string(r), Expr: AnyOf(r.Atom())}})
	}
	o.does(DefineDuty{Duty{ID: "both", Name: "both", Expr: AllOf("role:a", "role:b")}})
	rule := func(id RuleID, k int, mode Mode, ds ...DutyID) {
		o.does(CreateRule{Rule: Rule{ID: id, Kind: Static, Level: Low, Mode: mode, K: k, Duties: ds}})
	}
	rule("R2", 2, Record, "a", "b", "c")
	rule("R3", 3, Block, "c", "a", "b")
	rule("Rab", 2, Simulate, "a", "b")
	pop := NewPopulation(o.snap(), o.now)
	for i := range n {
		pop.Set(holderOf(person(i), abc, i&7))
	}
	return o, pop
}

func person(i int) SubjectID { return SubjectID(fmt.Sprintf("p%04d", i)) }

// However many people there are, those are found who are in conflict.
func TestACrowd(t *testing.T) {
	t.Parallel()
	const n = 2600 // room is made for 1,024 people and twice doubled
	o, pop := crowd(t, n)
	if pop.Len() != n {
		t.Errorf("got %d people, want %d", pop.Len(), n)
	}
	for id, want := range map[DutyID]int{"a": n / 2, "b": n / 2, "c": n / 2, "both": n / 4, "none": 0} {
		if got := pop.Holders(id); got != want {
			t.Errorf("%d people hold %s, want %d", got, id, want)
		}
	}
	breaks := map[RuleID]func(held int) bool{
		"R2":  func(held int) bool { return held == 3 || held >= 5 },
		"R3":  func(held int) bool { return held == 7 },
		"Rab": func(held int) bool { return held&3 == 3 },
	}
	scanned := map[CaseKey]bool{}
	pop.Scan(func(x SubjectID, r RuleID) { scanned[CaseKey{r, x}] = true })
	for id, broken := range breaks {
		who, err := pop.Violators(o.s.Rules[id])
		if err != nil {
			t.Fatal(err)
		}
		found := map[SubjectID]bool{}
		for _, x := range who {
			found[x] = true
		}
		for i := range n {
			x, want := person(i), broken(i&7)
			if found[x] != want {
				t.Fatalf("%s and %s: got %v, want %v", x, id, found[x], want)
			}
			if filed := want && id != "Rab"; scanned[CaseKey{id, x}] != filed {
				t.Fatalf("%s and %s by scan: got %v, want %v", x, id, !filed, filed)
			}
		}
	}
	// People change: what is kept is what they hold now.
	for i := range n {
		pop.Set(holderOf(person(i), []RoleID{"a", "b", "c"}, i&7>>1))
	}
	for id, want := range map[DutyID]int{"a": n / 2, "b": n / 2, "c": 0, "both": n / 4} {
		if got := pop.Holders(id); got != want {
			t.Errorf("then %d people hold %s, want %d", got, id, want)
		}
	}
}

func TestRulesThatNobodyCanBeHeldAgainst(t *testing.T) {
	t.Parallel()
	o, pop := crowd(t, 8)
	for name, r := range map[string]Rule{
		"rule-invalid": {ID: "X", Kind: Static, Level: Low, Mode: Record, K: 1, Duties: []DutyID{"a", "b"}},
		"not-found":    {ID: "X", Kind: Static, Level: Low, Mode: Record, K: 2, Duties: []DutyID{"a", "none"}},
	} {
		if who, err := pop.Violators(r); err == nil || len(who) != 0 {
			t.Errorf("got %v %v, want %s", who, err, name)
		}
	}
	r := o.s.Rules["Rab"]
	for during, want := range map[Window]int{{}: 2, {1, 1000}: 0, {1, 1001}: 2, {From: 5000}: 2} {
		r.During = during
		if who, err := pop.Violators(r); err != nil || len(who) != want {
			t.Errorf("in force in %v: got %v %v, want %d people", during, who, err, want)
		}
	}
	// Nor is anybody, once a rule is over.
	r = o.s.Rules["R2"]
	r.During = Window{1, 1000}
	o.s.Load(r)
	over := pop.Rebase(o.snap())
	over.Scan(func(x SubjectID, r RuleID) {
		if r != "R3" {
			t.Errorf("%s is over, and %s against it", r, x)
		}
	})
	if got := over.Check(person(1), grant("p", "b", "x")); !slices.Equal(got, []RuleID{"Rab"}) {
		t.Errorf("got %v, want Rab alone", got)
	}
	if got := pop.Check("nobody", grant("p", "b", "x")); got != nil {
		t.Errorf("got %v for nobody", got)
	}
	if got := pop.Check(person(1), grant("p", "b", "x")); !slices.Equal(got, []RuleID{"R2", "Rab"}) {
		t.Errorf("got %v, want R2 and Rab", got)
	}
}

// Whoever keeps everything for good and everywhere is known by their duties alone; everybody else is looked at.
func TestWhoIsLookedAtOneByOne(t *testing.T) {
	t.Parallel()
	o, enter, release := ledger(t)
	r := o.s.Rules["R1"]
	r.Join = SameContext
	at := func(r RoleID, f func(*Grant)) Grant {
		g := grant("ann", r, AssignmentID(r))
		f(&g)
		return g
	}
	plainly := func(*Grant) {}
	for _, tt := range []struct {
		name       string
		grants     []Grant
		plain, bad bool
	}{
		{"for good", []Grant{at(enter, plainly), at(release, plainly)}, true, true},
		{"half of it", []Grant{at(enter, plainly)}, true, false},
		{"from some day on", []Grant{at(enter, func(g *Grant) { g.During.From = 2000 }), at(release, func(g *Grant) { g.During.From = 3000 })}, true, true},
		{"one after the other", []Grant{at(enter, func(g *Grant) { g.During.To = 2000 }), at(release, func(g *Grant) { g.During.From = 2000 })}, false, false},
		{"for a while", []Grant{at(enter, func(g *Grant) { g.During.To = 2000 }), at(release, plainly)}, false, true},
		{"no more", []Grant{at(enter, func(g *Grant) { g.During.To = 1000 }), at(release, plainly)}, false, false},
		{"in two contexts", []Grant{at(enter, func(g *Grant) { g.Context = "org=1" }), at(release, func(g *Grant) { g.Context = "org=2" })}, false, false},
		{"in one context", []Grant{at(enter, func(g *Grant) { g.Context = "org=1" }), at(release, func(g *Grant) { g.Context = "org=1" })}, false, true},
		{"by a workload", []Grant{at(enter, func(g *Grant) { g.Owned = true }), at(release, plainly)}, false, false},
		{"the last of two bounded", []Grant{at(release, plainly), at(enter, func(g *Grant) { g.During.To = 2000 })}, false, true},
		{"the first of two in a context", []Grant{at(enter, func(g *Grant) { g.Context = "org=1" }), at(release, plainly)}, false, true},
	} {
		pop := NewPopulation(o.snap(), o.now)
		pop.Set(Holder{Subject: "ann", Grants: tt.grants})
		who, err := pop.Violators(r)
		if err != nil || (len(who) == 1) != tt.bad || pop.plain.has(0) != tt.plain {
			t.Errorf("%s: got %v %v, plain %v, want %v and %v", tt.name, who, err, pop.plain.has(0), tt.bad, tt.plain)
		}
	}
}

// What an exception covers is not reported, as long as the person has it.
func TestThePopulationKnowsExceptions(t *testing.T) {
	t.Parallel()
	o, enter, release := ledger(t)
	h := Holder{Subject: "ann", Grants: []Grant{grant("ann", enter, "1")}}
	pop := NewPopulation(o.snap(), o.now)
	check := func(p *Population, want ...RuleID) {
		t.Helper()
		if got := p.Check("ann", grant("ann", release, "2")); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	pop.Set(h)
	check(pop, "R1")
	h.Exceptions = []Exception{{Rule: "R1", Version: 1, Subject: "ann"}}
	pop.Set(h)
	check(pop)
	check(pop.Rebase(o.snap()))
	h.Exceptions = nil
	pop.Set(h)
	check(pop, "R1")
}

// Under another structure nobody holds what it does not know, and whoever it brings into conflict is shown, each rule
// and each person.
func TestAPreviewOfAnotherStructure(t *testing.T) {
	t.Parallel()
	o, enter, release := ledger(t)
	for _, r := range []RoleID{"first", "mid", "z"} {
		o.role(r)
	}
	o.role("y", "ledger/payment:release")
	o.does(CreateGroup{Group{ID: "gone", Name: "gone", Roles: []RoleID{release}}}, CreateGroup{Group{ID: "a", Name: "a"}}, CreateGroup{Group{ID: "kept", Name: "kept"}})
	o.does(CreateRule{Rule: Rule{ID: "R2", Kind: Static, Level: Low, Mode: Warn, K: 2, Duties: o.duties(enter.Atom(), "role:mid")}})
	pop := NewPopulation(o.snap(), o.now)
	excused := []Exception{{Rule: "R1", Version: 1, Subject: "excused"}}
	for _, h := range []Holder{
		{Subject: "ann", Grants: []Grant{grant("ann", enter, "1"), grant("ann", "z", "2")}},
		{Subject: "bob", Grants: []Grant{grant("bob", enter, "1"), grant("bob", "y", "2")}}, // in conflict already
		{Subject: "eve", Grants: []Grant{grant("eve", enter, "1"), {Account: "eve", Group: "kept"}}},
		{Subject: "excused", Grants: []Grant{grant("excused", enter, "1"), grant("excused", "z", "2")}, Exceptions: excused},
		{Subject: "joe", Grants: []Grant{grant("joe", enter, "1"), {Account: "joe", Group: "gone"}}},
		{Subject: "kim", Grants: []Grant{grant("kim", "z", "1"), grant("kim", "first", "2")}},
		{Subject: "lea", Grants: []Grant{grant("lea", enter, "1"), grant("lea", "first", "2")}},
	} {
		pop.Set(h)
	}
	shows := func(p Policy, want ...CaseKey) *Population {
		t.Helper()
		after, err := Compile(p, 9)
		if err != nil {
			t.Fatal(err)
		}
		var got []CaseKey
		pop.Preview(after, func(x SubjectID, r RuleID) { got = append(got, CaseKey{r, x}) })
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		return pop.Rebase(after)
	}
	shows(o.s.Policy.Clone())
	p := o.s.Policy.Clone()
	r := p.Roles["z"]
	r.Permissions, r.Juniors = []Permission{"ledger/payment:release"}, []Junior{{Role: "mid"}}
	p.Roles["z"] = r
	shows(p, CaseKey{"R1", "ann"}, CaseKey{"R2", "ann"}, CaseKey{"R2", "excused"})

	p = o.s.Policy.Clone()
	g := p.Groups["kept"]
	g.Roles = []RoleID{"y"}
	p.Groups["kept"] = g
	shows(p, CaseKey{"R1", "eve"})

	// The first role and a group are gone: those who held them hold nothing else instead.
	p = o.s.Policy.Clone()
	delete(p.Roles, "first")
	delete(p.Roles, "y")
	delete(p.Groups, "gone")
	g = p.Groups["a"]
	g.Roles = []RoleID{release}
	p.Groups["a"] = g
	small := shows(p)
	for duty, want := range map[DutyID]int{o.s.Rules["R1"].Duties[0]: 6, o.s.Rules["R1"].Duties[1]: 0, o.s.Rules["R2"].Duties[1]: 0} {
		if got := small.Holders(duty); got != want {
			t.Errorf("%d people hold %s, want %d", got, duty, want)
		}
	}
	if got := small.Check("joe", grant("joe", release, "9")); !slices.Equal(got, []RuleID{"R1"}) {
		t.Errorf("got %v, want R1", got)
	}
}

// A scope that comes to be held with less brings conflicts although no role came to anything else.
func TestAPreviewOfAnotherScope(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	o.role("a", "x/a:do")
	o.role("b", "x/b:do")
	o.role("z", "x/z:do")
	sc := Scope{ID: "x/s", Permissions: []Permission{"x/a:do", "x/b:do"}, Mode: ScopeExact}
	o.does(DefineScope{sc})
	o.apart("R", 2, "scope:x/s", "perm:x/z:do")
	pop := NewPopulation(o.snap(), o.now)
	pop.Set(Holder{Subject: "ann", Grants: []Grant{grant("ann", "a", "1"), grant("ann", "z", "2")}})
	p := o.s.Policy.Clone()
	sc.Mode = ScopeCeiling
	p.Scopes[sc.ID] = sc
	after, err := Compile(p, 9)
	if err != nil {
		t.Fatal(err)
	}
	var got []CaseKey
	pop.Preview(after, func(x SubjectID, r RuleID) { got = append(got, CaseKey{r, x}) })
	if !slices.Equal(got, []CaseKey{{"R", "ann"}}) {
		t.Errorf("got %v, want ann against R", got)
	}
}
