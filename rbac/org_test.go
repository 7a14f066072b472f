package rbac

import (
	"fmt"
	"testing"

	"github.com/countersign-id/countersign/internal/fault"
)

// org is a small organisation that a test changes step by step.
type org struct {
	t   *testing.T
	s   *State
	now Instant
	n   int // duties made
	as  int // assignments made
}

func newOrg(t *testing.T) *org {
	t.Helper()
	return &org{t: t, s: NewState(), now: 1000}
}

func (o *org) apply(c Changeset) Result {
	o.t.Helper()
	res, err := o.s.Apply(By{}, c, o.now)
	if err != nil {
		o.t.Fatal(err)
	}
	return res
}

// does applies ops and expects them to stand.
func (o *org) does(ops ...Op) Result {
	o.t.Helper()
	res := o.apply(Changeset{Ops: ops})
	if res.Outcome != Applied {
		o.t.Fatalf("%+v: got %s, want it applied (%+v)", ops, res.Why, res.Hits)
	}
	return res
}

// cannot expects ops to be refused, or to wait, with code, and to leave nothing behind.
func (o *org) cannot(code string, ops ...Op) Result {
	o.t.Helper()
	epoch, writes := o.s.Epoch, len(o.s.Violations)
	res := o.apply(Changeset{Ops: ops})
	if res.Why == nil || res.Why.Code != code {
		o.t.Fatalf("%+v: got %v, want %s (%+v)", ops, res.Why, code, res.Hits)
	}
	if o.s.Epoch != epoch || len(o.s.Violations) != writes {
		o.t.Fatalf("%+v was refused and left something behind", ops)
	}
	return res
}

// codeOf is the code of why, "" where there is none.
func codeOf(why *fault.Error) string {
	if why == nil {
		return ""
	}
	return why.Code
}

func (o *org) id(prefix string) string {
	o.n++
	return fmt.Sprint(prefix, o.n)
}

// role makes a role with permissions, which come to be with it.
func (o *org) role(id RoleID, perms ...Permission) RoleID {
	o.t.Helper()
	for _, p := range perms {
		if _, ok := o.s.Permissions[p]; !ok {
			o.does(DefinePermission{PermissionDef{ID: p}})
		}
	}
	o.does(CreateRole{Role{ID: id, Name: string(id), Permissions: perms}})
	return id
}

// person makes somebody with one account of the same name.
func (o *org) person(id SubjectID) AccountID {
	o.t.Helper()
	o.does(AddSubject{Subject{ID: id}}, AddAccount{Account{AccountID(id), id}})
	return AccountID(id)
}

func (o *org) group(id GroupID, roles ...RoleID) GroupID {
	o.t.Helper()
	o.does(CreateGroup{Group{ID: id, Name: string(id), Roles: roles}})
	return id
}

// duties makes a duty of each atom and returns their ids.
func (o *org) duties(atoms ...Atom) []DutyID {
	o.t.Helper()
	var out []DutyID
	for _, a := range atoms {
		d := Duty{ID: DutyID(o.id("duty")), Name: string(a), Expr: AnyOf(a)}
		o.does(DefineDuty{d})
		out = append(out, d.ID)
	}
	return out
}

// apart makes a static rule that blocks k of the atoms.
func (o *org) apart(id RuleID, k int, atoms ...Atom) Rule {
	o.t.Helper()
	r := Rule{ID: id, Kind: Static, Level: High, Mode: Block, K: k, Duties: o.duties(atoms...)}
	o.does(CreateRule{Rule: r})
	return o.s.Rules[id]
}

func (o *org) assign(a AccountID, r RoleID, during ...Window) Assign {
	o.as++
	out := Assign{Assignment{ID: AssignmentID(fmt.Sprint("as", o.as)), Account: a, Role: r}}
	if len(during) > 0 {
		out.Assignment.During = during[0]
	}
	return out
}

func (o *org) snap() *Snapshot {
	o.t.Helper()
	snap, err := o.s.Snapshot()
	if err != nil {
		o.t.Fatal(err)
	}
	return snap
}

// ledger is the organisation most tests begin with: one role enters payments, one releases them, and
// nobody may do both.
func ledger(t *testing.T) (o *org, enter, release RoleID) {
	t.Helper()
	o = newOrg(t)
	enter, release = o.role("enter", "ledger/payment:enter"), o.role("release", "ledger/payment:release")
	o.person("ann")
	o.person("bob")
	o.apart("R1", 2, Permission("ledger/payment:enter").Atom(), Permission("ledger/payment:release").Atom())
	return o, enter, release
}
