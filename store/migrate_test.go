package store

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/pgtest"
	"github.com/countersign-id/countersign/migrations"
)

// both runs a test on an empty database of each kind.
func both(t *testing.T, test func(t *testing.T, cfg Config)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, sqliteConfig(t)) })
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, Config{Database: pgtest.New(t), MasterKeys: [][]byte{testKey}})
	})
}

func TestManyMigrateAtOnceAndOneDoes(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, cfg Config) {
		var all sync.WaitGroup
		applied := make(chan Migration, 100)
		for range 4 {
			all.Go(func() {
				done, err := Migrate(t.Context(), cfg)
				if err != nil {
					t.Error(err)
				}
				for _, m := range done {
					applied <- m
				}
			})
		}
		all.Wait()
		close(applied)
		versions := migrations.Versions("sqlite")
		if len(applied) != len(versions) {
			t.Errorf("%d migrations were applied, want %d", len(applied), len(versions))
		}

		status, err := MigrationStatus(t.Context(), cfg)
		if err != nil || len(status) != len(versions) {
			t.Fatalf("status %v, %v", status, err)
		}
		for i, s := range status {
			if s.Version != versions[i] || s.AppliedAt.IsZero() {
				t.Errorf("status %+v", s)
			}
		}
		db, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		events := queryInts(t, db, "SELECT count(*) FROM events WHERE kind = 'migration.applied' AND length(id) = 36")
		if events != len(versions) {
			t.Errorf("%d events tell of it, want %d", events, len(versions))
		}
	})
}

func queryInts(t *testing.T, db *DB, q string) (n int) {
	t.Helper()
	err := db.View(t.Context(), func(tx *Tx) (err error) {
		n, err = tx.number(t.Context(), q)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOpenRefusesAnotherSchema(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, cfg Config) {
		refused := func(want string) {
			t.Helper()
			db, err := Open(t.Context(), cfg)
			if err == nil {
				db.Close()
			}
			if f := fault.From(err); f.Code != want {
				t.Errorf("got %v, want %s", err, want)
			}
		}
		refused("schema-old")
		db := opened(t, cfg)
		err := db.Update(t.Context(), func(tx *Tx) error {
			_, err := tx.exec(t.Context(), "UPDATE "+versionTable+" SET version_id = 9999 WHERE version_id = ?", migrations.Newest("sqlite"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		refused("schema-new")
		cfg.AnySchema = true
		told, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatalf("told to open any: %v", err)
		}
		told.Close()
	})
}

func TestOpenRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"", "sqlite:", "sqlite::memory:", "mysql://x", "postgres://[", "probe.db"} {
		_, err := Open(t.Context(), Config{Database: database, MasterKeys: [][]byte{testKey}})
		if f := fault.From(err); f.Code != "database-invalid" {
			t.Errorf("%q: got %v, want database-invalid", database, err)
		}
	}
}

func TestADatabaseThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	cfg := Config{Database: "postgres://user:" + secret + "@127.0.0.1:1/none", MasterKeys: [][]byte{testKey}}
	_, err := Open(context.Background(), cfg)
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want %v", err, ErrUnavailable)
	}
	if err != nil && containsText(err.Error(), secret) {
		t.Errorf("the password is in %q", err)
	}
}
