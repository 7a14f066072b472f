package store

import (
	"context"

	"github.com/countersign-id/countersign/auth"
)

type passwordRow struct {
	AccountID string `gorm:"primaryKey"`
	Sealed    []byte
	SealedBy  int64
	Changed   micros `gorm:"column:changed_at"`
}

func (passwordRow) TableName() string { return "passwords" }

// Password implements auth.AccountTx.
func (tx *Tx) Password(ctx context.Context, id auth.AccountID) (auth.Password, error) {
	r, err := take[passwordRow](ctx, tx, "account_id = ?", string(id))
	if err != nil {
		return auth.Password{}, missing(err, errPasswordMissing)
	}
	hash, err := tx.unseal(ctx, r.Sealed, passwordColumn.at(r.AccountID))
	return auth.Password{Account: id, Hash: string(hash), ChangedAt: r.Changed.time()}, err
}

// PutPassword implements auth.AccountTx.
func (tx *Tx) PutPassword(ctx context.Context, p auth.Password) error {
	sealed, by, err := tx.sealed(ctx, []byte(p.Hash), passwordColumn.at(string(p.Account)))
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO passwords (account_id, sealed, sealed_by, changed_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (account_id) DO UPDATE SET sealed = excluded.sealed, sealed_by = excluded.sealed_by, changed_at = excluded.changed_at`,
		string(p.Account), sealed, by, stamp(p.ChangedAt))
	if dangling(err) {
		return errAccountMissing.Because(err)
	}
	return err
}

// ReplaceHash implements auth.AccountTx.
func (tx *Tx) ReplaceHash(ctx context.Context, id auth.AccountID, old, hash string) (bool, error) {
	r, err := take[passwordRow](ctx, tx, "account_id = ?", string(id))
	if err = missing(err, errPasswordMissing); err != nil {
		if err == error(errPasswordMissing) {
			return false, nil
		}
		return false, err
	}
	held, err := tx.unseal(ctx, r.Sealed, passwordColumn.at(r.AccountID))
	if err != nil || string(held) != old {
		return false, err
	}
	sealed, by, err := tx.sealed(ctx, []byte(hash), passwordColumn.at(r.AccountID))
	if err != nil {
		return false, err
	}
	// Every sealing is different, so the sealed bytes stand for the hash that was read.
	return tx.wrote(ctx, "UPDATE passwords SET sealed = ?, sealed_by = ? WHERE account_id = ? AND sealed = ?", sealed, by, r.AccountID, r.Sealed)
}
