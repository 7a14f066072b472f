package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// ledgerPolicy is two roles that a rule keeps apart.
func ledgerPolicy(mode rbac.Mode) []rbac.Op {
	return []rbac.Op{
		storetest.Role("clerk", "ledger/invoice:enter"), storetest.Role("approver", "ledger/invoice:approve"),
		rbac.DefineDuty{Duty: rbac.Duty{ID: "ENTER", Name: "Enter", Expr: rbac.Leaf("perm:ledger/invoice:enter")}},
		rbac.DefineDuty{Duty: rbac.Duty{ID: "APPROVE", Name: "Approve", Expr: rbac.Leaf("perm:ledger/invoice:approve")}},
		rbac.CreateRule{Rule: rbac.Rule{ID: "R1", Kind: rbac.Static, Duties: []rbac.DutyID{"ENTER", "APPROVE"}, K: 2, Level: rbac.High, Mode: mode}},
	}
}

func addPerson(t *testing.T, db *store.DB, name string) (a auth.Account) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *store.Tx) (err error) {
		a, err = auth.AddAccount(t.Context(), tx, "local:test", auth.NewAccount{Username: name, Hash: "$argon2id$none"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return a
}

func applied(t *testing.T, db *store.DB, ops func(tx *store.Tx) []rbac.Op) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return storetest.Policy(t.Context(), tx, ops(tx)...) }); err != nil {
		t.Fatal(err)
	}
}

func caseOfR1(t *testing.T, db *store.DB, a auth.Account) (k rbac.Case) {
	t.Helper()
	if err := db.View(t.Context(), func(tx *store.Tx) error {
		list, err := tx.Cases(t.Context(), store.ConflictFilter{Rules: []rbac.RuleID{"R1"}, Subject: rbac.SubjectID(a.Person)}, 1)
		if len(list) > 0 {
			k = list[0]
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return k
}

func countEvents(t *testing.T, db *store.DB, kind audit.Kind) int {
	t.Helper()
	n := 0
	if err := db.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Events(t.Context(), store.EventFilter{Kind: kind}, 100)
		n = len(all)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// rbac-G17: when an exception ends its case opens again, by the server alone; and the alarm is raised.
func TestExceptionsThatEndOpenTheirCases(t *testing.T) {
	t.Parallel()
	eachClock(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		var log strings.Builder
		w := workers{db: db, log: slog.New(slog.NewTextHandler(&log, nil)), conflicts: &conflictFigures{}}
		pass := func() {
			t.Helper()
			for _, do := range []func(context.Context) error{w.passed, w.whole} {
				if err := do(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		ada, bob := addPerson(t, db, "ada"), addPerson(t, db, "bob")
		ends := rbac.At(clock.Now().Add(time.Hour))
		applied(t, db, func(*store.Tx) []rbac.Op { return ledgerPolicy(rbac.Block) })
		applied(t, db, func(tx *store.Tx) []rbac.Op {
			return []rbac.Op{
				rbac.GrantException{Exception: rbac.Exception{
					ID: "x", Rule: "R1", Version: 1, Subject: rbac.SubjectID(ada.Person), Approvers: []rbac.SubjectID{rbac.SubjectID(bob.Person)},
					During: rbac.Window{From: rbac.At(tx.Now()), To: ends},
				}},
				rbac.Assign{Assignment: rbac.Assignment{ID: "a", Account: rbac.AccountID(ada.ID), Role: "clerk", During: rbac.Window{To: ends}}},
				rbac.Assign{Assignment: rbac.Assignment{ID: "b", Account: rbac.AccountID(ada.ID), Role: "approver", During: rbac.Window{To: ends}}},
			}
		})
		pass()
		if k := caseOfR1(t, db, ada); k.State != rbac.CaseException {
			t.Fatalf("got %+v, want a case that is excused", k)
		}
		found := countEvents(t, db, audit.ViolationFound)

		// Time passes and nothing happens: nothing is recorded, however often it is looked at.
		for range 3 {
			clock.Add(10 * time.Minute)
			pass()
		}
		if n := countEvents(t, db, audit.ViolationFound); n != found {
			t.Errorf("got %d events of a violation that stood all the time, want %d", n, found)
		}

		// The roles last longer than the exception that let them be held.
		applied(t, db, func(*store.Tx) []rbac.Op {
			return []rbac.Op{rbac.RevokeException{Exception: "x"}, rbac.GrantException{Exception: rbac.Exception{
				ID: "y", Rule: "R1", Version: 1, Subject: rbac.SubjectID(ada.Person), Approvers: []rbac.SubjectID{rbac.SubjectID(bob.Person)},
				During: rbac.Window{From: rbac.At(clock.Now()), To: ends - 600_000_000},
			}}}
		})
		clock.Add(21 * time.Minute)
		pass()
		if k := caseOfR1(t, db, ada); k.State != rbac.CaseOpen || k.Reopened == 0 {
			t.Errorf("rbac-G17 got %+v, want that the case is open again", k)
		}
		if w.conflicts.open.Load() != 1 || w.conflicts.alarms.Load() != 1 || !strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("got %d open, %d alarms, log %q", w.conflicts.open.Load(), w.conflicts.alarms.Load(), &log)
		}

		// And once the roles end the case is closed.
		clock.Add(20 * time.Minute)
		pass()
		if k := caseOfR1(t, db, ada); k.State != rbac.CaseResolved {
			t.Errorf("got %+v, want that the case is closed", k)
		}
		if w.conflicts.open.Load() != 0 || w.conflicts.alarms.Load() != 0 {
			t.Errorf("got %d open, %d alarms, want none", w.conflicts.open.Load(), w.conflicts.alarms.Load())
		}
	})
}

// eachClock runs test on both databases, under a clock that it moves.
func eachClock(t *testing.T, test func(t *testing.T, db *store.DB, clock *storetest.Clock)) {
	for name, open := range map[string]func(testing.TB, ...func(*store.Config)) *store.DB{"sqlite": storetest.Open, "postgres": storetest.OpenPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := storetest.NewClock(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
			test(t, open(t, func(cfg *store.Config) { cfg.Clock = clock.Now }), clock)
		})
	}
}

// Replicas share the work: each step is taken once, and everybody is looked at once a day.
func TestReplicasShareWhatTimeBrings(t *testing.T) {
	t.Parallel()
	eachClock(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		start := rbac.At(clock.Now())
		applied(t, db, func(*store.Tx) []rbac.Op { return ledgerPolicy(rbac.Record) })
		const people = 9
		for i := range people {
			a := addPerson(t, db, string(rune('a'+i))+"-person")
			applied(t, db, func(tx *store.Tx) []rbac.Op {
				return []rbac.Op{rbac.Assign{Assignment: rbac.Assignment{
					ID: rbac.AssignmentID(tx.NewID()), Account: rbac.AccountID(a.ID), Role: "clerk", During: rbac.Window{To: start + rbac.Instant(60_000_000*(1+i/3))},
				}}}
			})
		}
		step := func() (p rbac.Passed) {
			t.Helper()
			if err := db.Update(t.Context(), func(tx *store.Tx) (err error) {
				p, err = rbac.Pass(t.Context(), tx, 2)
				return err
			}); err != nil {
				t.Error(err)
			}
			return p
		}
		clock.Add(time.Second)
		step() // the first sets the mark
		clock.Add(5 * time.Minute)
		var mu sync.Mutex
		looked := 0
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for {
					p := step()
					mu.Lock()
					looked += p.People
					mu.Unlock()
					if !p.More {
						return
					}
				}
			})
		}
		all.Wait()
		// Everybody began at one moment, and they end at three: those of one moment are looked at together.
		if looked != 2*people {
			t.Errorf("looked at %d people, want each of %d once for each moment of theirs", looked, people)
		}
		if p := step(); p.People != 0 || p.More {
			t.Errorf("got %+v, want that nothing is left", p)
		}

		rounds := 0
		for range 3 {
			all.Go(func() {
				err := db.Update(t.Context(), func(tx *store.Tx) error {
					round, mine, err := rbac.BeginWhole(t.Context(), tx)
					if err != nil || !mine {
						return err
					}
					mu.Lock()
					rounds++
					mu.Unlock()
					return round.End(t.Context(), tx)
				})
				if err != nil && !fault.Is(err, fault.Unavailable) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if rounds != 1 {
			t.Errorf("got %d rounds of a day, want 1", rounds)
		}
	})
}
