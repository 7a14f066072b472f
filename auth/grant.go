package auth

import "time"

// GrantID names a token family: everything that came from one authorization.
type GrantID string

// GrantState is where a grant stands.
type GrantState string

// The states of a grant. Ended grants are kept until their last token would have died, so that a replay is known for what it is.
const (
	GrantPending GrantState = "pending" // the code is out
	GrantLive    GrantState = "live"    // the code was redeemed
	GrantEnded   GrantState = "ended"
)

// Grant is the one row behind an authorization: the code with its PKCE and OpenID Connect parameters, then the refresh
// state. Redeeming and refreshing are one conditional update of this row each.
type Grant struct {
	ID      GrantID
	State   GrantState
	Client  ClientID
	Account AccountID
	Session SessionID

	// The authorization (RFC 6749 §4.1.3, RFC 7636, OpenID Connect Core §3.1.2.1).
	CodeHash    []byte // SHA-256 of the code
	CodeEnds    time.Time
	RedirectURI string // as sent; must be sent again
	Challenge   string // S256; empty only where the client's PKCE is optional and none was sent
	Nonce       string
	Requested   []string // scopes asked for
	Scopes      []string // scopes granted; refreshing never adds to it
	Resources   []string // audiences granted
	Claims      []byte   // the `claims` parameter, canonical JSON; empty if none

	// How the person was authenticated, as the ID token says it.
	AuthTime time.Time
	ACR      string
	AMR      []string

	// Refreshing. Generation 0 means that no refresh token was issued.
	Generation  int       // the one that is valid now
	Claimed     int       // the highest that was used
	RotatedAt   time.Time // when Generation was issued
	RefreshEnds time.Time // absolute; set at redemption, never moved
	IdleEnds    time.Time // moved at each refresh

	CreatedAt  time.Time
	RedeemedAt time.Time
	EndedAt    time.Time
	EndedWhy   string
}

// Refreshable reports whether a refresh token of the grant could still work at now.
func (g Grant) Refreshable(now time.Time) bool {
	return g.State == GrantLive && g.Generation > 0 && now.Before(g.RefreshEnds) && now.Before(g.IdleEnds)
}

// AccessToken is what an access token says, whichever its form.
type AccessToken struct {
	ID       string // jti; for a token of a grant "<grant>.<random>", so that the grant is found from a JWT
	Grant    GrantID
	Client   ClientID
	Account  AccountID // empty: client_credentials
	Session  SessionID
	Scopes   []string
	Audience []string
	AuthTime time.Time
	ACR      string
	AMR      []string
	IssuedAt time.Time
	Ends     time.Time
}

// GrantFilter picks grants to end. Empty fields match all; at least one must be set.
type GrantFilter struct {
	Account           AccountID
	Client            ClientID
	Session           SessionID
	EndingWithSession bool // only those of clients whose refresh tokens end with the session
}

// Ground is a grant and what it stands on, as they are now. What is missing is zero.
type Ground struct {
	Grant   Grant
	Client  Client
	Account Account
	Consent Consent
	Session Session
	Denied  bool // the token asked about was revoked by itself
}
