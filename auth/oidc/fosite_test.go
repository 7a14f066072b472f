package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// The defects of fosite v0.49.0 that lie on the paths of the authorization and token endpoints, each by the number that
// docs/decisions gives it. Those closed by a rule that has a test of its own are named there: fosite-1, 2, 3, 4, 9, 10,
// 22 in token_test.go; 8, 19, 22 in authorize_test.go; 9 in faults_test.go; 16 in claims_test.go.

func TestFosite5NothingAboutTheSignInIsMadeUp(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		b.code(r.ask(r.app))
		signedIn := r.clock.Now()
		r.clock.Add(time.Minute)
		for name, acr := range map[string]string{"none asked": "", "unknown": "urn:mace:gold 0", "known": "aal1", "the weakest of several": "aal2 aal1"} {
			id := claimsOf(t, r.tokensOf(r.app, b.code(r.ask(r.app, "acr_values", acr)))["id_token"])
			if id["acr"] != "aal1" || id["auth_time"] != float64(signedIn.Unix()) || id["rat"] != nil {
				t.Errorf("acr_values %s: acr %v auth_time %v rat %v", name, id["acr"], id["auth_time"], id["rat"])
			}
			if amr, _ := id["amr"].([]any); len(amr) != 1 || amr[0] != "pwd" {
				t.Errorf("amr %v", id["amr"])
			}
		}
	})
}

func TestFosite6RequestObjectsAreNeverIgnored(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		c, _ := r.client("oauth", auth.Web, func(c *auth.Client) { c.Scopes = []string{"profile"} })
		for _, object := range []string{"garbage", "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2V2aWwuZXhhbXBsZSJ9."} {
			wantTold(t, r.browser().authorize(r.ask(c, "scope", "profile", "request", object)), "request_not_supported")
		}
		var asFosite any = client{}
		if _, ok := asFosite.(fosite.OpenIDConnectClient); ok {
			t.Error("fosite would read key sets and request objects of this client")
		}
	})
}

func TestFosite17EveryIDTokenIsMadeAnew(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		first := r.tokensOf(r.app, r.browser().code(r.ask(r.app, "scope", everything)))
		r.clock.Add(time.Minute)
		second := decode(t, r.refresh(r.app, first["refresh_token"].(string)))
		was, is := claimsOf(t, first["id_token"]), claimsOf(t, second["id_token"])
		if is["iat"] != was["iat"].(float64)+60 || is["exp"] != was["exp"].(float64)+60 || is["at_hash"] == was["at_hash"] {
			t.Errorf("first %v, then %v", was, is)
		}
		if a, b := claimsOf(t, first["access_token"]), claimsOf(t, second["access_token"]); a["jti"] == b["jti"] {
			t.Error("two access tokens share a jti")
		}
	})
}

func TestFosite20TokensAreOurs(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		code := r.browser().code(r.ask(r.app, "scope", everything))
		got := r.tokensOf(r.app, code)
		for _, s := range []string{code, got["access_token"].(string), got["refresh_token"].(string)} {
			if strings.Contains(s, "ory_") {
				t.Errorf("%q is made by fosite", s)
			}
		}
		if !strings.HasPrefix(code, "csc_") || len(code) != len("csc_")+43 { // oidc-T1: 256 random bits
			t.Errorf("code %q", code)
		}
	})
}

func TestFosite21And23ItsDefaultsAreOutOfReach(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		ctx, config := t.Context(), r.p.fosite.Config
		for _, secret := range []string{"", "x"} {
			if config.GetSecretsHasher(ctx).Compare(ctx, []byte(secret), []byte(secret)) == nil {
				t.Errorf("fosite takes the secret %q", secret)
			}
		}
		if err := r.p.fosite.Store.SetClientAssertionJWT(ctx, "jti", time.Now()); !errors.Is(err, errOurs) {
			t.Errorf("fosite spends an assertion: %v", err)
		}
		if _, err := r.p.fosite.Store.GetClient(ctx, "app"); err == nil {
			t.Error("fosite finds a client that nobody judged")
		}
		if n := len(config.GetAuthorizeEndpointHandlers(ctx)) + len(config.GetTokenEndpointHandlers(ctx)); n != 5 {
			t.Errorf("%d handlers, want ours alone", n)
		}
		if len(config.GetTokenIntrospectionHandlers(ctx))+len(config.GetRevocationHandlers(ctx)) != 0 {
			t.Error("a handler of fosite's introspects or revokes")
		}
		if _, err := config.GetHTTPClient(ctx).StandardClient().Get("https://example.org"); !errors.Is(err, errNoFetch) {
			t.Errorf("fosite may fetch: %v", err)
		}
	})
}

func TestFosite24ClientCredentialsGrantWhatIsGranted(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		const ledger = "https://ledger.example.org"
		r.update(func(tx *store.Tx) error {
			return storetest.Policy(ctx, tx, storetest.Server("ledger", ledger, "Ledger"), storetest.Scope("ledger", "invoices.read", "Read", "ledger/invoice:read"),
				storetest.Scope("ledger", "invoices.pay", "Pay", "ledger/invoice:pay"), storetest.Role("reader", "ledger/invoice:read"))
		})
		c, secret := r.client("batch", auth.Service, func(c *auth.Client) {
			c.Scopes, c.Resources, c.DefaultResource = []string{"invoices.read", "invoices.pay"}, []string{ledger}, ledger
		})
		r.update(func(tx *store.Tx) error { return storetest.Policy(ctx, tx, storetest.Assign(tx, c.ID, "reader")) })
		ask := func(scope string) map[string]any {
			w := r.post(tokenPath, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}, basic("batch", secret))
			if w.Code != http.StatusOK {
				t.Fatalf("answered %d %s", w.Code, w.Body)
			}
			return decode(t, w)
		}
		got := ask("invoices.read invoices.pay")
		if claims := claimsOf(t, got["access_token"]); got["scope"] != "invoices.read" || claims["scope"] != "invoices.read" || claims["aud"] != ledger {
			t.Errorf("granted %v to %v", got["scope"], claims["aud"])
		}
		if got := ask(""); got["scope"] != nil || claimsOf(t, got["access_token"])["aud"] != testIssuer {
			t.Errorf("without scope: %v", got)
		}
	})
}

func TestFosite25FormPostIsOurPage(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		a := r.browser().authorize(r.ask(r.app, "response_mode", "form_post", "prompt", "none"))
		if a.page != "form-post" || a.params.Get("error") != "login_required" {
			t.Errorf("answered %d %s %v", a.code, a.page, a.params)
		}
	})
}
