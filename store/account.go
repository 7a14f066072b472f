package store

import (
	"context"
	"slices"

	"github.com/countersign-id/countersign/auth"
)

type accountRow struct {
	ID       string `gorm:"primaryKey"`
	PersonID string
	Username string
	State    string
	Profile  doc[auth.Profile]
	Created  micros `gorm:"column:created_at"`
	Updated  micros `gorm:"column:updated_at"`
	Version  int64
}

func (accountRow) TableName() string { return "accounts" }

func accountOf(a auth.Account) accountRow {
	return accountRow{
		ID: string(a.ID), PersonID: string(a.Person), Username: a.Username, State: string(a.State),
		Profile: doc[auth.Profile]{a.Profile}, Created: stamp(a.CreatedAt), Updated: stamp(a.UpdatedAt), Version: a.Version,
	}
}

func (r accountRow) account() auth.Account {
	return auth.Account{
		ID: auth.AccountID(r.ID), Person: auth.PersonID(r.PersonID), Username: r.Username, State: auth.AccountState(r.State),
		Profile: r.Profile.v, CreatedAt: r.Created.time(), UpdatedAt: r.Updated.time(), Version: r.Version,
	}
}

type accountNameRow struct {
	Canonical string `gorm:"primaryKey"`
	AccountID string
}

func (accountNameRow) TableName() string { return "account_names" }

// namesOf returns the canonical names an account is found by, sorted.
func namesOf(a auth.Account) []string {
	names := []string{auth.CanonicalName(a.Username)}
	if a.Profile.Email != "" {
		names = append(names, auth.CanonicalName(a.Profile.Email))
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == "" })
}

// LockAccount implements auth.AccountTx. A View locks nothing, there is nothing it could spoil.
func (tx *Tx) LockAccount(ctx context.Context, id auth.AccountID) error {
	if tx.store.dialect == sqlite {
		return nil
	}
	_, err := tx.texts(ctx, "SELECT id FROM accounts WHERE id = ?"+tx.store.dialect.lock(), string(id))
	return err
}

// Account implements auth.AccountTx.
func (tx *Tx) Account(ctx context.Context, id auth.AccountID) (auth.Account, error) {
	r, err := take[accountRow](ctx, tx, "id = ?", string(id))
	return r.account(), missing(err, errAccountMissing)
}

// AccountByName implements auth.AccountTx.
func (tx *Tx) AccountByName(ctx context.Context, canonical string) (auth.Account, error) {
	r, err := take[accountRow](ctx, tx, "id = (SELECT account_id FROM account_names WHERE canonical = ?)", canonical)
	return r.account(), missing(err, errAccountMissing)
}

// Accounts returns up to max accounts with identifiers above after, in that order.
func (tx *Tx) Accounts(ctx context.Context, after auth.AccountID, max int) ([]auth.Account, error) {
	rows, err := page[accountRow](ctx, tx, max, "id > ?", string(after))
	return mapped(rows, accountRow.account), err
}

// AddAccount implements auth.AccountTx.
func (tx *Tx) AddAccount(ctx context.Context, p auth.Person, a auth.Account) error {
	if err := insert(ctx, tx, subjectRow{ID: string(p.ID), Name: p.Name, Created: stamp(p.CreatedAt)}); err != nil {
		return err
	}
	if err := insert(ctx, tx, accountOf(a)); err != nil {
		return err
	}
	return tx.name(ctx, a.ID, namesOf(a))
}

func (tx *Tx) name(ctx context.Context, id auth.AccountID, names []string) error {
	for _, n := range names {
		if err := insert(ctx, tx, accountNameRow{Canonical: n, AccountID: string(id)}); err != nil {
			return taken(err, auth.ErrNameTaken)
		}
	}
	return nil
}

// Person returns a person; NotFound if there is none.
func (tx *Tx) Person(ctx context.Context, id auth.PersonID) (auth.Person, error) {
	r, err := take[subjectRow](ctx, tx, "id = ?", string(id))
	return auth.Person{ID: auth.PersonID(r.ID), Name: r.Name, CreatedAt: r.Created.time()}, missing(err, errPersonMissing)
}

// UpdateAccount implements auth.AccountTx. Names follow: one in use is a Conflict "name-taken".
func (tx *Tx) UpdateAccount(ctx context.Context, a auth.Account) (bool, error) {
	r := accountOf(a)
	r.Version++
	ok, err := overwrite(ctx, tx, r, []string{"id", "person_id", "created_at"}, "id = ? AND version = ?", r.ID, a.Version)
	if err != nil || !ok {
		return false, err
	}
	old, err := tx.texts(ctx, "SELECT canonical FROM account_names WHERE account_id = ? ORDER BY canonical", r.ID)
	if err != nil {
		return false, err
	}
	names := namesOf(a)
	if slices.Equal(old, names) {
		return true, nil
	}
	if _, err := tx.exec(ctx, "DELETE FROM account_names WHERE account_id = ?", r.ID); err != nil {
		return false, err
	}
	return true, tx.name(ctx, a.ID, names)
}

// CountAccounts implements auth.AccountTx.
func (tx *Tx) CountAccounts(ctx context.Context) (int, error) {
	return tx.number(ctx, "SELECT count(*) FROM accounts")
}

// AccountIDs returns the accounts that canonical names belong to, by name; names that nobody has are not in it.
func (tx *Tx) AccountIDs(ctx context.Context, canonical []string) (map[string]auth.AccountID, error) {
	out := map[string]auth.AccountID{}
	for part := range chunks(canonical, batch) {
		rows, err := find[accountNameRow](tx.on(ctx).Where("canonical IN ?", part))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			out[r.Canonical] = auth.AccountID(r.AccountID)
		}
	}
	return out, nil
}
