package ui

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	virtual "github.com/descope/virtualwebauthn"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/totp"
	"github.com/countersign-id/countersign/store"
)

var keyText = regexp.MustCompile(`<code class="key"[^>]*>([A-Z2-7 ]+)</code>`)

// secretOn reads the secret that a page shows.
func (b *browser) secretOn() auth.Secret {
	b.r.t.Helper()
	m := keyText.FindStringSubmatch(b.last.body)
	if m == nil {
		b.r.t.Fatalf("page at %s (%d) shows no key:\n%s", b.at, b.last.status, b.last.body)
	}
	secret, err := totp.Parse(m[1])
	if err != nil {
		b.r.t.Fatal(err)
	}
	return secret
}

// code is what an authenticator app shows now, some steps away.
func (r *house) code(secret auth.Secret, away int64) string {
	r.t.Helper()
	c, err := totp.Code(secret, totp.Step(r.clock())+away)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// enrolsCode sets up an authenticator app where a sign-in asks for a factor.
func (b *browser) enrolsCode() auth.Secret {
	b.r.t.Helper()
	b.submit("/login/enrol/totp/begin")
	secret := b.secretOn()
	b.submit("/login/enrol/totp", "code", b.r.code(secret, 0))
	return secret
}

// confirms confirms that it is still them, at the page that asks for it.
func (b *browser) confirms(secret auth.Secret) {
	b.r.t.Helper()
	b.submit("/reauth")
	b.submit("/login/identify")
	a := b.submit("/login/password", "password", passphrase)
	if secret != nil && strings.Contains(a.body, `action="/login/totp"`) {
		b.submit("/login/totp", "code", b.r.code(secret, 0))
	}
}

// hasCode gives the reader an authenticator app on their own pages, and moves the clock on so that the next code is another.
func (b *browser) hasCode() auth.Secret {
	b.r.t.Helper()
	b.get("/account/security")
	if a := b.submit("/account/totp/begin"); !strings.Contains(a.body, `action="/account/totp/new"`) {
		b.r.t.Fatalf("setting up ends at %s with %d", b.at, a.status)
	}
	secret := b.secretOn()
	wantPage(b.r.t, b.submit("/account/totp/new", "code", b.r.code(secret, 0)), 200, "Authenticator app is on")
	b.r.move(time.Minute)
	return secret
}

// device is an authenticator that a person holds.
type device struct {
	rp   virtual.RelyingParty
	auth virtual.Authenticator
	cred virtual.Credential
}

func newDevice(o virtual.AuthenticatorOptions) *device {
	return &device{virtual.RelyingParty{ID: "id.northwind.example", Name: "Northwind Group", Origin: issuer}, virtual.NewAuthenticatorWithOptions(o), virtual.NewCredential(virtual.KeyTypeEC2)}
}

// options asks for the options of a ceremony as the page's script does, with the fields of its form.
func (b *browser) options(path string, form url.Values) (flow, opts string) {
	b.r.t.Helper()
	at, last := b.at, b.last
	a := b.do("POST", path, form)
	b.at, b.last = at, last
	var got struct {
		Flow      string
		PublicKey json.RawMessage
	}
	if err := json.Unmarshal([]byte(a.body), &got); a.status != 200 || err != nil {
		b.r.t.Fatalf("options of %s: %d, %v: %s", path, a.status, err, a.body)
	}
	return got.Flow, `{"publicKey":` + string(got.PublicKey) + `}`
}

func (d *device) creates(t *testing.T, opts string) string {
	t.Helper()
	o, err := virtual.ParseAttestationOptions(opts)
	if err != nil {
		t.Fatal(err)
	}
	var user struct {
		PublicKey struct{ User struct{ ID string } }
	}
	if err := json.Unmarshal([]byte(opts), &user); err != nil {
		t.Fatal(err)
	}
	d.auth.Options.UserHandle = decode(t, user.PublicKey.User.ID)
	return virtual.CreateAttestationResponse(d.rp, d.auth, d.cred, *o)
}

func (d *device) proves(t *testing.T, opts string) string {
	t.Helper()
	o, err := virtual.ParseAssertionOptions(opts)
	if err != nil {
		t.Fatal(err)
	}
	d.cred.Counter++
	return virtual.CreateAssertionResponse(d.rp, d.auth, d.cred, *o)
}

// hasPasskey gives the reader a passkey on their own pages.
func (b *browser) hasPasskey(o virtual.AuthenticatorOptions) *device {
	b.r.t.Helper()
	d := newDevice(o)
	b.get("/account/passkeys/new")
	_, opts := b.options("/account/passkeys/options", url.Values{})
	wantPage(b.r.t, b.submit("/account/passkeys/new", "credential", d.creates(b.r.t, opts), "name", "Blue key"), 200, "Passkey added", "Blue key")
	return d
}

// passkey signs in by a passkey at the page that offers it.
func (b *browser) passkey(d *device) answer {
	b.r.t.Helper()
	form := b.form("/login/passkey")
	flow, opts := b.options("/login/passkey/options", form)
	return b.submit("/login/passkey", "flow", flow, "credential", d.proves(b.r.t, opts))
}

// key proves a passkey as a second factor.
func (b *browser) key(d *device) answer {
	b.r.t.Helper()
	_, opts := b.options("/login/key/options", b.form("/login/key"))
	return b.submit("/login/key", "credential", d.proves(b.r.t, opts))
}

// tokens redeems the code of the page that the browser was handed, and returns the claims of the ID token.
func (r *house) claims(to *url.URL) map[string]any {
	r.t.Helper()
	if e := to.Query().Get("error"); e != "" {
		r.t.Fatalf("told %s: %s", e, to)
	}
	b := r.browser()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {r.app.RedirectURIs[0]}, "code_verifier": {verifier}}
	a := b.do("POST", "/oauth2/token", form, func(req *http.Request) { req.SetBasicAuth(string(r.app.ID), r.secret) })
	var got struct {
		ID string `json:"id_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
		r.t.Fatalf("token: %d %s", a.status, a.body)
	}
	var claims map[string]any
	if err := json.Unmarshal(decode(r.t, strings.Split(got.ID, ".")[1]), &claims); err != nil {
		r.t.Fatal(err)
	}
	return claims
}

// wantProof checks acr, amr and auth_time of an ID token.
func wantProof(t *testing.T, claims map[string]any, acr, amr string, at time.Time) {
	t.Helper()
	var got []string
	for _, v := range claims["amr"].([]any) {
		got = append(got, v.(string))
	}
	if claims["acr"] != acr || strings.Join(got, " ") != amr || claims["auth_time"] != float64(at.Unix()) {
		t.Errorf("acr %v, amr %v, auth_time %v, want %s, %s, %d", claims["acr"], got, claims["auth_time"], acr, amr, at.Unix())
	}
}

// handed is where the browser is sent: by a page after a form, by a redirect otherwise.
func (b *browser) handed() *url.URL {
	b.r.t.Helper()
	if b.last.status != http.StatusSeeOther {
		return b.handedTo()
	}
	u, err := url.Parse(b.last.to())
	if err != nil {
		b.r.t.Fatal(err)
	}
	return u
}

func TestACodeIsTheSecondStepAfterThePassword(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		secret := r.browser().signIn().hasCode()
		r.firstParty()
		b := r.browser()
		b.get(r.authorize())
		b.submit("/login/identify", "username", "noor.haddad")
		wantPage(t, b.submit("/login/password", "password", passphrase), 200, "Enter your authenticator code", `autocomplete="one-time-code"`, "Use a recovery code or pass")

		// sec-M07: who is past the password alone is nowhere else.
		flow := b.form("/login/totp").Get("flow")
		for _, path := range []string{"/login?flow=" + flow, "/login/consent?flow=" + flow, "/login/enrol?flow=" + flow, "/login/password?flow=" + flow} {
			if a := b.do("GET", path, nil); a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "/login/totp?") {
				t.Errorf("GET %s: %d to %s, want the second factor", path, a.status, a.to())
			}
		}
		for _, path := range []string{"/login/consent", "/login/enrol/totp/begin", "/login/enrol/key", "/login/enrol/later", "/login/password"} {
			if a := b.do("POST", path, url.Values{"flow": {flow}}); a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "/login?") {
				t.Errorf("POST %s: %d to %s, want the step it stands at", path, a.status, a.to())
			}
		}
		if a := b.do("GET", "/account/security", nil); a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "/login?") {
			t.Errorf("the account is open after the password alone: %d", a.status)
		}
		if a := b.do("GET", r.authorize("prompt", "none"), nil); !strings.Contains(a.to(), "error=login_required") {
			t.Errorf("prompt=none after the password alone: %s", a.to())
		}

		b.get("/login?flow=" + flow)
		wantPage(t, b.submit("/login/totp", "code", r.code(secret, 3)), 401, "That code did not work")
		wantPage(t, b.submit("/login/totp", "code", "not a code"), 401, "That code did not work")
		b.submit("/login/totp", "code", r.code(secret, 0))
		wantProof(t, r.claims(b.handed()), "aal2", "pwd otp mfa", r.clock())

		// sec-M02: a code used once never works again, nor does the one before it, in another sign-in.
		for away, code := range []string{r.code(secret, 0), r.code(secret, -1)} {
			b := r.browser()
			b.get("/account")
			b.submit("/login/identify", "username", "noor.haddad")
			b.submit("/login/password", "password", passphrase)
			wantPage(t, b.submit("/login/totp", "code", code), 401, "That code did not work")
			if away == 1 {
				wantPage(t, b.submit("/login/totp", "code", r.code(secret, 1)), 200, "Hello, Noor Haddad")
			}
		}
	})
}

// firstParty spares the consent page.
func (r *house) firstParty() {
	r.t.Helper()
	r.update(func(tx *store.Tx) error {
		c, err := tx.Client(r.t.Context(), r.app.ID)
		if err != nil {
			return err
		}
		c.FirstParty = true
		ok, err := tx.UpdateClient(r.t.Context(), c)
		if !ok {
			r.t.Error("the client was not changed")
		}
		return err
	})
}

func TestAPasskeySignsInWithNothingTyped(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		for _, tt := range []struct {
			name, acr, amr string
			o              virtual.AuthenticatorOptions
		}{{"synced", "phr", "swk user mfa", virtual.AuthenticatorOptions{BackupEligible: true, BackupState: true}}, {"bound to its device", "aal3", "hwk user mfa", virtual.AuthenticatorOptions{}}} {
			owner := r.account(strings.Fields(tt.name)[0], passphrase)
			r.firstParty()
			b := r.browser()
			b.get("/account")
			b.submit("/login/identify", "username", owner.Username)
			b.submit("/login/password", "password", passphrase)
			d := b.hasPasskey(tt.o)
			r.move(time.Minute)

			b = r.browser()
			b.get(r.authorize())
			b.passkey(d)
			wantProof(t, r.claims(b.handed()), tt.acr, tt.amr, r.clock())

			// To our own pages it begins with no flow.
			b = r.browser()
			b.get("/login")
			wantPage(t, b.passkey(d), 200, "Hello, Noor Haddad")

			// As the second factor after a password, verified or not.
			d.auth.Options.UserNotVerified = true
			b = r.browser()
			b.get(r.authorize())
			b.submit("/login/identify", "username", owner.Username)
			b.submit("/login/password", "password", passphrase)
			b.key(d)
			wantProof(t, r.claims(b.handed()), "phr", "pwd "+tt.amr, r.clock())

			// sec-M12: without verification it is no proof by itself.
			b = r.browser()
			b.get("/login")
			wantPage(t, b.passkey(d), 401, "That passkey did not work here")
		}
	})
}

// sec-M12, sec-R02: a ceremony is answered once, in the flow and the browser that began it.
func TestACeremonyIsAnsweredOnceWhereItBegan(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		d := r.browser().signIn().hasPasskey(virtual.AuthenticatorOptions{})
		one, two := r.browser(), r.browser()
		one.get("/login")
		two.get("/login")
		flow1, opts1 := one.options("/login/passkey/options", one.form("/login/passkey"))
		flow2, opts2 := two.options("/login/passkey/options", two.form("/login/passkey"))
		if opts1 == opts2 {
			t.Fatal("two flows have one challenge")
		}
		mine, theirs := d.proves(t, opts1), d.proves(t, opts2)
		post := func(b *browser, flow, credential string) answer {
			return b.do("POST", "/login/passkey", url.Values{"flow": {flow}, "credential": {credential}})
		}
		wantPage(t, post(two, flow1, mine), http.StatusGone)                         // another browser's flow
		wantPage(t, post(two, flow2, mine), 401, "That passkey did not work here")   // another flow's answer, which spends the challenge
		wantPage(t, post(two, flow2, theirs), http.StatusGone, "That took too long") // so that the right one comes too late
		if a := post(one, flow1, mine); a.status != http.StatusSeeOther && a.status != 200 {
			t.Errorf("its own answer: %d", a.status)
		}
		wantPage(t, post(one, flow1, mine), http.StatusGone) // again
		if n := r.events(audit.SessionStarted); n != 2 {     // the one that enrolled, and this
			t.Errorf("%d sessions, want 2", n)
		}
	})
}

// sec-M10, sec-M20: factors are changed by who has just proved themselves, at the level of their account.
func TestFactorsAreChangedByWhoJustProvedThemselves(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser().signIn()
		elsewhere := r.browser().signIn()
		r.move(6 * time.Minute)
		wantPage(t, b.get("/account/passkeys/new"), 200, "Confirm that it is you", `value="/account/passkeys/new"`)
		for path, form := range map[string]url.Values{
			"/account/totp/begin": {}, "/account/totp/remove": {}, "/account/recovery-codes": {}, "/account/passkeys/remove": {"passkey": {"x"}},
		} {
			if a := b.do("POST", path, form); a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "/reauth?") {
				t.Errorf("POST %s after six minutes: %d to %s", path, a.status, a.to())
			}
		}
		if a := b.do("POST", "/account/passkeys/options", url.Values{}); a.status != http.StatusUnauthorized {
			t.Errorf("options after six minutes: %d", a.status)
		}
		b.get("/account/passkeys/new")
		b.confirms(nil)
		wantPage(t, b.last, 200, "Add a passkey")
		secret := b.hasCode()
		if a := elsewhere.get("/account"); !strings.Contains(a.body, `action="/login/identify"`) {
			t.Error("sec-S04 the session elsewhere goes on after a factor was added")
		}

		// A new proof by the password alone is not enough any more.
		thief := r.browser()
		thief.get("/account")
		thief.submit("/login/identify", "username", "noor.haddad")
		wantPage(t, thief.submit("/login/password", "password", passphrase), 200, "Enter your authenticator code")

		r.move(6 * time.Minute)
		wantPage(t, b.get("/account/recovery-codes"), 200, "Confirm that it is you")
		b.confirms(secret)
		wantPage(t, b.last, 200, "You have none.")
		wantPage(t, b.submit("/account/recovery-codes"), 200, "They are shown only now")
	})
}

var codeLine = regexp.MustCompile(`<li>([0-9A-Z]{4}(?:-[0-9A-Z]{4}){3})</li>`)

// sec-M16: recovery codes.
func TestRecoveryCodesWorkOnceAndAreHandedOutAsAFile(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		b := r.browser().signIn()
		b.hasCode()
		b.get("/account/recovery-codes")
		b.submit("/account/recovery-codes")
		var codes []string
		for _, m := range codeLine.FindAllStringSubmatch(b.last.body, -1) {
			codes = append(codes, m[1])
		}
		if len(codes) != 10 {
			t.Fatalf("%d codes", len(codes))
		}
		a := b.do("POST", "/account/recovery-codes/file", url.Values{"codes": {html.UnescapeString(strings.Join(codes, "\n"))}})
		if a.status != 200 || !strings.Contains(a.header.Get("Content-Disposition"), "attachment") || !strings.Contains(a.body, codes[9]) {
			t.Errorf("the file: %d %v %s", a.status, a.header, a.body)
		}
		if a := b.do("POST", "/account/recovery-codes/file", url.Values{"codes": {"ABCD-ABCD-ABCD-ABCD"}}); a.status != http.StatusNotFound {
			t.Errorf("a file of anything: %d", a.status)
		}
		signIn := func(code string) answer {
			b := r.browser()
			b.get("/account")
			b.submit("/login/identify", "username", "noor.haddad")
			b.submit("/login/password", "password", passphrase)
			b.get("/login/recovery?flow=" + b.form("/login/totp").Get("flow"))
			return b.submit("/login/recovery", "code", code)
		}
		wantPage(t, signIn(strings.ToLower(strings.ReplaceAll(codes[0], "-", " "))), 200, "Hello, Noor Haddad")
		wantPage(t, signIn(codes[0]), 401, "Each one works once")
		wantPage(t, signIn(codes[1]), 200, "Hello, Noor Haddad")
	})
}

func TestAnApplicationGetsTheLevelItAsksForOrARefusal(t *testing.T) {
	each(t, func(t *testing.T, r *house) {
		r.firstParty()
		b := r.browser().signIn()
		secret := b.hasCode()
		signedIn := r.clock().Add(-time.Minute)

		// The session has proved two factors, so aal2 is silent; a phishing-resistant proof is not to be had from it.
		b.get(r.authorize("prompt", "none", "acr_values", "aal2"))
		wantProof(t, r.claims(b.handed()), "aal2", "pwd otp mfa", signedIn)
		if a := b.do("GET", r.authorize("prompt", "none", "acr_values", "phr"), nil); !strings.Contains(a.to(), "error=interaction_required") {
			t.Errorf("prompt=none for phr: %s", a.to())
		}
		for _, claims := range []string{`{"id_token":{"acr":{"essential":true,"values":["phr"]}}}`, `{"id_token":{"acr":{"essential":true,"value":"phr"}}}`} {
			if a := b.do("GET", r.authorize("prompt", "none", "claims", claims), nil); !strings.Contains(a.to(), "error=interaction_required") {
				t.Errorf("prompt=none for an essential phr: %s", a.to())
			}
		}

		// With a page it leads to a passkey, which is made, proved, and told of; or to a refusal.
		wantPage(t, b.get(r.authorize("acr_values", "phr")), 200, "Protect your account", "Aurora Finance needs a stronger way", "Create a passkey")
		if strings.Contains(b.last.body, "/login/enrol/totp") {
			t.Error("an authenticator app is offered where it would not do")
		}
		b.submit("/login/cancel")
		if e := b.handed().Query().Get("error"); e != "unmet_authentication_requirements" {
			t.Errorf("who cannot is told %q", e)
		}
		b.get(r.authorize("acr_values", "phr"))
		d := newDevice(virtual.AuthenticatorOptions{BackupEligible: true})
		_, opts := b.options("/login/enrol/key/options", b.form("/login/enrol/key"))
		wantPage(t, b.submit("/login/enrol/key", "credential", d.creates(t, opts)), 200, "Use your passkey")
		b.key(d)
		wantProof(t, r.claims(b.handed()), "phr", "pwd otp swk user mfa", r.clock())

		// A client that asks for phr never gets a token after a code.
		r.move(time.Minute)
		b = r.browser()
		b.get(r.authorize("acr_values", "phr"))
		b.submit("/login/identify", "username", "noor.haddad")
		wantPage(t, b.submit("/login/password", "password", passphrase), 200, "Use your passkey")
		flow := b.form("/login/key").Get("flow")
		if a := b.do("GET", "/login/totp?flow="+flow, nil); a.status != http.StatusSeeOther {
			t.Errorf("a code is asked for: %d", a.status)
		}
		a := b.do("POST", "/login/totp", url.Values{"flow": {flow}, "code": {r.code(secret, 0)}})
		if a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "/login/key?flow=") {
			t.Errorf("a code answers %d to %s", a.status, a.to())
		}
		wantPage(t, b.get(a.to()), 200, "Use your passkey")
		b.key(d)
		wantProof(t, r.claims(b.handed()), "phr", "pwd otp swk user mfa", r.clock())
	})
}
