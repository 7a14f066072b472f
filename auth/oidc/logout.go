package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

// Rules of RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0; oidc-L2, L3, sec-P45):
//   - a browser goes back to an application only with an ID token of ours as a hint, and only to an address that the hint's
//     client registered, byte for byte;
//   - a session ends at once only if the hint names that very session; else the person is asked;
//   - what is wrong with a request costs it the way back, never the person the possibility to sign out;
//   - another site's POST changes nothing: it comes back as a GET.

const maxLogoutURL = 8 << 10

// logoutFields are the parameters we read, and carry through the confirmation page.
var logoutFields = []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"}

// confirmField is what the confirmation page's form adds: that the person said yes.
const confirmField = "confirm"

// leaving is a logout request as judged.
type leaving struct {
	form    url.Values
	client  auth.Client // named by the hint, or by client_id alone; zero if nobody is known
	back    string      // where the browser may be sent without asking; empty: nowhere
	link    string      // where the signed-out page may link to: like back, but believed without a hint
	current auth.Current
	named   bool  // the hint names the current session
	wrong   error // what cost the request its way back
}

// logout ends the session of this browser (RP-Initiated Logout §2).
func (p *Provider) logout(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if repeated(form, logoutFields...) {
		return errInvalidRequest
	}
	if r.Method == http.MethodPost && crossOrigin(r) {
		return bounce(w, form)
	}
	l, err := p.judgeLogout(r, form)
	if err != nil {
		return err
	}
	if l.wrong != nil {
		p.noteLogout(r, l)
	}

	switch {
	case l.current.Session.ID == "":
	case l.named, r.Method == http.MethodPost && form.Get(confirmField) == "yes":
		if err := p.endSession(r, l.current); err != nil {
			return err
		}
	default:
		fields := carried(form)
		fields.Set(confirmField, "yes")
		return p.pages.ConfirmLogout(w, r, LogoutPrompt{
			Client: l.client, Account: l.current.Account, Action: logoutPath, Fields: fields, Locales: line(form.Get("ui_locales")),
		})
	}
	if p.cookies.Value(r, web.SessionCookie) != "" { // a request that came without the cookie must not take it away
		p.cookies.Drop(w, web.SessionCookie)
		w.Header().Set("Clear-Site-Data", `"cache"`)
	}
	p.count(r.Pattern, "ok")
	return p.leave(w, r, l)
}

// leave sends the browser where it may go.
func (p *Provider) leave(w http.ResponseWriter, r *http.Request, l leaving) error {
	if l.back == "" {
		return p.pages.SignedOut(w, r, l.client, l.link)
	}
	location := l.back
	if state := l.form.Get("state"); state != "" {
		location = withParams(l.back, "query", url.Values{"state": {state}})
	}
	if r.Method == http.MethodPost {
		return p.pages.HandOff(w, r, l.client, location) // form-action 'self' stops redirects that follow a form
	}
	redirect(w, location)
	return nil
}

// bounce brings another site's POST back as a GET of ours, when the browser sends its cookies again.
func bounce(w http.ResponseWriter, form url.Values) error {
	location := logoutPath + "?" + carried(form).Encode()
	if len(location) > maxLogoutURL {
		return errTooLarge
	}
	redirect(w, location)
	return nil
}

// carried are the parameters that go on to the next request.
func carried(form url.Values) url.Values {
	out := url.Values{}
	for _, name := range logoutFields {
		if v := form.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	return out
}

var errWrongHint = errors.New("id_token_hint is not an ID token of ours for this client")

// judgeLogout reads who asks, for which session, and whether the browser may go back.
func (p *Provider) judgeLogout(r *http.Request, form url.Values) (leaving, error) {
	ctx := r.Context()
	l := leaving{form: form}
	var hint idToken
	if token := form.Get("id_token_hint"); token != "" {
		var err error
		hint, err = p.readIDToken(ctx, token)
		if err != nil && !errors.Is(err, errNotOurs) {
			return l, err
		}
		if err != nil {
			l.wrong = errWrongHint
		}
	}
	cookie, asked := p.cookies.Value(r, web.SessionCookie), l
	err := p.db.View(ctx, func(tx *store.Tx) error {
		l = asked
		if cookie != "" {
			cur, ok, err := auth.Resume(ctx, tx, web.Hash(cookie))
			if err != nil {
				return err
			}
			if ok {
				l.current = cur
			}
		}
		return p.judgeClient(ctx, tx, &l, hint)
	})
	s := l.current.Session
	l.named = l.wrong == nil && hint.Session != "" && hint.Session == string(s.ID) && hint.Subject == string(s.Account)
	return l, err
}

// judgeClient finds the application that asks and the way back to it.
func (p *Provider) judgeClient(ctx context.Context, tx *store.Tx, l *leaving, hint idToken) error {
	id := l.form.Get("client_id")
	switch {
	case hint.Subject == "":
	case id == "" && len(hint.Audience) == 1:
		id = hint.Audience[0]
	case !slices.Contains(hint.Audience, id):
		l.wrong = errWrongHint
	}
	if id == "" || len(id) > maxClientID {
		if l.form.Get("post_logout_redirect_uri") != "" && l.wrong == nil {
			l.wrong = errors.New("post_logout_redirect_uri of nobody")
		}
		return nil
	}
	c, err := tx.Client(ctx, auth.ClientID(id))
	if fault.Is(err, fault.NotFound) || err == nil && c.Disabled {
		l.wrong = errors.New("no such client")
		return nil
	}
	if err != nil {
		return err
	}
	l.client = c
	uri := l.form.Get("post_logout_redirect_uri")
	if uri == "" {
		return nil
	}
	switch {
	case !slices.Contains(c.PostLogoutURIs, uri):
		l.wrong = errors.New("post_logout_redirect_uri is not registered")
	case !opaque(l.form.Get("state")):
		l.wrong = errors.New("state cannot be sent back")
	case l.wrong != nil:
	case hint.Subject == "":
		l.link = uri
	default:
		l.back, l.link = uri, uri
	}
	return nil
}

// endSession signs the person out of this browser, and of the applications whose tokens end with the session.
func (p *Provider) endSession(r *http.Request, cur auth.Current) error {
	ctx := r.Context()
	return p.db.Update(ctx, func(tx *store.Tx) error {
		return auth.SignOut(ctx, tx, "account:"+string(cur.Account.ID), cur.Session, p.Origin(r))
	})
}

// noteLogout hands the refusal of a way back to the coalescer.
func (p *Provider) noteLogout(r *http.Request, l leaving) {
	from := web.SourceOf(r.Context())
	p.coalesce(audit.Event{
		Kind: audit.LogoutRefused, Outcome: audit.Refused, Code: "logout-refused", Client: string(l.client.ID),
		Detail: map[string]string{"why": l.wrong.Error()}, Request: web.RequestID(r.Context()),
		Personal: map[string]string{audit.Address: from.Address, audit.Agent: r.UserAgent()},
	})
}
