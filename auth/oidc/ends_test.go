package oidc

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/outbound"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

const testIssuer = "https://id.example.org"

// ends is a provider on a real store, with an account, a session and a grant to speak of.
type ends struct {
	t     *testing.T
	db    *store.DB
	keys  *Keyring
	p     *Provider
	clock *storetest.Clock
	pages *recorder

	mu     sync.Mutex
	events []audit.Event // what was given to the coalescer
}

// eachEnd runs f with a fresh provider on every database.
func eachEnd(t *testing.T, f func(t *testing.T, e *ends)) {
	t.Helper()
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock() // its own: a test may move it
			f(t, newEnds(t, open(t, func(cfg *store.Config) { cfg.Clock = c.Now }), c))
		})
	}
}

var databases = map[string]func(testing.TB, ...func(*store.Config)) *store.DB{
	"sqlite": storetest.Open, "postgres": storetest.OpenPostgres,
}

func newEnds(t *testing.T, db *store.DB, c *storetest.Clock) *ends {
	t.Helper()
	e := &ends{t: t, db: db, clock: c, pages: &recorder{}}
	e.keys = newTestKeyring(t, db, nil)
	if err := e.keys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.use(outbound.New(outbound.Config{}))
	return e
}

// use makes the provider anew with another way out.
func (e *ends) use(out *outbound.Client) {
	e.t.Helper()
	var err error
	e.p, err = New(Config{
		Issuer: testIssuer, DB: e.db, Keys: e.keys, Pages: e.pages, Outbound: out, Log: slog.New(slog.DiscardHandler),
		SignIn:   auth.SignIn{Key: make(auth.Secret, 32), Sessions: auth.SessionPolicy{Idle: time.Hour, Absolute: 12 * time.Hour, Touch: time.Minute}},
		Issuing:  auth.Issuing{Issuer: testIssuer, Key: make(auth.Secret, 32)},
		Cookies:  web.Cookies{HTTPS: true},
		Coalesce: func(ev audit.Event) { e.mu.Lock(); defer e.mu.Unlock(); e.events = append(e.events, ev) },
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.p.clientKeys.now = e.clock.Now
}

// coalesced returns how many events of kind were given to the coalescer.
func (e *ends) coalesced(kind audit.Kind) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, ev := range e.events {
		if ev.Kind == kind {
			n++
		}
	}
	return n
}

func newClock() *storetest.Clock {
	return storetest.NewClock(time.Now().UTC().Truncate(time.Second))
}

// rsaKeys are shared by the tests of this binary, because making one takes long. A keyring takes each at most once.
var rsaKeys struct {
	sync.Mutex
	all []*rsa.PrivateKey
}

func testKeys() func(alg string) (crypto.Signer, error) {
	taken := 0
	return func(alg string) (crypto.Signer, error) {
		if alg != "RS256" && alg != "PS256" {
			return GenerateKey(alg)
		}
		rsaKeys.Lock()
		defer rsaKeys.Unlock()
		if taken == len(rsaKeys.all) {
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				return nil, err
			}
			rsaKeys.all = append(rsaKeys.all, key)
		}
		taken++
		return rsaKeys.all[taken-1], nil
	}
}

func testPolicy() auth.KeyPolicy {
	return auth.KeyPolicy{Algs: auth.SigningAlgs(), Life: 90 * 24 * time.Hour, Publish: 24 * time.Hour, Overlap: 25 * time.Hour}
}

func newTestKeyring(t testing.TB, db *store.DB, generate func(string) (crypto.Signer, error)) *Keyring {
	t.Helper()
	if generate == nil {
		generate = testKeys()
	}
	k, err := NewKeyring(KeyringConfig{DB: db, Policy: testPolicy(), Log: slog.New(slog.DiscardHandler), Generate: generate})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// update runs f in a transaction that must succeed.
func (e *ends) update(f func(tx *store.Tx) error) {
	e.t.Helper()
	if err := e.db.Update(e.t.Context(), f); err != nil {
		e.t.Fatal(err)
	}
}

// account adds an account and returns it.
func (e *ends) account(name string) auth.Account {
	e.t.Helper()
	var a auth.Account
	e.update(func(tx *store.Tx) (err error) {
		a, err = auth.AddAccount(e.t.Context(), tx, "local:test", auth.NewAccount{
			Username: name,
			Profile:  auth.Profile{Name: "Ada " + name, Email: name + "@example.org", EmailVerified: true, Locale: "en"},
		})
		return err
	})
	return a
}

// client registers c with the defaults of its kind and returns its secret.
func (e *ends) client(id auth.ClientID, kind auth.ClientKind, change func(*auth.Client)) (auth.Client, string) {
	e.t.Helper()
	c := auth.NewClient(id, "Client "+string(id), kind)
	c.Scopes = []string{"openid", "profile", "email", "offline_access"}
	if kind != auth.Service {
		c.RedirectURIs = []string{"https://" + string(id) + ".example.org/cb"}
		c.PostLogoutURIs = []string{"https://" + string(id) + ".example.org/out"}
	}
	if change != nil {
		change(&c)
	}
	var secret auth.Secret
	e.update(func(tx *store.Tx) (err error) {
		c, secret, err = auth.AddClient(e.t.Context(), tx, "local:test", c)
		return err
	})
	return c, string(secret)
}

// signedIn makes a session and returns it with its cookie's value.
func (e *ends) signedIn(a auth.Account) (auth.Session, string) {
	e.t.Helper()
	token := web.NewToken()
	var s auth.Session
	e.update(func(tx *store.Tx) error {
		now := tx.Now()
		s = auth.Session{
			ID: auth.SessionID(tx.NewID()), Account: a.ID, TokenHash: web.Hash(token), AuthTime: now, ACR: "aal1", AMR: []string{"pwd"},
			CreatedAt: now, SeenAt: now, IdleEnds: now.Add(time.Hour), Ends: now.Add(12 * time.Hour),
		}
		return tx.AddSession(e.t.Context(), s)
	})
	return s, token
}

// tokens are what a client holds after somebody signed in.
type tokens struct {
	grant   auth.Grant
	access  auth.AccessToken
	bearer  string // access as presented
	refresh string
	id      string
}

// issue takes an authorization all the way to its tokens, by the functions the token endpoint uses.
func (e *ends) issue(c auth.Client, s auth.Session, scopes ...string) tokens {
	e.t.Helper()
	ctx := e.t.Context()
	verifier := strings.Repeat("v", 43)
	sum := web.Hash(verifier)
	var out tokens
	e.update(func(tx *store.Tx) error {
		if err := tx.PutConsent(ctx, auth.Consent{Account: s.Account, Client: c.ID, Scopes: slices.Sorted(slices.Values(scopes)), GivenAt: tx.Now(), UpdatedAt: tx.Now()}); err != nil {
			return err
		}
		code, _, err := e.p.issuing.Authorize(ctx, tx, auth.Authorization{
			Client: c, Session: s, RedirectURI: c.RedirectURIs[0], Challenge: base64.RawURLEncoding.EncodeToString(sum),
			Requested: scopes, Scopes: scopes,
		})
		if err != nil {
			return err
		}
		issued, err := e.p.issuing.Redeem(ctx, tx, auth.Redemption{Client: c, Code: code, RedirectURI: c.RedirectURIs[0], Verifier: verifier})
		if err != nil {
			return err
		}
		if issued.Refused != nil {
			return issued.Refused
		}
		out = tokens{grant: issued.Grant, access: issued.Access, refresh: issued.RefreshToken}
		if c.OpaqueAccessToken {
			out.bearer, err = auth.StoreAccess(ctx, tx, issued.Access)
		}
		return err
	})
	var err error
	if out.bearer == "" {
		if out.bearer, err = e.p.mintAccess(out.access, nil); err != nil {
			e.t.Fatal(err)
		}
	}
	out.id, err = e.keys.Sign("RS256", typID, e.idClaims(c, s))
	if err != nil {
		e.t.Fatal(err)
	}
	return out
}

func (e *ends) idClaims(c auth.Client, s auth.Session) map[string]any {
	now := e.clock.Now()
	return map[string]any{
		"iss": testIssuer, "sub": string(s.Account), "aud": string(c.ID), "sid": string(s.ID),
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": now.Unix(),
	}
}

// do sends a request to the provider's handler.
func (e *ends) do(r *http.Request) *httptest.ResponseRecorder {
	e.t.Helper()
	w := httptest.NewRecorder()
	web.Frame{Log: slog.New(slog.DiscardHandler), HTTPS: true}.Handler(e.p.Handler()).ServeHTTP(w, r.WithContext(e.t.Context()))
	if w.Code >= 500 {
		e.t.Logf("%s %s answered %d %s", r.Method, r.URL.Path, w.Code, w.Body)
	}
	return w
}

// post sends a form; change may add to the request.
func (e *ends) post(path string, form url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	e.t.Helper()
	r := httptest.NewRequest(http.MethodPost, testIssuer+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range change {
		c(r)
	}
	return e.do(r)
}

func (e *ends) get(path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	e.t.Helper()
	r := httptest.NewRequest(http.MethodGet, testIssuer+path, nil)
	for _, c := range change {
		c(r)
	}
	return e.do(r)
}

func basic(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

func withBearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func withCookie(value string) func(*http.Request) {
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__Host-session", Value: value}) }
}

func decode(t testing.TB, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatalf("%d %q is not JSON: %v", w.Code, w.Body, err)
	}
	return m
}

// recorder is the pages, kept instead of drawn.
type recorder struct {
	mu       sync.Mutex
	last     string // fault, hand-off, form-post, confirm, signed-out
	fault    *fault.Error
	client   auth.Client
	location string
	prompt   LogoutPrompt
}

func (p *recorder) note(w http.ResponseWriter, status int, f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.client, p.location, p.prompt = nil, auth.Client{}, "", LogoutPrompt{}
	f()
	w.WriteHeader(status)
	io.WriteString(w, p.last)
}

func (p *recorder) Fault(w http.ResponseWriter, _ *http.Request, f *fault.Error) {
	p.note(w, f.Kind.Status(), func() { p.last, p.fault = "fault", f })
}

func (p *recorder) HandOff(w http.ResponseWriter, _ *http.Request, c auth.Client, location string) error {
	p.note(w, 200, func() { p.last, p.client, p.location = "hand-off", c, location })
	return nil
}

func (p *recorder) FormPost(w http.ResponseWriter, _ *http.Request, c auth.Client, action string, _ url.Values) error {
	p.note(w, 200, func() { p.last, p.client, p.location = "form-post", c, action })
	return nil
}

func (p *recorder) ConfirmLogout(w http.ResponseWriter, _ *http.Request, l LogoutPrompt) error {
	p.note(w, 200, func() { p.last, p.client, p.prompt = "confirm", l.Client, l })
	return nil
}

func (p *recorder) SignedOut(w http.ResponseWriter, _ *http.Request, c auth.Client, back string) error {
	p.note(w, 200, func() { p.last, p.client, p.location = "signed-out", c, back })
	return nil
}

// live reports whether a session counts.
func (e *ends) live(id auth.SessionID) bool {
	e.t.Helper()
	var s auth.Session
	err := e.db.View(e.t.Context(), func(tx *store.Tx) (err error) {
		s, err = tx.Session(e.t.Context(), id)
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return s.Live(e.clock.Now())
}

type storeTx = *store.Tx

// eventsOf returns the events of kind that were written.
func (e *ends) eventsOf(kind audit.Kind) []audit.Event {
	e.t.Helper()
	var found []audit.Event
	err := e.db.View(e.t.Context(), func(tx *store.Tx) error {
		entries, err := tx.Events(e.t.Context(), store.EventFilter{Kind: kind}, 1000)
		found = nil
		for _, entry := range entries {
			found = append(found, entry.Event)
		}
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return found
}

var loopbackOnly = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func b64std(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func hashOf(s string) []byte { return web.Hash(s) }

func auditKind(name string) audit.Kind { return audit.Kind(name) }

func diff(want, got any) string { return cmp.Diff(want, got) }
