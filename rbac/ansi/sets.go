package ansi

import (
	"slices"

	"github.com/countersign-id/countersign/rbac"
)

// The sixteen functions of static and dynamic sets. n is the standard's: a set (roles, n) is broken by whoever has
// n or more of its roles. Each checks first that the set stays one: 2 ≤ n ≤ number of roles. Each static one is
// refused if a user is authorised for too many roles already.

// CreateSsdSet makes a static set under a name that is not in use.
func (s *System) CreateSsdSet(name string, roles []Role, n int) error {
	return s.create(rbac.Static, name, roles, n)
}

// DeleteSsdSet deletes a static set.
func (s *System) DeleteSsdSet(name string) error { return s.delete(rbac.Static, name) }

// AddSsdRoleMember adds a role to a static set.
func (s *System) AddSsdRoleMember(name string, r Role) error {
	return s.addMember(rbac.Static, name, r)
}

// DeleteSsdRoleMember takes a role out of a static set, which must keep as many roles as it counts.
func (s *System) DeleteSsdRoleMember(name string, r Role) error {
	return s.deleteMember(rbac.Static, name, r)
}

// SetSsdSetCardinality changes how many roles of a static set are too many.
func (s *System) SetSsdSetCardinality(name string, n int) error {
	return s.setCardinality(rbac.Static, name, n)
}

// SsdRoleSets returns the names of the static sets.
func (s *System) SsdRoleSets() []string { return s.sets(rbac.Static) }

// SsdRoleSetRoles returns the roles of a static set.
func (s *System) SsdRoleSetRoles(name string) ([]Role, error) { return s.setRoles(rbac.Static, name) }

// SsdRoleSetCardinality returns how many roles of a static set are too many.
func (s *System) SsdRoleSetCardinality(name string) (int, error) {
	return s.cardinality(rbac.Static, name)
}

// CreateDsdSet makes a dynamic set under a name that is not in use. It is refused if a session is in conflict with it.
func (s *System) CreateDsdSet(name string, roles []Role, n int) error {
	return s.create(rbac.Dynamic, name, roles, n)
}

// DeleteDsdSet deletes a dynamic set.
func (s *System) DeleteDsdSet(name string) error { return s.delete(rbac.Dynamic, name) }

// AddDsdRoleMember adds a role to a dynamic set.
func (s *System) AddDsdRoleMember(name string, r Role) error {
	return s.addMember(rbac.Dynamic, name, r)
}

// DeleteDsdRoleMember takes a role out of a dynamic set, which must keep as many roles as it counts.
func (s *System) DeleteDsdRoleMember(name string, r Role) error {
	return s.deleteMember(rbac.Dynamic, name, r)
}

// SetDsdSetCardinality changes how many roles of a dynamic set are too many.
func (s *System) SetDsdSetCardinality(name string, n int) error {
	return s.setCardinality(rbac.Dynamic, name, n)
}

// DsdRoleSets returns the names of the dynamic sets.
func (s *System) DsdRoleSets() []string { return s.sets(rbac.Dynamic) }

// DsdRoleSetRoles returns the roles of a dynamic set.
func (s *System) DsdRoleSetRoles(name string) ([]Role, error) { return s.setRoles(rbac.Dynamic, name) }

// DsdRoleSetCardinality returns how many roles of a dynamic set are too many.
func (s *System) DsdRoleSetCardinality(name string) (int, error) {
	return s.cardinality(rbac.Dynamic, name)
}

// set returns the rule behind a set.
func (s *System) set(kind rbac.RuleKind, name string) (rbac.Rule, error) {
	r, ok := s.state.Rules[rbac.RuleID(name)]
	if !ok || r.Kind != kind {
		return rbac.Rule{}, rbac.ErrNotFound.At("set")
	}
	return r, nil
}

func (s *System) create(kind rbac.RuleKind, name string, roles []Role, n int) error {
	if _, ok := s.state.Rules[rbac.RuleID(name)]; ok {
		return rbac.ErrExists.At("set")
	}
	return s.write(rbac.Rule{ID: rbac.RuleID(name), Kind: kind, Level: rbac.High, Mode: rbac.Block, K: n}, roles)
}

// write brings a rule over roles into the policy, making the duty of each role on the way.
func (s *System) write(r rbac.Rule, roles []Role) error {
	distinct := slices.Compact(slices.Sorted(slices.Values(roles)))
	if r.K < 2 || r.K > len(distinct) {
		return ErrCardinality
	}
	var ops []rbac.Op
	r.Duties = nil
	for _, role := range distinct {
		if err := s.role(role); err != nil {
			return err
		}
		d := rbac.Duty{ID: rbac.DutyID(role), Name: string(role), Expr: rbac.AnyOf(rbac.RoleID(role).Atom())}
		r.Duties = append(r.Duties, d.ID)
		if _, ok := s.state.Duties[d.ID]; !ok {
			ops = append(ops, rbac.DefineDuty{Duty: d})
		}
	}
	if _, ok := s.state.Rules[r.ID]; ok {
		ops = append(ops, rbac.EditRule{Rule: r})
	} else {
		ops = append(ops, rbac.CreateRule{Rule: r})
	}
	if r.Kind == rbac.Dynamic {
		if err := s.sessionsBear(ops); err != nil {
			return err
		}
	}
	return s.change(ops...)
}

// sessionsBear tries ops and reports a session that would be in conflict afterwards.
func (s *System) sessionsBear(ops []rbac.Op) error {
	trial := rbac.NewState()
	for _, r := range s.state.Roles {
		trial.Load(r)
	}
	for _, p := range s.state.Permissions {
		trial.Load(p)
	}
	for _, d := range s.state.Duties {
		trial.Load(d)
	}
	for _, r := range s.state.Rules {
		trial.Load(r)
	}
	res, err := trial.Apply(rbac.By{}, rbac.Changeset{Ops: ops}, s.now)
	if err != nil || res.Why != nil {
		return nil // what is wrong with it is said where it is applied
	}
	snap, err := trial.Snapshot()
	if err != nil {
		return err
	}
	for id, ses := range s.sessions {
		if len(snap.Together(roleIDs(ses.roles), s.elsewhere(ses.user, id), s.now)) > 0 {
			return rbac.ErrDSDConflict
		}
	}
	return nil
}

func (s *System) delete(kind rbac.RuleKind, name string) error {
	r, err := s.set(kind, name)
	if err != nil {
		return err
	}
	return s.change(rbac.DeleteRule{Rule: r.ID})
}

func (s *System) addMember(kind rbac.RuleKind, name string, role Role) error {
	r, err := s.set(kind, name)
	if err != nil {
		return err
	}
	if err := s.role(role); err != nil {
		return err
	}
	if slices.Contains(r.Duties, rbac.DutyID(role)) {
		return rbac.ErrExists.At("role")
	}
	return s.write(r, append(members(r), role))
}

func (s *System) deleteMember(kind rbac.RuleKind, name string, role Role) error {
	r, err := s.set(kind, name)
	if err != nil {
		return err
	}
	i := slices.Index(r.Duties, rbac.DutyID(role))
	if i < 0 {
		return rbac.ErrNotFound.At("role")
	}
	return s.write(r, slices.Delete(members(r), i, i+1))
}

func (s *System) setCardinality(kind rbac.RuleKind, name string, n int) error {
	r, err := s.set(kind, name)
	if err != nil {
		return err
	}
	r.K = n
	return s.write(r, members(r))
}

func (s *System) sets(kind rbac.RuleKind) []string {
	var out []string
	for id, r := range s.state.Rules {
		if r.Kind == kind {
			out = append(out, string(id))
		}
	}
	slices.Sort(out)
	return out
}

func (s *System) setRoles(kind rbac.RuleKind, name string) ([]Role, error) {
	r, err := s.set(kind, name)
	return members(r), err
}

func (s *System) cardinality(kind rbac.RuleKind, name string) (int, error) {
	r, err := s.set(kind, name)
	return r.K, err
}

func members(r rbac.Rule) []Role {
	out := make([]Role, len(r.Duties))
	for i, d := range r.Duties {
		out[i] = Role(d)
	}
	return out
}
