// Package storetest opens stores for tests, and holds the suite that every database must pass.
package storetest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/countersign-id/countersign/internal/pgtest"
	"github.com/countersign-id/countersign/migrations"
	"github.com/countersign-id/countersign/store"
)

// MasterKey is the master key of every store made here.
var MasterKey = bytes.Repeat([]byte("test key"), 4)

// SQLite returns the configuration of a fresh, migrated SQLite store in a folder of t's.
func SQLite(t testing.TB) store.Config {
	t.Helper()
	content, err := template()
	if err != nil {
		t.Fatalf("make the template: %v", err)
	}
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return config("sqlite:" + path)
}

// Postgres returns the configuration of a fresh, migrated PostgreSQL store of t's.
func Postgres(t testing.TB) store.Config {
	t.Helper()
	name := fmt.Sprintf("store_%d", migrations.Newest("postgres"))
	return config(pgtest.Template(t, name, func(dsn string) error { return prepare(config(dsn)) }))
}

// Open returns a fresh SQLite store, closed when t ends. with may change its configuration.
func Open(t testing.TB, with ...func(*store.Config)) *store.DB {
	t.Helper()
	return open(t, SQLite(t), with)
}

// OpenPostgres returns a fresh PostgreSQL store, closed when t ends. with may change its configuration.
func OpenPostgres(t testing.TB, with ...func(*store.Config)) *store.DB {
	t.Helper()
	return open(t, Postgres(t), with)
}

// Each runs a test on both databases, side by side.
func Each(t *testing.T, test func(t *testing.T, db *store.DB), with ...func(*store.Config)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, Open(t, with...)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, OpenPostgres(t, with...)) })
}

func config(database string) store.Config {
	return store.Config{Database: database, MasterKeys: [][]byte{MasterKey}, Writers: 8, Readers: 4}
}

func open(t testing.TB, cfg store.Config, with []func(*store.Config)) *store.DB {
	t.Helper()
	for _, w := range with {
		w(&cfg)
	}
	db, err := store.Open(context.Background(), cfg)
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return db
}

// prepare migrates a database and lets it make its keyset.
func prepare(cfg store.Config) error {
	ctx := context.Background()
	if _, err := store.Migrate(ctx, cfg); err != nil {
		return err
	}
	db, err := store.Open(ctx, cfg)
	if err != nil {
		return err
	}
	return db.Close()
}

// template is the content of a migrated SQLite database, made once a process: copying a file is much quicker than migrating.
var template = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "storetest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	if err := prepare(config("sqlite:" + path)); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})
