package auth

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countersign-id/countersign/internal/fault"
)

var errField = fault.New(fault.Invalid, "client-invalid", "")

// refuse returns the fault of a client's field.
func refuse(field, format string, args ...any) error {
	return errField.Saying(fmt.Sprintf(format, args...)).At(field)
}

// NewClient returns a client of a kind with that kind's safe defaults.
func NewClient(id ClientID, name string, kind ClientKind) Client {
	c := Client{
		ID: id, Name: name, Kind: kind,
		AuthMethod: AuthNone, Grants: []string{GrantCode, GrantRefresh}, Scopes: []string{"openid"},
		IDTokenAlg: "RS256", RefreshEndsWith: EndsOffline,
	}
	switch kind {
	case Web:
		c.AuthMethod = AuthSecret
	case SPA:
		c.RefreshEndsWith = EndsWithSession // a page in a browser should not outlive the sign-in there
	case Service:
		c.AuthMethod, c.Grants, c.Scopes = AuthSecret, []string{GrantClientCredentials}, nil
	}
	return c
}

// What a client's refresh tokens end with.
const (
	EndsOffline     = "offline"
	EndsWithSession = "session"
)

// endsWithSession reports whether logout ends the client's tokens too.
func (c Client) endsWithSession() bool { return c.RefreshEndsWith == EndsWithSession }

// Bounds of a registration.
const (
	maxListed   = 100
	maxJWKS     = 64 << 10
	maxLeeway   = time.Minute
	maxAbsolute = 366 * 24 * time.Hour
)

// Check refuses a client whose fields do not fit its kind, with the field and the fix (sec-P14): redirect addresses, schemes, algorithms, lifetimes.
func (c Client) Check() error {
	for _, check := range []func(Client) error{
		checkClientNames, checkClientAuth, checkGrants, checkAddresses, checkScopes, checkClaims, checkTokens,
	} {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

func checkClientNames(c Client) error {
	switch {
	case c.ID == "" || len(c.ID) > 128 || strings.ContainsFunc(string(c.ID), func(r rune) bool { return !unreserved(r) }):
		return refuse("client_id", "A client id has 1 to 128 of the characters A-Z a-z 0-9 - . _ ~.")
	case strings.TrimSpace(c.Name) == "" || !plainText(c.Name, 100):
		return refuse("name", "A client's name has 1 to 100 characters and no control characters.")
	case !slices.Contains([]ClientKind{Web, SPA, Native, Service}, c.Kind):
		return refuse("kind", "The kind of a client is web, spa, native or service.")
	}
	return nil
}

// unreserved are the characters of RFC 3986 §2.3: they need no encoding anywhere a client id goes, and are those of a PKCE verifier.
func unreserved(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._~", r)
}

func checkClientAuth(c Client) error {
	public := c.Kind == SPA || c.Kind == Native
	switch {
	case public && c.AuthMethod != AuthNone:
		return refuse("auth_method", "A client of kind %s cannot keep a secret; its method is none.", c.Kind)
	case !public && c.AuthMethod != AuthSecret && c.AuthMethod != AuthPrivateKeyJWT:
		return refuse("auth_method", "A client of kind %s authenticates with secret or private_key_jwt.", c.Kind)
	case c.AuthMethod == AuthPrivateKeyJWT && (len(c.JWKS) == 0) == (c.JWKSURI == ""):
		return refuse("jwks", "private_key_jwt needs the client's keys: either a JWKS or the address of one.")
	case c.AuthMethod != AuthPrivateKeyJWT && (len(c.JWKS) > 0 || c.JWKSURI != ""):
		return refuse("jwks", "Keys are for clients that authenticate with private_key_jwt.")
	case c.AuthMethod != AuthSecret && len(c.Secrets) > 0:
		return refuse("auth_method", "A client that authenticates with %s has no secret.", c.AuthMethod)
	case c.PKCEOptional && c.Kind != Web:
		return refuse("pkce", "PKCE can be optional only for clients of kind web.")
	}
	if c.JWKSURI != "" {
		if err := checkURL(c.JWKSURI, "https"); err != nil {
			return refuse("jwks_uri", "%s", fault.From(err).Text)
		}
	}
	if len(c.JWKS) > 0 {
		return checkJWKS(c.JWKS)
	}
	return nil
}

// checkJWKS refuses a key set that holds nothing, or something secret: a private or a symmetric key.
func checkJWKS(raw []byte) error {
	var set struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if len(raw) > maxJWKS || json.Unmarshal(raw, &set) != nil || len(set.Keys) == 0 || len(set.Keys) > maxListed {
		return refuse("jwks", "The JWKS has to be a JSON object with 1 to %d keys.", maxListed)
	}
	for _, key := range set.Keys {
		for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
			if _, ok := key[secret]; ok {
				return refuse("jwks", "The JWKS holds a private or symmetric key. Give the public ones alone.")
			}
		}
		switch kty := string(key["kty"]); kty {
		case `"RSA"`, `"EC"`, `"OKP"`:
		default:
			return refuse("jwks", "A key of the JWKS is of type %s; RSA, EC and OKP are known.", quote(kty))
		}
	}
	return nil
}

func checkGrants(c Client) error {
	for _, g := range c.Grants {
		switch {
		case g != GrantCode && g != GrantRefresh && g != GrantClientCredentials:
			return refuse("grant", "The grant %s is not served.", quote(g))
		case c.Kind == Service && g != GrantClientCredentials:
			return refuse("grant", "A client of kind service has no person to ask; its grant is client_credentials.")
		case g == GrantClientCredentials && !c.Confidential():
			return refuse("grant", "client_credentials needs a client that authenticates.")
		}
	}
	code := slices.Contains(c.Grants, GrantCode)
	switch {
	case len(c.Grants) == 0:
		return refuse("grant", "A client needs a grant.")
	case slices.Contains(c.Grants, GrantRefresh) && !code:
		return refuse("grant", "refresh_token needs authorization_code beside it.")
	case code && len(c.RedirectURIs) == 0:
		return refuse("redirect_uri", "A client that sends people here needs a redirect address.")
	case !code && len(c.RedirectURIs)+len(c.PostLogoutURIs) > 0:
		return refuse("redirect_uri", "A client without authorization_code has no redirect addresses.")
	}
	return nil
}

func checkAddresses(c Client) error {
	for _, list := range []struct {
		field string
		uris  []string
	}{{"redirect_uri", c.RedirectURIs}, {"post_logout_redirect_uri", c.PostLogoutURIs}} {
		if len(list.uris) > maxListed {
			return refuse(list.field, "A client has at most %d addresses.", maxListed)
		}
		for i, uri := range list.uris {
			if err := c.Kind.checkRedirect(uri); err != nil {
				return fault.From(err).At(list.field)
			}
			if slices.Contains(list.uris[:i], uri) {
				return refuse(list.field, "The address %s is there twice.", quote(uri))
			}
		}
	}
	for _, f := range []struct{ field, uri string }{
		{"client_uri", c.URI}, {"logo_uri", c.LogoURI}, {"policy_uri", c.PolicyURI}, {"tos_uri", c.TosURI},
	} {
		if f.uri == "" {
			continue
		}
		if err := checkURL(f.uri, "https", "http"); err != nil {
			return fault.From(err).At(f.field)
		}
	}
	return nil
}

func checkScopes(c Client) error {
	if max(len(c.Scopes), len(c.Resources), len(c.Serves)) > maxListed {
		return refuse("scope", "A client has at most %d scopes and as many resources.", maxListed)
	}
	for _, s := range c.Scopes {
		if !scopeToken(s) {
			return refuse("scope", "%s cannot be a scope (RFC 6749 §3.3).", quote(s))
		}
	}
	for _, r := range slices.Concat(c.Resources, c.Serves) {
		if u, err := parseURL(r); err != nil || u.Scheme == "" {
			return refuse("resource", "%s is not the audience of an API: an absolute address without fragment (RFC 8707 §2).", quote(r))
		}
	}
	if c.DefaultResource != "" && !slices.Contains(c.Resources, c.DefaultResource) {
		return refuse("resource", "The default resource has to be one of the client's resources.")
	}
	return nil
}

// scopeToken reports whether s is a scope-token of RFC 6749 §3.3.
func scopeToken(s string) bool {
	return s != "" && len(s) <= maxText && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

func checkClaims(c Client) error {
	if len(c.Claims) > maxListed {
		return refuse("claim", "A client has at most %d claim rules.", maxListed)
	}
	for _, r := range c.Claims {
		if err := r.check(); err != nil {
			return err
		}
	}
	return nil
}

func checkTokens(c Client) error {
	algs := []string{"RS256", "ES256", "PS256", "EdDSA"}
	l := c.Lifetimes
	switch {
	case c.IDTokenAlg != "" && !slices.Contains(algs, c.IDTokenAlg):
		return refuse("id_token_alg", "ID tokens are signed with RS256, ES256, PS256 or EdDSA.")
	case c.UserinfoAlg != "" && !slices.Contains(algs, c.UserinfoAlg):
		return refuse("userinfo_alg", "Userinfo is signed with RS256, ES256, PS256 or EdDSA, or not at all.")
	case c.RefreshLeeway < 0 || c.RefreshLeeway > maxLeeway:
		return refuse("refresh_leeway", "The leeway of refresh tokens is at most %s.", maxLeeway)
	case c.RefreshEndsWith != "" && c.RefreshEndsWith != EndsOffline && c.RefreshEndsWith != EndsWithSession:
		return refuse("refresh", "Refresh tokens end with session, or are offline.")
	}
	for _, f := range []struct {
		field    string
		life     time.Duration
		min, max time.Duration
	}{
		{"code_lifetime", l.Code, 10 * time.Second, 10 * time.Minute}, // RFC 6749 §4.1.2
		{"access_token_lifetime", l.AccessToken, 10 * time.Second, 24 * time.Hour},
		{"id_token_lifetime", l.IDToken, 10 * time.Second, 24 * time.Hour},
		{"refresh_idle", l.RefreshIdle, time.Minute, maxAbsolute},
		{"refresh_absolute", l.RefreshAbsolute, time.Minute, maxAbsolute},
	} {
		if f.life != 0 && (f.life < f.min || f.life > f.max) {
			return refuse(f.field, "This lifetime lies between %s and %s.", f.min, f.max)
		}
	}
	return nil
}
