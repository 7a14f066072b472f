package ui

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

// Every step of a sign-in has one address. Which step a flow stands at is f.Next()'s to say, and nobody else's: the page of
// any other answers with the address of that one, and a form of any other changes nothing.
var stepPaths = map[auth.Step]string{auth.Identify: "/login", auth.Prove: "/login/password", auth.Enrol: "/login/enrol", auth.Allow: "/login/consent"}

func stepPath(f auth.Flow) string { return withFlow(pathsAt(f)[0], f) }

// pathsAt are the addresses whose pages a flow may stand at, the proper one first: a second factor has one for each way, and enrolling
// an authenticator one of its own.
func pathsAt(f auth.Flow) []string {
	switch step := f.Next(); step {
	case auth.Second:
		var paths []string
		for _, way := range secondWays(f) {
			paths = append(paths, wayPaths[way])
		}
		return paths
	case auth.Enrol:
		return []string{stepPaths[step], "/login/enrol/totp"}
	default:
		return []string{stepPaths[step]}
	}
}

// stepOrStart is where a browser goes whose form was not the one the flow waits for.
func stepOrStart(f auth.Flow) string { return "/login?flow=" + url.QueryEscape(string(f.ID)) }

type identifyData struct {
	Flow     string // empty: a sign-in to our own pages that has not begun
	To       string // where that one goes
	App      App
	Username string // as typed, or the application's login_hint
	Passkeys bool   // there are passkeys here
	Again    bool   // somebody signed in confirms that it is still them
}

type passwordData struct {
	Flow     string
	Username string // as typed; whether an account has it is not said
	Passkeys bool   // there are passkeys here
}

var (
	identifyPage = page[identifyData](signInShell, "signin/identify.html")
	passwordPage = page[passwordData](signInShell, "signin/password.html")
)

// standing is a flow and whom it is for.
type standing struct {
	flow   auth.Flow
	client auth.Client
}

// stand reads the flow if this browser began it (sec-R02).
func (s *Server) stand(ctx context.Context, tx *store.Tx, r *http.Request, id string) (st standing, err error) {
	browser := s.cookies.Value(r, web.BrowserCookie)
	if browser == "" || id == "" {
		return st, auth.ErrFlowGone
	}
	st.flow, err = tx.Flow(ctx, auth.FlowID(id), web.Hash(browser))
	if fault.Is(err, fault.NotFound) {
		return st, auth.ErrFlowGone.Because(err)
	}
	if err != nil || st.flow.Client == "" {
		return st, err
	}
	st.client, err = tx.Client(ctx, st.flow.Client)
	return st, err
}

// getStep draws the page of a step, if that is where the flow stands.
func (s *Server) getStep(step auth.Step) web.Func {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, id := r.Context(), r.URL.Query().Get("flow")
		if id == "" {
			return s.getOwn(w, r)
		}
		var st standing
		err := s.db.View(ctx, func(tx *store.Tx) (err error) {
			st, err = s.stand(ctx, tx, r, id)
			return err
		})
		switch {
		case err != nil:
			return err
		case st.flow.Next() == auth.Done && r.Method == http.MethodHead: // asking for headers must not issue a code
			w.WriteHeader(http.StatusNoContent)
			return nil
		case st.flow.Next() == auth.Done:
			return s.oidc.Finish(w, r, st.flow.ID, false)
		case st.flow.Next() != step || !slices.Contains(pathsAt(st.flow), r.URL.Path):
			return seeOther(w, stepPath(st.flow))
		}
		return s.drawStep(w, r, st, nil)
	}
}

// drawStep draws the page of the step a flow stands at, with what was wrong with the form before it, if anything.
func (s *Server) drawStep(w http.ResponseWriter, r *http.Request, st standing, wrong *fault.Error) error {
	f, flow, status := s.frame(r).in(r, st.flow.Locales), st.flow, http.StatusOK
	// A page drawn in answer to a form stands at the form's address; what the menus return to is the step's.
	f.Back = localPath(stepPath(flow), "")
	if wrong != nil {
		f, status = f.redraw(wrong), wrong.Kind.Status()
	}
	switch flow.Next() {
	case auth.Identify:
		return identifyPage.draw(w, f, status, identifyData{Flow: string(flow.ID), App: appOf(st), Username: flow.Hint, Passkeys: s.keys != nil, Again: flow.Strict})
	case auth.Prove:
		return passwordPage.draw(w, f, status, passwordData{string(flow.ID), flow.Typed, s.keys != nil})
	case auth.Second:
		return s.drawSecond(w, r, f, status, st)
	case auth.Enrol:
		return s.drawEnrol(w, r, f, status, st)
	case auth.Allow:
		return s.drawConsent(w, r, f, status, st)
	}
	return auth.ErrStep
}

// appOf is the application a flow is for, as its person sees it.
func appOf(st standing) App {
	if st.client.ID == "" {
		return App{}
	}
	a := app(st.client)
	if form, err := url.ParseQuery(st.flow.Request); err == nil {
		if to, err := url.Parse(form.Get("redirect_uri")); err == nil {
			if a.Host = to.Host; a.Host == "" {
				a.Host = to.Scheme + ":" // an application on this device
			}
		}
	}
	return a
}

func app(c auth.Client) App {
	a := App{Name: c.Name, Privacy: c.PolicyURI, Terms: c.TosURI}
	if a.Name == "" {
		a.Name = string(c.ID)
	}
	return a
}

// getOwn draws the first page of a sign-in to our own pages. Nothing is written before a name is sent, so that strangers
// who look at it cost no row.
func (s *Server) getOwn(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Path != "/login" {
		return seeOther(w, "/login")
	}
	to := localPath(r.URL.Query().Get("back"), "/account")
	cur, err := s.current(r)
	if err != nil {
		return err
	}
	if cur.Account.ID != "" {
		return seeOther(w, to)
	}
	return identifyPage.draw(w, s.frame(r), http.StatusOK, identifyData{To: to, Passkeys: s.keys != nil})
}

// postIdentify notes the name typed. It says nothing about it: the next page is the same for every name.
func (s *Server) postIdentify(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if form.Get("flow") == "" && !s.oidc.MayBegin(web.SourceOf(r.Context()).Network) {
		return auth.ErrThrottled
	}

	ctx, id, typed, to := r.Context(), form.Get("flow"), form.Get("username"), localPath(form.Get("back"), "/account")
	var browser []byte
	if id == "" {
		browser = s.cookies.Browser(w, r)
	}
	var st standing
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if id == "" {
			st, err = s.begin(ctx, tx, browser, to)
		} else {
			st, err = s.stand(ctx, tx, r, id)
		}
		if err != nil {
			return err
		}
		f, err := auth.Name(ctx, tx, st.flow, typed)
		if err == nil {
			st.flow = f
		}
		return err
	})
	switch wrong := fault.From(err); {
	case err == nil:
		return seeOther(w, stepPath(st.flow))
	case wrong.Is(auth.ErrName) && id == "":
		return identifyPage.draw(w, s.own(r).redraw(wrong), wrong.Kind.Status(), identifyData{To: to, Username: typed, Passkeys: s.keys != nil})
	case wrong.Is(auth.ErrName):
		st.flow.Hint, st.flow.Typed = typed, ""
		return s.drawStep(w, r, st, wrong)
	case wrong.Is(auth.ErrStep) && id != "":
		return seeOther(w, stepOrStart(st.flow))
	}
	return err
}

// own is the frame of the first page of a sign-in that has not begun.
func (s *Server) own(r *http.Request) frame {
	f := s.frame(r)
	f.Back = "/login"
	return f
}

// begin begins a sign-in to our own pages.
func (s *Server) begin(ctx context.Context, tx *store.Tx, browser []byte, to string) (standing, error) {
	f, err := s.signIn.Begin(ctx, tx, auth.Demands{Back: to, MaxAge: -1}, browser, auth.Current{})
	if err != nil {
		return standing{}, err
	}
	f, err = auth.Keep(ctx, tx, f)
	return standing{flow: f}, err
}

// postRestart takes the flow back to its first step: the person at the browser is somebody else.
func (s *Server) postRestart(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	var st standing
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if st, err = s.stand(ctx, tx, r, form.Get("flow")); err != nil {
			return err
		}
		st.flow, err = auth.Restart(ctx, tx, st.flow)
		return err
	})
	if err != nil {
		return err
	}
	return seeOther(w, stepPath(st.flow))
}

// postCancel ends the sign-in and tells the application that its person said no.
func (s *Server) postCancel(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, "scope")
	if err != nil {
		return err
	}
	return s.oidc.Refuse(w, r, auth.FlowID(form.Get("flow")))
}

// advance goes on from a form: to the next page, or out of the sign-in.
func (s *Server) advance(w http.ResponseWriter, r *http.Request, f auth.Flow) error {
	if f.Next() == auth.Done {
		return s.oidc.Finish(w, r, f.ID, true)
	}
	return seeOther(w, stepPath(f))
}
