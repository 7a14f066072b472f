package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/countersign-id/countersign/rbac"
)

func (c *cli) serverCommand() *cobra.Command {
	n := noun[rbac.ServerID, rbac.ResourceServer]{
		word: "server", plural: "servers", arg: "SERVER",
		rows: func(d *desk) map[rbac.ServerID]rbac.ResourceServer { return d.Servers },
		fresh: func(_ *desk, id rbac.ServerID) (rbac.ResourceServer, error) {
			return rbac.ResourceServer{ID: id, Title: string(id)}, nil
		},
		fields: func(f *fields[rbac.ResourceServer]) {
			text(f, "title", "name that people see on the consent page", func(r *rbac.ResourceServer) *string { return &r.Title })
			many(f, "audience", "absolute URI that its tokens are for", func(r *rbac.ResourceServer) *[]string { return &r.Audiences })
			choice(f, "claims", "what its tokens say of authority: roles or permissions; nothing if empty", func(r *rbac.ResourceServer) *rbac.ClaimMode { return &r.Claims },
				rbac.ClaimNone, rbac.ClaimRoles, rbac.ClaimPermissions)
			text(f, "domain", "sessions in one domain are judged together by dynamic rules", func(r *rbac.ResourceServer) *string { return &r.Domain })
		},
		add: func(r rbac.ResourceServer) rbac.Op { return rbac.DefineServer{Server: r} }, edit: func(r rbac.ResourceServer) rbac.Op { return rbac.DefineServer{Server: r} },
		drop: func(id rbac.ServerID, _ bool) rbac.Op { return rbac.DropServer{Server: id} }, remove: "drop",
		head: []string{"SERVER", "TITLE", "AUDIENCES", "CLAIMS"},
		line: func(_ *desk, r rbac.ResourceServer) []any {
			return []any{r.ID, r.Title, joined(r.Audiences, " "), orDash(r.Claims, "none")}
		},
		example: map[string]string{
			"add":  "  countersign server add ledger --title Ledger --audience https://ledger.example.org",
			"edit": "  countersign server edit ledger --claims permissions",
		},
	}
	return group("server", "Resource servers: the APIs that accept our tokens", n.list(c), n.adding(c), n.editing(c), n.dropping(c))
}

func (c *cli) permissionCommand() *cobra.Command {
	n := noun[rbac.Permission, rbac.PermissionDef]{
		word: "permission", plural: "permissions", arg: "PERMISSION",
		rows: func(d *desk) map[rbac.Permission]rbac.PermissionDef { return d.Permissions },
		fresh: func(d *desk, id rbac.Permission) (rbac.PermissionDef, error) {
			return rbac.PermissionDef{ID: id}, d.served(id.Server())
		},
		fields: func(f *fields[rbac.PermissionDef]) {
			text(f, "description", "what it allows", func(p *rbac.PermissionDef) *string { return &p.Description })
		},
		add: func(p rbac.PermissionDef) rbac.Op { return rbac.DefinePermission{Permission: p} }, edit: func(p rbac.PermissionDef) rbac.Op { return rbac.DefinePermission{Permission: p} },
		drop: func(id rbac.Permission, force bool) rbac.Op { return rbac.DropPermission{Permission: id, Force: force} }, remove: "drop", forced: true,
		head:    []string{"PERMISSION", "DESCRIPTION"},
		line:    func(_ *desk, p rbac.PermissionDef) []any { return []any{p.ID, p.Description} },
		example: map[string]string{"add": "  countersign permission add ledger/invoice:enter --description 'Enter invoices'"},
	}
	return group("permission", "Permissions: SERVER/TYPE:ACTION", n.list(c), n.adding(c), n.editing(c), n.dropping(c))
}

func (c *cli) scopeCommand() *cobra.Command {
	n := noun[rbac.ScopeID, rbac.Scope]{
		word: "scope", plural: "scopes", arg: "SERVER/NAME",
		rows: func(d *desk) map[rbac.ScopeID]rbac.Scope { return d.Scopes },
		fresh: func(d *desk, id rbac.ScopeID) (rbac.Scope, error) {
			return rbac.Scope{ID: id, Title: id.Name()}, d.served(id.Server())
		},
		fields: func(f *fields[rbac.Scope]) {
			text(f, "title", "name that people see on the consent page", func(s *rbac.Scope) *string { return &s.Title })
			many(f, "permission", "permission that tokens with it may carry", func(s *rbac.Scope) *[]rbac.Permission { return &s.Permissions })
			choice(f, "mode", "exact: held only with all of its permissions; with any if empty", func(s *rbac.Scope) *rbac.ScopeMode { return &s.Mode }, rbac.ScopeCeiling, rbac.ScopeExact)
			yes(f, "sensitive", "asks for consent every time", func(s *rbac.Scope) *bool { return &s.Sensitive })
		},
		add: func(s rbac.Scope) rbac.Op { return rbac.DefineScope{Scope: s} }, edit: func(s rbac.Scope) rbac.Op { return rbac.DefineScope{Scope: s} },
		drop: func(id rbac.ScopeID, force bool) rbac.Op { return rbac.DropScope{Scope: id, Force: force} }, remove: "drop", forced: true,
		head:    []string{"SCOPE", "TITLE", "PERMISSIONS"},
		line:    func(_ *desk, s rbac.Scope) []any { return []any{s.ID, s.Title, joined(s.Permissions, " ")} },
		example: map[string]string{"add": "  countersign scope add ledger/invoices.enter --title 'Enter invoices' --permission ledger/invoice:enter"},
	}
	return group("scope", "Scopes: what applications may ask a resource server for", n.list(c), n.adding(c), n.editing(c), n.dropping(c))
}

// served asks that there is such a resource server: what belongs to none could never be in a token.
func (d *desk) served(id rbac.ServerID) error {
	if _, ok := d.Servers[id]; !ok {
		return rbac.ErrNotFound.Saying(fmt.Sprintf("There is no server %q; add it with countersign server add.", id)).At("server")
	}
	return nil
}
