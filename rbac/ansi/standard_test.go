package ansi

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign-id/countersign/internal/fault"
)

// functions are the 43 of ANSI INCITS 359, as the standard names them.
var functions = []string{
	"AddUser", "DeleteUser", "AddRole", "DeleteRole", "AssignUser", "DeassignUser", "GrantPermission", "RevokePermission",
	"CreateSession", "DeleteSession", "AddActiveRole", "DropActiveRole", "CheckAccess",
	"AssignedUsers", "AssignedRoles", "RolePermissions", "UserPermissions", "SessionRoles", "SessionPermissions",
	"RoleOperationsOnObject", "UserOperationsOnObject",
	"AddInheritance", "DeleteInheritance", "AddAscendant", "AddDescendant", "AuthorizedUsers", "AuthorizedRoles",
	"CreateSsdSet", "DeleteSsdSet", "AddSsdRoleMember", "DeleteSsdRoleMember", "SetSsdSetCardinality",
	"SsdRoleSets", "SsdRoleSetRoles", "SsdRoleSetCardinality",
	"CreateDsdSet", "DeleteDsdSet", "AddDsdRoleMember", "DeleteDsdRoleMember", "SetDsdSetCardinality",
	"DsdRoleSets", "DsdRoleSetRoles", "DsdRoleSetCardinality",
}

func TestTheFunctionsAreThoseOfTheStandard(t *testing.T) {
	t.Parallel()
	var got []string
	for m := range reflect.TypeFor[*System]().Methods() {
		if m.Name != "State" {
			got = append(got, m.Name)
		}
	}
	want := slices.Sorted(slices.Values(functions))
	if diff := cmp.Diff(want, got); diff != "" || len(want) != 43 {
		t.Errorf("%d functions:\n%s", len(want), diff)
	}
}

// office is the system every precondition is tried on: ann is a clerk, bob an auditor; chief stands above clerk;
// payments keeps enter and release apart; sessions keeps clerk and auditor apart while active.
func office(t *testing.T) *System {
	t.Helper()
	s := New()
	for _, f := range []func() error{
		func() error { return s.AddUser("ann") },
		func() error { return s.AddUser("bob") },
		func() error { return s.AddRole("clerk") },
		func() error { return s.AddRole("auditor") },
		func() error { return s.AddRole("enter") },
		func() error { return s.AddRole("release") },
		func() error { return s.AddRole("spare") },
		func() error { return s.AddAscendant("chief", "clerk") },
		func() error { return s.GrantPermission(Permission{"read", "ledger"}, "clerk") },
		func() error { return s.GrantPermission(Permission{"write", "ledger"}, "chief") },
		func() error { return s.AssignUser("ann", "clerk") },
		func() error { return s.AssignUser("ann", "enter") },
		func() error { return s.AssignUser("ann", "auditor") },
		func() error { return s.AssignUser("bob", "auditor") },
		func() error { return s.CreateSsdSet("payments", []Role{"enter", "release"}, 2) },
		func() error { return s.CreateDsdSet("sessions", []Role{"clerk", "auditor", "spare"}, 2) },
		func() error { return s.CreateSession("ann", "s1", "clerk") },
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Each administrative and system function, with every precondition the standard gives it, and what it does.
func TestPreconditions(t *testing.T) {
	t.Parallel()
	ok := ""
	for _, tt := range []struct {
		function, name string
		do             func(s *System) error
		want           string
	}{
		{"AddUser", "the user is new", func(s *System) error { return s.AddUser("ann") }, "already-exists"},
		{"AddUser", "stands", func(s *System) error { return s.AddUser("eve") }, ok},
		{"DeleteUser", "the user exists", func(s *System) error { return s.DeleteUser("eve") }, "not-found"},
		{"DeleteUser", "stands, and ends the sessions", func(s *System) error {
			return errors.Join(s.DeleteUser("ann"), expect(s.SessionRoles("s1"))("session-not-found"))
		}, ok},
		{"AddRole", "the role is new", func(s *System) error { return s.AddRole("clerk") }, "already-exists"},
		{"AddRole", "stands", func(s *System) error { return s.AddRole("new") }, ok},
		{"DeleteRole", "the role exists", func(s *System) error { return s.DeleteRole("none") }, "not-found"},
		{"DeleteRole", "no set names it", func(s *System) error { return s.DeleteRole("enter") }, "referenced-by-rule"},
		{"DeleteRole", "stands, and sessions lose it", func(s *System) error {
			return errors.Join(s.DeleteDsdSet("sessions"), s.DeleteRole("clerk"), lists(s, "s1"))
		}, ok},
		{"AssignUser", "the user exists", func(s *System) error { return s.AssignUser("eve", "clerk") }, "not-found"},
		{"AssignUser", "the role exists", func(s *System) error { return s.AssignUser("bob", "none") }, "not-found"},
		{"AssignUser", "it is not assigned yet", func(s *System) error { return s.AssignUser("ann", "clerk") }, "already-exists"},
		{"AssignUser", "every static set holds", func(s *System) error { return s.AssignUser("ann", "release") }, "sod-violation"},
		{"AssignUser", "over what is inherited too", func(s *System) error {
			return errors.Join(s.AddAscendant("teller", "release"), s.AssignUser("ann", "teller"))
		}, "sod-violation"},
		{"AssignUser", "stands", func(s *System) error { return s.AssignUser("bob", "release") }, ok},
		{"DeassignUser", "it is assigned", func(s *System) error { return s.DeassignUser("bob", "clerk") }, "not-found"},
		{"DeassignUser", "stands, and sessions lose it", func(s *System) error {
			return errors.Join(s.DeassignUser("ann", "clerk"), lists(s, "s1"))
		}, ok},
		{"GrantPermission", "the role exists", func(s *System) error { return s.GrantPermission(Permission{"read", "x"}, "none") }, "not-found"},
		{"GrantPermission", "it is new to the role", func(s *System) error { return s.GrantPermission(Permission{"read", "ledger"}, "clerk") }, "already-exists"},
		{"GrantPermission", "stands", func(s *System) error { return s.GrantPermission(Permission{"read", "ledger"}, "auditor") }, ok},
		{"RevokePermission", "the role has it", func(s *System) error { return s.RevokePermission(Permission{"write", "ledger"}, "clerk") }, "not-found"},
		{"RevokePermission", "stands", func(s *System) error {
			return errors.Join(s.RevokePermission(Permission{"read", "ledger"}, "clerk"), access(s, "s1", "read", false))
		}, ok},

		{"CreateSession", "the user exists", func(s *System) error { return s.CreateSession("eve", "s2") }, "not-found"},
		{"CreateSession", "the session is new", func(s *System) error { return s.CreateSession("ann", "s1") }, "already-exists"},
		{"CreateSession", "the user is authorised for the roles", func(s *System) error { return s.CreateSession("bob", "s2", "clerk") }, "role-not-activatable"},
		{"CreateSession", "every dynamic set holds, or there is no session", func(s *System) error {
			return errors.Join(s.DeleteSession("ann", "s1"), expect(0, s.CreateSession("ann", "s2", "clerk", "auditor"))("dsd-conflict"),
				expect(s.SessionRoles("s2"))("session-not-found"))
		}, ok},
		{"CreateSession", "stands", func(s *System) error { return s.CreateSession("bob", "s2", "auditor") }, ok},
		{"DeleteSession", "the session exists", func(s *System) error { return s.DeleteSession("ann", "s2") }, "session-not-found"},
		{"DeleteSession", "it is the user's", func(s *System) error { return s.DeleteSession("bob", "s1") }, "session-not-found"},
		{"DeleteSession", "stands", func(s *System) error { return s.DeleteSession("ann", "s1") }, ok},
		{"AddActiveRole", "the session is the user's", func(s *System) error { return s.AddActiveRole("bob", "s1", "auditor") }, "session-not-found"},
		{"AddActiveRole", "the role exists", func(s *System) error { return s.AddActiveRole("ann", "s1", "none") }, "not-found"},
		{"AddActiveRole", "it is not active yet", func(s *System) error { return s.AddActiveRole("ann", "s1", "clerk") }, "already-exists"},
		{"AddActiveRole", "the user is authorised for it", func(s *System) error { return s.AddActiveRole("ann", "s1", "release") }, "role-not-activatable"},
		{"AddActiveRole", "every dynamic set holds", func(s *System) error { return s.AddActiveRole("ann", "s1", "auditor") }, "dsd-conflict"},
		{"AddActiveRole", "across sessions too", func(s *System) error { return s.CreateSession("ann", "s2", "auditor") }, "dsd-conflict"},
		{"AddActiveRole", "stands", func(s *System) error { return s.AddActiveRole("ann", "s1", "enter") }, ok},
		{"DropActiveRole", "the session is the user's", func(s *System) error { return s.DropActiveRole("bob", "s1", "clerk") }, "session-not-found"},
		{"DropActiveRole", "the role is active", func(s *System) error { return s.DropActiveRole("ann", "s1", "enter") }, "not-found"},
		{"DropActiveRole", "stands", func(s *System) error {
			return errors.Join(s.DropActiveRole("ann", "s1", "clerk"), access(s, "s1", "read", false))
		}, ok},
		{"CheckAccess", "the session exists", func(s *System) error { return access(s, "s2", "read", true) }, "session-not-found"},
		{"CheckAccess", "what an active role carries", func(s *System) error { return access(s, "s1", "read", true) }, ok},
		{"CheckAccess", "and nothing else", func(s *System) error { return access(s, "s1", "write", false) }, ok},

		{"AddInheritance", "the senior exists", func(s *System) error { return s.AddInheritance("none", "clerk") }, "not-found"},
		{"AddInheritance", "the junior exists", func(s *System) error { return s.AddInheritance("clerk", "none") }, "not-found"},
		{"AddInheritance", "it is not there, even at a distance", func(s *System) error {
			return errors.Join(s.AddDescendant("clerk", "helper"), s.AddInheritance("chief", "helper"))
		}, "already-exists"},
		{"AddInheritance", "it is not there the other way round", func(s *System) error { return s.AddInheritance("clerk", "chief") }, "hierarchy-cycle"},
		{"AddInheritance", "no role is above itself", func(s *System) error { return s.AddInheritance("clerk", "clerk") }, "hierarchy-cycle"},
		{"AddInheritance", "every static set holds in the new hierarchy", func(s *System) error { return s.AddInheritance("clerk", "release") }, "sod-violation"},
		{"AddInheritance", "stands", func(s *System) error { return s.AddInheritance("auditor", "spare") }, ok},
		{"DeleteInheritance", "it is immediate", func(s *System) error {
			return errors.Join(s.AddDescendant("clerk", "helper"), s.DeleteInheritance("chief", "helper"))
		}, "not-found"},
		{"DeleteInheritance", "what is reached another way stays", func(s *System) error {
			return errors.Join(s.AddDescendant("clerk", "one"), s.AddDescendant("clerk", "two"), s.AddInheritance("one", "spare"), s.AddInheritance("two", "spare"),
				s.DeleteInheritance("one", "spare"), authorised(s, "ann", "auditor", "clerk", "enter", "one", "spare", "two"))
		}, ok},
		{"AddAscendant", "the ascendant is new", func(s *System) error { return s.AddAscendant("chief", "enter") }, "already-exists"},
		{"AddAscendant", "the descendant exists", func(s *System) error { return s.AddAscendant("boss", "none") }, "not-found"},
		{"AddAscendant", "stands", func(s *System) error { return s.AddAscendant("boss", "chief") }, ok},
		{"AddDescendant", "the descendant is new", func(s *System) error { return s.AddDescendant("clerk", "enter") }, "already-exists"},
		{"AddDescendant", "the ascendant exists", func(s *System) error { return s.AddDescendant("none", "x") }, "not-found"},
		{"AddDescendant", "stands", func(s *System) error { return s.AddDescendant("clerk", "x") }, ok},
	} {
		t.Run(tt.function+": "+tt.name, func(t *testing.T) {
			t.Parallel()
			checkCode(t, tt.do(office(t)), tt.want)
		})
	}
}

func checkCode(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = fault.From(err).Code
	}
	if got != want {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}

// expect turns an error with the code that is wanted into none.
func expect[T any](_ T, err error) func(string) error {
	return func(code string) error {
		if err == nil || fault.From(err).Code != code {
			return errors.New("got another error than " + code)
		}
		return nil
	}
}

func access(s *System, id Session, op Op, want bool) error {
	got, err := s.CheckAccess(id, op, "ledger")
	if err == nil && got != want {
		return errors.New("access is not as it should be")
	}
	return err
}

// lists compares the roles active in a session.
func lists(s *System, id Session, want ...Role) error {
	got, err := s.SessionRoles(id)
	return errors.Join(err, same(got, want))
}

// authorised compares the roles a user is authorised for.
func authorised(s *System, u User, want ...Role) error {
	got, err := s.AuthorizedRoles(u)
	return errors.Join(err, same(got, want))
}
