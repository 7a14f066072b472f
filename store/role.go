package store

import (
	"context"

	"github.com/countersign-id/countersign/rbac"
)

type resourceRow struct {
	Audience string `gorm:"primaryKey"`
	Title    string
}

func (resourceRow) TableName() string { return "resource_servers" }

type scopeRow struct {
	Audience   string `gorm:"primaryKey"`
	Name       string `gorm:"primaryKey"`
	Title      string
	Permission string
	Rank       int
}

func (scopeRow) TableName() string { return "scopes" }

type roleRow struct {
	Name  string `gorm:"primaryKey"`
	Title string
}

func (roleRow) TableName() string { return "roles" }

type permissionRow struct {
	Role       string `gorm:"primaryKey"`
	Permission string `gorm:"primaryKey"`
}

func (permissionRow) TableName() string { return "role_permissions" }

type assignmentRow struct {
	Subject string `gorm:"primaryKey"`
	Role    string `gorm:"primaryKey"`
}

func (assignmentRow) TableName() string { return "role_assignments" }

// PermissionsOf implements rbac.Reader.
func (tx *Tx) PermissionsOf(ctx context.Context, subject string) ([]string, error) {
	return tx.texts(ctx, `SELECT DISTINCT p.permission FROM role_assignments a JOIN role_permissions p ON p.role = a.role
		WHERE a.subject = ? ORDER BY p.permission`, subject)
}

// RoleNamesOf implements rbac.Reader.
func (tx *Tx) RoleNamesOf(ctx context.Context, subject string) ([]string, error) {
	return tx.texts(ctx, "SELECT role FROM role_assignments WHERE subject = ? ORDER BY role", subject)
}

// ResourceServer implements rbac.Reader.
func (tx *Tx) ResourceServer(ctx context.Context, audience string) (rbac.ResourceServer, error) {
	r, err := take[resourceRow](ctx, tx, "audience = ?", audience)
	if err != nil {
		return rbac.ResourceServer{}, missing(err, errResourceMissing)
	}
	scopes, err := find[scopeRow](tx.on(ctx).Where("audience = ?", audience).Order("rank, name"))
	return rbac.ResourceServer{Audience: r.Audience, Title: r.Title, Scopes: mapped(scopes, scopeRow.scope)}, err
}

func (r scopeRow) scope() rbac.Scope {
	return rbac.Scope{Name: r.Name, Title: r.Title, Permission: r.Permission}
}

// ResourceServers returns all resource servers with their scopes, by audience.
func (tx *Tx) ResourceServers(ctx context.Context) ([]rbac.ResourceServer, error) {
	rows, err := find[resourceRow](tx.on(ctx).Order("audience"))
	if err != nil {
		return nil, err
	}
	scopes, err := find[scopeRow](tx.on(ctx).Order("audience, rank, name"))
	of := map[string][]rbac.Scope{}
	for _, s := range scopes {
		of[s.Audience] = append(of[s.Audience], s.scope())
	}
	return mapped(rows, func(r resourceRow) rbac.ResourceServer {
		return rbac.ResourceServer{Audience: r.Audience, Title: r.Title, Scopes: of[r.Audience]}
	}), err
}

// PlainRoles returns all roles with their permissions, by name.
func (tx *Tx) PlainRoles(ctx context.Context) ([]rbac.PlainRole, error) {
	rows, err := find[roleRow](tx.on(ctx).Order("name"))
	if err != nil {
		return nil, err
	}
	permissions, err := find[permissionRow](tx.on(ctx).Order("role, permission"))
	of := map[string][]string{}
	for _, p := range permissions {
		of[p.Role] = append(of[p.Role], p.Permission)
	}
	return mapped(rows, func(r roleRow) rbac.PlainRole {
		return rbac.PlainRole{Name: r.Name, Title: r.Title, Permissions: of[r.Name]}
	}), err
}

// AddResourceServer implements rbac.SeedTx.
func (tx *Tx) AddResourceServer(ctx context.Context, s rbac.ResourceServer) error {
	if err := insert(ctx, tx, resourceRow{Audience: s.Audience, Title: s.Title}); err != nil {
		return taken(err, errResourceExists)
	}
	for i, scope := range s.Scopes {
		row := scopeRow{Audience: s.Audience, Name: scope.Name, Title: scope.Title, Permission: scope.Permission, Rank: i}
		if err := insert(ctx, tx, row); err != nil {
			return err
		}
	}
	return nil
}

// AddPlainRole implements rbac.SeedTx.
func (tx *Tx) AddPlainRole(ctx context.Context, r rbac.PlainRole) error {
	if err := insert(ctx, tx, roleRow{Name: r.Name, Title: r.Title}); err != nil {
		return taken(err, errRoleExists)
	}
	for _, p := range r.Permissions {
		if _, err := tx.exec(ctx, "INSERT INTO role_permissions (role, permission) VALUES (?, ?) ON CONFLICT DO NOTHING", r.Name, p); err != nil {
			return err
		}
	}
	return nil
}

// AssignPlainRole implements rbac.SeedTx. A role that does not exist is NotFound, one the subject has a Conflict.
func (tx *Tx) AssignPlainRole(ctx context.Context, subject, role string) error {
	err := insert(ctx, tx, assignmentRow{Subject: subject, Role: role})
	if dangling(err) {
		return errRoleMissing.Because(err)
	}
	return taken(err, errRoleAssigned)
}
