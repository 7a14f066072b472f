package auth

import "time"

// FlowID names a sign-in in progress. It is in the address; the browser's cookie is what opens it.
type FlowID string

// Step is the page a flow stands at.
type Step string

// The steps of a sign-in. The zero Step is an error.
const (
	Identify Step = "identify" // say who you are
	Prove    Step = "password" // prove it
	Allow    Step = "consent"  // allow the application what it asks
	Done     Step = "done"
)

// Flow is one sign-in in progress: a row bound to the browser that began it, spent once.
type Flow struct {
	ID          FlowID
	BrowserHash []byte // SHA-256 of the browser cookie; a flow opens only in the browser that began it
	CreatedAt   time.Time
	Ends        time.Time

	// What is asked. Client is empty for a sign-in to our own pages; Back is then a local path.
	Client  ClientID
	Request string   // the authorization request as validated, form-encoded; parsed again when the flow ends
	Scopes  []string // scopes asked for, within the client's ceiling
	Back    string
	Hint    string // login_hint, as typed; shown, never trusted
	Locales string // ui_locales
	Display string

	// What must be so.
	Fresh       bool      // prompt=login, select_account, max_age=0: no session will do
	NotBefore   time.Time // max_age: the authentication must not be older than this
	WantAccount AccountID // id_token_hint: nobody else will do
	AskConsent  bool      // prompt=consent

	// What is so.
	Typed       string    // the name as typed; whether an account has it is not said
	Session     SessionID // the live session the browser came with; whether it is proof here is what Account says
	Account     AccountID // set by a proof or a session that counts, never by typing a name
	AuthTime    time.Time
	ACR         string
	AMR         []string // proofs given in this flow or carried by Session
	NeedConsent bool     // computed when Account becomes known
	Offered     []string // of Scopes those the account can be granted; computed with NeedConsent
	Allowed     []string // of Offered those allowed, on the consent page or before
	Consented   bool
}

// Next returns the one step that stands between f and Done. Every page of the sign-in and the authorization endpoint ask it,
// and nothing else decides.
func (f Flow) Next() Step {
	switch {
	case !f.proven() && f.Typed == "":
		return Identify
	case !f.proven():
		return Prove
	case f.NeedConsent && !f.Consented:
		return Allow
	}
	return Done
}

// proven reports whether f holds the proof that was asked for: of some account, of the one that is wanted, and new where a new
// one is demanded (OpenID Connect Core §3.1.2.1, sec-P47).
func (f Flow) proven() bool {
	return f.Account != "" && len(f.AMR) > 0 &&
		(f.WantAccount == "" || f.WantAccount == f.Account) &&
		!(f.Fresh && f.AuthTime.Before(f.CreatedAt)) &&
		!f.AuthTime.Before(f.NotBefore)
}

// provedHere reports whether the proof was given in this flow, and not carried into it by a session: nobody types a name
// without having to prove it.
func (f Flow) provedHere() bool { return f.Account != "" && f.Typed != "" }
