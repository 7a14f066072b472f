package store

import (
	"context"
	"strings"
	"sync"

	"gorm.io/gorm/schema"

	"github.com/countersign-id/countersign/auth"
)

// groundRow is a grant joined with all it stands on. What is missing is null, and so zero.
type groundRow struct {
	Grant   grantRow   `gorm:"embedded;embeddedPrefix:g_"`
	Client  clientRow  `gorm:"embedded;embeddedPrefix:c_"`
	Account accountRow `gorm:"embedded;embeddedPrefix:a_"`
	Consent consentRow `gorm:"embedded;embeddedPrefix:k_"`
	Session sessionRow `gorm:"embedded;embeddedPrefix:s_"`
	Denied  int64
}

// groundColumns returns the columns of the join, each under its row's prefix.
func groundColumns() (string, error) {
	s, err := schema.Parse(groundRow{}, &sync.Map{}, schema.NamingStrategy{})
	if err != nil {
		return "", err
	}
	var columns []string
	for _, f := range s.Fields {
		if table, column, ok := strings.Cut(f.DBName, "_"); ok {
			columns = append(columns, table+"."+column+" AS "+f.DBName)
		}
	}
	return strings.Join(columns, ", "), nil
}

// Ground implements auth.GrantTx.
func (tx *Tx) Ground(ctx context.Context, id auth.GrantID, jti string) (auth.Ground, error) {
	return tx.join(ctx, "g.id = ?", string(id), jti)
}

// GroundByCode implements auth.GrantTx.
func (tx *Tx) GroundByCode(ctx context.Context, codeHash []byte) (auth.Ground, error) {
	return tx.join(ctx, "g.code_hash = ?", codeHash, "")
}

// join reads the ground in one statement, which costs a third of what five small ones do.
func (tx *Tx) join(ctx context.Context, where string, what any, jti string) (auth.Ground, error) {
	var r groundRow
	res := tx.db.WithContext(ctx).Raw("SELECT "+tx.store.ground+`, (SELECT count(*) FROM denials WHERE jti = ?) AS denied
		FROM grants g
		LEFT JOIN clients c ON c.id = g.client_id
		LEFT JOIN accounts a ON a.id = g.account_id
		LEFT JOIN consents k ON k.account_id = g.account_id AND k.client_id = g.client_id
		LEFT JOIN sessions s ON s.id = g.session_id
		WHERE `+where, whole([]any{jti, what})...).Scan(&r)
	if res.Error != nil {
		return auth.Ground{}, missing(res.Error, errGrantMissing)
	}
	if res.RowsAffected == 0 {
		return auth.Ground{}, errGrantMissing
	}
	return auth.Ground{
		Grant: r.Grant.grant(), Client: r.Client.client(), Account: r.Account.account(),
		Consent: r.Consent.consent(), Session: r.Session.session(), Denied: r.Denied > 0,
	}, nil
}
