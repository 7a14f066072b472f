// Package ledger is a small accounts-payable application that delegates its sign-in: the relying party of the demo.
//
// It is written as an outsider would write it. It imports nothing of Countersign, learns everything from discovery, and
// decides from tokens alone: the access token's scope says which of its pages a person may use.
package ledger

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Audience is the name Ledger's API expects in the tokens it accepts.
const Audience = "https://ledger.demo.countersign.example/api"

// The scopes of Ledger's API, one for each thing a person can do in it.
const (
	ReadInvoices    = "ledger:read"
	EnterInvoices   = "ledger:enter"
	ApproveInvoices = "ledger:approve"
	PayInvoices     = "ledger:pay"
	ReadReports     = "ledger:report"
)

// Scopes lists what Ledger asks for.
var Scopes = []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess, ReadInvoices, EnterInvoices, ApproveInvoices, PayInvoices, ReadReports}

// Config says where Ledger stands and who signs its people in.
type Config struct {
	Issuer       string   // the provider
	Addresses    []string // Ledger's own addresses, without a slash at the end; the first is the usual one
	ClientID     string
	ClientSecret string
	Log          *slog.Logger
	Client       *http.Client // for calls to the provider; nil: a plain one with a time limit
}

// App is a running Ledger.
type App struct {
	cfg    Config
	log    *slog.Logger
	client *http.Client
	books  *books

	mu       sync.Mutex
	provider *oidc.Provider
	begun    map[string]begun    // sign-ins under way, by state
	sessions map[string]*session // by cookie
}

// begun is a sign-in under way. It belongs to the browser whose cookie it carries.
type begun struct {
	browser, verifier, nonce, back string
	at                             time.Time
}

// session is a person signed in to Ledger.
type session struct {
	mu      sync.Mutex
	token   *oauth2.Token
	id      *oidc.IDToken
	claims  map[string]any // of the ID token and userinfo
	scopes  []string       // of the access token, as verified
	ends    time.Time      // when the access token dies
	renewed int
	at      time.Time
}

//go:embed all:pages
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"money": money, "clock": func(t time.Time) string { return t.UTC().Format("15:04:05") },
}).ParseFS(files, "pages/*.html"))

// New returns Ledger. It needs no provider yet: discovery happens at the first sign-in.
func New(cfg Config) (*App, error) {
	if cfg.Issuer == "" || len(cfg.Addresses) == 0 || cfg.ClientID == "" || cfg.Log == nil {
		return nil, errors.New("ledger: issuer, address, client and log are required")
	}
	client := cfg.Client
	if client == nil {
		client = &http.Client{Timeout: 10 * time.Second}
	}
	return &App{
		cfg: cfg, log: cfg.Log, client: client, books: newBooks(),
		begun: map[string]begun{}, sessions: map[string]*session{},
	}, nil
}

// Handler serves Ledger.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("GET /login", a.login)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("POST /refresh", a.refresh)
	mux.HandleFunc("POST /logout", a.logout)
	mux.HandleFunc("GET /goodbye", a.goodbye)
	mux.HandleFunc("GET /token", a.need("", a.token))
	mux.HandleFunc("GET /invoices", a.need(ReadInvoices, a.invoices))
	mux.HandleFunc("POST /invoices", a.need(EnterInvoices, a.enter))
	mux.HandleFunc("POST /invoices/{id}/approve", a.need(ApproveInvoices, a.approve))
	mux.HandleFunc("POST /invoices/{id}/pay", a.need(PayInvoices, a.pay))
	mux.HandleFunc("GET /reports", a.need(ReadReports, a.reports))
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(must(files, "pages"))))
	return a.headers(http.NewCrossOriginProtection().Handler(mux))
}

// headers closes the pages to scripts and frames. Forms may lead to the provider: signing out goes on there.
func (a *App) headers(next http.Handler) http.Handler {
	policy := "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' " + a.cfg.Issuer + "; frame-ancestors 'none'; base-uri 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// oidcProvider discovers the provider once; an outage at start is no outage for ever.
func (a *App) oidcProvider(ctx context.Context) (*oidc.Provider, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.provider != nil {
		return a.provider, nil
	}
	p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), a.client), a.cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discover %s: %w", a.cfg.Issuer, err)
	}
	a.provider = p
	return p, nil
}

// address is the address the browser knows Ledger by; a Host that is none of ours counts for nothing.
func (a *App) address(r *http.Request) string {
	for _, addr := range a.cfg.Addresses {
		if _, host, _ := strings.Cut(addr, "://"); host == r.Host {
			return addr
		}
	}
	return a.cfg.Addresses[0]
}

func (a *App) oauth(p *oidc.Provider, r *http.Request) *oauth2.Config {
	return &oauth2.Config{
		ClientID: a.cfg.ClientID, ClientSecret: a.cfg.ClientSecret, Endpoint: p.Endpoint(),
		RedirectURL: a.address(r) + "/callback", Scopes: Scopes,
	}
}

// login sends the browser to the provider: code flow with PKCE, state and nonce.
func (a *App) login(w http.ResponseWriter, r *http.Request) {
	p, err := a.oidcProvider(r.Context())
	if err != nil {
		a.trouble(w, r, http.StatusBadGateway, "The sign-in service does not answer.", err)
		return
	}
	b := begun{browser: random(), verifier: oauth2.GenerateVerifier(), nonce: random(), back: local(r.FormValue("back")), at: time.Now()}
	state := random()
	a.mu.Lock()
	for s, old := range a.begun {
		if time.Since(old.at) > 15*time.Minute || len(a.begun) > 1000 {
			delete(a.begun, s)
		}
	}
	a.begun[state] = b
	a.mu.Unlock()

	a.cookie(w, "ledger_login_"+state[:8], b.browser, 15*time.Minute)
	opts := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(b.verifier), oidc.Nonce(b.nonce), oauth2.SetAuthURLParam("resource", Audience)}
	if prompt := r.FormValue("prompt"); prompt == "login" || prompt == "none" || prompt == "consent" {
		opts = append(opts, oauth2.SetAuthURLParam("prompt", prompt))
	}
	http.Redirect(w, r, a.oauth(p, r).AuthCodeURL(state, opts...), http.StatusSeeOther)
}

// callback takes the code, checks everything that came back, and begins a session of Ledger's own.
func (a *App) callback(w http.ResponseWriter, r *http.Request) {
	ctx := oidc.ClientContext(r.Context(), a.client)
	p, err := a.oidcProvider(ctx)
	if err != nil {
		a.trouble(w, r, http.StatusBadGateway, "The sign-in service does not answer.", err)
		return
	}
	state := r.FormValue("state")
	a.mu.Lock()
	b, ok := a.begun[state]
	delete(a.begun, state)
	a.mu.Unlock()
	if !ok || len(state) < 8 || value(r, "ledger_login_"+state[:8]) != b.browser {
		a.trouble(w, r, http.StatusBadRequest, "This sign-in was not begun here, or it is over.", nil)
		return
	}
	a.cookie(w, "ledger_login_"+state[:8], "", -1)
	if iss := r.FormValue("iss"); iss != "" && iss != a.cfg.Issuer { // RFC 9207: an answer of another provider
		a.trouble(w, r, http.StatusBadRequest, "The answer came from another sign-in service.", nil)
		return
	}
	if code := r.FormValue("error"); code != "" {
		a.trouble(w, r, http.StatusForbidden, "You were not signed in: "+code+". "+r.FormValue("error_description"), nil)
		return
	}
	tok, err := a.oauth(p, r).Exchange(ctx, r.FormValue("code"), oauth2.VerifierOption(b.verifier), oauth2.SetAuthURLParam("resource", Audience))
	if err != nil {
		a.trouble(w, r, http.StatusBadGateway, "The sign-in could not be completed.", err)
		return
	}
	s := &session{at: time.Now()}
	if err := a.read(ctx, p, s, tok, b.nonce); err != nil {
		a.trouble(w, r, http.StatusBadGateway, "The tokens we were given are not right.", err)
		return
	}
	key := random()
	a.mu.Lock()
	a.sessions[key] = s
	a.mu.Unlock()
	a.cookie(w, "ledger_session", key, 12*time.Hour)
	http.Redirect(w, r, b.back, http.StatusSeeOther)
}

// read verifies the tokens and keeps what they say. The nonce is empty after a refresh.
func (a *App) read(ctx context.Context, p *oidc.Provider, s *session, tok *oauth2.Token, nonce string) error {
	raw, ok := tok.Extra("id_token").(string)
	if !ok {
		return errors.New("no ID token")
	}
	id, err := p.VerifierContext(ctx, &oidc.Config{ClientID: a.cfg.ClientID}).Verify(ctx, raw)
	if err != nil {
		return fmt.Errorf("ID token: %w", err)
	}
	if nonce != "" && id.Nonce != nonce {
		return errors.New("ID token: another nonce")
	}
	// The access token is read as Ledger's API would read it (RFC 9068 §4).
	at, err := p.VerifierContext(ctx, &oidc.Config{ClientID: Audience, SupportedSigningAlgs: []string{oidc.ES256}}).Verify(ctx, tok.AccessToken)
	if err != nil {
		return fmt.Errorf("access token: %w", err)
	}
	var said struct {
		Scope string `json:"scope"`
	}
	if err := at.Claims(&said); err != nil {
		return fmt.Errorf("access token: %w", err)
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return fmt.Errorf("ID token: %w", err)
	}
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(tok))
	if err != nil {
		return fmt.Errorf("userinfo: %w", err)
	}
	if info.Subject != id.Subject { // OpenID Connect Core §5.3.2
		return errors.New("userinfo is about somebody else")
	}
	if err := info.Claims(&claims); err != nil {
		return fmt.Errorf("userinfo: %w", err)
	}
	s.token, s.id, s.claims, s.scopes, s.ends = tok, id, claims, strings.Fields(said.Scope), at.Expiry
	return nil
}

// refresh trades the refresh token for new tokens.
func (a *App) refresh(w http.ResponseWriter, r *http.Request) {
	s := a.session(r)
	if s == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.mu.Lock()
	err := a.renew(r, s)
	s.mu.Unlock()
	if err != nil {
		a.drop(w, r)
		a.trouble(w, r, http.StatusForbidden, "Your access could not be renewed. Sign in again.", err)
		return
	}
	http.Redirect(w, r, "/token", http.StatusSeeOther)
}

// renew is called with s locked: two requests at once must not spend the same refresh token.
func (a *App) renew(r *http.Request, s *session) error {
	ctx := oidc.ClientContext(r.Context(), a.client)
	p, err := a.oidcProvider(ctx)
	if err != nil {
		return err
	}
	if s.token.RefreshToken == "" {
		return errors.New("no refresh token")
	}
	tok, err := a.oauth(p, r).TokenSource(ctx, &oauth2.Token{RefreshToken: s.token.RefreshToken}).Token()
	if err != nil {
		return err
	}
	before := s.id.Subject
	if err := a.read(ctx, p, s, tok, ""); err != nil {
		return err
	}
	if s.id.Subject != before {
		return errors.New("the renewed tokens are about somebody else")
	}
	s.renewed++
	return nil
}

// logout ends Ledger's session and sends the browser to end the provider's.
func (a *App) logout(w http.ResponseWriter, r *http.Request) {
	s := a.session(r)
	a.drop(w, r)
	p, err := a.oidcProvider(r.Context())
	if s == nil || err != nil {
		http.Redirect(w, r, "/goodbye", http.StatusSeeOther)
		return
	}
	var end struct {
		Endpoint string `json:"end_session_endpoint"`
	}
	if err := p.Claims(&end); err != nil || end.Endpoint == "" {
		http.Redirect(w, r, "/goodbye", http.StatusSeeOther)
		return
	}
	s.mu.Lock()
	hint, _ := s.token.Extra("id_token").(string)
	s.mu.Unlock()
	q := "?" + query("id_token_hint", hint, "post_logout_redirect_uri", a.address(r)+"/goodbye", "state", random())
	http.Redirect(w, r, end.Endpoint+q, http.StatusSeeOther)
}

// need admits people whose access token carries scope; empty means anybody signed in.
func (a *App) need(scope string, next func(http.ResponseWriter, *http.Request, *session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := a.session(r)
		if s == nil {
			http.Redirect(w, r, "/login?"+query("back", r.URL.Path), http.StatusSeeOther)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if time.Now().After(s.ends) {
			if err := a.renew(r, s); err != nil {
				a.log.Info("renew", "err", err)
				a.drop(w, r)
				http.Redirect(w, r, "/login?"+query("back", r.URL.Path), http.StatusSeeOther)
				return
			}
		}
		if scope != "" && !slices.Contains(s.scopes, scope) {
			a.page(w, r, http.StatusForbidden, "denied", s, map[string]any{"Needs": scope})
			return
		}
		next(w, r, s)
	}
}

func (a *App) session(r *http.Request) *session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sessions[value(r, "ledger_session")]
}

func (a *App) drop(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	delete(a.sessions, value(r, "ledger_session"))
	a.mu.Unlock()
	a.cookie(w, "ledger_session", "", -1)
}

func (a *App) cookie(w http.ResponseWriter, name, v string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: v, Path: "/", MaxAge: int(life / time.Second), HttpOnly: true,
		Secure: strings.HasPrefix(a.cfg.Addresses[0], "https://"), SameSite: http.SameSiteLaxMode,
	})
}

func value(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// local admits only paths of our own; anything else would make Ledger a redirector for strangers.
func local(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return path
}

func random() string {
	var b [24]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// pretty shows a value as indented JSON.
func pretty(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}
