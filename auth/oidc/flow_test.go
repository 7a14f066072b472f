package oidc

import (
	"net/http"
	"strings"
	"testing"
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
