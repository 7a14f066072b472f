package rbac_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
	"pgregory.net/rapid"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// stored is the small world in a database.
type stored struct {
	db    *store.DB
	raw   *sql.DB
	clock *atomic.Int64
}

// database makes an empty database. A mutant of the evaluator is judged by the evaluator's own tests: those with a database would make
// a campaign of hours one of days.
func database(t testing.TB, make func(testing.TB) store.Config) store.Config {
	t.Helper()
	if os.Getenv("RBAC_MUTANT") != "" {
		t.Skip("inside a mutant")
	}
	return make(t)
}

func newStored(t *testing.T, cfg store.Config) *stored {
	t.Helper()
	w := &stored{clock: &atomic.Int64{}}
	w.clock.Store(100)
	cfg.Clock = func() time.Time { return time.UnixMicro(w.clock.Load()) }
	var err error
	if w.db, err = store.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	w.raw = rawOf(t, cfg)
	err = w.db.Update(t.Context(), func(tx *store.Tx) error {
		ctx := t.Context()
		for _, a := range rbac.AccountNames(rbac.SmallAccounts()) {
			if a == "w0" {
				if err := tx.AddClient(ctx, auth.Client{ID: "w0", Name: "w0", CreatedAt: tx.Now(), UpdatedAt: tx.Now()}); err != nil {
					return err
				}
				continue
			}
			row := auth.Account{ID: auth.AccountID(a), Person: auth.PersonID("of-" + string(a)), Username: string(a), State: auth.AccountActive, CreatedAt: tx.Now(), UpdatedAt: tx.Now()}
			if err := tx.AddAccount(ctx, auth.Person{ID: row.Person, Name: string(a), CreatedAt: tx.Now()}, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.reset(t)
	return w
}

// rawOf opens a database behind the store's back.
func rawOf(t testing.TB, cfg store.Config) *sql.DB {
	t.Helper()
	driver, dsn := "pgx", cfg.Database
	if path, ok := strings.CutPrefix(cfg.Database, "sqlite:"); ok {
		driver, dsn = "sqlite", path+"?_pragma=busy_timeout(5000)"
	}
	raw, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return raw
}

func (w *stored) exec(t interface{ Fatalf(string, ...any) }, statements ...string) {
	tx, err := w.raw.Begin()
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	defer tx.Rollback()
	for _, q := range statements {
		if _, err := tx.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// reset empties the world. The epoch goes on: what was of an epoch stays so.
func (w *stored) reset(t interface{ Fatalf(string, ...any) }) {
	var all []string
	for _, table := range []string{"policy_items", "assignments", "memberships", "delegations", "exceptions", "violations", "cases", "holds", "events"} {
		all = append(all, "DELETE FROM "+table)
	}
	for _, x := range rbac.SmallSubjects() {
		if x != "w0" {
			all = append(all, "INSERT INTO subjects (id, name, created_at, kind) VALUES ('"+string(x)+"', '', 0, '') ON CONFLICT DO NOTHING")
		}
	}
	all = append(all, "UPDATE policy SET epoch = epoch + 1", "UPDATE subjects SET owner_id = 'p1' WHERE id = 'w0'")
	for _, a := range rbac.AccountNames(rbac.SmallAccounts()) {
		all = append(all, "UPDATE accounts SET person_id = '"+string(rbac.SmallAccounts()[a])+"' WHERE id = '"+string(a)+"'")
	}
	w.exec(t, all...)
	w.clock.Store(100)
}

// state reads everything back.
func (w *stored) state(t interface{ Fatalf(string, ...any) }) *rbac.State {
	var s *rbac.State
	err := w.db.View(context.Background(), func(tx *store.Tx) error {
		st, err := tx.Structure(context.Background())
		if err != nil {
			return err
		}
		people, err := tx.People(context.Background(), rbac.SmallSubjects())
		s = rbac.OwnCopy(st.State(people...))
		return err
	})
	if err != nil {
		t.Fatalf("read it back: %v", err)
	}
	return s
}

func (w *stored) apply(c rbac.Changeset) (res rbac.Result, err error) {
	err = w.db.Update(context.Background(), func(tx *store.Tx) error {
		res, err = rbac.Apply(context.Background(), tx, rbac.By{Actor: "local:test"}, c)
		return err
	})
	return res, err
}

// What a change touches is read, not everybody. After any history that comes to the same verdicts and the same rows, on either
// database, as the engine that sees all.
func TestTheStoredEngineAgreesWithTheEngine(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]func(testing.TB) store.Config{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newStored(t, database(t, cfg))
			rapid.Check(t, func(t *rapid.T) {
				w.reset(t)
				if _, err := w.apply(rbac.Changeset{Ops: append(rbac.SmallPolicy(), rbac.DrawFurniture(t)...)}); err != nil {
					t.Fatalf("furnish: %v", err)
				}
				s := w.state(t)
				for range rapid.IntRange(1, 15).Draw(t, "steps") {
					if rapid.IntRange(0, 9).Draw(t, "tick") == 0 {
						w.clock.Add(int64(rapid.IntRange(1, 15).Draw(t, "passes")))
						w.step(t, s, rbac.Sweep{})
					}
					w.step(t, s, rbac.DrawOp(t, s))
				}
			})
		})
	}
}

func (w *stored) step(t *rapid.T, s *rbac.State, op rbac.Op) {
	if o, ok := op.(rbac.LinkAccount); ok && (o.Account == "w0" || o.Subject == "w0") {
		return // a workload's one account is nobody else's
	}
	c := rbac.Changeset{Ops: []rbac.Op{op}}
	if rapid.Bool().Draw(t, "approved") {
		c.Approved = rbac.SmallRules()
	}
	now := rbac.Instant(w.clock.Load())
	want, err := s.Apply(rbac.By{}, c, now)
	got, err2 := w.apply(c)
	if err := errors.Join(err, err2); err != nil {
		t.Fatalf("%T%+v: %v", op, op, err)
	}
	if codeOf(got) != codeOf(want) || got.Epoch != want.Epoch {
		t.Fatalf("%T%+v at %d: stored %q at epoch %d, want %q at %d", op, op, now, codeOf(got), got.Epoch, codeOf(want), want.Epoch)
	}
	if diff := cmp.Diff(want.Hits, got.Hits, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(rbac.Path{})); diff != "" {
		t.Fatalf("%T%+v at %d: hits differ (-engine +stored):\n%s", op, op, now, diff)
	}
	if diff := cmp.Diff(rbac.Everything(s), rbac.Everything(w.state(t)), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%T%+v at %d: rows differ (-engine +stored):\n%s", op, op, now, diff)
	}
}

// rbac-G20: a rule that lost what it speaks of has a case of its own, also where nobody is touched, and it goes when the rule
// is whole again.
func TestTheCaseOfARuleIsStored(t *testing.T) {
	t.Parallel()
	w := newStored(t, database(t, storetest.SQLite))
	does := func(ops ...rbac.Op) {
		t.Helper()
		if res, err := w.apply(rbac.Changeset{Ops: ops}); err != nil || res.Outcome != rbac.Applied {
			t.Fatalf("%+v: %v, %v", ops, res.Why, err)
		}
	}
	perm := rbac.DefinePermission{Permission: rbac.PermissionDef{ID: "app/y:1"}}
	duty := func(id rbac.DutyID, p rbac.Permission) rbac.Op {
		return rbac.DefineDuty{Duty: rbac.Duty{ID: id, Name: string(id), Expr: rbac.Leaf(p.Atom())}}
	}
	does(perm, rbac.DefinePermission{Permission: rbac.PermissionDef{ID: "app/y:2"}}, duty("one", "app/y:1"), duty("two", "app/y:2"),
		rbac.CreateRule{Rule: rbac.Rule{ID: "R", Kind: rbac.Static, Level: rbac.Low, Mode: rbac.Record, K: 2, Duties: []rbac.DutyID{"one", "two"}}})
	if res, err := w.apply(rbac.Changeset{Ops: []rbac.Op{rbac.DropPermission{Permission: "app/y:1"}}}); err != nil || !errors.Is(res.Err(), rbac.ErrReferencedByRule) {
		t.Fatalf("got %v, %v, want that the rule holds it", res.Why, err)
	}
	does(rbac.DropPermission{Permission: "app/y:1", Force: true})
	if s := w.state(t); !s.Rules["R"].Invalid || s.Cases[rbac.CaseKey{Rule: "R"}].State != rbac.CaseInvalid {
		t.Fatalf("got %+v, %+v, want an invalid rule with its case", s.Rules["R"], s.Cases)
	}
	whole := w.state(t).Rules["R"]
	whole.Invalid = false
	does(perm, rbac.EditRule{Rule: whole})
	if s := w.state(t); s.Rules["R"].Invalid || !s.Cases[rbac.CaseKey{Rule: "R"}].State.Closed() {
		t.Fatalf("got %+v, %+v, want the case closed", s.Rules["R"], s.Cases)
	}
}

// A change that reaches a deputy by another role leaves alone what was delegated to them: whoever delegates is read too.
func TestADelegationIsSeenFromBothEnds(t *testing.T) {
	t.Parallel()
	w := newStored(t, database(t, storetest.SQLite))
	w.reset(t)
	ends := rbac.Window{To: 1000}
	for _, ops := range [][]rbac.Op{
		rbac.SmallPolicy(),
		{rbac.Assign{Assignment: rbac.Assignment{ID: "u1", Account: "a1", Role: "r0"}}, rbac.Assign{Assignment: rbac.Assignment{ID: "u2", Account: "a2", Role: "r1"}}},
		{rbac.Delegate{Delegation: rbac.Delegation{ID: "v", From: "a1", To: "a2", Roles: []rbac.RoleID{"r0"}, During: ends}}},
		{rbac.GrantPermission{Role: "r1", Permission: "app/x:3"}},
	} {
		if res, err := w.apply(rbac.Changeset{Ops: ops}); err != nil || res.Outcome != rbac.Applied {
			t.Fatalf("%+v: %v, %v", ops, res.Why, err)
		}
	}
	if s := w.state(t); len(s.Delegations) != 1 {
		t.Errorf("got %v, want the delegation as it was", s.Delegations)
	}
}

// A change of the structure that gives a limited role to a group counts those too who hold it otherwise.
func TestAGroupsRoleIsCountedWithWhoHoldsItAlready(t *testing.T) {
	t.Parallel()
	w := newStored(t, database(t, storetest.SQLite))
	w.reset(t)
	for _, ops := range [][]rbac.Op{
		rbac.SmallPolicy(),
		{rbac.EditRole{Role: rbac.Role{ID: "r0", Name: "r0", MaxAssignees: 1}}},
		{rbac.Assign{Assignment: rbac.Assignment{ID: "u1", Account: "a1", Role: "r0"}}, rbac.AddMember{Membership: rbac.Membership{Group: "g0", Account: "a2"}}},
	} {
		if res, err := w.apply(rbac.Changeset{Ops: ops}); err != nil || res.Outcome != rbac.Applied {
			t.Fatalf("%+v: %v, %v", ops, res.Why, err)
		}
	}
	res, err := w.apply(rbac.Changeset{Ops: []rbac.Op{rbac.AddGroupRole{Group: "g0", Role: "r0"}}})
	if err != nil || !errors.Is(res.Err(), rbac.ErrCardinalityMax) {
		t.Errorf("got %v, %v, want that the second holder is one too many", res.Why, err)
	}
}
