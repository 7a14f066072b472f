package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/countersign-id/countersign/audit"
)

type hashRow struct {
	ID   int64 `gorm:"primaryKey;autoIncrement:false"`
	Hash []byte
}

func (hashRow) TableName() string { return "log_hashes" }

type checkpointRow struct {
	Size   int64 `gorm:"primaryKey;autoIncrement:false"`
	Signed []byte
}

func (checkpointRow) TableName() string { return "checkpoints" }

type leaseRow struct {
	Name   string `gorm:"primaryKey"`
	Holder string
	Ends   int64 `gorm:"column:ends_at"`
}

func (leaseRow) TableName() string { return "leases" }

// HoldLease implements audit.Tx.
func (tx *Tx) HoldLease(ctx context.Context, name, holder string, until time.Time) (bool, error) {
	return tx.wrote(ctx, `INSERT INTO leases (name, holder, ends_at) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at
		WHERE leases.holder = excluded.holder OR leases.ends_at <= ?`, name, holder, until.UnixMicro(), tx.now.UnixMicro())
}

// CheckLease implements audit.Tx.
func (tx *Tx) CheckLease(ctx context.Context, name, holder string) (bool, error) {
	names, err := tx.texts(ctx, "SELECT name FROM leases WHERE name = ? AND holder = ? AND ends_at > ?"+tx.store.dialect.lock(),
		name, holder, tx.now.UnixMicro())
	return len(names) > 0, err
}

// ReleaseLease gives a lease back before it expires, so that another process need not wait.
func (tx *Tx) ReleaseLease(ctx context.Context, name, holder string) error {
	_, err := tx.exec(ctx, "UPDATE leases SET ends_at = 0 WHERE name = ? AND holder = ?", name, holder)
	return err
}

// Unsequenced implements audit.Tx.
func (tx *Tx) Unsequenced(ctx context.Context, max int) ([]audit.Entry, error) {
	if err := tx.flush(ctx); err != nil {
		return nil, err
	}
	rows, err := page[eventRow](ctx, tx, max, "position IS NULL")
	return mapped(rows, eventRow.entry), err
}

// PlaceEntries implements audit.Tx.
func (tx *Tx) PlaceEntries(ctx context.Context, placed []audit.Entry) error {
	for part := range chunks(placed, 200) {
		// One statement for many rows; the casts tell PostgreSQL what a list of parameters holds.
		// The plus keeps SQLite from walking all that waits, once for every row that is placed.
		values, args := tx.store.dialect.values(part)
		n, err := tx.exec(ctx, `WITH placed (id, position, hash) AS (`+values+`)
			UPDATE events SET position = placed.position, hash = placed.hash
			FROM placed WHERE events.id = placed.id AND +events.position IS NULL`, args...)
		if err != nil {
			return err
		}
		if int(n) != len(part) {
			return fmt.Errorf("store: %d of %d events waited for a position", n, len(part))
		}
	}
	return nil
}

func (d dialect) values(placed []audit.Entry) (string, []any) {
	row := "(?, ?, ?)"
	if d == postgres {
		row = "(?::text, ?::bigint, ?::bytea)"
	}
	args := make([]any, 0, 3*len(placed))
	for _, e := range placed {
		args = append(args, e.ID, e.Position, e.Hash[:])
	}
	return "VALUES " + strings.TrimSuffix(strings.Repeat(row+", ", len(placed)), ", "), args
}

// LogHashes implements audit.Hashes.
func (tx *Tx) LogHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	found := make(map[int64]tlog.Hash, len(indexes))
	for part := range chunks(indexes, 500) {
		rows, err := find[hashRow](tx.on(ctx).Where("id IN ?", part))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			found[r.ID] = hashOf(r.Hash)
		}
	}
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, ok := found[index]
		if !ok {
			return nil, fmt.Errorf("store: the log has no hash at %d", index)
		}
		hashes[i] = h
	}
	return hashes, nil
}

// PutLogHashes implements audit.Tx.
func (tx *Tx) PutLogHashes(ctx context.Context, first int64, hashes []tlog.Hash) error {
	rows := make([]hashRow, len(hashes))
	for i, h := range hashes {
		rows[i] = hashRow{ID: first + int64(i), Hash: h[:]}
	}
	for part := range chunks(rows, 1000) {
		if err := tx.on(ctx).CreateInBatches(&part, len(part)).Error; err != nil {
			return err
		}
	}
	return nil
}

// NewestCheckpoint implements audit.Tx.
func (tx *Tx) NewestCheckpoint(ctx context.Context) ([]byte, error) {
	rows, err := find[checkpointRow](tx.on(ctx).Order("size DESC").Limit(1))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0].Signed, nil
}

// PutCheckpoint implements audit.Tx.
func (tx *Tx) PutCheckpoint(ctx context.Context, size int64, signed []byte) error {
	return insert(ctx, tx, checkpointRow{Size: size, Signed: signed})
}

// DropCheckpoint implements audit.Tx.
func (tx *Tx) DropCheckpoint(ctx context.Context, size int64) error {
	_, err := tx.exec(ctx, "DELETE FROM checkpoints WHERE size = ?", size)
	return err
}

// LogExtent implements audit.Source.
func (tx *Tx) LogExtent(ctx context.Context) (audit.Extent, error) {
	var x audit.Extent
	err := tx.on(ctx).Raw(`SELECT
		(SELECT count(*) FROM events WHERE position IS NOT NULL) AS entries,
		(SELECT coalesce(max(position) + 1, 0) FROM events) AS "end",
		(SELECT count(*) FROM events WHERE position IS NULL) AS unsequenced,
		(SELECT coalesce(max(size), 0) FROM checkpoints) AS signed,
		(SELECT signed FROM checkpoints ORDER BY size DESC LIMIT 1) AS head`).Scan(&x).Error
	return x, err
}

// LogEntries implements audit.Source.
func (tx *Tx) LogEntries(ctx context.Context, from, to int64) ([]audit.Entry, error) {
	rows, err := find[eventRow](tx.on(ctx).Where("position >= ? AND position < ?", from, to).Order("position, id").Limit(int(to - from + 1)))
	return mapped(rows, eventRow.entry), err
}

// LogHashRange implements audit.Source.
func (tx *Tx) LogHashRange(ctx context.Context, from, to int64) (map[int64]tlog.Hash, error) {
	rows, err := find[hashRow](tx.on(ctx).Where("id >= ? AND id < ?", from, to))
	found := make(map[int64]tlog.Hash, len(rows))
	for _, r := range rows {
		found[r.ID] = hashOf(r.Hash)
	}
	return found, err
}

// LogCheckpoints implements audit.Source.
func (tx *Tx) LogCheckpoints(ctx context.Context, from, to int64) (map[int64][]byte, error) {
	rows, err := find[checkpointRow](tx.on(ctx).Where("size > ? AND size <= ?", from, to))
	found := make(map[int64][]byte, len(rows))
	for _, r := range rows {
		found[r.Size] = r.Signed
	}
	return found, err
}

// LogPrunings implements audit.Source.
func (tx *Tx) LogPrunings(ctx context.Context) ([]audit.Event, error) {
	// The kind is spelled out because the index is a partial one: SQLite takes it only where it reads the same words.
	rows, err := find[eventRow](tx.on(ctx).Where("kind = 'audit.pruned'").Order("id"))
	return mapped(rows, func(r eventRow) audit.Event { return r.entry().Event }), err
}

// PruneEntries removes the bodies of the log's entries with from <= position < to; identifiers, positions and hashes stay. The caller records
// the signed pruning (audit.Pruning) in the same transaction. Prunings themselves are kept, because they excuse what is gone.
func (tx *Tx) PruneEntries(ctx context.Context, from, to int64) (int, error) {
	n, err := tx.exec(ctx, `UPDATE events SET at = 0, kind = '', outcome = '', code = '', actor = '', subject = '', client = '', session = '', grant_id = '',
		request = '', detail = 'null', tally = 0, personal = NULL, salt = NULL, commitment = NULL, pruned = 1
		WHERE position >= ? AND position < ? AND pruned = 0 AND kind <> ?`, from, to, string(audit.Pruned))
	return int(n), err
}

// ErasePersonal removes the personal data of a subject's events together with their salts. The log still verifies.
func (tx *Tx) ErasePersonal(ctx context.Context, subject string) (int, error) {
	n, err := tx.exec(ctx, "UPDATE events SET personal = NULL, salt = NULL WHERE subject = ? AND salt IS NOT NULL", subject)
	return int(n), err
}

// PositionBefore returns the lowest position whose entry is younger than t, which is where retention stops.
func (tx *Tx) PositionBefore(ctx context.Context, t time.Time) (int64, error) {
	p, err := tx.ints(ctx, `SELECT coalesce(
		(SELECT min(position) FROM events WHERE position IS NOT NULL AND pruned = 0 AND at >= ?),
		(SELECT coalesce(max(position) + 1, 0) FROM events))`, t.UnixMicro())
	if err != nil || len(p) == 0 {
		return 0, err
	}
	return p[0], nil
}
