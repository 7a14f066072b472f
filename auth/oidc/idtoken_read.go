package oidc

import (
	"context"
	"encoding/json"
)

// idToken is what an ID token of ours says that we read again when it comes back as a hint.
type idToken struct {
	Issuer   string    `json:"iss"`
	Subject  string    `json:"sub"`
	Audience audiences `json:"aud"`
	Session  string    `json:"sid"`
	Expires  int64     `json:"exp"`
}

// readIDToken reads an id_token_hint: an ID token that we signed, with any key not revoked. One that has expired still says
// whom it was about (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2). errNotOurs is all a stranger's gives.
func (p *Provider) readIDToken(ctx context.Context, token string) (idToken, error) {
	payload, _, err := p.keys.Verify(ctx, token, ForHint)
	if err != nil {
		return idToken{}, err
	}
	var t idToken
	if err := json.Unmarshal(payload, &t); err != nil || t.Issuer != p.issuer || t.Subject == "" || t.Expires == 0 {
		return idToken{}, errNotOurs
	}
	return t, nil
}
