package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth/oidc"
	"github.com/countersign-id/countersign/store"
)

// workers is what a server does besides answering. Each of them may run on every replica: leases and conditional writes
// see to it that one does the work.
type workers struct {
	db       *store.DB
	log      *slog.Logger
	ring     *oidc.Keyring
	logbook  audit.Keys
	refusals *audit.Coalescer
	holder   string // this process, in leases

	conflicts *conflictFigures
}

func (w workers) all() []func(context.Context) {
	return []func(context.Context){
		w.ring.Follow,
		w.every(500*time.Millisecond, "sequence events", w.sequence),
		w.every(time.Minute, "turn signing keys", w.ring.Turn),
		w.every(time.Minute, "write refusals", w.refused),
		w.every(time.Minute, "log the checkpoint", w.checkpoint),
		w.every(time.Minute, "sweep", w.sweep),
		w.every(time.Minute, "follow time", w.passed),
		w.every(time.Minute, "look at everybody", w.whole),
	}
}

// last is what is done once more before the process ends.
func (w workers) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, do := range []func(context.Context) error{w.refused, w.sequence} {
		if err := do(ctx); err != nil {
			w.log.ErrorContext(ctx, "work at the end", "err", err)
		}
	}
}

// every runs do at an interval until ctx ends. A failure is logged when it begins, not each time.
func (w workers) every(interval time.Duration, what string, do func(context.Context) error) func(context.Context) {
	return func(ctx context.Context) {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		failing := false
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			err := do(ctx)
			if err != nil && !failing && ctx.Err() == nil {
				w.log.ErrorContext(ctx, "worker", "work", what, "err", err)
			}
			failing = err != nil
		}
	}
}

// sequence puts waiting events into the audit log, unless another replica leads.
func (w workers) sequence(ctx context.Context) error {
	if err := sequence(ctx, w.db, w.logbook, w.holder); !errors.Is(err, audit.ErrLeaseLost) {
		return err
	}
	return nil
}

// refused writes the refusals that were counted together. What cannot be written is kept for the next time.
func (w workers) refused(ctx context.Context) error {
	events := w.refusals.Drain(time.Now())
	if len(events) == 0 {
		return nil
	}
	err := w.db.Update(ctx, func(tx *store.Tx) error {
		for _, e := range events {
			if err := tx.Record(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for _, e := range events {
			w.refusals.Add(e)
		}
	}
	return err
}

// checkpoint writes the newest signed checkpoint to the log, from where it gets to places that a thief of the database
// does not reach.
func (w workers) checkpoint(ctx context.Context) error {
	var signed []byte
	if err := w.db.View(ctx, func(tx *store.Tx) (err error) {
		signed, err = tx.NewestCheckpoint(ctx)
		return err
	}); err != nil {
		return err
	}
	if signed != nil {
		w.log.InfoContext(ctx, "checkpoint", "signed", string(signed))
	}
	return nil
}

// sweep removes what expired, a bounded batch at a time, until nothing is left.
func (w workers) sweep(ctx context.Context) error {
	for {
		swept, err := w.db.Sweep(ctx)
		if err != nil || !swept.More {
			return err
		}
		select { // leave the writer to others in between
		case <-ctx.Done():
			return nil
		case <-time.After(20 * time.Millisecond):
		}
	}
}
