package store

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/countersign-id/countersign/audit"
)

// Log reads the audit log for audit.Verify, in a transaction for each read: a whole log takes longer than any one
// transaction may, and verifying needs no single snapshot, since a log only grows.
func (db *DB) Log() audit.Source { return logSource{db} }

type logSource struct{ db *DB }

// reading runs one read of the log.
func reading[T any](ctx context.Context, s logSource, read func(tx *Tx) (T, error)) (v T, err error) {
	err = s.db.View(ctx, func(tx *Tx) error {
		v, err = read(tx)
		return err
	})
	return v, err
}

func (s logSource) LogHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	return reading(ctx, s, func(tx *Tx) ([]tlog.Hash, error) { return tx.LogHashes(ctx, indexes) })
}

func (s logSource) LogExtent(ctx context.Context) (audit.Extent, error) {
	return reading(ctx, s, func(tx *Tx) (audit.Extent, error) { return tx.LogExtent(ctx) })
}

func (s logSource) LogEntries(ctx context.Context, from, to int64) ([]audit.Entry, error) {
	return reading(ctx, s, func(tx *Tx) ([]audit.Entry, error) { return tx.LogEntries(ctx, from, to) })
}

func (s logSource) LogHashRange(ctx context.Context, from, to int64) (map[int64]tlog.Hash, error) {
	return reading(ctx, s, func(tx *Tx) (map[int64]tlog.Hash, error) { return tx.LogHashRange(ctx, from, to) })
}

func (s logSource) LogCheckpoints(ctx context.Context, from, to int64) (map[int64][]byte, error) {
	return reading(ctx, s, func(tx *Tx) (map[int64][]byte, error) { return tx.LogCheckpoints(ctx, from, to) })
}

func (s logSource) LogPrunings(ctx context.Context) ([]audit.Event, error) {
	return reading(ctx, s, func(tx *Tx) ([]audit.Event, error) { return tx.LogPrunings(ctx) })
}
