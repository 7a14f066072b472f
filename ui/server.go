package ui

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/oidc"
	"github.com/countersign-id/countersign/auth/passkey"
	"github.com/countersign-id/countersign/auth/password"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

// Config is what a Server needs. All fields are required but the last three.
type Config struct {
	DB        *store.DB
	OIDC      *oidc.Provider
	Pages     *Pages
	SignIn    auth.SignIn
	Passwords *password.Hasher
	Rules     password.Rules // what a new password must be
	Cookies   web.Cookies
	Log       *slog.Logger
	Passkeys  *passkey.Party // nil: there are none here

	// Coalesce takes refusals that reached no account: strangers could fill the disk with them, so they are counted
	// together. Nil drops them.
	Coalesce func(audit.Event)
	// Count is told how each password attempt ended: "ok", "refused", "throttled", "busy". Nil counts nothing.
	Count func(outcome string)
}

// Server serves the pages of a deployment. It is safe for concurrent use.
type Server struct {
	*Pages
	db        *store.DB
	oidc      *oidc.Provider
	signIn    auth.SignIn
	passwords *password.Hasher
	rules     password.Rules
	cookies   web.Cookies
	keys      *passkey.Party
	coalesce  func(audit.Event)
	count     func(outcome string)
	handler   http.Handler
}

// New returns the server of c, or says what is missing.
func New(c Config) (*Server, error) {
	switch {
	case c.DB == nil, c.OIDC == nil, c.Pages == nil, c.Passwords == nil, c.Log == nil:
		return nil, errors.New("ui: DB, OIDC, Pages, Passwords and Log are required")
	case len(c.SignIn.Key) < 32 || c.SignIn.Dummy == "":
		return nil, errors.New("ui: SignIn needs a key of 32 bytes and a dummy hash")
	case c.SignIn.Passkeys != (c.Passkeys != nil):
		return nil, errors.New("ui: SignIn and Passkeys must agree whether there are passkeys")
	}
	s := &Server{
		Pages: c.Pages, db: c.DB, oidc: c.OIDC, signIn: c.SignIn, passwords: c.Passwords, rules: c.Rules, cookies: c.Cookies,
		keys: c.Passkeys, coalesce: c.Coalesce, count: c.Count,
	}
	if s.coalesce == nil {
		s.coalesce = func(audit.Event) {}
	}
	if s.count == nil {
		s.count = func(string) {}
	}
	var err error
	s.handler, err = s.serve()
	return s, err
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// serve puts the route table behind the browsers' own proof of origin, which is our defence against cross-site request
// forgery: a POST that a browser says came from elsewhere changes nothing (sec-R01, I20).
func (s *Server) serve() (http.Handler, error) {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.Pattern, web.Handler(s.log, r.handle, s.show))
	}
	own := http.NewCrossOriginProtection()
	if err := own.AddTrustedOrigin(s.site.origin()); err != nil { // a proxy may rewrite Host; the issuer is what browsers see
		return nil, err
	}
	own.SetDenyHandler(web.Handler(s.log, s.denyForeign, s.show))
	return own.Handler(mux), nil
}

var errForeign = fault.New(fault.Denied, "other-site", "This form was sent from another site. Nothing was changed.")

func (s *Server) denyForeign(w http.ResponseWriter, r *http.Request) error {
	s.stray(r, audit.Event{Kind: audit.RequestRefused, Code: errForeign.Code})
	return errForeign
}

// show tells the person at the door what went wrong. A sign-in that is over has a page that says how to go on.
func (s *Server) show(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	if f.Is(auth.ErrFlowGone) {
		if err := s.StartAgain(w, r); err == nil {
			return
		}
	}
	s.Fault(w, r, f)
}

// stray hands a refusal that reached no account to the coalescer.
func (s *Server) stray(r *http.Request, e audit.Event) {
	e.At, e.Outcome, e.Request = time.Now().UTC(), audit.Refused, web.RequestID(r.Context())
	if e.Personal == nil {
		e.Personal = map[string]string{audit.Address: web.SourceOf(r.Context()).Address, audit.Agent: r.UserAgent()}
	}
	s.coalesce(e)
}

// seeOther sends the browser to a path of ours by GET: after a POST nothing is sent twice.
func seeOther(w http.ResponseWriter, path string) error {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
