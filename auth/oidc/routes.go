package oidc

import (
	"net/http"
	"strings"

	"github.com/countersign-id/countersign/internal/web"
)

// The addresses of the endpoints, under the issuer.
const (
	authorizePath  = "/oauth2/authorize"
	tokenPath      = "/oauth2/token"
	userinfoPath   = "/oauth2/userinfo"
	introspectPath = "/oauth2/introspect"
	revokePath     = "/oauth2/revoke"
	logoutPath     = "/oauth2/logout"
	jwksPath       = "/oauth2/jwks"
	discoveryPath  = "/.well-known/openid-configuration"
	metadataPath   = "/.well-known/oauth-authorization-server" // RFC 8414
)

// Route is a line of the route table, as `countersign routes --json` prints it.
type Route struct {
	Pattern    string `json:"pattern"`
	Permission string `json:"permission"` // "open": anybody; "client": an authenticated application; "token": an access token
	CSRF       string `json:"csrf"`       // "none": uses no cookie; "safe": changes nothing that a GET may not; "own": cross-site posts are stored and asked about
	CORS       string `json:"cors"`       // "none"; "any": public documents; "client": origins of the application's redirect addresses
}

type route struct {
	Route
	handle web.Func
	show   web.Show
}

// routes is the whole of the protocol. A cross-site POST to authorize or logout changes nothing; the other POSTs use no cookie.
func (p *Provider) routes() []route {
	page, oauth := p.pages.Fault, p.showOAuth
	return []route{
		{Route{"GET " + discoveryPath, "open", "none", "any"}, p.discovery, oauth},
		{Route{"GET " + metadataPath, "open", "none", "any"}, p.discovery, oauth},
		{Route{"GET " + jwksPath, "open", "none", "any"}, p.jwks, oauth},
		{Route{"GET " + authorizePath, "open", "safe", "none"}, p.authorize, page},
		{Route{"POST " + authorizePath, "open", "own", "none"}, p.authorize, page},
		{Route{"POST " + tokenPath, "client", "none", "client"}, p.token, oauth},
		{Route{"GET " + userinfoPath, "token", "none", "client"}, p.userinfo, p.showBearer},
		{Route{"POST " + userinfoPath, "token", "none", "client"}, p.userinfo, p.showBearer},
		{Route{"POST " + introspectPath, "client", "none", "none"}, p.introspect, oauth},
		{Route{"POST " + revokePath, "client", "none", "client"}, p.revoke, oauth},
		{Route{"GET " + logoutPath, "open", "safe", "none"}, p.logout, page},
		{Route{"POST " + logoutPath, "open", "own", "none"}, p.logout, page},
	}
}

// Routes lists the routes, for tests and tools that walk them.
func (p *Provider) Routes() []Route {
	var all []Route
	for _, r := range p.routes() {
		all = append(all, r.Route)
	}
	return all
}

// Handler serves every route of the table. Unknown paths answer 404 and other methods 405.
func (p *Provider) Handler() http.Handler {
	mux := http.NewServeMux()
	preflights := map[string]bool{}
	for _, r := range p.routes() {
		mux.Handle(r.Pattern, p.withCORS(r.CORS, noHead(r.Pattern, web.Handler(p.log, r.handle, r.show))))
		_, path, _ := strings.Cut(r.Pattern, " ")
		if r.CORS == "none" || preflights[path] {
			continue
		}
		preflights[path] = true
		mux.Handle("OPTIONS "+path, p.preflight(r.CORS))
	}
	return mux
}

// noHead refuses HEAD where GET does more than show a document: a mux serves HEAD by the GET handler, and asking for
// the headers of an authorization must not issue a code.
func noHead(pattern string, next http.Handler) http.Handler {
	if !strings.HasSuffix(pattern, authorizePath) && !strings.HasSuffix(pattern, logoutPath) {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header().Set("Allow", "GET, POST")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}
