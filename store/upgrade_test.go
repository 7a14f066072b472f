package store

import (
	"context"
	"database/sql"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pressly/goose/v3"

	"github.com/countersign-id/countersign/internal/pgtest"
	"github.com/countersign-id/countersign/rbac"
)

// What the foundation kept of roles is what the policy begins with: servers, scopes, roles, and who held them.
func TestPlainRolesBecomeThePolicy(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{"sqlite": sqliteConfig(t), "postgres": {Database: pgtest.New(t), MasterKeys: [][]byte{testKey}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asOfFirst(t, cfg,
				`INSERT INTO persons (id, name, created_at) VALUES ('p', 'Ann', 5)`,
				`INSERT INTO accounts (id, person_id, username, state, profile, created_at, updated_at, version) VALUES ('a', 'p', 'ann', 'active', '{}', 7, 7, 1)`,
				`INSERT INTO resource_servers (audience, title) VALUES ('https://a.example', 'The "A"'), ('https://b.example', '世')`,
				`INSERT INTO scopes (audience, name, title, permission, rank) VALUES ('https://b.example', 'read', 'Read', 'b/x:read', 1), ('https://a.example', 'open', '', '', 1)`,
				`INSERT INTO roles (name, title) VALUES ('clerk', 'Clerk'), ('auditor', 'Auditor')`,
				`INSERT INTO role_permissions (role, permission) VALUES ('clerk', 'b/x:write'), ('clerk', 'b/x:read'), ('auditor', '')`,
				`INSERT INTO role_assignments (subject, role) VALUES ('p', 'clerk'), ('nobody', 'clerk')`)
			db := opened(t, cfg)
			err := db.View(t.Context(), func(tx *Tx) error {
				st, err := tx.Structure(t.Context())
				if err != nil {
					return err
				}
				want := rbac.NewPolicy()
				want.Servers["server-1"] = rbac.ResourceServer{ID: "server-1", Title: `The "A"`, Audiences: []string{"https://a.example"}}
				want.Servers["server-2"] = rbac.ResourceServer{ID: "server-2", Title: "世", Audiences: []string{"https://b.example"}}
				want.Scopes["server-2/read"] = rbac.Scope{ID: "server-2/read", Title: "Read", Permissions: []rbac.Permission{"b/x:read"}}
				want.Scopes["server-1/open"] = rbac.Scope{ID: "server-1/open"}
				want.Permissions["b/x:read"], want.Permissions["b/x:write"] = rbac.PermissionDef{ID: "b/x:read"}, rbac.PermissionDef{ID: "b/x:write"}
				want.Roles["clerk"] = rbac.Role{ID: "clerk", Name: "Clerk", Permissions: []rbac.Permission{"b/x:read", "b/x:write"}}
				if diff := cmp.Diff(want, st.Policy, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("want (-), got (+):\n%s", diff)
				}
				held, err := tx.HeldBy(t.Context(), "a")
				if diff := cmp.Diff([]rbac.Grant{{Account: "a", Role: "clerk", Assignment: "a:clerk", During: rbac.Window{From: 7}}}, held); diff != "" {
					t.Errorf("want (-), got (+):\n%s", diff)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// asOfFirst makes a database of the first version with some rows in it.
func asOfFirst(t *testing.T, cfg Config, rows ...string) {
	t.Helper()
	err := withProvider(t.Context(), cfg.withDefaults(), func(p *goose.Provider, d dialect) error {
		if _, err := p.UpTo(t.Context(), 1); err != nil {
			return err
		}
		where, err := locate(cfg.Database)
		if err != nil {
			return err
		}
		writers, readers, err := where.pools(t.Context(), 1, 1)
		if err != nil {
			return err
		}
		defer readers.Close()
		defer writers.Close()
		return each(t.Context(), writers, rows)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func each(ctx context.Context, db *sql.DB, statements []string) error {
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
