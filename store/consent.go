package store

import (
	"context"

	"github.com/countersign-id/countersign/auth"
)

type consentRow struct {
	AccountID string `gorm:"primaryKey"`
	ClientID  string `gorm:"primaryKey"`
	Scopes    list
	Declined  list
	Given     micros `gorm:"column:given_at"`
	Updated   micros `gorm:"column:updated_at"`
}

func (consentRow) TableName() string { return "consents" }

func (r consentRow) consent() auth.Consent {
	return auth.Consent{
		Account: auth.AccountID(r.AccountID), Client: auth.ClientID(r.ClientID), Scopes: r.Scopes, Declined: r.Declined,
		GivenAt: r.Given.time(), UpdatedAt: r.Updated.time(),
	}
}

// Consent implements auth.ClientTx.
func (tx *Tx) Consent(ctx context.Context, a auth.AccountID, c auth.ClientID) (auth.Consent, error) {
	r, err := take[consentRow](ctx, tx, "account_id = ? AND client_id = ?", string(a), string(c))
	return r.consent(), missing(err, errConsentMissing)
}

// ConsentsOf implements auth.ClientTx.
func (tx *Tx) ConsentsOf(ctx context.Context, a auth.AccountID) ([]auth.Consent, error) {
	rows, err := find[consentRow](tx.on(ctx).Where("account_id = ?", string(a)).Order("client_id"))
	return mapped(rows, consentRow.consent), err
}

// PutConsent implements auth.ClientTx. A consent that is renewed keeps the time it was first given.
func (tx *Tx) PutConsent(ctx context.Context, c auth.Consent) error {
	_, err := tx.exec(ctx, `INSERT INTO consents (account_id, client_id, scopes, declined, given_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (account_id, client_id) DO UPDATE SET scopes = excluded.scopes, declined = excluded.declined, updated_at = excluded.updated_at`,
		string(c.Account), string(c.Client), list(c.Scopes), list(c.Declined), stamp(c.GivenAt), stamp(c.UpdatedAt))
	return err
}

// DropConsent implements auth.ClientTx.
func (tx *Tx) DropConsent(ctx context.Context, a auth.AccountID, c auth.ClientID) (bool, error) {
	return tx.wrote(ctx, "DELETE FROM consents WHERE account_id = ? AND client_id = ?", string(a), string(c))
}
