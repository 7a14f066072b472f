package store

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/countersign-id/countersign/auth"
)

type holderRow struct {
	AccountID string `gorm:"primaryKey"`
	Handle    []byte
	Version   int64
	Grace     micros `gorm:"column:grace_at"`
	Asked     micros `gorm:"column:asked_at"`
}

func (holderRow) TableName() string { return "holders" }

func (r holderRow) holder() auth.Holder {
	return auth.Holder{Account: auth.AccountID(r.AccountID), Handle: r.Handle, Version: r.Version, GraceAt: r.Grace.time(), AskedAt: r.Asked.time()}
}

// Holder implements auth.FactorTx.
func (tx *Tx) Holder(ctx context.Context, id auth.AccountID) (auth.Holder, error) {
	r, err := take[holderRow](ctx, tx, "account_id = ?", string(id))
	if errors.Is(err, gorm.ErrRecordNotFound) || errors.Is(err, errText) {
		return auth.Holder{Account: id}, nil
	}
	return r.holder(), err
}

// HolderByHandle implements auth.FactorTx.
func (tx *Tx) HolderByHandle(ctx context.Context, handle []byte) (auth.Holder, error) {
	r, err := take[holderRow](ctx, tx, "handle = ?", blob(handle))
	return r.holder(), missing(err, auth.ErrNoFactor)
}

// PutHolder implements auth.FactorTx.
func (tx *Tx) PutHolder(ctx context.Context, h auth.Holder) error {
	_, err := tx.exec(ctx, `INSERT INTO holders (account_id, handle, version, grace_at, asked_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (account_id) DO UPDATE SET version = excluded.version, grace_at = excluded.grace_at, asked_at = excluded.asked_at`,
		string(h.Account), h.Handle, h.Version, stamp(h.GraceAt), stamp(h.AskedAt))
	if dangling(err) {
		return errAccountMissing.Because(err)
	}
	return err
}

type recoveryRow struct {
	AccountID string `gorm:"primaryKey"`
	Hash      []byte `gorm:"primaryKey"`
	Created   micros `gorm:"column:created_at"`
}

func (recoveryRow) TableName() string { return "recovery_codes" }

// RecoveryCodes implements auth.FactorTx.
func (tx *Tx) RecoveryCodes(ctx context.Context, id auth.AccountID) ([]auth.RecoveryCode, error) {
	rows, err := find[recoveryRow](tx.on(ctx).Where("account_id = ?", string(id)).Order("hash"))
	return mapped(rows, func(r recoveryRow) auth.RecoveryCode {
		return auth.RecoveryCode{Account: id, Hash: r.Hash, CreatedAt: r.Created.time()}
	}), err
}

// PutRecoveryCodes implements auth.FactorTx.
func (tx *Tx) PutRecoveryCodes(ctx context.Context, id auth.AccountID, codes []auth.RecoveryCode) error {
	if _, err := tx.exec(ctx, "DELETE FROM recovery_codes WHERE account_id = ?", string(id)); err != nil {
		return err
	}
	for _, c := range codes {
		if err := insert(ctx, tx, recoveryRow{string(id), c.Hash, stamp(c.CreatedAt)}); err != nil {
			return err
		}
	}
	return nil
}

// SpendRecoveryCode implements auth.FactorTx.
func (tx *Tx) SpendRecoveryCode(ctx context.Context, id auth.AccountID, hash []byte) (bool, error) {
	return tx.wrote(ctx, "DELETE FROM recovery_codes WHERE account_id = ? AND hash = ?", string(id), hash)
}

type trustRow struct {
	ID        string `gorm:"primaryKey"`
	AccountID string
	TokenHash []byte
	Created   micros `gorm:"column:created_at"`
	Seen      micros `gorm:"column:seen_at"`
	Ends      micros `gorm:"column:ends_at"`
	UserAgent string
	Source    string
}

func (trustRow) TableName() string { return "trusted_browsers" }

func (r trustRow) browser() auth.TrustedBrowser {
	return auth.TrustedBrowser{
		ID: auth.BrowserID(r.ID), Account: auth.AccountID(r.AccountID), TokenHash: r.TokenHash, CreatedAt: r.Created.time(), SeenAt: r.Seen.time(),
		Ends: r.Ends.time(), UserAgent: r.UserAgent, Source: r.Source,
	}
}

// TrustedBrowsers implements auth.FactorTx.
func (tx *Tx) TrustedBrowsers(ctx context.Context, id auth.AccountID) ([]auth.TrustedBrowser, error) {
	rows, err := find[trustRow](tx.on(ctx).Where("account_id = ? AND ends_at > ?", string(id), stamp(tx.now)).Order("created_at DESC, id DESC"))
	return mapped(rows, trustRow.browser), err
}

// TrustedBrowser implements auth.FactorTx. One whose time is over is not found.
func (tx *Tx) TrustedBrowser(ctx context.Context, id auth.BrowserID) (auth.TrustedBrowser, error) {
	r, err := take[trustRow](ctx, tx, "id = ? AND ends_at > ?", string(id), stamp(tx.now))
	return r.browser(), missing(err, auth.ErrNoFactor)
}

// AddTrustedBrowser implements auth.FactorTx.
func (tx *Tx) AddTrustedBrowser(ctx context.Context, b auth.TrustedBrowser) error {
	return insert(ctx, tx, trustRow{
		ID: string(b.ID), AccountID: string(b.Account), TokenHash: b.TokenHash, Created: stamp(b.CreatedAt), Seen: stamp(b.SeenAt), Ends: stamp(b.Ends),
		UserAgent: legible(b.UserAgent), Source: legible(b.Source),
	})
}

// RenewTrustedBrowser implements auth.FactorTx. Its end stays.
func (tx *Tx) RenewTrustedBrowser(ctx context.Context, b auth.TrustedBrowser, old []byte) (bool, error) {
	return tx.wrote(ctx, `UPDATE trusted_browsers SET token_hash = ?, seen_at = ?, user_agent = ?, source = ?
		WHERE id = ? AND account_id = ? AND token_hash = ? AND ends_at > ?`,
		b.TokenHash, stamp(b.SeenAt), legible(b.UserAgent), legible(b.Source), string(b.ID), string(b.Account), old, stamp(tx.now))
}

// DropTrustedBrowser implements auth.FactorTx.
func (tx *Tx) DropTrustedBrowser(ctx context.Context, owner auth.AccountID, id auth.BrowserID) (bool, error) {
	return tx.wrote(ctx, "DELETE FROM trusted_browsers WHERE id = ? AND account_id = ?", string(id), string(owner))
}

// DropTrustedBrowsers implements auth.FactorTx.
func (tx *Tx) DropTrustedBrowsers(ctx context.Context, id auth.AccountID) (int, error) {
	n, err := tx.exec(ctx, "DELETE FROM trusted_browsers WHERE account_id = ?", string(id))
	return int(n), err
}

type passRow struct {
	AccountID string `gorm:"primaryKey"`
	Hash      []byte
	MadeBy    string
	Created   micros `gorm:"column:created_at"`
	Ends      micros `gorm:"column:ends_at"`
}

func (passRow) TableName() string { return "passes" }

// PutPass implements auth.FactorTx.
func (tx *Tx) PutPass(ctx context.Context, p auth.Pass) error {
	_, err := tx.exec(ctx, `INSERT INTO passes (account_id, hash, made_by, created_at, ends_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (account_id) DO UPDATE SET hash = excluded.hash, made_by = excluded.made_by, created_at = excluded.created_at, ends_at = excluded.ends_at`,
		string(p.Account), p.Hash, p.By, stamp(p.CreatedAt), stamp(p.Ends))
	if dangling(err) {
		return errAccountMissing.Because(err)
	}
	return err
}

// SpendPass implements auth.FactorTx.
func (tx *Tx) SpendPass(ctx context.Context, id auth.AccountID, hash []byte) (bool, error) {
	return tx.wrote(ctx, "DELETE FROM passes WHERE account_id = ? AND hash = ? AND ends_at > ?", string(id), hash, stamp(tx.now))
}

// ceremonyRow is keyed by who began it, so an owner has one at a time, and flows bound how many there are.
type ceremonyRow struct {
	ID       string `gorm:"primaryKey"`
	Sealed   []byte
	SealedBy int64
	Ends     micros `gorm:"column:ends_at"`
}

func (ceremonyRow) TableName() string { return "ceremonies" }

var ceremonyColumn = sealedColumn{"ceremonies", "id"}

// PutCeremony implements auth.FactorTx.
func (tx *Tx) PutCeremony(ctx context.Context, c auth.Ceremony) error {
	sealed, by, err := tx.sealed(ctx, c.Body, ceremonyColumn.at(c.Owner))
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO ceremonies (id, sealed, sealed_by, ends_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed, sealed_by = excluded.sealed_by, ends_at = excluded.ends_at`,
		c.Owner, sealed, by, stamp(c.Ends))
	return err
}

// Ceremony implements auth.FactorTx.
func (tx *Tx) Ceremony(ctx context.Context, owner string) (auth.Ceremony, error) {
	r, err := take[ceremonyRow](ctx, tx, "id = ? AND ends_at > ?", owner, stamp(tx.now))
	if err != nil {
		return auth.Ceremony{}, missing(err, auth.ErrCeremony)
	}
	body, err := tx.unseal(ctx, r.Sealed, ceremonyColumn.at(r.ID))
	return auth.Ceremony{Owner: owner, Body: body, Ends: r.Ends.time()}, err
}

// TakeCeremony implements auth.FactorTx. What was read is what is removed: every sealing is different.
func (tx *Tx) TakeCeremony(ctx context.Context, owner string) (auth.Ceremony, bool, error) {
	r, err := take[ceremonyRow](ctx, tx, "id = ? AND ends_at > ?", owner, stamp(tx.now))
	if errors.Is(err, gorm.ErrRecordNotFound) || errors.Is(err, errText) {
		return auth.Ceremony{}, false, nil
	}
	if err != nil {
		return auth.Ceremony{}, false, err
	}
	ok, err := tx.wrote(ctx, "DELETE FROM ceremonies WHERE id = ? AND sealed = ?", r.ID, r.Sealed)
	if err != nil || !ok {
		return auth.Ceremony{}, false, err
	}
	body, err := tx.unseal(ctx, r.Sealed, ceremonyColumn.at(r.ID))
	return auth.Ceremony{Owner: owner, Body: body, Ends: r.Ends.time()}, true, err
}
