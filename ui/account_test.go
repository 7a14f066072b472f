package ui

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

// sec-K01: the current password is needed. sec-S04: what the old one had opened ends.
func TestAPasswordIsChangedByWhoKnowsIt(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		const fresh = "copper lanterns under slow rivers"
		elsewhere, b := r.browser().signIn(), r.browser().signIn()
		wantPage(t, b.get("/account/password"), 200, `value="noor.haddad" autocomplete="username"`, "At least 15 characters")

		wantPage(t, b.submit("/account/password", "current", "wrong", "password", fresh), http.StatusUnauthorized, "That is not your current password", `id="current-error"`)
		wantPage(t, b.submit("/account/password", "current", passphrase, "password", "short"), http.StatusUnprocessableEntity, "at least 15 characters", `id="password-error"`)
		wantPage(t, b.submit("/account/password", "current", passphrase, "password", "noor.haddad noor.haddad"), http.StatusUnprocessableEntity, `id="password-error"`)
		if n := r.events(audit.PasswordRefused); n != 3 {
			t.Errorf("%d events of refusals, want 3", n)
		}

		old := maps.Clone(b.cookies)
		wantPage(t, b.submit("/account/password", "current", passphrase, "password", fresh), 200, "Password changed")
		if b.cookies["__Host-session"] == old["__Host-session"] {
			t.Error("the session kept its token")
		}
		wantPage(t, b.get("/account"), 200, "Hello, Noor Haddad")
		thief := r.browser()
		thief.cookies = old
		wantPage(t, thief.get("/account"), 200, "to manage your account")
		wantPage(t, elsewhere.get("/account"), 200, "to manage your account")

		after := r.browser()
		after.get("/account")
		after.submit("/login/identify", "username", "noor.haddad")
		wantPage(t, after.submit("/login/password", "password", passphrase), http.StatusUnauthorized)
		wantPage(t, after.submit("/login/password", "password", fresh), 200, "Hello, Noor Haddad")
	})
}

// sec-K07: the change of a password is no way around the account's limit.
func TestGuessingTheCurrentPasswordIsBounded(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser().signIn()
		b.get("/account/password")
		for range 30 {
			b.submit("/account/password", "current", "wrong", "password", "copper lanterns under slow rivers")
		}
		wantPage(t, b.submit("/account/password", "current", passphrase, "password", "copper lanterns under slow rivers"), http.StatusUnauthorized, "That is not your current password")
	})
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		here, phone, third := r.browser().signIn(), r.browser(), r.browser().signIn()
		phone.agent, phone.address = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 Version/26.0 Mobile/15E148 Safari/604.1", "203.0.113.5:1"
		phone.signIn()
		wantPage(t, here.get("/account/sessions"), 200, "Safari on iPhone", "203.0.113.5", "This one", "Sign out all others")
		if n := strings.Count(here.last.body, `action="/account/sessions/end"`); n != 2 {
			t.Errorf("%d sessions can be ended, want 2", n)
		}
		wantPage(t, here.submit("/account/sessions/end"), 200, "That session is signed out")
		wantPage(t, here.submit("/account/sessions/end-others"), 200, "All other sessions are signed out", "This one")
		for _, b := range []*browser{phone, third} {
			wantPage(t, b.get("/account"), 200, "to manage your account")
		}
		wantPage(t, here.get("/account"), 200, "Signed in in 1 browser")
	})
}

// sec-A08: one's own sessions and nobody else's.
func TestNobodyEndsAnothersSession(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b, other := r.browser().signIn(), r.browser()
		r.account("second.person", passphrase)
		other.get("/account")
		other.submit("/login/identify", "username", "second.person")
		other.submit("/login/password", "password", passphrase)
		var theirs auth.SessionID
		r.update(func(tx *store.Tx) error {
			a, err := tx.AccountByName(t.Context(), "second.person")
			if err != nil {
				return err
			}
			all, err := tx.SessionsOf(t.Context(), a.ID)
			theirs = all[0].ID
			return err
		})
		for _, id := range []string{string(theirs), "nothing", "", "'; DROP TABLE sessions"} {
			wantPage(t, b.do("POST", "/account/sessions/end", url.Values{"session": {id}}), http.StatusNotFound, "no-such-session")
		}
		wantPage(t, other.get("/account/sessions"), 200, "This one")
	})
}

func TestSigningOutEndsTheSession(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser().signIn()
		old := maps.Clone(b.cookies)
		a := b.do("POST", "/account/sign-out", url.Values{})
		if a.status != http.StatusSeeOther || a.to() != "/signed-out" || a.header.Get("Clear-Site-Data") != `"cache"` || b.cookies["__Host-session"] != "" {
			t.Errorf("sign-out: %d to %q, %v", a.status, a.to(), a.header)
		}
		wantPage(t, b.get("/signed-out"), 200, "You are signed out")
		b.cookies = old
		wantPage(t, b.get("/account"), 200, "to manage your account")
		if a := b.do("POST", "/account/sign-out", url.Values{}); a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "/login?back=") {
			t.Errorf("signing out twice: %d to %q", a.status, a.to())
		}
	})
}

func TestASessionThatWasIdleIsOver(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser().signIn()
		for range 3 { // use keeps it alive
			r.move(50 * time.Minute)
			wantPage(t, b.get("/account"), 200, "Hello, Noor Haddad")
		}
		r.move(61 * time.Minute)
		wantPage(t, b.get("/account"), 200, "to manage your account")
	})
}

func TestADisabledAccountsPagesAreClosed(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser().signIn()
		r.update(func(tx *store.Tx) error { return auth.Disable(t.Context(), tx, "local:test", r.noor.ID) })
		wantPage(t, b.get("/account"), 200, "to manage your account")
	})
}

// sec-R07: what applications and people call themselves.
func TestNamesFromOutsideAreShownAsText(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		const name = `<img src=x onerror=alert(1)>"'`
		c := auth.NewClient("evil", name, auth.SPA)
		c.RedirectURIs, c.Scopes, c.FirstParty = []string{"https://evil.example/cb"}, []string{"openid", "profile"}, false
		r.app, _ = r.client(c)
		b := r.browser()
		b.agent = name
		b.get(r.authorize("scope", "openid profile", "login_hint", name, "ui_locales", name, "state", name))
		check := func() {
			t.Helper()
			if strings.Contains(b.last.body, "<img src=x") {
				t.Errorf("%s shows markup", b.at)
			}
		}
		check()
		b.submit("/login/identify", "username", "<img")
		check()
		b.submit("/login/restart")
		b.submit("/login/identify", "username", "noor.haddad")
		b.submit("/login/password", "password", passphrase)
		check()
		b.submit("/login/consent")
		check()
		for _, path := range []string{"/account", "/account/apps", "/account/sessions"} {
			b.get(path)
			check()
		}
	})
}
