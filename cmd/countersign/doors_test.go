package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign-id/countersign/internal/rig"
)

// sec-R10: addresses and cookies come from the configured issuer, whatever a request says about where it was sent.
func TestNothingIsLearnedFromTheHostHeader(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "sqlite")
	d.addUser("probe")
	a := newApp(d.issuer, "probe", d.addClient("probe", "--redirect-uri", rpCallback))
	d.serve()
	for _, h := range []struct{ name, value string }{
		{"Host", "evil.example"}, {"Host", "localhost:1"}, {"X-Forwarded-Host", "evil.example"}, {"X-Forwarded-Proto", "https"},
		{"X-Forwarded-Port", "444"}, {"X-Forwarded-Prefix", "/evil"}, {"Forwarded", "host=evil.example;proto=https"},
		{"X-Original-URL", "/evil.example"}, {"X-Rewrite-URL", "//evil.example"}, {"X-Host", "evil.example"},
	} {
		for _, path := range []string{"/.well-known/openid-configuration", strings.TrimPrefix(a.authorize("openid"), d.issuer), "/account", "/login", "/no-such-page", "/oauth2/logout"} {
			req, err := http.NewRequest(http.MethodGet, d.issuer+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(h.name, h.value)
			if h.name == "Host" {
				req.Host = h.value
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			said := fmt.Sprint(resp.Header, string(body))
			if strings.Contains(said, "evil.example") || strings.Contains(said, "localhost:1/") || strings.Contains(said, ":444") {
				t.Errorf("sec-R10 %s: %s at %s comes back: %.300s", h.name, h.value, path, said)
			}
			for _, c := range resp.Cookies() {
				if c.Domain != "" {
					t.Errorf("sec-R10 cookie %s names the domain %q", c.Name, c.Domain)
				}
			}
		}
	}
}

// sec-P53, sec-K18: nobody registers an application or an account by themselves, and what is not served yet is not served.
func TestNothingCanBeRegisteredFromOutside(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "sqlite")
	d.addUser("probe")
	d.serve()
	for _, path := range []string{
		"/oauth2/register", "/register", "/connect/register", "/clients", "/signup", "/sign-up", "/join", "/invite/x", "/account/new", "/users",
		"/oauth2/par", "/oauth2/device", "/device", "/api/v1/users", "/api/v1/clients", "/scim/v2/Users", "/admin", "/debug/pprof/", "/metrics", "/recover",
	} {
		resp, err := http.Post(d.issuer+path, "application/x-www-form-urlencoded", strings.NewReader("username=eve&password=a+long+enough+passphrase&redirect_uris=https://evil.example"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("sec-P53 sec-K18 POST %s answers %d", path, resp.StatusCode)
		}
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(fetch(t, d.issuer+"/.well-known/openid-configuration")), &doc); err != nil {
		t.Fatal(err)
	}
	if doc["registration_endpoint"] != nil {
		t.Error("sec-P53 discovery names a registration endpoint")
	}

	// the set-up page opens for nobody once there is an account
	for _, token := range []string{"", "x", "cst_" + strings.Repeat("A", 43)} {
		p := newPerson(t, "eve")
		at, body := p.post(&form{action: d.issuer + "/setup", fields: url.Values{"token": {token}, "username": {"eve"}, "new-password": {testPassword}, "password": {testPassword}}})
		if strings.Contains(at, "/account") || strings.Contains(body, "eve@") {
			t.Errorf("sec-K18 set up with token %q: %s", token, at)
		}
	}
	if out := d.run("", "user", "list", "--json"); strings.Contains(out, "eve") {
		t.Errorf("sec-K18 an account was made: %s", out)
	}
}

// The first administrator's link works once.
func TestTheSetUpLinkWorksOnce(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, d *deployment) {
		p := d.serve()
		_, rest, ok := strings.Cut(p.logs.String(), d.issuer+"/setup?token=")
		if !ok {
			t.Fatalf("no link in:\n%s", p.logs)
		}
		token := strings.Fields(rest)[0]
		fields := url.Values{
			"token": {token}, "username": {"admin"}, "name": {"Ada Admin"}, "email": {"ada@example.org"},
			"new-password": {testPassword}, "password": {testPassword},
		}
		person := newPerson(t, "admin")
		if _, body := person.get(d.issuer + "/setup?token=" + token); !strings.Contains(body, "username") {
			t.Fatalf("the link shows no form:\n%s", tail(body, 2000))
		}
		person.post(&form{action: d.issuer + "/setup", fields: fields})
		if out := d.run("", "user", "list"); !strings.Contains(out, "admin") {
			t.Fatalf("no administrator after set-up: %s", out)
		}
		fields.Set("username", "second")
		person.post(&form{action: d.issuer + "/setup", fields: fields})
		if out := d.run("", "user", "list"); strings.Contains(out, "second") {
			t.Errorf("the link worked twice: %s", out)
		}
		if out := d.run("", "audit", "list", "--json"); !strings.Contains(out, "setup.completed") || strings.Contains(out, token) {
			t.Errorf("the log says of the set-up: %s", out)
		}
	})
}

// sec-A30: every act of an administrator is an event that names who did it, refused ones too where they reached something; and
// sec-D02: what was shown once is shown never again.
func TestEveryAdministrativeActIsRecorded(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, d *deployment) {
		d.addUser("probe")
		secret := d.addClient("probe", "--redirect-uri", rpCallback)
		var rotated struct {
			Secret string `json:"client_secret"`
		}
		d.decode(d.run("", "client", "rotate-secret", "probe", "--json"), &rotated)
		d.run("", "client", "disable", "probe")
		d.run("", "client", "enable", "probe")
		d.run("", "user", "disable", "probe")
		d.run("", "user", "enable", "probe")
		d.run("quite another passphrase", "user", "set-password", "probe", "--password-stdin")
		var keys struct {
			Keys []struct{ KID, Alg, State string }
		}
		d.decode(d.run("", "keys", "rotate", "--alg", "EdDSA", "--json"), &keys)
		for _, k := range keys.Keys {
			if k.Alg == "EdDSA" && k.State == "retiring" {
				d.run("", "keys", "revoke", k.KID, "--yes")
			}
		}

		list := d.run("", "audit", "list", "--json", "--limit", "500")
		var events struct {
			Events []struct{ Kind, Actor, Outcome string }
		}
		d.decode(list, &events)
		seen := map[string]bool{}
		for _, e := range events.Events {
			if e.Actor == "local:tester" {
				seen[e.Kind] = true
			}
		}
		for _, kind := range []string{
			"account.added", "account.disabled", "account.enabled", "password.changed", "client.added", "client.secret-rotated",
			"client.disabled", "client.enabled", "key.created", "key.activated", "key.revoked",
		} {
			if !seen[kind] {
				t.Errorf("sec-A30 no %s by local:tester in the log", kind)
			}
		}
		for _, args := range [][]string{{"client", "list"}, {"client", "show", "probe"}, {"user", "list"}, {"keys", "list"}, {"audit", "list", "--limit", "500"}, {"doctor"}} {
			for _, form := range [][]string{args, append(args, "--json")} {
				out := d.run("", form...)
				for _, s := range []string{secret, rotated.Secret, testPassword, "quite another passphrase", testMaster, "PRIVATE", "argon2id$"} {
					if strings.Contains(out, s) {
						t.Errorf("sec-D02 %v shows a secret (%.6s…)", form, s)
					}
				}
			}
		}
	})
}

// xss are payloads that run in one context or another where a page does not escape.
var xss = []string{
	`<script>hit()</script>`, `"><script>hit()</script>`, `'><script>hit()</script>`, `</title><script>hit()</script>`, `</textarea><script>hit()</script>`,
	`</script><script>hit()</script>`, `<img src=x onerror=hit()>`, `"><img src=x onerror=hit()>`, `'><img src=x onerror=hit()>`, `<svg onload=hit()>`,
	`"><svg/onload=hit()>`, `<body onload=hit()>`, `<iframe srcdoc="<script>parent.hit()</script>">`, `<iframe src=javascript:parent.hit()>`, `javascript:hit()`,
	`" autofocus onfocus=hit() x="`, `' autofocus onfocus=hit() x='`, `" onmouseover=hit() x="`, "` autofocus onfocus=hit() x=`", `x" onload="hit()`,
	`<details open ontoggle=hit()>`, `<video><source onerror=hit()>`, `<audio src=x onerror=hit()>`, `<input autofocus onfocus=hit()>`, `<select autofocus onfocus=hit()>`,
	`<marquee onstart=hit()>`, `<object data=javascript:hit()>`, `<embed src=javascript:hit()>`, `<math><mi xlink:href="javascript:hit()">`, `<a href=javascript:hit()>x</a>`,
	`<form><button formaction=javascript:hit()>`, `<meta http-equiv=refresh content="0;url=javascript:hit()">`, `<base href=javascript:/a/-hit()//>`, `<style>@import'javascript:hit()'</style>`,
	`<link rel=stylesheet href=javascript:hit()>`, `{{constructor.constructor('hit()')()}}`, `${hit()}`, `--><script>hit()</script>`, `]]><script>hit()</script>`, "\u2028<script>hit()</script>",
}

// sec-R06: nothing that a request carries runs in a page, even with the policy against it switched off.
func TestNothingReflectedRuns(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "sqlite")
	d.addUser("probe")
	party := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "the application") }))
	t.Cleanup(party.Close)
	a := newApp(d.issuer, "probe", d.addClient("probe", "--redirect-uri", party.URL+"/cb"))
	d.serve()
	b := rig.NewBrowser(t)
	b.DangerouslyWithoutPolicy()
	good, err := url.Parse(a.authorize("openid", "redirect_uri", party.URL+"/cb"))
	if err != nil {
		t.Fatal(err)
	}
	try := func(address string) {
		b.Visit(address)
		if n := b.Hits(); n != 0 {
			t.Errorf("sec-R06 a script ran at %s", address)
		}
	}
	// the trap is set: a payload that stands unescaped in a page is seen
	b.Visit("data:text/html," + url.PathEscape(xss[0]))
	if b.Hits() != 1 {
		t.Fatal("the trap does not catch")
	}
	all := strings.Join(xss, " ")
	for _, name := range []string{"client_id", "redirect_uri", "scope", "state", "nonce", "prompt", "display", "login_hint", "ui_locales", "acr_values", "claims", "response_mode", "response_type", "code_challenge", "resource", "x"} {
		q := good.Query()
		q.Set(name, all)
		try(d.issuer + "/oauth2/authorize?" + q.Encode())
	}
	for _, path := range []string{"/login", "/login/password", "/login/consent", "/setup", "/signed-out", "/oauth2/logout", "/account", "/no-such-page"} {
		for _, name := range []string{"flow", "token", "back", "lang", "theme", "state", "post_logout_redirect_uri", "id_token_hint", "client_id"} {
			try(d.issuer + path + "?" + url.Values{name: {all}}.Encode())
		}
		try(d.issuer + path + "/" + url.PathEscape(all))
	}
	for _, payload := range xss {
		q := good.Query()
		q.Set("login_hint", payload) // shown in the name field
		try(d.issuer + "/oauth2/authorize?" + q.Encode())
		q.Set("client_id", payload) // on the error page, if anywhere
		try(d.issuer + "/oauth2/authorize?" + q.Encode())
	}
}
