package rbac

import (
	"fmt"
	"testing"
)

// A change that cannot mean anything says why by code, and changes nothing.
func TestWhatCannotMeanAnything(t *testing.T) {
	t.Parallel()
	o, enter, release := ledger(t)
	o.role("senior")
	o.does(AddInheritance{Senior: "senior", Junior: enter})
	o.group("inner")
	o.group("outer")
	o.does(AddGroupEdge{"outer", "inner"})
	d := o.duties(enter.Atom(), release.Atom(), RoleID("senior").Atom())
	o.does(CreateRule{Rule: Rule{ID: "used", Kind: Static, Level: Low, Mode: Record, K: 2, Duties: d[1:]}})
	rule := func(f func(*Rule)) Op {
		r := Rule{ID: "new", Kind: Static, Level: Low, Mode: Record, K: 2, Duties: d}
		f(&r)
		return CreateRule{Rule: r}
	}
	duty := func(e Expr) Op { return DefineDuty{Duty{ID: "odd", Name: "odd", Expr: e}} }
	deep := Leaf(enter.Atom())
	for range maxExprDepth + 1 {
		deep = Expr{K: 1, Of: []Expr{deep}}
	}

	for _, tt := range []struct {
		name string
		code string
		ops  []Op
	}{
		{"a role above itself", "hierarchy-cycle", []Op{AddInheritance{Senior: enter, Junior: enter}}},
		{"a role above its senior", "hierarchy-cycle", []Op{AddInheritance{Senior: enter, Junior: "senior"}}},
		{"a group inside its own part", "hierarchy-cycle", []Op{AddGroupEdge{"inner", "outer"}}},
		{"a group inside itself", "hierarchy-cycle", []Op{AddGroupEdge{"inner", "inner"}}},
		{"an edge to nothing", "not-found", []Op{AddInheritance{Senior: enter, Junior: "nothing"}}},
		{"an edge twice", "already-exists", []Op{AddInheritance{Senior: "senior", Junior: enter}}},
		{"an edge that is not there", "not-found", []Op{DeleteInheritance{Senior: enter, Junior: release}}},
		{"a role without a name", "change-invalid", []Op{CreateRole{Role{ID: "x"}}}},
		{"a name with a control character", "change-invalid", []Op{CreateRole{Role{ID: "x", Name: "a\x00b"}}}},
		{"a name that turns the text around", "change-invalid", []Op{CreateRole{Role{ID: "x", Name: "a\u202eb"}}}},
		{"a name in use", "already-exists", []Op{CreateRole{Role{ID: "x", Name: "enter"}}}},
		{"a role that needs more people than it allows", "change-invalid", []Op{CreateRole{Role{ID: "x", Name: "x", MinAssignees: 3, MaxAssignees: 2}}}},
		{"a permission of two parts", "change-invalid", []Op{DefinePermission{PermissionDef{ID: "ledger:enter"}}}},
		{"a permission with a blank", "change-invalid", []Op{DefinePermission{PermissionDef{ID: "ledger/a b:enter"}}}},
		{"a permission nobody defined", "not-found", []Op{GrantPermission{enter, "ledger/none:none"}}},
		{"a window that ends before it starts", "window-invalid", []Op{o.assign("ann", enter, Window{From: 3000, To: 2000})}},
		{"a window of no length", "window-invalid", []Op{o.assign("ann", enter, Window{From: 3000, To: 3000})}},
		{"a membership that ends before it starts", "window-invalid", []Op{AddMember{Membership{"inner", "ann", Window{From: 2, To: 1}}}}},
		{"a delegation without an end", "window-invalid", []Op{Delegate{Delegation{"d", "ann", "bob", []RoleID{enter}, Window{}}}}},
		{"an assignment to nobody", "not-found", []Op{o.assign("nobody", enter)}},
		{"an assignment of nothing", "not-found", []Op{o.assign("ann", "nothing")}},
		{"the same role twice at a time", "already-exists", []Op{o.assign("ann", enter), o.assign("ann", enter)}},
		{"a rule over more duties than it names", "rule-invalid", []Op{rule(func(r *Rule) { r.K = 4 })}},
		{"a rule that keeps one thing apart", "rule-invalid", []Op{rule(func(r *Rule) { r.K = 1 })}},
		{"a rule without duties", "rule-invalid", []Op{rule(func(r *Rule) { r.Duties = nil })}},
		{"a rule that names a duty twice", "rule-invalid", []Op{rule(func(r *Rule) { r.Duties = []DutyID{d[0], d[0]} })}},
		{"a rule over an unknown duty", "not-found", []Op{rule(func(r *Rule) { r.Duties = []DutyID{d[0], "none"} })}},
		{"a rule of no kind", "rule-invalid", []Op{rule(func(r *Rule) { r.Kind = "" })}},
		{"a rule of no mode", "rule-invalid", []Op{rule(func(r *Rule) { r.Mode = "" })}},
		{"a rule of no level", "rule-invalid", []Op{rule(func(r *Rule) { r.Level = "grave" })}},
		{"a rule of no known join", "rule-invalid", []Op{rule(func(r *Rule) { r.Join = "x" })}},
		{"a rule of no known reach", "rule-invalid", []Op{rule(func(r *Rule) { r.Reach = "x" })}},
		{"a rule that ends before it starts", "rule-invalid", []Op{rule(func(r *Rule) { r.During = Window{From: 2, To: 1} })}},
		{"an exception of negative length", "rule-invalid", []Op{rule(func(r *Rule) { r.MaxExceptionDays = -1 })}},
		{"a critical rule over two duties", "rule-invalid", []Op{rule(func(r *Rule) { r.Kind = Critical })}},
		{"an object-based rule that is no draft", "rule-invalid", []Op{rule(func(r *Rule) { r.Kind = ObjectBased })}},
		{"a dynamic rule over groups", "rule-invalid", []Op{DefineDuty{Duty{ID: "odd", Name: "odd", Expr: AnyOf(GroupID("inner").Atom())}},
			rule(func(r *Rule) { r.Kind, r.Duties = Dynamic, []DutyID{d[0], "odd"} })}},
		{"a duty of nothing", "rule-invalid", []Op{duty(Expr{})}},
		{"a duty of none of two", "rule-invalid", []Op{duty(AtLeast(0, enter.Atom(), release.Atom()))}},
		{"a duty of three of two", "rule-invalid", []Op{duty(AtLeast(3, enter.Atom(), release.Atom()))}},
		{"a duty that names an atom twice", "rule-invalid", []Op{duty(AllOf(enter.Atom(), enter.Atom()))}},
		{"a duty over an unknown permission", "rule-invalid", []Op{duty(AnyOf("perm:no/such:thing"))}},
		{"a duty over no kind of atom", "rule-invalid", []Op{duty(AnyOf("planet:mars"))}},
		{"a duty nested too deeply", "rule-invalid", []Op{duty(deep)}},
		{"a duty that a rule needs", "referenced-by-rule", []Op{DeleteDuty{o.s.Rules["R1"].Duties[0]}}},
		{"a role that a rule needs", "referenced-by-rule", []Op{DeleteRole{Role: "senior"}}},
		{"one wrong row among right ones", "not-found", []Op{AddSubject{Subject{ID: "new"}}, AddAccount{Account{"new", "new"}}, o.assign("new", enter), o.assign("new", "nothing")}},
		{"an owner of a person", "change-invalid", []Op{AddSubject{Subject{ID: "new", Owner: "ann"}}}},
		{"a policy that moved on", "stale-revision", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := snapshotOfRows(o.s)
			c := Changeset{Ops: tt.ops}
			if tt.ops == nil {
				c.IfEpoch = o.s.Epoch + 1
			}
			res := o.apply(c)
			if codeOf(res.Why) != tt.code || res.Outcome != Refused {
				t.Errorf("got %s %v, want %s", res.Outcome, res.Why, tt.code)
			}
			if got := fmt.Sprint(snapshotOfRows(o.s)); got != fmt.Sprint(before) {
				t.Errorf("it left something behind: %s", got)
			}
		})
	}
}

func TestNamesInAnyScript(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	for i, name := range []string{"会计", "Бухгалтер", "محاسب", "लेखाकार", "회계사", "Ωμέγα", "accountant"} {
		id := RoleID(fmt.Sprint("r", i))
		p := Permission("ledger/" + "帐:" + fmt.Sprint("读", i))
		o.does(DefinePermission{PermissionDef{ID: p}}, CreateRole{Role{ID: id, Name: name, Permissions: []Permission{p}}})
	}
}

func TestAHierarchyOfTenThousandRoles(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	role := func(i int) RoleID { return RoleID(fmt.Sprintf("r%05d", i)) }
	o.s.Load(PermissionDef{ID: "x/top:do"}, PermissionDef{ID: "x/bottom:do"})
	for i := range 10_000 {
		r := Role{ID: role(i), Name: string(role(i))}
		if i < 9_999 {
			r.Juniors = []Junior{{Role: role(i + 1)}}
		} else {
			r.Permissions = []Permission{"x/bottom:do"}
		}
		o.s.Load(r)
	}
	o.person("ann")
	o.role("other", "x/top:do")
	o.apart("R", 2, Permission("x/top:do").Atom(), Permission("x/bottom:do").Atom())
	o.does(o.assign("ann", "other"))
	res := o.cannot("sod-violation", o.assign("ann", role(0)))
	if got := len(res.Hits[0].Witness.Duties[0].Paths[0].Roles) + len(res.Hits[0].Witness.Duties[1].Paths[0].Roles); got != 10_001 {
		t.Errorf("the witness names %d roles on the way, want 10001", got)
	}
	o.cannot("hierarchy-cycle", AddInheritance{Senior: role(9_999), Junior: role(0)})
}

// rbac-I12, I13: who gains does not decide.
func TestNobodyActsForThemselves(t *testing.T) {
	t.Parallel()
	o, enter, release := ledger(t)
	o.group("staff")
	o.does(AddMember{Membership{Group: "staff", Account: "ann"}}, o.assign("ann", release))
	r := o.s.Rules["R1"]
	r.Owner, r.MaxExceptionDays, r.Mode, r.Level = "boss", 30, Block, Grave
	o.does(EditRule{Rule: r})
	o.does(DefineControl{Control{ID: "C", Name: "monthly review", During: Window{From: 1, To: o.now + 10*Day}}})
	ann := By{Actor: "account:ann", Subject: "ann"}
	x := Exception{ID: "x", Rule: "R1", Version: 1, Subject: "bob", Requester: "eve", Approvers: []SubjectID{"boss", "chief"},
		Controls: []ControlID{"C"}, During: Window{From: o.now, To: o.now + 9*Day}}
	exception := func(f func(*Exception)) Op { y := x; f(&y); return GrantException{y} }
	for _, tt := range []struct {
		name string
		by   By
		op   Op
		want string
	}{
		{"a role for oneself", ann, o.assign("ann", enter), "self-action-forbidden"},
		{"a group for oneself", ann, AddMember{Membership{Group: "x", Account: "ann"}}, "self-action-forbidden"},
		{"a role for one's own group", ann, AddGroupRole{"staff", enter}, "privilege-escalation"},
		{"a permission for one's own role", ann, GrantPermission{release, "ledger/other:do"}, "privilege-escalation"},
		{"somebody else", ann, o.assign("bob", enter), ""},
		{"an exception", ann, GrantException{x}, ""},
		{"an exception for oneself", By{Subject: "bob"}, GrantException{x}, "self-action-forbidden"},
		{"an exception approved by who gains", ann, exception(func(x *Exception) { x.Approvers = []SubjectID{"boss", "bob"} }), "self-action-forbidden"},
		{"an exception approved by who asked", ann, exception(func(x *Exception) { x.Approvers = []SubjectID{"boss", "eve"} }), "self-action-forbidden"},
		{"an exception approved by one, of a critical rule", ann, exception(func(x *Exception) { x.Approvers = []SubjectID{"boss"} }), "exception-invalid"},
		{"an exception approved twice by one", ann, exception(func(x *Exception) { x.Approvers = []SubjectID{"boss", "boss"} }), "exception-invalid"},
		{"an exception without the risk owner", ann, exception(func(x *Exception) { x.Approvers = []SubjectID{"eva", "chief"} }), "exception-invalid"},
		{"an exception without an end", ann, exception(func(x *Exception) { x.During.To = 0 }), "exception-too-long"},
		{"an exception that lasts too long", ann, exception(func(x *Exception) { x.During.To = o.now + 30*Day + 1 }), "exception-too-long"},
		{"an exception that outlasts its control", ann, exception(func(x *Exception) { x.During.To = o.now + 10*Day + 1 }), "exception-invalid"},
		{"an exception that outlives its control by nothing", ann, exception(func(x *Exception) { x.During.To = o.now + 10*Day }), ""},
		{"an exception without a known control", ann, exception(func(x *Exception) { x.Controls = []ControlID{"none"} }), "exception-invalid"},
		{"an exception from a version that is gone", ann, exception(func(x *Exception) { x.Version = 7 }), "not-found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ops := []Op{tt.op}
			if g, ok := tt.op.(GrantPermission); ok {
				ops = []Op{DefinePermission{PermissionDef{ID: g.Permission}}, g}
			}
			res, err := o.s.Apply(tt.by, Changeset{Ops: ops, DryRun: true}, o.now)
			if err != nil || codeOf(res.Why) != tt.want {
				t.Errorf("got %v %v, want %q", res.Why, err, tt.want)
			}
		})
	}
	alone := ann
	alone.Alone = true
	res, err := o.s.Apply(alone, Changeset{Ops: []Op{AddGroupRole{"staff", o.role("spare", "ledger/spare:do")}}}, o.now)
	if err != nil || res.Outcome != Applied || !res.Single {
		t.Errorf("alone: got %+v %v, want it applied and marked", res, err)
	}
	o.does(GrantException{x})
	o.cannot("still-referenced", DeleteControl{"C"})
}

func TestLimitsAndPrerequisites(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	for _, p := range []SubjectID{"ann", "bob", "eve"} {
		o.person(p)
	}
	o.does(AddAccount{Account{"ann2", "ann"}}, CreateRole{Role{ID: "key", Name: "key", MaxAssignees: 2, MinAssignees: 1}})
	o.does(o.assign("ann", "key"))
	o.does(o.assign("ann2", "key")) // one person
	o.does(o.assign("bob", "key", Window{From: 2000, To: 3000}))
	o.cannot("cardinality-exceeded", o.assign("eve", "key", Window{From: 2999}))
	o.does(o.assign("eve", "key", Window{From: 3000}))
	o.now = 1500
	o.cannot("cardinality-underflow", Withdraw{"as1"}, Withdraw{"as2"})
	o.does(Withdraw{"as1"})
	r := o.s.Roles["key"]
	r.MaxAssignees = 1
	o.cannot("cardinality-exceeded", EditRole{r})

	o.role("basic")
	o.role("excluded")
	o.does(CreateRole{Role{ID: "expert", Name: "expert", Prerequisite: Cond{All: []Cond{{Role: "basic"}, {Role: "excluded", Not: true}}}}})
	o.cannot("prerequisite-missing", o.assign("bob", "expert"))
	o.does(o.assign("bob", "basic"), o.assign("bob", "expert"))
	o.now++
	o.cannot("prerequisite-missing", Withdraw{AssignmentID(fmt.Sprint("as", o.as-1))})
	o.cannot("still-referenced", DeleteRole{Role: "basic"})
	o.does(o.assign("eve", "excluded"), o.assign("eve", "basic"))
	o.cannot("prerequisite-missing", o.assign("eve", "expert"))
}
