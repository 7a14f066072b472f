package ansi

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// The sixteen functions of static and of dynamic sets have the same preconditions, but for whom they look at.
func TestPreconditionsOfSets(t *testing.T) {
	t.Parallel()
	type kind struct {
		name           string
		set            string
		in, out        Role // a member of the set; a role outside it that ann has
		create         func(s *System, name string, roles []Role, n int) error
		delete         func(s *System, name string) error
		add, remove    func(s *System, name string, r Role) error
		cardinality    func(s *System, name string, n int) error
		sets           func(s *System) []string
		roles          func(s *System, name string) ([]Role, error)
		getCardinality func(s *System, name string) (int, error)
		broken         string
	}
	for _, k := range []kind{
		{"Ssd", "payments", "enter", "clerk", (*System).CreateSsdSet, (*System).DeleteSsdSet, (*System).AddSsdRoleMember, (*System).DeleteSsdRoleMember,
			(*System).SetSsdSetCardinality, (*System).SsdRoleSets, (*System).SsdRoleSetRoles, (*System).SsdRoleSetCardinality, "existing-violations"},
		{"Dsd", "sessions", "clerk", "enter", (*System).CreateDsdSet, (*System).DeleteDsdSet, (*System).AddDsdRoleMember, (*System).DeleteDsdRoleMember,
			(*System).SetDsdSetCardinality, (*System).DsdRoleSets, (*System).DsdRoleSetRoles, (*System).DsdRoleSetCardinality, "dsd-conflict"},
	} {
		for _, tt := range []struct {
			function, name string
			do             func(s *System) error
			want           string
		}{
			{"Create%sSet", "the name is new", func(s *System) error { return k.create(s, k.set, []Role{"spare", "release"}, 2) }, "already-exists"},
			{"Create%sSet", "the roles exist", func(s *System) error { return k.create(s, "x", []Role{"spare", "none"}, 2) }, "not-found"},
			{"Create%sSet", "it counts two", func(s *System) error { return k.create(s, "x", []Role{"spare", "release"}, 1) }, "cardinality-invalid"},
			{"Create%sSet", "it counts no more than it holds", func(s *System) error { return k.create(s, "x", []Role{"spare", "release"}, 3) }, "cardinality-invalid"},
			{"Create%sSet", "a role twice is one role", func(s *System) error { return k.create(s, "x", []Role{"spare", "spare"}, 2) }, "cardinality-invalid"},
			{"Create%sSet", "what exists does not break it", func(s *System) error {
				return errors.Join(s.AddActiveRole("ann", "s1", "enter"), k.create(s, "x", []Role{"clerk", "enter"}, 2))
			}, k.broken},
			{"Create%sSet", "stands", func(s *System) error {
				return errors.Join(k.create(s, "x", []Role{"release", "spare"}, 2), same(k.sets(s), slices.Sorted(slices.Values([]string{k.set, "x"}))))
			}, ""},
			{"Delete%sSet", "the set exists", func(s *System) error { return k.delete(s, "x") }, "not-found"},
			{"Delete%sSet", "stands", func(s *System) error { return errors.Join(k.delete(s, k.set), same(k.sets(s), nil)) }, ""},
			{"Add%sRoleMember", "the set exists", func(s *System) error { return k.add(s, "x", "spare") }, "not-found"},
			{"Add%sRoleMember", "the role exists", func(s *System) error { return k.add(s, k.set, "none") }, "not-found"},
			{"Add%sRoleMember", "it is no member yet", func(s *System) error { return k.add(s, k.set, k.in) }, "already-exists"},
			{"Add%sRoleMember", "what exists does not break it", func(s *System) error {
				return errors.Join(s.AddActiveRole("ann", "s1", "enter"), k.add(s, k.set, k.out))
			}, k.broken},
			{"Add%sRoleMember", "stands", func(s *System) error { return k.add(s, k.set, "chief") }, ""},
			{"Delete%sRoleMember", "the set exists", func(s *System) error { return k.remove(s, "x", k.in) }, "not-found"},
			{"Delete%sRoleMember", "it is a member", func(s *System) error { return k.remove(s, k.set, k.out) }, "not-found"},
			{"Delete%sRoleMember", "the set keeps as many as it counts", func(s *System) error {
				return errors.Join(k.create(s, "x", []Role{"release", "spare"}, 2), k.remove(s, "x", "spare"))
			}, "cardinality-invalid"},
			{"Delete%sRoleMember", "stands", func(s *System) error {
				return errors.Join(k.create(s, "x", []Role{"release", "spare", "chief"}, 2), k.remove(s, "x", "spare"))
			}, ""},
			{"Set%sSetCardinality", "the set exists", func(s *System) error { return k.cardinality(s, "x", 2) }, "not-found"},
			{"Set%sSetCardinality", "it counts two", func(s *System) error { return k.cardinality(s, k.set, 1) }, "cardinality-invalid"},
			{"Set%sSetCardinality", "it counts no more than it holds", func(s *System) error { return k.cardinality(s, k.set, 4) }, "cardinality-invalid"},
			{"Set%sSetCardinality", "what exists does not break it", func(s *System) error {
				return errors.Join(s.AddActiveRole("ann", "s1", "enter"), k.create(s, "x", []Role{"clerk", "enter", "release"}, 3), k.cardinality(s, "x", 2))
			}, k.broken},
			{"Set%sSetCardinality", "stands", func(s *System) error {
				n := func() error { _, err := k.getCardinality(s, "x"); return err }
				return errors.Join(k.create(s, "x", []Role{"release", "spare", "chief"}, 2), k.cardinality(s, "x", 3), n())
			}, ""},
			{"%sRoleSets", "names them all", func(s *System) error { return same(k.sets(s), []string{k.set}) }, ""},
			{"%sRoleSetRoles", "the set exists", func(s *System) error { _, err := k.roles(s, "x"); return err }, "not-found"},
			{"%sRoleSetRoles", "names them all", func(s *System) error {
				got, err := k.roles(s, k.set)
				return errors.Join(err, same(got, map[string][]Role{"Ssd": {"enter", "release"}, "Dsd": {"auditor", "clerk", "spare"}}[k.name]))
			}, ""},
			{"%sRoleSetCardinality", "the set exists", func(s *System) error { _, err := k.getCardinality(s, "x"); return err }, "not-found"},
			{"%sRoleSetCardinality", "says n", func(s *System) error {
				n, err := k.getCardinality(s, k.set)
				return errors.Join(err, same([]int{n}, []int{2}))
			}, ""},
		} {
			t.Run(fmt.Sprintf(tt.function, k.name)+": "+tt.name, func(t *testing.T) {
				t.Parallel()
				checkCode(t, tt.do(office(t)), tt.want)
			})
		}
	}
}

func same[T comparable](got, want []T) error {
	if !slices.Equal(got, want) {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

// Each review function, what it says and that what it is asked about must exist.
func TestReview(t *testing.T) {
	t.Parallel()
	s := office(t)
	check := func(name string, err error, want string) {
		t.Helper()
		t.Run(name, func(t *testing.T) { checkCode(t, err, want) })
	}
	list := func(name string, got any, err error, want string) {
		t.Helper()
		if fmt.Sprint(got) != want || err != nil {
			t.Errorf("%s: got %v %v, want %s", name, got, err, want)
		}
	}
	if err := s.AssignUser("bob", "chief"); err != nil {
		t.Fatal(err)
	}
	users, err := s.AssignedUsers("clerk")
	list("AssignedUsers", users, err, "[ann]")
	users, err = s.AuthorizedUsers("clerk")
	list("AuthorizedUsers", users, err, "[ann bob]")
	roles, err := s.AssignedRoles("bob")
	list("AssignedRoles", roles, err, "[auditor chief]")
	roles, err = s.AuthorizedRoles("bob")
	list("AuthorizedRoles", roles, err, "[auditor chief clerk]")
	perms, err := s.RolePermissions("chief")
	list("RolePermissions", perms, err, "[{read ledger} {write ledger}]")
	perms, err = s.UserPermissions("ann")
	list("UserPermissions", perms, err, "[{read ledger}]")
	roles, err = s.SessionRoles("s1")
	list("SessionRoles", roles, err, "[clerk]")
	perms, err = s.SessionPermissions("s1")
	list("SessionPermissions", perms, err, "[{read ledger}]")
	ops, err := s.RoleOperationsOnObject("chief", "ledger")
	list("RoleOperationsOnObject", ops, err, "[read write]")
	ops, err = s.UserOperationsOnObject("ann", "ledger")
	list("UserOperationsOnObject", ops, err, "[read]")
	ops, err = s.UserOperationsOnObject("ann", "safe")
	list("UserOperationsOnObject of another object", ops, err, "[]")

	_, err = s.AssignedUsers("none")
	check("AssignedUsers: the role exists", err, "not-found")
	_, err = s.AuthorizedUsers("none")
	check("AuthorizedUsers: the role exists", err, "not-found")
	_, err = s.AssignedRoles("none")
	check("AssignedRoles: the user exists", err, "not-found")
	_, err = s.AuthorizedRoles("none")
	check("AuthorizedRoles: the user exists", err, "not-found")
	_, err = s.RolePermissions("none")
	check("RolePermissions: the role exists", err, "not-found")
	_, err = s.UserPermissions("none")
	check("UserPermissions: the user exists", err, "not-found")
	_, err = s.SessionRoles("none")
	check("SessionRoles: the session exists", err, "session-not-found")
	_, err = s.SessionPermissions("none")
	check("SessionPermissions: the session exists", err, "session-not-found")
	_, err = s.RoleOperationsOnObject("none", "ledger")
	check("RoleOperationsOnObject: the role exists", err, "not-found")
	_, err = s.UserOperationsOnObject("none", "ledger")
	check("UserOperationsOnObject: the user exists", err, "not-found")
}
