package oidc

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// Refusals of whoever presents an access token (RFC 6750 §3.1).
var (
	errPublic      = errors.New("public clients may not ask")
	errNoToken     = fault.New(fault.Unauthenticated, "token-required", "An access token is required.")
	errTokenPlace  = fault.New(fault.Malformed, "invalid-request", "Send the access token once, in the Authorization header or in the body of a POST.")
	errBadToken    = fault.New(fault.Unauthenticated, "invalid-token", "The access token is unknown, expired or revoked.")
	errLevel       = fault.New(fault.Unauthenticated, "insufficient-user-authentication", "A stronger authentication is required now. Ask for it with acr_values.") // RFC 9470 §3
	errScopeNeeded = fault.New(fault.Denied, "insufficient-scope", "The access token does not carry the scope openid.")
)

// userinfo tells an application about the person who signed in (OpenID Connect Core §5.3), as far as the person and the
// account's state allow at this moment.
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	token, err := bearer(w, r)
	if err != nil {
		return err
	}
	var (
		who    auth.Standing
		claims map[string]any
		short  string // the level that the token falls short of
	)
	err = p.standing(ctx, token, func(tx *store.Tx, s auth.Standing) error {
		who, claims, short = s, nil, ""
		if mayRead(s, p.issuer) != nil {
			return nil
		}
		claims = personClaims(inUserinfo, s.Client, s.Account, s.Token.Scopes, s.Allowed, s.Grant.Claims)
		var err error
		short, err = p.signIn.Falls(ctx, tx, s)
		return err
	})
	if err != nil {
		return err
	}
	if who.Client.ID != "" {
		allowOrigin(w, r, who.Client)
	}
	if err := mayRead(who, p.issuer); err != nil {
		return err
	}
	if short != "" {
		return errLevel.At(short)
	}
	claims["sub"] = string(who.Account.ID)
	p.count(r.Pattern, "ok")
	return p.writeUserinfo(w, who.Client, claims)
}

// mayRead reports whether a token opens userinfo: it counts, it is a person's, it is for us, and it is for identity.
func mayRead(s auth.Standing, issuer string) error {
	switch {
	case !s.Active || s.Token.Account == "" || !slices.Contains(s.Token.Audience, issuer):
		return errBadToken
	case !slices.Contains(s.Token.Scopes, "openid"):
		return errScopeNeeded
	}
	return nil
}

// writeUserinfo answers in the form the client is registered for. A signed answer names issuer and audience, and its type
// keeps it from being taken for an ID token (oidc-T6).
func (p *Provider) writeUserinfo(w http.ResponseWriter, c auth.Client, claims map[string]any) error {
	if c.UserinfoAlg == "" {
		body, err := json.Marshal(claims)
		if err != nil {
			return err
		}
		return writeJSON(w, body)
	}
	claims["iss"], claims["aud"] = p.issuer, string(c.ID)
	signed, err := p.keys.Sign(c.UserinfoAlg, typUserinfo, claims)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jwt")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write([]byte(signed))
	return err
}

// bearer finds the one access token of a request: in its header, or in the form of a POST (RFC 6750 §2.1, §2.2). One in the
// address is refused even if it is good, because addresses are logged (§2.3, sec-P44).
func bearer(w http.ResponseWriter, r *http.Request) (string, error) {
	if strings.Contains(r.URL.RawQuery, "access_token") {
		return "", errTokenPlace
	}
	var tokens []string
	for _, header := range r.Header.Values("Authorization") {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", errNoToken
		}
		tokens = append(tokens, strings.TrimSpace(token))
	}
	if r.Method == http.MethodPost && r.Header.Get("Content-Type") != "" {
		form, err := readForm(w, r)
		if err != nil && len(tokens) == 0 {
			return "", err
		}
		tokens = append(tokens, form["access_token"]...)
	}
	switch {
	case len(tokens) == 0:
		return "", errNoToken
	case len(tokens) > 1:
		return "", errTokenPlace
	case tokens[0] == "" || len(tokens[0]) > maxJWS:
		return "", errBadToken
	}
	return tokens[0], nil
}

// showBearer answers a fault as RFC 6750 §3 writes it. A request without a token is told how to send one and nothing else.
func (p *Provider) showBearer(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	name, status := oauthError(f)
	challenge := `Bearer realm="` + p.issuer + `"`
	switch {
	case f.Code == errNoToken.Code:
		name, status = "", http.StatusUnauthorized
	case status < 500:
		challenge += `, error="` + name + `", error_description="` + describe(f.Text) + `"`
	}
	if f.Is(errLevel) {
		challenge += `, acr_values="` + f.Field + `"`
	}
	if name == "insufficient_scope" {
		challenge += `, scope="openid"`
	}
	p.count(r.Pattern, name)
	w.Header().Set("WWW-Authenticate", challenge)
	w.Header().Set("Cache-Control", "no-store")
	if name == "" {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": name, "error_description": describe(f.Text)})
}
