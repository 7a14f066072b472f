package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-id/countersign/internal/rig"
)

// passkeyStory is a deployment that a browser with virtual authenticators uses.
type passkeyStory struct {
	*rig.Browser
	issuer string
}

func newPasskeyStory(t *testing.T) (*deployment, *passkeyStory) {
	d := newDeployment(t, "sqlite")
	d.addUser("probe")
	d.serve()
	return d, &passkeyStory{rig.NewBrowser(t), d.issuer}
}

// password signs in with a password, as far as that goes.
func (s *passkeyStory) password(at string) {
	s.Visit(s.issuer + at)
	s.Fill("#username", "probe")
	s.Press("form[action='/login/identify'] button")
	s.Fill("#password", testPassword)
	s.Press("form[action='/login/password'] button[type=submit]")
}

// enrols makes a passkey on the account's own pages.
func (s *passkeyStory) enrols(name string) {
	s.Visit(s.issuer + "/account/passkeys/new")
	s.Fill("#name", name)
	s.Click("form[data-passkey=create] button")
	s.Arrive(s.issuer + "/account/security")
	s.See("Passkey added")
	s.See(name)
}

func (s *passkeyStory) signsOut() {
	s.Visit(s.issuer + "/account")
	s.Press("main form[action='/account/sign-out'] button")
	s.See("You are signed out")
}

// One gesture signs in, nothing typed: by the button, and by the browser's autofill. A virtual passkey may satisfy the request that
// waits behind the name field before the button is pressed, so both ways end alike.
func TestAPasskeySignsInInARealBrowser(t *testing.T) {
	t.Parallel()
	_, s := newPasskeyStory(t)
	key := s.Authenticator(true)
	key.Touched(false) // nobody touches it until it is asked for
	s.password("/account")
	s.See("Hello, Probe Example")
	key.Touched(true)
	s.enrols("Laptop")
	s.Axe()
	s.See("Synced between devices")
	if held := key.Holds(); !slices.Equal(held, []string{"probe"}) {
		t.Errorf("the authenticator holds %q", held)
	}
	s.signsOut()

	// The browser's autofill: the request waits, somebody picks the passkey, and is in.
	s.Visit(s.issuer + "/login")
	s.Arrive(s.issuer + "/account")
	s.See("Hello, Probe Example")
	s.signsOut()

	// The button, where nothing waits: this browser does not know autofill.
	s.Tell(`Promise.resolve('')`)
	key.Touched(false)
	s.Visit(s.issuer + "/login")
	s.See("Sign in with a passkey")
	s.Axe()
	key.Touched(true)
	s.Click("form[data-passkey=get] button")
	s.Arrive(s.issuer + "/account")
	s.See("Hello, Probe Example")

	// By keyboard alone: the passkey's button is the first thing in the page's main part.
	s.signsOut()
	key.Touched(false)
	s.Visit(s.issuer + "/login")
	s.See("Sign in with a passkey")
	if got := s.Tell(`[...document.querySelectorAll('main button, main input:not([type=hidden]), main a')].find(e => e.offsetParent)?.innerText ?? ''`); !strings.Contains(got, "Sign in with a passkey") {
		t.Errorf("the first control is %q", got)
	}
}

func TestAPasskeyIsASecondFactorInARealBrowser(t *testing.T) {
	t.Parallel()
	_, s := newPasskeyStory(t)
	key := s.Authenticator(false)
	s.password("/account")
	s.enrols("Blue key")
	s.See("Bound to one device")
	s.signsOut()

	key.Touched(false)
	s.password("/login")
	s.See("Use your passkey")
	s.Axe()

	// Wrong user verification: the authenticator does not recognise who holds it, and the page says that nothing was proved.
	key.Touched(true)
	key.Verifies(false)
	s.Click("form[data-passkey=get] button")
	s.See("That did not work, or it was cancelled")
	s.Axe()
	key.Verifies(true)
	s.Click("form[data-passkey=get] button")
	s.Arrive(s.issuer + "/account")
	s.See("Hello, Probe Example")
	s.signsOut()

	// A removed authenticator: there is nothing to prove with, and other ways are open.
	key.Touched(false)
	s.password("/login")
	s.See("Use your passkey")
	key.Unplug()
	other := s.Authenticator(false)
	s.Click("form[data-passkey=get] button")
	s.See("That did not work, or it was cancelled")
	s.See("Use a recovery code or pass")
	if len(other.Holds()) != 0 {
		t.Error("the other authenticator holds a passkey")
	}
}

// again confirms that it is still them by a passkey, where that is asked.
func (s *passkeyStory) again() {
	if !s.Has("form[action='/reauth']") {
		return
	}
	s.Press("form[action='/reauth'] button")
	s.WaitGone("form[action='/login/identify']")
}

func TestTwoAuthenticatorsAndTheirRemovalInARealBrowser(t *testing.T) {
	t.Parallel()
	_, s := newPasskeyStory(t)
	one := s.Authenticator(true)
	s.password("/account")
	s.enrols("First")

	// The account has a second factor now, so changing it takes one; the request behind the name field is answered at once.
	s.Visit(s.issuer + "/account/passkeys/new")
	s.again()
	s.See("Add a passkey")
	s.Click("form[data-passkey=create] button")
	s.See("holds a passkey for your account already")

	one.Touched(false)
	two := s.Authenticator(false)
	s.Fill("#name", "Second")
	s.Click("form[data-passkey=create] button")
	s.Arrive(s.issuer + "/account/security")
	s.See("Second")
	s.Axe()

	// Removing the first tells the browser of it (Signals API): it offers it no more.
	one.Touched(true)
	two.Touched(false)
	s.Click("button[popovertarget='remove-0']")
	s.Axe()
	s.Press("#remove-0 button[type=submit]")
	if s.Has("form[action='/reauth']") {
		s.again()
		s.Click("button[popovertarget='remove-0']")
		s.Press("#remove-0 button[type=submit]")
	}
	s.See("Passkey removed")
	if strings.Contains(s.Text("main"), "First") {
		t.Error("the removed passkey is still listed")
	}
	s.signsOut()

	two.Touched(true)
	s.Visit(s.issuer + "/login")
	s.Arrive(s.issuer + "/account")
	s.See("Hello, Probe Example")
}

// sec-M12: what was proved at another origin of the same host is refused, and so is an answer sent again.
func TestAnotherOriginsAnswerIsRefusedInARealBrowser(t *testing.T) {
	t.Parallel()
	_, s := newPasskeyStory(t)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><html lang=en><link rel=icon href=data:,><title>evil</title><h1>Win a prize</h1>")
	}))
	t.Cleanup(evil.Close)
	other := strings.Replace(evil.URL, "127.0.0.1", "localhost", 1) // browsers let every port of a host use its passkeys

	key := s.Authenticator(true)
	s.password("/account")
	s.enrols("Laptop")
	s.signsOut()
	key.Touched(false)
	begin := `fetch('/login/passkey/options', {method: 'POST', body: new URLSearchParams({back: '/account'})}).then(r => r.text())`
	s.Visit(s.issuer + "/login")
	s.See("Sign in with a passkey")
	options := s.Tell(begin)
	key.Touched(true)
	s.Visit(other)
	get := `navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(%s.publicKey)}).then(c => JSON.stringify(c))`
	stolen := s.Tell(fmt.Sprintf(get, options))
	key.Touched(false)

	send := `(() => { const o = %s, f = document.querySelector('form[data-passkey=get]'); f.elements.flow.value = o.flow; f.elements.credential.value = %q; HTMLFormElement.prototype.submit.call(f); return ''; })()`
	s.Visit(s.issuer + "/login")
	s.See("Sign in with a passkey")
	s.Tell(fmt.Sprintf(send, options, stolen))
	s.See("That passkey did not work here")

	// An answer of its own origin, then the same again: the flow it was for is over. Begun at a page where no other request waits.
	s.Visit(s.issuer + "/signed-out")
	options = s.Tell(begin)
	key.Touched(true)
	own := s.Tell(fmt.Sprintf(get, options))
	key.Touched(false)
	s.Visit(s.issuer + "/login")
	s.See("Sign in with a passkey")
	s.Tell(fmt.Sprintf(send, options, own))
	s.See("Hello, Probe Example")
	s.signsOut()
	s.Visit(s.issuer + "/login")
	s.See("Sign in with a passkey")
	s.Tell(fmt.Sprintf(send, options, own))
	s.See("This sign-in is over")
}

// sec-M15: a copy of a key that is bound to its device is noticed by its counter, and refused from then on.
func TestACopiedKeyIsNoticedInARealBrowser(t *testing.T) {
	t.Parallel()
	d, s := newPasskeyStory(t)
	key := s.Authenticator(false)
	s.password("/account")
	s.enrols("Blue key")
	s.signsOut()
	s.Visit(s.issuer + "/login")
	if !strings.Contains(s.Tell("location.pathname"), "/account") {
		s.Click("form[data-passkey=get] button")
	}
	s.Arrive(s.issuer + "/account")
	s.signsOut()
	key.Rewinds(0)
	key.Touched(false)
	s.Visit(s.issuer + "/login")
	s.See("Sign in with a passkey")
	key.Touched(true)
	s.Click("form[data-passkey=get] button")
	s.See("may have been copied")
	if out := d.run("", "audit", "list", "--kind", "factor.suspected"); !strings.Contains(out, "factor.suspected") {
		t.Errorf("no event: %s", out)
	}
}
