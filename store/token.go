package store

import (
	"context"
	"time"

	"github.com/countersign-id/countersign/auth"
)

type tokenRow struct {
	Hash      []byte `gorm:"primaryKey"`
	ID        string
	GrantID   string
	ClientID  string
	AccountID string
	SessionID string
	Scopes    list
	Audience  list
	AuthTime  micros
	ACR       string
	AMR       list
	Issued    micros `gorm:"column:issued_at"`
	Ends      micros `gorm:"column:ends_at"`
}

func (tokenRow) TableName() string { return "access_tokens" }

func (r tokenRow) token() auth.AccessToken {
	return auth.AccessToken{
		ID: r.ID, Grant: auth.GrantID(r.GrantID), Client: auth.ClientID(r.ClientID), Account: auth.AccountID(r.AccountID), Session: auth.SessionID(r.SessionID),
		Scopes: r.Scopes, Audience: r.Audience, AuthTime: r.AuthTime.time(), ACR: r.ACR, AMR: r.AMR,
		IssuedAt: r.Issued.time(), Ends: r.Ends.time(),
	}
}

// AddAccessToken implements auth.GrantTx.
func (tx *Tx) AddAccessToken(ctx context.Context, hash []byte, t auth.AccessToken) error {
	return insert(ctx, tx, tokenRow{
		Hash: hash, ID: t.ID, GrantID: string(t.Grant), ClientID: string(t.Client), AccountID: string(t.Account), SessionID: string(t.Session),
		Scopes: t.Scopes, Audience: t.Audience, AuthTime: stamp(t.AuthTime), ACR: t.ACR, AMR: t.AMR,
		Issued: stamp(t.IssuedAt), Ends: stamp(t.Ends),
	})
}

// AccessToken implements auth.GrantTx.
func (tx *Tx) AccessToken(ctx context.Context, hash []byte) (auth.AccessToken, error) {
	r, err := take[tokenRow](ctx, tx, "hash = ?", hash)
	return r.token(), missing(err, errTokenMissing)
}

// DropAccessToken implements auth.GrantTx.
func (tx *Tx) DropAccessToken(ctx context.Context, hash []byte) (bool, error) {
	return tx.wrote(ctx, "DELETE FROM access_tokens WHERE hash = ?", hash)
}

// Deny implements auth.GrantTx. Denying again never shortens a denial.
func (tx *Tx) Deny(ctx context.Context, jti string, until time.Time) error {
	_, err := tx.exec(ctx, `INSERT INTO denials (jti, ends_at) VALUES (?, ?)
		ON CONFLICT (jti) DO UPDATE SET ends_at = excluded.ends_at WHERE denials.ends_at < excluded.ends_at`, jti, stamp(until))
	return err
}

// Denied implements auth.GrantTx.
func (tx *Tx) Denied(ctx context.Context, jti string) (bool, error) {
	n, err := tx.number(ctx, "SELECT count(*) FROM denials WHERE jti = ?", jti)
	return n > 0, err
}
