package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/pgtest"
)

// sec-F01: a database that dies under load loses nothing that was acknowledged, keeps no half of anything, and is found again when it
// comes back.
func TestSecF01ADatabaseThatDies(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("short: crashes are left to make test")
	}
	server := pgtest.Start(t, pgtest.Durable)
	cfg := Config{Database: server.New(t), MasterKeys: [][]byte{testKey}, Writers: 8, Timeout: 20 * time.Second}
	db := opened(t, cfg)
	var acknowledged sync.Map
	for crash := range 2 {
		var stop atomic.Bool
		var all sync.WaitGroup
		for writer := range 8 {
			all.Go(func() {
				for i := 0; !stop.Load(); i++ {
					id := fmt.Sprintf("%d-%d-%d", crash, writer, i)
					err := db.Update(context.Background(), func(tx *Tx) error { return writeBoth(tx, id) })
					switch {
					case err == nil:
						acknowledged.Store(id, true)
					case !fault.Is(err, fault.Unavailable):
						t.Errorf("a dying database: %v, want Unavailable", err)
					}
				}
			})
		}
		time.Sleep(300 * time.Millisecond)
		server.Crash(t)
		stop.Store(true)
		all.Wait()
		if err := db.Ping(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("ping of a dead database: %v, want %v", err, ErrUnavailable)
		}
		server.Restart(t)
		if err := db.Ping(t.Context()); err != nil {
			t.Fatalf("it came back, and ping says %v", err)
		}
	}
	kept := map[string]int{}
	if err := db.View(t.Context(), func(tx *Tx) error {
		flows, err := tx.texts(t.Context(), "SELECT id FROM flows")
		events, err2 := tx.texts(t.Context(), "SELECT request FROM events WHERE kind = ?", string(audit.SessionStarted))
		for _, id := range append(flows, events...) {
			kept[id]++
		}
		return errors.Join(err, err2)
	}); err != nil {
		t.Fatal(err)
	}
	n := 0
	acknowledged.Range(func(id, _ any) bool {
		n++
		if kept[id.(string)] != 2 {
			t.Errorf("%s was acknowledged and %d of its 2 rows are there", id, kept[id.(string)])
		}
		return true
	})
	for id, rows := range kept {
		if rows != 2 {
			t.Errorf("%s is half there", id)
		}
	}
	if n == 0 {
		t.Error("nothing was acknowledged, so nothing was tested")
	}
	t.Logf("%d writes were acknowledged, all are there", n)
}

// writeBoth writes two rows in two tables.
func writeBoth(tx *Tx, id string) error {
	ctx := context.Background()
	f := auth.Flow{ID: auth.FlowID(id), BrowserHash: []byte("b"), CreatedAt: tx.Now(), Ends: tx.Now().Add(time.Hour)}
	return errors.Join(tx.AddFlow(ctx, f), tx.Record(ctx, audit.Event{Kind: audit.SessionStarted, Outcome: audit.OK, Request: id}))
}
