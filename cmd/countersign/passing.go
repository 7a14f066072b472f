package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

// passBatch is how many people one transaction looks at again. On SQLite every other writer waits meanwhile.
const passBatch = 200

// passed follows time: who began or ceased to hold something, or to be excused, since the last time is looked at again.
func (w workers) passed(ctx context.Context) error {
	for {
		var p rbac.Passed
		if err := w.db.Update(ctx, func(tx *store.Tx) (err error) {
			p, err = rbac.Pass(ctx, tx, passBatch)
			return err
		}); err != nil {
			return err
		}
		if !p.More {
			return w.figures(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// whole looks at everybody once a day: what it finds new came past every other check.
func (w workers) whole(ctx context.Context) error {
	var round rbac.Whole
	var mine bool
	err := w.db.Update(ctx, func(tx *store.Tx) (err error) {
		round, mine, err = rbac.BeginWhole(ctx, tx)
		return err
	})
	if err != nil || !mine {
		return err
	}
	began, people := time.Now(), 0
	if err := lookAtAll(ctx, w.db, func(p rbac.Passed) { people += p.People }); err != nil {
		return err // the claim runs out, and another round begins
	}
	if err := w.db.Update(ctx, func(tx *store.Tx) error { return round.End(ctx, tx) }); err != nil {
		return err
	}
	w.log.InfoContext(ctx, "looked at everybody", "people", people, "took", time.Since(began))
	return w.figures(ctx)
}

// conflictFigures are what the metrics show of violations.
type conflictFigures struct{ open, alarms atomic.Int64 }

func (f *conflictFigures) watch(m *web.Metrics) {
	m.Gauge("countersign_violations_open", "Violations of separation of duty that stand, excused or not.", func() float64 { return float64(f.open.Load()) })
	m.Gauge("countersign_violations_alarm", "Violations of rules that block, without an exception and not there before the rule: must be 0.",
		func() float64 { return float64(f.alarms.Load()) })
}

// figures counts what stands, and raises the alarm when there is more of what must not be.
func (w workers) figures(ctx context.Context) error {
	now, err := conflictsNow(ctx, w.db)
	if err != nil {
		return err
	}
	w.conflicts.open.Store(int64(now.open))
	if before := w.conflicts.alarms.Swap(int64(now.alarms)); int64(now.alarms) > before {
		w.log.ErrorContext(ctx, "people hold what a blocking rule forbids, and nothing excuses it", "violations", now.alarms,
			"rule", string(now.first.Rule), "person", string(now.first.Subject), "see", "countersign violations list --uncovered")
	}
	return nil
}

// standingConflicts is how many violations there are, and how many of them must not be.
type standingConflicts struct {
	open, alarms int
	first        rbac.CaseKey // of those that must not be
}

// conflictsNow counts violations. Those that must not be are of rules that block, uncovered at this moment, and were not let stand when
// the rule began to block.
func conflictsNow(ctx context.Context, db *store.DB) (out standingConflicts, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		out = standingConflicts{}
		st, err := tx.Structure(ctx)
		if err != nil {
			return err
		}
		if out.open, err = tx.CountViolations(ctx); err != nil || out.open == 0 {
			return err
		}
		f := store.ConflictFilter{Rules: []rbac.RuleID{}}
		for id, r := range st.Rules {
			if r.Mode == rbac.Block {
				f.Rules = append(f.Rules, id)
			}
		}
		const page = 500
		for len(f.Rules) > 0 {
			list, err := tx.Violations(ctx, f, page)
			if err != nil {
				return err
			}
			if err := out.count(ctx, tx, list); err != nil {
				return err
			}
			if len(list) < page {
				return nil
			}
			f.After = rbac.CaseKey{Rule: list[page-1].Rule, Subject: list[page-1].Subject}
		}
		return nil
	})
	return out, err
}

func (s *standingConflicts) count(ctx context.Context, tx *store.Tx, list []rbac.Violation) error {
	now := rbac.At(tx.Now())
	for _, v := range list {
		if coveredAt(v.Uncovered, now) {
			continue
		}
		cases, err := tx.Cases(ctx, store.ConflictFilter{Rules: []rbac.RuleID{v.Rule}, Subject: v.Subject}, 1)
		if err != nil {
			return err
		}
		if len(cases) > 0 && cases[0].Origin == rbac.Grandfather {
			continue
		}
		if s.alarms == 0 {
			s.first = rbac.CaseKey{Rule: v.Rule, Subject: v.Subject}
		}
		s.alarms++
	}
	return nil
}
