package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
)

// leaves opens the logout endpoint as the browser of cookie.
func (e *ends) leaves(cookie string, params url.Values) *httptest.ResponseRecorder {
	e.t.Helper()
	e.pages.last = ""
	return e.get(logoutPath+"?"+params.Encode(), withCookie(cookie))
}

// oidc-L2: with a hint for the session of this browser, and a registered address.
func TestOidcL2Logout(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		ada := e.account("ada")
		c, _ := e.client("app", auth.Web, func(c *auth.Client) {
			c.PostLogoutURIs = append(c.PostLogoutURIs, "https://app.example.org/out?kept=a%20b")
		})
		state := strings.Repeat("s&= +%", 20)
		for _, tt := range []struct {
			name, uri, state, want string
			change                 func(url.Values)
		}{
			{"with state", c.PostLogoutURIs[0], state, c.PostLogoutURIs[0] + "?" + url.Values{"state": {state}}.Encode(), nil},
			{"without state", c.PostLogoutURIs[0], "", c.PostLogoutURIs[0], nil},
			{"an address with a query", c.PostLogoutURIs[1], "x", c.PostLogoutURIs[1] + "&state=x", nil},
			{"with client_id", c.PostLogoutURIs[0], "", c.PostLogoutURIs[0], func(v url.Values) { v.Set("client_id", "app") }},
			{"with a hint that expired", c.PostLogoutURIs[0], "", c.PostLogoutURIs[0], func(url.Values) { e.clock.Add(20 * time.Minute) }},
		} {
			s, cookie := e.signedIn(ada)
			got := e.issue(c, s, "openid", "offline_access")
			params := url.Values{"id_token_hint": {got.id}, "post_logout_redirect_uri": {tt.uri}}
			if tt.state != "" {
				params.Set("state", tt.state)
			}
			if tt.change != nil {
				tt.change(params)
			}
			w := e.leaves(cookie, params)
			if w.Code != http.StatusSeeOther || w.Header().Get("Location") != tt.want {
				t.Errorf("oidc-L2 %s: %d to %q, want %q", tt.name, w.Code, w.Header().Get("Location"), tt.want)
			}
			if e.live(s.ID) {
				t.Errorf("oidc-L2 %s: the session lives on", tt.name)
			}
			if got := w.Header().Get("Clear-Site-Data"); got != `"cache"` {
				t.Errorf("%s: Clear-Site-Data %q", tt.name, got)
			}
			if got := w.Header().Get("Set-Cookie"); !strings.HasPrefix(got, "__Host-session=;") || !strings.Contains(got, "Max-Age=0") {
				t.Errorf("%s: the cookie is not dropped: %q", tt.name, got)
			}
			// Once more, when there is no session: the way back is still good.
			if w := e.leaves(cookie, params); w.Code != http.StatusSeeOther || w.Header().Get("Location") != tt.want {
				t.Errorf("%s, again: %d to %q", tt.name, w.Code, w.Header().Get("Location"))
			}
		}
		if n := len(e.eventsOf(audit.SessionEnded)); n != 5 {
			t.Errorf("%d events session.ended, want 5", n)
		}
		if n := e.coalesced(audit.LogoutRefused); n != 0 {
			t.Errorf("%d events logout.refused, want none", n)
		}
	})
}

// What ends with a session and what survives it (settled: refresh tokens of clients set so).
func TestLogoutEndsWhatHangsOnTheSession(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		ada := e.account("ada")
		s, cookie := e.signedIn(ada)
		offline, secret := e.client("offline", auth.Web, nil)
		bound, boundSecret := e.client("bound", auth.Web, func(c *auth.Client) { c.RefreshEndsWith = auth.EndsWithSession })
		kept, ended := e.issue(offline, s, "openid", "offline_access"), e.issue(bound, s, "openid", "offline_access")
		e.leaves(cookie, url.Values{"id_token_hint": {kept.id}})
		if e.live(s.ID) || e.pages.last != "signed-out" {
			t.Errorf("the session lives on, page %q", e.pages.last)
		}
		if decode(t, e.introspects(kept.refresh, "offline", secret))["active"] != true {
			t.Error("an offline grant ended with the session")
		}
		for _, token := range []string{ended.refresh, ended.bearer} {
			if decode(t, e.introspects(token, "bound", boundSecret))["active"] != false {
				t.Error("a grant bound to the session survived it")
			}
		}
	})
}

// oidc-L3, sec-P45: no way back, and nothing ended without asking.
func TestSecP45OidcL3LogoutAsks(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		ada, eve := e.account("ada"), e.account("eve")
		c, _ := e.client("app", auth.Web, nil)
		other, _ := e.client("other", auth.Web, nil)
		s, cookie := e.signedIn(ada)
		elsewhere, _ := e.signedIn(ada)
		stranger, _ := e.signedIn(eve)
		mine := e.issue(c, s, "openid")
		good := c.PostLogoutURIs[0]
		claims := func(change func(map[string]any)) string {
			m := e.idClaims(c, s)
			change(m)
			return mustSign(t, e.keys, "RS256", typID, m)
		}
		for _, tt := range []struct {
			name    string
			params  url.Values
			refused bool // the request itself was at fault
		}{
			{"nothing", nil, false},
			{"state alone", url.Values{"state": {"x"}}, false},
			{"client_id alone", url.Values{"client_id": {"app"}}, false},
			{"an address without a hint", url.Values{"post_logout_redirect_uri": {good}}, true},
			{"an address and client_id, no hint", url.Values{"post_logout_redirect_uri": {good}, "client_id": {"app"}}, false},
			{"an address not registered", url.Values{"id_token_hint": {mine.id}, "post_logout_redirect_uri": {"https://evil.example.org/"}}, true},
			{"another client's address", url.Values{"id_token_hint": {mine.id}, "post_logout_redirect_uri": {other.PostLogoutURIs[0]}}, true},
			{"the address with a query", url.Values{"id_token_hint": {mine.id}, "post_logout_redirect_uri": {good + "?x=1"}}, true},
			{"the address with a slash", url.Values{"id_token_hint": {mine.id}, "post_logout_redirect_uri": {good + "/"}}, true},
			{"the address with a fragment", url.Values{"id_token_hint": {mine.id}, "post_logout_redirect_uri": {good + "#x"}}, true},
			{"the address in another case", url.Values{"id_token_hint": {mine.id}, "post_logout_redirect_uri": {strings.ToUpper(good)}}, true},
			{"a redirect address in its place", url.Values{"id_token_hint": {mine.id}, "post_logout_redirect_uri": {c.RedirectURIs[0]}}, true},
			{"a script", url.Values{"id_token_hint": {mine.id}, "post_logout_redirect_uri": {"javascript:alert(1)"}}, true},
			{"a state with a line break", url.Values{"id_token_hint": {mine.id}, "post_logout_redirect_uri": {good}, "state": {"a\r\nb"}}, true},
			{"a hint and another client_id", url.Values{"id_token_hint": {mine.id}, "client_id": {"other"}, "post_logout_redirect_uri": {other.PostLogoutURIs[0]}}, true},
			{"an unknown client_id", url.Values{"client_id": {"nobody"}}, true},
			{"an access token as a hint", url.Values{"id_token_hint": {mine.bearer}, "post_logout_redirect_uri": {good}}, true},
			{"another session of the same person", url.Values{"id_token_hint": {claims(func(m map[string]any) { m["sid"] = string(elsewhere.ID) })}}, false},
			{"another person's session", url.Values{"id_token_hint": {claims(func(m map[string]any) { m["sid"], m["sub"] = string(stranger.ID), string(eve.ID) })}}, false},
			{"our session, another person", url.Values{"id_token_hint": {claims(func(m map[string]any) { m["sub"] = string(eve.ID) })}}, false},
			{"a hint without sid", url.Values{"id_token_hint": {claims(func(m map[string]any) { delete(m, "sid") })}}, false},
			{"a hint of another issuer", url.Values{"id_token_hint": {claims(func(m map[string]any) { m["iss"] = "https://other.example.org" })}}, true},
			{"a hint without exp", url.Values{"id_token_hint": {claims(func(m map[string]any) { delete(m, "exp") })}}, true},
		} {
			before := e.coalesced(audit.LogoutRefused)
			w := e.leaves(cookie, tt.params)
			if w.Code != http.StatusOK || e.pages.last != "confirm" || w.Header().Get("Location") != "" {
				t.Errorf("oidc-L3 %s: %d, page %q, to %q; want the confirmation page", tt.name, w.Code, e.pages.last, w.Header().Get("Location"))
				continue
			}
			if e.pages.prompt.Account.ID != ada.ID || e.pages.prompt.Action != logoutPath {
				t.Errorf("%s: asks %+v", tt.name, e.pages.prompt)
			}
			if got := e.coalesced(audit.LogoutRefused) > before; got != tt.refused {
				t.Errorf("sec-P45 %s: event logout.refused %t, want %t", tt.name, got, tt.refused)
			}
			// Yes ends the session, and still goes nowhere that it may not.
			form := e.pages.prompt.Fields
			fresh, freshCookie := e.signedIn(ada)
			e.post(logoutPath, form, withCookie(freshCookie), sameOrigin)
			if e.live(fresh.ID) {
				t.Errorf("%s: yes did not end the session", tt.name)
			}
			if e.pages.last == "hand-off" && e.pages.location != good {
				t.Errorf("oidc-L3 %s: handed to %q", tt.name, e.pages.location)
			}
			if tt.refused && e.pages.last != "signed-out" {
				t.Errorf("oidc-L3 %s: after yes page %q to %q, want the signed-out page", tt.name, e.pages.last, e.pages.location)
			}
		}
		if !e.live(s.ID) {
			t.Error("sec-P45 the session was ended without asking")
		}
		// A parameter given twice is no request at all.
		if w := e.leaves(cookie, url.Values{"state": {"a", "b"}}); w.Code != http.StatusBadRequest || e.pages.last != "fault" {
			t.Errorf("state twice: %d %q, want our error page", w.Code, e.pages.last)
		}
	})
}

func sameOrigin(r *http.Request) {
	r.Header.Set("Origin", testIssuer)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
}

func crossSite(r *http.Request) {
	r.Header.Set("Origin", "https://app.example.org")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
}

// RP-Initiated Logout §2 by POST: another site's comes back as a GET and changes nothing.
func TestSecP45LogoutByPost(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		ada := e.account("ada")
		c, _ := e.client("app", auth.Web, nil)
		s, cookie := e.signedIn(ada)
		mine := e.issue(c, s, "openid")
		form := url.Values{"id_token_hint": {mine.id}, "post_logout_redirect_uri": {c.PostLogoutURIs[0]}, "state": {"x y"}, "x": {"dropped"}}

		e.pages.last = ""
		for _, site := range []string{"cross-site", "same-site"} {
			for _, confirmed := range []string{"", "yes"} {
				form.Set(confirmField, confirmed)
				w := e.post(logoutPath, form, withCookie(cookie), crossSite, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", site) })
				to, err := url.Parse(w.Header().Get("Location"))
				if err != nil || w.Code != http.StatusSeeOther || to.Path != logoutPath || to.Host != "" {
					t.Fatalf("sec-P45 a %s POST: %d to %q", site, w.Code, to)
				}
				if q := to.Query(); q.Get("state") != "x y" || q.Get("id_token_hint") != mine.id || q.Has(confirmField) || q.Has("x") {
					t.Errorf("a %s POST goes on with %v", site, q)
				}
				if !e.live(s.ID) || e.pages.last != "" || w.Header().Get("Set-Cookie") != "" {
					t.Errorf("sec-P45 a %s POST changed something", site)
				}
			}
		}
		// A browser that says nothing of its origin sends no Lax cookie with another site's form either.
		if w := e.post(logoutPath, form); w.Code != http.StatusOK || e.pages.last != "hand-off" || !e.live(s.ID) {
			t.Errorf("without cookies: %d %q", w.Code, e.pages.last)
		}
		big := url.Values{"id_token_hint": {strings.Repeat("a", 20<<10)}}
		if w := e.post(logoutPath, big, crossSite); w.Code != http.StatusBadRequest {
			t.Errorf("a cross-site POST of 20 KB: %d, want 400", w.Code)
		}

		// Ours: the hint is enough, and the way back is a page, because browsers stop redirects after a form.
		form.Del(confirmField)
		w := e.post(logoutPath, form, withCookie(cookie), sameOrigin)
		if w.Code != http.StatusOK || e.pages.last != "hand-off" || e.pages.location != c.PostLogoutURIs[0]+"?state=x+y" || e.pages.client.ID != "app" {
			t.Errorf("our POST: %d %q to %q", w.Code, e.pages.last, e.pages.location)
		}
		if e.live(s.ID) {
			t.Error("our POST did not end the session")
		}

		// Ours, without a hint: asked first, also by POST; another GET does not confirm.
		s, cookie = e.signedIn(ada)
		e.post(logoutPath, url.Values{}, withCookie(cookie), sameOrigin)
		if e.pages.last != "confirm" || !e.live(s.ID) {
			t.Errorf("our POST without a hint: page %q", e.pages.last)
		}
		e.leaves(cookie, url.Values{confirmField: {"yes"}})
		if e.pages.last != "confirm" || !e.live(s.ID) {
			t.Errorf("sec-P45 a GET confirmed: page %q", e.pages.last)
		}
		// An address believed by client_id alone is a link, never a redirect (oidc-L3).
		e.post(logoutPath, url.Values{confirmField: {"yes"}, "client_id": {"app"}, "post_logout_redirect_uri": {c.PostLogoutURIs[0]}}, withCookie(cookie), sameOrigin)
		if e.pages.last != "signed-out" || e.pages.location != c.PostLogoutURIs[0] || e.live(s.ID) {
			t.Errorf("yes: page %q with link %q", e.pages.last, e.pages.location)
		}
	})
}

// Nobody is signed in: nothing to end, nothing to ask.
func TestLogoutWithoutASession(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		for _, cookie := range []string{"", "unknown"} {
			w := e.leaves(cookie, nil)
			if w.Code != http.StatusOK || e.pages.last != "signed-out" || e.pages.location != "" {
				t.Errorf("cookie %q: %d %q", cookie, w.Code, e.pages.last)
			}
		}
		// sec-P45: an image on another site's page brings no Lax cookie; its answer must not end the session by taking it away.
		if w := e.get(logoutPath); w.Header().Get("Set-Cookie") != "" || w.Header().Get("Clear-Site-Data") != "" {
			t.Errorf("a request without the cookie is answered with %v", w.Header())
		}
		s, cookie := e.signedIn(e.account("ada"))
		e.clock.Add(2 * time.Hour)
		if w := e.leaves(cookie, nil); w.Code != http.StatusOK || e.pages.last != "signed-out" {
			t.Errorf("a session past its idle end: %d %q", w.Code, e.pages.last)
		}
		_ = s
		if w := e.do(httptest.NewRequest(http.MethodHead, testIssuer+logoutPath, nil)); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("HEAD: %d, want 405", w.Code)
		}
	})
}
