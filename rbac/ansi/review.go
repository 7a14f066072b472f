package ansi

import (
	"slices"

	"github.com/countersign-id/countersign/rbac"
)

// AssignedUsers returns the users a role is assigned to. The role must exist.
func (s *System) AssignedUsers(r Role) ([]User, error) {
	if err := s.role(r); err != nil {
		return nil, err
	}
	return s.users(func(u User) bool { _, ok := s.assignment(u, r); return ok }), nil
}

// AssignedRoles returns the roles assigned to a user, who must exist.
func (s *System) AssignedRoles(u User) ([]Role, error) {
	if err := s.user(u); err != nil {
		return nil, err
	}
	return s.rolesWhere(func(r Role) bool { _, ok := s.assignment(u, r); return ok }), nil
}

// AuthorizedUsers returns the users a role is assigned to, or a role above it.
func (s *System) AuthorizedUsers(r Role) ([]User, error) {
	if err := s.role(r); err != nil {
		return nil, err
	}
	return s.users(func(u User) bool { return slices.Contains(s.authorized(u), rbac.RoleID(r)) }), nil
}

// AuthorizedRoles returns the roles a user is authorised for: those assigned and all below them.
func (s *System) AuthorizedRoles(u User) ([]Role, error) {
	if err := s.user(u); err != nil {
		return nil, err
	}
	return rolesOf(s.authorized(u)), nil
}

func (s *System) authorized(u User) []rbac.RoleID {
	return s.snapshot().Activatable(s.state.Holder(rbac.SubjectID(u)), rbac.AccountID(u), s.now, true)
}

// RolePermissions returns the permissions of a role, with those it inherits.
func (s *System) RolePermissions(r Role) ([]Permission, error) {
	if err := s.role(r); err != nil {
		return nil, err
	}
	return s.carried(rbac.RoleID(r)), nil
}

// UserPermissions returns the permissions a user gets through the roles they are authorised for.
func (s *System) UserPermissions(u User) ([]Permission, error) {
	if err := s.user(u); err != nil {
		return nil, err
	}
	return s.carried(s.authorized(u)...), nil
}

// SessionRoles returns the roles active in a session, which must exist.
func (s *System) SessionRoles(id Session) ([]Role, error) {
	ses, ok := s.sessions[id]
	if !ok {
		return nil, ErrSession
	}
	return slices.Clone(ses.roles), nil
}

// SessionPermissions returns the permissions available in a session, which must exist.
func (s *System) SessionPermissions(id Session) ([]Permission, error) {
	ses, ok := s.sessions[id]
	if !ok {
		return nil, ErrSession
	}
	return s.carried(roleIDs(ses.roles)...), nil
}

// RoleOperationsOnObject returns what a role may do with an object.
func (s *System) RoleOperationsOnObject(r Role, o Object) ([]Op, error) {
	ps, err := s.RolePermissions(r)
	return opsOn(ps, o), err
}

// UserOperationsOnObject returns what a user may do with an object.
func (s *System) UserOperationsOnObject(u User, o Object) ([]Op, error) {
	ps, err := s.UserPermissions(u)
	return opsOn(ps, o), err
}

func opsOn(ps []Permission, o Object) []Op {
	var out []Op
	for _, p := range ps {
		if p.Object == o {
			out = append(out, p.Op)
		}
	}
	return out
}

func (s *System) carried(roles ...rbac.RoleID) []Permission {
	var out []Permission
	for _, p := range s.snapshot().Authority(roles).Permissions() {
		object, op := p.Parts()
		out = append(out, Permission{Op(op), Object(object)})
	}
	return out
}

// users returns the users for whom in is true, sorted.
func (s *System) users(in func(User) bool) []User {
	var out []User
	for id := range s.state.Subjects {
		if in(User(id)) {
			out = append(out, User(id))
		}
	}
	slices.Sort(out)
	return out
}

func (s *System) rolesWhere(in func(Role) bool) []Role {
	var out []Role
	for id := range s.state.Roles {
		if in(Role(id)) {
			out = append(out, Role(id))
		}
	}
	slices.Sort(out)
	return out
}
