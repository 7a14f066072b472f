package auth

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
)

// NewAccount is what adding an account takes. Hash is the password's, made outside the transaction; empty: it cannot sign in with one.
type NewAccount struct {
	Username string
	Profile  Profile
	Hash     string
}

// Faults of accounts.
var (
	ErrEmail   = fault.New(fault.Invalid, "email-invalid", "This is not an e-mail address.").At("email")
	ErrProfile = fault.New(fault.Invalid, "profile-invalid", "A field of the profile is too long or holds control characters.")
)

// Check refuses what cannot be an account, with the field.
func (n NewAccount) Check() error {
	switch {
	case CanonicalName(n.Username) == "" || utf8.RuneCountInString(n.Username) > maxUsername:
		return ErrName.Saying("A username has 1 to 128 characters, without spaces or control characters.")
	case n.Profile.Email != "" && !mailAddress(n.Profile.Email):
		return ErrEmail
	case n.Profile.EmailVerified && n.Profile.Email == "":
		return ErrEmail.Saying("There is no e-mail address that could have been verified.")
	}
	return n.Profile.check()
}

func (p Profile) check() error {
	for _, f := range []struct{ name, value string }{
		{"name", p.Name}, {"given_name", p.GivenName}, {"family_name", p.FamilyName}, {"middle_name", p.MiddleName},
		{"nickname", p.Nickname}, {"gender", p.Gender}, {"birthdate", p.Birthdate}, {"zoneinfo", p.Zoneinfo}, {"locale", p.Locale},
		{"phone_number", p.Phone}, {"address", p.Address.Locality}, {"address", p.Address.Region},
		{"address", p.Address.PostalCode}, {"address", p.Address.Country},
	} {
		if !plainText(f.value, maxText) {
			return ErrProfile.At(f.name)
		}
	}
	for _, text := range []string{p.Address.Formatted, p.Address.Street} { // these have lines
		if !plainText(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", " "), "\n", " "), 3*maxText) {
			return ErrProfile.At("address")
		}
	}
	for _, f := range []struct{ name, value string }{{"profile", p.Page}, {"picture", p.Picture}, {"website", p.Website}} {
		if f.value != "" && checkURL(f.value, "http", "https") != nil {
			return ErrProfile.Saying("This is not an http or https address.").At(f.name)
		}
	}
	return nil
}

// mailAddress reports whether s has the form of an address. Whether it is somebody's only a message to it can show.
func mailAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && len(local) <= 64 && len(s) <= maxName && CanonicalName(s) != "" &&
		!strings.ContainsAny(s, `<>()[],;:"\`) && !strings.Contains(domain, "@") && strings.Trim(domain, ".-") == domain && domain != "" &&
		!strings.Contains(domain, "..")
}

// AddAccount adds a person with one account. A malformed name is Invalid, one in use a Conflict.
func AddAccount(ctx context.Context, tx Tx, by string, n NewAccount) (Account, error) {
	if err := n.Check(); err != nil {
		return Account{}, err
	}
	now := tx.Now()
	person := Person{ID: PersonID(tx.NewID()), Name: n.Profile.Name, CreatedAt: now}
	if person.Name == "" {
		person.Name = n.Username
	}
	a := Account{
		ID: AccountID(tx.NewID()), Person: person.ID, Username: strings.TrimSpace(n.Username), State: AccountActive, Profile: n.Profile,
		CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	if err := tx.AddAccount(ctx, person, a); err != nil {
		return Account{}, err
	}
	if n.Hash != "" {
		if err := tx.PutPassword(ctx, Password{Account: a.ID, Hash: n.Hash, ChangedAt: now}); err != nil {
			return Account{}, err
		}
	}
	return a, tx.Record(ctx, audit.Event{
		Kind: audit.AccountAdded, Outcome: audit.OK, Actor: by, Subject: a.ID.actor(),
		Detail: map[string]string{"person": string(person.ID)}, Personal: personal("username", a.Username, "email", n.Profile.Email),
	})
}

// Disable closes an account: its sessions and grants end in the same transaction (sec-S04, K11). Disabling a disabled one changes nothing.
func Disable(ctx context.Context, tx Tx, by string, id AccountID) error {
	changed, err := setState(ctx, tx, id, AccountDisabled)
	if err != nil || !changed {
		return err
	}
	detail, err := ending{by: by, account: id, why: whyDisabled}.all(ctx, tx, "")
	if err != nil {
		return err
	}
	if err := forgetBrowsers(ctx, tx, id, by, whyDisabled, Origin{}); err != nil {
		return err
	}
	err = tx.Record(ctx, audit.Event{Kind: audit.AccountDisabled, Outcome: audit.OK, Actor: by, Subject: id.actor(), Detail: detail})
	if err != nil {
		return err
	}
	return tx.Notify(ctx, Message{Account: id, Text: "account-disabled"})
}

// Enable opens a disabled account again. What was ended stays ended.
func Enable(ctx context.Context, tx Tx, by string, id AccountID) error {
	changed, err := setState(ctx, tx, id, AccountActive)
	if err != nil || !changed {
		return err
	}
	err = tx.Record(ctx, audit.Event{Kind: audit.AccountEnabled, Outcome: audit.OK, Actor: by, Subject: id.actor()})
	if err != nil {
		return err
	}
	return tx.Notify(ctx, Message{Account: id, Text: "account-enabled"})
}

func setState(ctx context.Context, tx Tx, id AccountID, to AccountState) (changed bool, err error) {
	if err := tx.LockAccount(ctx, id); err != nil {
		return false, err
	}
	a, err := tx.Account(ctx, id)
	if err != nil || a.State == to {
		return false, err
	}
	a.State, a.UpdatedAt = to, tx.Now()
	ok, err := tx.UpdateAccount(ctx, a)
	if err == nil && !ok {
		return false, ErrStale
	}
	return ok, err
}

const setupPurpose = "first-administrator"

// Faults of setting up.
var (
	// ErrSetup refuses a set-up link that is unknown, spent or expired, without saying which.
	ErrSetup     = fault.New(fault.Expired, "setup-link-invalid", "This set-up link does not work any more. Start the server again to get a new one.")
	ErrSetupDone = fault.New(fault.Conflict, "already-set-up", "There are accounts already.")
)

// OfferSetup makes a single-use set-up link's token for the first administrator, replacing any before. Conflict once an account exists.
func OfferSetup(ctx context.Context, tx Tx, by string, life time.Duration) (Secret, error) {
	if err := needEmpty(ctx, tx); err != nil {
		return nil, err
	}
	token, now := newToken(setupPrefix), tx.Now()
	err := tx.PutSetup(ctx, SetupToken{Hash: hashToken(token), Purpose: setupPurpose, CreatedAt: now, Ends: now.Add(life)})
	if err != nil {
		return nil, err
	}
	return Secret(token), tx.Record(ctx, audit.Event{
		Kind: audit.SetupOffered, Outcome: audit.OK, Actor: by, Detail: map[string]string{"ends": now.Add(life).UTC().Format(time.RFC3339)},
	})
}

func needEmpty(ctx context.Context, tx Tx) error {
	n, err := tx.CountAccounts(ctx)
	if err == nil && n > 0 {
		return ErrSetupDone
	}
	return err
}

// CompleteSetup spends a set-up token and makes the first administrator, who holds all built-in roles. A token that does not
// work is ErrSetup and reaches no account: the door hands an audit.SetupRefused to the coalescer.
func CompleteSetup(ctx context.Context, tx Tx, token string, n NewAccount, o Origin) (Account, error) {
	if err := n.Check(); err != nil {
		return Account{}, err
	}
	ok, err := tx.SpendSetup(ctx, setupPurpose, hashToken(token))
	if err != nil {
		return Account{}, err
	}
	if !ok || !strings.HasPrefix(token, setupPrefix) {
		return Account{}, ErrSetup
	}
	if err := needEmpty(ctx, tx); err != nil {
		return Account{}, err
	}
	a, err := AddAccount(ctx, tx, "setup", n)
	if err != nil {
		return Account{}, err
	}
	if err := appoint(ctx, tx, a.ID); err != nil {
		return Account{}, err
	}
	return a, tx.Record(ctx, audit.Event{
		Kind: audit.SetupCompleted, Outcome: audit.OK, Actor: "setup", Subject: a.ID.actor(), Request: o.Request, Personal: o.personal(),
	})
}

// appoint gives the first administrator every built-in role.
func appoint(ctx context.Context, tx Tx, id AccountID) error {
	by := rbac.By{Actor: "setup"}
	if err := rbac.Furnish(ctx, tx, by); err != nil {
		return err
	}
	var ops []rbac.Op
	for _, r := range rbac.BuiltinRoles() {
		ops = append(ops, rbac.Assign{Assignment: rbac.Assignment{ID: rbac.AssignmentID(tx.NewID()), Account: rbac.AccountID(id), Role: r.ID}})
	}
	return rbac.Do(ctx, tx, by, ops...)
}

// SetupOpen reports whether token would still work, without spending it.
func SetupOpen(ctx context.Context, tx Tx, token string) (bool, error) {
	t, err := tx.Setup(ctx, setupPurpose, hashToken(token))
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && tx.Now().Before(t.Ends) && strings.HasPrefix(token, setupPrefix), err
}
