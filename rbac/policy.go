package rbac

import (
	"cmp"
	"maps"
	"slices"
)

// Policy is the structure of who may hold what: everything that is not about one person. It is what a
// serving process holds, compiled, one epoch at a time.
type Policy struct {
	Servers     map[ServerID]ResourceServer
	Permissions map[Permission]PermissionDef
	Scopes      map[ScopeID]Scope
	Roles       map[RoleID]Role
	Groups      map[GroupID]Group
	Duties      map[DutyID]Duty
	Rules       map[RuleID]Rule
	Controls    map[ControlID]Control
}

// NewPolicy returns a policy of nothing.
func NewPolicy() Policy {
	return Policy{
		Servers: map[ServerID]ResourceServer{}, Permissions: map[Permission]PermissionDef{}, Scopes: map[ScopeID]Scope{},
		Roles: map[RoleID]Role{}, Groups: map[GroupID]Group{}, Duties: map[DutyID]Duty{}, Rules: map[RuleID]Rule{},
		Controls: map[ControlID]Control{},
	}
}

// Clone returns a copy that can be changed apart. Rows are values whose slices are never written in place.
func (p Policy) Clone() Policy {
	return Policy{
		maps.Clone(p.Servers), maps.Clone(p.Permissions), maps.Clone(p.Scopes), maps.Clone(p.Roles),
		maps.Clone(p.Groups), maps.Clone(p.Duties), maps.Clone(p.Rules), maps.Clone(p.Controls),
	}
}

// sortedKeys returns the keys of m in order, so that nothing depends on the order of a map.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
