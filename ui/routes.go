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

		{Route{"POST /login/passkey/options", "flow", "origin"}, s.postPasskeyOptions},
		{Route{"POST /login/passkey", "flow", "origin"}, s.postPasskey},
		{Route{"GET /login/passkey", "flow", "safe"}, s.getStep(auth.Identify)},
		{Route{"GET /login/key", "flow", "safe"}, s.getStep(auth.Second)},
		{Route{"POST /login/key/options", "flow", "origin"}, s.postKeyOptions},
		{Route{"POST /login/key", "flow", "origin"}, s.postKey},
		{Route{"GET /login/totp", "flow", "safe"}, s.getStep(auth.Second)},
		{Route{"POST /login/totp", "flow", "origin"}, s.postCode},
		{Route{"GET /login/recovery", "flow", "safe"}, s.getStep(auth.Second)},
		{Route{"POST /login/recovery", "flow", "origin"}, s.postRecovery},
		{Route{"GET /login/enrol", "flow", "safe"}, s.getStep(auth.Enrol)},
		{Route{"GET /login/enrol/totp", "flow", "safe"}, s.getStep(auth.Enrol)},
		{Route{"GET /login/enrol/key", "flow", "safe"}, s.getStep(auth.Enrol)},
		{Route{"POST /login/enrol/totp/begin", "flow", "origin"}, s.postEnrolCodeBegin},
		{Route{"POST /login/enrol/totp", "flow", "origin"}, s.postEnrolCode},
		{Route{"POST /login/enrol/key/options", "flow", "origin"}, s.postEnrolKeyOptions},
		{Route{"POST /login/enrol/key", "flow", "origin"}, s.postEnrolKey},
		{Route{"POST /login/enrol/later", "flow", "origin"}, s.postLater},

		{Route{"GET /reauth", "session", "safe"}, s.signedIn(s.getReauth)},
		{Route{"POST /reauth", "session", "origin"}, s.signedIn(s.postReauth)},
		{Route{"GET /.well-known/webauthn", "open", "safe"}, s.getOrigins},
		{Route{"GET /.well-known/change-password", "open", "safe"}, getChangePassword},
		{Route{"GET /.well-known/passkey-endpoints", "open", "safe"}, s.getPasskeyEndpoints},

		{Route{"GET /setup", "open", "safe"}, s.getSetup},
		{Route{"POST /setup", "open", "origin"}, s.postSetup},

		{Route{"GET /account", "session", "safe"}, s.signedIn(s.getHome)},
		{Route{"GET /account/password", "session", "safe"}, s.signedIn(s.getPassword)},
		{Route{"POST /account/password", "session", "origin"}, s.signedIn(s.postNewPassword)},
		{Route{"GET /account/security", "session", "safe"}, s.signedIn(s.getSecurity)},
		{Route{"GET /account/passkeys/new", "session", "safe"}, s.signedIn(s.fresh(s.getNewKey))},
		{Route{"POST /account/passkeys/options", "session", "origin"}, s.signedIn(s.postNewKeyOptions)},
		{Route{"POST /account/passkeys/new", "session", "origin"}, s.signedIn(s.postNewKey)},
		{Route{"POST /account/passkeys/rename", "session", "origin"}, s.signedIn(s.postRenameKey)},
		{Route{"POST /account/passkeys/remove", "session", "origin"}, s.signedIn(s.postRemoveKey)},
		{Route{"GET /account/totp/new", "session", "safe"}, s.signedIn(s.fresh(s.getNewCode))},
		{Route{"POST /account/totp/begin", "session", "origin"}, s.signedIn(s.postNewCodeBegin)},
		{Route{"POST /account/totp/new", "session", "origin"}, s.signedIn(s.postNewCode)},
		{Route{"POST /account/totp/remove", "session", "origin"}, s.signedIn(s.postRemoveCode)},
		{Route{"GET /account/recovery-codes", "session", "safe"}, s.signedIn(s.fresh(s.getRecovery))},
		{Route{"POST /account/recovery-codes", "session", "origin"}, s.signedIn(s.postRecoveryCodes)},
		{Route{"POST /account/recovery-codes/file", "session", "origin"}, s.signedIn(s.postRecoveryFile)},
		{Route{"POST /account/browsers/forget", "session", "origin"}, s.signedIn(s.postForgetBrowser)},
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
