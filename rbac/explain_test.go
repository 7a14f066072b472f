package rbac_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign-id/countersign/rbac"
)

// explained is a world in which ada comes to one permission in every way there is.
func explained(t *testing.T) *rbac.State {
	t.Helper()
	s := rbac.NewState()
	s.Load(rbac.PermissionDef{ID: "a/b:c"}, rbac.PermissionDef{ID: "a/b:d"},
		rbac.Role{ID: "low", Name: "Low", Permissions: []rbac.Permission{"a/b:c"}},
		rbac.Role{ID: "mid", Name: "Mid", Juniors: []rbac.Junior{{Role: "low"}}},
		rbac.Role{ID: "top", Name: "Top", Permissions: []rbac.Permission{"a/b:d"}, Juniors: []rbac.Junior{{Role: "mid", Mode: rbac.Activate}}},
		rbac.Role{ID: "old", Name: "Old", Lifecycle: rbac.RetiredRole, Juniors: []rbac.Junior{{Role: "low"}}},
		rbac.Group{ID: "inner", Name: "Inner"}, rbac.Group{ID: "outer", Name: "Outer", Children: []rbac.GroupID{"inner"}, Roles: []rbac.RoleID{"mid"}},
		rbac.Subject{ID: "p"}, rbac.Account{ID: "ada", Subject: "p"}, rbac.Account{ID: "ada-admin", Subject: "p"},
		rbac.Subject{ID: "bot", Kind: rbac.Workload, Owner: "p"}, rbac.Account{ID: "bot", Subject: "bot"},
		rbac.Assignment{ID: "1", Account: "ada", Role: "low", Context: "org=EMEA"},
		rbac.Assignment{ID: "2", Account: "ada", Role: "top"},
		rbac.Assignment{ID: "3", Account: "ada", Role: "mid", Eligible: true},
		rbac.Assignment{ID: "4", Account: "ada", Role: "mid", During: rbac.Window{From: 50}},
		rbac.Assignment{ID: "5", Account: "ada", Role: "mid", During: rbac.Window{To: 5}}, // ended
		rbac.Assignment{ID: "6", Account: "ada", Role: "old"},
		rbac.Assignment{ID: "7", Account: "bot", Role: "low"},
		rbac.Membership{Group: "inner", Account: "ada-admin"},
		rbac.Delegation{ID: "8", From: "ada", To: "ada-admin", Roles: []rbac.RoleID{"low"}, During: rbac.Window{To: 99}})
	return s
}

// Every way to a permission is told, with what stands in its way; what has ended is not.
func TestExplainTellsEveryWay(t *testing.T) {
	t.Parallel()
	s := explained(t)
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	type way struct {
		by       string
		groups   int
		roles    []rbac.RoleID
		standing bool
	}
	got := map[string]way{}
	for _, w := range snap.Explain(s.Holder("p"), "perm:a/b:c", 10) {
		by := string(w.Assignment) + string(w.Delegation)
		if by == "" {
			by = string(w.Account)
		}
		got[by] = way{string(w.Account), len(w.Groups), w.Roles, w.Standing}
	}
	want := map[string]way{
		"1":         {"ada", 0, []rbac.RoleID{"low"}, true},
		"2":         {"ada", 0, []rbac.RoleID{"top", "mid", "low"}, false}, // an edge along which nothing flows
		"3":         {"ada", 0, []rbac.RoleID{"mid", "low"}, false},        // eligible
		"4":         {"ada", 0, []rbac.RoleID{"mid", "low"}, false},        // not yet
		"6":         {"ada", 0, []rbac.RoleID{"old", "low"}, false},        // retired
		"7":         {"bot", 0, []rbac.RoleID{"low"}, false},               // a workload of theirs
		"8":         {"ada-admin", 0, []rbac.RoleID{"low"}, true},
		"ada-admin": {"ada-admin", 2, []rbac.RoleID{"mid", "low"}, true},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(way{})); diff != "" {
		t.Error(diff)
	}
	if ways := snap.Explain(s.Holder("p"), "perm:a/b:none", 10); len(ways) != 0 {
		t.Errorf("got %v, want no way to what nobody has", ways)
	}
}

// What is listed as held is what each of it is explained by.
func TestAccessIsWhatExplainTells(t *testing.T) {
	t.Parallel()
	s := explained(t)
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	h := s.Holder("p")
	by := map[rbac.Atom]int{}
	for _, w := range snap.Access(h, 10) {
		by[w.Atom]++
	}
	for _, a := range []rbac.Atom{"perm:a/b:c", "perm:a/b:d", "role:low", "role:mid", "role:top", "role:old", "group:inner", "group:outer"} {
		if n := len(snap.Explain(h, a, 10)); n == 0 || n != by[a] {
			t.Errorf("%s: %d ways explained, %d listed", a, n, by[a])
		}
	}
	if len(by) != 8 {
		t.Errorf("got %v, want eight things", by)
	}
}

// A refusal says what of it that was held before would have to go first, never what was just asked for.
func TestARefusalSaysWhatWouldHaveToGoFirst(t *testing.T) {
	t.Parallel()
	s := rbac.NewState()
	s.Load(rbac.PermissionDef{ID: "a/b:c"}, rbac.PermissionDef{ID: "a/b:d"},
		rbac.Role{ID: "r", Name: "R", Permissions: []rbac.Permission{"a/b:c"}}, rbac.Role{ID: "r2", Name: "R2", Permissions: []rbac.Permission{"a/b:c"}},
		rbac.Role{ID: "s", Name: "S", Permissions: []rbac.Permission{"a/b:d"}},
		rbac.Duty{ID: "C", Name: "C", Expr: rbac.Leaf("perm:a/b:c")}, rbac.Duty{ID: "D", Name: "D", Expr: rbac.Leaf("perm:a/b:d")},
		rbac.Rule{ID: "R", Kind: rbac.Static, Duties: []rbac.DutyID{"C", "D"}, K: 2, Level: rbac.High, Mode: rbac.Block, Version: 1},
		rbac.Subject{ID: "p"}, rbac.Account{ID: "ada", Subject: "p"},
		rbac.Assignment{ID: "1", Account: "ada", Role: "r"}, rbac.Assignment{ID: "2", Account: "ada", Role: "r2"})
	res, err := s.Apply(rbac.By{Actor: "local:test"}, rbac.Changeset{Ops: []rbac.Op{rbac.Assign{Assignment: rbac.Assignment{ID: "3", Account: "ada", Role: "s"}}}}, 10)
	if err != nil || res.Outcome != rbac.Refused {
		t.Fatalf("got %v %v, want a refusal", res.Outcome, err)
	}
	fixes, exact := res.Fixes("p")
	var got []string
	for _, f := range fixes {
		for _, g := range f {
			got = append(got, string(g.Assignment))
		}
	}
	if !exact || len(fixes) != 1 || !cmp.Equal(got, []string{"1", "2"}) && !cmp.Equal(got, []string{"2", "1"}) {
		t.Errorf("got %v, exact %v, want that both 1 and 2 go", fixes, exact)
	}
	if fixes, _ := res.Fixes("nobody"); len(fixes) != 0 {
		t.Errorf("got %v for somebody who is not in conflict", fixes)
	}
}
