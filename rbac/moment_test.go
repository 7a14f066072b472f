package rbac_test

import (
	"context"
	"testing"
	"time"

	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// Whoever waited for a lock judges by the time at which it got it. Else what the other one ended a moment ago would still be held
// for that moment, and two could go of the last two (I10).
func TestWhoeverWaitedJudgesByTheTimeAfterwards(t *testing.T) {
	t.Parallel()
	onStages(t, 2, func(t *testing.T, s *stage) {
		for _, place := range []string{"LockPolicy", "LockSubjects", "LockRoles"} {
			s.reset(t)
			ops := payments(rbac.Block, officer(1, 0), assign("u1", "a0", "officer", rbac.Window{From: 50}), assign("u2", "a1", "officer", rbac.Window{From: 50}))
			if res, err := s.apply(change(ops...)); err != nil || res.Why != nil {
				t.Fatalf("set up: %v %v", res.Why, err)
			}
			early := s.enter(t, 0, move{Changeset: change(rbac.Withdraw{Assignment: "u1"})})
			for early.step(t); early.place != place; early.step(t) {
				if early.over {
					t.Fatalf("it never came to %s", place)
				}
			}
			s.clock.Add(10) // the other begins later and is done earlier
			late := s.enter(t, 1, move{Changeset: change(rbac.Withdraw{Assignment: "u2"})})
			late.run(t)
			conclude(t, early, late)
			s.clock.Add(10)
			if n := rbac.People(s.state(t), "officer", rbac.Instant(s.clock.Load())); n != 1 || early.code() == late.code() {
				t.Errorf("held at %s: %q and %q, and %d hold a role that needs one", place, early.code(), late.code(), n)
			}
		}
	})
}

// On SQLite processes queue for the one writer, and the time is when it was given.
func TestTheTimeOfATransactionIsAfterItsTurnCame(t *testing.T) {
	t.Parallel()
	cfg := database(t, storetest.SQLite)
	s := newStage(t, cfg, 1)
	other := s.another(t, cfg, "")
	first := s.enter(t, 0, move{Changeset: change(payments(rbac.Block)...)})
	first.step(t)
	before, done := other.Statements(), make(chan time.Time)
	go func() {
		var now time.Time
		other.Update(context.Background(), func(tx *store.Tx) error { now = tx.Now(); return nil })
		done <- now
	}()
	for other.Statements() == before {
		time.Sleep(time.Millisecond)
	}
	s.clock.Store(500)
	conclude(t, first)
	if now := <-done; now.UnixMicro() != 500 {
		t.Errorf("its time is %d, want 500: it began when the other one had ended", now.UnixMicro())
	}
}
