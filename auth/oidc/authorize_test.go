package oidc

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
)

func TestWhatAnApplicationIsTold(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		for _, tt := range []struct {
			name    string
			changes []string
			want    string
		}{
			{"sec-P07 no challenge, confidential client", []string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
			{"sec-P09 plain", []string{"code_challenge_method", "plain"}, "invalid_request"},
			{"sec-P09 method absent means plain", []string{"code_challenge_method", ""}, "invalid_request"},
			{"sec-P09 s256 is not S256", []string{"code_challenge_method", "s256"}, "invalid_request"},
			{"sec-P09 none", []string{"code_challenge_method", "none"}, "invalid_request"},
			{"a method without challenge", []string{"code_challenge", ""}, "invalid_request"},
			{"a challenge that is no SHA-256", []string{"code_challenge", "short"}, "invalid_request"},
			{"sec-P19 token", []string{"response_type", "token"}, "unsupported_response_type"},
			{"sec-P19 id_token token", []string{"response_type", "id_token token"}, "unsupported_response_type"},
			{"sec-P19 code token", []string{"response_type", "code token"}, "unsupported_response_type"},
			{"sec-P19 code id_token", []string{"response_type", "code id_token"}, "unsupported_response_type"},
			{"oidc-A3 no response_type", []string{"response_type", ""}, "unsupported_response_type"},
			{"unknown response_mode", []string{"response_mode", "web_message"}, "invalid_request"},
			{"sec-P49 unknown scope", []string{"scope", "openid payroll"}, "invalid_scope"},
			{"sec-P49 a scope twice", []string{"scope", "openid profile openid"}, "invalid_scope"},
			{"sec-P49 a scope with a quote", []string{"scope", `openid "x"`}, "invalid_scope"},
			{"sec-P49 10 000 scopes", []string{"scope", "openid" + strings.Repeat(" a", 10_000)}, "invalid_scope"},
			{"no scope", []string{"scope", ""}, "invalid_scope"},
			{"oidc-A12 request", []string{"request", "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"},
			{"oidc-A12 request_uri", []string{"request_uri", "https://app.example.org/r"}, "request_uri_not_supported"},
			{"a pushed request_uri is no exception", []string{"request_uri", "urn:ietf:params:oauth:request_uri:x"}, "request_uri_not_supported"},
			{"registration", []string{"registration", "{}"}, "registration_not_supported"},
			{"none with another prompt", []string{"prompt", "none login"}, "invalid_request"},
			{"an unknown prompt", []string{"prompt", "create"}, "invalid_request"},
			{"negative max_age", []string{"max_age", "-1"}, "invalid_request"},
			{"garbage max_age", []string{"max_age", "1h"}, "invalid_request"},
			{"fractional max_age", []string{"max_age", "1.5"}, "invalid_request"},
			{"endless max_age", []string{"max_age", "99999999999999999999"}, "invalid_request"},
			{"claims that are no object", []string{"claims", `["name"]`}, "invalid_request"},
			{"claims that are no JSON", []string{"claims", `{"userinfo":`}, "invalid_request"},
			{"claims without end", []string{"claims", `{"userinfo":{"name":{"value":"` + strings.Repeat("x", maxClaims) + `"}}}`}, "invalid_request"},
			{"a nonce of 5 KiB", []string{"nonce", strings.Repeat("n", 5<<10)}, "invalid_request"},
			{"a nonce with a line break", []string{"nonce", "a\r\nb"}, "invalid_request"},
			{"a hint that is no token", []string{"id_token_hint", "garbage"}, "invalid_request"},
			{"sec-P51 a resource not the client's", []string{"resource", "https://payroll.example.org"}, "invalid_target"},
			{"sec-P51 a resource with fragment", []string{"resource", "https://api.example.org/#x"}, "invalid_target"},
			{"sec-P51 a relative resource", []string{"resource", "api"}, "invalid_target"},
			{"acr_values that cannot be had without passkeys", []string{"acr_values", "aal3 phr"}, "unmet_authentication_requirements"},
			{"an essential acr that is unknown", []string{"claims", `{"id_token":{"acr":{"essential":true,"values":["urn:mace:gold"]}}}`}, "unmet_authentication_requirements"},
			{"prompt=none without session", []string{"prompt", "none"}, "login_required"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				a := r.browser().authorize(r.ask(r.app, tt.changes...))
				wantTold(t, a, tt.want)
				if a.to() != r.app.RedirectURIs[0] || a.params.Get("state") != "st4te" || a.code != http.StatusSeeOther {
					t.Errorf("answered %d to %q with state %q", a.code, a.to(), a.params.Get("state"))
				}
				for name := range a.params { // oidc-A4
					if !slices.Contains([]string{"error", "error_description", "state", "iss"}, name) {
						t.Errorf("an error response holds %s", name)
					}
				}
				if strings.ContainsFunc(a.params.Get("error_description"), func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' }) {
					t.Errorf("oidc-A4 error_description %q", a.params.Get("error_description"))
				}
			})
		}
		if n := r.coalesced(audit.AuthorizeRefused); n == 0 {
			t.Error("no refusal was handed to the coalescer")
		}
	})
}

func TestTheAnswerGoesWhereAndHowItWasAsked(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		b.code(r.ask(r.app))
		t.Run("query", func(t *testing.T) {
			a := b.authorize(r.ask(r.app))
			if a.code != http.StatusSeeOther || !strings.HasPrefix(a.location, "https://app.example.org/cb?") || a.params.Get("code") == "" {
				t.Errorf("answered %d to %q", a.code, a.location)
			}
		})
		t.Run("fragment", func(t *testing.T) {
			a := b.authorize(r.ask(r.app, "response_mode", "fragment"))
			if !strings.HasPrefix(a.location, "https://app.example.org/cb#") || a.params.Get("code") == "" {
				t.Errorf("answered to %q", a.location)
			}
		})
		t.Run("oidc-A5 form_post", func(t *testing.T) {
			a := b.authorize(r.ask(r.app, "response_mode", "form_post"))
			if a.page != "form-post" || a.location != r.app.RedirectURIs[0] || a.params.Get("code") == "" || a.params.Get("iss") != testIssuer {
				t.Errorf("answered %s to %q with %v", a.page, a.location, a.params)
			}
		})
		t.Run("oidc-A5 form_post of a refusal", func(t *testing.T) {
			a := b.authorize(r.ask(r.app, "response_mode", "form_post", "response_type", "token"))
			if a.page != "form-post" || a.params.Get("error") != "unsupported_response_type" {
				t.Errorf("answered %s with %v", a.page, a.params)
			}
		})
		t.Run("oidc-A2 the address keeps its query, byte for byte", func(t *testing.T) {
			a := b.authorize(r.ask(r.app, "redirect_uri", r.app.RedirectURIs[1]))
			if !strings.HasPrefix(a.location, "https://app.example.org/other?kept=a%20b&c=&") || a.params.Get("code") == "" {
				t.Errorf("answered to %q", a.location)
			}
		})
		t.Run("fosite-8 state is optional", func(t *testing.T) {
			a := b.authorize(r.ask(r.app, "state", ""))
			if a.params.Get("code") == "" || a.params.Has("state") {
				t.Errorf("answered %v", a.params)
			}
		})
		for name, state := range map[string]string{
			"fosite-8 one character": "x", "sec-P22 markup": `"><script>alert('1')</script>`, "sec-P22 4 KiB": strings.Repeat("s", 4<<10),
			"sec-P22 signs": "a+b c&d=e%20%#?/\\", "sec-P22 beyond ASCII": "státe \u2028 状态",
		} {
			t.Run(name, func(t *testing.T) {
				for _, mode := range []string{"query", "fragment", "form_post"} {
					if a := b.authorize(r.ask(r.app, "state", state, "response_mode", mode)); a.params.Get("state") != state || a.params.Get("code") == "" {
						t.Errorf("%s: state %q came back as %q", mode, state, a.params.Get("state"))
					}
				}
			})
		}
		for name, state := range map[string]string{"sec-P22 5 KiB": strings.Repeat("s", 5<<10), "sec-P22 CRLF": "a\r\nSet-Cookie: b"} {
			t.Run(name, func(t *testing.T) {
				a := b.authorize(r.ask(r.app, "state", state))
				wantTold(t, a, "invalid_request")
				if a.params.Has("state") {
					t.Errorf("state %q came back", a.params.Get("state"))
				}
			})
		}
		t.Run("sec-P22 duplicates", func(t *testing.T) {
			for _, name := range []string{"state", "nonce", "scope", "response_type", "code_challenge", "prompt", "response_mode", "max_age"} {
				form := r.ask(r.app)
				form.Add(name, "first")
				form.Add(name, "second")
				wantTold(t, b.authorize(form), "invalid_request")
			}
		})
		t.Run("oidc-A1 unknown parameters are ignored, also twice", func(t *testing.T) {
			form := r.ask(r.app)
			form["foo"] = []string{"1", "2"}
			if a := b.authorize(form); a.params.Get("code") == "" {
				t.Errorf("answered %v", a.params)
			}
		})
		t.Run("oidc-A9 advice never errs", func(t *testing.T) {
			for _, display := range []string{"page", "popup", "touch", "wap", "hologram"} {
				a := b.authorize(r.ask(r.app, "display", display, "ui_locales", "se zz-ZZ", "claims_locales", "se", "login_hint", strings.Repeat("l", 3000), "acr_values", "1 2 urn:x"))
				if a.params.Get("code") == "" {
					t.Errorf("%s: answered %v", display, a.params)
				}
			}
		})
		t.Run("sec-R15 HEAD changes nothing", func(t *testing.T) {
			a := b.serve(httptest.NewRequest(http.MethodHead, testIssuer+authorizePath+"?"+r.ask(r.app).Encode(), nil), r.p.Handler())
			if a.code != http.StatusMethodNotAllowed {
				t.Errorf("HEAD answered %d", a.code)
			}
		})
	})
}

func TestUnreadableRequestsStayHere(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		send := func(method, target, media, body string, change ...func(*http.Request)) answer {
			req := httptest.NewRequest(method, testIssuer+target, strings.NewReader(body))
			if media != "" {
				req.Header.Set("Content-Type", media)
			}
			for _, c := range change {
				c(req)
			}
			return r.browser().serve(req, r.p.Handler())
		}
		form := r.ask(r.app).Encode()
		urlencoded := "application/x-www-form-urlencoded"
		gzip := func(req *http.Request) { req.Header.Set("Content-Encoding", "gzip") }
		for name, a := range map[string]answer{
			"JSON where a form belongs":      send("POST", authorizePath, "application/json", `{"client_id":"app"}`),
			"fosite-22 multipart":            send("POST", authorizePath, "multipart/form-data; boundary=x", "--x\r\n\r\n--x--"),
			"no media type":                  send("POST", authorizePath, "", form),
			"sec-F23 a compressed body":      send("POST", authorizePath, urlencoded, form, gzip),
			"sec-F23 a body of 65 KiB":       send("POST", authorizePath, urlencoded, form+"&x="+strings.Repeat("x", maxForm)),
			"sec-F23 a query of 65 KiB":      send("GET", authorizePath+"?"+form+"&x="+strings.Repeat("x", maxForm), "", ""),
			"sec-F23 10 000 fields":          send("GET", authorizePath+"?"+form+strings.Repeat("&a=", 10_000), "", ""),
			"sec-F23 300 fields":             send("GET", authorizePath+"?"+form+strings.Repeat("&a=", 300), "", ""),
			"broken percent-encoding":        send("GET", authorizePath+"?"+form+"&x=%zz", "", ""),
			"the query of a POST is nothing": send("POST", authorizePath+"?"+form, urlencoded, ""),
		} {
			if a.page != "fault" || a.code/100 != 4 || a.location != "" {
				t.Errorf("%s: answered %d %s to %q", name, a.code, a.page, a.location)
			}
		}
		if a := send("POST", authorizePath, urlencoded+"; charset=UTF-8", form); a.to() != "/login" {
			t.Errorf("a charset: answered %d to %q, want a sign-in", a.code, a.location)
		}
	})
}

func TestOidcA1PostFromHereAndFromElsewhere(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		b.code(r.ask(r.app))
		if a := b.posts(r.ask(r.app), "same-origin"); a.params.Get("code") == "" {
			t.Errorf("a POST of our own: answered %d to %q, want a code", a.code, a.location)
		}

		before := r.grants()
		for _, prompt := range []string{"", "none"} {
			a := b.posts(r.ask(r.app, "prompt", prompt), "cross-site")
			if a.code != http.StatusSeeOther || !strings.HasPrefix(a.location, authorizePath+"?posted=") {
				t.Fatalf("a cross-site POST: answered %d to %q, want a GET of ours", a.code, a.location)
			}
			if len(a.header.Values("Set-Cookie")) != 0 || r.grants() != before {
				t.Error("sec-R01 a cross-site POST changed something")
			}
			for range 2 { // a reload does no harm
				if got := b.get(a.location); got.params.Get("code") == "" || got.params.Get("state") != "st4te" {
					t.Errorf("the GET that follows: answered %d to %q", got.code, got.location)
				}
				before++
			}
		}
		for _, bad := range []string{"x", "~", "019a0000-0000-7000-8000-000000000000~x"} {
			wantPage(t, b.get(authorizePath+"?posted="+bad), "request-expired")
		}
	})
}

// grants counts the codes that were handed out.
func (r *rig) grants() int { r.t.Helper(); return len(r.eventsOf(audit.GrantStarted)) }

func TestDiscoveryPromisesWhatIsServed(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		b.code(r.ask(r.app))
		var m metadata
		if err := json.Unmarshal(r.get(discoveryPath).Body.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		for parameter, values := range map[string][]string{
			"response_mode": m.ResponseModes, "response_type": m.ResponseTypes, "prompt": m.Prompts, "display": m.Displays,
			"code_challenge_method": m.Challenges, "acr_values": m.ACRs,
		} {
			for _, v := range values {
				if a := b.authorize(r.ask(r.app, parameter, v)); a.params.Has("error") || a.page == "fault" {
					t.Errorf("%s=%s: answered %d %s %v", parameter, v, a.code, a.page, a.params)
				}
			}
		}
		for _, scope := range m.Scopes {
			if !auth.IdentityScope(scope) {
				t.Errorf("scope %s is promised and unknown", scope)
			}
		}
		if m.RequestParameter || m.RequestURI || !m.IssInResponse || !m.ClaimsParameter {
			t.Errorf("promises %+v", m)
		}
	})
}

func TestSecP22TheNonceComesBackExactly(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		b := r.browser()
		for _, nonce := range []string{"n", `"><script>`, "+%2B %&=", "ñ 状态", strings.Repeat("n", 4<<10)} {
			if id := claimsOf(t, r.tokensOf(r.app, b.code(r.ask(r.app, "nonce", nonce)))["id_token"]); id["nonce"] != nonce {
				t.Errorf("nonce %q came back as %q", nonce, id["nonce"])
			}
		}
		id := claimsOf(t, r.tokensOf(r.app, b.code(r.ask(r.app, "nonce", "")))["id_token"])
		if _, ok := id["nonce"]; ok { // oidc-A6
			t.Errorf("a nonce that was not sent: %v", id["nonce"])
		}
	})
}
