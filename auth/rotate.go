package auth

import (
	"context"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
)

// ErrNoKey says that there is no such signing key, or none any more.
var ErrNoKey = fault.New(fault.NotFound, "no-such-key", "There is no such signing key.")

// AddKey keeps a new signing key, as the next one or as the active one of its algorithm.
func AddKey(ctx context.Context, tx Tx, by string, k Key) error {
	if err := tx.AddKey(ctx, k); err != nil {
		return err
	}
	if err := tx.Record(ctx, keyEvent(audit.KeyCreated, by, k)); err != nil {
		return err
	}
	if k.State != KeyActive {
		return nil
	}
	return tx.Record(ctx, keyEvent(audit.KeyActivated, by, k))
}

// MoveKey takes k to the state that is next in its life, at the transaction's instant, and returns it as it is then. It
// reports false, and changes nothing, if k had left its state already. Call it under LockKeys.
func (p KeyPolicy) MoveKey(ctx context.Context, tx Tx, by string, k Key, to KeyState) (Key, bool, error) {
	from, kind, now := k.State, audit.Kind(""), tx.Now()
	k.State = to
	switch to {
	case KeyActive:
		k.ActiveAt, k.RetireAt, kind = now, now.Add(p.Life), audit.KeyActivated
	case KeyRetiring:
		k.RetireAt, k.GoneAt, kind = now, now.Add(p.Overlap), audit.KeyRetired
	case KeyRetired:
		k.EndedAt = now // it stopped signing long ago and left the JWKS now; nothing changes for anybody who holds a token
	case KeyRevoked:
		k.EndedAt, k.GoneAt, kind = now, now, audit.KeyRevoked
	}
	ok, err := tx.UpdateKey(ctx, k, from)
	if err != nil || !ok || kind == "" {
		return k, ok, err
	}
	return k, true, tx.Record(ctx, keyEvent(kind, by, k))
}

func keyEvent(kind audit.Kind, by string, k Key) audit.Event {
	return audit.Event{
		Kind: kind, Outcome: audit.OK, Actor: by, Subject: "key:" + k.ID,
		Detail: map[string]string{"alg": k.Alg, "state": string(k.State), "active_at": k.ActiveAt.UTC().Format(time.RFC3339)},
	}
}
