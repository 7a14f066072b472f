package rbac

import (
	"context"
	"slices"

	"github.com/countersign-id/countersign/audit"
)

// PlainRole is a named set of permissions.
type PlainRole struct {
	Name        string
	Title       string
	Permissions []string
}

// SeedTx is what writing plain roles needs of a transaction.
type SeedTx interface {
	audit.Recorder
	AddResourceServer(ctx context.Context, s ResourceServer) error // an audience in use is a Conflict
	AddPlainRole(ctx context.Context, r PlainRole) error           // a name in use is a Conflict
	PlainRoles(ctx context.Context) ([]PlainRole, error)           // by name
	AssignPlainRole(ctx context.Context, subject, role string) error
}

// AddServer registers a resource server with its scopes.
func AddServer(ctx context.Context, tx SeedTx, by string, s ResourceServer) error {
	if err := tx.AddResourceServer(ctx, s); err != nil {
		return err
	}
	return tx.Record(ctx, audit.Event{Kind: "resource.added", Outcome: audit.OK, Actor: by, Subject: "resource:" + s.Audience})
}

// AddRole defines a plain role.
func AddRole(ctx context.Context, tx SeedTx, by string, r PlainRole) error {
	if err := tx.AddPlainRole(ctx, r); err != nil {
		return err
	}
	return tx.Record(ctx, audit.Event{Kind: "role.added", Outcome: audit.OK, Actor: by, Subject: "role:" + r.Name})
}

// AssignRole gives a subject a plain role.
func AssignRole(ctx context.Context, tx SeedTx, by, subject, role string) error {
	if err := tx.AssignPlainRole(ctx, subject, role); err != nil {
		return err
	}
	return tx.Record(ctx, audit.Event{
		Kind: "role.assigned", Outcome: audit.OK, Actor: by, Subject: subject,
		Detail: map[string]string{"role": role},
	})
}

// The built-in roles: the three administrators. The first administrator holds all of them.
const (
	SystemAdministrator   = "system-administrator"
	SecurityAdministrator = "security-administrator"
	Auditor               = "auditor"
)

// BuiltIn lists the roles every deployment has.
func BuiltIn() []PlainRole {
	return []PlainRole{
		{SystemAdministrator, "System administrator", []string{"countersign/settings:edit", "countersign/client:edit", "countersign/key:rotate"}},
		{SecurityAdministrator, "Security administrator", []string{"countersign/account:edit", "countersign/role:assign", "countersign/rule:edit"}},
		{Auditor, "Auditor", []string{"countersign/audit:read"}},
	}
}

// AssignBuiltIn gives a subject every built-in role, and adds those that are not there yet.
func AssignBuiltIn(ctx context.Context, tx SeedTx, by, subject string) error {
	there, err := tx.PlainRoles(ctx)
	if err != nil {
		return err
	}
	for _, r := range BuiltIn() {
		if !slices.ContainsFunc(there, func(o PlainRole) bool { return o.Name == r.Name }) {
			if err := AddRole(ctx, tx, by, r); err != nil {
				return err
			}
		}
		if err := AssignRole(ctx, tx, by, subject, r.Name); err != nil {
			return err
		}
	}
	return nil
}
