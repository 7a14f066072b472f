package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/audit/audittest"
	"github.com/countersign-id/countersign/migrations"
	"github.com/countersign-id/countersign/store"
)

var (
	logKeys = audittest.Keys("test.example.org/audit", "storetest")
	leader  = audit.Lease{Name: "log", Holder: "one"}
)

// born is how many events a new database has: one of each migration.
var born = int64(len(migrations.Versions("sqlite")))

// logs: events become a log that can be checked.
var logs = []promise{
	{"puts every event into the log once, and the log verifies", func(t *testing.T, open opener) {
		db := open()
		record(t, db, 700)
		sequence(t, db, 300)
		record(t, db, 50)
		report := verify(t, db)
		if report.Bad != nil || report.Entries != 700+born || report.Unsequenced != 50 {
			t.Errorf("got %+v", report)
		}
	}},
	{"verifies events made of what strangers sent", func(t *testing.T, open opener) {
		db := open()
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return tx.Record(ctx, audit.Event{
				Kind: audit.SessionRefused, Outcome: audit.Refused, Client: "c\x00\xff", Request: "\xed\xa0\x80",
				Detail: map[string]string{"k": "\x00"}, Personal: map[string]string{"typed": "a\x00b\xffc", "\xff": "<>&\u2028"},
			})
		})
		sequence(t, db, 10)
		if report := verify(t, db); report.Bad != nil || report.Entries != 1+born {
			t.Errorf("got %+v, bad %+v", report, report.Bad)
		}
	}},
	{"still verifies after personal data were erased and bodies pruned", func(t *testing.T, open opener) {
		db := open()
		record(t, db, 20)
		sequence(t, db, 100)
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.ErasePersonal(ctx, "account:3")
			if n != 1 {
				t.Errorf("erased %d, want 1", n)
			}
			return err
		})
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			to, err := tx.PositionBefore(ctx, tx.Now().Add(time.Hour))
			if to != 20+born {
				t.Errorf("all are older than in an hour: position %d, want %d", to, 20+born)
			}
			p := audit.Pruning{From: 0, To: 10}
			e, err2 := p.Event(logKeys.Signer)
			n, err3 := tx.PruneEntries(ctx, p.From, p.To)
			if n != 10 {
				t.Errorf("pruned %d, want 10", n)
			}
			return errors.Join(err, err2, err3, tx.Record(ctx, e))
		})
		sequence(t, db, 100)
		report := verify(t, db)
		if report.Bad != nil || report.Entries != 21+born || report.Pruned != 10 {
			t.Errorf("got %+v, bad %+v", report, report.Bad)
		}
	}},
	{"gives no position away twice and takes none back", func(t *testing.T, open opener) {
		db := open()
		record(t, db, 3)
		sequence(t, db, 2)
		place := func(change func(e *audit.Entry)) error {
			return db.Update(t.Context(), func(tx *store.Tx) error {
				if err := tx.Record(t.Context(), event); err != nil {
					return err
				}
				waiting, err := tx.Unsequenced(t.Context(), 1)
				if err != nil || len(waiting) != 1 {
					return errors.Join(err, fmt.Errorf("%d wait", len(waiting)))
				}
				waiting[0].Position = 100
				change(&waiting[0])
				return tx.PlaceEntries(t.Context(), waiting)
			})
		}
		if err := place(func(e *audit.Entry) { e.Position = 1 }); err == nil {
			t.Error("a position was given twice")
		}
		if err := place(func(e *audit.Entry) { e.ID = "nobody" }); err == nil {
			t.Error("nobody was placed")
		}
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			placed, err := tx.LogEntries(t.Context(), 0, 1)
			if err != nil {
				return err
			}
			placed[0].Position = 200
			return tx.PlaceEntries(t.Context(), placed)
		})
		if err == nil {
			t.Error("an entry was moved")
		}
		sign := func() error {
			return db.Update(t.Context(), func(tx *store.Tx) error { return tx.PutCheckpoint(t.Context(), 1000, []byte("x")) })
		}
		if err := errors.Join(sign(), sign()); err == nil {
			t.Error("a size was signed twice")
		}
	}},
	{"gives a lease to one holder until it expires or is released", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.Use)
		hold := func(holder string) (held bool) {
			update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
				held, err = tx.HoldLease(ctx, "l", holder, tx.Now().Add(time.Minute))
				return err
			})
			return held
		}
		has := func(holder string) (has bool) {
			update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
				has, err = tx.CheckLease(ctx, "l", holder)
				return err
			})
			return has
		}
		if !hold("one") || hold("two") || !hold("one") || !has("one") || has("two") {
			t.Error("the first has it, and may renew it")
		}
		clock.Add(time.Minute)
		if has("one") || !hold("two") || hold("one") {
			t.Error("the second has it when it expired")
		}
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.ReleaseLease(ctx, "l", "two") })
		if has("two") || !hold("one") {
			t.Error("the first has it when it was released")
		}
	}},
	{"pages and filters events", func(t *testing.T, open opener) {
		db := open()
		record(t, db, 9)
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			all, err := tx.Events(ctx, store.EventFilter{Kind: audit.SessionStarted}, 100)
			newest, err2 := tx.Events(ctx, store.EventFilter{Newest: true, Kind: audit.SessionStarted}, 2)
			rest, err3 := tx.Events(ctx, store.EventFilter{After: all[4].ID, Before: all[8].ID}, 100)
			one, err4 := tx.Events(ctx, store.EventFilter{Subject: "account:4", Outcome: audit.OK, Actor: "system", Client: "c"}, 100)
			none, err5 := tx.Events(ctx, store.EventFilter{Outcome: audit.Failed}, 100)
			n, err6 := tx.CountEvents(ctx)
			if len(all) != 9 || newest[0].ID != all[8].ID || newest[1].ID != all[7].ID || len(rest) != 3 || len(one) != 1 || len(none) != 0 || int64(n) != 9+born {
				t.Errorf("got %d, %v, %d, %d, %d, counted %d", len(all), newest, len(rest), len(one), len(none), n)
			}
			return errors.Join(err, err2, err3, err4, err5, err6)
		})
	}},
}

// record writes n events with personal data.
func record(t *testing.T, db *store.DB, n int) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		for i := range n {
			err := tx.Record(ctx, audit.Event{
				Kind: audit.SessionStarted, Outcome: audit.OK, Actor: "system", Subject: fmt.Sprint("account:", i), Client: "c",
				Detail: map[string]string{"n": fmt.Sprint(i)}, Personal: map[string]string{"address": "192.0.2.1"},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// sequence puts all waiting events into the log, some at a time.
func sequence(t *testing.T, db *store.DB, some int) {
	t.Helper()
	for n := some; n == some; {
		update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
			if _, err = leader.Hold(ctx, tx, time.Minute); err != nil {
				return err
			}
			n, err = audit.Sequence(ctx, tx, logKeys, leader, some)
			return err
		})
	}
}

func verify(t *testing.T, db *store.DB) (r audit.Report) {
	t.Helper()
	view(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		r, err = audit.Verify(ctx, tx, logKeys.Known, audit.Options{})
		return err
	})
	return r
}
