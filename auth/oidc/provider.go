package oidc

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/ory/fosite"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/outbound"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

// Config is what a Provider needs. All fields are required but the last four.
type Config struct {
	Issuer   string // exactly as relying parties know it: scheme and host, no path, no trailing slash
	DB       *store.DB
	Keys     *Keyring
	SignIn   auth.SignIn
	Issuing  auth.Issuing
	Cookies  web.Cookies
	Pages    Pages
	Outbound *outbound.Client
	Log      *slog.Logger

	// Coalesce takes refusals that reached no account: strangers could fill the disk with them, so they are counted
	// together. Nil drops them.
	Coalesce func(audit.Event)
	// Count is told how each request to an endpoint ended: "ok", or the OAuth error code. Nil counts nothing.
	Count func(endpoint, outcome string)
	// Locales are the languages the pages speak (BCP 47), as discovery tells. Nil: English.
	Locales []string
	// FlowsPerMinute bounds how many sign-ins one source may begin in a minute; 0 means 600.
	FlowsPerMinute int
}

// Pages draws what a protocol endpoint has to show to a person. Addresses it is given were validated.
type Pages interface {
	// Fault shows an error page.
	Fault(w http.ResponseWriter, r *http.Request, f *fault.Error)
	// HandOff takes the browser to an application after a form of ours was posted, where a redirect would be
	// stopped by form-action 'self'.
	HandOff(w http.ResponseWriter, r *http.Request, c auth.Client, location string) error
	// FormPost posts params to action (OAuth 2.0 Form Post Response Mode).
	FormPost(w http.ResponseWriter, r *http.Request, c auth.Client, action string, params url.Values) error
	// ConfirmLogout asks whether to sign out.
	ConfirmLogout(w http.ResponseWriter, r *http.Request, l LogoutPrompt) error
	// SignedOut says that the session is over. back is the application's post-logout address, or empty.
	SignedOut(w http.ResponseWriter, r *http.Request, c auth.Client, back string) error
}

// LogoutPrompt is what the page that confirms a logout shows, and the form that it posts.
type LogoutPrompt struct {
	Client  auth.Client // who asks; zero if nobody says
	Account auth.Account
	Action  string // path the form posts to
	Fields  url.Values
	Locales string // ui_locales
}

// SignInPath is where a sign-in in progress goes on: ui's first page.
func SignInPath(f auth.FlowID) string { return "/login?flow=" + url.QueryEscape(string(f)) }

// Provider serves the protocol endpoints of one issuer. It is safe for concurrent use.
type Provider struct {
	issuer   string
	db       *store.DB
	keys     *Keyring
	signIn   auth.SignIn
	issuing  auth.Issuing
	cookies  web.Cookies
	pages    Pages
	outbound *outbound.Client
	log      *slog.Logger
	coalesce func(audit.Event)
	count    func(endpoint, outcome string)

	clientKeys *clientKeys
	metadata   document
	origins    *origins
	flows      *tap
	fosite     *fosite.Fosite
}

// New returns the provider of c, or says what is missing.
func New(c Config) (*Provider, error) {
	switch {
	case c.DB == nil, c.Keys == nil, c.Pages == nil, c.Outbound == nil, c.Log == nil:
		return nil, errors.New("oidc: DB, Keys, Pages, Outbound and Log are required")
	case len(c.Issuing.Key) < 32, len(c.SignIn.Key) < 32:
		return nil, errors.New("oidc: Issuing and SignIn need keys of 32 bytes")
	}
	if err := checkIssuer(c.Issuer); err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	if c.Issuing.Issuer != "" && c.Issuing.Issuer != c.Issuer {
		return nil, errors.New("oidc: Issuing is for another issuer")
	}
	if c.Issuing.Issuer == "" {
		c.Issuing.Issuer = c.Issuer
	}
	p := &Provider{
		issuer: c.Issuer, db: c.DB, keys: c.Keys, signIn: c.SignIn, issuing: c.Issuing, cookies: c.Cookies,
		pages: c.Pages, outbound: c.Outbound, log: c.Log, count: c.Count,
		origins: &origins{}, flows: newTap(c.FlowsPerMinute),
	}
	p.coalesce = func(e audit.Event) {
		if e.At.IsZero() {
			e.At = time.Now()
		}
		if c.Coalesce != nil {
			c.Coalesce(e)
		}
	}
	if p.count == nil {
		p.count = func(string, string) {}
	}
	p.clientKeys = newClientKeys(c.Outbound.Get)
	p.metadata = newMetadata(c.Issuer, c.Locales, c.SignIn.Passkeys)
	p.fosite = newFosite(p)
	return p, nil
}

// checkIssuer refuses what cannot be an issuer identifier of ours (OpenID Connect Discovery 1.0 §3, RFC 8414 §2).
// Plain http is for loopback alone; whether the listener is there too is the configuration's to check.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil:
		return fmt.Errorf("issuer %q: %w", issuer, err)
	case u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.String() != issuer:
		return fmt.Errorf("issuer %q: want scheme and host alone, as https://id.example.org", issuer)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("issuer %q: want https; http is for loopback hosts alone", issuer)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
