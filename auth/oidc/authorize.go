package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

// authorizeEndpoint is what counts of authorization requests are kept under, whichever door their answer leaves by.
const authorizeEndpoint = "GET " + authorizePath

// authorize is the authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2). A browser whose session meets every
// demand gets its code at once; any other goes on to the sign-in pages, or back with a refusal.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if id := form.Get(postedParam); id != "" && r.Method == http.MethodGet {
		if form, err = p.posted(ctx, id); err != nil {
			return err
		}
	}
	q, err := parseRequest(form)
	if err != nil {
		return p.refusedHere(r, "", err)
	}
	if err := p.readHint(ctx, q); err != nil {
		return err
	}

	token := p.cookies.Value(r, web.SessionCookie)
	var f auth.Flow
	err = p.db.View(ctx, func(tx *store.Tx) (err error) {
		if err = p.judge(ctx, tx, q); err != nil || q.refused != nil {
			return err
		}
		f, err = p.begin(ctx, tx, q, token, p.Origin(r))
		return err
	})
	if err != nil {
		return p.refusedHere(r, q.client.ID, err)
	}
	if q.refused != nil {
		return p.refuse(w, r, q, q.refused, false)
	}
	if r.Method == http.MethodPost && crossOrigin(r) {
		return p.post(w, r, q)
	}
	if f.Next() == auth.Done {
		var done bool
		if f, done, err = p.atOnce(w, r, q, token); done || err != nil {
			return err
		}
	}
	if q.none {
		return p.refuse(w, r, q, silent(f.Next()), false)
	}
	return p.signInFor(w, r, f)
}

// judge checks a request against its client, in the order of what may be told to whom: a fault means that nothing may be
// sent to the address in the request; after that q.refused is for the application. It reads the client again each time,
// so that one disabled or changed during a sign-in is refused at its end.
func (p *Provider) judge(ctx context.Context, tx *store.Tx, q *request) error {
	c, err := tx.Client(ctx, q.clientID)
	if fault.Is(err, fault.NotFound) || err == nil && c.Disabled {
		return errUnknownClient
	}
	if err != nil {
		return err
	}
	q.client = c
	if q.redirect == "" || len(q.redirect) > maxOpaque || !c.MatchRedirect(q.redirect) {
		return errUnknownRedirect
	}
	if q.mode == "form_post" && originOf(q.redirect) == "" { // no page can post to an application's own scheme
		q.mode = "query"
		q.refuse(errResponseMode)
	}
	if q.refused != nil {
		return nil
	}

	if err := p.framework(ctx, q); err != nil {
		q.refuse(faultOf(err))
		return nil
	}
	switch {
	case !c.Allows(auth.GrantCode):
		q.refuse(errUnauthorized)
	case q.challenge == "" && !(c.PKCEOptional && c.Confidential()):
		q.refuse(errPKCE) // sec-P07
	case len(q.scopes) == 0:
		q.refuse(auth.ErrScope)
	case q.unmet(p.signIn.Passkeys):
		q.refuse(errUnmet)
	default:
		_, err := p.issuing.Audience(ctx, tx, c, "", q.scopes, q.resources)
		if err != nil && fault.Is(err, fault.Internal) {
			return err
		}
		if err != nil {
			q.refuse(fault.From(err))
		}
	}
	return nil
}

// framework has fosite check what every OAuth server checks: response type, response mode, scopes within the client's.
func (p *Provider) framework(ctx context.Context, q *request) error {
	_, err := p.fositeRequest(ctx, q)
	return err
}

// fositeRequest is q as fosite reads it. fosite sees the parameters we kept, each once, and a client whose one redirect
// address is the one that matched.
func (p *Provider) fositeRequest(ctx context.Context, q *request) (fosite.AuthorizeRequester, error) {
	ctx = withClient(ctx, client{q.client, q.redirect})
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: authorizePath}, Header: http.Header{}, Form: q.form}
	ar, err := p.fosite.NewAuthorizeRequest(ctx, r)
	if errors.Is(err, fosite.ErrInvalidState) && q.state == "" {
		err = nil // the last of fosite's checks, and one no standard makes: state may be absent (fosite-8)
	}
	return ar, err
}

// readHint checks an id_token_hint (OpenID Connect Core §3.1.2.1): signed by us, for this client; one that has expired still
// names the person. It is read outside any transaction.
func (p *Provider) readHint(ctx context.Context, q *request) error {
	if q.hint == "" {
		return nil
	}
	h, err := p.readIDToken(ctx, q.hint)
	if fault.Is(err, fault.Unavailable) {
		return err // the keys could not be read: that says nothing about the hint
	}
	if err != nil || !slices.Contains(h.Audience, string(q.clientID)) {
		q.refuse(errHint.Because(err))
		return nil
	}
	if q.wantAccount != "" && q.wantAccount != auth.AccountID(h.Subject) {
		q.refuse(errInvalidRequest)
	}
	q.wantAccount = auth.AccountID(h.Subject)
	return nil
}

// begin returns the flow for q, with the browser's session in it if that meets the demands. Nothing is written.
func (p *Provider) begin(ctx context.Context, tx *store.Tx, q *request, token string, from auth.Origin) (auth.Flow, error) {
	var cur auth.Current
	if token != "" {
		var err error
		if cur, _, err = auth.Resume(ctx, tx, web.Hash(token)); err != nil {
			return auth.Flow{}, err
		}
	}
	return p.signIn.Begin(ctx, tx, q.demands(from), nil, cur)
}

// atOnce answers a request that nothing stands in the way of: single sign-on, one transaction, no page. If that changed
// meanwhile it is not done, and f says what does.
func (p *Provider) atOnce(w http.ResponseWriter, r *http.Request, q *request, token string) (f auth.Flow, done bool, err error) {
	var (
		ctx  = r.Context()
		e    auth.Established
		code string
	)
	err = p.db.Update(ctx, func(tx *store.Tx) (err error) {
		code, e = "", auth.Established{}
		if err = p.judge(ctx, tx, q); err != nil || q.refused != nil {
			return err
		}
		if f, err = p.begin(ctx, tx, q, token, p.Origin(r)); err != nil || f.Next() != auth.Done {
			return err
		}
		if e, err = p.signIn.Establish(ctx, tx, f, p.Origin(r)); err != nil || e.Refused != nil {
			return err
		}
		if p.signIn.TouchDue(e.Session, tx.Now()) {
			if err = p.signIn.Touch(ctx, tx, e.Session); err != nil {
				return err
			}
		}
		code, err = p.grant(ctx, tx, q, e.Session, f.Allowed)
		return err
	})
	switch {
	case err != nil && tellable(faultOf(err)):
		return f, true, p.refuse(w, r, q, faultOf(err), false)
	case err != nil:
		return f, true, p.refusedHere(r, q.client.ID, err)
	case q.refused != nil:
		return f, true, p.refuse(w, r, q, q.refused, false)
	case e.Refused != nil:
		return f, true, e.Refused
	case code == "":
		return f, false, nil
	}
	p.count(authorizeEndpoint, "ok")
	return f, true, p.answer(w, r, q, url.Values{"code": {code}}, false)
}

// silent is the refusal of prompt=none where step stands in the way (OpenID Connect Core §3.1.2.6).
func silent(step auth.Step) *fault.Error {
	switch step {
	case auth.Identify, auth.Prove:
		return errLoginRequired
	case auth.Allow:
		return errConsentRequired
	}
	return errInteraction
}

// signInFor writes the flow, bound to this browser, and goes on to its first page.
func (p *Provider) signInFor(w http.ResponseWriter, r *http.Request, f auth.Flow) error {
	if !p.flows.pass(web.SourceOf(r.Context()).Network, time.Now()) {
		return auth.ErrThrottled
	}
	f.BrowserHash = p.cookies.Browser(w, r)
	var kept auth.Flow
	err := p.db.Update(r.Context(), func(tx *store.Tx) (err error) {
		kept, err = auth.Keep(r.Context(), tx, f)
		return err
	})
	if err != nil {
		return err
	}
	p.count(authorizeEndpoint, "sign_in")
	redirect(w, SignInPath(kept.ID))
	return nil
}

// postedParam names a stored cross-site POST: a flow's id and the token that opens it.
const postedParam = "posted"

var crossOriginProtection = http.NewCrossOriginProtection()

func crossOrigin(r *http.Request) bool { return crossOriginProtection.Check(r) != nil }

// post keeps a request that another site's form posted, and has the browser come back by GET: only then does it send its
// Lax cookies, and nothing was changed by the foreign POST. What is kept opens by the address alone and carries no more
// power than a link with the same parameters.
func (p *Provider) post(w http.ResponseWriter, r *http.Request, q *request) error {
	if !p.flows.pass(web.SourceOf(r.Context()).Network, time.Now()) {
		return auth.ErrThrottled
	}
	token := web.NewToken()
	var kept auth.Flow
	err := p.db.Update(r.Context(), func(tx *store.Tx) error {
		d := q.demands(p.Origin(r))
		if q.hint != "" {
			d.Request += "&id_token_hint=" + url.QueryEscape(q.hint)
		}
		f, err := p.signIn.Begin(r.Context(), tx, d, web.Hash(token), auth.Current{})
		if err != nil {
			return err
		}
		kept, err = auth.Keep(r.Context(), tx, f)
		return err
	})
	if err != nil {
		return err
	}
	redirect(w, authorizePath+"?"+postedParam+"="+url.QueryEscape(string(kept.ID)+"~"+token))
	return nil
}

// posted returns the parameters of a stored POST. They may be read again, so that reloading the page does no harm.
func (p *Provider) posted(ctx context.Context, v string) (url.Values, error) {
	id, token, _ := strings.Cut(v, "~")
	var f auth.Flow
	err := p.db.View(ctx, func(tx *store.Tx) (err error) {
		f, err = tx.Flow(ctx, auth.FlowID(id), web.Hash(token))
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return nil, errPostedGone.Because(err)
	}
	if err != nil {
		return nil, err
	}
	return url.ParseQuery(f.Request)
}

// refusedHere notes a refusal that our own page shows. client is empty where there is none: what a stranger calls one has no
// place in the log.
func (p *Provider) refusedHere(r *http.Request, client auth.ClientID, err error) error {
	if f := fault.From(err); f.Kind != fault.Internal {
		p.note(r, client, f)
	}
	return err
}

// refuse answers an authorization request with an error response (RFC 6749 §4.1.2.1).
func (p *Provider) refuse(w http.ResponseWriter, r *http.Request, q *request, f *fault.Error, byForm bool) error {
	name, _ := oauthError(f)
	p.count(authorizeEndpoint, name)
	if !q.none {
		p.note(r, q.client.ID, f)
	}
	return p.answer(w, r, q, url.Values{"error": {name}, "error_description": {describe(f.Text)}}, byForm)
}

// note hands a refusal that reached no account to the coalescer.
func (p *Provider) note(r *http.Request, client auth.ClientID, f *fault.Error) {
	from := web.SourceOf(r.Context())
	p.coalesce(audit.Event{
		At: time.Now(), Kind: audit.AuthorizeRefused, Outcome: audit.Refused, Code: f.Code, Client: string(client),
		Request: web.RequestID(r.Context()), Personal: map[string]string{audit.Address: from.Address, audit.Agent: r.UserAgent()},
	})
}

// answer sends params to the application by the response mode it asked for, with state as sent and iss (RFC 9207). After a
// form of ours it goes through a page, because form-action 'self' stops redirects that follow a post.
func (p *Provider) answer(w http.ResponseWriter, r *http.Request, q *request, params url.Values, byForm bool) error {
	params.Set("iss", p.issuer)
	if q.state != "" {
		params.Set("state", q.state)
	}
	if q.mode == "form_post" {
		return p.pages.FormPost(w, r, q.client, q.redirect, params)
	}
	location := withParams(q.redirect, q.mode, params)
	if byForm {
		return p.pages.HandOff(w, r, q.client, location)
	}
	redirect(w, location)
	return nil
}

// withParams adds params to a registered address, which stays as it is, its own query too (oidc-A2).
func withParams(uri, mode string, params url.Values) string {
	sep := "?"
	switch {
	case mode == "fragment":
		sep = "#"
	case strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&"):
		sep = ""
	case strings.Contains(uri, "?"):
		sep = "&"
	}
	return uri + sep + params.Encode()
}

// redirect answers 303, so that a POST is not repeated at the new address. http.Redirect would clean it and write a body.
func redirect(w http.ResponseWriter, location string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}
