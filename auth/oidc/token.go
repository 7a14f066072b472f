package oidc

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

// token is the token endpoint (RFC 6749 §3.2). The client proves itself first, whatever it asks for. What is decided is decided
// in one transaction, which commits refusals too: a rollback would give a thief back what a replay just revoked.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	for name, values := range form {
		if len(values) > 1 && name != "resource" {
			return errInvalidRequest
		}
	}
	// fosite reads the form we read: nothing of the address, nothing twice.
	fr := r.Clone(r.Context())
	fr.Form, fr.PostForm = form, form

	x := &exchange{}
	ar, err := p.fosite.NewAccessRequest(r.Context(), fr, x)
	if ar != nil {
		if c, ok := ar.GetClient().(client); ok {
			allowOrigin(w, r, c.Client)
		}
	}
	if err != nil {
		return faultOf(err)
	}
	res, err := p.fosite.NewAccessResponse(r.Context(), ar)
	if err != nil {
		return faultOf(err)
	}
	p.count(r.Pattern, "ok")
	p.fosite.WriteAccessResponse(r.Context(), w, ar, res)
	return nil
}

// exchange is one request to the token endpoint on its way through fosite: what was issued, and the tokens made of it.
type exchange struct {
	carrier
	client  auth.Client
	issued  auth.Issued
	opaque  string // the access token, where it is a stored one
	nonce   string
	idToken bool
}

func (x *exchange) Clone() fosite.Session { return x }

// exchangeOf returns the exchange ar belongs to if its client may use the grant type.
func exchangeOf(ar fosite.AccessRequester, grant string) (*exchange, error) {
	x, ok := ar.GetSession().(*exchange)
	c, known := ar.GetClient().(client)
	if !ok || !known {
		return nil, errors.New("token request without client")
	}
	if !c.Allows(grant) || grant == auth.GrantClientCredentials && !c.Confidential() {
		return nil, errUnauthorized // sec-P20
	}
	x.client = c.Client
	return x, nil
}

// redeem runs the one transaction of a request that has a grant behind it.
func (p *Provider) redeem(ctx context.Context, x *exchange, spend func(tx *store.Tx) (auth.Issued, error)) error {
	err := p.db.Update(ctx, func(tx *store.Tx) (err error) {
		x.opaque = ""
		if x.issued, err = spend(tx); err != nil || x.issued.Refused != nil {
			return err
		}
		if x.client.OpaqueAccessToken {
			x.opaque, err = auth.StoreAccess(ctx, tx, x.issued.Access)
		}
		return err
	})
	if err != nil {
		return err
	}
	if x.issued.Refused == nil {
		return nil
	}
	if x.issued.Grant.ID == "" { // what was presented reached no grant that still counted
		p.coalesce(audit.Event{
			At: time.Now(), Kind: audit.GrantRefused, Outcome: audit.Refused, Code: x.issued.Refused.Code, Client: string(x.client.ID),
			Actor: "client:" + string(x.client.ID), Request: web.RequestID(ctx),
			Personal: map[string]string{audit.Address: web.SourceOf(ctx).Address},
		})
	}
	return x.issued.Refused
}

// codeHandler serves authorization_code: code, PKCE and OpenID Connect in one row and one conditional update (fosite-1, 2).
type codeHandler struct{ p *Provider }

func (codeHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

func (codeHandler) CanHandleTokenEndpointRequest(_ context.Context, ar fosite.AccessRequester) bool {
	return ar.GetGrantTypes().ExactOne(auth.GrantCode)
}

func (h codeHandler) HandleTokenEndpointRequest(ctx context.Context, ar fosite.AccessRequester) error {
	x, err := exchangeOf(ar, auth.GrantCode)
	if err != nil {
		return err
	}
	form := ar.GetRequestForm()
	scopes, resources, err := narrowing(ar)
	if err != nil {
		return err
	}
	if form.Get("code") == "" {
		return errInvalidRequest
	}
	x.idToken = true
	err = h.p.redeem(ctx, x, func(tx *store.Tx) (auth.Issued, error) {
		return h.p.issuing.Redeem(ctx, tx, auth.Redemption{
			Client: x.client, Code: form.Get("code"), RedirectURI: form.Get("redirect_uri"), Verifier: form.Get("code_verifier"),
			Scopes: scopes, Resources: resources, Request: web.RequestID(ctx), Source: web.SourceOf(ctx).Address,
		})
	})
	x.nonce = x.issued.Grant.Nonce
	return err
}

func (h codeHandler) PopulateTokenEndpointResponse(_ context.Context, ar fosite.AccessRequester, res fosite.AccessResponder) error {
	if !ar.GetGrantTypes().ExactOne(auth.GrantCode) {
		return fosite.ErrUnknownRequest
	}
	return h.p.respond(ar, res)
}

// refreshHandler serves refresh_token: rotation, reuse, leeway and narrowing in one conditional update (fosite-3, 4).
type refreshHandler struct{ p *Provider }

func (refreshHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

func (refreshHandler) CanHandleTokenEndpointRequest(_ context.Context, ar fosite.AccessRequester) bool {
	return ar.GetGrantTypes().ExactOne(auth.GrantRefresh)
}

func (h refreshHandler) HandleTokenEndpointRequest(ctx context.Context, ar fosite.AccessRequester) error {
	x, err := exchangeOf(ar, auth.GrantRefresh)
	if err != nil {
		return err
	}
	scopes, resources, err := narrowing(ar)
	if err != nil {
		return err
	}
	token := ar.GetRequestForm().Get("refresh_token")
	if token == "" {
		return errInvalidRequest
	}
	x.idToken = true // without nonce: OpenID Connect Core §12.2
	return h.p.redeem(ctx, x, func(tx *store.Tx) (auth.Issued, error) {
		return h.p.issuing.Refresh(ctx, tx, auth.Renewal{
			Client: x.client, Token: token, Scopes: scopes, Resources: resources,
			Request: web.RequestID(ctx), Source: web.SourceOf(ctx).Address,
		})
	})
}

func (h refreshHandler) PopulateTokenEndpointResponse(_ context.Context, ar fosite.AccessRequester, res fosite.AccessResponder) error {
	if !ar.GetGrantTypes().ExactOne(auth.GrantRefresh) {
		return fosite.ErrUnknownRequest
	}
	return h.p.respond(ar, res)
}

// clientHandler serves client_credentials. A JWT writes nothing, an opaque token its one row.
type clientHandler struct{ p *Provider }

func (clientHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

func (clientHandler) CanHandleTokenEndpointRequest(_ context.Context, ar fosite.AccessRequester) bool {
	return ar.GetGrantTypes().ExactOne(auth.GrantClientCredentials)
}

func (h clientHandler) HandleTokenEndpointRequest(ctx context.Context, ar fosite.AccessRequester) error {
	x, err := exchangeOf(ar, auth.GrantClientCredentials)
	if err != nil {
		return err
	}
	scopes, resources, err := narrowing(ar)
	if err != nil {
		return err
	}
	run := h.p.db.View
	if x.client.OpaqueAccessToken {
		run = h.p.db.Update
	}
	return run(ctx, func(tx *store.Tx) (err error) {
		x.issued = auth.Issued{}
		if x.issued.Access, err = h.p.issuing.ClientToken(ctx, tx, x.client, scopes, resources); err != nil {
			return err
		}
		if x.client.OpaqueAccessToken {
			x.opaque, err = auth.StoreAccess(ctx, tx, x.issued.Access)
		}
		return err
	})
}

func (h clientHandler) PopulateTokenEndpointResponse(_ context.Context, ar fosite.AccessRequester, res fosite.AccessResponder) error {
	if !ar.GetGrantTypes().ExactOne(auth.GrantClientCredentials) {
		return fosite.ErrUnknownRequest
	}
	return h.p.respond(ar, res)
}

// otherHandler refuses every other grant type by its name, after the client proved itself: fosite says invalid_request
// without one (fosite-9). The password grant and all extensions end here (sec-P20).
type otherHandler struct{}

func (otherHandler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

func (otherHandler) CanHandleTokenEndpointRequest(_ context.Context, ar fosite.AccessRequester) bool {
	g := ar.GetGrantTypes()
	return !g.ExactOne(auth.GrantCode) && !g.ExactOne(auth.GrantRefresh) && !g.ExactOne(auth.GrantClientCredentials)
}

func (otherHandler) HandleTokenEndpointRequest(context.Context, fosite.AccessRequester) error {
	return errGrantType
}

func (otherHandler) PopulateTokenEndpointResponse(context.Context, fosite.AccessRequester, fosite.AccessResponder) error {
	return fosite.ErrUnknownRequest
}

// narrowing reads the scopes and resources a token request asks for; none means all that were granted.
func narrowing(ar fosite.AccessRequester) (scopes, resources []string, err error) {
	if scopes, err = parseScopes(ar.GetRequestForm().Get("scope")); err != nil {
		return nil, nil, err
	}
	resources, err = parseResources(ar.GetRequestForm()["resource"])
	return scopes, resources, err
}

// respond makes the tokens of what was issued, after the transaction: signing is no work for one.
func (p *Provider) respond(ar fosite.AccessRequester, res fosite.AccessResponder) error {
	x := ar.GetSession().(*exchange)
	t := x.issued.Access
	access := x.opaque
	if access == "" {
		var err error
		if access, err = p.mintAccess(t, personClaims(inAccessToken, x.client, x.issued.Account, t.Scopes, nil, nil)); err != nil {
			return err
		}
	}
	res.SetAccessToken(access)
	res.SetTokenType("Bearer")
	res.SetExpiresIn(t.Ends.Sub(t.IssuedAt))
	if len(t.Scopes) > 0 {
		res.SetScopes(t.Scopes)
	}
	if x.issued.RefreshToken != "" {
		res.SetExtra("refresh_token", x.issued.RefreshToken)
	}
	if !x.idToken || !slices.Contains(x.issued.Grant.Scopes, "openid") {
		return nil
	}
	id, err := p.mintID(x, access)
	if err != nil {
		return err
	}
	res.SetExtra("id_token", id)
	return nil
}
