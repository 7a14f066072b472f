package oidc

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

// rig is a provider with two applications and one account, and browsers to use them with. The pages of the sign-in, which
// are another room's, are stood in for by the functions of auth that they call.
type rig struct {
	*ends
	seen   *seen
	app    auth.Client // a web application: confidential, asks for consent
	secret string
	spa    auth.Client // a page in a browser: public
	ada    auth.Account
}

// eachRig runs f with a fresh rig on every database.
func eachRig(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) { f(t, newRig(t, e)) })
}

func newRig(t *testing.T, e *ends) *rig {
	t.Helper()
	r := &rig{ends: e, seen: &seen{}}
	e.p.pages = r.seen
	e.p.signIn.Dummy = "$argon2id$nobody"
	r.app, r.secret = e.client("app", auth.Web, func(c *auth.Client) {
		c.RedirectURIs = append(c.RedirectURIs, "https://app.example.org/other?kept=a%20b&c=")
		c.Scopes = []string{"openid", "profile", "email", "address", "phone", "offline_access"}
		c.IDTokenAlg = "ES256"
	})
	r.spa, _ = e.client("spa", auth.SPA, func(c *auth.Client) { c.IDTokenAlg = "ES256" })
	r.update(func(tx *store.Tx) (err error) {
		r.ada, err = auth.AddAccount(t.Context(), tx, "local:test", auth.NewAccount{
			Username: "ada", Hash: "$argon2id$ada",
			Profile: auth.Profile{Name: "Ada Lovelace", GivenName: "Ada", Email: "ada@example.org", EmailVerified: true},
		})
		return err
	})
	return r
}

// seen is the pages, remembered instead of drawn. It holds what the last one said.
type seen struct {
	page     string // fault, hand-off, form-post
	fault    *fault.Error
	location string
	params   url.Values
}

func (s *seen) Fault(w http.ResponseWriter, _ *http.Request, f *fault.Error) {
	*s = seen{page: "fault", fault: f}
	w.WriteHeader(f.Kind.Status())
}

func (s *seen) HandOff(w http.ResponseWriter, _ *http.Request, _ auth.Client, location string) error {
	*s = seen{page: "hand-off", location: location}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *seen) FormPost(w http.ResponseWriter, _ *http.Request, _ auth.Client, action string, params url.Values) error {
	*s = seen{page: "form-post", location: action, params: maps.Clone(params)}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *seen) ConfirmLogout(w http.ResponseWriter, _ *http.Request, _ LogoutPrompt) error {
	*s = seen{page: "confirm"}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *seen) SignedOut(w http.ResponseWriter, _ *http.Request, _ auth.Client, back string) error {
	*s = seen{page: "signed-out", location: back}
	w.WriteHeader(http.StatusOK)
	return nil
}

const verifier = "correct-horse-battery-staple-0123456789-abcdef"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ask is an authorization request of c as a good client makes it, with changes: name, value, name, value. An empty value
// takes the parameter out.
func (r *rig) ask(c auth.Client, changes ...string) url.Values {
	form := url.Values{
		"response_type": {"code"}, "client_id": {string(c.ID)}, "redirect_uri": {c.RedirectURIs[0]},
		"scope": {"openid profile email"}, "state": {"st4te"}, "nonce": {"n0nce"},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		if form.Set(changes[i], changes[i+1]); changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	return form
}

// browser keeps cookies, as one does.
type browser struct {
	r       *rig
	cookies map[string]string
}

func (r *rig) browser() *browser { return &browser{r: r, cookies: map[string]string{}} }

// answer is what a browser gets to see of a response.
type answer struct {
	code     int
	page     string // of ours, if it is one
	fault    *fault.Error
	location string     // where it is sent, by redirect or page
	params   url.Values // what it brings there
	header   http.Header
}

// to reports the address without what was added to it.
func (a answer) to() string {
	to, _, _ := strings.Cut(a.location, "#")
	to, _, _ = strings.Cut(to, "?")
	return to
}

// serve runs h with the browser's cookies, inside the frame every answer gets.
func (b *browser) serve(req *http.Request, h http.Handler) answer {
	b.r.t.Helper()
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	*b.r.seen = seen{}
	w := httptest.NewRecorder()
	web.Frame{Log: slog.New(slog.DiscardHandler), HTTPS: true}.Handler(h).ServeHTTP(w, req.WithContext(b.r.t.Context()))
	res := w.Result()
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c.Value
	}
	a := answer{code: res.StatusCode, page: b.r.seen.page, fault: b.r.seen.fault, location: b.r.seen.location, params: b.r.seen.params, header: res.Header}
	if to := res.Header.Get("Location"); to != "" {
		a.location = to
	}
	if a.params == nil {
		u, err := url.Parse(a.location)
		if err != nil {
			b.r.t.Fatalf("sent to %q: %v", a.location, err)
		}
		a.params = u.Query()
		if u.Fragment != "" {
			a.params, _ = url.ParseQuery(u.EscapedFragment())
		}
	}
	return a
}

// authorize opens an authorization request.
func (b *browser) authorize(form url.Values) answer {
	b.r.t.Helper()
	return b.get(authorizePath + "?" + form.Encode())
}

func (b *browser) get(target string) answer {
	b.r.t.Helper()
	return b.serve(httptest.NewRequest(http.MethodGet, testIssuer+target, nil), b.r.p.Handler())
}

// posts sends a form to the authorization endpoint, from our own pages or another site's.
func (b *browser) posts(form url.Values, site string) answer {
	b.r.t.Helper()
	req := httptest.NewRequest(http.MethodPost, testIssuer+authorizePath, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", site)
	if site == "cross-site" { // Lax cookies stay at home
		stranger := &browser{r: b.r, cookies: map[string]string{}}
		return stranger.serve(req, b.r.p.Handler())
	}
	return b.serve(req, b.r.p.Handler())
}

// flowOf is the flow that an answer leads to; the test ends if it leads elsewhere.
func (b *browser) flowOf(a answer) auth.FlowID {
	b.r.t.Helper()
	u, err := url.Parse(a.location)
	if err != nil || u.Path != "/login" || a.code != http.StatusSeeOther {
		b.r.t.Fatalf("answered %d %s to %q (%v), want a sign-in", a.code, a.page, a.location, a.fault)
	}
	return auth.FlowID(u.Query().Get("flow"))
}

// prove types ada's name and password.
func (b *browser) prove(id auth.FlowID) auth.Flow {
	b.r.t.Helper()
	ctx := b.r.t.Context()
	var f auth.Flow
	b.r.update(func(tx *store.Tx) (err error) {
		if f, err = tx.Flow(ctx, id, web.Hash(b.cookies["__Host-"+web.BrowserCookie])); err != nil {
			return err
		}
		f, err = auth.Name(ctx, tx, f, "ada")
		return err
	})
	var a auth.Attempt
	b.r.update(func(tx *store.Tx) (err error) {
		a, err = b.r.p.signIn.TryPassword(ctx, tx, f, auth.Origin{Source: "192.0.2.0/24"})
		return err
	})
	b.r.update(func(tx *store.Tx) error {
		next, refused, err := b.r.p.signIn.Settle(ctx, tx, a, f, a.Hash == "$argon2id$ada", "", auth.Origin{Source: "192.0.2.0/24"})
		if refused != nil {
			return refused
		}
		f = next
		return err
	})
	return f
}

// allow ticks every scope of the consent page, if one is due, but those named.
func (b *browser) allow(f auth.Flow, but ...string) auth.Flow {
	b.r.t.Helper()
	if f.Next() != auth.Allow {
		return f
	}
	b.r.update(func(tx *store.Tx) (err error) {
		var ticked []string
		for _, s := range f.Offered {
			if !strings.Contains(strings.Join(but, " "), s) {
				ticked = append(ticked, s)
			}
		}
		f, err = auth.AllowScopes(b.r.t.Context(), tx, f, ticked)
		return err
	})
	return f
}

// finish ends the sign-in, as ui does after the last form.
func (b *browser) finish(id auth.FlowID, byForm bool) answer {
	b.r.t.Helper()
	h := web.Handler(slog.New(slog.DiscardHandler), func(w http.ResponseWriter, r *http.Request) error {
		return b.r.p.Finish(w, r, id, byForm)
	}, b.r.seen.Fault)
	return b.serve(httptest.NewRequest(http.MethodPost, testIssuer+"/login/consent", nil), h)
}

// cancel ends the sign-in with a no.
func (b *browser) cancel(id auth.FlowID) answer {
	b.r.t.Helper()
	h := web.Handler(slog.New(slog.DiscardHandler), func(w http.ResponseWriter, r *http.Request) error {
		return b.r.p.Refuse(w, r, id)
	}, b.r.seen.Fault)
	return b.serve(httptest.NewRequest(http.MethodPost, testIssuer+"/login/cancel", nil), h)
}

// signIn goes from an answer that leads to a sign-in to the answer of the application's request.
func (b *browser) signIn(a answer) answer {
	b.r.t.Helper()
	f := b.allow(b.prove(b.flowOf(a)))
	return b.finish(f.ID, true)
}

// code asks for form, signing in if that is needed, and returns the code.
func (b *browser) code(form url.Values) string {
	b.r.t.Helper()
	a := b.authorize(form)
	if a.to() == "/login" {
		a = b.signIn(a)
	}
	code := a.params.Get("code")
	if code == "" {
		b.r.t.Fatalf("answered %d %s %q (%v), want a code", a.code, a.page, a.location, a.fault)
	}
	return code
}

// exchange is a token request of c for a code.
func (r *rig) exchangeForm(c auth.Client, code string, changes ...string) url.Values {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.RedirectURIs[0]}, "code_verifier": {verifier},
	}
	if !c.Confidential() {
		form.Set("client_id", string(c.ID))
	}
	for i := 0; i < len(changes); i += 2 {
		if form.Set(changes[i], changes[i+1]); changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	return form
}

// tokenCall sends form to the token endpoint as client c; the app brings its secret.
func (r *rig) tokenCall(c auth.Client, form url.Values) *httptest.ResponseRecorder {
	r.t.Helper()
	if c.ID == r.app.ID {
		return r.post(tokenPath, form, basic(string(c.ID), r.secret))
	}
	return r.post(tokenPath, form)
}

// tokensOf exchanges a code, which must work.
func (r *rig) tokensOf(c auth.Client, code string, changes ...string) map[string]any {
	r.t.Helper()
	w := r.tokenCall(c, r.exchangeForm(c, code, changes...))
	if w.Code != http.StatusOK {
		r.t.Fatalf("token answered %d %s, want 200", w.Code, w.Body)
	}
	return decode(r.t, w)
}

// refresh sends a refresh token.
func (r *rig) refresh(c auth.Client, token string, changes ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	if !c.Confidential() {
		form.Set("client_id", string(c.ID))
	}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return r.tokenCall(c, form)
}

// wantError checks an error response of the token endpoint.
func wantError(t *testing.T, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	if got := decode(t, w); w.Code != status || got["error"] != code || got["access_token"] != nil {
		t.Errorf("answered %d %v, want %d %s", w.Code, got, status, code)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q, want no-store", got)
	}
}

// wantTold checks an error response that the browser brings to the application.
func wantTold(t *testing.T, a answer, code string) {
	t.Helper()
	if got := a.params.Get("error"); got != code || a.params.Get("code") != "" {
		t.Errorf("answered %d %s to %q (%v), want %s", a.code, a.page, a.location, a.fault, code)
	}
	if got := a.params.Get("iss"); got != testIssuer {
		t.Errorf("iss %q, want %q", got, testIssuer) // RFC 9207 §2
	}
}

// wantPage checks that nothing was sent to anybody: our own page says what is wrong.
func wantPage(t *testing.T, a answer, code string) {
	t.Helper()
	if a.page != "fault" || a.code < 400 || a.header.Get("Location") != "" || a.fault == nil || a.fault.Code != code {
		t.Errorf("answered %d %s to %q (%v), want our page with %s", a.code, a.page, a.location, a.fault, code)
	}
}

// claimsOf reads a JWT of ours without its signature.
func claimsOf(t *testing.T, token any) map[string]any {
	t.Helper()
	part := strings.Split(token.(string), ".")
	if len(part) != 3 {
		t.Fatalf("%q is not a JWT", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	var c map[string]any
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}
