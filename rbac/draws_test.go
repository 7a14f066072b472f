package rbac_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"

	"pgregory.net/rapid"

	"github.com/countersign-id/countersign/rbac"
)

// Histories are of two kinds. In one anything may happen to anybody, as in the tests of the engine. In the other most things happen to
// one person, under rules that block, so that few schedules are about nothing.

// furniture is what a history begins with.
func furniture(script *rand.Rand, pointed bool) []rbac.Op {
	if !pointed {
		return append(rbac.SmallPolicy(), drawn(script, rbac.DrawFurniture)...)
	}
	rule := func(id rbac.RuleID, duties ...rbac.DutyID) rbac.Op {
		return rbac.CreateRule{Rule: rbac.Rule{ID: id, Kind: rbac.Static, Level: rbac.Low, Duties: duties, K: 2, Mode: rbac.Block}}
	}
	return append(rbac.SmallPolicy(),
		rbac.GrantPermission{Role: "r0", Permission: "app/x:0"}, rbac.GrantPermission{Role: "r1", Permission: "app/x:1"},
		rbac.GrantPermission{Role: "r2", Permission: "app/x:2"}, rbac.GrantPermission{Role: "r3", Permission: "app/x:3"},
		rbac.AddGroupRole{Group: "g0", Role: "r0"}, rbac.AddGroupEdge{Parent: "g0", Child: "g1"},
		rbac.EditRole{Role: rbac.Role{ID: "r4", Name: "r4", MinAssignees: 1, MaxAssignees: 2}},
		rule("R0", "d0", "d1"), rule("R1", "d1", "d2", "d3"))
}

// draw is what may happen next.
func draw(script *rand.Rand, s *rbac.State, now rbac.Instant, pointed bool) rbac.Op {
	if pointed && script.IntN(5) > 0 {
		return drawPointed(script, s, now)
	}
	op := drawn(script, func(t *rapid.T) rbac.Op { return rbac.DrawOp(t, s) })
	if o, ok := op.(rbac.LinkAccount); ok && (o.Account == "w0" || o.Subject == "w0") {
		return rbac.Sweep{} // a workload's one account is nobody else's
	}
	return op
}

func drawPointed(script *rand.Rand, s *rbac.State, now rbac.Instant) rbac.Op {
	account := []rbac.AccountID{"a0", "a0", "a0", "b0", "b0", "a1", "a2"}[script.IntN(7)]
	role := rbac.RoleID("r" + strconv.Itoa(script.IntN(5)))
	group := rbac.GroupID("g" + strconv.Itoa(script.IntN(3)))
	during := rbac.Window{From: now}
	if script.IntN(2) == 0 {
		during.To = now + 50
	}
	number := strconv.Itoa(script.IntN(30))
	switch script.IntN(20) {
	case 0, 1, 2:
		return join(group, account, during)
	case 3:
		return rbac.RemoveMember{Group: group, Account: account}
	case 4, 5, 6, 7:
		if ids := slices.Sorted(maps.Keys(s.Assignments)); len(ids) > 0 {
			return rbac.Withdraw{Assignment: ids[script.IntN(len(ids))]}
		}
	case 8:
		return rbac.AddInheritance{Senior: role, Junior: rbac.RoleID("r" + strconv.Itoa(script.IntN(5)))}
	case 9:
		return rbac.AddGroupRole{Group: group, Role: role}
	case 10:
		return rbac.LinkAccount{Account: account, Subject: []rbac.SubjectID{"p0", "p1"}[script.IntN(2)]}
	case 11:
		return rbac.Delegate{Delegation: rbac.Delegation{
			ID: rbac.DelegationID("v" + number), From: account, To: []rbac.AccountID{"a0", "a1"}[script.IntN(2)], Roles: []rbac.RoleID{role},
			During: rbac.Window{From: now, To: now + 40},
		}}
	case 12:
		rule := []rbac.RuleID{"R0", "R1"}[script.IntN(2)]
		return rbac.GrantException{Exception: rbac.Exception{
			ID: rbac.ExceptionID("x" + number), Rule: rule, Version: s.Rules[rule].Version, Subject: "p0", Approvers: []rbac.SubjectID{"p9"},
			During: rbac.Window{From: now, To: now + 60},
		}}
	case 13, 14, 15: // the role that counts its people
		return assign(rbac.AssignmentID("u"+number), []rbac.AccountID{"a0", "a1", "a2"}[script.IntN(3)], "r4", rbac.Window{From: now})
	case 16:
		if ids := slices.Sorted(maps.Keys(s.Exceptions)); len(ids) > 0 {
			return rbac.RevokeException{Exception: ids[script.IntN(len(ids))]}
		}
	}
	return assign(rbac.AssignmentID("u"+number), account, role, during)
}

// drawn draws by the script, not by a property's search.
func drawn[T any](script *rand.Rand, draw func(*rapid.T) T) T {
	return rapid.Custom(draw).Example(int(script.Uint32()))
}
