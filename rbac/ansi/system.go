// Package ansi shows the engine under the names of ANSI INCITS 359: the 43 functions of core,
// hierarchical and constrained RBAC, one to one, for those who audit against the standard.
//
// It is a thin facade. Every administrative function is one changeset through rbac's only write path;
// the facade keeps nothing of its own but sessions. Sets of the standard are rules: a set named n over
// roles with cardinality c is a rule that counts those roles up to c. Where the standard leaves a
// choice, or the engine is stricter, the function says so.
package ansi

import (
	"fmt"
	"slices"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
)

// The basic element sets, as the standard names them.
type (
	User    string
	Role    string
	Op      string
	Object  string
	Session string
)

// Permission is an operation on an object.
type Permission struct {
	Op     Op
	Object Object
}

// The preconditions the standard asks for, where they are not the engine's own.
var (
	ErrSession     = fault.New(fault.NotFound, "session-not-found", "There is no such session of this user.")
	ErrCardinality = fault.New(fault.Invalid, "cardinality-invalid", "A set holds at least two roles, and counts at least two and no more than it holds.")
)

// System is the system the functions work on. It is not safe for concurrent use.
type System struct {
	state    *rbac.State
	now      rbac.Instant
	sessions map[Session]session
	assigned int
}

type session struct {
	user  User
	roles []Role
}

// New returns a system of nothing.
func New() *System {
	return &System{state: rbac.NewState(), now: 1, sessions: map[Session]session{}}
}

// State returns what the system has done to the engine, for reading.
func (s *System) State() *rbac.State { return s.state }

// change applies ops as one changeset.
func (s *System) change(ops ...rbac.Op) error {
	res, err := s.state.Apply(rbac.By{}, rbac.Changeset{Ops: ops}, s.now)
	if err != nil {
		return err
	}
	return res.Err()
}

func (s *System) snapshot() *rbac.Snapshot {
	snap, err := s.state.Snapshot()
	if err != nil {
		panic(fmt.Sprintf("ansi: a state that only changesets wrote does not compile: %v", err)) // it cannot
	}
	return snap
}

func (p Permission) id() rbac.Permission {
	return rbac.Permission("ansi/" + string(p.Object) + ":" + string(p.Op))
}

func (s *System) user(u User) error {
	if _, ok := s.state.Subjects[rbac.SubjectID(u)]; !ok {
		return rbac.ErrNotFound.At("user")
	}
	return nil
}

func (s *System) role(r Role) error {
	if _, ok := s.state.Roles[rbac.RoleID(r)]; !ok {
		return rbac.ErrNotFound.At("role")
	}
	return nil
}

// assignment returns the assignment of r to u that is in force, if there is one.
func (s *System) assignment(u User, r Role) (rbac.AssignmentID, bool) {
	for id, a := range s.state.Assignments {
		if a.Account == rbac.AccountID(u) && a.Role == rbac.RoleID(r) && a.During.Holds(s.now) {
			return id, true
		}
	}
	return "", false
}

// AddUser creates a user. The user must not exist.
func (s *System) AddUser(u User) error {
	return s.change(rbac.AddSubject{Subject: rbac.Subject{ID: rbac.SubjectID(u)}},
		rbac.AddAccount{Account: rbac.Account{ID: rbac.AccountID(u), Subject: rbac.SubjectID(u)}})
}

// DeleteUser deletes a user who must exist, with their assignments and sessions.
func (s *System) DeleteUser(u User) error {
	if err := s.user(u); err != nil {
		return err
	}
	if err := s.change(rbac.DeleteAccount{Account: rbac.AccountID(u)}, rbac.DeleteSubject{Subject: rbac.SubjectID(u)}); err != nil {
		return err
	}
	for id, ses := range s.sessions {
		if ses.user == u {
			delete(s.sessions, id)
		}
	}
	return nil
}

// AddRole creates a role. The role must not exist.
func (s *System) AddRole(r Role) error {
	return s.change(rbac.CreateRole{Role: rbac.Role{ID: rbac.RoleID(r), Name: string(r)}})
}

// DeleteRole deletes a role that must exist. The standard leaves open what becomes of sessions in which it is
// active: they lose it at once. A role that a set names cannot be deleted.
func (s *System) DeleteRole(r Role) error {
	if err := s.change(rbac.DeleteRole{Role: rbac.RoleID(r)}); err != nil {
		return err
	}
	if duty := rbac.DutyID(r); s.state.Duties[duty].ID == duty {
		if err := s.change(rbac.DeleteDuty{Duty: duty}); err != nil {
			return err
		}
	}
	s.trim()
	return nil
}

// AssignUser assigns a role to a user. Both must exist, the role must not be assigned yet, and every
// static set must hold afterwards over everything the user is authorised for.
func (s *System) AssignUser(u User, r Role) error {
	if err := s.user(u); err != nil {
		return err
	}
	s.assigned++
	return s.change(rbac.Assign{Assignment: rbac.Assignment{
		ID: rbac.AssignmentID(fmt.Sprint("assignment-", s.assigned)), Account: rbac.AccountID(u), Role: rbac.RoleID(r),
	}})
}

// DeassignUser takes a role from a user who must have it. Sessions lose at once what the user is no
// longer authorised for.
func (s *System) DeassignUser(u User, r Role) error {
	id, ok := s.assignment(u, r)
	if !ok {
		return rbac.ErrNotFound.At("assignment")
	}
	if err := s.change(rbac.Withdraw{Assignment: id}); err != nil {
		return err
	}
	s.trim()
	return nil
}

// GrantPermission gives a role the permission to perform an operation on an object. The role must exist.
func (s *System) GrantPermission(p Permission, r Role) error {
	if err := s.role(r); err != nil {
		return err
	}
	var ops []rbac.Op
	if _, ok := s.state.Permissions[p.id()]; !ok {
		ops = append(ops, rbac.DefinePermission{Permission: rbac.PermissionDef{ID: p.id()}})
	}
	return s.change(append(ops, rbac.GrantPermission{Role: rbac.RoleID(r), Permission: p.id()})...)
}

// RevokePermission takes a permission from a role that must have it.
func (s *System) RevokePermission(p Permission, r Role) error {
	return s.change(rbac.RevokePermission{Role: rbac.RoleID(r), Permission: p.id()})
}

// AddInheritance puts senior above junior. Neither may be above the other already, and every static set must hold
// in the new hierarchy. Sessions that a dynamic set then speaks against lose their roles.
func (s *System) AddInheritance(senior, junior Role) error {
	if err := s.role(junior); err != nil {
		return err
	}
	if err := s.role(senior); err != nil {
		return err
	}
	if slices.Contains(s.snapshot().Juniors(rbac.RoleID(senior)), rbac.RoleID(junior)) {
		return rbac.ErrExists.At("junior")
	}
	if err := s.change(rbac.AddInheritance{Senior: rbac.RoleID(senior), Junior: rbac.RoleID(junior)}); err != nil {
		return err
	}
	s.trim()
	return nil
}

// DeleteInheritance removes an immediate inheritance that must exist. What senior reaches another way
// it still reaches: the hierarchy is closed anew from its immediate edges.
func (s *System) DeleteInheritance(senior, junior Role) error {
	if err := s.change(rbac.DeleteInheritance{Senior: rbac.RoleID(senior), Junior: rbac.RoleID(junior)}); err != nil {
		return err
	}
	s.trim()
	return nil
}

// AddAscendant creates a role above an existing one.
func (s *System) AddAscendant(ascendant, descendant Role) error {
	if err := s.role(descendant); err != nil {
		return err
	}
	return s.change(rbac.CreateRole{Role: rbac.Role{
		ID: rbac.RoleID(ascendant), Name: string(ascendant), Juniors: []rbac.Junior{{Role: rbac.RoleID(descendant)}},
	}})
}

// AddDescendant creates a role below an existing one.
func (s *System) AddDescendant(ascendant, descendant Role) error {
	if err := s.role(ascendant); err != nil {
		return err
	}
	return s.change(rbac.CreateRole{Role: rbac.Role{ID: rbac.RoleID(descendant), Name: string(descendant)}},
		rbac.AddInheritance{Senior: rbac.RoleID(ascendant), Junior: rbac.RoleID(descendant)})
}
