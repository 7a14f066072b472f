package rbac

// ResourceServer is an API that accepts our access tokens: the owner of permissions and scopes.
type ResourceServer struct {
	ID        ServerID  `json:"id"`
	Title     string    `json:"title,omitempty"`     // shown on the consent page
	Audiences []string  `json:"audiences,omitempty"` // the `aud` of its tokens: absolute URIs without fragment (RFC 8707)
	Claims    ClaimMode `json:"claims,omitempty"`
	Domain    string    `json:"domain,omitempty"` // sessions in one domain are judged together by dynamic rules
}

// ClaimMode says what a resource server's tokens say of authority.
type ClaimMode string

// The claim modes. The zero value says nothing: the resource server asks.
const (
	ClaimNone        ClaimMode = ""
	ClaimRoles       ClaimMode = "roles"
	ClaimPermissions ClaimMode = "permissions"
)

// PermissionDef makes a permission known, so that roles may carry it and duties speak of it.
type PermissionDef struct {
	ID          Permission `json:"id"`
	Description string     `json:"description,omitempty"`
}

// Scope is what an application may ask a resource server for. It grants nothing by itself; it
// says which of a person's permissions a token may carry.
type Scope struct {
	ID          ScopeID      `json:"id"`
	Title       string       `json:"title,omitempty"` // shown on the consent page
	Permissions []Permission `json:"permissions"`
	Mode        ScopeMode    `json:"mode,omitempty"`
	Sensitive   bool         `json:"sensitive,omitempty"`
}

// ScopeMode says when a person holds a scope.
type ScopeMode string

// The scope modes: a ceiling is held with any of its permissions, an exact scope only with all.
const (
	ScopeCeiling ScopeMode = ""
	ScopeExact   ScopeMode = "exact"
)

// Role is a named set of permissions that may inherit from other roles.
type Role struct {
	ID        RoleID    `json:"id"`
	Namespace string    `json:"namespace,omitempty"` // "" for the organisation, else a resource server
	Name      string    `json:"name"`
	Kind      RoleKind  `json:"kind,omitempty"`
	Lifecycle Lifecycle `json:"lifecycle,omitempty"`
	Owner     SubjectID `json:"owner,omitempty"`
	Risk      int       `json:"risk,omitempty"`

	Permissions []Permission `json:"permissions,omitempty"` // sorted, its own, without what it inherits
	Juniors     []Junior     `json:"juniors,omitempty"`     // sorted by role

	Eligible      bool `json:"eligible,omitempty"`               // every assignment of it must be activated to count in a session
	MaxActivation int  `json:"max_activation_seconds,omitempty"` // 0: as long as the session
	MinAssignees  int  `json:"min_assignees,omitempty"`
	MaxAssignees  int  `json:"max_assignees,omitempty"` // 0: any number
	Prerequisite  Cond `json:"prerequisite,omitzero"`
	Unassignable  bool `json:"unassignable,omitempty"` // exists to be inherited from
}

// RoleKind says what a role is for.
type RoleKind string

// The kinds of role.
const (
	BusinessRole    RoleKind = ""
	TechnicalRole   RoleKind = "technical"
	ApplicationRole RoleKind = "application"
	AdminRole       RoleKind = "admin"
	BuiltinRole     RoleKind = "builtin"
)

// Lifecycle says where a role is in its life. Only active and deprecated roles can be assigned. What
// is already assigned counts for separation of duty in every state: bringing a role back gives nobody anything new.
type Lifecycle string

// The lifecycle of a role.
const (
	ActiveRole     Lifecycle = ""
	DraftRole      Lifecycle = "draft"
	DeprecatedRole Lifecycle = "deprecated"
	RetiredRole    Lifecycle = "retired"
)

// Junior is an edge of the hierarchy, kept with the senior role.
type Junior struct {
	Role RoleID   `json:"role"`
	Mode EdgeMode `json:"mode,omitempty"`
}

// EdgeMode says what flows along an edge.
type EdgeMode string

// The edge modes. Permissions flow along Both and Inherit. Along Activate none flow: whoever holds the
// senior role may activate the junior one.
const (
	Both     EdgeMode = ""
	Inherit  EdgeMode = "inherit"
	Activate EdgeMode = "activate"
)

// Cond is a condition on the roles somebody is authorised for, the only place where "not" exists. The
// zero Cond is true.
type Cond struct {
	Role RoleID `json:"role,omitempty"`
	Not  bool   `json:"not,omitempty"` // turns the whole around
	All  []Cond `json:"all,omitempty"`
	Any  []Cond `json:"any,omitempty"`
}

// Zero reports whether c asks nothing.
func (c Cond) Zero() bool { return c.Role == "" && !c.Not && len(c.All) == 0 && len(c.Any) == 0 }

// Met reports whether c is true where holds says which roles are held.
func (c Cond) Met(holds func(RoleID) bool) bool {
	met := c.Role == "" || holds(c.Role)
	for _, sub := range c.All {
		met = met && sub.Met(holds)
	}
	if len(c.Any) > 0 {
		some := false
		for _, sub := range c.Any {
			some = some || sub.Met(holds)
		}
		met = met && some
	}
	return met != c.Not
}

// roles calls f for every role c names.
func (c Cond) roles(f func(RoleID)) {
	if c.Role != "" {
		f(c.Role)
	}
	for _, sub := range c.All {
		sub.roles(f)
	}
	for _, sub := range c.Any {
		sub.roles(f)
	}
}

// Group is a set of accounts. Members of a child are members of its parents; members hold the group's roles.
type Group struct {
	ID       GroupID   `json:"id"`
	Name     string    `json:"name"`
	Roles    []RoleID  `json:"roles,omitempty"`    // sorted
	Children []GroupID `json:"children,omitempty"` // sorted
}
