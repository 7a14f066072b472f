package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

var event = audit.Event{Kind: audit.AccountAdded, Outcome: audit.OK}

// atomic: all of a transaction happens, or nothing.
var atomic = []promise{
	{"undoes a change whose transaction fails, with its event", func(t *testing.T, open opener) {
		db, mine := open(), errors.New("mine")
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := addAccount(t.Context(), tx, "a")
			return errors.Join(err, tx.Record(t.Context(), event), mine)
		})
		if !errors.Is(err, mine) {
			t.Errorf("got %v, want the closure's error", err)
		}
		untouched(t, db)
	}},
	{"undoes a change whose event cannot be written", func(t *testing.T, open opener) {
		db := open()
		e := event
		e.ID = "one"
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.Record(ctx, e) })
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := addAccount(t.Context(), tx, "a")
			return errors.Join(err, tx.Record(t.Context(), e)) // its identifier is in use, which shows only at the end
		})
		if err == nil {
			t.Error("the transaction went through")
		}
		untouched(t, db)
	}},
	{"undoes a change whose event says nothing", func(t *testing.T, open opener) {
		db := open()
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := addAccount(t.Context(), tx, "a")
			tx.Record(t.Context(), audit.Event{}) // even if nobody looks
			return err
		})
		if err == nil {
			t.Error("the transaction went through")
		}
		untouched(t, db)
	}},
	{"commits nothing after a statement that failed, even if nobody looked", func(t *testing.T, open opener) {
		db := open()
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			if _, err := addAccount(t.Context(), tx, "a"); err != nil {
				return err
			}
			addAccount(t.Context(), tx, "a")
			return nil
		})
		if err == nil {
			t.Error("the transaction went through")
		}
		untouched(t, db)
	}},
	{"undoes a change in the middle of which the program panics", func(t *testing.T, open opener) {
		db := open(func(c *store.Config) { c.Writers = 1 })
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = db.Update(t.Context(), func(tx *store.Tx) error {
				addAccount(t.Context(), tx, "a")
				panic("at the worst moment")
			})
		}()
		untouched(t, db)
		account(t, db, "a") // the connection came back
	}},
	{"undoes a change whose request was given up, and goes on", func(t *testing.T, open opener) {
		db := open(func(c *store.Config) { c.Writers = 1 })
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			err := db.Update(ctx, func(tx *store.Tx) error {
				_, err := addAccount(ctx, tx, "a")
				cancel()
				return err
			})
			if !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Unavailable) {
				t.Errorf("got %v, want Unavailable because it was cancelled", err)
			}
		}
		untouched(t, db)
		account(t, db, "a")
	}},
	{"bounds how long a transaction may take", func(t *testing.T, open opener) {
		db := open(func(c *store.Config) { c.Timeout = 3 * time.Second })
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			time.Sleep(3200 * time.Millisecond)
			_, err := tx.CountAccounts(t.Context())
			return err
		})
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("got %v, want Unavailable", err)
		}
	}},
	{"ends with its closure", func(t *testing.T, open opener) {
		db := open()
		var kept *store.Tx
		update(t, db, func(ctx context.Context, tx *store.Tx) error { kept = tx; return nil })
		_, err := kept.CountAccounts(t.Context())
		if err == nil || kept.Record(t.Context(), event) == nil {
			t.Error("a transaction was used after its end")
		}
		view(t, db, func(ctx context.Context, tx *store.Tx) error { kept = tx; return nil })
		if _, err := kept.CountAccounts(t.Context()); err == nil {
			t.Error("a view was used after its end")
		}
	}},
	{"writes all events of a transaction in one statement", func(t *testing.T, open opener) {
		db := open()
		before := db.Statements()
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			for range 100 {
				if err := tx.Record(ctx, event); err != nil {
					return err
				}
			}
			return nil
		})
		if got := db.Statements() - before; got != 3 {
			t.Errorf("%d statements, want BEGIN, INSERT, COMMIT", got)
		}
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			all, err := tx.Events(ctx, store.EventFilter{Kind: event.Kind}, 1000)
			if len(all) != 100 {
				t.Errorf("%d events, want 100", len(all))
			}
			return err
		})
	}},
	{"runs again what met a deadlock", func(t *testing.T, open opener) {
		db := open()
		a, b := account(t, db, "a"), account(t, db, "b")
		var both sync.WaitGroup
		met := meet(2)
		for _, order := range [][2]auth.AccountID{{a.ID, b.ID}, {b.ID, a.ID}} {
			both.Go(func() {
				first := true
				err := db.Update(t.Context(), func(tx *store.Tx) error {
					err := tx.LockAccount(t.Context(), order[0])
					if first {
						first = false
						met(100 * time.Millisecond)
					}
					return errors.Join(err, tx.LockAccount(t.Context(), order[1]), tx.Record(t.Context(), event))
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			all, err := tx.Events(ctx, store.EventFilter{Kind: event.Kind}, 10)
			if len(all) != 2 {
				t.Errorf("%d events, want one of each", len(all))
			}
			return err
		})
	}},
	// A second connection taken inside a transaction hangs for good once every caller holds its first.
	{"needs one connection a transaction: 16 callers share one", func(t *testing.T, open opener) {
		db := open(func(c *store.Config) { c.Writers, c.Readers = 1, 1 })
		who := account(t, db, "a")
		var callers sync.WaitGroup
		for i := range 16 {
			callers.Go(func() {
				ctx := t.Context()
				err := db.Update(ctx, func(tx *store.Tx) error { return everything(ctx, tx, who, i) })
				err2 := db.View(ctx, func(tx *store.Tx) error {
					_, err := tx.Keys(ctx)
					_, err2 := tx.Password(ctx, who.ID)
					return errors.Join(err, err2)
				})
				if err := errors.Join(err, err2); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
	}},
}

// everything does one of each kind of thing that needs the database, sealing among them.
func everything(ctx context.Context, tx *store.Tx, who auth.Account, i int) error {
	id := tx.NewID()
	_, _, errLimit := tx.Attempt(ctx, []byte("k"), time.Minute, 1000)
	_, errSecret := tx.SecretOnce(ctx, fmt.Sprint("secret", i), func() []byte { return []byte("x") })
	_, errEvents := tx.Events(ctx, store.EventFilter{}, 5)
	_, errKeys := tx.Keys(ctx)
	return errors.Join(errLimit, errSecret, errEvents, errKeys,
		tx.LockAccount(ctx, who.ID),
		tx.PutPassword(ctx, auth.Password{Account: who.ID, Hash: id, ChangedAt: tx.Now()}),
		tx.LockKeys(ctx),
		tx.AddKey(ctx, auth.Key{ID: id, State: auth.KeyNext, Public: []byte("p"), Private: []byte("q"), CreatedAt: tx.Now()}),
		tx.AddGrant(ctx, auth.Grant{ID: auth.GrantID(id), Account: who.ID, CodeHash: []byte(id), CreatedAt: tx.Now()}),
		tx.Record(ctx, event))
}

// untouched checks that there is no account and no event of one.
func untouched(t *testing.T, db *store.DB) {
	t.Helper()
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		accounts, err := tx.CountAccounts(ctx)
		events, err2 := tx.Events(ctx, store.EventFilter{Kind: event.Kind}, 10)
		for _, e := range events {
			if e.ID != "one" {
				t.Errorf("event %s is there", e.ID)
			}
		}
		if accounts != 0 {
			t.Errorf("%d accounts are there", accounts)
		}
		return errors.Join(err, err2)
	})
}

// meet returns a function that waits until n have called it, or for a while: on SQLite the second cannot come.
func meet(n int) func(patience time.Duration) {
	var arrived sync.WaitGroup
	arrived.Add(n)
	all := make(chan struct{})
	go func() { arrived.Wait(); close(all) }()
	return func(patience time.Duration) {
		arrived.Done()
		select {
		case <-all:
		case <-time.After(patience):
		}
	}
}
