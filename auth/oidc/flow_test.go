package oidc

import (
	"net/http"
	"strings"
	"testing"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

func TestASignInEndsInTokens(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		a := b.signIn(b.authorize(r.ask(r.app, "scope", "openid profile email offline_access")))
		if a.page != "hand-off" || a.code != http.StatusOK {
			t.Fatalf("after a form: %d %s, want the hand-off page", a.code, a.page)
		}
		if got := a.params.Get("state"); got != "st4te" || a.params.Get("iss") != testIssuer {
			t.Errorf("state %q iss %q, want them as sent and ours", got, a.params.Get("iss"))
		}
		got := r.tokensOf(r.app, a.params.Get("code"))
		if got["token_type"] != "Bearer" || got["expires_in"] != float64(300) || got["scope"] != "openid profile email offline_access" {
			t.Errorf("token response %v", got)
		}
		if s, _ := got["refresh_token"].(string); !strings.HasPrefix(s, "csr_") {
			t.Errorf("refresh token %q", s)
		}
		id := claimsOf(t, got["id_token"])
		if id["sub"] != string(r.ada.ID) || id["nonce"] != "n0nce" || id["iss"] != testIssuer || id["aud"] != "app" || id["acr"] != "aal1" {
			t.Errorf("ID token %v", id)
		}
	})
}

func TestAFlowOpensInItsOwnBrowserOnly(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		f := b.allow(b.prove(b.flowOf(b.authorize(r.ask(r.app)))))
		thief := r.browser()
		wantPage(t, thief.finish(f.ID, true), auth.ErrFlowGone.Code) // sec-R02
		thief.cookies["__Host-browser"] = "another-browser-another-browser-another-brow"
		wantPage(t, thief.finish(f.ID, true), auth.ErrFlowGone.Code)
		wantPage(t, thief.cancel(f.ID), auth.ErrFlowGone.Code)
		if len(thief.cookies) != 1 {
			t.Errorf("the other browser got cookies %v", thief.cookies)
		}
		if a := b.finish(f.ID, true); a.params.Get("code") == "" {
			t.Fatalf("its own browser: answered %d %s", a.code, a.page)
		}
		wantPage(t, b.finish(f.ID, true), auth.ErrFlowGone.Code) // spent
	})
}

func TestWhatChangedDuringTheSignInCounts(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		by := "local:test"
		b := r.browser()
		f := b.allow(b.prove(b.flowOf(b.authorize(r.ask(r.app)))))
		r.update(func(tx *store.Tx) error {
			c, err := tx.Client(t.Context(), "app")
			if err != nil {
				return err
			}
			c.Scopes = []string{"openid", "profile"}
			_, err = tx.UpdateClient(t.Context(), c)
			return err
		})
		wantTold(t, b.finish(f.ID, true), "invalid_scope")

		f = b.allow(b.prove(b.flowOf(b.authorize(r.ask(r.app, "scope", "openid profile")))))
		r.update(func(tx *store.Tx) error { return auth.SetClientDisabled(t.Context(), tx, by, "app", true) })
		wantPage(t, b.finish(f.ID, true), "unknown-application")
		r.update(func(tx *store.Tx) error { return auth.SetClientDisabled(t.Context(), tx, by, "app", false) })

		f = b.allow(b.prove(b.flowOf(b.authorize(r.ask(r.app, "scope", "openid profile")))))
		r.update(func(tx *store.Tx) error { return auth.Disable(t.Context(), tx, by, r.ada.ID) })
		wantPage(t, b.finish(f.ID, true), auth.ErrSignIn.Code)
		if b.cookies["__Host-session"] != "" {
			t.Error("a disabled account got a session")
		}
		r.update(func(tx *store.Tx) error { return auth.Enable(t.Context(), tx, by, r.ada.ID) })
		wantPage(t, b.finish(f.ID, true), auth.ErrFlowGone.Code) // a refusal spends the flow
	})
}

func TestASignInOfOurOwnEndsAtItsPath(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		b.cookies["__Host-browser"] = strings.Repeat("b", 43)
		var f auth.Flow
		r.update(func(tx *store.Tx) (err error) {
			f, err = r.p.signIn.Begin(t.Context(), tx, auth.Demands{Back: "/account", MaxAge: -1}, web.Hash(b.cookies["__Host-browser"]), auth.Current{})
			if err != nil {
				return err
			}
			f, err = auth.Keep(t.Context(), tx, f)
			return err
		})
		b.prove(f.ID)
		a := b.finish(f.ID, true)
		if a.code != http.StatusSeeOther || a.location != "/account" || b.cookies["__Host-session"] == "" || b.cookies["__Host-device"] == "" {
			t.Errorf("answered %d to %q with cookies %v", a.code, a.location, b.cookies)
		}
	})
}

func TestStrangersCannotFillTheTableOfFlows(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.p.flows = newTap(3)
		for i := range 5 {
			a := r.browser().authorize(r.ask(r.app))
			if i < 3 && a.to() != "/login" {
				t.Errorf("request %d: answered %d to %q", i, a.code, a.location)
			}
			if i >= 3 {
				wantPage(t, a, auth.ErrThrottled.Code)
			}
		}
		wantTold(t, r.browser().authorize(r.ask(r.app, "prompt", "none")), "login_required") // writes nothing, so is not counted
	})
}
