package store

import (
	"context"
	"time"
)

type limitRow struct {
	ID    []byte `gorm:"primaryKey"`
	Span  int64  `gorm:"primaryKey;autoIncrement:false"`
	Ends  micros `gorm:"column:ends_at"`
	Tally int
}

func (limitRow) TableName() string { return "limits" }

// Attempt implements auth.LimitTx. A window begins with its first attempt and does not move. All of it is one statement: counting and
// asking apart would let a crowd through the gap between them.
func (tx *Tx) Attempt(ctx context.Context, key []byte, window time.Duration, limit int) (int, bool, error) {
	if limit <= 0 {
		return 0, false, nil
	}
	now := stamp(tx.now)
	// The key does not stand first: gorm spreads bytes that follow a parenthesis into one value each.
	tally, err := tx.ints(ctx, `INSERT INTO limits (span, id, ends_at, tally) VALUES (?, ?, ?, 1)
		ON CONFLICT (id, span) DO UPDATE SET
			tally = CASE WHEN limits.ends_at <= ? THEN 1 ELSE limits.tally + 1 END,
			ends_at = CASE WHEN limits.ends_at <= ? THEN excluded.ends_at ELSE limits.ends_at END
		WHERE limits.ends_at <= ? OR limits.tally < ?
		RETURNING tally`,
		window.Microseconds(), key, stamp(tx.now.Add(window)), now, now, now, limit)
	if err != nil {
		return 0, false, err
	}
	if len(tally) == 0 {
		return limit, false, nil
	}
	return int(tally[0]), true, nil
}

// Forgive implements auth.LimitTx.
func (tx *Tx) Forgive(ctx context.Context, key []byte) error {
	_, err := tx.exec(ctx, "DELETE FROM limits WHERE id = ?", key)
	return err
}
