package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Bearer tokens say what they are, so that a scanner finds a leaked one and none is taken for another (I2).
const (
	codePrefix    = "csc_" // authorization code
	refreshPrefix = "csr_" // refresh token
	accessPrefix  = "csa_" // opaque access token
	secretPrefix  = "css_" // client secret
	setupPrefix   = "cst_" // set-up link
)

var tokenText = base64.RawURLEncoding.Strict() // one spelling for each token

// newToken returns prefix and 256 random bits, base64url.
func newToken(prefix string) string { return prefix + randomText(32) }

func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return tokenText.EncodeToString(b)
}

// hashToken is what is kept in a random token's place. 256 random bits need no slow hash.
func hashToken(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// mac authenticates parts under a purpose; lengths are in it, so that parts cannot run together.
func mac(key Secret, purpose string, parts ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range append([]string{purpose}, parts...) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// A refresh token names its grant and its generation and proves that we made it. Any generation of any family is recognised
// without a table of old ones, and a made-up token never reaches a family, let alone ends it.
const refreshBytes = 16 + 4 + sha256.Size

func (p Issuing) refreshToken(g GrantID, generation int) (string, bool) {
	id, ok := uuidBytes(string(g))
	if !ok {
		return "", false
	}
	body := binary.BigEndian.AppendUint32(id, uint32(generation))
	return refreshPrefix + tokenText.EncodeToString(append(body, mac(p.Key, "refresh", string(body))...)), true
}

// readRefresh tells grant and generation of a refresh token that we made.
func (p Issuing) readRefresh(token string) (g GrantID, generation int, ok bool) {
	text, ok := strings.CutPrefix(token, refreshPrefix)
	if !ok || len(text) != tokenText.EncodedLen(refreshBytes) {
		return "", 0, false
	}
	b, err := tokenText.DecodeString(text)
	if err != nil || len(b) != refreshBytes {
		return "", 0, false
	}
	body, sum := b[:20], b[20:]
	if !hmac.Equal(sum, mac(p.Key, "refresh", string(body))) {
		return "", 0, false
	}
	return GrantID(uuidText(body[:16])), int(binary.BigEndian.Uint32(body[16:])), true
}

func uuidBytes(s string) ([]byte, bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return nil, false
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	return b, err == nil && len(b) == 16
}

func uuidText(b []byte) string {
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
