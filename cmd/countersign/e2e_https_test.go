package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/internal/rig"
)

// Over https, with __Host- cookies, and with an application on another site than the provider: what localhost's ports hide
// would show here. The code comes back in a query, in a fragment and in a form.
func TestAPersonSignsInOverHTTPS(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "sqlite")
	cert, key := filepath.Join(d.dir, "chain.pem"), filepath.Join(d.dir, "key.pem")
	selfSigned(t, cert, key)
	d.issuer = strings.Replace(d.issuer, "http:", "https:", 1)
	d.set("ISSUER="+d.issuer, "TLS_CERTIFICATE="+cert, "TLS_KEY="+key)
	d.addUser("probe")
	party := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><html lang=en><link rel=icon href=data:,><title>app</title><h1>Back in the application</h1><p>" + r.Method + " " + r.Form.Get("state") + " " + r.Form.Get("iss") + "</p>"))
	}))
	t.Cleanup(party.Close)
	back := party.URL + "/cb"
	a := newApp(d.issuer, "probe", d.addClient("probe", "--redirect-uri", back))
	d.start("serve")

	b := rig.NewBrowser(t)
	b.DangerouslyTrustAnyCertificate()
	waitListening(t, strings.TrimPrefix(d.issuer, "https://"))
	b.Visit(a.authorize("openid profile", "redirect_uri", back))
	b.Arrive(d.issuer + "/login")
	b.Fill("#username", "probe")
	b.Press("form[action='/login/identify'] button")
	b.Fill("#password", testPassword)
	b.Press("form[action='/login/password'] button[type=submit]")
	b.See("The probe")
	b.Click("form[action='/login/consent'] button:not([formaction])")
	b.Arrive(back)
	b.See("GET a-state " + d.issuer)

	// single sign-on, each way home
	b.Visit(a.authorize("openid profile", "redirect_uri", back, "response_mode", "form_post"))
	b.Arrive(back)
	b.See("POST a-state " + d.issuer)
	b.Visit(a.authorize("openid profile", "redirect_uri", back, "response_mode", "fragment"))
	b.Arrive(back + "#")

	// the account pages know the person, and forget them
	b.Visit(d.issuer + "/account")
	b.See("Probe Example")
	b.Axe()
	b.Visit(d.issuer + "/oauth2/logout")
	b.Press("form[action='/oauth2/logout'] button")
	b.See("signed out")
	b.Visit(d.issuer + "/account")
	b.Arrive(d.issuer + "/login")
}

// waitListening waits until something answers at address.
func waitListening(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if c, err := net.DialTimeout("tcp", strings.Replace(address, "localhost", "127.0.0.1", 1), time.Second); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("nothing listens at %s", address)
}
