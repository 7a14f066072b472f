package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// sweeps: what is dead goes, a little at a time, and nothing else does.
var sweeps = []promise{
	{"sweeps what is dead and keeps what lives", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.Use)
		a := account(t, db, "a")
		put := func(id string) {
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				ends := tx.Now().Add(time.Hour)
				_, err := tx.SpendAssertion(ctx, "c", id, ends)
				_, _, err2 := tx.Attempt(ctx, []byte(id), time.Hour, 10)
				return errors.Join(err, err2,
					tx.AddFlow(ctx, auth.Flow{ID: auth.FlowID(id), BrowserHash: []byte("b"), CreatedAt: tx.Now(), Ends: ends}),
					tx.Deny(ctx, id, ends),
					tx.AddAccessToken(ctx, []byte(id), auth.AccessToken{IssuedAt: tx.Now(), Ends: ends}),
					tx.PutSetup(ctx, auth.SetupToken{Hash: []byte(id), Purpose: id, CreatedAt: tx.Now(), Ends: ends}),
					tx.AddSession(ctx, auth.Session{ID: auth.SessionID(id), Account: a.ID, TokenHash: []byte(id), AuthTime: tx.Now(), CreatedAt: tx.Now(), SeenAt: tx.Now(), IdleEnds: ends, Ends: ends}),
					tx.AddGrant(ctx, auth.Grant{ID: auth.GrantID(id), State: auth.GrantLive, Account: a.ID, CodeHash: []byte(id), Generation: 1, CreatedAt: tx.Now(), CodeEnds: ends, RefreshEnds: ends, IdleEnds: ends}))
			})
		}
		put("old")
		clock.Add(3 * 24 * time.Hour)
		put("new")
		swept, err := db.Sweep(t.Context())
		if err != nil || swept.More {
			t.Fatalf("got %+v, %v", swept, err)
		}
		for _, table := range []string{"flows", "limits", "assertions", "denials", "access_tokens", "setup_tokens", "sessions", "grants"} {
			if swept.Rows[table] != 1 {
				t.Errorf("%s: swept %d rows, want 1", table, swept.Rows[table])
			}
		}
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			if _, err := tx.Grant(ctx, "old"); !fault.Is(err, fault.NotFound) {
				t.Errorf("the old grant: %v", err)
			}
			_, err := tx.Grant(ctx, "new")
			_, err2 := tx.Session(ctx, "new")
			_, err3 := tx.Flow(ctx, "new", []byte("b"))
			_, err4 := tx.AccessToken(ctx, []byte("new"))
			denied, err5 := tx.Denied(ctx, "new")
			if !denied {
				t.Error("the new denial is gone")
			}
			return errors.Join(err, err2, err3, err4, err5)
		})
		again, err := db.Sweep(t.Context())
		if err != nil || len(again.Rows) != 0 {
			t.Errorf("swept again %+v, %v", again, err)
		}
	}},
	// What comes back must be known for what it is: a replayed refresh token ends its family as long as anything of it may live.
	{"keeps a grant until its last token would have died", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.Use)
		start := clock.Now()
		g := grant(t, db, account(t, db, "a"), func(g *auth.Grant) {
			g.State, g.Generation = auth.GrantLive, 1
			g.RefreshEnds, g.IdleEnds = start.Add(90*24*time.Hour), start.Add(14*24*time.Hour)
		})
		there := func() (there bool) {
			if _, err := db.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			view(t, db, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Grant(ctx, g.ID)
				there = err == nil
				return nil
			})
			return there
		}
		clock.Add(10 * 24 * time.Hour)
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			g.Generation, g.Claimed, g.IdleEnds = 2, 1, tx.Now().Add(14*24*time.Hour)
			_, err := tx.RotateGrant(ctx, g, 1)
			_, err2 := tx.EndGrant(ctx, g.ID, "revoked")
			return errors.Join(err, err2)
		})
		clock.Add(14*24*time.Hour + 24*time.Hour)
		if !there() {
			t.Error("an ended grant went before its last token")
		}
		clock.Add(3 * 24 * time.Hour)
		if there() {
			t.Error("a dead grant stays for ever")
		}
	}},
	// sec-D13
	{"sec-D13 sweeps many abandoned flows without making a writer wait", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.Use)
		const abandoned, batch = 6000, 1000
		for from := 0; from < abandoned; from += batch {
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				for i := range batch {
					f := auth.Flow{ID: auth.FlowID(fmt.Sprint(from + i)), BrowserHash: []byte("b"), CreatedAt: tx.Now(), Ends: tx.Now().Add(time.Minute)}
					if err := tx.AddFlow(ctx, f); err != nil {
						return err
					}
				}
				return nil
			})
		}
		clock.Add(time.Hour)

		done := make(chan error, 1)
		go func() {
			for {
				s, err := db.Sweep(t.Context())
				if err != nil || !s.More {
					done <- err
					return
				}
			}
		}()
		var slowest time.Duration
		for i := 0; ; i++ {
			began := time.Now()
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				return tx.AddFlow(ctx, auth.Flow{ID: auth.FlowID(fmt.Sprint("live", i)), BrowserHash: []byte("b"), CreatedAt: tx.Now(), Ends: tx.Now().Add(time.Minute)})
			})
			slowest = max(slowest, time.Since(began))
			select {
			case err := <-done:
				// The promise is 200 ms on a quiet machine (make fault measures it); tests share theirs with others.
				if err != nil || slowest > 2*time.Second {
					t.Errorf("the slowest write took %v; %v", slowest, err)
				}
				view(t, db, func(ctx context.Context, tx *store.Tx) error {
					_, err := tx.Flow(ctx, "live0", []byte("b"))
					if _, gone := tx.Flow(ctx, "0", []byte("b")); !fault.Is(gone, fault.NotFound) {
						t.Errorf("an abandoned flow is there: %v", gone)
					}
					return err
				})
				return
			default:
			}
		}
	}},
}
