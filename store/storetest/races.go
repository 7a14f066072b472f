package storetest

import (
	"context"
	"fmt"
	"sync"
	satomic "sync/atomic"
	"testing"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

const racers = 20

// Codes and refresh tokens are what attackers race for, and are raced 200 times; where tests are to be short all are raced less.
const (
	many = 200
	some = 25
)

func rounds(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}

// race runs one write from all racers at once, each in an Update of its own, and returns how many were told that they won.
func race(t *testing.T, db *store.DB, write func(ctx context.Context, tx *store.Tx, racer int) (bool, error)) int {
	t.Helper()
	var won satomic.Int64
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		all.Go(func() {
			<-start
			var mine bool
			err := db.Update(t.Context(), func(tx *store.Tx) (err error) {
				mine, err = write(t.Context(), tx, i)
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if mine {
				won.Add(1)
			}
		})
	}
	close(start)
	all.Wait()
	return int(won.Load())
}

// once is a race in which exactly one wins, round after round. prepare returns what a round is about.
func once[T any](n int, name string, prepare func(t *testing.T, db *store.DB, round int) T, write func(ctx context.Context, tx *store.Tx, what T, racer int) (bool, error)) promise {
	return promise{name, func(t *testing.T, open opener) {
		db := open()
		for round := range rounds(n) {
			what := prepare(t, db, round)
			got := race(t, db, func(ctx context.Context, tx *store.Tx, racer int) (bool, error) { return write(ctx, tx, what, racer) })
			if got != 1 {
				t.Fatalf("round %d: %d of %d won, want 1", round, got, racers)
			}
		}
	}}
}

// races: of many who spend one thing, one does.
var races = []promise{
	// RFC 6749 §4.1.2: a code is used once.
	once(many, "lets one of twenty redeem a code", pending, func(ctx context.Context, tx *store.Tx, g auth.Grant, _ int) (bool, error) {
		g.State, g.RedeemedAt = auth.GrantLive, tx.Now()
		return tx.RedeemGrant(ctx, g)
	}),
	// RFC 9700 §4.14.2: a refresh token is used once.
	once(many, "lets one of twenty rotate a refresh token", live, func(ctx context.Context, tx *store.Tx, g auth.Grant, _ int) (bool, error) {
		g.Generation, g.Claimed, g.RotatedAt = 2, 1, tx.Now()
		return tx.RotateGrant(ctx, g, 1)
	}),
	once(some, "lets one of twenty end a grant", live, func(ctx context.Context, tx *store.Tx, g auth.Grant, _ int) (bool, error) {
		return tx.EndGrant(ctx, g.ID, "race")
	}),
	once(some, "lets one of twenty spend a flow", func(t *testing.T, db *store.DB, round int) auth.FlowID {
		id := auth.FlowID(fmt.Sprint(round))
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return tx.AddFlow(ctx, auth.Flow{ID: id, BrowserHash: []byte("b"), CreatedAt: tx.Now(), Ends: tx.Now().Add(time.Hour)})
		})
		return id
	}, func(ctx context.Context, tx *store.Tx, id auth.FlowID, _ int) (bool, error) {
		return tx.SpendFlow(ctx, id)
	}),
	once(some, "lets one of twenty spend an assertion", func(_ *testing.T, _ *store.DB, round int) string { return fmt.Sprint(round) },
		func(ctx context.Context, tx *store.Tx, jti string, _ int) (bool, error) {
			return tx.SpendAssertion(ctx, "c", jti, tx.Now().Add(time.Minute))
		}),
	once(some, "lets one of twenty spend a set-up token", func(t *testing.T, db *store.DB, round int) []byte {
		hash := fmt.Append(nil, round)
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return tx.PutSetup(ctx, auth.SetupToken{Hash: hash, Purpose: "p", CreatedAt: tx.Now(), Ends: tx.Now().Add(time.Hour)})
		})
		return hash
	}, func(ctx context.Context, tx *store.Tx, hash []byte, _ int) (bool, error) {
		return tx.SpendSetup(ctx, "p", hash)
	}),
	once(some, "lets one of twenty take a free lease", func(_ *testing.T, _ *store.DB, round int) string { return fmt.Sprint("lease", round) },
		func(ctx context.Context, tx *store.Tx, name string, racer int) (bool, error) {
			return tx.HoldLease(ctx, name, fmt.Sprint("holder", racer), tx.Now().Add(time.Hour))
		}),
	{"makes one secret whoever asks first", func(t *testing.T, open opener) {
		db := open()
		var mu sync.Mutex
		seen := map[string]bool{}
		race(t, db, func(ctx context.Context, tx *store.Tx, racer int) (bool, error) {
			s, err := tx.SecretOnce(ctx, "mac", func() []byte { return fmt.Append(nil, racer) })
			mu.Lock()
			defer mu.Unlock()
			seen[string(s)] = true
			return true, err
		})
		if len(seen) != 1 {
			t.Errorf("%d secrets were given out, want 1", len(seen))
		}
	}},
	{"gives one name to one account", func(t *testing.T, open opener) {
		db := open()
		var won satomic.Int64
		var all sync.WaitGroup
		for range racers {
			all.Go(func() {
				err := db.Update(t.Context(), func(tx *store.Tx) error {
					_, err := addAccount(t.Context(), tx, "theone")
					return err
				})
				if err == nil {
					won.Add(1)
				}
			})
		}
		all.Wait()
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.CountAccounts(ctx)
			if won.Load() != 1 || n != 1 {
				t.Errorf("%d won and %d accounts are there, want 1", won.Load(), n)
			}
			return err
		})
	}},
	{"never admits one attempt more than the limit, of 500 at once", func(t *testing.T, open opener) {
		const attempts, limit = 500, 37
		db := open()
		var admitted satomic.Int64
		var all sync.WaitGroup
		counts := make(chan int, attempts)
		for range attempts {
			all.Go(func() {
				var n int
				var ok bool
				err := db.Update(t.Context(), func(tx *store.Tx) (err error) {
					n, ok, err = tx.Attempt(t.Context(), []byte("k"), time.Hour, limit)
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if ok {
					admitted.Add(1)
					counts <- n
				}
			})
		}
		all.Wait()
		close(counts)
		seen := map[int]bool{}
		for n := range counts {
			seen[n] = true
		}
		if admitted.Load() != limit || len(seen) != limit {
			t.Errorf("%d were admitted with %d different counts, want %d", admitted.Load(), len(seen), limit)
		}
	}},
	{"holds off every other change to a locked account", func(t *testing.T, open opener) {
		db := open()
		a := account(t, db, "a")
		race(t, db, func(ctx context.Context, tx *store.Tx, _ int) (bool, error) {
			if err := tx.LockAccount(ctx, a.ID); err != nil {
				return false, err
			}
			now, err := tx.Account(ctx, a.ID)
			if err != nil {
				return false, err
			}
			ok, err := tx.UpdateAccount(ctx, now) // lock first, read after: nobody comes between
			if !ok {
				t.Error("somebody came between the lock and the write")
			}
			return ok, err
		})
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Account(ctx, a.ID)
			if got.Version != a.Version+racers {
				t.Errorf("version %d, want %d", got.Version, a.Version+racers)
			}
			return err
		})
	}},
}

func pending(t *testing.T, db *store.DB, round int) auth.Grant {
	return grant(t, db, account(t, db, fmt.Sprint("person", round)), nil)
}

func live(t *testing.T, db *store.DB, round int) auth.Grant {
	return grant(t, db, account(t, db, fmt.Sprint("person", round)), func(g *auth.Grant) {
		g.State, g.Generation, g.RefreshEnds, g.IdleEnds = auth.GrantLive, 1, g.CodeEnds, g.CodeEnds
	})
}
