package rbac

import (
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/countersign-id/countersign/audit"
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

// CountEvents adds to out, by actor and kind, what must be recorded of a changeset that came to res and left s behind.
func CountEvents(out map[string]int, s *State, actor string, epoch uint64, res Result) {
	if res.Outcome != Applied {
		out[actor+" "+string(audit.ChangeRefused)]++
		return
	}
	rows := 0
	for _, w := range res.Writes {
		if e, ok := s.eventOf(w); ok {
			rows++
			out[actor+" "+string(e.Kind)]++
		}
	}
	if rows > 0 || res.Epoch != epoch {
		out[actor+" "+string(audit.ChangeApplied)]++
	}
}

// Agree holds a state of the small world against the oracle: the hierarchy, what everybody is in conflict with, the violations and
// cases that are filed (I1 to I4, I19), the holds, and that no role has more people than it allows (I10).
func Agree(t interface{ Fatalf(string, ...any) }, s *State, now Instant) {
	b := both{s, worldOf(s, now)}
	b.agree(t)
	for id, r := range b.w.roles {
		for _, at := range b.w.instants() {
			if n := b.w.people(id, at); r.MaxAssignees > 0 && n > r.MaxAssignees {
				t.Fatalf("%d people hold %s at %d, which allows %d", n, id, at, r.MaxAssignees)
			}
		}
	}
}

// People is how many hold a role at a time, by definition.
func People(s *State, role RoleID, now Instant) int { return worldOf(s, now).people(role, now) }

// worldOf is a state in the oracle's terms.
func worldOf(s *State, now Instant) world {
	w := newWorld()
	w.now = now
	for id := range s.Permissions {
		w.perms[id] = true
	}
	for id, r := range s.Roles {
		for _, p := range r.Permissions {
			w.pa[pair[RoleID, Permission]{id, p}] = true
		}
		for _, j := range r.Juniors {
			w.rh[pair[RoleID, RoleID]{id, j.Role}] = j.Mode
		}
		r.Permissions, r.Juniors = nil, nil
		w.roles[id] = r
	}
	for id, g := range s.Groups {
		w.groups[id] = true
		for _, c := range g.Children {
			w.contains[pair[GroupID, GroupID]{id, c}] = true
		}
		for _, r := range g.Roles {
			w.gr[pair[GroupID, RoleID]{id, r}] = true
		}
	}
	for id, x := range s.Subjects {
		w.subjects[id] = true
		if x.Owner != "" {
			w.ownerOf[id] = x.Owner
		}
	}
	for id, a := range s.Accounts {
		w.subjectOf[id] = a.Subject
	}
	for key, m := range s.Memberships {
		w.gm[key] = m.During
	}
	w.scopes, w.ua, w.delegated = s.Scopes, s.Assignments, s.Delegations
	w.duties, w.rules, w.exceptions = s.Duties, s.Rules, s.Exceptions
	return w
}
