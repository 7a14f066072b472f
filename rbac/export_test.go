package rbac

import (
	"maps"
	"slices"

	"pgregory.net/rapid"
)

// What the tests of the stored engine share with those of the engine: the small world and its histories.

// SmallSubjects and SmallAccounts are who is in the small world.
func SmallSubjects() []SubjectID             { return smallSubjects }
func SmallAccounts() map[AccountID]SubjectID { return smallAccounts }

// SmallPolicy makes the small world's policy out of nothing.
func SmallPolicy() []Op {
	p := smallWorld().s.Policy
	var ops []Op
	for _, id := range sortedKeys(p.Permissions) {
		ops = append(ops, DefinePermission{p.Permissions[id]})
	}
	for _, id := range sortedKeys(p.Scopes) {
		ops = append(ops, DefineScope{p.Scopes[id]})
	}
	for _, id := range sortedKeys(p.Roles) {
		ops = append(ops, CreateRole{p.Roles[id]})
	}
	for _, id := range sortedKeys(p.Groups) {
		ops = append(ops, CreateGroup{p.Groups[id]})
	}
	for _, id := range sortedKeys(p.Duties) {
		ops = append(ops, DefineDuty{p.Duties[id]})
	}
	return ops
}

// DrawOps draws the operations that furnish the small world, or one that may follow on s.
func DrawFurniture(t *rapid.T) []Op {
	var ops []Op
	for i, p := range smallPerms {
		if rapid.IntRange(0, 3).Draw(t, "carries") > 0 {
			ops = append(ops, GrantPermission{smallRoles[i], p})
		}
	}
	for _, id := range smallRules[:rapid.IntRange(1, 3).Draw(t, "rules")] {
		r := drawRule(t)
		r.ID = id
		ops = append(ops, CreateRule{Rule: r})
	}
	return ops
}

func DrawOp(t *rapid.T, s *State) Op { return drawOp(t, s) }

// SmallRules are the rules there may be.
func SmallRules() []RuleID { return smallRules }

// Everything is the state without its indexes. Empty lists are none.
func Everything(s *State) map[string]any { return snapshotOfRows(s) }

// OwnCopy lets s change its policy.
func OwnCopy(s *State) *State { s.Policy = s.Policy.Clone(); return s }

// AccountNames is every account, sorted.
func AccountNames(m map[AccountID]SubjectID) []AccountID { return slices.Sorted(maps.Keys(m)) }
