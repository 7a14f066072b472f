package rbac

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
