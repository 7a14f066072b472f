package auth

import (
	"context"
	"time"

	"github.com/countersign-id/countersign/internal/fault"
)

// NewAccount is what adding an account takes. Hash is the password's, made outside the transaction; empty: it cannot sign in with one.
type NewAccount struct {
	Username string
	Profile  Profile
	Hash     string
}

// AddAccount adds a person with one account. A malformed name is Invalid, one in use a Conflict.
func AddAccount(ctx context.Context, tx Tx, by string, n NewAccount) (Account, error) {
	panic("unwritten")
}

// Disable closes an account: its sessions and grants end in the same transaction (sec-S04, K11). Disabling a disabled one changes nothing.
func Disable(ctx context.Context, tx Tx, by string, id AccountID) error { panic("unwritten") }

// Enable opens a disabled account again. What was ended stays ended.
func Enable(ctx context.Context, tx Tx, by string, id AccountID) error { panic("unwritten") }

// SetPassword replaces a password on an operator's behalf, with the effects of ChangePassword.
func SetPassword(ctx context.Context, tx Tx, by string, id AccountID, hash string) error {
	panic("unwritten")
}

// AddClient registers an application after checking every field (NewClient for defaults). The secret, if it needs one, comes back once.
func AddClient(ctx context.Context, tx Tx, by string, c Client) (Client, Secret, error) {
	panic("unwritten")
}

// SetClientDisabled opens or closes an application. Closing it ends its grants.
func SetClientDisabled(ctx context.Context, tx Tx, by string, id ClientID, disabled bool) error {
	panic("unwritten")
}

// RotateSecret gives a client a new secret; the old ones stay valid for overlap.
func RotateSecret(ctx context.Context, tx Tx, by string, id ClientID, overlap time.Duration) (Secret, error) {
	panic("unwritten")
}

// CheckSecret reports whether secret is a valid one of c at now, in constant time over all of them. An empty secret never is.
func CheckSecret(c Client, secret string, now time.Time) bool { panic("unwritten") }

// NewClient returns a client of a kind with that kind's safe defaults.
func NewClient(id ClientID, name string, kind ClientKind) Client { panic("unwritten") }

// Check refuses a client whose fields do not fit its kind, with the field and the fix (sec-P14): redirect addresses, schemes, algorithms, lifetimes.
func (c Client) Check() error { panic("unwritten") }

// MatchRedirect reports whether uri is one of the client's, byte for byte; for native clients a registered
// http://127.0.0.1 or http://[::1] address may come with any port (RFC 8252 §7.3).
func (c Client) MatchRedirect(uri string) bool { panic("unwritten") }

// OfferSetup makes a single-use set-up link's token for the first administrator, replacing any before. Conflict once an account exists.
func OfferSetup(ctx context.Context, tx Tx, by string, life time.Duration) (Secret, error) {
	panic("unwritten")
}

// ErrSetup refuses a set-up link that is unknown, spent or expired, without saying which.
var ErrSetup = fault.New(fault.Expired, "setup-link-invalid", "This set-up link does not work any more. Make a new one with countersign setup-link.")

// CompleteSetup spends a set-up token and makes the first administrator, who holds all built-in roles.
func CompleteSetup(ctx context.Context, tx Tx, token string, n NewAccount, o Origin) (Account, error) {
	panic("unwritten")
}

// SetupOpen reports whether token would still work, without spending it.
func SetupOpen(ctx context.Context, tx Tx, token string) (bool, error) { panic("unwritten") }
