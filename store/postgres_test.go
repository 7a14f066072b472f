package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, with ...func(*store.Config)) *store.DB { return storetest.OpenPostgres(t, with...) })
}

// A migration that widens a table must not disturb a process that is running on prepared statements.
func TestAColumnAddedWhileWeRun(t *testing.T) {
	t.Parallel()
	cfg := storetest.Postgres(t)
	open := func() *store.DB {
		db, err := store.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	read := func(db *store.DB) error {
		return db.View(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Clients(t.Context(), "", 10)
			return err
		})
	}
	running := open()
	if err := read(running); err != nil {
		t.Fatal(err)
	}
	admin, err := pgx.Connect(t.Context(), cfg.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	for _, change := range []string{"ALTER TABLE clients ADD COLUMN later TEXT NOT NULL DEFAULT ''", "ALTER TABLE clients ALTER COLUMN name TYPE VARCHAR(1000)"} {
		if _, err := admin.Exec(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if err := read(running); err != nil {
				t.Errorf("after %s: %v", change, err)
			}
		}
	}
}
