package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Rules for every JSON Web Signature that reaches us (sec-P26, P27, X09; RFC 8725):
//   - it is compact, of at most 16 KiB, and measured before it is parsed;
//   - the key is ours or the client's, found by who should have signed; no header brings or fetches one;
//   - the key says which algorithm it is for, and the header has to agree;
//   - only signatures with asymmetric keys exist: there is no "none", no HMAC, no encryption here;
//   - what is signed says what it is for (typ), and counts for nothing else.

// maxJWS bounds a token that somebody hands us. Ours have about 1 KiB.
const maxJWS = 16 << 10

// The types of what we sign. Only at+jwt is read as an access token, only JWT as an ID token (fosite-12).
const (
	typID       = "JWT"
	typAccess   = "at+jwt" // RFC 9068 §2.1
	typUserinfo = "userinfo+jwt"
)

// algorithms is every signature algorithm we make and accept.
var algorithms = []string{"RS256", "ES256", "PS256", "EdDSA"}

// errNotOurs is what comes of every token that is not what it is presented as. Which check failed is nobody's business.
var errNotOurs = errors.New("not a token we trust")

// joseHeader is what a protected header may say that we listen to.
type joseHeader struct{ Alg, Kid, Typ string }

// refusedMembers would bring keys along, have them fetched, or change what is signed. Their presence is reason enough.
var refusedMembers = []string{"crit", "b64", "jku", "jwk", "x5u", "zip", "enc", "epk", "p2c", "p2s", "apu", "apv", "iv", "tag"}

// readHeader reads the header of token without trusting it. Member names are compared exactly: encoding/json would take
// "ALG" for "alg" where the library that verifies does not.
func readHeader(token string) (joseHeader, error) {
	if !compact(token) {
		return joseHeader{}, errNotOurs
	}
	raw, err := base64.RawURLEncoding.DecodeString(token[:strings.IndexByte(token, '.')])
	if err != nil {
		return joseHeader{}, errNotOurs
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return joseHeader{}, errNotOurs
	}
	for _, name := range refusedMembers {
		if _, ok := members[name]; ok {
			return joseHeader{}, errNotOurs
		}
	}
	var h joseHeader
	for name, to := range map[string]*string{"alg": &h.Alg, "kid": &h.Kid, "typ": &h.Typ} {
		if m, ok := members[name]; ok && json.Unmarshal(m, to) != nil {
			return joseHeader{}, errNotOurs
		}
	}
	if !slices.Contains(algorithms, h.Alg) {
		return joseHeader{}, errNotOurs
	}
	return h, nil
}

// compact reports whether token has the form of a signed JWT and a bounded length. Every byte is looked at, because
// encoding/base64 skips line breaks, and a token must not have a second spelling.
func compact(token string) bool {
	return len(token) <= maxJWS && strings.Count(token, ".") == 2 &&
		!strings.ContainsFunc(token, func(c rune) bool { return c != '.' && notBase64URL(c) })
}

// verifyJWS returns the payload of token if key signed it with alg, the one algorithm key is for.
func verifyJWS(token string, alg string, key crypto.PublicKey) ([]byte, error) {
	sig, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		return nil, errNotOurs
	}
	payload, err := sig.Verify(key)
	if err != nil {
		return nil, errNotOurs
	}
	return payload, nil
}

// fits reports whether key is a public key that alg is defined for, and of a size we would trust and can afford.
func fits(key crypto.PublicKey, alg string) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return (alg == "RS256" || alg == "PS256") && k.N.BitLen() >= 2048 && k.N.BitLen() <= 8192
	case *ecdsa.PublicKey:
		return alg == "ES256" && k.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return alg == "EdDSA" && len(k) == ed25519.PublicKeySize
	}
	return false
}
