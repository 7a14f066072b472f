package auth

import (
	"context"
	"time"

	"github.com/countersign-id/countersign/internal/fault"
)

// PasskeyID names a passkey. It is ours, not the credential's, and opens nothing.
type PasskeyID string

// Passkey is a WebAuthn credential of an account.
type Passkey struct {
	ID         PasskeyID
	Account    AccountID
	Credential []byte // the credential's identifier: unique over all accounts
	Name       string // as its owner calls it
	Model      string // AAGUID of its authenticator; all zeros where that is not told
	Synced     bool   // may be copied between devices (backup eligible)
	Signs      int64  // signature counter; never goes back
	Record     []byte // the whole credential, as auth/passkey writes and reads it
	CreatedAt  time.Time
	UsedAt     time.Time
	SuspectAt  time.Time // when its counter was last seen going back: it may have been copied; zero: never
}

// TOTP is an account's authenticator app (RFC 6238). An account has one.
type TOTP struct {
	Account   AccountID
	Secret    Secret
	Step      int64 // the last time step that was spent; only later ones count
	Failed    int   // guesses that failed since FailedAt
	FailedAt  time.Time
	CreatedAt time.Time
	UsedAt    time.Time
}

// RecoveryCode is a code to be used once where no factor is at hand. Only its MAC is kept.
type RecoveryCode struct {
	Account   AccountID
	Hash      []byte
	CreatedAt time.Time
}

// BrowserID names a trusted browser.
type BrowserID string

// TrustedBrowser is a browser that stands in for a second factor.
type TrustedBrowser struct {
	ID        BrowserID
	Account   AccountID
	TokenHash []byte // replaced at each use
	CreatedAt time.Time
	SeenAt    time.Time
	Ends      time.Time
	UserAgent string // personal
	Source    string // personal
}

// Pass is a temporary pass: a right to enrol a factor, once, in place of those that are lost. Only its hash is kept.
type Pass struct {
	Account   AccountID
	Hash      []byte
	By        string // who issued it
	CreatedAt time.Time
	Ends      time.Time
}

// Ceremony is what the server must remember between the two halves of a registration or a proof: a challenge, or a secret that is not
// proved yet. It is bound to whoever began it and spent once, whatever comes of it.
type Ceremony struct {
	Owner string // the flow or session that began it, and for what
	Body  Secret
	Ends  time.Time
}

// Holder is what is remembered of an account's dealings with factors. The zero Holder has had none.
type Holder struct {
	Account AccountID
	Handle  []byte    // WebAuthn user handle: random, never reused
	Version int64     // +1 whenever a factor is added or removed: a proof that was given before counts no more
	GraceAt time.Time // when a policy first asked for a factor that the account has not
	AskedAt time.Time // when a passkey was last offered and put off
}

// FactorTx keeps factors.
type FactorTx interface {
	// Holder returns the holder of an account, the zero one where there is none.
	Holder(ctx context.Context, id AccountID) (Holder, error)
	// HolderByHandle finds whose a user handle is.
	HolderByHandle(ctx context.Context, handle []byte) (Holder, error)
	// PutHolder writes all of a holder but its handle, which stays once it was written.
	PutHolder(ctx context.Context, h Holder) error

	Passkeys(ctx context.Context, id AccountID) ([]Passkey, error) // oldest first
	// AddPasskey adds a passkey. A credential that anybody has is a Conflict: "passkey-exists".
	AddPasskey(ctx context.Context, k Passkey) error
	RenamePasskey(ctx context.Context, owner AccountID, id PasskeyID, name string) (bool, error)
	// UsePasskey writes k's record and counter, if that is what it was or higher.
	UsePasskey(ctx context.Context, k Passkey) (bool, error)
	SuspectPasskey(ctx context.Context, id PasskeyID) error
	DropPasskey(ctx context.Context, owner AccountID, id PasskeyID) (bool, error)

	TOTP(ctx context.Context, id AccountID) (TOTP, error)
	PutTOTP(ctx context.Context, t TOTP) error // in place of the one before
	// GuessTOTP counts a guess that may fail, unless limit of them failed within window. The window begins with its first guess.
	GuessTOTP(ctx context.Context, id AccountID, window time.Duration, limit int) (bool, error)
	// SpendTOTP spends a step if it is later than any that was spent, and takes its guess back: it did not fail.
	SpendTOTP(ctx context.Context, id AccountID, step int64) (bool, error)
	// ReopenTOTP forgets guesses that failed.
	ReopenTOTP(ctx context.Context, id AccountID) error
	DropTOTP(ctx context.Context, id AccountID) (bool, error)

	RecoveryCodes(ctx context.Context, id AccountID) ([]RecoveryCode, error)
	PutRecoveryCodes(ctx context.Context, id AccountID, codes []RecoveryCode) error // in place of all before
	SpendRecoveryCode(ctx context.Context, id AccountID, hash []byte) (bool, error)

	TrustedBrowsers(ctx context.Context, id AccountID) ([]TrustedBrowser, error) // that still count, newest first
	TrustedBrowser(ctx context.Context, id BrowserID) (TrustedBrowser, error)
	AddTrustedBrowser(ctx context.Context, b TrustedBrowser) error
	// RenewTrustedBrowser replaces the token of a browser whose token's hash is old.
	RenewTrustedBrowser(ctx context.Context, b TrustedBrowser, old []byte) (bool, error)
	DropTrustedBrowser(ctx context.Context, owner AccountID, id BrowserID) (bool, error)
	DropTrustedBrowsers(ctx context.Context, id AccountID) (int, error)

	PutPass(ctx context.Context, p Pass) error // in place of the one before
	SpendPass(ctx context.Context, id AccountID, hash []byte) (bool, error)

	PutCeremony(ctx context.Context, c Ceremony) error // in place of its owner's before
	Ceremony(ctx context.Context, owner string) (Ceremony, error)
	// TakeCeremony spends its owner's ceremony; false: there is none, or somebody was first.
	TakeCeremony(ctx context.Context, owner string) (Ceremony, bool, error)
}

// CeremonyLife is how long a ceremony may take (WebAuthn L3 §15.1 recommends five to ten minutes).
const CeremonyLife = 10 * time.Minute

// KeepCeremony keeps what the second half of a ceremony needs, in place of its owner's before.
func KeepCeremony(ctx context.Context, tx Tx, owner string, body Secret) error {
	return tx.PutCeremony(ctx, Ceremony{Owner: owner, Body: body, Ends: tx.Now().Add(CeremonyLife)})
}

// SpendCeremony spends its owner's ceremony, whatever comes of it; false: there is none.
func SpendCeremony(ctx context.Context, tx Tx, owner string) (Secret, bool, error) {
	c, ok, err := tx.TakeCeremony(ctx, owner)
	return c.Body, ok, err
}

// Faults of factors that doors show.
var (
	ErrCode      = fault.New(fault.Unauthenticated, "code-refused", "That code did not work. Wait for the next one and try again.").At("code")
	ErrRecovery  = fault.New(fault.Unauthenticated, "recovery-code-refused", "That code did not work. Each one works once.").At("code")
	ErrPasskey   = fault.New(fault.Unauthenticated, "passkey-refused", "That passkey did not work here. Try again or use another way.")
	ErrSuspect   = fault.New(fault.Unauthenticated, "passkey-suspect", "This passkey may have been copied. Use another way to sign in, then remove it.")
	ErrClosed    = fault.New(fault.Locked, "authenticator-closed", "The authenticator app is closed after too many wrong codes. Use another way, or ask your administrator for a temporary pass.")
	ErrLast      = fault.New(fault.Conflict, "last-factor", "This is the last one that your account needs. Add another first.")
	ErrNotFresh  = fault.New(fault.Unauthenticated, "not-fresh", "Confirm that it is you first.")
	ErrCeremony  = fault.New(fault.Expired, "ceremony-over", "That took too long, or was sent twice. Try again.")
	ErrNoFactor  = fault.New(fault.NotFound, "no-such-factor", "There is no such sign-in method on your account.")
	ErrNameLong  = fault.New(fault.Invalid, "factor-name", "A name has 1 to 64 characters.").At("name")
	ErrPasskeyIn = fault.New(fault.Conflict, "passkey-exists", "That passkey is here already.")
	ErrTooMany   = fault.New(fault.Conflict, "too-many-passkeys", "Your account holds as many passkeys as it can. Remove one first.")
)
