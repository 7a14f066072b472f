package rbac

import (
	"fmt"
	"testing"
)

// The tests here are named after what other systems get wrong: rbac.md 15.4.

func TestGaps(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		test func(*testing.T)
	}{
		{"rbac-G1 a senior role that inherits both sides cannot be given to anybody", seniorOfBoth},
		{"rbac-G2 an inheritance added later is held against those who have the roles", inheritanceLater},
		{"rbac-G3 a rule cannot be tightened over the heads of those it catches", tightened},
		{"rbac-G4 a conflict split between an assignment and a nested group is one", splitOverGroups},
		{"rbac-G5 a conflict split between two accounts of one person is one", splitOverAccounts},
		{"rbac-G6 a rule binds both ways, whichever side it names first", bothWays},
		{"rbac-G7 windows that do not meet are no conflict, and a future one is", windows},
		{"rbac-G8 somebody in conflict can still lose roles and gain unrelated ones", noParalysis},
		{"rbac-G10 a home-made role cannot smuggle the two permissions", smuggled},
		{"rbac-G11 a dynamic conflict is one through a single senior role and through two sessions", dynamicConflict},
		{"rbac-G12 what is activated first does not matter", orderOfActivation},
		{"rbac-G13 a deputy holds what is delegated", deputies},
		{"rbac-G15 there is a 501st rule and a 51st entitlement", noLimits},
		{"rbac-G16 a permission added to a role is held against those who have the role", rolePermissions},
		{"rbac-G17 when an exception ends its case opens again", exceptionEnds},
		{"rbac-G19 what one is only eligible for counts once it is activated", eligible},
		{"rbac-G20 a rule whose permission is deleted says so", deletedAtom},
	} {
		t.Run(tt.name, func(t *testing.T) { t.Parallel(); tt.test(t) })
	}
}

func seniorOfBoth(t *testing.T) {
	o, enter, release := ledger(t)
	// A role that breaks a rule by itself is not for assigning at all.
	o.cannot("role-self-conflict", CreateRole{Role{ID: "head", Name: "Head", Juniors: []Junior{{Role: enter}, {Role: release}}}})
	o.does(CreateRole{Role{ID: "head", Name: "Head", Unassignable: true, Juniors: []Junior{{Role: enter}, {Role: release}}}})
	o.cannot("role-not-assignable", o.assign("ann", "head"))
	// Even where a group carries it.
	o.group("heads", "head")
	o.cannot("sod-violation", AddMember{Membership{Group: "heads", Account: "ann"}})
}

func inheritanceLater(t *testing.T) {
	o, enter, release := ledger(t)
	o.role("clerk")
	o.does(o.assign("ann", "clerk"), o.assign("ann", enter))
	o.does(AddInheritance{Senior: "clerk", Junior: enter})
	o.role("desk")
	o.does(o.assign("ann", "desk"))
	res := o.cannot("sod-violation", AddInheritance{Senior: "desk", Junior: release})
	if len(res.Hits) != 1 || res.Hits[0].Subject != "ann" || res.Hits[0].Rule != "R1" {
		t.Errorf("got hits %+v, want ann under R1", res.Hits)
	}
	o.cannot("sod-violation", AddInheritance{Senior: "desk", Junior: release, Mode: Activate})
}

func tightened(t *testing.T) {
	o := newOrg(t)
	a, b, c := o.role("a", "x/a:do"), o.role("b", "x/b:do"), o.role("c", "x/c:do")
	o.person("ann")
	r := o.apart("R", 3, a.Atom(), b.Atom(), c.Atom())
	o.does(o.assign("ann", a), o.assign("ann", b))
	r.K = 2
	res := o.cannot("existing-violations", EditRule{Rule: r})
	if len(res.Hits) != 1 || res.Hits[0].Change != Stands {
		t.Errorf("got %+v, want one conflict that stands", res.Hits)
	}
	o.does(EditRule{Rule: r, Grandfather: true})
	if c := o.s.Cases[CaseKey{"R", "ann"}]; c.State != CaseOpen || c.Origin != Grandfather {
		t.Errorf("got case %+v, want it open and grandfathered", c)
	}
	if got := o.s.Rules["R"].Version; got != 2 {
		t.Errorf("a rule that forbids more has version %d, want 2", got)
	}
	o.cannot("sod-violation", o.assign("ann", c)) // and no further
}

func splitOverGroups(t *testing.T) {
	o, enter, release := ledger(t)
	o.group("child")
	o.group("parent", release)
	o.does(AddGroupEdge{"parent", "child"}, o.assign("ann", enter))
	o.cannot("sod-violation", AddMember{Membership{Group: "child", Account: "ann"}})
	o.does(AddMember{Membership{Group: "child", Account: "bob"}})
	o.cannot("sod-violation", o.assign("bob", enter))
	// A window of the membership is a window of what comes with it.
	o.does(AddMember{Membership{"child", "ann", Window{From: 2000, To: 2001}}}, Withdraw{"as1"}, o.assign("ann", enter, Window{From: 2001}))
	o.cannot("sod-violation", o.assign("ann", enter, Window{From: 1999, To: 2001}))
}

func splitOverAccounts(t *testing.T) {
	o, enter, release := ledger(t)
	o.does(AddAccount{Account{"ann-admin", "ann"}}, o.assign("ann", enter))
	o.cannot("sod-violation", o.assign("ann-admin", release))
	// Finding out later is never refused: it becomes a case.
	o.does(o.assign("bob", release))
	res := o.does(MergeSubjects{From: "bob", Into: "ann"})
	if c := o.s.Cases[CaseKey{"R1", "ann"}]; c.State != CaseOpen || c.Origin != FromIdentity {
		t.Errorf("got case %+v (%+v), want it open because of who is who", c, res)
	}
}

func bothWays(t *testing.T) {
	for _, first := range []RoleID{"enter", "release"} {
		o, enter, release := ledger(t)
		second := map[RoleID]RoleID{enter: release, release: enter}[first]
		o.does(o.assign("ann", first))
		o.cannot("sod-violation", o.assign("ann", second))
	}
}

func windows(t *testing.T) {
	o, enter, release := ledger(t)
	o.does(o.assign("ann", enter, Window{From: 2000, To: 3000}))
	o.does(o.assign("ann", release, Window{From: 3000, To: 4000})) // they touch
	o.does(o.assign("ann", release, Window{From: 1500, To: 2000}))
	o.cannot("sod-violation", o.assign("ann", release, Window{From: 2999, To: 3000})) // by a microsecond
	o.cannot("sod-violation", o.assign("ann", enter, Window{From: 3500}))
	o.now = 5000
	o.does(o.assign("ann", release)) // what is over is over
}

func noParalysis(t *testing.T) {
	o, enter, release := ledger(t)
	o.role("reader", "ledger/report:read")
	o.apply(Changeset{Ops: []Op{o.assign("ann", enter), o.assign("ann", release)}, Adopt: true})
	if len(o.s.Violations) != 1 {
		t.Fatalf("got %d violations, want the one that was taken in", len(o.s.Violations))
	}
	o.does(o.assign("ann", "reader"))
	o.does(CreateRole{Role{ID: "enter2", Name: "enter2", Permissions: []Permission{"ledger/payment:enter"}}}, o.assign("ann", "enter2"))
	o.now++
	o.does(Withdraw{"as2"})
	if c := o.s.Cases[CaseKey{"R1", "ann"}]; c.State != CaseResolved || len(o.s.Violations) != 0 {
		t.Errorf("got case %+v, want it resolved", c)
	}
	o.cannot("sod-violation", o.assign("ann", release))
}

func smuggled(t *testing.T) {
	o, _, _ := ledger(t)
	o.cannot("role-self-conflict", CreateRole{Role{ID: "mine", Name: "mine", Permissions: []Permission{"ledger/payment:enter", "ledger/payment:release"}}})
	o.role("one", "ledger/payment:enter")
	o.role("two", "ledger/payment:release")
	o.does(o.assign("ann", "one"))
	o.cannot("sod-violation", o.assign("ann", "two"))
}

// dynamic makes a rule of what may not be active together.
func (o *org) dynamic(reach Reach, atoms ...Atom) {
	o.t.Helper()
	o.does(CreateRule{Rule: Rule{ID: "D1", Kind: Dynamic, Level: Low, Mode: Block, K: 2, Reach: reach, Duties: o.duties(atoms...)}})
}

func dynamicConflict(t *testing.T) {
	o := newOrg(t)
	a, b := o.role("maker", "pay/run:make"), o.role("checker", "pay/run:check")
	o.person("ann")
	o.does(CreateRole{Role{ID: "lead", Name: "lead", Juniors: []Junior{{Role: a}, {Role: b}}}})
	o.does(CreateRole{Role{ID: "manager", Name: "manager", Juniors: []Junior{{Role: a, Mode: Activate}, {Role: b, Mode: Activate}}}})
	o.dynamic(ReachSubject, Permission("pay/run:make").Atom(), Permission("pay/run:check").Atom())
	o.does(o.assign("ann", "lead"), o.assign("ann", "manager")) // to hold both is no conflict
	snap, h := o.snap(), o.s.Holder("ann")
	for _, tt := range []struct {
		name string
		a    Active
		role RoleID
		want string
	}{
		{"one senior role that inherits both", Active{}, "lead", "dsd-conflict"},
		{"a manager over both, active as neither", Active{}, "manager", ""},
		{"the manager as one", Active{Here: []RoleID{"manager"}}, a, ""},
		{"and as the other", Active{Here: []RoleID{"manager", a}}, b, "dsd-conflict"},
		{"the other in a second browser", Active{Elsewhere: []RoleID{a}}, b, "dsd-conflict"},
		{"the same in a second browser", Active{Elsewhere: []RoleID{a}}, a, ""},
		{"what is not held", Active{}, "nothing", "role-not-activatable"},
	} {
		tt.a.Account = "ann"
		got := snap.Activate(h, tt.a, tt.role, o.now)
		if code := codeOf(got.Why); code != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, code, tt.want)
		}
	}
	if got := snap.Trim(h, Active{Account: "ann", Here: []RoleID{a, b}}, o.now); got != nil {
		t.Errorf("a session in conflict keeps %v, want nothing", got)
	}
}

func orderOfActivation(t *testing.T) {
	o := newOrg(t)
	a, b, c := o.role("a", "x/a:do"), o.role("b", "x/b:do"), o.role("c", "x/c:do")
	o.person("ann")
	o.does(o.assign("ann", a), o.assign("ann", b), o.assign("ann", c))
	o.dynamic(ReachSession, a.Atom(), b.Atom())
	snap, h := o.snap(), o.s.Holder("ann")
	var first string
	for _, order := range [][]Permission{{"x/a:do", "x/b:do", "x/c:do"}, {"x/c:do", "x/b:do", "x/a:do"}, {"x/b:do", "x/c:do", "x/a:do"}} {
		got, alternatives, why := snap.Choose(h, Want{Account: "ann", Permissions: order}, o.now)
		if codeOf(why) != "dsd-conflict" || len(got.Roles) != 0 {
			t.Fatalf("asked for %v: got %v and %v, want the choice left to the person", order, got, why)
		}
		if all := fmt.Sprint(alternatives); first == "" {
			first = all
		} else if all != first {
			t.Errorf("asked in another order: got %s, want %s", all, first)
		}
	}
	if first != fmt.Sprint([]Choice{{[]RoleID{a, c}, []Permission{"x/a:do", "x/c:do"}, 0, true}, {[]RoleID{b, c}, []Permission{"x/b:do", "x/c:do"}, 0, true}}) {
		t.Errorf("got alternatives %s", first)
	}
}

func deputies(t *testing.T) {
	o, enter, release := ledger(t)
	o.does(o.assign("ann", enter), o.assign("bob", release))
	during := Window{From: o.now, To: 2000}
	o.cannot("sod-violation", Delegate{Delegation{"d1", "ann", "bob", []RoleID{enter}, during}})
	o.person("eve")
	o.does(Delegate{Delegation{"d2", "ann", "eve", []RoleID{enter}, during}})
	o.cannot("sod-violation", o.assign("eve", release))
	o.does(o.assign("eve", release, Window{From: 2000}))
	o.cannot("privilege-escalation", Delegate{Delegation{"d3", "ann", "eve", []RoleID{release}, during}})
	o.cannot("privilege-escalation", Delegate{Delegation{"d4", "eve", "bob", []RoleID{enter}, during}}) // a deputy has no deputy
	o.does(Withdraw{"as1"})
	if len(o.s.Delegations) != 0 {
		t.Errorf("a delegation outlives the role it is of: %+v", o.s.Delegations)
	}
}

func noLimits(t *testing.T) {
	o := newOrg(t)
	var wide []Atom
	for i := range 60 {
		p := Permission(fmt.Sprintf("x/wide%d:do", i))
		o.s.Load(PermissionDef{ID: p})
		wide = append(wide, p.Atom())
	}
	o.role("left", "x/left:do")
	o.role("right", "x/wide59:do")
	o.person("ann")
	for i := range 501 {
		l, r := DutyID(fmt.Sprint("l", i)), DutyID(fmt.Sprint("r", i))
		o.s.Load(Duty{ID: l, Name: "l", Expr: AnyOf(Permission("x/left:do").Atom())}, Duty{ID: r, Name: "r", Expr: AnyOf(wide...)})
		o.s.Load(Rule{ID: RuleID(fmt.Sprintf("R%03d", i+1)), Kind: Static, Level: Low, Mode: Record, K: 2, Version: 1, Duties: []DutyID{l, r}})
	}
	last := o.s.Rules["R501"]
	last.Mode = Block
	o.does(EditRule{Rule: last})
	o.does(o.assign("ann", "left"))
	if res := o.cannot("sod-violation", o.assign("ann", "right")); len(res.Hits) != 501 {
		t.Errorf("got %d hits, want one for each of 501 rules", len(res.Hits))
	}
}

func rolePermissions(t *testing.T) {
	o, enter, _ := ledger(t)
	o.role("helper")
	o.does(o.assign("ann", enter), o.assign("ann", "helper"), o.assign("bob", "helper"))
	res := o.cannot("sod-violation", GrantPermission{"helper", "ledger/payment:release"})
	if len(res.Hits) != 1 || res.Hits[0].Subject != "ann" {
		t.Errorf("got %+v, want ann alone", res.Hits)
	}
	o.does(Withdraw{"as1"})
	o.now++
	o.does(GrantPermission{"helper", "ledger/payment:release"})
	o.cannot("sod-violation", o.assign("bob", enter))
}

func exceptionEnds(t *testing.T) {
	o, enter, release := ledger(t)
	x := Exception{ID: "x1", Rule: "R1", Version: 1, Subject: "ann", Approvers: []SubjectID{"bob"}, During: Window{From: o.now, To: 2000}}
	o.does(GrantException{x}, o.assign("ann", enter))
	o.cannot("sod-violation", o.assign("ann", release)) // the conflict would outlast the exception
	o.does(o.assign("ann", release, Window{From: o.now, To: 2000}))
	key := CaseKey{"R1", "ann"}
	if c := o.s.Cases[key]; c.State != CaseException {
		t.Fatalf("got %+v, want it excused", c)
	}
	o.does(Withdraw{"as3"})
	o.apply(Changeset{Ops: []Op{o.assign("ann", release)}, Adopt: true})
	o.now = 2000
	o.does(Sweep{})
	if c := o.s.Cases[key]; c.State != CaseOpen || c.Reopened == 0 {
		t.Errorf("got %+v, want it open again", c)
	}
	if v := o.s.Violations[key]; len(v.Uncovered) != 1 {
		t.Errorf("got %+v, want it uncovered", v)
	}
}

func eligible(t *testing.T) {
	o := newOrg(t)
	a, b := o.role("a", "x/a:do"), o.role("b", "x/b:do")
	o.person("ann")
	o.dynamic(ReachSession, a.Atom(), b.Atom())
	just := o.assign("ann", b)
	just.Assignment.Eligible = true
	o.does(o.assign("ann", a), just)
	snap, h := o.snap(), o.s.Holder("ann")
	for _, tt := range []struct {
		name string
		a    Active
		want string
	}{
		{"eligible is not yet active", Active{}, "step-up-required"},
		{"proved, it is", Active{Elevated: true}, ""},
		{"and counts", Active{Elevated: true, Here: []RoleID{a}}, "dsd-conflict"},
	} {
		tt.a.Account = "ann"
		if got := codeOf(snap.Activate(h, tt.a, b, o.now).Why); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	// A static rule counts it from the start: nobody is asked again when it is activated.
	o.role("c", "x/c:do")
	o.apart("S1", 2, b.Atom(), RoleID("c").Atom())
	o.cannot("sod-violation", o.assign("ann", "c"))
}

func deletedAtom(t *testing.T) {
	o, enter, release := ledger(t)
	o.cannot("referenced-by-rule", DropPermission{Permission: "ledger/payment:release"})
	o.does(DropPermission{Permission: "ledger/payment:release", Force: true})
	if !o.s.Rules["R1"].Invalid {
		t.Error("the rule lost an atom and does not say so")
	}
	if c := o.s.Cases[CaseKey{Rule: "R1"}]; c.State != CaseInvalid {
		t.Errorf("got %+v, want a case for the rule itself", c)
	}
	o.does(o.assign("ann", enter), o.assign("ann", release))
	o.does(DefinePermission{PermissionDef{ID: "ledger/payment:release"}})
	whole := o.s.Rules["R1"]
	whole.Invalid = false
	o.does(EditRule{Rule: whole})
	if c := o.s.Cases[CaseKey{Rule: "R1"}]; !c.State.Closed() {
		t.Errorf("got %+v, want the case of the rule closed", c)
	}
	o.cannot("sod-violation", GrantPermission{release, "ledger/payment:release"})
}
