package oidc

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
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
			{"acr_values that cannot be had", []string{"acr_values", "aal3 aal2"}, "unmet_authentication_requirements"},
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

func TestWhatMayNotBeRedirected(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		two := func(name, value string) url.Values {
			form := r.ask(r.app)
			form.Add(name, value)
			return form
		}
		disabled, _ := r.client("closed", auth.Web, func(c *auth.Client) { c.Disabled = true })
		for _, tt := range []struct {
			name string
			form url.Values
			want string
		}{
			{"sec-P16 unknown client", r.ask(r.app, "client_id", "nobody"), "unknown-application"},
			{"sec-P16 markup for a client", r.ask(r.app, "client_id", "<script>alert(1)</script>"), "unknown-application"},
			{"no client", r.ask(r.app, "client_id", ""), "unknown-application"},
			{"a client twice", two("client_id", "spa"), "unknown-application"},
			{"a disabled client", r.ask(disabled), "unknown-application"},
			{"sec-P16 unknown redirect", r.ask(r.app, "redirect_uri", "https://evil.example/cb"), "unknown-redirect"},
			{"oidc-A2 no redirect, two registered", r.ask(r.app, "redirect_uri", ""), "unknown-redirect"},
			{"oidc-A2 no redirect, one registered", r.ask(r.spa, "redirect_uri", ""), "unknown-redirect"},
			{"a redirect twice", two("redirect_uri", "https://app.example.org/cb"), "unknown-redirect"},
			{"another client's redirect", r.ask(r.app, "redirect_uri", r.spa.RedirectURIs[0]), "unknown-redirect"},
			{"sec-P17 prompt=none", r.ask(r.app, "redirect_uri", "https://evil.example/cb", "prompt", "none"), "unknown-redirect"},
			{"an error elsewhere does not open the way", r.ask(r.app, "redirect_uri", "https://evil.example/cb", "response_type", "token"), "unknown-redirect"},
		} {
			t.Run(tt.name, func(t *testing.T) { wantPage(t, r.browser().authorize(tt.form), tt.want) })
		}
		b := r.browser()
		b.code(r.ask(r.app))
		t.Run("sec-P17 prompt=none with a session", func(t *testing.T) {
			wantPage(t, b.authorize(r.ask(r.app, "redirect_uri", "https://evil.example/cb", "prompt", "none")), "unknown-redirect")
		})
	})
}

// nearMisses of https://app.example.org/cb, each a way in which some provider was once fooled (sec-P12).
func nearMisses() []string {
	const host, path = "app.example.org", "/cb"
	return []string{
		"http://" + host + path, "HTTPS://" + host + path, "https:/" + host + path, "https:" + host + path, "https:///" + host + path,
		"//" + host + path, host + path, path, "https://" + host, "https://" + host + "/", "https://" + host + path + "/",
		"https://" + host + "//cb", "https://" + host + "/./cb", "https://" + host + "/x/../cb", "https://" + host + "/%2e/cb",
		"https://" + host + "/%2e%2e/cb", "https://" + host + "/..;/cb", "https://" + host + "/cb/..", "https://" + host + "/cb/../evil",
		"https://" + host + "/cb%2f..%2fevil", "https://" + host + "/cb%2F", "https://" + host + "/%63b", "https://" + host + "/CB",
		"https://" + host + "/Cb", "https://" + host + "/cb%00", "https://" + host + "/cb\x00", "https://" + host + "/cb%0d%0aSet-Cookie:a=b",
		"https://" + host + "/cb\r\nLocation: https://evil.example", "https://" + host + "/cb\t", "\thttps://" + host + path, " https://" + host + path,
		"https://" + host + path + " ", "https://" + host + path + "?", "https://" + host + path + "?x=1", "https://" + host + path + "#",
		"https://" + host + path + "#x", "https://" + host + path + "#@evil.example", "https://" + host + path + ";x", "https://" + host + path + "&x=1",
		"https://" + host + ":443" + path, "https://" + host + ":8443" + path, "https://" + host + ":" + path, "https://" + host + ":0443" + path,
		"https://" + host + "." + path, "https://" + host + ".evil.example" + path, "https://evil.example/" + host + path,
		"https://evil.example?" + host + path, "https://evil.example#" + host + path, "https://evil" + host + path, "https://x." + host + path,
		"https://example.org" + path, "https://APP.example.org" + path, "https://user@" + host + path, "https://user:pass@" + host + path,
		"https://" + host + "@evil.example" + path, "https://evil.example@" + host + path, "https://" + host + "@" + host + path,
		"https://a@b@" + host + path, "https://evil.example\\@" + host + path, "https://evil.example\\." + host + path,
		"https://" + host + "\\cb", "https:\\\\" + host + "\\cb", "https://аpp.example.org" + path, "https://xn--pp-7iv.example.org" + path,
		"https://app。example。org" + path, "https://[::1]" + path, "https://[fe80::1%25eth0]" + path, "https://2130706433" + path,
		"https://127.0.0.1" + path, "https://" + host + path + "," + "https://evil.example", "https://" + host + path + " https://evil.example",
		"javascript:alert(1)//" + host + path, "data:text/html,<script>alert(1)</script>", "blob:https://" + host + path, "file:///cb",
		"https://" + host + path + strings.Repeat("x", 5<<10),
	}
}

func TestSecP12OnlyTheRegisteredAddress(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		misses := nearMisses()
		if len(misses) < 60 {
			t.Fatalf("%d near misses, want at least 60", len(misses))
		}
		b := r.browser()
		b.code(r.ask(r.app)) // a session, so that nothing else stands in the way
		for _, uri := range misses {
			wantPage(t, b.authorize(r.ask(r.app, "redirect_uri", uri)), "unknown-redirect")
		}
	})
}

func TestSecP12LoopbackPortsOfNativeClients(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		native, _ := r.client("native", auth.Native, func(c *auth.Client) {
			c.RedirectURIs = []string{"http://127.0.0.1/cb", "https://[::1]:1/cb"}
			c.FirstParty = true
		})
		b := r.browser()
		b.code(r.ask(native, "scope", "openid"))
		for _, tt := range []struct {
			uri  string
			good bool
		}{
			{"http://127.0.0.1/cb", true}, {"http://127.0.0.1:51004/cb", true}, {"http://127.0.0.1:1/cb", true},
			{"https://127.0.0.1:51004/cb", false}, {"http://localhost:51004/cb", false}, {"http://evil@127.0.0.1:51004/cb", false}, // fosite-19
			{"http://127.0.0.1:51004/c%62", false}, {"http://127.0.0.1:51004%2Fcb", false}, {"http://127.0.0.1:51004/cb?x", false},
			{"http://127.0.0.1:0/cb", false}, {"http://127.0.0.1:99999/cb", false}, {"http://127.0.0.1:51004.evil.example/cb", false},
			{"http://127.0.0.2:51004/cb", false}, {"http://0.0.0.0:51004/cb", false}, {"http://[::1]:51004/cb", false}, {"https://[::1]:51004/cb", false},
		} {
			a := b.authorize(r.ask(native, "scope", "openid", "redirect_uri", tt.uri))
			if got := a.params.Get("code") != "" && strings.HasPrefix(a.location, tt.uri); got != tt.good {
				t.Errorf("fosite-19 %s: code %v, want %v (%d to %q)", tt.uri, got, tt.good, a.code, a.location)
			}
		}
	})
}

func TestAnApplicationOnADevice(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		native, _ := r.client("native", auth.Native, func(c *auth.Client) {
			c.RedirectURIs, c.FirstParty = []string{"com.example.app:/cb"}, true
		})
		b := r.browser()
		a := b.signIn(b.authorize(r.ask(native, "scope", "openid"))) // RFC 8252 §7.1
		if !strings.HasPrefix(a.location, "com.example.app:/cb?") || a.params.Get("code") == "" || a.page != "hand-off" {
			t.Errorf("answered %d %s to %q", a.code, a.page, a.location)
		}
		a = b.authorize(r.ask(native, "scope", "openid", "response_mode", "form_post"))
		wantTold(t, a, "invalid_request")
		if a.page != "" || !strings.HasPrefix(a.location, "com.example.app:/cb?") {
			t.Errorf("form_post to its scheme: answered %d %s to %q", a.code, a.page, a.location)
		}
	})
}

func TestAStrangersWordsStayOutOfTheLog(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		wantPage(t, r.browser().authorize(r.ask(r.app, "client_id", "a\nforged line")), "unknown-application")
		wantPage(t, r.browser().authorize(r.ask(r.app, "redirect_uri", "https://evil.example")), "unknown-redirect")
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.events) != 2 || r.events[0].Client != "" || r.events[1].Client != "app" {
			t.Errorf("noted %+v", r.events)
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
		r.clock.Move(10 * time.Second)

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
			r.clock.Move(10 * time.Second)
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

func TestPKCEOptional(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		old, secret := r.client("old", auth.Web, func(c *auth.Client) { c.PKCEOptional, c.FirstParty, c.IDTokenAlg = true, true, "ES256" })
		b := r.browser()
		call := func(code string, changes ...string) int {
			return r.post(tokenPath, r.exchangeForm(old, code, changes...), basic("old", secret)).Code
		}
		without := r.ask(old, "code_challenge", "", "code_challenge_method", "")
		if got := call(b.code(without), "code_verifier", ""); got != http.StatusOK {
			t.Errorf("without PKCE: answered %d", got)
		}
		if got := call(b.code(without)); got != http.StatusBadRequest { // RFC 9700 §2.1.1: a challenge taken out on the way
			t.Errorf("a verifier to no challenge: answered %d", got)
		}
		if got := call(b.code(r.ask(old)), "code_verifier", ""); got != http.StatusBadRequest {
			t.Errorf("a challenge sent and no verifier: answered %d", got)
		}
		wantTold(t, b.authorize(r.ask(r.spa, "code_challenge", "", "code_challenge_method", "")), "invalid_request") // sec-P07 public
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
