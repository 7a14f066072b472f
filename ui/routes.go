package ui

import (
	"net/http"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/web"
)

// Route is a line of the route table, as `countersign routes --json` prints it.
type Route struct {
	Pattern    string `json:"pattern"`
	Permission string `json:"permission"` // "open": anybody; "flow": the browser that began the sign-in; "session": somebody signed in
	CSRF       string `json:"csrf"`       // "safe": changes nothing that a GET may not; "origin": refused when a browser says it came from elsewhere
}

type route struct {
	Route
	handle web.Func
}

// routes is the whole of the door.
func (s *Server) routes() []route {
	return []route{
		{Route{"GET /{$}", "open", "safe"}, func(w http.ResponseWriter, _ *http.Request) error { return seeOther(w, "/account") }},
		{Route{"GET /assets/{name}", "open", "safe"}, getAsset},
		{Route{"GET /preferences", "open", "safe"}, s.getPreferences},
		{Route{"GET /signed-out", "open", "safe"}, s.getSignedOut},
		{Route{"/", "open", "safe"}, func(http.ResponseWriter, *http.Request) error { return errNoPage }},

		{Route{"GET /login", "flow", "safe"}, s.getStep(auth.Identify)},
		{Route{"GET /login/password", "flow", "safe"}, s.getStep(auth.Prove)},
		{Route{"GET /login/consent", "flow", "safe"}, s.getStep(auth.Allow)},
		{Route{"GET /login/identify", "flow", "safe"}, s.getStep(auth.Identify)},
		{Route{"POST /login/identify", "flow", "origin"}, s.postIdentify},
		{Route{"POST /login/password", "flow", "origin"}, s.postPassword},
		{Route{"POST /login/consent", "flow", "origin"}, s.postConsent},
		{Route{"POST /login/restart", "flow", "origin"}, s.postRestart},
		{Route{"POST /login/cancel", "flow", "origin"}, s.postCancel},

		{Route{"GET /setup", "open", "safe"}, s.getSetup},
		{Route{"POST /setup", "open", "origin"}, s.postSetup},

		{Route{"GET /account", "session", "safe"}, s.signedIn(s.getHome)},
		{Route{"GET /account/password", "session", "safe"}, s.signedIn(s.getPassword)},
		{Route{"POST /account/password", "session", "origin"}, s.signedIn(s.postNewPassword)},
		{Route{"GET /account/sessions", "session", "safe"}, s.signedIn(s.getSessions)},
		{Route{"POST /account/sessions/end", "session", "origin"}, s.signedIn(s.postEndSession)},
		{Route{"POST /account/sessions/end-others", "session", "origin"}, s.signedIn(s.postEndOthers)},
		{Route{"GET /account/apps", "session", "safe"}, s.signedIn(s.getApps)},
		{Route{"POST /account/apps/withdraw", "session", "origin"}, s.signedIn(s.postWithdraw)},
		{Route{"POST /account/sign-out", "session", "origin"}, s.signedIn(s.postSignOut)},
	}
}

// Routes lists the routes, for tests and tools that walk them.
func (s *Server) Routes() []Route {
	var all []Route
	for _, r := range s.routes() {
		all = append(all, r.Route)
	}
	return all
}
