package ui

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

// empty runs a test on deployments without accounts.
func empty(t *testing.T, test func(t *testing.T, r *house, token string)) {
	t.Helper()
	eachWith(t, false, func(t *testing.T, r *house) {
		var token auth.Secret
		r.update(func(tx *store.Tx) (err error) {
			token, err = auth.OfferSetup(t.Context(), tx, "system", time.Hour)
			return err
		})
		test(t, r, string(token))
	})
}

func TestTheSetUpLinkMakesOneAdministrator(t *testing.T) {
	empty(t, func(t *testing.T, r *house, token string) {
		b := r.browser()
		a := b.do("GET", "/setup?token="+token, nil)
		if a.status != http.StatusSeeOther || a.to() != "/setup" {
			t.Fatalf("the link answers %d to %q, want the address without the token", a.status, a.to())
		}
		wantPage(t, b.get("/setup"), 200, "Create the first administrator", `autocomplete="new-password"`)
		wantPage(t, b.get("/setup"), 200) // looking spends nothing
		if strings.Contains(b.last.body, token) {
			t.Error("the page shows the token")
		}
		fill := func(name, email, pw string) answer {
			return b.submit("/setup", "username", name, "name", "Ingrid Solberg", "email", email, "password", pw)
		}
		wantPage(t, fill("ingrid", "ingrid@northwind.example", "short"), http.StatusUnprocessableEntity, `id="password-error"`, `value="ingrid"`)
		wantPage(t, fill("in grid", "ingrid@northwind.example", passphrase), http.StatusUnprocessableEntity, `id="username-error"`)
		wantPage(t, fill("ingrid", "no address", passphrase), http.StatusUnprocessableEntity, `id="email-error"`)
		wantPage(t, fill("ingrid", "ingrid@northwind.example", passphrase), 200, "to manage your account")

		b.submit("/login/identify", "username", "ingrid")
		// An administrator needs a second factor from the first day.
		wantPage(t, b.submit("/login/password", "password", passphrase), 200, "Protect your account")
		b.enrolsCode()
		wantPage(t, b.last, 200, "Hello, Ingrid Solberg")
		again := r.browser()
		wantPage(t, again.get("/setup?token="+token), http.StatusGone, "does not work any more")
		if r.events(audit.SetupCompleted) != 1 {
			t.Errorf("%d events of the set-up", r.events(audit.SetupCompleted))
		}
	})
}

func TestNobodySetsUpWithoutTheLink(t *testing.T) {
	empty(t, func(t *testing.T, r *house, token string) {
		for _, guess := range []string{"", "cst_x", token + "x", strings.ToUpper(token), strings.Repeat("x", 5000)} {
			b, before := r.browser(), r.hasher.Runs()
			if guess != "" {
				b.do("GET", "/setup?token="+guess, nil)
			}
			wantPage(t, b.do("GET", "/setup", nil), http.StatusGone, "setup-link-invalid")
			wantPage(t, b.do("POST", "/setup", map[string][]string{"username": {"eve"}, "name": {"Eve"}, "email": {"e@e.example"}, "password": {passphrase}}), http.StatusGone)
			if r.hasher.Runs() != before {
				t.Error("a stranger had a password hashed")
			}
		}
		if len(r.strays) == 0 || r.strays[0].Kind != audit.SetupRefused {
			t.Errorf("strays %v, want refused set-ups", r.strays)
		}
		r.move(2 * time.Hour)
		late := r.browser()
		wantPage(t, late.get("/setup?token="+token), http.StatusGone)
	})
}

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil {
		t.Error("a server of nothing was made")
	}
	if _, err := NewPages(Site{}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("pages without a host were made")
	}
}
