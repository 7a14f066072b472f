package rbac

import (
	"context"

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
