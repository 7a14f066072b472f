package store

import (
	"context"
	"time"

	"github.com/countersign-id/countersign/auth"
)

type totpRow struct {
	AccountID string `gorm:"primaryKey"`
	Sealed    []byte
	SealedBy  int64
	Step      int64
	Failed    int
	FailedAt  micros
	Created   micros `gorm:"column:created_at"`
	Used      micros `gorm:"column:used_at"`
}

func (totpRow) TableName() string { return "totps" }

var totpColumn = sealedColumn{"totps", "account_id"}

// TOTP implements auth.FactorTx.
func (tx *Tx) TOTP(ctx context.Context, id auth.AccountID) (auth.TOTP, error) {
	r, err := take[totpRow](ctx, tx, "account_id = ?", string(id))
	if err != nil {
		return auth.TOTP{}, missing(err, auth.ErrNoFactor)
	}
	secret, err := tx.unseal(ctx, r.Sealed, totpColumn.at(r.AccountID))
	return auth.TOTP{
		Account: id, Secret: secret, Step: r.Step, Failed: r.Failed, FailedAt: r.FailedAt.time(), CreatedAt: r.Created.time(), UsedAt: r.Used.time(),
	}, err
}

// PutTOTP implements auth.FactorTx.
func (tx *Tx) PutTOTP(ctx context.Context, t auth.TOTP) error {
	sealed, by, err := tx.sealed(ctx, t.Secret, totpColumn.at(string(t.Account)))
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO totps (account_id, sealed, sealed_by, step, failed, failed_at, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account_id) DO UPDATE SET sealed = excluded.sealed, sealed_by = excluded.sealed_by, step = excluded.step, failed = excluded.failed,
			failed_at = excluded.failed_at, created_at = excluded.created_at, used_at = excluded.used_at`,
		string(t.Account), sealed, by, t.Step, t.Failed, stamp(t.FailedAt), stamp(t.CreatedAt), stamp(t.UsedAt))
	if dangling(err) {
		return errAccountMissing.Because(err)
	}
	return err
}

// GuessTOTP implements auth.FactorTx. All of it is one statement, so that a crowd does not get past the limit.
func (tx *Tx) GuessTOTP(ctx context.Context, id auth.AccountID, window time.Duration, limit int) (bool, error) {
	began := stamp(tx.now.Add(-window))
	return tx.wrote(ctx, `UPDATE totps SET
			failed = CASE WHEN failed_at IS NULL OR failed_at <= ? THEN 1 ELSE failed + 1 END,
			failed_at = CASE WHEN failed_at IS NULL OR failed_at <= ? THEN ? ELSE failed_at END
		WHERE account_id = ? AND (failed_at IS NULL OR failed_at <= ? OR failed < ?)`,
		began, began, stamp(tx.now), string(id), began, limit)
}

// SpendTOTP implements auth.FactorTx.
func (tx *Tx) SpendTOTP(ctx context.Context, id auth.AccountID, step int64) (bool, error) {
	return tx.wrote(ctx, `UPDATE totps SET step = ?, used_at = ?, failed = CASE WHEN failed > 0 THEN failed - 1 ELSE 0 END
		WHERE account_id = ? AND step < ?`, step, stamp(tx.now), string(id), step)
}

// ReopenTOTP implements auth.FactorTx.
func (tx *Tx) ReopenTOTP(ctx context.Context, id auth.AccountID) error {
	_, err := tx.exec(ctx, "UPDATE totps SET failed = 0, failed_at = NULL WHERE account_id = ?", string(id))
	return err
}

// DropTOTP implements auth.FactorTx.
func (tx *Tx) DropTOTP(ctx context.Context, id auth.AccountID) (bool, error) {
	return tx.wrote(ctx, "DELETE FROM totps WHERE account_id = ?", string(id))
}
