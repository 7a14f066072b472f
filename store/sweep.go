package store

import (
	"context"
	"fmt"
	"time"
)

// keepDead is how long a row is kept after it ceased to count, so that what comes back is known for what it is. It is longer than any
// access token lives.
const keepDead = 25 * time.Hour

// sweepBatch is how many rows of a table one transaction removes. SQLite's writers wait meanwhile, and so do rows' locks on PostgreSQL.
const sweepBatch = 500

// remains says which rows of a table are dead: those whose time lies longer ago than keep.
type remains struct {
	table, time string
	keep        time.Duration
}

var swept = []remains{
	{"flows", "ends_at", 0},
	{"limits", "ends_at", 0},
	{"assertions", "ends_at", time.Hour}, // clocks differ, and so may the replica's that checks the assertion's end
	{"denials", "ends_at", time.Hour},
	{"access_tokens", "ends_at", time.Hour},
	{"setup_tokens", "ends_at", keepDead},
	{"sessions", "ends_at", keepDead},
	{"ceremonies", "ends_at", 0},
	{"passes", "ends_at", 0},
	{"trusted_browsers", "ends_at", 0},
	{"grants", "sweep_at", 0},                  // what must be kept is in it
	{"outbox", "next_at", 30 * 24 * time.Hour}, // nobody wants a notice that is a month late
}

// Swept is what one Sweep did.
type Swept struct {
	Rows map[string]int // by table
	More bool           // a table had more than one batch
}

// Sweep removes a batch of dead rows from every table, each in a short transaction of its own. Call it again at once while there is more.
func (db *DB) Sweep(ctx context.Context) (Swept, error) {
	s := Swept{Rows: map[string]int{}}
	for _, r := range swept {
		var n int64
		err := db.Update(ctx, func(tx *Tx) (err error) {
			n, err = tx.sweep(ctx, r, sweepBatch)
			return err
		})
		if err != nil {
			return s, fmt.Errorf("sweep %s: %w", r.table, err)
		}
		if n > 0 {
			s.Rows[r.table] = int(n)
		}
		s.More = s.More || n >= sweepBatch
	}
	return s, nil
}

// sweep removes the oldest dead rows. On PostgreSQL rows that somebody holds are left for the next time, so that two replicas
// share the work and no one waits.
func (tx *Tx) sweep(ctx context.Context, r remains, max int) (int64, error) {
	oldest := "rowid IN (SELECT rowid FROM %[1]s WHERE %[2]s <= ? ORDER BY %[2]s LIMIT ?)"
	if tx.store.dialect == postgres {
		oldest = "ctid = ANY (ARRAY(SELECT ctid FROM %[1]s WHERE %[2]s <= ? ORDER BY %[2]s LIMIT ? FOR UPDATE SKIP LOCKED))"
	}
	return tx.exec(ctx, fmt.Sprintf("DELETE FROM %[1]s WHERE "+oldest, r.table, r.time), stamp(tx.now.Add(-r.keep)), max)
}
