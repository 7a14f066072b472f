package store

import (
	"context"

	"github.com/countersign-id/countersign/auth"
)

type setupRow struct {
	Hash    []byte `gorm:"primaryKey"`
	Purpose string
	Created micros `gorm:"column:created_at"`
	Ends    micros `gorm:"column:ends_at"`
}

func (setupRow) TableName() string { return "setup_tokens" }

// PutSetup implements auth.AccountTx.
func (tx *Tx) PutSetup(ctx context.Context, t auth.SetupToken) error {
	_, err := tx.exec(ctx, `INSERT INTO setup_tokens (purpose, hash, created_at, ends_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (purpose) DO UPDATE SET hash = excluded.hash, created_at = excluded.created_at, ends_at = excluded.ends_at`,
		t.Purpose, t.Hash, stamp(t.CreatedAt), stamp(t.Ends))
	return err
}

// Setup finds an unspent, unexpired set-up token without spending it; NotFound if there is none.
func (tx *Tx) Setup(ctx context.Context, purpose string, hash []byte) (auth.SetupToken, error) {
	r, err := take[setupRow](ctx, tx, "hash = ? AND purpose = ? AND ends_at > ?", hash, purpose, stamp(tx.now))
	return auth.SetupToken{Hash: r.Hash, Purpose: r.Purpose, CreatedAt: r.Created.time(), Ends: r.Ends.time()}, missing(err, errSetupMissing)
}

// SpendSetup implements auth.AccountTx.
func (tx *Tx) SpendSetup(ctx context.Context, purpose string, hash []byte) (bool, error) {
	return tx.wrote(ctx, "DELETE FROM setup_tokens WHERE hash = ? AND purpose = ? AND ends_at > ?", hash, purpose, stamp(tx.now))
}
