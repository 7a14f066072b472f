package auth

import (
	"slices"
	"time"
)

// ClientID identifies an application (RFC 6749 §2.2).
type ClientID string

// ClientKind sets an application's defaults and which redirect addresses it may register.
type ClientKind string

// The kinds of application.
const (
	Web     ClientKind = "web"     // confidential, authorization code
	SPA     ClientKind = "spa"     // public, in a browser, authorization code
	Native  ClientKind = "native"  // public, on a device, loopback or private-use scheme (RFC 8252)
	Service ClientKind = "service" // confidential, client_credentials, no person
)

// Client authentication methods (OpenID Connect Core 1.0 §9). "secret" admits client_secret_basic and client_secret_post.
const (
	AuthSecret        = "secret"
	AuthPrivateKeyJWT = "private_key_jwt"
	AuthNone          = "none"
)

// Grant types we serve.
const (
	GrantCode              = "authorization_code"
	GrantRefresh           = "refresh_token"
	GrantClientCredentials = "client_credentials"
)

// Client is a registered application. What it may do is only what is listed here.
type Client struct {
	ID       ClientID
	Name     string
	Kind     ClientKind
	Disabled bool

	RedirectURIs   []string // compared byte for byte; loopback ports may vary (RFC 8252 §7.3) for kind native
	PostLogoutURIs []string // compared byte for byte

	AuthMethod string // AuthSecret, AuthPrivateKeyJWT, AuthNone
	Secrets    []ClientSecret
	JWKS       []byte // JSON Web Key Set given at registration
	JWKSURI    string // https; fetched through the guarded client

	Grants          []string
	Scopes          []string // ceiling: anything else is refused with invalid_scope
	Resources       []string // audiences it may ask for (RFC 8707); names of resource servers
	Serves          []string // audiences it is the API of: it may introspect tokens meant for them
	DefaultResource string   // used when a request names none and asks for that server's scopes
	FirstParty      bool     // no consent page
	PKCEOptional    bool     // a confidential client of an older library; a challenge once sent is always verified
	Claims          []ClaimRule

	IDTokenAlg        string // RS256 unless asked otherwise: ES256, PS256, EdDSA
	UserinfoAlg       string // empty: plain JSON
	OpaqueAccessToken bool   // else RFC 9068 at+jwt
	Lifetimes         Lifetimes
	NoRotation        bool          // refresh tokens stay; for clients that cannot keep a successor
	RefreshLeeway     time.Duration // a retry of a lost response within this gets a successor; 0 ends the family
	RefreshEndsWith   string        // "offline" (default) or "session": logout ends its refresh tokens too

	URI, LogoURI, PolicyURI, TosURI string // http(s) only

	CreatedAt, UpdatedAt time.Time
	Version              int64
}

// ClientSecret is one secret of a client; two may be valid while a rotation overlaps. The secret has 256 random bits,
// so a plain keyed hash is right for it and a slow one would only cost.
type ClientSecret struct {
	ID        string // shown in lists; not secret
	Hash      []byte // SHA-256
	CreatedAt time.Time
	Ends      time.Time // zero: until rotated
}

// ClaimRule maps a field of the account to a claim, by `--claim name=field`.
type ClaimRule struct {
	Name  string // claim name
	Field string // "username" or "profile.<field>"; see claim.go
	In    string // "id_token", "userinfo", "access_token"; empty: id_token and userinfo
}

// Lifetimes of what a client is given; a zero field takes the deployment's default.
type Lifetimes struct {
	Code, AccessToken, IDToken, RefreshIdle, RefreshAbsolute time.Duration
}

// Confidential reports whether the client can authenticate itself.
func (c Client) Confidential() bool { return c.AuthMethod != AuthNone }

// Allows reports whether the client may use grant type g.
func (c Client) Allows(g string) bool { return !c.Disabled && slices.Contains(c.Grants, g) }

// Consent is what a person allowed an application, remembered until withdrawn.
type Consent struct {
	Account   AccountID
	Client    ClientID
	Scopes    []string // allowed; sorted
	Declined  []string // asked and left out; sorted. Not asked again unless the application insists (prompt=consent)
	GivenAt   time.Time
	UpdatedAt time.Time
}

// Answers reports whether the person has said yes or no to every scope.
func (c Consent) Answers(scopes []string) bool {
	return !slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(c.Scopes, s) && !slices.Contains(c.Declined, s) })
}

// Covers reports whether every scope was allowed.
func (c Consent) Covers(scopes []string) bool {
	for _, s := range scopes {
		if !slices.Contains(c.Scopes, s) {
			return false
		}
	}
	return true
}
