package rbac_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// A policy that was rolled back is nobody's, however many changes of it were in the transaction.
func TestAPolicyThatWasRolledBackIsHeldNowhere(t *testing.T) {
	t.Parallel()
	onStages(t, 1, func(t *testing.T, s *stage) {
		if res, err := s.apply(change(payments(rbac.Block)...)); err != nil || res.Why != nil {
			t.Fatalf("set up: %v %v", res.Why, err)
		}
		ctx, no := t.Context(), errors.New("no")
		err := s.db.Update(ctx, func(tx *store.Tx) error {
			for _, role := range []rbac.RoleID{"clerk", "desk"} {
				if err := rbac.Do(ctx, tx, rbac.By{}, rbac.GrantPermission{Role: role, Permission: "pay/order:enter"}); err != nil {
					return err
				}
				if _, err := tx.Structure(ctx); err != nil {
					return err
				}
			}
			return no
		})
		if !errors.Is(err, no) {
			t.Fatal(err)
		}
		// Two changes come to the epoch that the two which were rolled back had come to.
		for _, id := range []rbac.ServerID{"one", "two"} {
			if res, err := s.apply(change(storetest.Server(id, "https://"+string(id)+".test", "A server"))); err != nil || res.Why != nil {
				t.Fatalf("%v %v", res.Why, err)
			}
		}
		for _, role := range []rbac.RoleID{"clerk", "desk"} {
			if got := s.state(t).Roles[role].Permissions; len(got) > 0 {
				t.Errorf("%s carries %v, which was rolled back", role, got)
			}
		}
	})
}

// Two who change people and then, in the same transaction, the policy wait for each other. The database ends one of them, it runs
// again, and no caller hears of it.
func TestPeopleAndThenThePolicyInOneTransaction(t *testing.T) {
	t.Parallel()
	onStages(t, 2, func(t *testing.T, s *stage) {
		s.furnish(t, payments(rbac.Block))
		var met, all sync.WaitGroup
		met.Add(len(s.hands))
		for i, role := range []rbac.RoleID{"clerk", "desk"} {
			account, once := []rbac.AccountID{"a0", "a1"}[i], sync.OnceFunc(func() { met.Done(); met.Wait() })
			if s.lite {
				once = func() {} // the one waits for the other from the first
			}
			all.Go(func() {
				err := s.hands[i].Update(t.Context(), func(tx *store.Tx) error {
					if err := rbac.Do(t.Context(), tx, rbac.By{}, assign(rbac.AssignmentID("u-"+role), account, role, rbac.Window{})); err != nil {
						return err
					}
					once()
					return rbac.Do(t.Context(), tx, rbac.By{}, rbac.GrantPermission{Role: role, Permission: "pay/order:enter"})
				})
				if err != nil {
					t.Errorf("%s: %v", role, err)
				}
			})
		}
		all.Wait()
		if got := s.state(t); len(got.Roles["clerk"].Permissions) != 1 || len(got.Roles["desk"].Permissions) != 1 || len(got.Assignments) != 2 {
			t.Errorf("got %+v and %+v, want all of both", got.Roles, got.Assignments)
		}
	})
}

// Whoever reads the policy while a change of it commits gets one epoch whole.
func TestAReaderSeesOneEpochWhole(t *testing.T) {
	t.Parallel()
	s := newStage(t, database(t, storetest.Postgres), 1)
	if res, err := s.apply(change(payments(rbac.Block)...)); err != nil || res.Why != nil {
		t.Fatalf("set up: %v %v", res.Why, err)
	}
	was := s.still(t).st.Epoch
	change, err := s.raw.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer change.Rollback()
	run := func(q string) {
		t.Helper()
		if _, err := change.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	run("LOCK TABLE policy_items IN ACCESS EXCLUSIVE MODE")

	// The reader, of a process that holds nothing yet, has read the epoch and waits for the items.
	type seen struct {
		st  *rbac.Structure
		err error
	}
	read := make(chan seen)
	go func() {
		var out seen
		out.err = s.hands[0].View(t.Context(), func(tx *store.Tx) (err error) {
			out.st, err = tx.Structure(t.Context())
			return err
		})
		read <- out
	}()
	for reader := (&player{stage: s}); !reader.waits(t); {
		select {
		case got := <-read:
			t.Fatalf("it read %+v past the lock", got)
		case <-time.After(time.Millisecond):
		}
	}
	run("DELETE FROM policy_items WHERE kind = 'rule'")
	run("UPDATE policy SET epoch = epoch + 1")
	if err := change.Commit(); err != nil {
		t.Fatal(err)
	}
	got := <-read
	if got.err != nil || got.st.Epoch != was+1 || len(got.st.Rules) != 0 {
		t.Errorf("got epoch %d with %d rules and %v, want epoch %d without", got.st.Epoch, len(got.st.Rules), got.err, was+1)
	}
}
