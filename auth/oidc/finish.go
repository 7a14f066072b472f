package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/ory/fosite"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

// Finish ends a sign-in at which nothing is left to ask, and sends the browser on: to the application with a code, or to the
// flow's local address. The session, the grant and their events are one transaction, and the flow is spent in it, so that of
// two who finish the same flow one does. byForm says that r is a form of ours, after which browsers stop redirects to others.
//
// Faults: ErrFlowGone if the flow is over or was begun in another browser (sec-R02), ErrStep if something is left to ask.
func (p *Provider) Finish(w http.ResponseWriter, r *http.Request, id auth.FlowID, byForm bool) error {
	var (
		ctx  = r.Context()
		o    = p.Origin(r)
		q    *request
		e    auth.Established
		code string
		back string
	)
	err := p.db.Update(ctx, func(tx *store.Tx) (err error) {
		f, err := p.flow(ctx, tx, r, id)
		if err != nil {
			return err
		}
		back = f.Back
		if q, err = p.resumed(ctx, tx, f); err != nil {
			return err
		}
		if e, err = p.signIn.Establish(ctx, tx, f, o); err != nil || e.Refused != nil || q == nil {
			return err
		}
		code, err = p.grant(ctx, tx, q, e.Session, f.Allowed)
		return err
	})
	if err != nil {
		return p.unfinished(w, r, q, err, byForm)
	}
	if e.Refused != nil {
		return e.Refused
	}

	p.Keep(w, e)
	if q == nil {
		redirect(w, back)
		return nil
	}
	p.count(authorizeEndpoint, "ok")
	return p.answer(w, r, q, url.Values{"code": {code}}, byForm)
}

// Refuse ends a sign-in whose person said no, and tells the application access_denied, or that the level it asks for is not met.
func (p *Provider) Refuse(w http.ResponseWriter, r *http.Request, id auth.FlowID) error {
	ctx := r.Context()
	var q *request
	var back string
	why := errAccessDenied
	err := p.db.Update(ctx, func(tx *store.Tx) error {
		f, err := p.flow(ctx, tx, r, id)
		if err != nil {
			return err
		}
		back, why = f.Back, errAccessDenied
		if _, asked := f.Lacking(); f.Next() == auth.Enrol && len(asked) > 0 {
			why = errUnmet // the person has no such factor and adds none
		}
		if q, err = p.resumed(ctx, tx, f); err != nil {
			return err
		}
		return auth.Abandon(ctx, tx, f, p.Origin(r))
	})
	if err != nil {
		return p.unfinished(w, r, q, err, true)
	}
	if q == nil {
		redirect(w, back)
		return nil
	}
	name, _ := oauthError(why)
	p.count(authorizeEndpoint, name)
	return p.answer(w, r, q, url.Values{"error": {name}, "error_description": {describe(why.Text)}}, true)
}

// flow returns the flow if this browser began it.
func (p *Provider) flow(ctx context.Context, tx *store.Tx, r *http.Request, id auth.FlowID) (auth.Flow, error) {
	browser := p.cookies.Value(r, web.BrowserCookie)
	if browser == "" {
		return auth.Flow{}, auth.ErrFlowGone
	}
	f, err := tx.Flow(ctx, id, web.Hash(browser))
	if fault.Is(err, fault.NotFound) {
		return auth.Flow{}, auth.ErrFlowGone.Because(err)
	}
	return f, err
}

// resumed returns the request f began with, read and judged again: what was withdrawn meanwhile is not granted. It is nil for
// a sign-in to our own pages.
func (p *Provider) resumed(ctx context.Context, tx *store.Tx, f auth.Flow) (*request, error) {
	if f.Client == "" {
		return nil, nil
	}
	form, err := url.ParseQuery(f.Request)
	if err != nil {
		return nil, err
	}
	q, err := parseRequest(form)
	if err != nil {
		return nil, err
	}
	if err := p.judge(ctx, tx, q); err != nil {
		return nil, err
	}
	if q.refused != nil {
		return q, q.refused
	}
	return q, nil
}

// unfinished answers where a sign-in could not end as it should: to the application if the request may be answered there,
// by our own page otherwise. The flow is gone or as it was.
func (p *Provider) unfinished(w http.ResponseWriter, r *http.Request, q *request, err error, byForm bool) error {
	if q == nil {
		return err
	}
	if f := faultOf(err); f == q.refused || tellable(f) {
		return p.refuse(w, r, q, f, byForm)
	}
	return err
}

// tellable reports whether f is one that a grant is refused with, which the application may be told of.
func tellable(f *fault.Error) bool {
	return f.Is(auth.ErrTarget) || f.Is(auth.ErrScope) || f.Is(auth.ErrDenied) || f.Is(errUnauthorized)
}

// Keep gives the browser what its sign-in or its change of password came to.
func (p *Provider) Keep(w http.ResponseWriter, e auth.Established) {
	if len(e.Token) > 0 {
		p.cookies.Set(w, web.SessionCookie, string(e.Token), 0)
	}
	if e.Device != "" {
		p.cookies.Set(w, web.DeviceCookie, e.Device, auth.DeviceLife)
	}
	if e.Trust != "" {
		p.cookies.Set(w, web.TrustCookie, e.Trust, auth.DeviceLife) // the server says when it ends
	}
}

// Origin says where r comes from, for limits and events. The pages of a sign-in and its end here must agree on it.
func (p *Provider) Origin(r *http.Request) auth.Origin {
	from := web.SourceOf(r.Context())
	o := auth.Origin{
		Source: from.Network, Address: from.Address, UserAgent: r.UserAgent(),
		Device: p.cookies.Value(r, web.DeviceCookie), Trust: p.cookies.Value(r, web.TrustCookie), Request: web.RequestID(r.Context()),
	}
	if v := p.cookies.Value(r, web.SessionCookie); v != "" {
		o.Session = web.Hash(v)
	}
	return o
}

// grant writes the grant of q for a session, within what was allowed, and returns its code.
func (p *Provider) grant(ctx context.Context, tx *store.Tx, q *request, s auth.Session, allowed []string) (string, error) {
	scopes := slices.DeleteFunc(slices.Clone(q.scopes), func(scope string) bool {
		return !slices.Contains(allowed, scope) ||
			scope == auth.OfflineAccess && !q.client.Allows(auth.GrantRefresh) // OpenID Connect Core §11: ignored where it means nothing
	})
	asked := q.levels()
	if len(asked) > 0 && !slices.ContainsFunc(asked, func(l string) bool { return auth.Meets(l, s.ACR, s.AMR) }) {
		return "", errors.New("a session below the level asked for came to a grant") // the flow's steps leave no way here
	}
	s.ACR = auth.ACRFor(asked, s.ACR, s.AMR)
	c := &codeCarrier{tx: tx, authorization: auth.Authorization{
		Client: q.client, Session: s, RedirectURI: q.redirect, Challenge: q.challenge, Nonce: q.nonce,
		Requested: q.scopes, Scopes: scopes, Resources: q.resources, Claims: q.claims.within(allowed),
		Request: web.RequestID(ctx), Source: web.SourceOf(ctx).Address,
	}}
	ar, err := p.fositeRequest(ctx, q)
	if err != nil {
		return "", faultOf(err)
	}
	res, err := p.fosite.NewAuthorizeResponse(ctx, ar, c)
	if err != nil {
		return "", faultOf(err)
	}
	return res.GetCode(), nil
}

// codeCarrier takes an authorization through fosite to authorizeHandler, with the transaction it is to be written in.
type codeCarrier struct {
	carrier
	tx            *store.Tx
	authorization auth.Authorization
}

func (c *codeCarrier) Clone() fosite.Session { return c }

// authorizeHandler writes the grant and hands out its code. It is the one handler of response types.
type authorizeHandler struct{ p *Provider }

func (h authorizeHandler) HandleAuthorizeEndpointRequest(ctx context.Context, ar fosite.AuthorizeRequester, res fosite.AuthorizeResponder) error {
	c, ok := ar.GetSession().(*codeCarrier)
	if !ok || !ar.GetResponseTypes().ExactOne("code") {
		return nil // fosite answers unsupported_response_type where no handler took the type
	}
	code, _, err := h.p.issuing.Authorize(ctx, c.tx, c.authorization)
	if err != nil {
		return err
	}
	res.AddParameter("code", code)
	ar.SetResponseTypeHandled("code")
	return nil
}
