package oidc

import (
	"errors"
	"net/http"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/web"
	"github.com/countersign-id/countersign/store"
)

// errRevokeLater tells a client that its token still counts. 200 would be a promise not kept (RFC 7009 §2.2.1, fosite-14).
var errRevokeLater = fault.New(fault.Unavailable, "temporarily-unavailable", "The token was not revoked. Try again in a moment.")

// revoke ends a token, or the family of a refresh token (RFC 7009). Only the client it was issued to can; an unknown token
// and another client's are answered alike and nothing happens to them.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if repeated(form, "token", "token_type_hint") {
		return errInvalidRequest
	}
	caller, err := p.authenticate(r, form)
	if err != nil {
		return err
	}
	allowOrigin(w, r, caller)
	token := form.Get("token")
	if token == "" {
		return errInvalidRequest.At("token")
	}

	var parsed *auth.AccessToken
	if isJWT(token) {
		t, err := p.readAccess(ctx, token)
		if err != nil && !errors.Is(err, errNotOurs) {
			return errRevokeLater.Because(err)
		}
		if err == nil {
			parsed = &t
		}
	}
	err = p.db.Update(ctx, func(tx *store.Tx) error {
		return p.issuing.Revoke(ctx, tx, caller, token, parsed, web.RequestID(ctx))
	})
	if err != nil {
		return errRevokeLater.Because(err)
	}
	p.count(r.Pattern, "ok")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}
