package auth_test

import (
	"strings"
	"testing"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
)

// nearMisses are addresses that look like https://app.example.org/cb to somebody: a parser, a browser, a tired eye.
var nearMisses = []string{
	"https://app.example.org/cb/", "https://app.example.org/cb//", "https://app.example.org//cb", "https://app.example.org/./cb",
	"https://app.example.org/x/../cb", "https://app.example.org/cb/..", "https://app.example.org/cb/.", "https://app.example.org/cb;",
	"https://app.example.org/cb/..;/", "https://app.example.org/..;/cb", "https://app.example.org/cb;x=1", "https://app.example.org/%63b",
	"https://app.example.org/cb%2f", "https://app.example.org/%2e/cb", "https://app.example.org/%2e%2e/cb", "https://app.example.org/cb%00",
	"https://app.example.org/cb%0d%0aSet-Cookie:x=1", "https://app.example.org/cb?", "https://app.example.org/cb?x=1",
	"https://app.example.org/cb#", "https://app.example.org/cb#x", "https://app.example.org/cb%23", "https://app.example.org/cb&x",
	"https://app.example.org/CB", "https://APP.example.org/cb", "HTTPS://app.example.org/cb", "Https://app.example.org/cb",
	"https:/app.example.org/cb", "https:app.example.org/cb", "https:///app.example.org/cb", "https:\\\\app.example.org\\cb",
	"https://app.example.org\\cb", "https://app.example.org/\\cb", "https://app.example.org\\@evil.example/cb",
	"//app.example.org/cb", "/cb", "app.example.org/cb", "http://app.example.org/cb", "ftp://app.example.org/cb",
	"https://app.example.org:443/cb", "https://app.example.org:/cb", "https://app.example.org:0443/cb", "https://app.example.org:8443/cb",
	"https://app.example.org./cb", "https://app.example.org../cb", "https://.app.example.org/cb", "https://app.example.orgg/cb",
	"https://app.example.org.evil.example/cb", "https://evil-app.example.org/cb", "https://evil.app.example.org/cb",
	"https://appxexample.org/cb", "https://evil.example/https://app.example.org/cb", "https://evil.example/app.example.org/cb",
	"https://evil.example?https://app.example.org/cb", "https://evil.example#https://app.example.org/cb",
	"https://user@app.example.org/cb", "https://user:pass@app.example.org/cb", "https://@app.example.org/cb",
	"https://app.example.org@evil.example/cb", "https://app.example.org%40evil.example/cb", "https://a@b@app.example.org/cb",
	"https://app.example.org%2fcb", "https://app.example.org%00.evil.example/cb", "https://app.example.org/cb\x00", "\x00https://app.example.org/cb",
	" https://app.example.org/cb", "https://app.example.org/cb ", "https://app.example.org/cb\t", "https://app.exa\tmple.org/cb",
	"https://app.example.org/cb\r\n", "https://app.example.org/c\nb", "https://app.example.org/cb\u200b", "https://app.example.org/cb\u00a0",
	"https://\u0430pp.example.org/cb", "https://app\u3002example.org/cb", "https://app.example.org\u2215cb", "https://xn--pp-6kc.example.org/cb",
	"https://app。example。org/cb", "https://1249763844/cb", "https://[::ffff:192.0.2.1]/cb", "https://[fe80::1%25eth0]/cb", "https://app.example.org/c\u0062\u0301",
	"", "https://", "https://app.example.org", "javascript://app.example.org/cb", "data:https://app.example.org/cb",
}

// sec-P12: only the registered bytes are the registered address.
func TestMatchRedirectNearMisses(t *testing.T) {
	t.Parallel()
	if len(nearMisses) < 60 {
		t.Fatalf("%d near misses, want 60 and more", len(nearMisses))
	}
	for _, kind := range []auth.ClientKind{auth.Web, auth.SPA, auth.Native} {
		c := auth.Client{Kind: kind, RedirectURIs: []string{"https://app.example.org/cb"}}
		for _, uri := range nearMisses {
			if c.MatchRedirect(uri) {
				t.Errorf("sec-P12 %s: %q passes", kind, uri)
			}
		}
		if !c.MatchRedirect("https://app.example.org/cb") {
			t.Errorf("%s: the registered address does not pass", kind)
		}
	}
}

// RFC 8252 §7.3: a native application takes any port at a registered loopback address, and nothing else may differ.
func TestMatchRedirectLoopback(t *testing.T) {
	t.Parallel()
	uris := []string{"http://127.0.0.1/cb", "http://[::1]:7000/cb?x=1", "http://localhost:7000/cb"}
	for _, tt := range []struct {
		uri string
		ok  bool
	}{
		{"http://127.0.0.1/cb", true}, {"http://127.0.0.1:1/cb", true}, {"http://127.0.0.1:65535/cb", true},
		{"http://[::1]/cb?x=1", true}, {"http://[::1]:9000/cb?x=1", true}, {"http://localhost:7000/cb", true},

		{"http://127.0.0.1:0/cb", false}, {"http://127.0.0.1:65536/cb", false}, {"http://127.0.0.1:080/cb", false}, {"http://127.0.0.1:/cb", false},
		{"http://127.0.0.1:+80/cb", false}, {"http://127.0.0.1:80 /cb", false}, {"http://127.0.0.1:80:80/cb", false}, {"http://127.0.0.1:80@evil.example/cb", false},
		{"http://127.0.0.1:80.evil.example/cb", false}, {"http://127.0.0.1.evil.example/cb", false}, {"http://127.0.0.1@evil.example/cb", false},
		{"http://127.0.0.1:x@evil.example/cb", false}, {"http://127.0.0.1\\cb", false}, {"http://127.0.0.1#/cb", false},
		{"http://127.0.0.2/cb", false}, {"http://127.1/cb", false}, {"http://0x7f.1/cb", false}, {"http://2130706433/cb", false}, {"http://0.0.0.0/cb", false},
		{"http://127.0.0.1/cb/", false}, {"http://127.0.0.1/cb?x=1", false}, {"http://127.0.0.1:80/cb#x", false}, {"http://127.0.0.1:80", false},
		{"https://127.0.0.1/cb", false}, {"http://[::1]/cb", false}, {"http://[::1%25lo]/cb?x=1", false}, {"http://[0:0:0:0:0:0:0:1]/cb?x=1", false},
		{"http://[::ffff:127.0.0.1]/cb?x=1", false}, {"http://localhost/cb", false}, {"http://localhost:7001/cb", false}, {"http://LOCALHOST:7000/cb", false},
	} {
		native := auth.Client{Kind: auth.Native, RedirectURIs: uris}
		if got := native.MatchRedirect(tt.uri); got != tt.ok {
			t.Errorf("native: MatchRedirect(%q) = %v, want %v", tt.uri, got, tt.ok)
		}
		exact := false
		for _, u := range uris {
			exact = exact || u == tt.uri
		}
		web := auth.Client{Kind: auth.Web, RedirectURIs: uris}
		if got := web.MatchRedirect(tt.uri); got != exact {
			t.Errorf("web: MatchRedirect(%q) = %v, want %v: ports are part of the address", tt.uri, got, exact)
		}
	}
}

// An address that Check would never have let in does not widen either.
func TestMatchRedirectOddRegistration(t *testing.T) {
	t.Parallel()
	for own, uri := range map[string]string{
		"http://127.0.0.1.evil.example/cb":  "http://127.0.0.1:80.evil.example/cb",
		"http://127.0.0.1@evil.example/cb":  "http://127.0.0.1:80@evil.example/cb",
		"http://[::1].evil.example/cb":      "http://[::1]:80.evil.example/cb",
		"http://127.0.0.1:x@evil.example/c": "http://127.0.0.1:1:x@evil.example/c",
	} {
		c := auth.Client{Kind: auth.Native, RedirectURIs: []string{own}}
		if c.MatchRedirect(uri) {
			t.Errorf("%q passes for %q", uri, own)
		}
	}
}

// FuzzMatchRedirect holds against an oracle that knows no parser: what passes is registered, or a loopback address with the port cut out.
func FuzzMatchRedirect(f *testing.F) {
	for _, s := range append(nearMisses, "http://127.0.0.1:8080/cb", "http://[::1]:1/cb") {
		f.Add(s)
	}
	c := auth.Client{Kind: auth.Native, RedirectURIs: []string{"https://app.example.org/cb", "http://127.0.0.1/cb", "http://[::1]/cb"}}
	f.Fuzz(func(t *testing.T, uri string) {
		if !c.MatchRedirect(uri) {
			return
		}
		for _, own := range c.RedirectURIs {
			if uri == own {
				return
			}
		}
		host, port, ok := strings.Cut(strings.TrimSuffix(uri, "/cb"), ":")
		if !ok || host != "http" {
			t.Fatalf("%q passes", uri)
		}
		port = port[strings.LastIndexByte(port, ':')+1:]
		if strings.Trim(port, "0123456789") != "" || uri != "http://127.0.0.1:"+port+"/cb" && uri != "http://[::1]:"+port+"/cb" {
			t.Fatalf("%q passes", uri)
		}
	})
}

// sec-P14: no address with a dangerous scheme or form is registered, in any field of a client.
func TestRegisteredAddresses(t *testing.T) {
	t.Parallel()
	fields := map[string]func(*auth.Client, string){
		"redirect_uri":             func(c *auth.Client, u string) { c.RedirectURIs = []string{u} },
		"post_logout_redirect_uri": func(c *auth.Client, u string) { c.PostLogoutURIs = []string{u} },
		"client_uri":               func(c *auth.Client, u string) { c.URI = u },
		"logo_uri":                 func(c *auth.Client, u string) { c.LogoURI = u },
		"policy_uri":               func(c *auth.Client, u string) { c.PolicyURI = u },
		"tos_uri":                  func(c *auth.Client, u string) { c.TosURI = u },
		"jwks_uri":                 func(c *auth.Client, u string) { c.AuthMethod, c.JWKSURI = auth.AuthPrivateKeyJWT, u },
	}
	bad := []string{
		"javascript:alert(1)", "JavaScript:alert(1)", "\tjavascript:alert(1)", "java\tscript:alert(1)", "javascript://app.example.org/%0aalert(1)",
		"data:text/html,x", "DATA:text/html,x", "vbscript:x", "file:///etc/passwd", "FILE:///etc/passwd", "blob:https://x/y", "about:blank",
		"view-source:https://x", "ftp://app.example.org/cb", "ws://app.example.org", "mailto:x@example.org", "intent://x#Intent;end",
		" https://app.example.org/cb", "https://app.example.org/cb ", "https://app.example.org/c\\b", "https:\\\\app.example.org",
		"https://user@app.example.org/cb", "https://user:pw@app.example.org/cb", "https://app.example.org/cb#frag", "https://app.example.org/cb#",
		"https://app.example.org/\x00", "https://app.example.org/\r\nx", "https:/app.example.org/cb", "https:app.example.org", "https://", "https:///cb",
		"HTTPS://app.example.org/cb", "https://APP.example.org/cb", "https://app.example.org:0/cb", "https://app.example.org:99999/cb", "https://app.example.org:/cb",
		"https://app.example.org/../cb", "https://app.example.org/./cb", "https://app.example.org/%2e%2e/cb", "https://\u0430pp.example.org/cb",
		"https://app.example.org/<script>", "https://app.example.org/\"", "//app.example.org/cb", "/cb", "cb", "https://app.example.org/" + strings.Repeat("x", 2048),
		"https://[fe80::1%25eth0]/cb\"", "https://a b/cb", "https://app.example.org/%zz",
	}
	for name, set := range fields {
		for _, kind := range []auth.ClientKind{auth.Web, auth.SPA, auth.Native} {
			if name == "jwks_uri" && kind != auth.Web {
				continue
			}
			for _, uri := range bad {
				c := auth.NewClient("app", "App", kind)
				c.RedirectURIs = []string{"https://app.example.org/cb"}
				set(&c, uri)
				err := c.Check()
				if !fault.Is(err, fault.Invalid) {
					t.Errorf("sec-P14 %s of a %s client: %q is accepted (%v)", name, kind, uri, err)
					continue
				}
				if got := fault.From(err); got.Field != name || got.Text == "" {
					t.Errorf("sec-P14 %s: %q is refused at %q with %q", name, uri, got.Field, got.Text)
				}
			}
			c := auth.NewClient("app", "App", kind)
			c.RedirectURIs = []string{"https://app.example.org/cb"}
			set(&c, "https://app.example.org:8443/a/b?x=%20y&z")
			if err := c.Check(); err != nil {
				t.Errorf("%s of a %s client: %v", name, kind, err)
			}
		}
	}

	for _, tt := range []struct {
		kind auth.ClientKind
		uri  string
		ok   bool
	}{
		{auth.Web, "http://127.0.0.1:9401/cb", true}, {auth.Web, "http://localhost:8090/cb", true}, {auth.Web, "http://[::1]/cb", true},
		{auth.Web, "http://app.example.org/cb", false}, {auth.Web, "com.example.app:/cb", false}, {auth.SPA, "http://192.168.0.1/cb", false},
		{auth.Native, "com.example.app:/cb", true}, {auth.Native, "com.example.app://cb", true}, {auth.Native, "myapp:/cb", false},
		{auth.Native, "http://127.0.0.1/cb", true}, {auth.Native, "http://app.example.org/cb", false}, {auth.Native, "https://app.example.org/cb", true},
		{auth.Native, "Com.example.app:/cb", false}, {auth.Native, "com.example.app:/cb#x", false}, {auth.Native, "http://localhost.evil.example/cb", false},
	} {
		c := auth.NewClient("app", "App", tt.kind)
		c.RedirectURIs = []string{tt.uri}
		if err := c.Check(); (err == nil) != tt.ok {
			t.Errorf("%s: %q: %v, want ok %v", tt.kind, tt.uri, err, tt.ok)
		}
	}
}

// FuzzRegisteredAddress: what is accepted holds nothing that a browser could read as another address.
func FuzzRegisteredAddress(f *testing.F) {
	for _, s := range nearMisses {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		for _, kind := range []auth.ClientKind{auth.Web, auth.Native} {
			c := auth.NewClient("app", "App", kind)
			c.RedirectURIs = []string{uri}
			if c.Check() != nil {
				continue
			}
			scheme, rest, ok := strings.Cut(uri, ":")
			switch {
			case !ok, scheme != strings.ToLower(scheme), strings.ContainsAny(uri, "\\#\"<>\x00\t\r\n "):
				t.Errorf("%s: %q is accepted", kind, uri)
			case scheme == "https", kind == auth.Native && strings.Contains(scheme, "."):
			case scheme == "http" && (strings.HasPrefix(rest, "//127.") || strings.HasPrefix(rest, "//localhost") || strings.HasPrefix(rest, "//[")):
			default:
				t.Errorf("%s: %q is accepted", kind, uri)
			}
		}
	})
}
