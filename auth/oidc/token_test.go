package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

const everything = "openid profile email offline_access"

// works reports whether userinfo still answers to an access token.
func (r *rig) works(access any) bool {
	r.t.Helper()
	return r.get(userinfoPath, withBearer(access.(string))).Code == http.StatusOK
}

func TestSecP01ACodeIsUsedOnce(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		code := r.browser().code(r.ask(r.app, "scope", everything))
		first := r.tokensOf(r.app, code)
		if !r.works(first["access_token"]) {
			t.Fatal("the access token does not work")
		}
		// RFC 6749 §4.1.2: the second use is refused and ends what the first gave.
		wantError(t, r.tokenCall(r.app, r.exchangeForm(r.app, code)), http.StatusBadRequest, "invalid_grant")
		if r.works(first["access_token"]) {
			t.Error("the access token survived a second use of its code")
		}
		wantError(t, r.refresh(r.app, first["refresh_token"].(string)), http.StatusBadRequest, "invalid_grant")
		if n := len(r.eventsOf(audit.GrantReused)); n != 1 {
			t.Errorf("%d reuse events, want 1", n)
		}
	})
}

func TestSecP04P05P08WhatBurnsACode(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		other, otherSecret := r.client("rival", auth.Web, func(c *auth.Client) { c.RedirectURIs = r.app.RedirectURIs })
		pub, _ := r.client("pub", auth.SPA, func(c *auth.Client) { c.RedirectURIs = r.app.RedirectURIs })
		b := r.browser()
		for _, tt := range []struct {
			name    string
			changes []string
			as      string // who sends it
		}{
			{"sec-P04 another confidential client", nil, "rival"},
			{"sec-P04 a public client", []string{"client_id", "pub"}, "pub"},
			{"sec-P05 another address of the client", []string{"redirect_uri", r.app.RedirectURIs[1]}, ""},
			{"sec-P05 no address", []string{"redirect_uri", ""}, ""},
			{"sec-P05 the address encoded otherwise", []string{"redirect_uri", "https://app.example.org/%63b"}, ""},
			{"sec-P08 no verifier", []string{"code_verifier", ""}, ""},
			{"sec-P08 a wrong verifier", []string{"code_verifier", strings.Repeat("w", 43)}, ""},
			{"sec-P08 42 characters", []string{"code_verifier", verifier[:42]}, ""},
			{"sec-P08 129 characters", []string{"code_verifier", strings.Repeat("v", 129)}, ""},
			{"sec-P08 an illegal character", []string{"code_verifier", verifier + "!"}, ""},
			{"sec-P08 the challenge for a verifier", []string{"code_verifier", challengeOf(verifier)}, ""},
		} {
			t.Run(tt.name, func(t *testing.T) {
				code := b.code(r.ask(r.app))
				form := r.exchangeForm(r.app, code, tt.changes...)
				var w *httptest.ResponseRecorder
				switch tt.as {
				case "rival":
					w = r.post(tokenPath, form, basic("rival", otherSecret))
				case "pub":
					w = r.post(tokenPath, form)
				default:
					w = r.tokenCall(r.app, form)
				}
				wantError(t, w, http.StatusBadRequest, "invalid_grant")
				// fosite-1 a failed attempt burns the code: the next may be right and is refused all the same.
				wantError(t, r.tokenCall(r.app, r.exchangeForm(r.app, code)), http.StatusBadRequest, "invalid_grant")
			})
		}
		t.Run("public to public", func(t *testing.T) {
			code := b.code(r.ask(r.spa))
			wantError(t, r.tokenCall(pub, r.exchangeForm(pub, code, "redirect_uri", r.spa.RedirectURIs[0])), http.StatusBadRequest, "invalid_grant")
		})
		t.Run("a code that is over", func(t *testing.T) {
			code := b.code(r.ask(r.app))
			r.clock.Move(60 * time.Second)
			wantError(t, r.tokenCall(r.app, r.exchangeForm(r.app, code)), http.StatusBadRequest, "invalid_grant")
		})
		_ = other
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

func TestSecP29AUsedRefreshTokenEndsItsFamily(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		first := r.tokensOf(r.app, r.browser().code(r.ask(r.app, "scope", everything)))
		old := first["refresh_token"].(string)
		w := r.refresh(r.app, old)
		second := decode(t, w)
		if w.Code != http.StatusOK || second["refresh_token"] == old || second["refresh_token"] == nil {
			t.Fatalf("refresh answered %d %v", w.Code, second)
		}
		id := claimsOf(t, second["id_token"])
		was := claimsOf(t, first["id_token"])
		for _, name := range []string{"sub", "iss", "aud", "auth_time", "acr", "sid"} { // OpenID Connect Core §12.2
			if id[name] != was[name] {
				t.Errorf("oidc-T5 %s is %v, was %v", name, id[name], was[name])
			}
		}
		if id["nonce"] != nil {
			t.Errorf("a refreshed ID token holds a nonce: %v", id)
		}

		wantError(t, r.refresh(r.app, old), http.StatusBadRequest, "invalid_grant")
		wantError(t, r.refresh(r.app, second["refresh_token"].(string)), http.StatusBadRequest, "invalid_grant")
		if r.works(first["access_token"]) || r.works(second["access_token"]) {
			t.Error("an access token of the family still works")
		}
		if n := len(r.eventsOf(audit.GrantReused)); n != 1 {
			t.Errorf("%d reuse events, want 1", n)
		}
	})
}

func TestSecP34ARefreshGivesNoMoreThanWasGranted(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		get := func() string {
			return r.tokensOf(r.app, b.code(r.ask(r.app, "scope", everything)))["refresh_token"].(string)
		}
		t.Run("fosite-4 a narrower scope", func(t *testing.T) {
			got := decode(t, r.refresh(r.app, get(), "scope", "openid email"))
			if got["scope"] != "openid email" || claimsOf(t, got["access_token"])["scope"] != "openid email" {
				t.Errorf("answered %v", got)
			}
			// RFC 6749 §6: the refresh token keeps what was granted.
			if again := decode(t, r.refresh(r.app, got["refresh_token"].(string))); again["scope"] != everything {
				t.Errorf("then answered %v", again)
			}
		})
		t.Run("a wider scope", func(t *testing.T) {
			token := get()
			wantError(t, r.refresh(r.app, token, "scope", everything+" phone"), http.StatusBadRequest, "invalid_scope")
			if w := r.refresh(r.app, token); w.Code != http.StatusOK {
				t.Errorf("a wrong scope cost the refresh token: %s", w.Body)
			}
		})
		t.Run("sec-P51 an audience added", func(t *testing.T) {
			wantError(t, r.refresh(r.app, get(), "resource", "https://payroll.example.org"), http.StatusBadRequest, "invalid_target")
		})
		t.Run("another client", func(t *testing.T) {
			token := get()
			wantError(t, r.refresh(r.spa, token), http.StatusBadRequest, "invalid_grant")
			wantError(t, r.refresh(r.app, token), http.StatusBadRequest, "invalid_grant") // it leaked
		})
		t.Run("what is not one", func(t *testing.T) {
			for _, bad := range []string{"x", "csr_", "csr_" + strings.Repeat("A", 91), get() + "A", strings.ToUpper(get())} {
				wantError(t, r.refresh(r.app, bad), http.StatusBadRequest, "invalid_grant")
			}
		})
		if n := r.coalesced(audit.GrantRefused); n == 0 {
			t.Error("no refusal of an unknown token was handed to the coalescer")
		}
	})
}

func TestSecP35RefreshingEnds(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		short, secret := r.client("short", auth.Web, func(c *auth.Client) {
			c.FirstParty, c.IDTokenAlg = true, "ES256"
			c.Lifetimes = auth.Lifetimes{RefreshIdle: 10 * time.Minute, RefreshAbsolute: time.Hour}
		})
		call := func(token string) *httptest.ResponseRecorder {
			return r.post(tokenPath, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, basic("short", secret))
		}
		start := func() string {
			w := r.post(tokenPath, r.exchangeForm(short, r.browser().code(r.ask(short, "scope", everything))), basic("short", secret))
			return decode(t, w)["refresh_token"].(string)
		}
		token := start()
		for range 6 { // used all the time, and over after an hour all the same
			r.clock.Move(9*time.Minute + 59*time.Second)
			w := call(token)
			if w.Code != http.StatusOK {
				t.Fatalf("refresh answered %s", w.Body)
			}
			token = decode(t, w)["refresh_token"].(string)
		}
		r.clock.Move(6 * time.Second)
		wantError(t, call(token), http.StatusBadRequest, "invalid_grant")

		token = start()
		r.clock.Move(10 * time.Minute)
		wantError(t, call(token), http.StatusBadRequest, "invalid_grant")
	})
}

func TestSecP36WithdrawnTrustIssuesNothing(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		ctx, by := t.Context(), "local:test"
		for _, tt := range []struct {
			name     string
			withdraw func(tx *store.Tx) error
			restore  func(tx *store.Tx) error
			want     []string
		}{
			{"account disabled", func(tx *store.Tx) error { return auth.Disable(ctx, tx, by, r.ada.ID) },
				func(tx *store.Tx) error { return auth.Enable(ctx, tx, by, r.ada.ID) }, []string{"invalid_grant"}},
			{"password set anew", func(tx *store.Tx) error { return auth.SetPassword(ctx, tx, by, r.ada.ID, "$argon2id$ada") },
				func(*store.Tx) error { return nil }, []string{"invalid_grant"}},
			{"consent withdrawn", func(tx *store.Tx) error { return auth.Withdraw(ctx, tx, by, r.ada.ID, "app") },
				func(*store.Tx) error { return nil }, []string{"invalid_grant"}},
			{"client disabled", func(tx *store.Tx) error { return auth.SetClientDisabled(ctx, tx, by, "app", true) },
				func(tx *store.Tx) error { return auth.SetClientDisabled(ctx, tx, by, "app", false) }, []string{"invalid_client"}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				b := r.browser()
				tokens := r.tokensOf(r.app, b.code(r.ask(r.app, "scope", everything)))
				code := b.code(r.ask(r.app))
				r.update(tt.withdraw)
				status := http.StatusBadRequest
				if tt.want[0] == "invalid_client" {
					status = http.StatusUnauthorized
				}
				wantError(t, r.tokenCall(r.app, r.exchangeForm(r.app, code)), status, tt.want[0])
				wantError(t, r.refresh(r.app, tokens["refresh_token"].(string)), status, tt.want[0])
				if r.works(tokens["access_token"]) {
					t.Error("userinfo still answers")
				}
				r.update(tt.restore)
				if w := r.refresh(r.app, tokens["refresh_token"].(string)); w.Code == http.StatusOK {
					t.Error("what was ended came back")
				}
			})
		}
		t.Run("a scope taken from the client", func(t *testing.T) {
			tokens := r.tokensOf(r.app, r.browser().code(r.ask(r.app, "scope", everything)))
			r.update(func(tx *store.Tx) error {
				c, err := tx.Client(ctx, "app")
				if err != nil {
					return err
				}
				c.Scopes = []string{"openid", "offline_access"}
				_, err = tx.UpdateClient(ctx, c)
				return err
			})
			got := decode(t, r.refresh(r.app, tokens["refresh_token"].(string)))
			if got["scope"] != "openid offline_access" {
				t.Errorf("refreshed to %v", got["scope"])
			}
		})
	})
}

func TestResourcesAndRights(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		ctx, by := t.Context(), "local:test"
		const ledger = "https://ledger.example.org"
		r.update(func(tx *store.Tx) error {
			err := rbac.AddServer(ctx, tx, by, rbac.ResourceServer{Audience: ledger, Title: "Ledger", Scopes: []rbac.Scope{
				{Name: "invoices.read", Title: "Read invoices", Permission: "ledger/invoice:read"},
				{Name: "invoices.pay", Title: "Pay invoices", Permission: "ledger/invoice:pay"},
			}})
			if err != nil {
				return err
			}
			if err := rbac.AddRole(ctx, tx, by, rbac.PlainRole{Name: "clerk", Title: "Clerk", Permissions: []string{"ledger/invoice:read"}}); err != nil {
				return err
			}
			return rbac.AssignRole(ctx, tx, by, string(r.ada.Person), "clerk")
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

// racers sends the same form as many at once and returns how they were answered.
func (r *rig) racers(n int, form url.Values) (won, lost, other int) {
	body := form.Encode()
	handler := r.p.Handler()
	codes := make([]int, n)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range n {
		done.Go(func() {
			req := httptest.NewRequest(http.MethodPost, testIssuer+tokenPath, strings.NewReader(body))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			basic("app", r.secret)(req)
			w := httptest.NewRecorder()
			start.Wait()
			handler.ServeHTTP(w, req)
			codes[i] = w.Code
			if w.Code == http.StatusBadRequest && !strings.Contains(w.Body.String(), `"invalid_grant"`) {
				codes[i] = -1
			}
		})
	}
	start.Done()
	done.Wait()
	for _, c := range codes {
		switch c {
		case http.StatusOK:
			won++
		case http.StatusBadRequest:
			lost++
		default:
			other++
		}
	}
	return won, lost, other
}

// rounds of 20 at once; fewer where a quick look is wanted.
func rounds() int {
	if testing.Short() {
		return 10
	}
	return 200
}

func TestSecP02OneCodeManyRacers(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		b.code(r.ask(r.app))
		for i := range rounds() {
			won, lost, other := r.racers(20, r.exchangeForm(r.app, b.code(r.ask(r.app))))
			if won > 1 || other > 0 { // fosite-2 a loser gets invalid_grant, never a 500
				t.Fatalf("round %d: %d won, %d lost, %d answered otherwise", i, won, lost, other)
			}
			if won == 0 {
				t.Fatalf("round %d: nobody won", i)
			}
		}
	})
}

func TestSecP30OneRefreshTokenManyRacers(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		for i := range rounds() {
			token := r.tokensOf(r.app, b.code(r.ask(r.app, "scope", "openid offline_access")))["refresh_token"].(string)
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
			won, lost, other := r.racers(20, form)
			if won > 1 || other > 0 { // fosite-3
				t.Fatalf("round %d: %d won, %d lost, %d answered otherwise", i, won, lost, other)
			}
		}
	})
}
