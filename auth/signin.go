package auth

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/countersign-id/countersign/audit"
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
	Asked         []string      // levels, one of which is demanded (OpenID Connect Core §5.5.1.1, RFC 9470 §4); unknown ones left out
	Strict        bool          // a sensitive act of our own pages waits
	From          Origin        // where the request comes from: network rules and trusted browsers
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
	Account AccountID // empty: no such account, or its limit is full; Settle then writes no event, hand Stray to the coalescer
	Hash    string    // what the password is to be verified against; always exactly one verification
	Dummy   bool      // whatever Verify says, the answer is no
	Why     string    // code for the event where Dummy is set
	Known   bool      // the browser proved this account before (device cookie)
	typed   string
	key     [][]byte
}

// Origin says where an attempt comes from.
type Origin struct {
	Source    string // network the address belongs to: IPv4 /24, IPv6 /64
	Address   string // personal: recorded, never counted by
	UserAgent string // personal
	Device    string // value of the device cookie, if any
	Session   []byte // SHA-256 of the session cookie's value, if any
	Trust     string // value of the trusted browser's cookie, if any
	Request   string // request identifier
}

// Refusals of a sign-in that every door may show. They say nothing about the account.
var (
	ErrSignIn    = fault.New(fault.Unauthenticated, "sign-in-failed", "That did not match. Check the name and password and try again.")
	ErrFlowGone  = fault.New(fault.Expired, "sign-in-expired", "This sign-in is over. Go back to the application and start again.")
	ErrThrottled = fault.New(fault.Throttled, "too-many-attempts", "Too many attempts from here. Wait a little and try again.")
	ErrBusy      = fault.New(fault.Unavailable, "busy", "We are busy right now. Try again in a moment.")
	ErrOther     = fault.New(fault.Unauthenticated, "other-account", "The application asks for another account. Sign in with that one.")
	ErrStep      = fault.New(fault.Conflict, "wrong-step", "That is not the step this sign-in stands at.")
)

// SignIn holds what the sign-in functions need besides a transaction. Zero figures take their defaults.
type SignIn struct {
	Limits   Limits
	Sessions SessionPolicy
	FlowLife time.Duration // how long a flow lives; default 15 min
	Key      Secret        // MAC key for limiter keys and device cookies, 32 bytes
	Dummy    string        // a password hash nobody knows the password of, at current parameters
	Policy   Policy        // who has to prove what
	Passkeys bool          // passkeys can be had here; without them nobody reaches PHR
}

// The codes of refused attempts, for events; the answer is the same for all.
const (
	whyUnknown   = "unknown-account"
	whyDisabled  = "account-disabled"
	whyPassword  = "wrong-password"
	whyNone      = "no-password"
	whyOver      = "session-over"
	whyThrottled = "too-many-attempts"
)

// Begin returns the flow for d and writes nothing: a flow without an ID. A session that meets the demands is carried into it.
// Where it stands at Done the caller goes straight to Establish; where it does not, to Keep.
func (p SignIn) Begin(ctx context.Context, tx Tx, d Demands, browserHash []byte, cur Current) (Flow, error) {
	now, life := tx.Now(), p.FlowLife
	if life <= 0 {
		life = 15 * time.Minute
	}
	f := Flow{
		BrowserHash: browserHash, CreatedAt: now, Ends: now.Add(life),
		Client: d.Client.ID, Request: d.Request, Scopes: d.Scopes, Back: d.Back, Hint: d.Hint, Locales: d.Locales, Display: d.Display,
		Fresh: d.Login || d.MaxAge == 0, WantAccount: d.WantAccount, AskConsent: d.Consent, Asked: d.Asked, Strict: d.Strict,
	}
	if d.MaxAge > 0 {
		f.NotBefore = now.Add(-d.MaxAge)
	}
	if !cur.Session.Live(now) || !cur.Account.Active() || cur.Session.Account != cur.Account.ID {
		return f, nil
	}

	s := cur.Session
	f.Session = s.ID
	if f.Fresh || s.AuthTime.Before(f.NotBefore) || f.WantAccount != "" && f.WantAccount != s.Account {
		return f, nil
	}
	f.Account, f.Carried = s.Account, Carried{s.AuthTime, s.ACR, s.AMR}
	f, err := p.weigh(ctx, tx, f.sum(), cur.Account, d.From)
	if err != nil {
		return f, err
	}
	return f.consider(ctx, tx, d.Client)
}

// Keep gives a flow that Begin returned its ID and its row.
func Keep(ctx context.Context, tx Tx, f Flow) (Flow, error) {
	if f.ID != "" || f.Next() == Done {
		return f, ErrStep
	}
	f.ID = FlowID(tx.NewID())
	return f, tx.AddFlow(ctx, f)
}

// Name notes the name typed and forgets what was proved under another. It tells nothing about it, but refuses (Invalid) what
// can be nobody's name.
func Name(ctx context.Context, tx Tx, f Flow, typed string) (Flow, error) {
	if f.Next() == Done {
		return f, ErrStep
	}
	typed = strings.TrimSpace(typed)
	if CanonicalName(typed) == "" {
		return f, ErrName
	}
	f.forget()
	f.Typed = typed
	return f, keepOn(ctx, tx, f)
}

// keepOn writes what became of f.
func keepOn(ctx context.Context, tx Tx, f Flow) error {
	ok, err := tx.UpdateFlow(ctx, f)
	if err == nil && !ok {
		return ErrFlowGone
	}
	return err
}

// TryPassword counts an attempt against the name and says what to verify the password against. The caller verifies it
// exactly once, outside any transaction, whatever comes back, and then calls Settle.
func (p SignIn) TryPassword(ctx context.Context, tx Tx, f Flow, o Origin) (Attempt, error) {
	if f.Next() != Prove {
		return Attempt{}, ErrStep
	}
	name := CanonicalName(f.Typed)
	acc, err := tx.AccountByName(ctx, name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Attempt{}, err
	}
	a, err := p.try(ctx, tx, name, acc, o)
	a.Flow, a.typed = f.ID, f.Typed
	return a, err
}

// try counts an attempt at acc, or at a name nobody has. It always yields something to verify against.
func (p SignIn) try(ctx context.Context, tx Tx, name string, acc Account, o Origin) (Attempt, error) {
	if p.Dummy == "" {
		return Attempt{}, errors.New("sign-in has no dummy hash")
	}
	a := Attempt{Hash: p.Dummy, Dummy: true}
	pw, err := tx.Password(ctx, acc.ID) // asked for nobody's too, so that a name somebody has takes no longer than one nobody has
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Attempt{}, err
	}
	ok, err := p.spend(ctx, tx, &a, name, acc, pw, o)
	if err != nil {
		return Attempt{}, err
	}

	switch {
	case !ok:
		a.Why = whyThrottled // nothing is evaluated past a limit, and nobody is told that it was reached
		return a, nil
	case acc.ID == "":
		a.Why = whyUnknown
		return a, nil
	}
	a.Account = acc.ID
	switch {
	case !acc.Active():
		a.Why = whyDisabled
	case pw.Hash == "":
		a.Why = whyNone
	default:
		a.Hash, a.Dummy = pw.Hash, false
	}
	return a, nil
}

// spend counts a against the known browser's budget, and where there is none or it is used up, against the name's.
func (p SignIn) spend(ctx context.Context, tx Tx, a *Attempt, name string, acc Account, pw Password, o Origin) (bool, error) {
	device, known := p.knows(o, acc.ID, pw, tx.Now())
	if known && acc.ID != "" {
		ok, err := a.count(ctx, tx, acc, p.deviceBudget(device), o)
		if ok || err != nil {
			a.Known = ok
			return ok, err
		}
		a.key = nil
	}
	return a.count(ctx, tx, acc, p.budget(name, acc, pw), o)
}

// Settle records what came of an attempt: the flow moves on, or stays and refused is set: ErrSignIn, whatever the reason, or
// ErrOther where the proof was good but the application wants somebody else. rehash, if not empty, replaces the stored hash.
func (p SignIn) Settle(ctx context.Context, tx Tx, a Attempt, f Flow, match bool, rehash string, o Origin) (next Flow, refused *fault.Error, err error) {
	if a.Flow != f.ID || a.typed != f.Typed || f.Next() != Prove {
		return f, nil, ErrStep
	}
	why, acc, err := p.judge(ctx, tx, a, match)
	if err != nil {
		return f, nil, err
	}
	if why != "" {
		return refuseAttempt(ctx, tx, a, f, ErrSignIn, why, o)
	}

	if rehash != "" {
		if _, err := tx.ReplaceHash(ctx, acc.ID, a.Hash, rehash); err != nil {
			return f, nil, err
		}
	}
	for _, key := range a.key {
		if err := tx.Forgive(ctx, key); err != nil {
			return f, nil, err
		}
	}
	if f.WantAccount != "" && f.WantAccount != acc.ID {
		f.Typed = ""
		return refuseAttempt(ctx, tx, a, f, ErrOther, ErrOther.Code, o)
	}

	f.Account = acc.ID
	if err := p.noticeStolen(ctx, tx, acc.ID, o); err != nil {
		return f, nil, err
	}
	f, err = p.accept(ctx, tx, f, acc, Proof{Way: ByPassword, At: tx.Now()}, o)
	return f, nil, err
}

// judge says why an attempt failed, or whose it was. Between the attempt and now the account may have been disabled and the
// password changed: both are read again, under the lock that their changes take.
func (p SignIn) judge(ctx context.Context, tx Tx, a Attempt, match bool) (why string, acc Account, err error) {
	switch {
	case a.Dummy || a.Account == "":
		return a.Why, Account{}, nil
	case !match:
		return whyPassword, Account{}, nil
	}
	if err := tx.LockAccount(ctx, a.Account); err != nil {
		return "", Account{}, err
	}
	acc, err = tx.Account(ctx, a.Account)
	if err != nil {
		return "", Account{}, err
	}
	pw, err := tx.Password(ctx, a.Account)
	switch {
	case err != nil:
		return "", Account{}, err
	case !acc.Active():
		return whyDisabled, acc, nil
	case pw.Hash != a.Hash:
		return whyPassword, acc, nil
	}
	return "", acc, nil
}

// refuseAttempt keeps f where it is. It writes the flow whether or not an account was reached, so that the two take the same
// time (sec-K05), and the event only where one was.
func refuseAttempt(ctx context.Context, tx Tx, a Attempt, f Flow, refused *fault.Error, why string, o Origin) (Flow, *fault.Error, error) {
	ok, err := tx.UpdateFlow(ctx, f)
	if err != nil {
		return f, nil, err
	}
	if !ok {
		refused = ErrFlowGone
	}
	if a.Account == "" {
		return f, refused, nil
	}
	return f, refused, tx.Record(ctx, audit.Event{
		Kind: audit.SessionRefused, Outcome: audit.Refused, Code: why, Subject: a.Account.actor(), Client: string(f.Client),
		Request: o.Request, Personal: o.personal(),
	})
}

// Abandon spends a flow whose person said no. The door answers access_denied.
func Abandon(ctx context.Context, tx Tx, f Flow, o Origin) error {
	ok, err := tx.SpendFlow(ctx, f.ID)
	if err != nil {
		return err
	}
	if !ok {
		return ErrFlowGone
	}
	if f.Account == "" || f.Client == "" {
		return nil
	}
	return tx.Record(ctx, audit.Event{
		Kind: audit.ConsentRefused, Outcome: audit.Refused, Code: "access-denied", Actor: f.Account.actor(), Subject: f.Account.actor(),
		Client: string(f.Client), Request: o.Request, Personal: o.personal(),
	})
}

// Restart takes a flow back to its first step: the person at the browser is somebody else. What it came with is forgotten;
// what the application asks for stays, and so does the session until whoever comes next has proved themselves.
func Restart(ctx context.Context, tx Tx, f Flow) (Flow, error) {
	if f.Next() == Done {
		return f, ErrStep
	}
	f.forget()
	f.Typed, f.Hint = "", ""
	return f, keepOn(ctx, tx, f)
}

// forget drops what was proved, and what was found out about whom it was proved of.
func (f *Flow) forget() {
	f.Account, f.Carried, f.Proofs = "", Carried{}, nil
	f.AuthTime, f.ACR, f.AMR = time.Time{}, "", nil
	f.Need, f.Ways, f.Holds, f.Closed, f.Bound, f.Waived, f.Version, f.GraceTo = Need{}, nil, false, false, false, "", 0, time.Time{}
	f.Pass, f.Later, f.Trust = false, false, false
	f.NeedConsent, f.Consented, f.Offered, f.Allowed = false, false, nil, nil
}
