package oidc

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

// everybody has a value for every standard claim.
var everybody = auth.Profile{
	Name: "Ada King", GivenName: "Ada", FamilyName: "King", MiddleName: "Augusta", Nickname: "ace", Page: "https://ada.example.org",
	Picture: "https://ada.example.org/p.png", Website: "https://ada.example.org/w", Gender: "female", Birthdate: "1815-12-10",
	Zoneinfo: "Europe/London", Locale: "en-GB", Email: "ada@example.org", EmailVerified: true, Phone: "+44 20 7946 0000", PhoneVerified: true,
	Address: auth.Address{Formatted: "St James's Square\nLondon", Street: "St James's Square", Locality: "London", PostalCode: "SW1", Country: "GB"},
}

// protocolClaims are what an ID token holds about the sign-in.
var protocolClaims = []string{"acr", "amr", "at_hash", "aud", "auth_time", "exp", "iat", "iss", "nonce", "sid", "sub"}

func TestOidcA11ClaimsGoWhereTheyAreAsked(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.update(func(tx *store.Tx) error {
			a, err := tx.Account(t.Context(), r.ada.ID)
			if err != nil {
				return err
			}
			a.Profile = everybody
			_, err = tx.UpdateAccount(t.Context(), a)
			return err
		})
		b := r.browser()
		for _, tt := range []struct {
			name, scope, claims string
			id, userinfo        []string // beyond what is always there
		}{
			{"openid alone says who and nothing else", "openid", "", nil, nil},
			{"oidc-A11 profile", "openid profile", "", nil, scopeClaims["profile"]},
			{"oidc-A11 email", "openid email", "", nil, scopeClaims["email"]},
			{"oidc-A11 address", "openid address", "", nil, scopeClaims["address"]},
			{"oidc-A11 phone", "openid phone", "", nil, scopeClaims["phone"]},
			{"oidc-A10 a claim asked for in userinfo", "openid", `{"userinfo":{"name":{"essential":true}}}`, nil, []string{"name"}},
			{"oidc-A10 a claim asked for in the ID token", "openid", `{"id_token":{"email":null}}`, []string{"email"}, nil},
			{"a claim nobody knows", "openid", `{"id_token":{"shoe_size":null},"userinfo":{"shoe_size":null}}`, nil, nil},
			{"a claim of the protocol", "openid", `{"id_token":{"auth_time":{"essential":true},"acr":{"values":["aal1"]}}}`, nil, nil},
		} {
			t.Run(tt.name, func(t *testing.T) {
				got := r.tokensOf(r.app, b.code(r.ask(r.app, "scope", tt.scope, "claims", tt.claims)))
				want := slices.Sorted(slices.Values(append(slices.Clone(protocolClaims), tt.id...)))
				if diff := cmp.Diff(want, slices.Sorted(maps.Keys(claimsOf(t, got["id_token"])))); diff != "" {
					t.Errorf("ID token (-want +got):\n%s", diff)
				}
				w := r.get(userinfoPath, withBearer(got["access_token"].(string)))
				want = slices.Sorted(slices.Values(append([]string{"sub"}, tt.userinfo...)))
				if diff := cmp.Diff(want, slices.Sorted(maps.Keys(decode(t, w)))); w.Code != http.StatusOK || diff != "" {
					t.Errorf("userinfo %d (-want +got):\n%s", w.Code, diff)
				}
				if got["scope"] != tt.scope {
					t.Errorf("scope %v, want %q: a claim asked for singly is no scope", got["scope"], tt.scope)
				}
			})
		}
	})
}

func TestAClaimNeedsItsScopesConsent(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		asked := `{"userinfo":{"email":null},"id_token":{"email":null,"name":null}}`
		f := b.prove(b.flowOf(b.authorize(r.ask(r.app, "scope", "openid", "claims", asked))))
		if want := []string{"openid", "email", "profile"}; !slices.Equal(f.Scopes, want) {
			t.Errorf("the person is asked for %v, want %v", f.Scopes, want)
		}
		f = b.allow(f, "email")
		got := r.tokensOf(r.app, b.finish(f.ID, true).params.Get("code"))
		if id := claimsOf(t, got["id_token"]); id["email"] != nil || id["name"] == nil {
			t.Errorf("the ID token holds %v, want the name that was allowed and no address", id)
		}
		if w := r.get(userinfoPath, withBearer(got["access_token"].(string))); strings.Contains(w.Body.String(), "email") {
			t.Errorf("userinfo holds %s", w.Body)
		}
	})
}

func TestClaimRules(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		c, secret := r.client("mapped", auth.Web, func(c *auth.Client) {
			c.FirstParty, c.IDTokenAlg = true, "ES256"
			c.Claims = []auth.ClaimRule{
				{Name: "login", Field: "username"}, {Name: "mail", Field: "profile.email", In: "access_token"},
				{Name: "https://example.org/given", Field: "profile.given_name", In: "id_token"}, {Name: "nick", Field: "profile.nickname"},
			}
		})
		w := r.post(tokenPath, r.exchangeForm(c, r.browser().code(r.ask(c, "scope", "openid"))), basic("mapped", secret))
		got := decode(t, w)
		id, access := claimsOf(t, got["id_token"]), claimsOf(t, got["access_token"])
		info := decode(t, r.get(userinfoPath, withBearer(got["access_token"].(string))))
		for where, tt := range map[string]struct {
			has  map[string]any
			want map[string]any
		}{
			"ID token":     {id, map[string]any{"login": "ada", "mail": nil, "https://example.org/given": "Ada", "nick": nil}},
			"userinfo":     {info, map[string]any{"login": "ada", "mail": nil, "https://example.org/given": nil, "nick": nil}},
			"access token": {access, map[string]any{"login": nil, "mail": "ada@example.org", "https://example.org/given": nil, "nick": nil}},
		} {
			for name, want := range tt.want {
				if tt.has[name] != want {
					t.Errorf("%s: %s is %v, want %v", where, name, tt.has[name], want)
				}
			}
		}
	})
}

func TestIDTokensByAlgorithm(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		r := newRig(t, e)
		for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA", ""} {
			id := auth.ClientID("alg-" + strings.ToLower(alg))
			c, secret := r.client(id, auth.Web, func(c *auth.Client) { c.FirstParty, c.IDTokenAlg = true, alg })
			w := r.post(tokenPath, r.exchangeForm(c, r.browser().code(r.ask(c, "scope", "openid"))), basic(string(id), secret))
			got := decode(t, w)
			token, access := got["id_token"].(string), got["access_token"].(string)
			want := alg
			if alg == "" {
				want = "RS256" // what relying parties expect that know no better
			}
			h, err := readHeader(token)
			if err != nil || h.Alg != want || h.Kid == "" || h.Typ != "JWT" {
				t.Errorf("%s: header %+v (%v)", alg, h, err)
			}
			if _, err := r.p.readIDToken(t.Context(), token); err != nil {
				t.Errorf("%s: %v", alg, err)
			}
			// fosite-16: Ed25519 goes with SHA-512, of which the left half has 32 bytes; the others' has 16.
			hash := claimsOf(t, token)["at_hash"].(string)
			if size := map[bool]int{true: 43, false: 22}[alg == "EdDSA"]; len(hash) != size || hash != leftHash(want, access) {
				t.Errorf("%s: at_hash %q", alg, hash)
			}
		}
	})
}

func TestParseClaims(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		good bool
	}{
		{"", true}, {"{}", true}, {` {"userinfo":null}`, true}, {`{"userinfo":{"name":null}}`, true}, {`{"unknown":[1,2]}`, true},
		{`{"id_token":{"acr":{"values":["a","b"]}}}`, true},
		{"null", false}, {"[]", false}, {" ", false}, {`"x"`, false}, {`{"userinfo":[]}`, false}, {`{"userinfo":{"name":1}}`, false},
		{`{"userinfo":{"name":{"essential":"yes"}}}`, false}, {"{} {}", false}, {strings.Repeat(`{"a":`, 5000), false},
		{`{"userinfo":{` + strings.Repeat(`"a":null,`, 10) + `"b":null}}`, true},
	} {
		if _, err := parseClaims(tt.in); (err == nil) != tt.good {
			t.Errorf("parseClaims(%.40q): %v, want good %v", tt.in, err, tt.good)
		}
	}
}

// FuzzParseRequest holds that what is kept of a request reads the same again when the sign-in is over, and that nothing that
// could break out of an answer is echoed.
func FuzzParseRequest(f *testing.F) {
	f.Add("client_id=app&redirect_uri=https%3A%2F%2Fapp%2Fcb&scope=openid+profile&state=x&max_age=0&prompt=login")
	f.Add("client_id=a&client_id=b&state=%0d%0a&response_mode=form_post&resource=https://a&resource=https://b")
	f.Add(`claims={"id_token":{"acr":{"essential":true,"values":["aal2"]},"sub":{"value":"x"}}}&nonce=n`)
	f.Fuzz(func(t *testing.T, raw string) {
		form, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		q, err := parseRequest(form)
		if err != nil {
			return
		}
		again, err := url.ParseQuery(q.form.Encode())
		if err != nil {
			t.Fatalf("what was kept cannot be read: %v", err)
		}
		q2, err := parseRequest(again)
		if err != nil {
			t.Fatalf("what was kept is refused: %v", err)
		}
		if q.refused == nil && q2.refused != nil {
			t.Errorf("refused only the second time: %v", q2.refused)
		}
		if q2.state != q.state || q2.redirect != q.redirect || q2.clientID != q.clientID || q2.challenge != q.challenge ||
			q.refused == nil && (!slices.Equal(q2.scopes, q.scopes) || !slices.Equal(q2.resources, q.resources) || q2.maxAge != q.maxAge || q2.nonce != q.nonce || q2.mode != q.mode) {
			t.Errorf("read %+v, then %+v", q, q2)
		}
		if strings.ContainsAny(q.state, "\r\n\x00") || len(q.state) > maxOpaque {
			t.Errorf("state %q would be echoed", q.state)
		}
	})
}

// I3: a claim that was asked for singly goes with the consent to the scope it belongs to.
func TestAClaimGoesWithItsScopesConsent(t *testing.T) {
	t.Parallel()
	asked := []byte(`{"userinfo":{"email":null,"name":null},"id_token":{"email":null}}`)
	acc := auth.Account{Profile: auth.Profile{Name: "Ada", Email: "ada@example.org"}}
	for _, where := range []string{inUserinfo, inIDToken} {
		if got := personClaims(where, auth.Client{}, acc, nil, []string{"openid", "email"}, asked); got["email"] != "ada@example.org" || got["name"] != nil {
			t.Errorf("%s with consent to email: %v", where, got)
		}
		if got := personClaims(where, auth.Client{}, acc, nil, []string{"openid"}, asked); len(got) != 0 {
			t.Errorf("%s with the consent gone: %v", where, got)
		}
	}
}
