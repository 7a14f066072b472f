package auth

import (
	"context"

	"github.com/countersign-id/countersign/internal/fault"
)

// Issuing holds what grants need besides a transaction.
type Issuing struct {
	Issuer   string   // the audience of tokens that are for nobody else
	Key      Secret    // MAC key of refresh tokens, 32 bytes; the same on every replica
	Defaults Lifetimes // code 60 s, access token 5 min, ID token 5 min, refresh idle 14 d, absolute 90 d
}

// Refusals of the token endpoint. Each is an outcome: the transaction that found it commits.
var (
	ErrInvalidGrant = fault.New(fault.Unauthenticated, "invalid-grant", "The code or refresh token is not valid.")
	ErrScope        = fault.New(fault.Invalid, "invalid-scope", "A scope was asked for that was not granted.")
	ErrTarget       = fault.New(fault.Invalid, "invalid-target", "An audience was asked for that was not granted.")
)

// Authorization is what a finished sign-in grants an application.
type Authorization struct {
	Client      Client
	Session     Session
	RedirectURI string
	Challenge   string
	Nonce       string
	Requested   []string
	Scopes      []string // after consent and rights
	Resources   []string
	Claims      []byte
	Request     string // request identifier, for the event
	Source      string
}

// Authorize writes the grant and its event and returns the code: "csc_" and 256 random bits, base64url. Only its hash is kept.
func (p Issuing) Authorize(ctx context.Context, tx Tx, a Authorization) (code string, g Grant, err error) {
	panic("unwritten")
}

// Redemption is a code presented at the token endpoint by an authenticated client.
type Redemption struct {
	Client      Client
	Code        string
	RedirectURI string
	Verifier    string
	Scopes      []string // none: all that were granted
	Resources   []string // none: all that were granted
	Request     string
	Source      string
}

// Issued is what the token endpoint may now mint. Refused is set instead when the answer is no.
type Issued struct {
	Grant        Grant
	Account      Account
	Access       AccessToken // its form (JWT or opaque) is the door's; an opaque one is stored by StoreAccess in the same transaction
	RefreshToken string      // empty: none
	Refused      *fault.Error
}

// Redeem spends a code (RFC 6749 §4.1.3, RFC 7636 §4.6). A wrong client, redirect address or verifier burns the code; a second
// use ends the grant and everything issued from it. All of these are Refused outcomes: commit them.
func (p Issuing) Redeem(ctx context.Context, tx Tx, r Redemption) (Issued, error) { panic("unwritten") }

// Renewal is a refresh token presented at the token endpoint.
type Renewal struct {
	Client    Client
	Token     string
	Scopes    []string // must be within the grant's; none: all
	Resources []string
	Request   string
	Source    string
}

// Refresh spends a refresh token and issues its successor (RFC 6749 §6, RFC 9700 §4.14). A used one ends the family, except a
// retry within the client's leeway. Account, client, consent, session (where the client's tokens end with it) and rights are read
// again: what was withdrawn is not issued.
func (p Issuing) Refresh(ctx context.Context, tx Tx, r Renewal) (Issued, error) { panic("unwritten") }

// ClientToken returns the access token of a client_credentials grant. Nothing is written.
func (p Issuing) ClientToken(ctx context.Context, tx Tx, c Client, scopes, resources []string) (AccessToken, error) {
	panic("unwritten")
}

// StoreAccess keeps an opaque access token: "csa_" and 256 random bits, of which only the hash is kept.
func StoreAccess(ctx context.Context, tx Tx, t AccessToken) (token string, err error) {
	panic("unwritten")
}

// Standing is the live state behind an access token (I3).
type Standing struct {
	Token   AccessToken
	Client  Client
	Account Account // zero for client_credentials
	Active  bool
	Why     string // why not
}

// Stand reads again whether an access token still counts: not denied, grant not ended, client enabled, account active,
// consent not withdrawn, session not ended where the client's tokens end with it. Scopes the person's roles no longer carry
// are taken out of Token.Scopes.
func Stand(ctx context.Context, tx Tx, t AccessToken) (Standing, error) { panic("unwritten") }

// FindOpaque finds an opaque access token; NotFound if it is unknown or has ended.
func FindOpaque(ctx context.Context, tx Tx, token string) (AccessToken, error) { panic("unwritten") }

// FindRefresh finds the grant of a refresh token that is valid now, without spending it; NotFound otherwise.
func (p Issuing) FindRefresh(ctx context.Context, tx Tx, token string) (Grant, error) {
	panic("unwritten")
}

// Revoke ends what token names, if it was issued to client c (RFC 7009): a refresh token ends its family, an access token
// itself. parsed is the access token if the door could read it as one of our JWTs. Unknown and foreign tokens change nothing.
func (p Issuing) Revoke(ctx context.Context, tx Tx, c Client, token string, parsed *AccessToken, request string) error {
	panic("unwritten")
}

// Withdraw takes back an account's consent to a client and ends its grants.
func Withdraw(ctx context.Context, tx Tx, by string, a AccountID, c ClientID) error {
	panic("unwritten")
}

// Target is whom a request's tokens are for and what they may say there.
type Target struct {
	Scopes    []string // granted: asked, within the client's ceiling, and carried by the subject's roles; in the order asked
	Resources []string // the resource servers: named, or the client's default
	Audience  []string // the aud of access tokens: the resources, and the issuer with openid or where there are none
}

// Audience settles whom a request's tokens are for (RFC 8707 and the house rules): identity scopes only, the issuer alone; a
// client's default resource when the request names none and asks for scopes of that server; otherwise resources must be named,
// and one the client may not ask for is ErrTarget. A scope outside the client's ceiling or known to none of the servers is
// ErrScope. One whose permission the subject's roles do not carry is left out without a word. subject is the person's id, for
// client_credentials the client's.
func (p Issuing) Audience(ctx context.Context, tx Tx, c Client, subject string, scopes, resources []string) (Target, error) {
	panic("unwritten")
}
