package ui

import (
	"crypto"
	"encoding/base64"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/oidc"
	"github.com/countersign-id/countersign/auth/passkey"
	"github.com/countersign-id/countersign/auth/password"
	"github.com/countersign-id/countersign/internal/outbound"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

const (
	issuer     = "https://id.northwind.example"
	passphrase = "velvet anchors drift northward"
)

// house is a deployment: pages and protocol on a real store, one application, and a clock that stands until it is moved.
type house struct {
	t      *testing.T
	db     *store.DB
	s      *Server
	http   http.Handler
	hasher *password.Hasher
	app    auth.Client
	secret string
	noor   auth.Account
	policy auth.Policy

	mu      sync.Mutex
	now     time.Time
	strays  []audit.Event
	counted []string
}

// each runs a test on both databases.
func each(t *testing.T, test func(t *testing.T, r *house), change ...func(*Config)) {
	t.Helper()
	eachWith(t, true, test, change...)
}

func eachWith(t *testing.T, people bool, test func(t *testing.T, r *house), change ...func(*Config)) {
	t.Helper()
	t.Parallel()
	for name, open := range map[string]func(testing.TB, ...func(*store.Config)) *store.DB{"sqlite": storetest.Open, "postgres": storetest.OpenPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &house{t: t, now: time.Now().UTC().Truncate(time.Second)}
			r.db = open(t, func(c *store.Config) { c.Clock = r.clock })
			r.build(change)
			if people {
				r.noor = r.account("noor.haddad", passphrase)
			}
			test(t, r)
		})
	}
}

func (r *house) clock() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return r.now }

func (r *house) move(d time.Duration) { r.mu.Lock(); defer r.mu.Unlock(); r.now = r.now.Add(d) }

func (r *house) build(change []func(*Config)) {
	t := r.t
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	keys, err := oidc.NewKeyring(oidc.KeyringConfig{DB: r.db, Log: log, Policy: auth.KeyPolicy{
		Algs: []string{"ES256"}, Life: 90 * 24 * time.Hour, Publish: 24 * time.Hour, Overlap: 25 * time.Hour,
	}, Generate: func(string) (crypto.Signer, error) { return oidc.GenerateKey("ES256") }})
	must(err)
	must(keys.Start(t.Context()))
	r.hasher, err = password.New(password.Config{Memory: 8, Time: 1, Threads: 1, Workers: 2, Queue: 8})
	must(err)
	dummy, err := r.hasher.Hash(t.Context(), "nobody knows this one")
	must(err)
	signIn := auth.SignIn{Key: make(auth.Secret, 32), Dummy: dummy, Limits: auth.Limits{SourceBurst: 1000, GlobalBurst: 1000}, Passkeys: true, Policy: r.policy}
	party, err := passkey.New(passkey.Config{Issuer: issuer, Name: "Northwind Group"})
	must(err)
	pages, err := NewPages(Site{Organisation: "Northwind Group", Host: "id.northwind.example", HTTPS: true}, log)
	must(err)
	provider, err := oidc.New(oidc.Config{
		Issuer: issuer, DB: r.db, Keys: keys, SignIn: signIn, Issuing: auth.Issuing{Issuer: issuer, Key: make(auth.Secret, 32)},
		Cookies: web.Cookies{HTTPS: true}, Pages: pages, Outbound: outbound.New(outbound.Config{}), Log: log, FlowsPerMinute: 100,
	})
	must(err)
	cfg := Config{
		DB: r.db, OIDC: provider, Pages: pages, SignIn: signIn, Passwords: r.hasher, Rules: password.Rules{}, Cookies: web.Cookies{HTTPS: true}, Log: log, Passkeys: party,
		Coalesce: func(e audit.Event) { r.mu.Lock(); defer r.mu.Unlock(); r.strays = append(r.strays, e) },
		Count:    func(o string) { r.mu.Lock(); defer r.mu.Unlock(); r.counted = append(r.counted, o) },
	}
	for _, f := range change {
		f(&cfg)
	}
	r.s, err = New(cfg)
	must(err)
	mux := http.NewServeMux()
	mux.Handle("/", r.s)
	mux.Handle("/oauth2/", provider.Handler())
	r.http = web.Frame{Log: log, HTTPS: true}.Handler(mux)

	c := auth.NewClient("aurora", "Aurora Finance", auth.Web)
	c.RedirectURIs = []string{"https://aurora.northwind.example/cb"}
	c.Scopes = []string{"openid", "profile", "email", "offline_access"}
	c.PolicyURI, c.IDTokenAlg = "https://aurora.northwind.example/privacy", "ES256"
	r.app, r.secret = r.client(c)
}

func (r *house) update(f func(tx *store.Tx) error) {
	r.t.Helper()
	if err := r.db.Update(r.t.Context(), f); err != nil {
		r.t.Fatal(err)
	}
}

func (r *house) account(name, pw string) (a auth.Account) {
	r.t.Helper()
	n := auth.NewAccount{Username: name, Profile: auth.Profile{Name: "Noor Haddad", Email: name + "@northwind.example", EmailVerified: true}}
	if pw != "" {
		var err error
		if n.Hash, err = r.hasher.Hash(r.t.Context(), pw); err != nil {
			r.t.Fatal(err)
		}
	}
	r.update(func(tx *store.Tx) (err error) {
		a, err = auth.AddAccount(r.t.Context(), tx, "local:test", n)
		return err
	})
	return a
}

func (r *house) client(c auth.Client) (auth.Client, string) {
	r.t.Helper()
	var secret auth.Secret
	r.update(func(tx *store.Tx) (err error) {
		c, secret, err = auth.AddClient(r.t.Context(), tx, "local:test", c)
		return err
	})
	return c, string(secret)
}

// events returns how many events of a kind were written.
func (r *house) events(kind audit.Kind) (n int) {
	r.t.Helper()
	err := r.db.View(r.t.Context(), func(tx *store.Tx) error {
		all, err := tx.Events(r.t.Context(), store.EventFilter{}, 1000)
		n = 0
		for _, e := range all {
			if e.Event.Kind == kind {
				n++
			}
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// browser keeps cookies and knows where it is.
type browser struct {
	r       *house
	cookies map[string]string
	at      string
	address string // where it comes from
	agent   string
	lang    string
	last    answer
}

func (r *house) browser() *browser {
	return &browser{r: r, cookies: map[string]string{}, address: "192.0.2.7:40000", agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
}

type answer struct {
	status int
	body   string
	header http.Header
}

func (a answer) to() string { return a.header.Get("Location") }

func (b *browser) do(method, target string, form url.Values, change ...func(*http.Request)) answer {
	b.r.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req := httptest.NewRequest(method, issuer+target, body).WithContext(b.r.t.Context())
	req.RemoteAddr = b.address
	req.Header.Set("User-Agent", b.agent)
	if b.lang != "" {
		req.Header.Set("Accept-Language", b.lang)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for _, f := range change {
		f(req)
	}
	w := httptest.NewRecorder()
	b.r.http.ServeHTTP(w, req)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c.Value
	}
	b.at, b.last = target, answer{w.Code, w.Body.String(), w.Header()}
	return b.last
}

// get opens a page and follows our redirects.
func (b *browser) get(target string) answer {
	b.r.t.Helper()
	a := b.do("GET", target, nil)
	for range 5 {
		if a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "/") {
			break
		}
		a = b.do("GET", a.to(), nil)
	}
	return a
}

// submit fills the form of the page that posts to action, sends it, and follows our redirects.
func (b *browser) submit(action string, fill ...string) answer {
	b.r.t.Helper()
	form := b.form(action)
	for i := 0; i < len(fill); i += 2 {
		form.Set(fill[i], fill[i+1])
	}
	a := b.do("POST", action, form)
	if a.status == http.StatusSeeOther && strings.HasPrefix(a.to(), "/") {
		return b.get(a.to())
	}
	return a
}

var (
	formTag  = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)".*?</form>`)
	inputTag = regexp.MustCompile(`<input [^>]*>`)
	attr     = regexp.MustCompile(`([a-z-]+)="([^"]*)"`)
)

// form is what the page's form to action would send as it stands.
func (b *browser) form(action string) url.Values {
	b.r.t.Helper()
	for _, m := range formTag.FindAllStringSubmatch(b.last.body, -1) {
		if m[1] != action {
			continue
		}
		form := url.Values{}
		for _, in := range inputTag.FindAllString(m[0], -1) {
			at := map[string]string{}
			for _, a := range attr.FindAllStringSubmatch(in, -1) {
				at[a[1]] = html.UnescapeString(a[2])
			}
			if at["type"] != "checkbox" || strings.Contains(in, " checked") {
				form.Add(at["name"], at["value"])
			}
		}
		return form
	}
	b.r.t.Fatalf("page at %s (%d) has no form to %s:\n%s", b.at, b.last.status, action, b.last.body)
	return nil
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 Appendix B

// authorize is the application's link, with changes: name, value, name, value.
func (r *house) authorize(changes ...string) string {
	q := url.Values{
		"response_type": {"code"}, "client_id": {string(r.app.ID)}, "redirect_uri": {r.app.RedirectURIs[0]}, "scope": {"openid profile email offline_access"},
		"state": {"st4te"}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
	}
	return "/oauth2/authorize?" + q.Encode()
}

// signIn signs Noor in to our own pages.
func (b *browser) signIn() *browser {
	b.r.t.Helper()
	b.get("/account")
	b.submit("/login/identify", "username", "noor.haddad")
	if a := b.submit("/login/password", "password", passphrase); a.status != http.StatusOK || !strings.Contains(a.body, "Hello, Noor Haddad") {
		b.r.t.Fatalf("sign-in ends at %s with %d:\n%s", b.at, a.status, a.body)
	}
	return b
}

// handedTo reads the address that a hand-off page goes to.
func (b *browser) handedTo() *url.URL {
	b.r.t.Helper()
	m := regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]*)"`).FindStringSubmatch(b.last.body)
	if m == nil {
		b.r.t.Fatalf("page at %s (%d) is no hand-off:\n%s", b.at, b.last.status, b.last.body)
	}
	u, err := url.Parse(html.UnescapeString(m[1]))
	if err != nil {
		b.r.t.Fatal(err)
	}
	return u
}

func wantPage(t *testing.T, a answer, status int, parts ...string) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d", a.status, status)
	}
	for _, p := range parts {
		if !strings.Contains(a.body, p) {
			t.Errorf("page lacks %q:\n%s", p, a.body)
		}
	}
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
