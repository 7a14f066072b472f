package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

func TestSecP55OnlyAClientsOwnOriginsRead(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		const own = "https://spa.example.org"
		foreign := []string{
			"https://evil.example", "null", "https://spa.example.org.evil.example", "https://evilspa.example.org", "http://spa.example.org",
			"https://spa.example.org:8443", "https://SPA.example.org", "https://spa.example.org/", "*",
		}
		from := func(origin string) func(*http.Request) {
			return func(req *http.Request) { req.Header.Set("Origin", origin) }
		}
		b := r.browser()
		tokens := r.tokensOf(r.spa, b.code(r.ask(r.spa)))
		bearer := tokens["access_token"].(string)

		calls := map[string]func(origin string) *httptest.ResponseRecorder{
			"token": func(o string) *httptest.ResponseRecorder {
				return r.post(tokenPath, r.exchangeForm(r.spa, b.code(r.ask(r.spa))), from(o))
			},
			"refused": func(o string) *httptest.ResponseRecorder {
				return r.post(tokenPath, r.exchangeForm(r.spa, "csc_x"), from(o))
			},
			"userinfo": func(o string) *httptest.ResponseRecorder { return r.get(userinfoPath, withBearer(bearer), from(o)) },
			"revoke": func(o string) *httptest.ResponseRecorder {
				return r.post(revokePath, url.Values{"client_id": {"spa"}, "token": {"unknown"}}, from(o))
			},
			"preflight": func(o string) *httptest.ResponseRecorder {
				req := httptest.NewRequest(http.MethodOptions, testIssuer+userinfoPath, nil)
				req.Header.Set("Access-Control-Request-Method", "GET")
				req.Header.Set("Access-Control-Request-Headers", "authorization")
				from(o)(req)
				return r.do(req)
			},
		}
		for name, call := range calls {
			w := call(own)
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != own {
				t.Errorf("%s from its own origin: allowed %q (%d %s)", name, got, w.Code, w.Body)
			}
			for _, o := range foreign {
				w := call(o)
				if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
					t.Errorf("%s from %s: allowed %q", name, o, got)
				}
				if !strings.Contains(strings.Join(w.Header().Values("Vary"), ","), "Origin") {
					t.Errorf("%s from %s: does not vary by origin", name, o)
				}
			}
			if call(own).Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s allows credentials", name)
			}
		}
		if w := r.post(tokenPath, r.exchangeForm(r.spa, "csc_x"), from("https://app.example.org")); w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Error("another client's origin reads the answer")
		}
		for _, path := range []string{discoveryPath, metadataPath, jwksPath} {
			if w := r.get(path, from("https://anybody.example")); w.Header().Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: allowed %q, want anybody", path, w.Header().Get("Access-Control-Allow-Origin"))
			}
		}
		if w := r.get(authorizePath+"?"+r.ask(r.spa).Encode(), from(own)); w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Error("a script may read the authorization endpoint")
		}

		r.update(func(tx *store.Tx) error { return auth.SetClientDisabled(t.Context(), tx, "local:test", "spa", true) })
		r.p.origins = &origins{} // as ten seconds later
		if w := calls["preflight"](own); w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Error("a disabled client's origin passes the preflight")
		}
	})
}

func TestOriginOf(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"https://a.example/cb": "https://a.example", "https://a.example:443/cb": "https://a.example", "http://127.0.0.1:80/": "http://127.0.0.1",
		"http://[::1]:9/cb": "http://[::1]:9", "com.example.app:/cb": "", "com.example.app://cb": "", "::": "",
	} {
		if got := originOf(uri); got != want {
			t.Errorf("originOf(%q) = %q, want %q", uri, got, want)
		}
	}
}

func TestEveryRouteSaysWhatItNeeds(t *testing.T) {
	t.Parallel()
	p := &Provider{pages: &seen{}}
	known := map[string]map[string]bool{
		"permission": {"open": true, "client": true, "token": true},
		"csrf":       {"none": true, "safe": true, "own": true},
		"cors":       {"none": true, "any": true, "client": true},
	}
	for _, r := range p.Routes() {
		if !known["permission"][r.Permission] || !known["csrf"][r.CSRF] || !known["cors"][r.CORS] {
			t.Errorf("%+v", r)
		}
		if method, _, ok := strings.Cut(r.Pattern, " "); !ok || method != "GET" && method != "POST" {
			t.Errorf("%q names no method", r.Pattern)
		}
	}
	for _, r := range p.routes() {
		if r.handle == nil || r.show == nil {
			t.Errorf("%s leads nowhere", r.Pattern)
		}
	}
}

func TestWhatIsNotServed(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		for _, path := range []string{"/oauth2/par", "/oauth2/register", "/oauth2/device_authorization", "/connect/register", "/oauth2/check_session", "/oauth2/authorize/", "/oauth2//token", "/OAUTH2/token"} {
			if w := r.post(path, url.Values{"x": {"y"}}); w.Code/100 == 2 {
				t.Errorf("POST %s answered %d", path, w.Code) // sec-P40, P53, P38: no such route
			}
		}
		for _, method := range []string{"PUT", "DELETE", "PATCH", "TRACE"} { // sec-R15
			req := httptest.NewRequest(method, testIssuer+authorizePath+"?"+r.ask(r.app).Encode(), nil)
			req.Header.Set("X-HTTP-Method-Override", "GET")
			if w := r.do(req); w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s answered %d", method, w.Code)
			}
		}
	})
}
