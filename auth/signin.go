package auth

import (
	"context"
	"time"

	"github.com/countersign-id/countersign/internal/fault"
)

// Demands is what an authorization request asks of the sign-in, read off the request by auth/oidc (OpenID Connect Core
// §3.1.2.1), or by ui for our own pages.
type Demands struct {
	Client        Client // zero for our own pages
	Request       string // form-encoded, as validated
	Scopes        []string
	Back          string
	Hint, Locales string
	Display       string
	Login         bool          // prompt=login or select_account
	Consent       bool          // prompt=consent
	MaxAge        time.Duration // negative: not asked; 0: authenticate again
	WantAccount   AccountID     // from a valid id_token_hint
}

// Current is the session a browser came with, if it counts: live, and its account active.
type Current struct {
	Session Session
	Account Account
}

// Limits are the throttle's figures (sec-K07, sec-K08, I10). Windows are fixed; a full one is never evaluated against.
type Limits struct {
	AccountBurst  int           // attempts per name and window; default 10
	AccountWindow time.Duration // default 15 min
	AccountTotal  int           // attempts per name and 30 days without a success; default 100 (NIST SP 800-63B-4 §3.2.2)
	SourceBurst   int           // attempts per source (IPv4 /24, IPv6 /64) and window; default 60
	SourceWindow  time.Duration // default 1 min
	GlobalBurst   int           // attempts per second over everything; default 200
}

// Attempt is one password attempt between its two transactions: counted, not yet judged.
type Attempt struct {
	Flow    FlowID
	Account AccountID // empty: no such account, or it may not be tried; Hash is then a dummy
	Hash    string    // what the password is to be verified against; always exactly one verification
	Dummy   bool      // whatever Verify says, the answer is no
	Why     string    // fault code for the event where Dummy is set
	Known   bool      // the browser proved this account before (device cookie)
	key     [][]byte
}

// Origin says where an attempt comes from.
type Origin struct {
	Source    string // network the address belongs to: IPv4 /24, IPv6 /64
	Address   string // personal: recorded, never counted by
	UserAgent string // personal
	Device    string // value of the device cookie, if any
	Request   string // request identifier
}

// Refusals of a sign-in that every door may show. They say nothing about the account.
var (
	ErrSignIn    = fault.New(fault.Unauthenticated, "sign-in-failed", "That did not match. Check the name and password and try again.")
	ErrFlowGone  = fault.New(fault.Expired, "sign-in-expired", "This sign-in is over. Go back to the application and start again.")
	ErrThrottled = fault.New(fault.Throttled, "too-many-attempts", "Too many attempts from here. Wait a little and try again.")
	ErrBusy      = fault.New(fault.Unavailable, "busy", "We are busy right now. Try again in a moment.")
	ErrStep      = fault.New(fault.Conflict, "wrong-step", "That is not the step this sign-in stands at.")
)

// SignIn holds what the sign-in functions need besides a transaction.
type SignIn struct {
	Limits   Limits
	Sessions SessionPolicy
	FlowLife time.Duration // how long a flow lives; default 15 min
	Key      Secret        // MAC key for limiter keys and device cookies, 32 bytes
	Dummy    string        // a password hash nobody knows the password of, at current parameters
}

// Resume finds the session of a cookie's token hash, if it counts: live, its account active. ok is false otherwise; that is no error.
// It reads only; TouchDue says whether Touch should follow in an Update.
func Resume(ctx context.Context, tx Tx, tokenHash []byte) (c Current, ok bool, err error) {
	panic("unwritten")
}

// TouchDue reports whether s was last seen longer ago than the policy's Touch.
func (p SignIn) TouchDue(s Session, now time.Time) bool { panic("unwritten") }

// Touch moves the session's idle end. The absolute end stays.
func (p SignIn) Touch(ctx context.Context, tx Tx, s Session) error { panic("unwritten") }

// Begin returns the flow for d and writes nothing: a flow without an ID. A session that meets the demands is carried into it.
// Where it stands at Done the caller goes straight to Establish; where it does not, to Keep.
func (p SignIn) Begin(ctx context.Context, tx Tx, d Demands, browserHash []byte, cur Current) (Flow, error) {
	panic("unwritten")
}

// Keep gives a flow that Begin returned its ID and its row.
func Keep(ctx context.Context, tx Tx, f Flow) (Flow, error) { panic("unwritten") }

// Name notes the name typed and forgets what was proved under another. It tells nothing about it, but refuses (Invalid) what
// can be nobody's name.
func Name(ctx context.Context, tx Tx, f Flow, typed string) (Flow, error) { panic("unwritten") }

// Admit counts an attempt from o against source and global limits, before any account is looked up. A full one is
// ErrThrottled or ErrBusy; the caller answers and evaluates nothing. Call it in a transaction of its own.
func (p SignIn) Admit(ctx context.Context, tx Tx, o Origin) error { panic("unwritten") }

// TryPassword counts an attempt against the name and says what to verify the password against. The caller verifies it
// exactly once, outside any transaction, whatever comes back, and then calls Settle.
func (p SignIn) TryPassword(ctx context.Context, tx Tx, f Flow, o Origin) (Attempt, error) {
	panic("unwritten")
}

// Settle records what came of an attempt: the flow moves on, or stays and refused is ErrSignIn. rehash, if not empty,
// replaces the stored hash.
func (p SignIn) Settle(ctx context.Context, tx Tx, a Attempt, f Flow, match bool, rehash string, o Origin) (next Flow, refused *fault.Error, err error) {
	panic("unwritten")
}

// Established is what a finished sign-in gives the browser.
type Established struct {
	Session Session
	Token   Secret // the session cookie's new value; nil if the browser keeps the one it has
	Device  string // the device cookie's new value; empty if unchanged
	// Refused says that the account may no longer sign in or the session carried into the flow has ended meanwhile; nothing
	// else is set. It is an outcome: commit it, issue nothing.
	Refused *fault.Error
}

// Establish spends a flow that stands at Done and makes its session: a new one, or the one it came with, whose token is
// replaced if this flow proved something. A flow that was never kept (single sign-on) has nothing to spend. Account and session
// are read again. A session of another account in the same browser ends. ErrFlowGone: somebody spent the flow first.
func (p SignIn) Establish(ctx context.Context, tx Tx, f Flow, o Origin) (Established, error) {
	panic("unwritten")
}

// AllowScopes records what the person allowed on the consent page: the required scopes and those ticked.
func AllowScopes(ctx context.Context, tx Tx, f Flow, scopes []string) (Flow, error) {
	panic("unwritten")
}

// Abandon spends a flow whose person said no. The door answers access_denied.
func Abandon(ctx context.Context, tx Tx, f Flow, o Origin) error { panic("unwritten") }

// SignOut ends a session, and the refresh tokens of clients that end with it.
func SignOut(ctx context.Context, tx Tx, by string, s Session, o Origin) error { panic("unwritten") }

// SignOutOthers ends an account's other sessions.
func SignOutOthers(ctx context.Context, tx Tx, by string, id AccountID, except SessionID, o Origin) (int, error) {
	panic("unwritten")
}

// TryCurrent counts an attempt at the present password of somebody signed in, against the same limits as TryPassword, and says
// what to verify it against. After a mismatch, or where Dummy is set, call RefusePassword; otherwise ChangePassword with a.Hash.
func (p SignIn) TryCurrent(ctx context.Context, tx Tx, cur Current, o Origin) (Attempt, error) {
	panic("unwritten")
}

// RefusePassword records that a change of password was refused: a wrong present password, or a new one that is too weak.
func RefusePassword(ctx context.Context, tx Tx, cur Current, why *fault.Error, o Origin) error {
	panic("unwritten")
}

// ChangePassword replaces the account's password after the caller verified the current one and hashed the new one, both
// outside the transaction. It ends all other sessions and every grant (sec-S04), renews the current session's token and
// notifies the person. seen is the hash the current password was verified against; if that is no longer the stored one
// the change is refused as Stale.
func (p SignIn) ChangePassword(ctx context.Context, tx Tx, cur Current, seen, hash string, o Origin) (Established, error) {
	panic("unwritten")
}
