package oidc

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"

	"github.com/countersign-id/countersign/auth"
)

// mintID signs what OpenID Connect Core §2 says about the sign-in, and what the client asked for in it about the person.
// auth_time, acr and the rest are the grant's: nothing is made up here (fosite-5).
func (p *Provider) mintID(x *exchange, access string) (string, error) {
	g, now := x.issued.Grant, x.issued.Access.IssuedAt
	alg := idTokenAlg(x.client)
	claims := personClaims(inIDToken, x.client, x.issued.Account, g.Scopes, x.issued.Allowed, g.Claims)
	for name, v := range map[string]any{
		"iss": p.issuer, "sub": string(g.Account), "aud": string(x.client.ID),
		"iat": now.Unix(), "exp": now.Add(p.issuing.LifetimesOf(x.client).IDToken).Unix(),
		"auth_time": g.AuthTime.Unix(), "acr": g.ACR, "amr": g.AMR, "sid": string(g.Session),
		"at_hash": leftHash(alg, access), "nonce": x.nonce,
	} {
		if v != "" { // an absent nonce is absent, never "" (oidc-T4)
			claims[name] = v
		}
	}
	return p.keys.Sign(alg, typID, claims)
}

// idTokenAlg is the algorithm of a client's ID tokens: RS256, which every relying party expects, unless it asked otherwise.
func idTokenAlg(c auth.Client) string {
	if c.IDTokenAlg == "" {
		return "RS256"
	}
	return c.IDTokenAlg
}

// leftHash is at_hash (OpenID Connect Core §3.1.3.6): the left half of the hash that belongs to the algorithm. For Ed25519
// that is SHA-512, where fosite takes SHA-256 (fosite-16).
func leftHash(alg, token string) string {
	if alg == "EdDSA" {
		h := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(h[:len(h)/2])
	}
	h := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(h[:len(h)/2])
}
