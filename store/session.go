package store

import (
	"context"
	"time"

	"github.com/countersign-id/countersign/auth"
)

type sessionRow struct {
	ID        string `gorm:"primaryKey"`
	AccountID string
	TokenHash []byte
	AuthTime  micros
	ACR       string
	AMR       list
	Created   micros `gorm:"column:created_at"`
	Seen      micros `gorm:"column:seen_at"`
	IdleEnds  micros
	Ends      micros `gorm:"column:ends_at"`
	Ended     micros `gorm:"column:ended_at"`
	UserAgent string
	Source    string
}

func (sessionRow) TableName() string { return "sessions" }

func sessionOf(s auth.Session) sessionRow {
	return sessionRow{
		ID: string(s.ID), AccountID: string(s.Account), TokenHash: s.TokenHash, AuthTime: stamp(s.AuthTime), ACR: s.ACR, AMR: s.AMR,
		Created: stamp(s.CreatedAt), Seen: stamp(s.SeenAt), IdleEnds: stamp(s.IdleEnds), Ends: stamp(s.Ends), Ended: stamp(s.EndedAt),
		UserAgent: legible(s.UserAgent), Source: legible(s.Source),
	}
}

func (r sessionRow) session() auth.Session {
	return auth.Session{
		ID: auth.SessionID(r.ID), Account: auth.AccountID(r.AccountID), TokenHash: r.TokenHash, AuthTime: r.AuthTime.time(), ACR: r.ACR, AMR: r.AMR,
		CreatedAt: r.Created.time(), SeenAt: r.Seen.time(), IdleEnds: r.IdleEnds.time(), Ends: r.Ends.time(), EndedAt: r.Ended.time(),
		UserAgent: r.UserAgent, Source: r.Source,
	}
}

// Session implements auth.SessionTx.
func (tx *Tx) Session(ctx context.Context, id auth.SessionID) (auth.Session, error) {
	r, err := take[sessionRow](ctx, tx, "id = ?", string(id))
	return r.session(), missing(err, errSessionMissing)
}

// SessionByToken implements auth.SessionTx.
func (tx *Tx) SessionByToken(ctx context.Context, hash []byte) (auth.Session, error) {
	r, err := take[sessionRow](ctx, tx, "token_hash = ?", hash)
	return r.session(), missing(err, errSessionMissing)
}

// SessionsOf implements auth.SessionTx.
func (tx *Tx) SessionsOf(ctx context.Context, id auth.AccountID) ([]auth.Session, error) {
	rows, err := find[sessionRow](tx.on(ctx).Where("account_id = ? AND ended_at IS NULL", string(id)).Order("created_at DESC, id DESC"))
	return mapped(rows, sessionRow.session), err
}

// AddSession implements auth.SessionTx.
func (tx *Tx) AddSession(ctx context.Context, s auth.Session) error {
	return insert(ctx, tx, sessionOf(s))
}

// RenewSession implements auth.SessionTx.
func (tx *Tx) RenewSession(ctx context.Context, s auth.Session, old []byte) (bool, error) {
	now := stamp(tx.now)
	return overwrite(ctx, tx, sessionOf(s), []string{"id", "account_id", "created_at", "ended_at"},
		"id = ? AND account_id = ? AND token_hash = ? AND ended_at IS NULL AND idle_ends > ? AND ends_at > ?", string(s.ID), string(s.Account), old, now, now)
}

// TouchSession implements auth.SessionTx. An ended session stays ended, and time does not go back where two requests touch at once.
func (tx *Tx) TouchSession(ctx context.Context, id auth.SessionID, seen, idleEnds time.Time) error {
	_, err := tx.exec(ctx, "UPDATE sessions SET seen_at = ?, idle_ends = ? WHERE id = ? AND ended_at IS NULL AND idle_ends > ? AND seen_at < ?",
		stamp(seen), stamp(idleEnds), string(id), stamp(tx.now), stamp(seen))
	return err
}

// EndSession implements auth.SessionTx.
func (tx *Tx) EndSession(ctx context.Context, id auth.SessionID) (bool, error) {
	return tx.wrote(ctx, "UPDATE sessions SET ended_at = ? WHERE id = ? AND ended_at IS NULL", stamp(tx.now), string(id))
}

// EndSessions implements auth.SessionTx.
func (tx *Tx) EndSessions(ctx context.Context, id auth.AccountID, except auth.SessionID) ([]auth.SessionID, error) {
	ids, err := tx.texts(ctx, "UPDATE sessions SET ended_at = ? WHERE account_id = ? AND id <> ? AND ended_at IS NULL RETURNING id",
		stamp(tx.now), string(id), string(except))
	return typed[auth.SessionID](ids), err
}
