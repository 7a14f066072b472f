package rbac

import (
	"fmt"
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

func TestARuleThatComesToBlockIsHeldAgainstThoseWhoBreakIt(t *testing.T) {
	t.Parallel()
	o, enter, release := ledger(t)
	for _, id := range []RuleID{"R2", "R3"} {
		r := o.s.Rules["R1"]
		r.ID, r.Mode = id, Record
		o.does(CreateRule{Rule: r})
	}
	o.against("ann", enter, release)
	two, three := o.s.Rules["R2"], o.s.Rules["R3"]
	two.Mode, three.Mode = Block, Block
	res := o.cannot("existing-violations", EditRule{Rule: two}, EditRule{Rule: three})
	if len(res.Hits) != 2 || res.Hits[0].Rule != "R2" || res.Hits[1].Rule != "R3" {
		t.Fatalf("got %+v, want R2 and R3", res.Hits)
	}
	for _, h := range res.Hits {
		if h.Change != Stands || h.Subject != "ann" || len(h.Witness.Duties) != 2 {
			t.Errorf("got %+v, want what ann holds, with both duties", h)
		}
	}
	o.cannot("existing-violations", EditRule{Rule: two, Grandfather: true}, EditRule{Rule: three})
	o.does(EditRule{Rule: two, Grandfather: true}, EditRule{Rule: three, Grandfather: true})
	for _, id := range []RuleID{"R2", "R3"} {
		if c := o.s.Cases[CaseKey{id, "ann"}]; c.State != CaseOpen {
			t.Errorf("got %+v, want the case of %s open", c, id)
		}
	}
}

// What stood against a rule that blocked already holds up no edit of it.
func TestARuleThatBlockedAndWasBrokenCanBeEdited(t *testing.T) {
	t.Parallel()
	o, enter, release := ledger(t)
	o.against("ann", enter, release)
	audit := o.role("audit", "ledger/payment:audit")
	r := o.s.Rules["R1"]
	r.Duties = append(slices.Clone(r.Duties), o.duties("perm:ledger/payment:audit")...)
	o.does(EditRule{Rule: r})
	if got := o.s.Rules["R1"].Version; got != 2 {
		t.Errorf("got version %d, want 2", got)
	}
	// That it finds somebody else is another matter.
	o.does(o.assign("bob", audit))
	o.s.Load(Assignment{ID: "loaded", Account: "bob", Role: enter})
	r = o.s.Rules["R1"]
	r.Owned = true
	o.does(EditRule{Rule: r}) // bob was against it before, by what was loaded
	r.Mode = Warn
	o.does(EditRule{Rule: r})
	r.Mode = Block
	if res := o.cannot("existing-violations", EditRule{Rule: r}); len(res.Hits) != 2 {
		t.Errorf("got %+v, want ann and bob: it did not block before", res.Hits)
	}
}

// What an exception of the old version covered stands uncovered against the new one, even where the new one says
// the same in the end.
func TestANewVersionOfARuleIsHeldAgainstWhatWasExcused(t *testing.T) {
	t.Parallel()
	o, enter, release := ledger(t)
	for i, during := range []Window{{From: o.now, To: 2000}, {From: 2000, To: 3000}} { // one after the other
		o.does(GrantException{Exception{ID: ExceptionID(fmt.Sprint("x", i)), Rule: "R1", Version: 1, Subject: "ann", Approvers: []SubjectID{"bob"}, During: during}})
	}
	o.does(o.assign("ann", enter, Window{From: o.now, To: 3000}), o.assign("ann", release, Window{From: o.now, To: 3000}))
	r, same := o.s.Rules["R1"], o.s.Rules["R1"]
	r.Owned = true
	o.cannot("existing-violations", EditRule{Rule: r})
	o.cannot("existing-violations", EditRule{Rule: r}, EditRule{Rule: same})
	o.does(EditRule{Rule: same})
	if got := o.s.Rules["R1"].Version; got != 1 {
		t.Errorf("a rule that says the same has version %d, want 1", got)
	}
}

// A rule that did not change holds nothing up: taking an exception away passes, whatever else the change is of.
func TestAnExceptionCanBeRevokedTogetherWithAnything(t *testing.T) {
	t.Parallel()
	o, enter, release := ledger(t)
	d := o.duties(enter.Atom(), release.Atom())
	o.does(CreateRule{Rule: Rule{ID: "R2", Kind: Static, Level: Low, Mode: Record, K: 2, Duties: d}})
	o.person("eve")
	o.does(GrantException{Exception{ID: "x", Rule: "R1", Version: 1, Subject: "ann", Approvers: []SubjectID{"eve"}, During: Window{From: o.now, To: 2000}}})
	o.does(o.assign("ann", enter), o.assign("ann", release, Window{From: o.now, To: 2000}))
	other := o.role("other")
	edited := o.s.Rules["R2"]
	edited.Mode = Warn
	for _, op := range []Op{GrantPermission{other, "ledger/payment:enter"}, EditRule{Rule: edited}, DeleteRule{"R2"}} {
		res := o.apply(Changeset{Ops: []Op{RevokeException{"x"}, op}, DryRun: true})
		if res.Outcome != Applied {
			t.Errorf("with %T%+v: got %v, want it applied", op, op, res.Why)
		}
	}
	o.does(RevokeException{"x"}, GrantPermission{other, "ledger/payment:enter"})
	if c := o.s.Cases[CaseKey{"R1", "ann"}]; c.State != CaseOpen {
		t.Errorf("got %+v, want the case open", c)
	}
}

// Whoever holds what changes is looked at, through whatever they hold it, and nobody else.
func TestWhomAChangeOfTheStructureTouches(t *testing.T) {
	t.Parallel()
	o, _, _ := ledger(t)
	const power = Permission("ledger/payment:release")
	role, idle := o.role("role"), o.role("idle")
	inner, outer, spare := o.group("inner"), o.group("outer"), o.group("spare")
	o.does(AddGroupEdge{outer, inner})
	for _, id := range []SubjectID{"one", "two", "member", "member2", "deputy", "deputy2"} {
		o.person(id)
	}
	o.does(AddSubject{Subject{ID: "job", Kind: Workload, Owner: "bob"}}, AddAccount{Account{"job", "job"}}, AddSubject{Subject{ID: "bot", Kind: Workload, Owner: "ann"}},
		AddAccount{Account{"bot", "bot"}})
	to := Window{From: o.now, To: 2000}
	o.does(o.assign("one", role), o.assign("two", role), o.assign("job", role), o.assign("bot", idle),
		AddMember{Membership{Group: inner, Account: "member"}}, AddMember{Membership{Group: inner, Account: "member2"}},
		Delegate{Delegation{"d1", "one", "deputy", []RoleID{role}, to}}, Delegate{Delegation{"d2", "two", "deputy2", []RoleID{role}, to}})
	holders, members := []SubjectID{"bob", "deputy", "deputy2", "job", "one", "two"}, []SubjectID{"member", "member2"}
	for _, tt := range []struct {
		name string
		op   Op
		want []SubjectID
	}{
		{"a role", GrantPermission{role, power}, holders},
		{"what a role inherits", AddInheritance{Senior: role, Junior: "release"}, holders},
		{"a group", AddGroupRole{inner, "release"}, members},
		{"a group around a group", AddGroupRole{outer, "release"}, members},
		{"a group of nobody", AddGroupRole{spare, "release"}, nil},
		{"a role in nobody's hands", CreateRole{Role{ID: "new", Name: "new", Permissions: []Permission{power}}}, nil},
		{"a new group", CreateGroup{Group{ID: "new", Name: "new", Roles: []RoleID{"release"}}}, nil},
		{"what no rule speaks of", DefinePermission{PermissionDef{ID: "x/y:z"}}, nil},
		{"what a workload holds", GrantPermission{idle, power}, []SubjectID{"ann", "bot"}},
		{"an assignment", o.assign("job", "release"), []SubjectID{"bob", "job"}},
		{"a rule", DeleteRule{"R1"}, sortedKeys(o.s.Subjects)},
		{"time", Sweep{}, sortedKeys(o.s.Subjects)},
	} {
		res := o.apply(Changeset{Ops: []Op{tt.op}, DryRun: true})
		if res.Outcome != Applied || !slices.Equal(res.Affected, tt.want) {
			t.Errorf("%s: got %v %v, want %v", tt.name, res.Affected, res.Why, tt.want)
		}
	}
	// What was only a role among others becomes what a rule speaks of through a group of its own.
	o.does(o.assign("two", "enter"), o.assign("bob", "enter"), AddMember{Membership{Group: spare, Account: "bob"}})
	o.cannot("sod-violation", AddGroupRole{spare, "release"})
	r := o.s.Rules["R1"]
	r.Owned = true
	o.does(EditRule{Rule: r})
	if res := o.cannot("sod-violation", GrantPermission{role, power}); len(res.Hits) != 2 || res.Hits[0].Subject != "bob" || res.Hits[1].Subject != "two" {
		t.Errorf("got %+v, want bob for the workload and two", res.Hits)
	}
}

// A scope that comes to mean something else concerns everybody.
func TestAScopeThatChangesIsHeldAgainstEverybody(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	a, b, c := o.role("a", "x/a:do"), o.role("b", "x/b:do"), o.role("c", "x/c:do")
	all := Scope{ID: "x/all", Permissions: []Permission{"x/a:do", "x/b:do"}, Mode: ScopeExact}
	o.does(DefineScope{all}, DefineScope{Scope{ID: "x/z", Permissions: []Permission{"x/c:do"}}})
	o.apart("R", 2, "scope:x/all", "perm:x/c:do")
	o.does(DefineDuty{Duty{ID: "all three", Name: "all three", Expr: AllOf("perm:x/a:do", "perm:x/b:do", "scope:x/z")}})
	o.person("ann")
	o.person("bob")
	o.does(o.assign("ann", a), o.assign("ann", c), o.assign("bob", b))
	ceiling, fewer := all, all
	ceiling.Mode = ScopeCeiling
	fewer.Permissions = []Permission{"x/a:do"}
	for _, sc := range []Scope{ceiling, fewer} {
		if res := o.cannot("sod-violation", DefineScope{sc}); len(res.Affected) != 2 || len(res.Hits) != 1 || res.Hits[0].Subject != "ann" {
			t.Errorf("%+v: got %v and %+v, want ann alone in conflict, and both looked at", sc, res.Affected, res.Hits)
		}
	}
	if res := o.does(DefineScope{all}); len(res.Affected) != 0 {
		t.Errorf("a scope that stays as it was touches %v", res.Affected)
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

// A rule that is deleted leaves no violation, and its cases are closed: those of people and its own.
func TestDeletedRulesCloseTheirCases(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	a, b, c := o.role("a", "x/a:do"), o.role("b", "x/b:do"), o.role("c", "x/c:do")
	o.apart("R1", 2, "perm:x/a:do", "perm:x/b:do")
	o.apart("R2", 3, "perm:x/a:do", "perm:x/b:do", "perm:x/c:do")
	o.against("ann", a, b, c)
	o.does(DropPermission{"x/c:do", true})
	o.does(DropPermission{"x/b:do", true})
	var open int
	for _, c := range o.s.Cases {
		if c.State == CaseInvalid {
			open++
		}
	}
	if open != 2 {
		t.Fatalf("got %d rules that say they lost an atom, want 2", open)
	}
	o.does(DeleteRule{"R1"}, DeleteRule{"R2"})
	for key, c := range o.s.Cases {
		if !c.State.Closed() || len(o.s.Violations) != 0 {
			t.Errorf("got %v %+v, want it closed", key, c)
		}
	}
}
