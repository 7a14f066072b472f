package auth

import (
	"context"
	"time"

	"github.com/countersign-id/countersign/rbac"
)

// Tx is what this package needs of a transaction; *store.Tx has it. Reads of one thing return a fault of kind NotFound
// where there is none. Methods that return a bool are conditional writes: false says that somebody else was first or that
// the condition no longer holds, and nothing was written.
type Tx interface {
	rbac.Tx // with Now, the transaction's instant, UTC, microseconds, the only clock of domain code; and NewID, a fresh UUIDv7

	AccountTx
	SessionTx
	ClientTx
	GrantTx
	FlowTx
	KeyTx
	LimitTx
	FactorTx
}

// AccountTx keeps people, accounts and passwords.
type AccountTx interface {
	// LockAccount holds off every other change to the account until the transaction ends
	// (FOR NO KEY UPDATE; nothing on SQLite, where Update is exclusive). Lock first, read after.
	LockAccount(ctx context.Context, id AccountID) error
	Account(ctx context.Context, id AccountID) (Account, error)
	// AccountByName finds an account by canonical username or e-mail address.
	AccountByName(ctx context.Context, canonical string) (Account, error)
	// AddAccount writes the person, the account and its names. A name in use is a Conflict: "name-taken".
	AddAccount(ctx context.Context, p Person, a Account) error
	// UpdateAccount writes a where its row still has a.Version, and counts it up.
	UpdateAccount(ctx context.Context, a Account) (bool, error)
	CountAccounts(ctx context.Context) (int, error)
	Password(ctx context.Context, id AccountID) (Password, error)
	PutPassword(ctx context.Context, p Password) error
	// ReplaceHash swaps a password's hash for a better one of the same password, if it is still old.
	ReplaceHash(ctx context.Context, id AccountID, old, hash string) (bool, error)
	PutSetup(ctx context.Context, t SetupToken) error // replaces all others of its purpose
	// Setup finds an unspent, unexpired set-up token of a purpose by its hash.
	Setup(ctx context.Context, purpose string, hash []byte) (SetupToken, error)
	// SpendSetup consumes an unspent, unexpired set-up token.
	SpendSetup(ctx context.Context, purpose string, hash []byte) (bool, error)
	// Notify puts a message into the outbox, to be sent after the commit.
	Notify(ctx context.Context, m Message) error
}

// Message is a notice to a person, sent by a worker once the transaction has committed. Texts come from message files.
type Message struct {
	Account AccountID
	Text    string            // message id: "password-changed"
	Detail  map[string]string // what fills its blanks; no secrets
}

// SessionTx keeps browser sessions.
type SessionTx interface {
	Session(ctx context.Context, id SessionID) (Session, error)
	SessionByToken(ctx context.Context, hash []byte) (Session, error)
	SessionsOf(ctx context.Context, id AccountID) ([]Session, error) // not ended, newest first
	AddSession(ctx context.Context, s Session) error
	// RenewSession writes s over the live session of the same id whose token hash is old: a rise in privilege.
	RenewSession(ctx context.Context, s Session, old []byte) (bool, error)
	TouchSession(ctx context.Context, id SessionID, seen, idleEnds time.Time) error
	EndSession(ctx context.Context, id SessionID) (bool, error)
	// EndSessions ends all live sessions of an account but one ("" for none) and returns them.
	EndSessions(ctx context.Context, id AccountID, except SessionID) ([]SessionID, error)
}

// ClientTx keeps applications and what people allowed them.
type ClientTx interface {
	Client(ctx context.Context, id ClientID) (Client, error)
	AddClient(ctx context.Context, c Client) error // an id in use is a Conflict: "client-exists"
	UpdateClient(ctx context.Context, c Client) (bool, error)
	// SpendAssertion remembers a client assertion's jti until it dies; false: seen before (RFC 7523 §3).
	SpendAssertion(ctx context.Context, id ClientID, jti string, until time.Time) (bool, error)
	Consent(ctx context.Context, a AccountID, c ClientID) (Consent, error)
	ConsentsOf(ctx context.Context, a AccountID) ([]Consent, error)
	PutConsent(ctx context.Context, c Consent) error
	DropConsent(ctx context.Context, a AccountID, c ClientID) (bool, error)
}

// GrantTx keeps token families.
type GrantTx interface {
	AddGrant(ctx context.Context, g Grant) error
	Grant(ctx context.Context, id GrantID) (Grant, error)
	GrantByCode(ctx context.Context, codeHash []byte) (Grant, error)
	// Ground reads a grant together with all it stands on. A grant that is missing is NotFound; anything else that is missing is
	// zero. jti, if not empty, asks whether that token is denied.
	Ground(ctx context.Context, id GrantID, jti string) (Ground, error)
	GroundByCode(ctx context.Context, codeHash []byte) (Ground, error)
	// RedeemGrant writes g over its row if that is still pending: the code is spent.
	RedeemGrant(ctx context.Context, g Grant) (bool, error)
	// RotateGrant writes g's refresh state over its row if that is live and at generation from.
	RotateGrant(ctx context.Context, g Grant, from int) (bool, error)
	// EndGrant ends a grant that has not ended, with everything that hangs on it.
	EndGrant(ctx context.Context, id GrantID, why string) (bool, error)
	// EndGrants ends every grant that f picks and returns them.
	EndGrants(ctx context.Context, f GrantFilter, why string) ([]GrantID, error)
	AddAccessToken(ctx context.Context, hash []byte, t AccessToken) error
	// AccessToken finds a stored (opaque) access token by its hash, ended or not.
	AccessToken(ctx context.Context, hash []byte) (AccessToken, error)
	DropAccessToken(ctx context.Context, hash []byte) (bool, error)
	// Deny refuses a JWT by its jti until it would have died.
	Deny(ctx context.Context, jti string, until time.Time) error
	Denied(ctx context.Context, jti string) (bool, error)
}

// FlowTx keeps sign-ins in progress.
type FlowTx interface {
	AddFlow(ctx context.Context, f Flow) error
	// Flow finds an unexpired flow of this browser.
	Flow(ctx context.Context, id FlowID, browserHash []byte) (Flow, error)
	UpdateFlow(ctx context.Context, f Flow) (bool, error) // false: spent or expired meanwhile
	// SpendFlow removes the flow; false: somebody was first.
	SpendFlow(ctx context.Context, id FlowID) (bool, error)
}

// KeyTx keeps signing keys.
type KeyTx interface {
	Keys(ctx context.Context) ([]Key, error) // all but those retired long ago, oldest first
	AddKey(ctx context.Context, k Key) error // a kid ever used is a Conflict
	// UpdateKey writes k's state and times if its row is still in state from.
	UpdateKey(ctx context.Context, k Key, from KeyState) (bool, error)
	// LockKeys holds off every other rotation until the transaction ends.
	LockKeys(ctx context.Context) error
}

// LimitTx counts attempts. A key is a MAC of what is counted, so the table names nobody.
type LimitTx interface {
	// Attempt counts one attempt against key in a window, atomically, unless the window is full.
	// It returns how many stand in it, this one included, and false without counting if it was full.
	Attempt(ctx context.Context, key []byte, window time.Duration, limit int) (int, bool, error)
	// Forgive takes back what was counted against key: the owner has proved who they are.
	Forgive(ctx context.Context, key []byte) error
}
