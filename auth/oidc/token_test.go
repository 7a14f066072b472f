package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/web"
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
			r.clock.Add(60 * time.Second)
			wantError(t, r.tokenCall(r.app, r.exchangeForm(r.app, code)), http.StatusBadRequest, "invalid_grant")
		})
		_ = other
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
			r.clock.Add(9*time.Minute + 59*time.Second)
			w := call(token)
			if w.Code != http.StatusOK {
				t.Fatalf("refresh answered %s", w.Body)
			}
			token = decode(t, w)["refresh_token"].(string)
		}
		r.clock.Add(6 * time.Second)
		wantError(t, call(token), http.StatusBadRequest, "invalid_grant")

		token = start()
		r.clock.Add(10 * time.Minute)
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

func TestALostResponseWithinTheLeeway(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		c, secret := r.client("lossy", auth.Web, func(c *auth.Client) {
			c.FirstParty, c.IDTokenAlg, c.RefreshLeeway = true, "ES256", 10*time.Second
		})
		call := func(token any) (map[string]any, int) {
			w := r.post(tokenPath, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.(string)}}, basic("lossy", secret))
			return decode(t, w), w.Code
		}
		start := func() any {
			w := r.post(tokenPath, r.exchangeForm(c, r.browser().code(r.ask(c, "scope", everything))), basic("lossy", secret))
			return decode(t, w)["refresh_token"]
		}

		first := start()
		lost, _ := call(first) // this response never arrives
		r.clock.Add(9 * time.Second)
		retried, code := call(first)
		if code != http.StatusOK || retried["refresh_token"] == lost["refresh_token"] {
			t.Fatalf("a retry within the leeway: %d %v", code, retried)
		}
		if next, code := call(retried["refresh_token"]); code != http.StatusOK {
			t.Errorf("the successor of the retry: %d %v", code, next)
		}
		if _, code := call(lost["refresh_token"]); code != http.StatusBadRequest {
			t.Error("the successor that nobody claimed works beside the other")
		}

		first = start()
		call(first)
		r.clock.Add(10 * time.Second)
		if got, code := call(first); code != http.StatusBadRequest || got["error"] != "invalid_grant" {
			t.Errorf("a retry after the leeway: %d %v", code, got)
		}
	})
}

func TestAClientThatDoesNotRotate(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		c, secret := r.client("keeper", auth.Web, func(c *auth.Client) { c.FirstParty, c.IDTokenAlg, c.NoRotation = true, "ES256", true })
		w := r.post(tokenPath, r.exchangeForm(c, r.browser().code(r.ask(c, "scope", everything))), basic("keeper", secret))
		token := decode(t, w)["refresh_token"].(string)
		for range 3 {
			w := r.post(tokenPath, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, basic("keeper", secret))
			if got := decode(t, w); w.Code != http.StatusOK || got["refresh_token"] != nil && got["refresh_token"] != token {
				t.Errorf("answered %d %v", w.Code, got)
			}
		}
	})
}

func TestSecP36ASessionThatEndsTakesItsCodesAlong(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		tokens := r.tokensOf(r.spa, b.code(r.ask(r.spa, "scope", "openid offline_access")))
		offline := r.tokensOf(r.app, b.code(r.ask(r.app, "scope", "openid offline_access")))
		code := b.code(r.ask(r.app))
		r.update(func(tx *store.Tx) error {
			cur, _, err := auth.Resume(t.Context(), tx, web.Hash(b.cookies["__Host-session"]))
			if err != nil {
				return err
			}
			return auth.SignOut(t.Context(), tx, "account:"+string(r.ada.ID), cur.Session, auth.Origin{})
		})
		wantError(t, r.tokenCall(r.app, r.exchangeForm(r.app, code)), http.StatusBadRequest, "invalid_grant")
		wantError(t, r.refresh(r.spa, tokens["refresh_token"].(string)), http.StatusBadRequest, "invalid_grant") // ends with the session
		if w := r.refresh(r.app, offline["refresh_token"].(string)); w.Code != http.StatusOK {                   // offline: survives it (sec-S03)
			t.Errorf("offline access ended with the session: %s", w.Body)
		}
		wantTold(t, b.authorize(r.ask(r.app, "prompt", "none")), "login_required")
	})
}
