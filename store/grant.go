package store

import (
	"context"
	"strings"
	"time"

	"github.com/countersign-id/countersign/auth"
)

type grantRow struct {
	ID          string `gorm:"primaryKey"`
	State       string
	ClientID    string
	AccountID   string
	SessionID   string
	CodeHash    []byte
	CodeEnds    micros
	RedirectURI string `gorm:"column:redirect_uri"`
	Challenge   string
	Nonce       string
	Requested   list
	Scopes      list
	Resources   list
	Claims      []byte
	AuthTime    micros
	ACR         string
	AMR         list
	Generation  int
	Claimed     int
	Rotated     micros `gorm:"column:rotated_at"`
	RefreshEnds micros
	IdleEnds    micros
	Created     micros `gorm:"column:created_at"`
	Redeemed    micros `gorm:"column:redeemed_at"`
	Ended       micros `gorm:"column:ended_at"`
	EndedWhy    string
	SweepAt     micros
}

func (grantRow) TableName() string { return "grants" }

func grantOf(g auth.Grant) grantRow {
	return grantRow{
		ID: string(g.ID), State: string(g.State), ClientID: string(g.Client), AccountID: string(g.Account), SessionID: string(g.Session),
		CodeHash: g.CodeHash, CodeEnds: stamp(g.CodeEnds), RedirectURI: g.RedirectURI, Challenge: g.Challenge, Nonce: g.Nonce,
		Requested: g.Requested, Scopes: g.Scopes, Resources: g.Resources, Claims: g.Claims,
		AuthTime: stamp(g.AuthTime), ACR: g.ACR, AMR: g.AMR,
		Generation: g.Generation, Claimed: g.Claimed, Rotated: stamp(g.RotatedAt), RefreshEnds: stamp(g.RefreshEnds), IdleEnds: stamp(g.IdleEnds),
		Created: stamp(g.CreatedAt), Redeemed: stamp(g.RedeemedAt), Ended: stamp(g.EndedAt), EndedWhy: g.EndedWhy,
		SweepAt: stamp(sweepAt(g)),
	}
}

func (r grantRow) grant() auth.Grant {
	return auth.Grant{
		ID: auth.GrantID(r.ID), State: auth.GrantState(r.State), Client: auth.ClientID(r.ClientID), Account: auth.AccountID(r.AccountID), Session: auth.SessionID(r.SessionID),
		CodeHash: r.CodeHash, CodeEnds: r.CodeEnds.time(), RedirectURI: r.RedirectURI, Challenge: r.Challenge, Nonce: r.Nonce,
		Requested: r.Requested, Scopes: r.Scopes, Resources: r.Resources, Claims: r.Claims,
		AuthTime: r.AuthTime.time(), ACR: r.ACR, AMR: r.AMR,
		Generation: r.Generation, Claimed: r.Claimed, RotatedAt: r.Rotated.time(), RefreshEnds: r.RefreshEnds.time(), IdleEnds: r.IdleEnds.time(),
		CreatedAt: r.Created.time(), RedeemedAt: r.Redeemed.time(), EndedAt: r.Ended.time(), EndedWhy: r.EndedWhy,
	}
}

// sweepAt is when nothing that came from a grant can live any more: the last of its code, its redemption and its refresh tokens,
// plus the longest life of an access token, rounded up to a day so that a refresh seldom changes it.
func sweepAt(g auth.Grant) time.Time {
	last := g.CreatedAt
	for _, t := range []time.Time{g.CodeEnds, g.RedeemedAt, earlier(g.RefreshEnds, g.IdleEnds)} {
		if t.After(last) {
			last = t
		}
	}
	const day = 24 * time.Hour
	return last.Add(keepDead).Truncate(day).Add(day)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// AddGrant implements auth.GrantTx.
func (tx *Tx) AddGrant(ctx context.Context, g auth.Grant) error {
	return insert(ctx, tx, grantOf(g))
}

// Grant implements auth.GrantTx.
func (tx *Tx) Grant(ctx context.Context, id auth.GrantID) (auth.Grant, error) {
	r, err := take[grantRow](ctx, tx, "id = ?", string(id))
	return r.grant(), missing(err, errGrantMissing)
}

// GrantByCode implements auth.GrantTx.
func (tx *Tx) GrantByCode(ctx context.Context, codeHash []byte) (auth.Grant, error) {
	r, err := take[grantRow](ctx, tx, "code_hash = ?", codeHash)
	return r.grant(), missing(err, errGrantMissing)
}

// RedeemGrant implements auth.GrantTx. Who it was granted to, and by which code, stays.
func (tx *Tx) RedeemGrant(ctx context.Context, g auth.Grant) (bool, error) {
	return overwrite(ctx, tx, grantOf(g), []string{"id", "client_id", "account_id", "session_id", "code_hash", "created_at"},
		"id = ? AND state = ?", string(g.ID), string(auth.GrantPending))
}

// RotateGrant implements auth.GrantTx.
func (tx *Tx) RotateGrant(ctx context.Context, g auth.Grant, from int) (bool, error) {
	r := grantOf(g)
	return tx.wrote(ctx, `UPDATE grants SET generation = ?, claimed = ?, rotated_at = ?, refresh_ends = ?, idle_ends = ?, sweep_at = ?
		WHERE id = ? AND state = ? AND generation = ?`,
		r.Generation, r.Claimed, r.Rotated, r.RefreshEnds, r.IdleEnds, r.SweepAt, r.ID, string(auth.GrantLive), from)
}

// EndGrant implements auth.GrantTx.
func (tx *Tx) EndGrant(ctx context.Context, id auth.GrantID, why string) (bool, error) {
	ended, err := tx.wrote(ctx, "UPDATE grants SET state = ?, ended_at = ?, ended_why = ? WHERE id = ? AND state <> ?",
		string(auth.GrantEnded), stamp(tx.now), why, string(id), string(auth.GrantEnded))
	if err != nil || !ended {
		return false, err
	}
	_, err = tx.exec(ctx, "DELETE FROM access_tokens WHERE grant_id = ?", string(id))
	return true, err
}

// EndGrants implements auth.GrantTx. A filter that would pick every grant picks none.
func (tx *Tx) EndGrants(ctx context.Context, f auth.GrantFilter, why string) ([]auth.GrantID, error) {
	var where []string
	args := []any{string(auth.GrantEnded), stamp(tx.now), why, string(auth.GrantEnded)}
	pick := func(condition, value string) {
		if value != "" {
			where, args = append(where, condition), append(args, value)
		}
	}
	pick("account_id = ?", string(f.Account))
	pick("client_id = ?", string(f.Client))
	pick("session_id = ?", string(f.Session))
	if len(where) == 0 {
		return nil, nil
	}
	if f.EndingWithSession {
		pick("client_id IN (SELECT id FROM clients WHERE refresh_ends_with = ?)", "session")
	}
	ids, err := tx.texts(ctx, "UPDATE grants SET state = ?, ended_at = ?, ended_why = ? WHERE state <> ? AND "+
		strings.Join(where, " AND ")+" RETURNING id", args...)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	for part := range chunks(ids, 500) {
		if _, err := tx.exec(ctx, "DELETE FROM access_tokens WHERE grant_id IN ?", part); err != nil {
			return nil, err
		}
	}
	return typed[auth.GrantID](ids), nil
}

// GrantsOf returns up to max grants of an account that have not ended, in the order of their identifiers above after.
func (tx *Tx) GrantsOf(ctx context.Context, id auth.AccountID, after auth.GrantID, max int) ([]auth.Grant, error) {
	rows, err := page[grantRow](ctx, tx, max, "account_id = ? AND state <> ? AND id > ?", string(id), string(auth.GrantEnded), string(after))
	return mapped(rows, grantRow.grant), err
}
