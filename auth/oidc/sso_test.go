package oidc

import (
	"net/http"
	"testing"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

func TestSingleSignOnAnswersAtOnce(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		first, _ := r.client("house", auth.Web, func(c *auth.Client) { c.FirstParty = true })
		b := r.browser()
		b.code(r.ask(r.app))
		token := b.cookies["__Host-session"]

		a := b.authorize(r.ask(first))
		if a.code != http.StatusSeeOther || a.params.Get("code") == "" {
			t.Fatalf("answered %d %s to %q, want a code at once", a.code, a.page, a.location)
		}
		if a := b.authorize(r.ask(r.app, "prompt", "none")); a.params.Get("code") == "" {
			t.Errorf("oidc-A7 prompt=none with session and consent: answered %v", a.params)
		}
		wantTold(t, b.authorize(r.ask(r.spa, "prompt", "none")), "consent_required")
		wantTold(t, b.authorize(r.ask(r.app, "prompt", "none", "scope", "openid phone")), "consent_required")
		if b.cookies["__Host-session"] != token {
			t.Error("a silent answer renewed the session's token")
		}

		r.update(func(tx *store.Tx) error { return auth.Disable(t.Context(), tx, "local:test", r.ada.ID) })
		wantTold(t, b.authorize(r.ask(r.app, "prompt", "none")), "login_required")
	})
}

func TestOidcA8AuthenticationIsAsNewAsAsked(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		b.code(r.ask(r.app))
		session := b.cookies["__Host-session"]
		before := r.clock.Now()
		r.clock.Add(10 * time.Second)

		authTime := func(code string) time.Time {
			id := claimsOf(t, r.tokensOf(r.app, code)["id_token"])
			return time.Unix(int64(id["auth_time"].(float64)), 0).UTC()
		}
		for _, age := range []string{"10", "15000", "2147483647"} {
			if got := authTime(b.code(r.ask(r.app, "max_age", age))); !got.Equal(before) {
				t.Errorf("max_age=%s: auth_time %v, want that of the session, %v", age, got, before)
			}
		}
		for name, changes := range map[string][]string{
			"sec-P47 max_age=1": {"max_age", "1"}, "fosite-5 max_age=0": {"max_age", "0"}, "prompt=login": {"prompt", "login"},
			"prompt=select_account": {"prompt", "select_account"}, "prompt=login consent": {"prompt", "login consent"},
		} {
			a := b.authorize(r.ask(r.app, changes...))
			id := b.flowOf(a)
			if got := b.finish(id, false); got.fault == nil || got.fault.Code != auth.ErrStep.Code {
				t.Errorf("%s: finished without a new proof: %d to %q", name, got.code, got.location)
			}
			// sec-P47 cancelling at the page and going back opens nothing.
			c := b.flowOf(b.authorize(r.ask(r.app, changes...)))
			wantTold(t, b.cancel(c), "access_denied")
			if got := b.finish(c, false); got.fault == nil || got.params.Get("code") != "" {
				t.Errorf("%s: finished after it was cancelled: %d to %q", name, got.code, got.location)
			}
			if got := authTime(b.signIn(a).params.Get("code")); got.Before(r.clock.Now().Truncate(time.Second)) {
				t.Errorf("%s: auth_time %v, want now, %v", name, got, r.clock.Now())
			}
			if b.cookies["__Host-session"] == session {
				t.Errorf("%s: the session kept its token through a new proof", name)
			}
			session = b.cookies["__Host-session"]
			r.clock.Add(10 * time.Second)
		}
		wantTold(t, b.authorize(r.ask(r.app, "prompt", "none", "max_age", "5")), "login_required")
		wantTold(t, b.authorize(r.ask(r.app, "prompt", "none", "max_age", "0")), "login_required")
	})
}

func TestPromptConsentAsksAgain(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		b.code(r.ask(r.app, "scope", "openid profile email offline_access"))
		a := b.authorize(r.ask(r.app, "prompt", "consent", "scope", "openid profile email offline_access"))
		f := b.flowOf(a)
		var step auth.Step
		r.update(func(tx *store.Tx) error {
			got, err := b.flow(tx, f)
			step = got.Next()
			return err
		})
		if step != auth.Allow {
			t.Fatalf("stands at %s, want consent", step)
		}
		var allowed auth.Flow
		r.update(func(tx *store.Tx) (err error) { allowed, err = b.flow(tx, f); return err })
		b.allow(allowed, "email offline_access")
		got := r.tokensOf(r.app, b.finish(f, true).params.Get("code"))
		if got["scope"] != "openid profile" || got["refresh_token"] != nil {
			t.Errorf("scope %v with refresh token %v, want only what was allowed", got["scope"], got["refresh_token"])
		}
	})
}

// flow reads a flow of this browser.
func (b *browser) flow(tx *store.Tx, id auth.FlowID) (auth.Flow, error) {
	return tx.Flow(b.r.t.Context(), id, web.Hash(b.cookies["__Host-browser"]))
}

func TestAnIDTokenHintNamesThePerson(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		hint := r.tokensOf(r.app, b.code(r.ask(r.app)))["id_token"].(string)
		if a := b.authorize(r.ask(r.app, "id_token_hint", hint, "prompt", "none")); a.params.Get("code") == "" {
			t.Errorf("oidc-A7 hint and prompt=none: answered %v", a.params)
		}
		wantTold(t, r.browser().authorize(r.ask(r.app, "id_token_hint", hint, "prompt", "none")), "login_required")
		wantTold(t, b.authorize(r.ask(r.spa, "id_token_hint", hint, "prompt", "none")), "invalid_request")

		other, err := r.keys.Sign("ES256", typID, map[string]any{"iss": testIssuer, "sub": "somebody", "aud": "app", "exp": 1, "sid": "x"})
		if err != nil {
			t.Fatal(err)
		}
		wantTold(t, b.authorize(r.ask(r.app, "id_token_hint", other, "prompt", "none")), "login_required")
		wantTold(t, b.authorize(r.ask(r.app, "claims", `{"id_token":{"sub":{"value":"somebody"}}}`, "prompt", "none")), "login_required")
		if a := b.authorize(r.ask(r.app, "claims", `{"id_token":{"sub":{"value":"`+string(r.ada.ID)+`"}}}`, "prompt", "none")); a.params.Get("code") == "" {
			t.Errorf("the person asked for: answered %v", a.params)
		}
		access := r.tokensOf(r.app, b.code(r.ask(r.app)))["access_token"].(string)
		wantTold(t, b.authorize(r.ask(r.app, "id_token_hint", access)), "invalid_request") // fosite-12, the other way round

		// With the wrong person at the keys the sign-in is refused, not the hint forgotten.
		a := b.authorize(r.ask(r.app, "id_token_hint", other))
		f := b.flowOf(a)
		r.update(func(tx *store.Tx) error {
			got, err := b.flow(tx, f)
			if err == nil && got.WantAccount != "somebody" {
				t.Errorf("wants %q", got.WantAccount)
			}
			return err
		})
	})
}

func TestAHintGoesWithACrossSitePost(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		hint, err := r.keys.Sign("ES256", typID, map[string]any{"iss": testIssuer, "sub": "somebody", "aud": "app", "exp": 1, "sid": "x"})
		if err != nil {
			t.Fatal(err)
		}
		b.code(r.ask(r.app))
		a := b.posts(r.ask(r.app, "id_token_hint", hint, "prompt", "none"), "cross-site")
		wantTold(t, b.get(a.location), "login_required")
		wantTold(t, b.posts(r.ask(r.app, "response_type", "token"), "cross-site"), "unsupported_response_type")
		wantPage(t, b.posts(r.ask(r.app, "redirect_uri", "https://evil.example"), "cross-site"), "unknown-redirect")
	})
}
