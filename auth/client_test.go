package auth_test

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store/storetest"
)

func TestNewClient(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind                   auth.ClientKind
		method, grants, ends   string
		confidential, redirect bool
	}{
		{auth.Web, auth.AuthSecret, "authorization_code refresh_token", "offline", true, true},
		{auth.SPA, auth.AuthNone, "authorization_code refresh_token", "session", false, true},
		{auth.Native, auth.AuthNone, "authorization_code refresh_token", "offline", false, true},
		{auth.Service, auth.AuthSecret, "client_credentials", "offline", true, false},
	} {
		c := auth.NewClient("app", "App", tt.kind)
		if got := strings.Join(c.Grants, " "); c.AuthMethod != tt.method || got != tt.grants || c.RefreshEndsWith != tt.ends || c.Confidential() != tt.confidential {
			t.Errorf("%s: %+v", tt.kind, c)
		}
		if c.PKCEOptional || c.FirstParty || c.NoRotation || c.RefreshLeeway != 0 || c.OpaqueAccessToken || c.IDTokenAlg != "RS256" {
			t.Errorf("%s: defaults are not the safe ones: %+v", tt.kind, c)
		}
		if err := c.Check(); (err != nil) != tt.redirect {
			t.Errorf("%s without redirect address: %v", tt.kind, err)
		}
	}
}

func TestCheckClient(t *testing.T) {
	t.Parallel()
	const jwks = `{"keys":[{"kty":"EC","crv":"P-256","x":"x","y":"y"}]}`
	for _, tt := range []struct {
		name, field string
		change      func(*auth.Client)
	}{
		{"no id", "client_id", func(c *auth.Client) { c.ID = "" }},
		{"an id with a space", "client_id", func(c *auth.Client) { c.ID = "my app" }},
		{"an id with a colon", "client_id", func(c *auth.Client) { c.ID = "my:app" }},
		{"no name", "name", func(c *auth.Client) { c.Name = " " }},
		{"a name of two lines", "name", func(c *auth.Client) { c.Name = "App\nEvil" }},
		{"a name that runs backwards", "name", func(c *auth.Client) { c.Name = "App\u202e" }},
		{"a kind that is none", "kind", func(c *auth.Client) { c.Kind = "device" }},
		{"a web client without authentication", "auth_method", func(c *auth.Client) { c.AuthMethod = auth.AuthNone }},
		{"an unknown method", "auth_method", func(c *auth.Client) { c.AuthMethod = "client_secret_jwt" }},
		{"a single-page client with a secret", "auth_method", func(c *auth.Client) { c.Kind = auth.SPA }},
		{"private_key_jwt without keys", "jwks", func(c *auth.Client) { c.AuthMethod = auth.AuthPrivateKeyJWT }},
		{"private_key_jwt with keys twice", "jwks", func(c *auth.Client) {
			c.AuthMethod, c.JWKS, c.JWKSURI = auth.AuthPrivateKeyJWT, []byte(jwks), "https://app.example.org/jwks"
		}},
		{"keys that nothing uses", "jwks", func(c *auth.Client) { c.JWKS = []byte(jwks) }},
		{"keys over plain http", "jwks_uri", func(c *auth.Client) {
			c.AuthMethod, c.JWKSURI = auth.AuthPrivateKeyJWT, "http://app.example.org/jwks"
		}},
		{"a private key in the set", "jwks", func(c *auth.Client) {
			c.AuthMethod, c.JWKS = auth.AuthPrivateKeyJWT, []byte(`{"keys":[{"kty":"EC","d":"x"}]}`)
		}},
		{"a symmetric key in the set", "jwks", func(c *auth.Client) {
			c.AuthMethod, c.JWKS = auth.AuthPrivateKeyJWT, []byte(`{"keys":[{"kty":"oct","k":"x"}]}`)
		}},
		{"an empty set", "jwks", func(c *auth.Client) { c.AuthMethod, c.JWKS = auth.AuthPrivateKeyJWT, []byte(`{"keys":[]}`) }},
		{"a set that is none", "jwks", func(c *auth.Client) { c.AuthMethod, c.JWKS = auth.AuthPrivateKeyJWT, []byte(`[]`) }},
		{"sec-P20 the password grant", "grant", func(c *auth.Client) { c.Grants = append(c.Grants, "password") }},
		{"sec-P20 the implicit grant", "grant", func(c *auth.Client) { c.Grants = append(c.Grants, "implicit") }},
		{"no grant", "grant", func(c *auth.Client) { c.Grants, c.RedirectURIs = nil, nil }},
		{"refresh without code", "grant", func(c *auth.Client) { c.Grants, c.RedirectURIs = []string{auth.GrantRefresh}, nil }},
		{"code without an address", "redirect_uri", func(c *auth.Client) { c.RedirectURIs = nil }},
		{"an address twice", "redirect_uri", func(c *auth.Client) { c.RedirectURIs = []string{callback, callback} }},
		{"too many addresses", "redirect_uri", func(c *auth.Client) { c.RedirectURIs = make([]string, 101) }},
		{"a service with an address", "grant", func(c *auth.Client) { c.Kind = auth.Service }},
		{"client_credentials of a public client", "grant", func(c *auth.Client) {
			c.Kind, c.AuthMethod, c.Grants = auth.SPA, auth.AuthNone, append(c.Grants, auth.GrantClientCredentials)
		}},
		{"optional PKCE of a public client", "pkce", func(c *auth.Client) { c.Kind, c.AuthMethod, c.PKCEOptional = auth.SPA, auth.AuthNone, true }},
		{"a scope with a space", "scope", func(c *auth.Client) { c.Scopes = []string{"a b"} }},
		{"an empty scope", "scope", func(c *auth.Client) { c.Scopes = []string{""} }},
		{"a resource that is no address", "resource", func(c *auth.Client) { c.Resources = []string{"api"} }},
		{"a default resource that is not listed", "resource", func(c *auth.Client) { c.DefaultResource = "https://api.example.org" }},
		{"a claim of the protocol", "claim", func(c *auth.Client) { c.Claims = []auth.ClaimRule{{Name: "sub", Field: "username"}} }},
		{"none as algorithm", "id_token_alg", func(c *auth.Client) { c.IDTokenAlg = "none" }},
		{"HS256 as algorithm", "id_token_alg", func(c *auth.Client) { c.IDTokenAlg = "HS256" }},
		{"HS256 for userinfo", "userinfo_alg", func(c *auth.Client) { c.UserinfoAlg = "HS256" }},
		{"codes that live for an hour", "code_lifetime", func(c *auth.Client) { c.Lifetimes.Code = time.Hour }},
		{"access tokens for a week", "access_token_lifetime", func(c *auth.Client) { c.Lifetimes.AccessToken = 7 * 24 * time.Hour }},
		{"a negative lifetime", "id_token_lifetime", func(c *auth.Client) { c.Lifetimes.IDToken = -time.Second }},
		{"refresh tokens for ever", "refresh_absolute", func(c *auth.Client) { c.Lifetimes.RefreshAbsolute = 10 * 365 * 24 * time.Hour }},
		{"a leeway of an hour", "refresh_leeway", func(c *auth.Client) { c.RefreshLeeway = time.Hour }},
		{"an end that is none", "refresh", func(c *auth.Client) { c.RefreshEndsWith = "never" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := auth.NewClient("app", "App", auth.Web)
			c.RedirectURIs = []string{callback}
			if err := c.Check(); err != nil {
				t.Fatal(err)
			}
			tt.change(&c)
			err := c.Check()
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("Check() = %v, want an Invalid fault", err)
			}
			if got := fault.From(err); got.Field != tt.field || got.Text == "" {
				t.Errorf("refused at %q (%s), want %q", got.Field, got.Text, tt.field)
			}
		})
	}
}

func TestAddClient(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		add := func(c auth.Client) (got auth.Client, secret auth.Secret, err error) {
			err = r.try(func(ctx context.Context, tx auth.Tx) error {
				got, secret, err = auth.AddClient(ctx, tx, "local:test", c)
				return err
			})
			return got, secret, err
		}
		c := auth.NewClient("app", "App", auth.Web)
		c.RedirectURIs = []string{callback}
		got, secret, err := add(c)
		if err != nil || !strings.HasPrefix(string(secret), "css_") || len(secret) != 4+43 {
			r.Fatalf("added %+v with a secret of %d characters: %v", got, len(secret), err)
		}
		if secret.String() == string(secret) {
			r.Error("the secret prints itself")
		}
		if !auth.CheckSecret(got, string(secret), r.clock.Now()) {
			r.Error("the secret does not authenticate")
		}
		if _, _, err := add(c); !fault.Is(err, fault.Conflict) {
			r.Errorf("the same id again: %v, want a Conflict", err)
		}

		c.ID = ""
		if got, _, err := add(c); err != nil || got.ID == "" {
			r.Errorf("without an id: %q, %v", got.ID, err)
		}
		c.ID = "01234567-89ab-7def-8123-456789abcdef" // it could be a person's, who holds roles under it
		if _, _, err := add(c); !fault.Is(err, fault.Invalid) {
			r.Errorf("with a UUID as id: %v, want Invalid", err)
		}
		c.ID, c.Resources = "api-user", []string{"https://api.example.org"}
		if _, _, err := add(c); !fault.Is(err, fault.Invalid) {
			r.Errorf("with a resource that is not there: %v, want Invalid", err)
		}
		r.update(func(ctx context.Context, tx auth.Tx) error {
			return storetest.Policy(ctx, tx, storetest.Server("api", "https://api.example.org", ""))
		})
		if _, _, err := add(c); err != nil {
			r.Errorf("with a resource that is there: %v", err)
		}
		spa := auth.NewClient("spa", "Spa", auth.SPA)
		spa.RedirectURIs = []string{callback}
		spa.Secrets = []auth.ClientSecret{{ID: "x", Hash: []byte("x")}}
		if got, secret, err := add(spa); err != nil || secret != nil || len(got.Secrets) != 0 {
			r.Errorf("a public client got secret %v: %v", secret, err)
		}
		if n := len(r.events(audit.ClientAdded)); n != 4 {
			r.Errorf("%d client.added events, want 4", n)
		}
	})
}

// sec-P23: only a valid secret of the client authenticates it; an old one until the overlap ends.
func TestRotateSecret(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		var c auth.Client
		var secrets []string
		r.update(func(ctx context.Context, tx auth.Tx) error {
			got, s, err := auth.AddClient(ctx, tx, "local:test", auth.NewClient("app", "App", auth.Service))
			c, secrets = got, append(secrets, string(s))
			return err
		})
		rotate := func(overlap time.Duration) error {
			return r.try(func(ctx context.Context, tx auth.Tx) error {
				s, err := auth.RotateSecret(ctx, tx, "local:test", c.ID, overlap)
				if err == nil {
					secrets = append(secrets, string(s))
					c, err = tx.Client(ctx, c.ID)
				}
				return err
			})
		}
		valid := func() string {
			s := ""
			for i, secret := range secrets {
				if auth.CheckSecret(c, secret, r.clock.Now()) {
					s += string(rune('0' + i))
				}
			}
			return s
		}
		want := func(s string) {
			r.Helper()
			if got := valid(); got != s {
				r.Errorf("secrets %q are valid, want %q", got, s)
			}
		}
		want("0")
		if err := rotate(time.Hour); err != nil {
			r.Fatal(err)
		}
		want("01")
		r.clock.Add(30 * time.Minute)
		if err := rotate(time.Hour); err != nil {
			r.Fatal(err)
		}
		want("012")
		r.clock.Add(30 * time.Minute)
		want("12") // rotating again made nothing live longer
		if err := rotate(0); err != nil {
			r.Fatal(err)
		}
		want("3")
		if err := rotate(-time.Second); !fault.Is(err, fault.Invalid) {
			r.Errorf("a negative overlap: %v", err)
		}
		for range 4 {
			if err := rotate(time.Hour); err != nil {
				r.Fatal(err)
			}
		}
		if err := rotate(time.Hour); !fault.Is(err, fault.Invalid) {
			r.Errorf("a sixth valid secret: %v", err)
		}

		for _, bad := range []string{"", "null", "undefined", secrets[3] + " ", strings.ToUpper(secrets[3]), secrets[3][:20], "css_"} {
			if auth.CheckSecret(c, bad, r.clock.Now()) {
				r.Errorf("sec-P23: %q authenticates", bad)
			}
		}
		empty := sha256.Sum256(nil)
		broken := auth.Client{Secrets: []auth.ClientSecret{{Hash: empty[:]}}}
		if auth.CheckSecret(broken, "", r.clock.Now()) {
			r.Error("sec-P23: an empty secret authenticates")
		}
		if n := len(r.events(audit.ClientSecretRotated)); n != 7 {
			r.Errorf("%d client.secret-rotated events, want 7", n)
		}
	})
}

func TestDisableClient(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web)
		i := r.family(c, "noor")
		set := func(disabled bool) {
			r.update(func(ctx context.Context, tx auth.Tx) error {
				return auth.SetClientDisabled(ctx, tx, "local:test", c.ID, disabled)
			})
		}
		set(true)
		set(true) // changes nothing
		if r.stands(i.Access).Active {
			r.Error("a token of a disabled client counts")
		}
		set(false)
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken}).Refused, auth.ErrInvalidGrant) // what was ended stays ended
		if a, b := len(r.events(audit.ClientDisabled)), len(r.events(audit.ClientEnabled)); a != 1 || b != 1 {
			r.Errorf("%d client.disabled and %d client.enabled events, want 1 each", a, b)
		}
	})
}
