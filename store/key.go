package store

import (
	"context"
	"time"

	"github.com/countersign-id/countersign/auth"
)

type keyRow struct {
	ID       string `gorm:"primaryKey"`
	Alg      string
	State    string
	Public   []byte
	Sealed   []byte
	SealedBy int64
	Created  micros `gorm:"column:created_at"`
	Active   micros `gorm:"column:active_at"`
	Retire   micros `gorm:"column:retire_at"`
	Gone     micros `gorm:"column:gone_at"`
	Ended    micros `gorm:"column:ended_at"`
}

func (keyRow) TableName() string { return "keys" }

// keepKeys is how long a retired key is still read: an application may come back with an id_token_hint that old.
const keepKeys = 400 * 24 * time.Hour

// Keys implements auth.KeyTx.
func (tx *Tx) Keys(ctx context.Context) ([]auth.Key, error) {
	rows, err := find[keyRow](tx.on(ctx).Where("ended_at IS NULL OR ended_at > ?", stamp(tx.now.Add(-keepKeys))).Order("created_at, id"))
	if err != nil {
		return nil, err
	}
	keys := make([]auth.Key, len(rows))
	for i, r := range rows {
		private, err := tx.unseal(ctx, r.Sealed, keyColumn.at(r.ID))
		if err != nil {
			return nil, err
		}
		keys[i] = auth.Key{
			ID: r.ID, Alg: r.Alg, State: auth.KeyState(r.State), Public: r.Public, Private: private,
			CreatedAt: r.Created.time(), ActiveAt: r.Active.time(), RetireAt: r.Retire.time(), GoneAt: r.Gone.time(), EndedAt: r.Ended.time(),
		}
	}
	return keys, nil
}

// AddKey implements auth.KeyTx. Rows of keys are never deleted, which is how a kid is never used twice.
func (tx *Tx) AddKey(ctx context.Context, k auth.Key) error {
	sealed, by, err := tx.sealed(ctx, k.Private, keyColumn.at(k.ID))
	if err != nil {
		return err
	}
	return taken(insert(ctx, tx, keyRow{
		ID: k.ID, Alg: k.Alg, State: string(k.State), Public: k.Public, Sealed: sealed, SealedBy: by,
		Created: stamp(k.CreatedAt), Active: stamp(k.ActiveAt), Retire: stamp(k.RetireAt), Gone: stamp(k.GoneAt), Ended: stamp(k.EndedAt),
	}), errKeyExists)
}

// UpdateKey implements auth.KeyTx.
func (tx *Tx) UpdateKey(ctx context.Context, k auth.Key, from auth.KeyState) (bool, error) {
	return tx.wrote(ctx, "UPDATE keys SET state = ?, active_at = ?, retire_at = ?, gone_at = ?, ended_at = ? WHERE id = ? AND state = ?",
		string(k.State), stamp(k.ActiveAt), stamp(k.RetireAt), stamp(k.GoneAt), stamp(k.EndedAt), k.ID, string(from))
}

// LockKeys implements auth.KeyTx.
func (tx *Tx) LockKeys(ctx context.Context) error {
	if tx.store.dialect == sqlite {
		return nil
	}
	_, err := tx.texts(ctx, "SELECT name FROM leases WHERE name = 'keys'"+tx.store.dialect.lock())
	return err
}
