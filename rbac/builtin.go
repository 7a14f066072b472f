package rbac

import "slices"

// Own is the resource server that Countersign itself is: the owner of the permissions below.
const Own ServerID = "countersign"

// The built-in roles: the three administrators. The first administrator holds all of them.
const (
	SystemAdministrator   RoleID = "system-administrator"
	SecurityAdministrator RoleID = "security-administrator"
	Auditor               RoleID = "auditor"
)

// BuiltinRoles returns the roles every deployment has. Between them they hold what the preset of three administrators keeps apart.
func BuiltinRoles() []Role {
	own := func(names ...string) []Permission {
		out := make([]Permission, len(names))
		for i, n := range names {
			out[i] = Permission(string(Own) + "/" + n)
		}
		return sorted(out)
	}
	return []Role{
		{ID: SystemAdministrator, Name: "System administrator", Kind: BuiltinRole, Permissions: own("settings:edit", "account:create", "account:edit",
			"account:disable", "account:import", "account:link", "client:register", "client:edit", "connector:edit", "backup:run", "credential:reset")},
		{ID: SecurityAdministrator, Name: "Security administrator", Kind: BuiltinRole, Permissions: own("group:edit", "group:member", "group:role", "role:edit",
			"role:assign", "rule:edit", "ruleset:import", "policy:edit", "key:policy", "key:rotate", "control:edit", "exception:approve", "case:decide", "violation:read")},
		{ID: Auditor, Name: "Auditor", Kind: BuiltinRole, Permissions: own("audit:read", "audit:export", "violation:read")},
	}
}

// Install returns the operations that bring what is built in into p, none where nothing is missing. What was changed stays changed.
func Install(p Policy) []Op {
	var ops []Op
	if _, ok := p.Servers[Own]; !ok {
		ops = append(ops, DefineServer{ResourceServer{ID: Own, Title: "Countersign"}})
	}
	for _, def := range Builtin() {
		if _, ok := p.Permissions[def.ID]; !ok {
			ops = append(ops, DefinePermission{def})
		}
	}
	for _, r := range BuiltinRoles() {
		if _, ok := p.Roles[r.ID]; !ok {
			ops = append(ops, CreateRole{r})
		}
	}
	return slices.Clip(ops)
}

// Builtin returns the permissions of Countersign itself: what its own pages, commands and API ask for.
// The rulesets idp-internal and mlps-3 are written in them.
func Builtin() []PermissionDef {
	return []PermissionDef{
		{"countersign/settings:edit", "Change settings"},
		{"countersign/account:create", "Create accounts"},
		{"countersign/account:edit", "Change accounts"},
		{"countersign/account:disable", "Disable and enable accounts"},
		{"countersign/account:import", "Import accounts"},
		{"countersign/account:link", "Say that accounts are one person"},
		{"countersign/account:impersonate", "Act as somebody else"},
		{"countersign/client:register", "Register applications"},
		{"countersign/client:edit", "Change applications"},
		{"countersign/connector:edit", "Connect directories"},
		{"countersign/backup:run", "Take backups"},
		{"countersign/backup:restore", "Restore backups"},
		{"countersign/group:edit", "Create and change groups"},
		{"countersign/group:member", "Put people into groups"},
		{"countersign/group:role", "Give groups roles"},
		{"countersign/role:edit", "Create and change roles"},
		{"countersign/role:assign", "Assign roles"},
		{"countersign/rule:edit", "Change duties and rules"},
		{"countersign/ruleset:import", "Import rulesets"},
		{"countersign/policy:edit", "Change how people must sign in"},
		{"countersign/key:policy", "Change how keys are handled"},
		{"countersign/key:rotate", "Rotate signing keys"},
		{"countersign/key:export", "Export key backups"},
		{"countersign/credential:reset", "Reset credentials"},
		{"countersign/control:edit", "Change mitigating controls"},
		{"countersign/request:approve", "Approve access requests"},
		{"countersign/exception:approve", "Approve exceptions"},
		{"countersign/elevation:approve", "Approve elevation"},
		{"countersign/consent:approve", "Approve consent for everybody"},
		{"countersign/ceiling:approve", "Approve what applications may have"},
		{"countersign/case:decide", "Decide cases"},
		{"countersign/review:certify", "Certify access"},
		{"countersign/violation:read", "See violations and why they are"},
		{"countersign/audit:read", "Read the audit log"},
		{"countersign/audit:export", "Export the audit log"},
		{"countersign/audit:retention", "Decide how long the audit log is kept"},
	}
}
