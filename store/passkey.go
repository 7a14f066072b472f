package store

import (
	"bytes"
	"context"

	"github.com/countersign-id/countersign/auth"
)

// passkeyRow seals the credential's record: who writes to the database cannot put a public key of their own into it, nor give a
// passkey to another account, whose identifier is sealed with it.
type passkeyRow struct {
	ID         string `gorm:"primaryKey"`
	AccountID  string
	Credential []byte
	Name       string
	Model      string
	Synced     flag
	Signs      int64
	Sealed     []byte
	SealedBy   int64
	Created    micros `gorm:"column:created_at"`
	Used       micros `gorm:"column:used_at"`
	Suspect    micros `gorm:"column:suspect_at"`
}

func (passkeyRow) TableName() string { return "passkeys" }

var passkeyColumn = sealedColumn{"passkeys", "id"}

func passkeyRecord(owner string, record []byte) []byte {
	return append([]byte(owner+"\n"), record...)
}

func (tx *Tx) passkey(ctx context.Context, r passkeyRow) (auth.Passkey, error) {
	value, err := tx.unseal(ctx, r.Sealed, passkeyColumn.at(r.ID))
	if err != nil {
		return auth.Passkey{}, err
	}
	record, ok := bytes.CutPrefix(value, []byte(r.AccountID+"\n"))
	if !ok {
		return auth.Passkey{}, errSealBroken
	}
	return auth.Passkey{
		ID: auth.PasskeyID(r.ID), Account: auth.AccountID(r.AccountID), Credential: r.Credential, Name: r.Name, Model: r.Model, Synced: bool(r.Synced),
		Signs: r.Signs, Record: record, CreatedAt: r.Created.time(), UsedAt: r.Used.time(), SuspectAt: r.Suspect.time(),
	}, nil
}

// Passkeys implements auth.FactorTx.
func (tx *Tx) Passkeys(ctx context.Context, id auth.AccountID) ([]auth.Passkey, error) {
	rows, err := find[passkeyRow](tx.on(ctx).Where("account_id = ?", string(id)).Order("created_at, id"))
	if err != nil {
		return nil, err
	}
	var all []auth.Passkey
	for _, r := range rows {
		k, err := tx.passkey(ctx, r)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}

// AddPasskey implements auth.FactorTx.
func (tx *Tx) AddPasskey(ctx context.Context, k auth.Passkey) error {
	sealed, by, err := tx.sealed(ctx, passkeyRecord(string(k.Account), k.Record), passkeyColumn.at(string(k.ID)))
	if err != nil {
		return err
	}
	return taken(insert(ctx, tx, passkeyRow{
		ID: string(k.ID), AccountID: string(k.Account), Credential: k.Credential, Name: legible(k.Name), Model: k.Model, Synced: flag(k.Synced), Signs: k.Signs,
		Sealed: sealed, SealedBy: by, Created: stamp(k.CreatedAt), Used: stamp(k.UsedAt), Suspect: stamp(k.SuspectAt),
	}), auth.ErrPasskeyIn)
}

// RenamePasskey implements auth.FactorTx.
func (tx *Tx) RenamePasskey(ctx context.Context, owner auth.AccountID, id auth.PasskeyID, name string) (bool, error) {
	return tx.wrote(ctx, "UPDATE passkeys SET name = ? WHERE id = ? AND account_id = ?", name, string(id), string(owner))
}

// UsePasskey implements auth.FactorTx. Of two that use one passkey at once the later counter stays.
func (tx *Tx) UsePasskey(ctx context.Context, k auth.Passkey) (bool, error) {
	sealed, by, err := tx.sealed(ctx, passkeyRecord(string(k.Account), k.Record), passkeyColumn.at(string(k.ID)))
	if err != nil {
		return false, err
	}
	return tx.wrote(ctx, "UPDATE passkeys SET sealed = ?, sealed_by = ?, signs = ?, used_at = ? WHERE id = ? AND account_id = ? AND signs <= ?",
		sealed, by, k.Signs, stamp(tx.now), string(k.ID), string(k.Account), k.Signs)
}

// SuspectPasskey implements auth.FactorTx.
func (tx *Tx) SuspectPasskey(ctx context.Context, id auth.PasskeyID) error {
	_, err := tx.exec(ctx, "UPDATE passkeys SET suspect_at = ? WHERE id = ?", stamp(tx.now), string(id))
	return err
}

// DropPasskey implements auth.FactorTx.
func (tx *Tx) DropPasskey(ctx context.Context, owner auth.AccountID, id auth.PasskeyID) (bool, error) {
	return tx.wrote(ctx, "DELETE FROM passkeys WHERE id = ? AND account_id = ?", string(id), string(owner))
}
