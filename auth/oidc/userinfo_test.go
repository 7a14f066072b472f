package oidc

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// RFC 9470 §3: who got a role that demands more since their token was issued is told which level to ask for; other people's are as they were.
func TestATokenBelowTheLevelThatPolicyAsksNowIsChallenged(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		ada, bob := e.account("ada"), e.account("bob")
		s, _ := e.signedIn(ada)
		other, _ := e.signedIn(bob)
		c, _ := e.client("app", auth.Web, nil)
		got, bobs := e.issue(c, s, "openid"), e.issue(c, other, "openid")
		e.update(func(tx *store.Tx) error { return storetest.Appoint(t.Context(), tx, ada.ID) })
		w := e.get(userinfoPath, withBearer(got.bearer))
		challenge := w.Header().Get("WWW-Authenticate")
		if w.Code != http.StatusUnauthorized || !strings.Contains(challenge, `error="insufficient_user_authentication"`) || !strings.Contains(challenge, `acr_values="aal2"`) {
			t.Errorf("got %d, %s, %s", w.Code, challenge, w.Body)
		}
		if w := e.get(userinfoPath, withBearer(bobs.bearer)); w.Code != http.StatusOK {
			t.Errorf("another's token: %d", w.Code)
		}
	})
}

// oidc-T6: by GET and by POST, header and form.
func TestOidcT6Userinfo(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		ada := e.account("ada")
		s, _ := e.signedIn(ada)
		c, _ := e.client("app", auth.Web, nil)
		got := e.issue(c, s, "openid", "profile", "email")
		origin := func(r *http.Request) { r.Header.Set("Origin", "https://app.example.org") }
		for name, w := range map[string]*httptest.ResponseRecorder{
			"GET":                  e.get(userinfoPath, withBearer(got.bearer), origin),
			"GET, scheme in lower": e.get(userinfoPath, func(r *http.Request) { r.Header.Set("Authorization", "bearer "+got.bearer) }, origin),
			"POST, header":         e.post(userinfoPath, nil, withBearer(got.bearer), origin),
			"POST, form":           e.post(userinfoPath, url.Values{"access_token": {got.bearer}}, origin),
			"POST, header, no body": e.do(func() *http.Request {
				r := httptest.NewRequest(http.MethodPost, testIssuer+userinfoPath, nil)
				withBearer(got.bearer)(r)
				origin(r)
				return r
			}()),
		} {
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("oidc-T6 %s: %d %v %s", name, w.Code, w.Header(), w.Body)
				continue
			}
			want := map[string]any{
				"sub": string(ada.ID), "name": "Ada ada", "locale": "en", "preferred_username": "ada",
				"email": "ada@example.org", "email_verified": true, "updated_at": float64(ada.UpdatedAt.Unix()),
			}
			if d := diff(want, decode(t, w)); d != "" {
				t.Errorf("oidc-T6 %s:\n%s", name, d)
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != "https://app.example.org" {
				t.Errorf("%s: allows origin %q", name, got)
			}
		}
		// Scopes decide, and nothing beyond them is told (oidc-A11).
		small := e.issue(c, s, "openid")
		if m := decode(t, e.get(userinfoPath, withBearer(small.bearer))); len(m) != 1 || m["sub"] != string(ada.ID) {
			t.Errorf("openid alone gives %v, want sub alone", m)
		}
	})
}

// oidc-T6: signed, with issuer and audience, without nonce, and of a type that is no ID token's.
func TestOidcT6SignedUserinfo(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		s, _ := e.signedIn(e.account("ada"))
		for _, alg := range auth.SigningAlgs() {
			id := auth.ClientID("app-" + strings.ToLower(alg))
			c, _ := e.client(id, auth.Web, func(c *auth.Client) { c.UserinfoAlg = alg })
			w := e.get(userinfoPath, withBearer(e.issue(c, s, "openid", "email").bearer))
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/jwt" {
				t.Fatalf("oidc-T6 %s: %d %v %s", alg, w.Code, w.Header(), w.Body)
			}
			token := w.Body.String()
			h, err := readHeader(token)
			if err != nil || h.Alg != alg || h.Typ != typUserinfo {
				t.Errorf("oidc-T6 %s: header %+v, %v", alg, h, err)
			}
			payload, err := verifyJWS(token, alg, published(t, e.keys)[h.Kid].Key)
			if err != nil {
				t.Errorf("%s: %v", alg, err)
			}
			var m map[string]any
			if err := json.Unmarshal(payload, &m); err != nil {
				t.Fatal(err)
			}
			if _, nonce := m["nonce"]; m["iss"] != testIssuer || m["aud"] != string(id) || m["email"] != "ada@example.org" || nonce {
				t.Errorf("oidc-T6 %s: %v", alg, m)
			}
			// I2: it is neither an ID token nor an access token.
			if _, err := e.p.readIDToken(t.Context(), token); err == nil {
				t.Errorf("%s: signed userinfo is taken for an ID token", alg)
			}
			if w := e.get(userinfoPath, withBearer(token)); w.Code != http.StatusUnauthorized {
				t.Errorf("%s: signed userinfo opens userinfo", alg)
			}
		}
	})
}

// sec-P44, RFC 6750 §3.
func TestSecP44P55UserinfoRefuses(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		s, _ := e.signedIn(e.account("ada"))
		c, secret := e.client("app", auth.Web, nil)
		got := e.issue(c, s, "openid", "profile")
		mint := func(change func(*auth.AccessToken)) string {
			token := got.access
			change(&token)
			bearer, err := e.p.mintAccess(token, nil)
			if err != nil {
				t.Fatal(err)
			}
			return bearer
		}
		withScopes := mint(func(a *auth.AccessToken) { a.Scopes = []string{"profile"} })
		elsewhere := mint(func(a *auth.AccessToken) { a.Audience = []string{"https://api.example.org"} })
		expired := mint(func(a *auth.AccessToken) { a.Ends = e.clock.Now() })
		for _, tt := range []struct {
			name, errorCode string
			status          int
			w               *httptest.ResponseRecorder
		}{
			{"no token", "", 401, e.get(userinfoPath)},
			{"a session cookie", "", 401, e.get(userinfoPath, withCookie("x"))},
			{"another scheme", "", 401, e.get(userinfoPath, basic("app", secret))},
			{"an empty token", "invalid_token", 401, e.get(userinfoPath, func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") })},
			{"an unknown token", "invalid_token", 401, e.get(userinfoPath, withBearer("csa_x"))},
			{"an ID token", "invalid_token", 401, e.get(userinfoPath, withBearer(got.id))},
			{"a refresh token", "invalid_token", 401, e.get(userinfoPath, withBearer(got.refresh+"x"))},
			{"an expired token", "invalid_token", 401, e.get(userinfoPath, withBearer(expired))},
			{"for another audience", "invalid_token", 401, e.get(userinfoPath, withBearer(elsewhere))},
			{"without openid", "insufficient_scope", 403, e.get(userinfoPath, withBearer(withScopes))},
			{"in the address", "invalid_request", 400, e.get(userinfoPath + "?access_token=" + got.bearer)},
			{"in the address too", "invalid_request", 400, e.get(userinfoPath+"?access_token="+got.bearer, withBearer(got.bearer))},
			{"in header and form", "invalid_request", 400, e.post(userinfoPath, url.Values{"access_token": {got.bearer}}, withBearer(got.bearer))},
			{"in the form twice", "invalid_request", 400, e.post(userinfoPath, url.Values{"access_token": {got.bearer, got.bearer}})},
			{"two headers", "invalid_request", 400, e.get(userinfoPath, withBearer(got.bearer), func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") })},
			{"in JSON", "invalid_request", 400, e.post(userinfoPath, nil, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })},
			{"of 1 MB", "invalid_token", 401, e.get(userinfoPath, withBearer(strings.Repeat("a", 1<<20)))},
		} {
			challenge := tt.w.Header().Get("WWW-Authenticate")
			if tt.w.Code != tt.status || !strings.HasPrefix(challenge, `Bearer realm="`) {
				t.Errorf("sec-P44 %s: %d %q %s, want %d", tt.name, tt.w.Code, challenge, tt.w.Body, tt.status)
				continue
			}
			// RFC 6750 §3.1: a request without credentials learns nothing but how to send them.
			if tt.errorCode == "" && (strings.Contains(challenge, "error") || tt.w.Body.Len() > 0) {
				t.Errorf("sec-P44 %s: %q %s, want a bare challenge", tt.name, challenge, tt.w.Body)
			}
			if tt.errorCode != "" && (!strings.Contains(challenge, `error="`+tt.errorCode+`"`) || decode(t, tt.w)["error"] != tt.errorCode) {
				t.Errorf("sec-P44 %s: %q %s, want %s", tt.name, challenge, tt.w.Body, tt.errorCode)
			}
		}
		// sec-P55: only the origins of the token's client.
		for _, origin := range []string{"https://evil.example.org", "null", "https://app.example.org.evil.org", "http://app.example.org"} {
			w := e.get(userinfoPath, withBearer(got.bearer), func(r *http.Request) { r.Header.Set("Origin", origin) })
			if h := w.Header(); h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("sec-P55 %s: %v", origin, h)
			}
		}
	})
}

// Each kind of fault has an answer at this door.
func TestShowBearerKnowsEveryKind(t *testing.T) {
	t.Parallel()
	p := &Provider{issuer: testIssuer, count: func(string, string) {}}
	for _, kind := range fault.Kinds() {
		w := httptest.NewRecorder()
		p.showBearer(w, httptest.NewRequest(http.MethodGet, "/", nil), fault.New(kind, "some-code", `Text with "quotes" and \.`))
		if w.Code < 400 || w.Header().Get("WWW-Authenticate") == "" || strings.Contains(w.Body.String(), "some-code") {
			t.Errorf("%v: %d %v %s", kind, w.Code, w.Header(), w.Body)
		}
	}
}

// oidc-D1 to D8, L1: both documents, alike.
func TestOidcD1ToD8Discovery(t *testing.T) {
	t.Parallel()
	e := newEnds(t, databases["sqlite"](t), newClock())
	first, second := e.get(discoveryPath), e.get(metadataPath)
	if first.Code != 200 || second.Code != 200 || first.Body.String() != second.Body.String() {
		t.Fatalf("oidc-D1 %d and %d, and alike: %t", first.Code, second.Code, first.Body.String() == second.Body.String())
	}
	if got := first.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("oidc-D1 content type %q", got)
	}
	m := decode(t, first)
	if m["issuer"] != testIssuer {
		t.Errorf("oidc-D1 issuer %v", m["issuer"])
	}
	for _, name := range []string{
		"authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "introspection_endpoint", "revocation_endpoint", "end_session_endpoint",
	} {
		uri, _ := m[name].(string)
		if !strings.HasPrefix(uri, testIssuer+"/") {
			t.Errorf("oidc-D2 %s is %q", name, uri)
		}
		// Every address that is told of is served.
		served := slices.ContainsFunc(e.p.Routes(), func(r Route) bool { return strings.HasSuffix(r.Pattern, " "+strings.TrimPrefix(uri, testIssuer)) })
		if !served {
			t.Errorf("%s is told of and not served", uri)
		}
	}
	for name, v := range m {
		if list, ok := v.([]any); ok && len(list) == 0 || v == nil || v == "" {
			t.Errorf("oidc-D6 %s is empty", name)
		}
	}
	for name, want := range map[string]any{
		"response_types_supported": []any{"code"}, "subject_types_supported": []any{"public"},
		"code_challenge_methods_supported": []any{"S256"},
		// oidc-D7: what is absent would mean something else.
		"request_parameter_supported": false, "request_uri_parameter_supported": false, "require_request_uri_registration": false,
		"claims_parameter_supported": true, "authorization_response_iss_parameter_supported": true,
		"token_endpoint_auth_methods_supported":         []any{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
		"introspection_endpoint_auth_methods_supported": []any{"client_secret_basic", "client_secret_post", "private_key_jwt"},
		"grant_types_supported":                         []any{"authorization_code", "refresh_token", "client_credentials"},
		"response_modes_supported":                      []any{"query", "fragment", "form_post"},
		"prompt_values_supported":                       []any{"none", "login", "consent", "select_account"},
		"acr_values_supported":                          []any{"aal1", "aal2"},
	} {
		if d := diff(want, m[name]); d != "" {
			t.Errorf("oidc-D3 %s:\n%s", name, d)
		}
	}
	for _, name := range []string{"id_token_signing_alg_values_supported", "userinfo_signing_alg_values_supported", "token_endpoint_auth_signing_alg_values_supported"} {
		algs, _ := m[name].([]any)
		if !slices.Contains(algs, any("RS256")) || slices.Contains(algs, any("none")) || slices.Contains(algs, any("HS256")) {
			t.Errorf("oidc-D4 %s is %v", name, algs)
		}
	}
	scopes, _ := m["scopes_supported"].([]any)
	if !slices.Contains(scopes, any("openid")) {
		t.Errorf("oidc-D5 scopes %v", scopes)
	}
	for _, tag := range newMetadataLocales(t) {
		if parsed, err := language.Parse(tag); err != nil || parsed.String() != tag {
			t.Errorf("oidc-D5 locale %q: %v, %v", tag, parsed, err)
		}
	}

	for _, path := range []string{discoveryPath, metadataPath, jwksPath} {
		w := e.get(path)
		etag := w.Header().Get("Etag")
		if etag == "" || !strings.Contains(w.Header().Get("Cache-Control"), "max-age=") || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: headers %v", path, w.Header())
		}
		for _, tag := range []string{etag, `"x", ` + etag, "W/" + etag, "*"} {
			if w := e.get(path, func(r *http.Request) { r.Header.Set("If-None-Match", tag) }); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
				t.Errorf("%s with If-None-Match %s: %d, want 304", path, tag, w.Code)
			}
		}
		if w := e.get(path, func(r *http.Request) { r.Header.Set("If-None-Match", `"x"`) }); w.Code != http.StatusOK {
			t.Errorf("%s with another tag: %d, want 200", path, w.Code)
		}
	}
	before := e.get(jwksPath).Header().Get("Etag")
	if err := e.keys.Rotate(t.Context(), "local:test", "ES256"); err != nil {
		t.Fatal(err)
	}
	if after := e.get(jwksPath).Header().Get("Etag"); after == before {
		t.Error("oidc-T7 the JWKS changed and its tag did not")
	}
}

func newMetadataLocales(t *testing.T) []string {
	t.Helper()
	var m struct {
		Locales []string `json:"ui_locales_supported"`
	}
	if err := json.Unmarshal(newMetadata(testIssuer, []string{"en", "zh-Hans"}, true).body, &m); err != nil || len(m.Locales) != 2 {
		t.Fatalf("%v, %v", m.Locales, err)
	}
	return m.Locales
}

// The JWKS is not kept longer than a key is published before it signs (oidc-T7).
func TestOidcT7PublicAgeIsShort(t *testing.T) {
	t.Parallel()
	if publicAge != "public, max-age=300" || auth.KeyPolicy.WithDefaults(auth.KeyPolicy{}).Publish < time.Hour {
		t.Error("a JWKS is kept about as long as its next key is published ahead")
	}
}
