package rbac_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

// still is the world at rest: what a race begins with.
type still struct {
	st   *rbac.Structure
	rows []any
}

func (s *stage) still(t testing.TB) (out still) {
	t.Helper()
	err := s.db.View(context.Background(), func(tx *store.Tx) (err error) {
		if out.st, err = tx.Structure(context.Background()); err == nil {
			out.rows, err = tx.People(context.Background(), rbac.SmallSubjects())
		}
		return err
	})
	if err != nil {
		t.Fatalf("read it back: %v", err)
	}
	return out
}

// state is a copy of it that may be changed.
func (b still) state() *rbac.State { return rbac.OwnCopy(b.st.State(b.rows...)) }

// serial holds what came of a race against the engine alone: verdicts, rows and events must be those of the same changes made one
// after the other, in one order or another. It returns that order.
func (s *stage) serial(t testing.TB, before still, players []*player) []int {
	t.Helper()
	order, why := s.ordered(t, before, players)
	if order == nil {
		t.Errorf("no order one after the other comes to %s%s", verdicts(players), why)
	}
	return order
}

// ordered returns the order that what came of a race is as if of, or why there is none. What came of it is then s.after.
func (s *stage) ordered(t testing.TB, before still, players []*player) (order []int, why string) {
	t.Helper()
	now := rbac.Instant(s.clock.Load())
	s.after = s.still(t)
	got, told := rbac.Everything(s.after.state()), s.events(t)
	for _, order := range orders(len(players)) {
		alone, events, fits := before.state(), map[string]int{}, true
		for _, i := range order {
			p, epoch := players[i], alone.Epoch
			res, err := alone.Apply(rbac.By{Actor: p.actor}, p.Changeset, now)
			if err != nil {
				t.Fatal(err)
			}
			if fits = codeOf(res) == p.code(); !fits {
				break
			}
			rbac.CountEvents(events, alone, p.actor, epoch, res)
		}
		if !fits {
			continue
		}
		switch want := rbac.Everything(alone); {
		case !cmp.Equal(want, got, cmpopts.EquateEmpty()):
			why = fmt.Sprintf("\nThe verdicts are those of the order %v, but the rows differ (-engine +stored):\n%s", order, cmp.Diff(want, got, cmpopts.EquateEmpty()))
		case !cmp.Equal(events, told):
			why = fmt.Sprintf("\nThe rows are those of the order %v, but the events differ (-engine +stored):\n%s", order, cmp.Diff(events, told))
		default:
			return order, ""
		}
	}
	return nil, why
}

// events counts what was recorded since it was last asked, by actor and kind.
func (s *stage) events(t testing.TB) map[string]int {
	t.Helper()
	rows, err := s.raw.Query("SELECT actor, kind, count(*) FROM events WHERE actor LIKE 'local:hand%' GROUP BY actor, kind")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]int{}
	for rows.Next() {
		var actor, kind string
		var n int
		if err := rows.Scan(&actor, &kind, &n); err != nil {
			t.Fatal(err)
		}
		out[actor+" "+kind] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	rows.Close()
	s.exec(t, "DELETE FROM events")
	return out
}

func verdicts(players []*player) string {
	var out []string
	for _, p := range players {
		out = append(out, fmt.Sprintf("%q of %+v", p.code(), p.Ops))
	}
	return strings.Join(out, "; ")
}

// orders returns every order of the numbers below n.
func orders(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var out [][]int
	for _, o := range orders(n - 1) {
		for at := n - 1; at >= 0; at-- {
			next := append(append(append([]int{}, o[:at]...), n-1), o[at:]...)
			out = append(out, next)
		}
	}
	return out
}
