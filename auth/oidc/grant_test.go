package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

func TestResourcesAndRights(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		const ledger = "https://ledger.example.org"
		r.update(func(tx *store.Tx) error {
			return storetest.Policy(ctx, tx, storetest.Server("ledger", ledger, "Ledger"),
				storetest.Scope("ledger", "invoices.read", "Read invoices", "ledger/invoice:read"),
				storetest.Scope("ledger", "invoices.pay", "Pay invoices", "ledger/invoice:pay"),
				storetest.Role("clerk", "ledger/invoice:read"), storetest.Assign(tx, r.ada.ID, "clerk"))
		})
		c, secret := r.client("ledger", auth.Web, func(c *auth.Client) {
			c.FirstParty, c.IDTokenAlg, c.Resources = true, "ES256", []string{ledger}
			c.Scopes = []string{"openid", "email", "invoices.read", "invoices.pay"}
		})
		b := r.browser()
		exchange := func(code string, changes ...string) map[string]any {
			w := r.post(tokenPath, r.exchangeForm(c, code, changes...), basic("ledger", secret))
			if w.Code != http.StatusOK {
				t.Fatalf("token answered %s", w.Body)
			}
			return decode(t, w)
		}
		got := exchange(b.code(r.ask(c, "scope", "openid invoices.read invoices.pay", "resource", ledger)))
		access := claimsOf(t, got["access_token"])
		if got["scope"] != "openid invoices.read" || access["scope"] != "openid invoices.read" {
			t.Errorf("scope %v, want only what the role carries", got["scope"])
		}
		if aud, _ := access["aud"].([]any); !slices.Equal(aud, []any{ledger, testIssuer}) {
			t.Errorf("aud %v", access["aud"])
		}
		if !r.works(got["access_token"]) {
			t.Error("userinfo does not answer to a token with openid and a resource")
		}
		wantTold(t, b.authorize(r.ask(c, "scope", "openid invoices.read")), "invalid_target")
		if got := claimsOf(t, exchange(b.code(r.ask(c, "scope", "openid email")))["access_token"]); got["aud"] != testIssuer {
			t.Errorf("identity scopes alone: aud %v, want the issuer", got["aud"])
		}
	})
}

func TestOpaqueAccessTokens(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		c, secret := r.client("opaque", auth.Web, func(c *auth.Client) {
			c.FirstParty, c.OpaqueAccessToken, c.IDTokenAlg, c.Grants = true, true, "ES256", append(c.Grants, auth.GrantClientCredentials)
		})
		w := r.post(tokenPath, r.exchangeForm(c, r.browser().code(r.ask(c))), basic("opaque", secret))
		got := decode(t, w)
		if s, _ := got["access_token"].(string); w.Code != http.StatusOK || !strings.HasPrefix(s, "csa_") || !r.works(s) {
			t.Fatalf("answered %d %v", w.Code, got)
		}
		w = r.post(tokenPath, url.Values{"grant_type": {"client_credentials"}}, basic("opaque", secret))
		if s, _ := decode(t, w)["access_token"].(string); !strings.HasPrefix(s, "csa_") {
			t.Errorf("client_credentials answered %d %s", w.Code, w.Body)
		}
	})
}

func TestClientCredentialsWriteNothing(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		c, secret := r.client("svc", auth.Service, func(c *auth.Client) { c.Scopes = nil })
		events := len(r.eventsOf(""))
		w := r.post(tokenPath, url.Values{"grant_type": {"client_credentials"}}, basic("svc", secret))
		got := decode(t, w)
		claims := claimsOf(t, got["access_token"])
		if w.Code != http.StatusOK || got["refresh_token"] != nil || got["id_token"] != nil || got["scope"] != nil {
			t.Errorf("answered %d %v", w.Code, got)
		}
		if claims["sub"] != string(c.ID) || claims["client_id"] != string(c.ID) || claims["aud"] != testIssuer {
			t.Errorf("claims %v", claims)
		}
		if n := len(r.eventsOf("")); n != events {
			t.Errorf("%d new events, want none", n-events)
		}
		wantError(t, r.post(tokenPath, url.Values{"grant_type": {"client_credentials"}, "scope": {"payroll"}}, basic("svc", secret)),
			http.StatusBadRequest, "invalid_scope")
	})
}

func TestSecP20OnlyGrantsThatAreTheClients(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		service, secret := r.client("svc", auth.Service, func(c *auth.Client) { c.Scopes = nil })
		as := basic(string(service.ID), secret)
		for _, tt := range []struct {
			grant string
			as    func(*http.Request)
			want  string
		}{
			{"authorization_code", as, "unauthorized_client"},
			{"refresh_token", as, "unauthorized_client"},
			{"client_credentials", basic("app", r.secret), "unauthorized_client"},
			{"password", as, "unsupported_grant_type"},
			{"password", basic("app", r.secret), "unsupported_grant_type"},
			{"implicit", as, "unsupported_grant_type"},
			{"fosite-9", as, "unsupported_grant_type"},
			{"authorization_code client_credentials", as, "unsupported_grant_type"},
			{"urn:ietf:params:oauth:grant-type:jwt-bearer", as, "unsupported_grant_type"},
			{"urn:ietf:params:oauth:grant-type:device_code", as, "unsupported_grant_type"},
			{"urn:ietf:params:oauth:grant-type:token-exchange", as, "unsupported_grant_type"},
			{"password", basic("svc", "wrong"), "invalid_client"}, // the client proves itself before it is told anything
			{"client_credentials", basic("svc", "wrong"), "invalid_client"},
		} {
			form := url.Values{
				"grant_type": {tt.grant}, "code": {"x"}, "refresh_token": {"x"}, "username": {"ada"}, "password": {"x"}, "assertion": {"x"},
			}
			status := http.StatusBadRequest
			if tt.want == "invalid_client" {
				status = http.StatusUnauthorized
			}
			w := r.post(tokenPath, form, tt.as)
			wantError(t, w, status, tt.want)
			if got := w.Header().Get("WWW-Authenticate"); (got != "") != (status == http.StatusUnauthorized) {
				t.Errorf("%s: WWW-Authenticate %q with %d", tt.grant, got, status) // RFC 6749 §5.2
			}
		}
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"spa"}}
		wantError(t, r.post(tokenPath, form), http.StatusBadRequest, "unauthorized_client") // RFC 6749 §4.4: confidential clients only
	})
}

func TestPKCEOptional(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		old, secret := r.client("old", auth.Web, func(c *auth.Client) { c.PKCEOptional, c.FirstParty, c.IDTokenAlg = true, true, "ES256" })
		b := r.browser()
		call := func(code string, changes ...string) int {
			return r.post(tokenPath, r.exchangeForm(old, code, changes...), basic("old", secret)).Code
		}
		without := r.ask(old, "code_challenge", "", "code_challenge_method", "")
		if got := call(b.code(without), "code_verifier", ""); got != http.StatusOK {
			t.Errorf("without PKCE: answered %d", got)
		}
		if got := call(b.code(without)); got != http.StatusBadRequest { // RFC 9700 §2.1.1: a challenge taken out on the way
			t.Errorf("a verifier to no challenge: answered %d", got)
		}
		if got := call(b.code(r.ask(old)), "code_verifier", ""); got != http.StatusBadRequest {
			t.Errorf("a challenge sent and no verifier: answered %d", got)
		}
		wantTold(t, b.authorize(r.ask(r.spa, "code_challenge", "", "code_challenge_method", "")), "invalid_request") // sec-P07 public
	})
}

func TestTheTokenEndpointReadsOneForm(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		code := func() string { return b.code(r.ask(r.app)) }
		as := basic("app", r.secret)
		twice := func(name string) url.Values {
			form := r.exchangeForm(r.app, code())
			form.Add(name, form.Get(name))
			return form
		}
		for name, w := range map[string]*httptest.ResponseRecorder{
			"no grant_type":                 r.post(tokenPath, r.exchangeForm(r.app, code(), "grant_type", ""), as),
			"no code":                       r.post(tokenPath, r.exchangeForm(r.app, "", "code", ""), as),
			"fosite-10 code twice":          r.post(tokenPath, twice("code"), as),
			"fosite-10 grant_type twice":    r.post(tokenPath, twice("grant_type"), as),
			"fosite-10 verifier twice":      r.post(tokenPath, twice("code_verifier"), as),
			"no refresh token":              r.post(tokenPath, url.Values{"grant_type": {"refresh_token"}}, as),
			"an empty body":                 r.post(tokenPath, nil, as),
			"fosite-22 multipart":           r.post(tokenPath, r.exchangeForm(r.app, code()), as, func(req *http.Request) { req.Header.Set("Content-Type", "multipart/form-data; boundary=x") }),
			"JSON where a form belongs":     r.post(tokenPath, nil, as, func(req *http.Request) { req.Header.Set("Content-Type", "application/json") }),
			"sec-F23 65 KiB":                r.post(tokenPath, url.Values{"x": {strings.Repeat("x", maxForm)}}, as),
			"the query is no part of it":    r.post(tokenPath+"?"+r.exchangeForm(r.app, code()).Encode(), nil, as),
			"a resource that is no address": r.post(tokenPath, r.exchangeForm(r.app, code(), "scope", `a"b`), as),
		} {
			got := decode(t, w)
			if w.Code != http.StatusBadRequest || !slices.Contains([]any{"invalid_request", "invalid_scope"}, got["error"]) {
				t.Errorf("%s: answered %d %v", name, w.Code, got)
			}
		}
		if w := r.get(tokenPath); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("GET answered %d", w.Code)
		}
	})
}
