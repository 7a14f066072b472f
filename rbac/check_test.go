package rbac

import (
	"fmt"
	"slices"
	"testing"
)

// triples is a world of three roles with a permission each, in duties over more than one of them and rules over more
// than one duty, so that one step touches everything more than once.
func triples(t *testing.T) *Snapshot {
	t.Helper()
	o := newOrg(t)
	for _, x := range []string{"a", "b", "c"} {
		o.role(RoleID(x), Permission("x/"+x+":do"))
	}
	abc := []Atom{"perm:x/a:do", "perm:x/b:do", "perm:x/c:do"}
	for id, e := range map[DutyID]Expr{"0 any": AnyOf(abc...), "1 two": AtLeast(2, abc...), "2 all": AllOf(abc...), "3 c": AnyOf("perm:x/c:do"), "4 b": AnyOf("role:b")} {
		o.does(DefineDuty{Duty{ID: id, Name: string(id), Expr: e}})
	}
	rule := func(id RuleID, ds ...DutyID) {
		o.does(CreateRule{Rule: Rule{ID: id, Kind: Static, Level: Low, Mode: Record, K: 2, Duties: ds}})
	}
	rule("R0", "0 any", "1 two")
	rule("R1", "1 two", "2 all")
	rule("R2", "2 all", "3 c")
	rule("R3", "4 b", "0 any")
	return o.snap()
}

// rows sets the rows of a scratch to what these roles come to.
func (sc *scratch) rows(s *Snapshot, before, after []RoleID) {
	for row, roles := range map[*bitset][]RoleID{&sc.before: before, &sc.after: after} {
		clear(*row)
		for _, r := range roles {
			row.or(s.row(s.roleAt[r]))
		}
		s.settle(*row)
	}
}

// A step looks once at each duty that gained an atom, and once at each rule of those that came to be held.
func TestAStepLooksOnceAndOnlyWhereSomethingIsNew(t *testing.T) {
	t.Parallel()
	s := triples(t)
	sc := s.newScratch()
	for _, tt := range []struct {
		before, after []RoleID
		duties, rules []int32
	}{
		{nil, nil, nil, nil},
		{nil, []RoleID{"a"}, []int32{0, 1, 2}, []int32{0, 3}},
		{nil, []RoleID{"a", "b", "c"}, []int32{0, 1, 2, 3, 4}, []int32{0, 1, 2, 3}},
		{[]RoleID{"a"}, []RoleID{"a", "b"}, []int32{0, 1, 2, 4}, []int32{0, 1, 3}},
		{[]RoleID{"a"}, []RoleID{"b"}, []int32{0, 1, 2, 4}, []int32{3}},
		{[]RoleID{"a", "b"}, []RoleID{"a", "b"}, nil, nil},
		{[]RoleID{"a", "b"}, []RoleID{"b"}, nil, nil},
		{[]RoleID{"a", "b"}, []RoleID{"a", "c"}, []int32{0, 1, 2, 3}, []int32{2}},
	} {
		sc.rows(s, tt.before, tt.after)
		s.gained(sc)
		got, rules := slices.Sorted(slices.Values(sc.touchedDuty)), slices.Sorted(slices.Values(sc.touchedRule))
		if !slices.Equal(got, tt.duties) || !slices.Equal(rules, tt.rules) {
			t.Errorf("from %v to %v: got duties %v and rules %v, want %v and %v", tt.before, tt.after, got, rules, tt.duties, tt.rules)
		}
		clear(sc.seenRule) // whoever asked does this
	}
}

// Counting lists what is not zero and nothing else, however often it is done.
func TestCountingStartsAnew(t *testing.T) {
	t.Parallel()
	s := triples(t)
	sc := s.newScratch()
	for _, tt := range []struct {
		roles        []RoleID
		duties, held []int32 // members held of each duty, duties held of each rule
	}{
		{[]RoleID{"a", "b", "c"}, []int32{3, 3, 3, 1, 1}, []int32{2, 2, 2, 2}},
		{[]RoleID{"a", "c"}, []int32{2, 2, 2, 1, 0}, []int32{2, 1, 1, 1}},
		{[]RoleID{"c"}, []int32{1, 1, 1, 1, 0}, []int32{1, 0, 1, 1}},
		{nil, []int32{0, 0, 0, 0, 0}, []int32{0, 0, 0, 0}},
		{[]RoleID{"a"}, []int32{1, 1, 1, 0, 0}, []int32{1, 0, 0, 1}},
	} {
		sc.rows(s, nil, tt.roles)
		s.count(&sc.tally, sc.after)
		listed := func(list, counts []int32) bool {
			for i, n := range counts {
				if slices.Contains(list, int32(i)) != (n > 0) {
					return false
				}
			}
			return len(list) == len(sorted(list))
		}
		c := &sc.tally
		if !slices.Equal(c.duty, tt.duties) || !slices.Equal(c.rule, tt.held) || !listed(c.duties, c.duty) || !listed(c.rulesFound, c.rule) {
			t.Errorf("%v: got %+v, want duties %v and rules %v", tt.roles, *c, tt.duties, tt.held)
		}
	}
}

// A decision leaves nothing behind for the next one that borrows its memory.
func TestBorrowedMemoryIsEmpty(t *testing.T) {
	t.Parallel()
	s := triples(t)
	for i := range 50 {
		sc := s.borrow()
		if len(sc.contexts) > 0 || len(sc.holdings[0]) > 0 || len(sc.holdings[1]) > 0 {
			t.Fatalf("got %v and %v, want nothing", sc.contexts, sc.holdings)
		}
		sc.contexts.number(fmt.Sprint("org=", i))
		sc.holdings[0] = append(sc.holdings[0], holding{})
		sc.holdings[1] = append(sc.holdings[1], holding{})
		s.give(sc)
	}
}

// The quick answer allocates nothing where there is nothing to report. The race detector drops some of what is given
// back, so that next to nothing is allowed; memory taken anew each time would be far more.
func TestNothingToReportAllocatesNothing(t *testing.T) {
	s := triples(t)
	pop := NewPopulation(s, 0)
	pop.Set(Holder{Subject: "ann", Grants: []Grant{{Account: "ann", Role: "a", Assignment: "1"}}})
	again := Grant{Account: "ann", Role: "a", Assignment: "2"}
	if got := testing.AllocsPerRun(1000, func() { pop.Check("ann", again) }); got > 4 {
		t.Errorf("got %v allocations a check, want none", got)
	}
}

// What the snapshot does not know comes to nothing, and does not stand for anything else.
func TestUnknownRolesAndGroupsComeToNothing(t *testing.T) {
	t.Parallel()
	o, enter, release := ledger(t)
	o.group("0first", enter)
	o.role("0both")
	o.s.Load(Role{ID: "0both", Name: "0both", Permissions: []Permission{"ledger/payment:enter", "ledger/payment:release"}})
	h := Holder{Subject: "ann", Grants: []Grant{{Account: "ann", Role: "gone", Assignment: "1"}, {Account: "ann", Group: "gone"}}}
	if got := o.snap().FindingsOf(h, "R1", o.now); len(got) != 0 {
		t.Errorf("got %+v, want nothing", got)
	}
	h.Grants = append(h.Grants, Grant{Account: "ann", Role: release, Assignment: "2"})
	if got := o.snap().FindingsOf(h, "R1", o.now); len(got) != 0 {
		t.Errorf("got %+v, want nothing", got)
	}
}

// An exception covers its own version of its own rule for its own time; several cover what each does.
func TestWhatExceptionsCover(t *testing.T) {
	t.Parallel()
	o, enter, release := ledger(t)
	h := Holder{Subject: "ann", Grants: []Grant{{Account: "ann", Role: enter, Assignment: "1"}, {Account: "ann", Role: release, Assignment: "2"}}}
	x := func(rule RuleID, version int, from, to Instant) Exception {
		return Exception{Rule: rule, Version: version, Subject: "ann", During: Window{from, to}}
	}
	for _, tt := range []struct {
		name string
		xs   []Exception
		want []Window
	}{
		{"none", nil, []Window{{From: 1000}}},
		{"one", []Exception{x("R1", 1, 500, 2000)}, []Window{{From: 2000}}},
		{"two in turn, the later one first", []Exception{x("R1", 1, 3000, 4000), x("R1", 1, 1000, 2000)}, []Window{{2000, 3000}, {From: 4000}}},
		{"of another version", []Exception{x("R1", 2, 500, 2000)}, []Window{{From: 1000}}},
		{"of another rule", []Exception{x("R2", 1, 500, 2000), x("R1", 1, 1000, 1500)}, []Window{{From: 1500}}},
		{"for ever", []Exception{x("R1", 1, 0, 0)}, nil},
	} {
		h.Exceptions = tt.xs
		got := o.snap().FindingsOf(h, "R1", o.now)
		if len(got) != 1 || !slices.Equal(got[0].Uncovered, tt.want) || !slices.Equal(got[0].During, []Window{{From: 1000}}) {
			t.Errorf("%s: got %+v, want %v uncovered", tt.name, got, tt.want)
		}
	}
}

// A ceiling scope is held with any of its permissions, an exact one with all, an empty one by nobody; and what
// explains a conflict does not rest on one that is not held.
func TestWhenAScopeIsHeld(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	for _, x := range []string{"a", "b", "c", "z"} {
		o.role(RoleID(x), Permission("x/"+x+":do"))
	}
	both := []Permission{"x/a:do", "x/b:do"}
	o.does(DefineScope{Scope{ID: "x/any", Permissions: both}}, DefineScope{Scope{ID: "x/all", Permissions: both, Mode: ScopeExact}},
		DefineScope{Scope{ID: "x/none"}}, DefineScope{Scope{ID: "x/no", Mode: ScopeExact}}, DefineScope{Scope{ID: "x/c", Permissions: []Permission{"x/c:do"}}})
	for i, sc := range []Atom{"scope:x/any", "scope:x/all", "scope:x/none", "scope:x/no", "scope:x/c"} {
		o.s.Load(Rule{ID: RuleID(fmt.Sprint("R", i)), Kind: Static, Level: Low, Mode: Record, K: 2, Duties: o.duties(sc, "perm:x/z:do"), Version: 1})
	}
	o.s.Load(Rule{ID: "R5", Kind: Static, Level: Low, Mode: Record, K: 2, Duties: o.duties("scope:x/none", "scope:x/no", "scope:x/any", "perm:x/z:do"), Version: 1})
	snap := o.snap()
	for _, tt := range []struct {
		roles []RoleID
		want  []RuleID
	}{
		{[]RoleID{"z"}, nil},
		{[]RoleID{"z", "a"}, []RuleID{"R0", "R5"}},
		{[]RoleID{"z", "b"}, []RuleID{"R0", "R5"}},
		{[]RoleID{"z", "c"}, []RuleID{"R4"}},
		{[]RoleID{"z", "a", "b"}, []RuleID{"R0", "R1", "R5"}},
		{[]RoleID{"a", "b", "c"}, nil},
	} {
		h := Holder{Subject: "ann"}
		for _, r := range tt.roles {
			h.Grants = append(h.Grants, Grant{Account: "ann", Role: r, Assignment: AssignmentID(r)})
		}
		var got []RuleID
		for _, f := range snap.Findings(h, o.now) {
			got = append(got, f.Rule)
			rests := f.Witness.atoms()
			if want := map[RuleID]int{"R1": 3}[f.Rule]; len(rests) != max(2, want) || !slices.Contains(rests, "perm:x/z:do") {
				t.Errorf("%v: the witness of %s rests on %v", tt.roles, f.Rule, rests)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v: got %v, want %v", tt.roles, got, tt.want)
		}
	}
}
