package rbac_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// The shape of rbac.md 8.1, made: 100,000 people with three roles each, 4,456 roles, 13,790 permissions, 1,000 duties, 500 rules.
const (
	manyPeople    = 100_000
	manyTechnical = 2_456
	manyBusiness  = 2_000
	manyPerms     = 13_790
	manyRules     = 500
)

func manyPolicy(rnd *rand.Rand) rbac.Policy {
	p := rbac.NewPolicy()
	perm := func() rbac.Permission { return rbac.Permission(fmt.Sprintf("made/thing%d:do", rnd.IntN(manyPerms))) }
	for i := range manyPerms {
		id := rbac.Permission(fmt.Sprintf("made/thing%d:do", i))
		p.Permissions[id] = rbac.PermissionDef{ID: id}
	}
	for i := range manyTechnical {
		r := rbac.Role{ID: rbac.RoleID(fmt.Sprint("t", i)), Name: fmt.Sprint("technical ", i)}
		for range 1 + int(rnd.ExpFloat64()*15) {
			r.Permissions = append(r.Permissions, perm())
		}
		p.Roles[r.ID] = r
	}
	for i := range manyBusiness {
		r := rbac.Role{ID: rbac.RoleID(fmt.Sprint("b", i)), Name: fmt.Sprint("business ", i)}
		for range 1 + rnd.IntN(4) {
			r.Juniors = append(r.Juniors, rbac.Junior{Role: rbac.RoleID(fmt.Sprint("t", rnd.IntN(manyTechnical)))})
		}
		p.Roles[r.ID] = r
	}
	for i := range manyRules {
		rule := rbac.Rule{ID: rbac.RuleID(fmt.Sprint("R", i)), Kind: rbac.Static, Level: rbac.High, Mode: rbac.Block, K: 2, Version: 1}
		for side := range 2 {
			d := rbac.Duty{ID: rbac.DutyID(fmt.Sprint("D", 2*i+side)), Name: "duty", Expr: rbac.AnyOf(perm().Atom(), perm().Atom(), perm().Atom())}
			p.Duties[d.ID] = d
			rule.Duties = append(rule.Duties, d.ID)
		}
		p.Rules[rule.ID] = rule
	}
	return p
}

// many fills a database with the shape: people by its own statements, the policy by Store.
func many(b *testing.B, cfg store.Config) *store.DB {
	b.Helper()
	db, err := store.Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	p := manyPolicy(rand.New(rand.NewPCG(1, 2)))
	st, err := rbac.NewStructure(p, 2)
	if err != nil {
		b.Fatal(err)
	}
	for id, r := range p.Roles { // by chance some break a rule by themselves; such a role is not for assigning
		if r.Unassignable = st.SelfConflict(id) != ""; r.Unassignable {
			p.Roles[id] = r
		}
	}
	if st, err = rbac.NewStructure(p, 2); err != nil {
		b.Fatal(err)
	}
	if err := db.Update(b.Context(), func(tx *store.Tx) error { return tx.Store(b.Context(), st, storetest.Writes(p)) }); err != nil {
		b.Fatal(err)
	}
	raw := rawOf(b, cfg)
	series := "generate_series(CAST(0 AS BIGINT), %d) AS n(i)"
	if strings.HasPrefix(cfg.Database, "sqlite:") {
		series = "(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i FROM n) AS n"
	}
	people := fmt.Sprintf(series, manyPeople-1)
	for _, q := range []string{
		"INSERT INTO subjects (id, name, created_at, kind) SELECT 'p' || i, 'p', 1, '' FROM " + people,
		"INSERT INTO accounts (id, person_id, username, state, profile, created_at, updated_at, version) SELECT 'a' || i, 'p' || i, 'a' || i, 'active', '{}', 1, 1, 1 FROM " + people,
		fmt.Sprintf("INSERT INTO assignments (id, account_id, role_id, context, from_at, to_at, eligible, source, exception_id, why) "+
			"SELECT 'x' || i || '/' || k.k, 'a' || i, CASE WHEN k.k = 0 THEN 'b' || (i * 7919 %% %d) ELSE 't' || ((i * 104729 + k.k * 31) %% %d) END, '', 1, %d, 0, '', '', '' "+
			"FROM %s CROSS JOIN (SELECT 0 AS k UNION SELECT 1 UNION SELECT 2) AS k", manyBusiness, manyTechnical, int64(rbac.Forever), people),
	} {
		if _, err := raw.Exec(q); err != nil {
			b.Fatal(err)
		}
	}
	if !strings.HasPrefix(cfg.Database, "sqlite:") {
		if _, err := raw.Exec("ANALYZE"); err != nil {
			b.Fatal(err)
		}
	}
	return db
}

// processor is the processor time this process has used.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStoredAssign is one assignment, from the lock to the commit, and BenchmarkStoredGrant a permission added to a role that
// people hold, which takes the policy's lock. The aim of the first is 5 ms on PostgreSQL.
func BenchmarkStoredAssign(b *testing.B) {
	storedChange(b, func(tx *store.Tx, i int) rbac.Op {
		return rbac.Assign{Assignment: rbac.Assignment{
			ID: rbac.AssignmentID(tx.NewID()), Account: rbac.AccountID(fmt.Sprint("a", i*7717%manyPeople)), Role: rbac.RoleID(fmt.Sprint("b", i%manyBusiness)),
			During: rbac.Window{From: rbac.At(tx.Now()), To: rbac.At(tx.Now().Add(time.Hour))},
		}}
	})
}

func BenchmarkStoredGrant(b *testing.B) {
	storedChange(b, func(_ *store.Tx, i int) rbac.Op {
		return rbac.GrantPermission{Role: rbac.RoleID(fmt.Sprint("b", i%manyBusiness)), Permission: rbac.Permission(fmt.Sprintf("made/thing%d:do", i))}
	})
}

func storedChange(b *testing.B, op func(tx *store.Tx, i int) rbac.Op) {
	for _, on := range []struct {
		name string
		cfg  func(testing.TB) store.Config
	}{{"sqlite", storetest.SQLite}, {"postgres", storetest.Postgres}} {
		b.Run(on.name, func(b *testing.B) {
			db, ctx := many(b, on.cfg(b)), context.Background()
			i, applied := 0, 0
			statements, began := db.Statements(), processor()
			for b.Loop() {
				i++
				err := db.Update(ctx, func(tx *store.Tx) error {
					res, err := rbac.Apply(ctx, tx, rbac.By{Actor: "local:bench"}, rbac.Changeset{Ops: []rbac.Op{op(tx, i)}})
					if res.Outcome == rbac.Applied {
						applied++
					}
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(processor()-began)/float64(i), "cpu-ns/op")
			b.ReportMetric(float64(db.Statements()-statements)/float64(i), "statements/op")
			b.ReportMetric(float64(applied)/float64(i), "applied")
		})
	}
}
