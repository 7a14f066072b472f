package store

import (
	"context"
	"time"

	"github.com/countersign-id/countersign/auth"
)

type outboxRow struct {
	ID        string `gorm:"primaryKey"`
	AccountID string
	Message   string
	Detail    doc[map[string]string]
	Created   micros `gorm:"column:created_at"`
	Next      micros `gorm:"column:next_at"`
	Tries     int
}

func (outboxRow) TableName() string { return "outbox" }

// Notify implements auth.AccountTx.
func (tx *Tx) Notify(ctx context.Context, m auth.Message) error {
	return insert(ctx, tx, outboxRow{
		ID: tx.NewID(), AccountID: string(m.Account), Message: m.Text, Detail: doc[map[string]string]{m.Detail},
		Created: stamp(tx.now), Next: stamp(tx.now),
	})
}

// Letter is a message in the outbox.
type Letter struct {
	ID string
	auth.Message
	WrittenAt time.Time
	Tries     int
}

// TakeLetters returns up to max letters that are due and puts their next try off until then, so that
// a worker that dies leaves them to another.
func (tx *Tx) TakeLetters(ctx context.Context, max int, then time.Time) ([]Letter, error) {
	skip := tx.store.dialect.lock()
	if skip != "" {
		skip += " SKIP LOCKED"
	}
	ids, err := tx.texts(ctx, "SELECT id FROM outbox WHERE next_at <= ? ORDER BY next_at, id LIMIT ?"+skip, stamp(tx.now), max)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	if _, err := tx.exec(ctx, "UPDATE outbox SET next_at = ?, tries = tries + 1 WHERE id IN ?", stamp(then), ids); err != nil {
		return nil, err
	}
	rows, err := page[outboxRow](ctx, tx, max, "id IN ?", ids)
	return mapped(rows, func(r outboxRow) Letter {
		m := auth.Message{Account: auth.AccountID(r.AccountID), Text: r.Message, Detail: r.Detail.v}
		return Letter{ID: r.ID, Message: m, WrittenAt: r.Created.time(), Tries: r.Tries}
	}), err
}

// DropLetter removes a letter: it was sent, or given up.
func (tx *Tx) DropLetter(ctx context.Context, id string) (bool, error) {
	return tx.wrote(ctx, "DELETE FROM outbox WHERE id = ?", id)
}
