package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

// Run holds a database to what Countersign relies on. open returns an empty, migrated store; each test gets its own.
func Run(t *testing.T, open func(t *testing.T) *store.DB) {
	for _, group := range [][]promise{keeps} {
		for _, p := range group {
			t.Run(p.name, func(t *testing.T) { t.Parallel(); p.test(t, open(t)) })
		}
	}
}

type promise struct {
	name string
	test func(t *testing.T, db *store.DB)
}

// update runs f in an Update that must succeed, and view in a View.
func update(t *testing.T, db *store.DB, f func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	ctx := t.Context()
	if err := db.Update(ctx, func(tx *store.Tx) error { return f(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

func view(t *testing.T, db *store.DB, f func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	ctx := t.Context()
	if err := db.View(ctx, func(tx *store.Tx) error { return f(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

var keeps = []promise{
	{"keeps a flow", func(t *testing.T, db *store.DB) {
		f := auth.Flow{ID: "f", BrowserHash: []byte("b"), CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}
		f.Ends = f.CreatedAt.Add(time.Minute)
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddFlow(ctx, f) })
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Flow(ctx, "f", []byte("b"))
			t.Logf("%+v", got)
			return err
		})
	}},
}
