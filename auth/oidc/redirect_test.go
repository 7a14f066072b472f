package oidc

import (
	"net/url"
	"strings"
	"testing"

	"github.com/countersign-id/countersign/auth"
)

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
