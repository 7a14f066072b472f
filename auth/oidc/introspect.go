package oidc

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// introspection is the answer of RFC 7662 §2.2.
type introspection struct {
	Active bool `json:"active"`
	accessClaims
	TokenType string `json:"token_type,omitempty"`
}

// inactive is all that is said of a token that does not count, or not for whoever asks (sec-P42).
var inactive = []byte(`{"active":false}`)

// introspect tells a resource server what a token is worth now (RFC 7662). Only a client that authenticated may ask, and
// only about its own tokens or, of access tokens, those meant for an audience that it serves (fosite-13).
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) error {
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
	if !caller.Confidential() {
		return p.refuseClient(&caller, "none", errPublic)
	}
	token := form.Get("token")
	if token == "" {
		return errInvalidRequest.At("token")
	}

	answer, err := p.inspect(r.Context(), caller, token)
	if err != nil {
		return err
	}
	body := inactive
	if answer.Active {
		if body, err = json.Marshal(answer); err != nil {
			return err
		}
	}
	p.count(r.Pattern, "ok")
	return writeJSON(w, body)
}

// inspect finds what token is, whatever the hint says: the forms tell themselves apart.
func (p *Provider) inspect(ctx context.Context, caller auth.Client, token string) (a introspection, err error) {
	if strings.HasPrefix(token, refreshPrefix) {
		return p.inspectRefresh(ctx, caller, token)
	}
	err = p.standing(ctx, token, func(_ *store.Tx, s auth.Standing) error {
		a = introspection{}
		if s.Active && mayInspect(caller, s.Token) {
			a = introspection{Active: true, accessClaims: p.accessClaims(s.Token), TokenType: "Bearer"}
		}
		return nil
	})
	return a, err
}

// refreshPrefix begins every refresh token of ours.
const refreshPrefix = "csr_"

// inspectRefresh says what a refresh token is worth, to the client it was issued to and nobody else. It stands on what an
// access token of its grant would stand on, and has an expiry of its own (fosite-13).
func (p *Provider) inspectRefresh(ctx context.Context, caller auth.Client, token string) (a introspection, err error) {
	err = p.db.View(ctx, func(tx *store.Tx) error {
		a = introspection{}
		g, err := p.issuing.FindRefresh(ctx, tx, token)
		if fault.Is(err, fault.NotFound) || err == nil && g.Client != caller.ID {
			return nil
		}
		if err != nil {
			return err
		}
		t := auth.AccessToken{
			ID: string(g.ID) + ".", Grant: g.ID, Client: g.Client, Account: g.Account, Session: g.Session, Scopes: g.Scopes,
			Audience: append(slices.Clone(g.Resources), p.issuer), AuthTime: g.AuthTime, ACR: g.ACR, AMR: g.AMR, IssuedAt: g.RotatedAt, Ends: g.RefreshEnds,
		}
		if g.IdleEnds.Before(t.Ends) {
			t.Ends = g.IdleEnds
		}
		s, err := auth.Stand(ctx, tx, t)
		if err != nil || !s.Active || !g.Refreshable(tx.Now()) {
			return err
		}
		a = introspection{Active: true, accessClaims: p.accessClaims(s.Token)}
		a.ID = ""
		return nil
	})
	return a, err
}

// mayInspect reports whether caller may know what t is worth: it is caller's own, or meant for caller.
func mayInspect(caller auth.Client, t auth.AccessToken) bool {
	return t.Client == caller.ID || slices.ContainsFunc(t.Audience, func(aud string) bool { return slices.Contains(caller.Serves, aud) })
}

// writeJSON answers with body, which nobody may keep.
func writeJSON(w http.ResponseWriter, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	_, err := w.Write(body)
	return err
}
