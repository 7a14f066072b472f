package rbac

import (
	"cmp"
	"maps"
	"slices"

	"github.com/countersign-id/countersign/internal/fault"
)

// Op is one operation of a changeset. What it needs to be there may come later in the same changeset:
// references, cycles and rules are judged on the whole.
type Op interface {
	apply(e *edit) *fault.Error
}

// The operations on servers, permissions, scopes, roles and groups.
type (
	// DefineServer registers a resource server or changes it.
	DefineServer struct{ Server ResourceServer }
	// DropServer forgets a resource server that has no scopes.
	DropServer struct{ Server ServerID }
	// DefinePermission makes a permission known, or describes it anew.
	DefinePermission struct{ Permission PermissionDef }
	// DropPermission forgets a permission and takes it from roles and scopes. If a rule speaks of it, it is
	// refused; with Force the rule is marked invalid instead.
	DropPermission struct {
		Permission Permission
		Force      bool
	}
	// DefineScope creates a scope or changes what it maps to.
	DefineScope struct{ Scope Scope }
	// DropScope deletes a scope, as DropPermission does.
	DropScope struct {
		Scope ScopeID
		Force bool
	}

	// CreateRole makes a role, with its permissions and juniors.
	CreateRole struct{ Role Role }
	// EditRole replaces a role as a whole.
	EditRole struct{ Role Role }
	// DeleteRole takes a role from everybody and out of the hierarchy, and deletes it.
	DeleteRole struct {
		Role  RoleID
		Force bool
	}
	// AddInheritance puts senior above junior.
	AddInheritance struct {
		Senior, Junior RoleID
		Mode           EdgeMode
	}
	// DeleteInheritance removes one base edge; what is reached another way stays reached.
	DeleteInheritance struct{ Senior, Junior RoleID }
	// GrantPermission gives a role a permission of its own.
	GrantPermission struct {
		Role       RoleID
		Permission Permission
	}
	// RevokePermission takes a role's own permission.
	RevokePermission struct {
		Role       RoleID
		Permission Permission
	}

	// CreateGroup makes a group, with its roles and children.
	CreateGroup struct{ Group Group }
	// EditGroup replaces a group as a whole.
	EditGroup struct{ Group Group }
	// DeleteGroup empties and deletes a group.
	DeleteGroup struct {
		Group GroupID
		Force bool
	}
	// AddGroupEdge puts child into parent: its members become members of parent.
	AddGroupEdge struct{ Parent, Child GroupID }
	// DeleteGroupEdge takes child out of parent.
	DeleteGroupEdge struct{ Parent, Child GroupID }
	// AddGroupRole gives every member of a group a role.
	AddGroupRole struct {
		Group GroupID
		Role  RoleID
	}
	// DeleteGroupRole takes it.
	DeleteGroupRole struct {
		Group GroupID
		Role  RoleID
	}
)

func (o DefineServer) apply(e *edit) *fault.Error {
	r := o.Server
	if !word(string(r.ID), "") {
		return ErrInvalid.At("id")
	}
	if r.Claims != ClaimNone && r.Claims != ClaimRoles && r.Claims != ClaimPermissions {
		return ErrInvalid.Saying("There is no such claim mode.").At("claims")
	}
	r.Audiences = sorted(r.Audiences)
	for _, a := range r.Audiences {
		if !named(a) {
			return ErrInvalid.At("audiences")
		}
	}
	e.write(r)
	e.check(func() *fault.Error {
		for id, other := range e.s.Servers {
			if id != r.ID && slices.ContainsFunc(other.Audiences, func(a string) bool { return slices.Contains(r.Audiences, a) }) {
				return ErrExists.Saying("Another resource server expects that audience.").At("audiences")
			}
		}
		return nil
	})
	return nil
}

func (o DropServer) apply(e *edit) *fault.Error {
	if _, ok := e.s.Servers[o.Server]; !ok {
		return ErrNotFound.At("server")
	}
	drop(e, e.s.Servers, o.Server)
	e.check(func() *fault.Error {
		if _, back := e.s.Servers[o.Server]; back {
			return nil
		}
		for id := range e.s.Scopes {
			if id.Server() == o.Server {
				return ErrReferenced.Saying("The resource server still has scopes.").At("server")
			}
		}
		return nil
	})
	return nil
}

func (o DefinePermission) apply(e *edit) *fault.Error {
	if !o.Permission.ID.Valid() {
		return ErrInvalid.Saying("A permission reads server/type:action.").At("permission")
	}
	if old, ok := e.s.Permissions[o.Permission.ID]; ok && old == o.Permission {
		return ErrExists.At("permission")
	}
	e.write(o.Permission)
	return nil
}

func (o DropPermission) apply(e *edit) *fault.Error {
	if _, ok := e.s.Permissions[o.Permission]; !ok {
		return ErrNotFound.At("permission")
	}
	for _, id := range sortedKeys(e.s.Roles) {
		if r := e.s.Roles[id]; slices.Contains(r.Permissions, o.Permission) {
			r.Permissions = without(r.Permissions, o.Permission)
			e.write(r)
		}
	}
	for _, id := range sortedKeys(e.s.Scopes) {
		if sc := e.s.Scopes[id]; slices.Contains(sc.Permissions, o.Permission) {
			sc.Permissions = without(sc.Permissions, o.Permission)
			e.write(sc)
		}
	}
	drop(e, e.s.Permissions, o.Permission)
	e.unreferenced(o.Permission.Atom(), o.Force)
	return nil
}

func (o DefineScope) apply(e *edit) *fault.Error {
	if !named(string(o.Scope.ID)) {
		return ErrInvalid.At("id")
	}
	if o.Scope.Mode != ScopeCeiling && o.Scope.Mode != ScopeExact {
		return ErrInvalid.Saying("There is no such scope mode.").At("mode")
	}
	sc := o.Scope
	sc.Permissions = sorted(sc.Permissions)
	for _, p := range sc.Permissions {
		exists(e, e.s.Permissions, p, "permission")
	}
	e.write(sc)
	return nil
}

func (o DropScope) apply(e *edit) *fault.Error {
	if _, ok := e.s.Scopes[o.Scope]; !ok {
		return ErrNotFound.At("scope")
	}
	drop(e, e.s.Scopes, o.Scope)
	e.unreferenced(o.Scope.Atom(), o.Force)
	return nil
}

// unreferenced asks that no duty of a rule speaks of a, which is gone. With force the rules that do are
// marked invalid: never is a rule weakened without a word.
func (e *edit) unreferenced(a Atom, force bool) {
	e.check(func() *fault.Error {
		if e.known(a) {
			return nil
		}
		for _, id := range sortedKeys(e.s.Rules) {
			r := e.s.Rules[id]
			if !e.speaksOf(r, a) {
				continue
			}
			if !force {
				return ErrReferencedByRule.At(string(id))
			}
			if !r.Invalid {
				r.Invalid = true
				e.write(r)
			}
		}
		return nil
	})
}

func (e *edit) speaksOf(r Rule, a Atom) bool {
	found := false
	for _, d := range r.Duties {
		e.s.Duties[d].Expr.Atoms(func(b Atom) { found = found || a == b })
	}
	return found
}

// known reports whether what a speaks of exists.
func (e *edit) known(a Atom) bool {
	ok := false
	switch kind, name := a.Split(); kind {
	case PermAtom:
		_, ok = e.s.Permissions[Permission(name)]
	case RoleAtom:
		_, ok = e.s.Roles[RoleID(name)]
	case GroupAtom:
		_, ok = e.s.Groups[GroupID(name)]
	case ScopeAtom:
		_, ok = e.s.Scopes[ScopeID(name)]
	}
	return ok
}

func (o CreateRole) apply(e *edit) *fault.Error {
	if _, ok := e.s.Roles[o.Role.ID]; ok {
		return ErrExists.At("role")
	}
	return e.putRole(o.Role)
}

func (o EditRole) apply(e *edit) *fault.Error {
	if _, ok := e.s.Roles[o.Role.ID]; !ok {
		return ErrNotFound.At("role")
	}
	return e.putRole(o.Role)
}

func (e *edit) putRole(r Role) *fault.Error {
	switch {
	case !named(string(r.ID)):
		return ErrInvalid.At("id")
	case !named(r.Name):
		return ErrInvalid.Saying("A role needs a name that can be shown.").At("name")
	case r.MinAssignees < 0 || r.MaxAssignees < 0 || r.MaxAssignees > 0 && r.MinAssignees > r.MaxAssignees:
		return ErrInvalid.Saying("A role cannot need more people than it allows.").At("min_assignees")
	case r.MaxActivation < 0:
		return ErrInvalid.Saying("A role is not active for less than nothing.").At("max_activation_seconds")
	case !slices.Contains([]RoleKind{BusinessRole, TechnicalRole, ApplicationRole, AdminRole, BuiltinRole}, r.Kind):
		return ErrInvalid.Saying("There is no such kind of role.").At("kind")
	case !slices.Contains([]Lifecycle{ActiveRole, DraftRole, DeprecatedRole, RetiredRole}, r.Lifecycle):
		return ErrInvalid.Saying("There is no such stage of a role's life.").At("lifecycle")
	}
	for id, other := range e.s.Roles {
		if id != r.ID && other.Name == r.Name && other.Namespace == r.Namespace {
			return ErrExists.At("name")
		}
	}
	r.Permissions = sorted(r.Permissions)
	r.Juniors = slices.Clone(r.Juniors)
	slices.SortFunc(r.Juniors, func(a, b Junior) int { return cmp.Compare(a.Role, b.Role) })
	for i, j := range r.Juniors {
		if j.Role == r.ID {
			return ErrWouldCycle.At("juniors")
		}
		if j.Mode != Both && j.Mode != Inherit && j.Mode != Activate {
			return ErrInvalid.Saying("There is no such mode of inheritance.").At("juniors")
		}
		if i > 0 && r.Juniors[i-1].Role == j.Role {
			return ErrExists.At("juniors")
		}
		exists(e, e.s.Roles, j.Role, "role")
	}
	for _, p := range r.Permissions {
		exists(e, e.s.Permissions, p, "permission")
	}
	r.Prerequisite.roles(func(id RoleID) { exists(e, e.s.Roles, id, "role") })
	e.write(r)
	return nil
}

func (o DeleteRole) apply(e *edit) *fault.Error {
	r, ok := e.s.Roles[o.Role]
	if !ok {
		return ErrNotFound.At("role")
	}
	if r.Kind == BuiltinRole {
		return ErrReferenced.Saying("A built-in role cannot be deleted.").At("role")
	}
	for _, id := range sortedKeys(e.s.assigned[o.Role]) {
		drop(e, e.s.Assignments, id)
	}
	for _, id := range sortedKeys(e.s.Delegations) {
		if d := e.s.Delegations[id]; slices.Contains(d.Roles, o.Role) {
			e.narrow(d, o.Role)
		}
	}
	for _, id := range sortedKeys(e.s.Groups) {
		if g := e.s.Groups[id]; slices.Contains(g.Roles, o.Role) {
			g.Roles = without(g.Roles, o.Role)
			e.write(g)
		}
	}
	for _, id := range sortedKeys(e.s.Roles) {
		other := e.s.Roles[id]
		if i := other.junior(o.Role); i >= 0 {
			other.Juniors = slices.Delete(slices.Clone(other.Juniors), i, i+1)
			e.write(other)
		}
	}
	drop(e, e.s.Roles, o.Role)
	e.unreferenced(o.Role.Atom(), o.Force)
	e.check(func() *fault.Error {
		for _, other := range e.s.Roles {
			needs := false
			other.Prerequisite.roles(func(id RoleID) { needs = needs || id == o.Role })
			if _, back := e.s.Roles[o.Role]; needs && !back {
				return ErrReferenced.At("role")
			}
		}
		return nil
	})
	return nil
}

// junior returns where j stands among the juniors of r, -1 if nowhere.
func (r Role) junior(j RoleID) int {
	return slices.IndexFunc(r.Juniors, func(e Junior) bool { return e.Role == j })
}

func (o AddInheritance) apply(e *edit) *fault.Error {
	r, ok := e.s.Roles[o.Senior]
	if !ok {
		return ErrNotFound.At("senior")
	}
	if r.junior(o.Junior) >= 0 {
		return ErrExists.At("junior")
	}
	r.Juniors = append(slices.Clone(r.Juniors), Junior{o.Junior, o.Mode})
	return e.putRole(r)
}

func (o DeleteInheritance) apply(e *edit) *fault.Error {
	r, ok := e.s.Roles[o.Senior]
	i := r.junior(o.Junior)
	if !ok || i < 0 {
		return ErrNotFound.At("junior")
	}
	r.Juniors = slices.Delete(slices.Clone(r.Juniors), i, i+1)
	e.write(r)
	return nil
}

func (o GrantPermission) apply(e *edit) *fault.Error {
	r, ok := e.s.Roles[o.Role]
	if !ok {
		return ErrNotFound.At("role")
	}
	if slices.Contains(r.Permissions, o.Permission) {
		return ErrExists.At("permission")
	}
	exists(e, e.s.Permissions, o.Permission, "permission")
	r.Permissions = sorted(append(slices.Clone(r.Permissions), o.Permission))
	e.write(r)
	return nil
}

func (o RevokePermission) apply(e *edit) *fault.Error {
	r, ok := e.s.Roles[o.Role]
	if !ok || !slices.Contains(r.Permissions, o.Permission) {
		return ErrNotFound.At("permission")
	}
	r.Permissions = without(r.Permissions, o.Permission)
	e.write(r)
	return nil
}

func (o CreateGroup) apply(e *edit) *fault.Error {
	if _, ok := e.s.Groups[o.Group.ID]; ok {
		return ErrExists.At("group")
	}
	return e.putGroup(o.Group)
}

func (o EditGroup) apply(e *edit) *fault.Error {
	if _, ok := e.s.Groups[o.Group.ID]; !ok {
		return ErrNotFound.At("group")
	}
	return e.putGroup(o.Group)
}

func (e *edit) putGroup(g Group) *fault.Error {
	if !named(string(g.ID)) || !named(g.Name) {
		return ErrInvalid.Saying("A group needs a name that can be shown.").At("name")
	}
	g.Roles, g.Children = sorted(g.Roles), sorted(g.Children)
	for _, r := range g.Roles {
		exists(e, e.s.Roles, r, "role")
	}
	for _, c := range g.Children {
		exists(e, e.s.Groups, c, "group")
	}
	e.write(g)
	return nil
}

func (o DeleteGroup) apply(e *edit) *fault.Error {
	if _, ok := e.s.Groups[o.Group]; !ok {
		return ErrNotFound.At("group")
	}
	for _, key := range sortedMembers(e.s.membersOf[o.Group]) {
		drop(e, e.s.Memberships, key)
	}
	for _, id := range sortedKeys(e.s.Groups) {
		if g := e.s.Groups[id]; slices.Contains(g.Children, o.Group) {
			g.Children = without(g.Children, o.Group)
			e.write(g)
		}
	}
	drop(e, e.s.Groups, o.Group)
	e.unreferenced(o.Group.Atom(), o.Force)
	return nil
}

func (o AddGroupEdge) apply(e *edit) *fault.Error {
	g, ok := e.s.Groups[o.Parent]
	if !ok {
		return ErrNotFound.At("parent")
	}
	if slices.Contains(g.Children, o.Child) {
		return ErrExists.At("child")
	}
	exists(e, e.s.Groups, o.Child, "group")
	g.Children = sorted(append(slices.Clone(g.Children), o.Child))
	e.write(g)
	return nil
}

func (o DeleteGroupEdge) apply(e *edit) *fault.Error {
	g, ok := e.s.Groups[o.Parent]
	if !ok || !slices.Contains(g.Children, o.Child) {
		return ErrNotFound.At("child")
	}
	g.Children = without(g.Children, o.Child)
	e.write(g)
	return nil
}

func (o AddGroupRole) apply(e *edit) *fault.Error {
	g, ok := e.s.Groups[o.Group]
	if !ok {
		return ErrNotFound.At("group")
	}
	if slices.Contains(g.Roles, o.Role) {
		return ErrExists.At("role")
	}
	exists(e, e.s.Roles, o.Role, "role")
	g.Roles = sorted(append(slices.Clone(g.Roles), o.Role))
	e.write(g)
	return nil
}

func (o DeleteGroupRole) apply(e *edit) *fault.Error {
	g, ok := e.s.Groups[o.Group]
	if !ok || !slices.Contains(g.Roles, o.Role) {
		return ErrNotFound.At("role")
	}
	g.Roles = without(g.Roles, o.Role)
	e.write(g)
	return nil
}

func sortedMembers(set map[MemberKey]struct{}) []MemberKey {
	return slices.SortedFunc(maps.Keys(set), func(a, b MemberKey) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Account, b.Account))
	})
}

// sorted returns a sorted copy without duplicates.
func sorted[T cmp.Ordered](in []T) []T {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}

// without returns a copy of in that lacks x.
func without[T comparable](in []T, x T) []T {
	return slices.DeleteFunc(slices.Clone(in), func(y T) bool { return x == y })
}
