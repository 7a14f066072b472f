package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"
)

// Cookies names and writes the cookies of a deployment. Under an https issuer every name carries the __Host- prefix,
// so no other host and no plain connection can set one (RFC 6265bis §4.1.3.2).
type Cookies struct{ HTTPS bool }

// The cookies.
const (
	SessionCookie = "session" // a session's token
	BrowserCookie = "browser" // binds sign-ins in progress to this browser
	TrustCookie   = "trust"   // lets a trusted browser go without the second factor
	DeviceCookie  = "device"  // says that an account was proved here before; for throttling alone
)

// Name returns a cookie's name in this deployment.
func (c Cookies) Name(name string) string {
	if c.HTTPS {
		return "__Host-" + name
	}
	return name
}

// Value returns the cookie's value; empty if it is absent, or given twice with different values.
func (c Cookies) Value(r *http.Request, name string) string {
	got := r.CookiesNamed(c.Name(name))
	if len(got) == 0 {
		return ""
	}
	for _, other := range got[1:] {
		if other.Value != got[0].Value {
			return ""
		}
	}
	return got[0].Value
}

// Set writes a cookie that scripts cannot read. A zero life makes it end with the browser.
func (c Cookies) Set(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: c.Name(name), Value: value, Path: "/", MaxAge: int(life / time.Second),
		HttpOnly: true, Secure: c.HTTPS, SameSite: http.SameSiteLaxMode,
	})
}

// Drop removes a cookie.
func (c Cookies) Drop(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{
		Name: c.Name(name), Path: "/", MaxAge: -1,
		HttpOnly: true, Secure: c.HTTPS, SameSite: http.SameSiteLaxMode,
	})
}

// Browser returns the hash of the browser cookie, setting a fresh one (256 random bits) where there is none.
func (c Cookies) Browser(w http.ResponseWriter, r *http.Request) []byte {
	v := c.Value(r, BrowserCookie)
	if len(v) != 43 {
		v = NewToken()
		c.Set(w, BrowserCookie, v, 0)
	}
	return Hash(v)
}

// NewToken returns 256 random bits, base64url.
func NewToken() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Hash returns the SHA-256 of a random token: what is stored in its place.
func Hash(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}
