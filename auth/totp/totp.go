// Package totp is the authenticator app (RFC 6238): it makes secrets and says which time step a code belongs to. Whether that step may
// still be spent is the store's to say.
package totp

import (
	"crypto/rand"
	"encoding/base32"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/countersign-id/countersign/auth"
)

// What every common app understands; several ignore that they are told anything else.
const (
	Period = 30 * time.Second
	Digits = 6

	secretBytes = 20 // 160 bits, as RFC 4226 §4 R6 recommends
	skew        = 1  // steps before and after the present one (RFC 6238 §5.2)
)

var alphabet = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewSecret returns a secret of 160 random bits.
func NewSecret() auth.Secret {
	b := make([]byte, secretBytes)
	rand.Read(b)
	return b
}

// Text is a secret as it is typed into an app: base 32 in groups of four.
func Text(secret auth.Secret) string {
	text := alphabet.EncodeToString(secret)
	var groups []string
	for len(text) > 4 {
		groups, text = append(groups, text[:4]), text[4:]
	}
	return strings.Join(append(groups, text), " ")
}

// Parse reads a secret as Text writes it.
func Parse(text string) (auth.Secret, error) {
	return alphabet.DecodeString(strings.ToUpper(strings.Join(strings.Fields(text), "")))
}

// URL is what an app's camera reads (otpauth://totp). Colons would break the label apart, so they are left out. It holds the secret.
func URL(secret auth.Secret, issuer, account string) string {
	plain := func(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, ":", " ")) }
	issuer, account = plain(issuer), plain(account)
	q := url.Values{"secret": {alphabet.EncodeToString(secret)}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	// Apps differ about + for a space.
	return "otpauth://totp/" + url.PathEscape(issuer) + ":" + url.PathEscape(account) + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

// Step is the time step of an instant, counted from 1970 (RFC 6238 §4.2).
func Step(at time.Time) int64 { return at.Unix() / int64(Period/time.Second) }

// Code is the code of a step.
func Code(secret auth.Secret, step int64) (string, error) {
	return hotp.GenerateCodeCustom(alphabet.EncodeToString(secret), uint64(step), options)
}

var options = hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}

// Match returns the step whose code it is, of those that count at an instant: the present one, the one before and the one after. 0: none.
// All are compared, whichever fits, so that the time taken tells nothing. Where two fit, the later counts, so that neither is good again.
func Match(secret auth.Secret, code string, at time.Time) (step int64) {
	code = strings.Join(strings.Fields(code), "")
	if len(code) != Digits || len(secret) < 16 {
		return 0
	}
	text, now := alphabet.EncodeToString(secret), Step(at)
	for s := now - skew; s <= now+skew; s++ {
		if s <= 0 {
			continue
		}
		if ok, err := hotp.ValidateCustom(code, uint64(s), text, options); err == nil && ok {
			step = s
		}
	}
	return step
}
