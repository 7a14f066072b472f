package oidc

import (
	"net/url"
	"strings"
	"testing"
)

// I22: what a request says for people to read, and is too long to be read, is not kept in the row of its sign-in.
func TestWhatIsNotReadIsNotKept(t *testing.T) {
	t.Parallel()
	form := func(name, v string) url.Values {
		return url.Values{"client_id": {"app"}, "redirect_uri": {"https://app.example.org/cb"}, "response_type": {"code"}, name: {v}}
	}
	for _, name := range []string{"login_hint", "acr_values", "ui_locales", "display"} {
		q, err := parseRequest(form(name, strings.Repeat("\x80", 60_000)))
		if err != nil {
			t.Fatal(err)
		}
		if q.form.Has(name) || len(q.form.Encode()) > 1000 {
			t.Errorf("%s: %d bytes are kept", name, len(q.form.Encode()))
		}
	}
	q, err := parseRequest(form("login_hint", "ada"))
	if err != nil || q.form.Get("login_hint") != "ada" {
		t.Errorf("a login_hint as people have it: %q, %v", q.form.Get("login_hint"), err)
	}
}
