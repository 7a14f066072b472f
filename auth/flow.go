package auth

import (
	"slices"
	"time"
)

// FlowID names a sign-in in progress. It is in the address; the browser's cookie is what opens it.
type FlowID string

// Step is the page a flow stands at.
type Step string

// The steps of a sign-in. The zero Step is an error.
const (
	Identify Step = "identify" // say who you are
	Prove    Step = "password" // prove it
	Second   Step = "second"   // prove it by a second factor, or a stronger one
	Enrol    Step = "enrol"    // add the factor that is asked for
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
	Asked       []string  // acr_values: one of these levels must be met
	Strict      bool      // a sensitive act of our own waits: no trusted browser stands in

	// What is so.
	Typed    string    // the name as typed; whether an account has it is not said
	Session  SessionID // the live session the browser came with; whether it is proof here is what Account says
	Account  AccountID // set by a proof or a session that counts, never by typing a name
	Carried  Carried   // what Session had proved before
	Proofs   []Proof   // given in this flow, the oldest first
	AuthTime time.Time // of the oldest proof that ACR and AMR stand on
	ACR      string    // what Carried and Proofs amount to
	AMR      []string

	// What is asked of Account, computed when it becomes known and again after each proof.
	Need    Need
	Ways    []Way     // second factors it can use now, the strongest first
	Holds   bool      // it has a second factor, whether or not it can be used now
	Closed  bool      // its authenticator app is closed
	Bound   bool      // one of its passkeys is bound to its device
	Waived  BrowserID // the trusted browser that stands in for the second factor
	Version int64     // of its factors, as they were when they were looked at
	GraceTo time.Time // until when enrolling may be put off
	Pass    bool      // a temporary pass was used here: it may enrol in place of the factors it has
	Later   bool      // enrolling was put off
	Trust   bool      // the person asks to have this browser trusted

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
	case f.lacks() && f.canProve():
		return Second
	case f.lacks() && !f.putOff():
		return Enrol
	case f.NeedConsent && !f.Consented:
		return Allow
	}
	return Done
}

// Carried is what a session brings into a flow.
type Carried struct {
	AuthTime time.Time
	ACR      string
	AMR      []string
}

// FreshFor is how long after a proof a person may do what is sensitive, such as adding a factor.
const FreshFor = 5 * time.Minute

// proven reports whether f holds a first proof as it was asked for: of some account, of the one that is wanted, and new where a new
// one is demanded (OpenID Connect Core §3.1.2.1, sec-P47), as it is before a factor may be added.
func (f Flow) proven() bool {
	return f.Account != "" && len(f.AMR) > 0 &&
		(f.WantAccount == "" || f.WantAccount == f.Account) &&
		!(f.Fresh && f.AuthTime.Before(f.CreatedAt)) &&
		!f.AuthTime.Before(f.NotBefore) &&
		!(f.lacks() && !f.canProve() && !f.putOff() && f.AuthTime.Before(f.CreatedAt.Add(-FreshFor)))
}

// Lacking returns the levels that f's proofs do not meet: those that policy asks for, unless a trusted browser stands in, and those
// one of which the application asks for.
func (f Flow) Lacking() (policy, asked []string) {
	if f.Waived == "" {
		policy = f.Need.lacking(f.ACR, f.AMR)
	}
	for _, l := range f.Asked {
		if Meets(l, f.ACR, f.AMR) {
			return policy, nil
		}
	}
	return policy, f.Asked
}

func (f Flow) lacks() bool {
	policy, asked := f.Lacking()
	return len(policy) > 0 || len(asked) > 0
}

// canProve reports whether what f lacks is to be proved with what its account has. Whoever has a second factor proves it before they
// may add another (sec-M10), unless they came with a temporary pass.
func (f Flow) canProve() bool {
	if f.Pass || !f.Holds {
		return false
	}
	if !Meets(AAL2, f.ACR, f.AMR) {
		return true
	}
	policy, asked := f.Lacking()
	able := func(level string) bool {
		return slices.Contains(f.Ways, ByPasskey) && (level == PHR || level == AAL3 && f.Bound)
	}
	return slices.ContainsFunc(policy, able) || len(policy) == 0 && slices.ContainsFunc(asked, able)
}

// Seconds are the ways by which f may go on from Second, the first being the one to propose: a passkey alone where nothing else would do.
func (f Flow) Seconds() []Way {
	policy, asked := f.Lacking()
	keyed := func(level string) bool { return level == PHR || level == AAL3 }
	only := slices.ContainsFunc(policy, keyed) || len(asked) > 0 && !slices.ContainsFunc(asked, func(l string) bool { return !keyed(l) })
	if only && slices.Contains(f.Ways, ByPasskey) {
		return []Way{ByPasskey}
	}
	return f.Ways
}

// Enrols are the ways one of which may be added at Enrol: a passkey alone where nothing else would do.
func (f Flow) Enrols(passkeys bool) (ways []Way) {
	policy, asked := f.Lacking()
	keyed := func(level string) bool { return level == PHR || level == AAL3 }
	if passkeys {
		ways = append(ways, ByPasskey)
	}
	if !slices.ContainsFunc(policy, keyed) && (len(asked) == 0 || slices.ContainsFunc(asked, func(l string) bool { return !keyed(l) })) {
		ways = append(ways, ByCode)
	}
	return ways
}

// MustVerify reports whether a passkey's holder must be verified for it to do.
func (f Flow) MustVerify() bool {
	policy, asked := f.Lacking()
	return slices.Contains(append(policy, asked...), AAL3)
}

// putOff reports whether enrolling what policy asks for was put off, as it may be for a while. What an application asks for is not.
func (f Flow) putOff() bool {
	_, asked := f.Lacking()
	return f.Later && len(asked) == 0 && !f.Pass
}

// MayPutOff reports whether the person may do without the factor for now.
func (f Flow) MayPutOff(now time.Time) bool {
	_, asked := f.Lacking()
	return f.Next() == Enrol && len(asked) == 0 && !f.Pass && now.Before(f.GraceTo)
}

// provedHere reports whether a proof was given in this flow, and not only carried into it by a session.
func (f Flow) provedHere() bool { return f.Account != "" && len(f.Proofs) > 0 }

// sum works out what the proofs amount to. A proof that would do without the session it adds to is as new as itself.
func (f Flow) sum() Flow {
	carried, own := assurance{f.Carried.ACR, f.Carried.AMR}, assured(f.Proofs)
	all := carried.and(own)
	f.ACR, f.AMR, f.AuthTime = all.acr, all.amr, f.Carried.AuthTime
	alone := slices.Equal(own.amr, all.amr) || own.acr == all.acr && Meets(AAL2, own.acr, own.amr)
	if len(f.Proofs) > 0 && (alone || len(carried.amr) == 0) {
		f.AuthTime = f.Proofs[0].At
	}
	return f
}
