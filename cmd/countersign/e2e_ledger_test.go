package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/internal/demo"
	"github.com/countersign-id/countersign/internal/rig"
)

// startDemo runs the demo on free ports, in a process of its own. code prints an administrator's authenticator code.
func startDemo(t *testing.T) (ledger, issuer string, code func(account string) string) {
	t.Helper()
	port, ledgerPort := freePort(t), freePort(t)
	d := &deployment{t: t, dir: t.TempDir()}
	p := d.start("demo", "--data", d.dir+"/data", "--port", port, "--ledger-port", ledgerPort)
	p.waitReady("http://localhost:" + port)
	return "localhost:" + ledgerPort, "http://localhost:" + port, func(account string) string {
		return strings.TrimSpace(d.run("", "demo", "code", account, "--data", d.dir+"/data"))
	}
}

// The first end of the project: Ledger delegates its sign-in. On another site than the provider too, because localhost's
// ports share one and hide mistakes.
func TestLedgerSignsAPersonIn(t *testing.T) {
	t.Parallel()
	ledger, issuer, code := startDemo(t)
	t.Run("on the provider's site", func(t *testing.T) { ledgerStory(t, "http://"+ledger, issuer, "clerk") })
	t.Run("on another site", func(t *testing.T) {
		ledgerStory(t, "http://"+strings.Replace(ledger, "localhost", "127.0.0.1", 1), issuer, "approver")
	})
	t.Run("without scripts, in Chinese, on a phone", func(t *testing.T) {
		b := rig.NewBrowser(t)
		b.Phone()
		b.NoScript()
		b.Language("zh-Hans")
		b.Visit("http://" + ledger + "/login")
		b.Arrive(issuer + "/login")
		b.See("登录")
		b.Fill("#username", "auditor")
		b.Press("form[action='/login/identify'] button")
		b.Fill("#password", demo.Password)
		b.Press("form[action='/login/password'] button[type=submit]")
		b.See("身份验证器验证码")
		b.Fill("#code", code("auditor"))
		b.Press("form[action='/login/totp'] button[type=submit]")
		b.See("Ledger")
		b.Click("form[action='/login/consent'] button:not([formaction])")
		b.Arrive("http://" + ledger)
		b.See("Jonas Weber")
	})
}

func ledgerStory(t *testing.T, ledger, issuer, who string) {
	b := rig.NewBrowser(t)

	// open Ledger, which sends the browser to the provider
	b.Visit(ledger)
	b.See("Accounts payable")
	b.Click("a[href='/login']")
	b.Arrive(issuer + "/login")
	b.See("Ledger")
	b.Axe()
	b.Screenshot("identify")

	// a wrong password says nothing about the account
	b.Fill("#username", who)
	b.Press("form[action='/login/identify'] button")
	b.Axe()
	b.Screenshot("password")
	b.Fill("#password", "not the right passphrase")
	b.Press("form[action='/login/password'] button[type=submit]")
	b.See("did not match")
	b.Axe()

	b.Fill("#password", demo.Password)
	b.Press("form[action='/login/password'] button[type=submit]")

	// consent, then back in Ledger, which shows what it was told
	b.See("Keep access")
	if strings.Contains(b.Text("main"), "See reports") {
		t.Error("the consent page offers what the person's roles do not carry")
	}
	b.Axe()
	b.Screenshot("consent")
	b.Click("form[action='/login/consent'] button:not([formaction])")
	b.Arrive(ledger)
	b.Visit(ledger + "/token")
	b.See(who + "@demo.countersign.example")
	b.See("ledger:read")
	b.Axe()

	// what the token does not carry is refused by Ledger
	b.Visit(ledger + "/reports")
	b.See("Not with these rights")

	// a second sign-in asks for nothing: single sign-on
	b.Visit(ledger + "/login")
	b.Arrive(ledger + "/")
	b.See("Good day")

	// refresh
	b.Visit(ledger + "/token")
	b.Press("form[action='/refresh'] button")
	b.Arrive(ledger + "/token")
	if got := b.Text("#renewed"); got != "1" {
		t.Errorf("renewed %q times, want 1", got)
	}

	// log out at both: the next sign-in asks again
	b.Click("form[action='/logout'] button")
	b.Arrive(ledger + "/goodbye")
	b.Visit(ledger + "/login")
	b.Arrive(issuer + "/login")
	b.See("Sign in")
}

// The demo marks itself on every page, listens on loopback only, and keeps its data.
func TestTheDemoIsMarkedAndKeepsItsData(t *testing.T) {
	t.Parallel()
	d := &deployment{t: t, dir: t.TempDir()}
	port, ledgerPort := freePort(t), freePort(t)
	args := []string{"demo", "--data", d.dir + "/data", "--port", port, "--ledger-port", ledgerPort}
	first := d.start(args...)
	first.waitReady("http://localhost:" + port)
	for _, path := range []string{"/login", "/signed-out", "/no-such-page"} {
		if body := fetch(t, "http://localhost:"+port+path); !strings.Contains(body, "demonstration") {
			t.Errorf("%s does not say that it is a demonstration", path)
		}
	}
	for _, p := range demo.People {
		if !strings.Contains(first.logs.String(), p.Username) {
			t.Errorf("the table does not name %s", p.Username)
		}
	}
	if took, err := first.stop(); err != nil || took > 10*time.Second {
		t.Errorf("the demo stopped after %s with %v", took, err)
	}
	second := d.start(args...)
	second.waitReady("http://localhost:" + port)
	person := newPerson(t, "clerk")
	if at, _ := person.get("http://localhost:" + port + "/account"); !strings.Contains(at, "/login") {
		t.Errorf("a second start, asked for /account, is at %s", at)
	}
}

func fetch(t *testing.T, address string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
