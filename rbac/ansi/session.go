package ansi

import (
	"slices"

	"github.com/countersign-id/countersign/rbac"
)

// CreateSession opens a session of a user with roles active, all or none of them. The session must be new, the
// user authorised for each role, and every dynamic set must hold over everything the roles inherit:
// this is stricter than the letter of the standard, which looks at the active roles alone.
func (s *System) CreateSession(u User, id Session, roles ...Role) error {
	if err := s.user(u); err != nil {
		return err
	}
	if _, ok := s.sessions[id]; ok {
		return rbac.ErrExists.At("session")
	}
	s.sessions[id] = session{user: u}
	for _, r := range roles {
		if err := s.AddActiveRole(u, id, r); err != nil {
			delete(s.sessions, id)
			return err
		}
	}
	return nil
}

// DeleteSession ends a session, which must be the user's.
func (s *System) DeleteSession(u User, id Session) error {
	if _, err := s.sessionOf(u, id); err != nil {
		return err
	}
	delete(s.sessions, id)
	return nil
}

func (s *System) sessionOf(u User, id Session) (session, error) {
	ses, ok := s.sessions[id]
	if !ok || ses.user != u {
		return session{}, ErrSession
	}
	return ses, nil
}

// AddActiveRole activates a role in a session. The session must be the user's, the user authorised for the
// role, the role not yet active, and every dynamic set must hold, within and across the user's sessions.
func (s *System) AddActiveRole(u User, id Session, r Role) error {
	ses, err := s.sessionOf(u, id)
	if err != nil {
		return err
	}
	if err := s.role(r); err != nil {
		return err
	}
	if slices.Contains(ses.roles, r) {
		return rbac.ErrExists.At("role")
	}
	a := rbac.Active{Account: rbac.AccountID(u), Here: roleIDs(ses.roles), Elsewhere: s.elsewhere(u, id)}
	got := s.snapshot().Activate(s.state.Holder(rbac.SubjectID(u)), a, rbac.RoleID(r), s.now)
	if got.Why != nil {
		return got.Why
	}
	ses.roles = rolesOf(got.Roles)
	s.sessions[id] = ses
	return nil
}

// DropActiveRole makes a role that is active in the user's session inactive.
func (s *System) DropActiveRole(u User, id Session, r Role) error {
	ses, err := s.sessionOf(u, id)
	if err != nil {
		return err
	}
	i := slices.Index(ses.roles, r)
	if i < 0 {
		return rbac.ErrNotFound.At("role")
	}
	ses.roles = slices.Delete(slices.Clone(ses.roles), i, i+1)
	s.sessions[id] = ses
	return nil
}

// CheckAccess reports whether a session, which must exist, may perform an operation on an object.
func (s *System) CheckAccess(id Session, op Op, object Object) (bool, error) {
	ses, ok := s.sessions[id]
	if !ok {
		return false, ErrSession
	}
	return s.snapshot().Authority(roleIDs(ses.roles)).Has(Permission{op, object}.id()), nil
}

// elsewhere returns what is active in the user's other sessions.
func (s *System) elsewhere(u User, but Session) []rbac.RoleID {
	var out []rbac.RoleID
	for id, ses := range s.sessions {
		if ses.user == u && id != but {
			out = append(out, roleIDs(ses.roles)...)
		}
	}
	return out
}

// trim takes from every session the roles its user may not have active any more.
func (s *System) trim() {
	for id, ses := range s.sessions {
		a := rbac.Active{Account: rbac.AccountID(ses.user), Here: roleIDs(ses.roles), Elsewhere: s.elsewhere(ses.user, id)}
		ses.roles = rolesOf(s.snapshot().Trim(s.state.Holder(rbac.SubjectID(ses.user)), a, s.now))
		s.sessions[id] = ses
	}
}

func roleIDs(in []Role) []rbac.RoleID {
	out := make([]rbac.RoleID, len(in))
	for i, r := range in {
		out[i] = rbac.RoleID(r)
	}
	return out
}

func rolesOf(in []rbac.RoleID) []Role {
	out := make([]Role, len(in))
	for i, r := range in {
		out[i] = Role(r)
	}
	return out
}
