package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// accessAlg signs all access tokens. Who reads them is told so by the key's alg and by discovery.
const accessAlg = "ES256"

// audiences is an `aud`: a string where there is one, else an array (RFC 7519 §4.1.3).
type audiences []string

func (a audiences) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

func (a *audiences) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*a = audiences{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(a))
}

// accessClaims is an access token as RFC 9068 §2.2 writes it.
type accessClaims struct {
	Issuer   string    `json:"iss"`
	Subject  string    `json:"sub"`
	Audience audiences `json:"aud"`
	Client   string    `json:"client_id"`
	Scope    string    `json:"scope,omitempty"`
	ID       string    `json:"jti,omitempty"`
	IssuedAt int64     `json:"iat"`
	Expires  int64     `json:"exp"`
	AuthTime int64     `json:"auth_time,omitempty"`
	ACR      string    `json:"acr,omitempty"`
	AMR      []string  `json:"amr,omitempty"`
	Session  string    `json:"sid,omitempty"`
}

func (p *Provider) accessClaims(t auth.AccessToken) accessClaims {
	c := accessClaims{
		Issuer: p.issuer, Subject: subjectOf(t), Audience: t.Audience, Client: string(t.Client),
		Scope: strings.Join(t.Scopes, " "), ID: t.ID, IssuedAt: t.IssuedAt.Unix(), Expires: t.Ends.Unix(),
		ACR: t.ACR, AMR: t.AMR, Session: string(t.Session),
	}
	if !t.AuthTime.IsZero() {
		c.AuthTime = t.AuthTime.Unix()
	}
	return c
}

// subjectOf is the account, or the client where nobody stands behind a token (RFC 9068 §2.2).
func subjectOf(t auth.AccessToken) string {
	if t.Account == "" {
		return string(t.Client)
	}
	return string(t.Account)
}

// mintAccess returns t as a JWT (RFC 9068), with extra claims that the client's registration asks for. None of these
// replaces one of ours.
func (p *Provider) mintAccess(t auth.AccessToken, extra map[string]any) (string, error) {
	own := p.accessClaims(t)
	if len(extra) == 0 {
		return p.keys.Sign(accessAlg, typAccess, own)
	}
	claims, err := merge(own, extra)
	if err != nil {
		return "", err
	}
	return p.keys.Sign(accessAlg, typAccess, claims)
}

// merge returns the claims of own and extra as one object; own wins.
func merge(own any, extra map[string]any) (map[string]any, error) {
	raw, err := json.Marshal(own)
	if err != nil {
		return nil, fmt.Errorf("encode claims: %w", err)
	}
	claims := make(map[string]any, len(extra)+12)
	for name, value := range extra {
		claims[name] = value
	}
	var mine map[string]json.RawMessage
	if err := json.Unmarshal(raw, &mine); err != nil {
		return nil, err
	}
	for name, value := range mine {
		claims[name] = value
	}
	return claims, nil
}

// readAccess reads an access token that we signed. Whether it has expired, and whether it still counts, is standing's to
// say. An ID token is never an access token: types differ (fosite-12). errNotOurs is all a stranger's token gives.
func (p *Provider) readAccess(ctx context.Context, token string) (auth.AccessToken, error) {
	payload, _, err := p.keys.Verify(ctx, token, ForAccess)
	if err != nil {
		return auth.AccessToken{}, err
	}
	var c accessClaims
	if err := json.Unmarshal(payload, &c); err != nil || c.Issuer != p.issuer || c.ID == "" || c.Client == "" {
		return auth.AccessToken{}, errNotOurs
	}
	t := auth.AccessToken{
		ID: c.ID, Client: auth.ClientID(c.Client), Session: auth.SessionID(c.Session), Scopes: strings.Fields(c.Scope),
		Audience: c.Audience, ACR: c.ACR, AMR: c.AMR, IssuedAt: time.Unix(c.IssuedAt, 0).UTC(), Ends: time.Unix(c.Expires, 0).UTC(),
	}
	if c.AuthTime != 0 {
		t.AuthTime = time.Unix(c.AuthTime, 0).UTC()
	}
	if grant, _, ok := strings.Cut(c.ID, "."); ok { // else client_credentials: no grant, no account
		t.Grant, t.Account = auth.GrantID(grant), auth.AccountID(c.Subject)
	}
	return t, nil
}

// isJWT reports whether token has the form of one that is signed. Those that are stored have no dot.
func isJWT(token string) bool { return strings.Count(token, ".") == 2 }

// standing reads again what stands behind an access token of either form, and gives it to then in the same transaction. A
// token that is unknown, false, expired or ended is not Active; that is no error.
func (p *Provider) standing(ctx context.Context, token string, then func(tx *store.Tx, s auth.Standing) error) error {
	var parsed auth.AccessToken
	if isJWT(token) {
		var err error
		parsed, err = p.readAccess(ctx, token)
		if err != nil && !errors.Is(err, errNotOurs) {
			return err
		}
	}
	return p.db.View(ctx, func(tx *store.Tx) error {
		t := parsed
		if !isJWT(token) {
			var err error
			t, err = auth.FindOpaque(ctx, tx, token)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
		}
		if t.ID == "" {
			return then(tx, auth.Standing{})
		}
		s, err := auth.Stand(ctx, tx, t)
		if err != nil {
			return err
		}
		return then(tx, s)
	})
}
