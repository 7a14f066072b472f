package storetest

import (
	"context"
	"slices"

	"github.com/countersign-id/countersign/rbac"
)

// Policy applies operations as whoever runs the tests, and makes the permissions known that their roles and scopes speak of.
func Policy(ctx context.Context, tx rbac.Tx, ops ...rbac.Op) error {
	st, err := tx.Structure(ctx)
	if err != nil {
		return err
	}
	var all []rbac.Op
	seen := map[rbac.Permission]bool{}
	know := func(permissions []rbac.Permission) {
		for _, p := range permissions {
			if _, ok := st.Permissions[p]; !ok && !seen[p] {
				seen[p] = true
				all = append(all, rbac.DefinePermission{Permission: rbac.PermissionDef{ID: p}})
			}
		}
	}
	for _, op := range ops {
		switch o := op.(type) {
		case rbac.DefineScope:
			know(o.Scope.Permissions)
		case rbac.CreateRole:
			know(o.Role.Permissions)
		}
	}
	return rbac.Do(ctx, tx, rbac.By{Actor: "local:test"}, append(all, ops...)...)
}

// Server defines a resource server.
func Server(id rbac.ServerID, audience, title string) rbac.Op {
	return rbac.DefineServer{Server: rbac.ResourceServer{ID: id, Title: title, Audiences: []string{audience}}}
}

// Scope defines a scope of a resource server.
func Scope(server rbac.ServerID, name, title string, permissions ...rbac.Permission) rbac.Op {
	return rbac.DefineScope{Scope: rbac.Scope{ID: rbac.ScopeOf(server, name), Title: title, Permissions: permissions}}
}

// Role makes a role, called by its id.
func Role(id rbac.RoleID, permissions ...rbac.Permission) rbac.Op {
	return rbac.CreateRole{Role: rbac.Role{ID: id, Name: string(id), Permissions: permissions}}
}

// Assign gives an account, or a client by its id, a role for good.
func Assign[ID ~string](tx rbac.Tx, account ID, role rbac.RoleID) rbac.Op {
	return rbac.Assign{Assignment: rbac.Assignment{ID: rbac.AssignmentID(tx.NewID()), Account: rbac.AccountID(account), Role: role}}
}

// Appoint makes an account an administrator's: it holds every built-in role.
func Appoint[ID ~string](ctx context.Context, tx rbac.Tx, account ID) error {
	if err := rbac.Furnish(ctx, tx, rbac.By{Actor: "local:test"}); err != nil {
		return err
	}
	var ops []rbac.Op
	for _, r := range rbac.BuiltinRoles() {
		ops = append(ops, Assign(tx, account, r.ID))
	}
	return Policy(ctx, tx, ops...)
}

// Writes is what makes a policy out of nothing.
func Writes(p rbac.Policy) []rbac.Write {
	return slices.Concat(written(p.Servers), written(p.Permissions), written(p.Scopes), written(p.Roles),
		written(p.Groups), written(p.Duties), written(p.Rules), written(p.Controls))
}

func written[K comparable, R any](rows map[K]R) (out []rbac.Write) {
	for _, r := range rows {
		out = append(out, rbac.Write{New: r})
	}
	return out
}
