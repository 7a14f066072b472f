package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/outbound"
)

// revokes asks the revocation endpoint about nothing in particular: 200 says that the client was authenticated.
func (e *ends) revokes(form url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	e.t.Helper()
	f := url.Values{"token": {"unknown"}}
	for name, v := range form {
		f[name] = v
	}
	return e.post(revokePath, f, change...)
}

// sec-P23: each client uses its one method, and every refusal is the same.
func TestSecP23ClientAuthentication(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		_, secret := e.client("web.app", auth.Web, nil)
		_, other := e.client("other", auth.Web, nil)
		e.client("spa", auth.SPA, nil)
		disabled, gone := e.client("gone", auth.Web, nil)
		e.update(func(tx storeTx) error {
			return auth.SetClientDisabled(t.Context(), tx, "local:test", disabled.ID, true)
		})
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		e.client("keyed", auth.Web, func(c *auth.Client) { c.AuthMethod, c.JWKS = auth.AuthPrivateKeyJWT, setOf(key.Public(), "k", "") })
		assertion := func(id string) url.Values {
			return e.assertion(key, "ES256", map[string]any{"kid": "k"}, id, nil)
		}

		ok := map[string]*httptest.ResponseRecorder{
			"basic":                              e.revokes(nil, basic("web.app", secret)),
			"post":                               e.revokes(url.Values{"client_id": {"web.app"}, "client_secret": {secret}}),
			"basic, client_id in the body too":   e.revokes(url.Values{"client_id": {"web.app"}}, basic("web.app", secret)),
			"basic, with an empty client_secret": e.revokes(url.Values{"client_secret": {""}}, basic("web.app", secret)),
			"basic, percent-encoded throughout":  e.revokes(nil, rawBasic("%77eb%2Eapp:"+secret)),
			"basic in lower case":                e.revokes(nil, rawBasic("web.app:"+secret), lowerScheme),
			"none":                               e.revokes(url.Values{"client_id": {"spa"}}),
			"private_key_jwt":                    e.revokes(assertion("keyed")),
		}
		for name, w := range ok {
			if w.Code != http.StatusOK {
				t.Errorf("%s: %d %s, want 200", name, w.Code, w.Body)
			}
		}

		both := assertion("keyed")
		both.Set("client_secret", secret)
		named := assertion("keyed")
		named.Set("client_id", "web.app")
		bad := map[string]*httptest.ResponseRecorder{
			"no client at all":                        e.revokes(nil),
			"unknown client":                          e.revokes(nil, basic("nobody", secret)),
			"unknown client, post":                    e.revokes(url.Values{"client_id": {"nobody"}, "client_secret": {secret}}),
			"unknown public client":                   e.revokes(url.Values{"client_id": {"nobody"}}),
			"wrong secret":                            e.revokes(nil, basic("web.app", secret+"x")),
			"another client's secret":                 e.revokes(nil, basic("web.app", other)),
			"empty secret, basic":                     e.revokes(nil, basic("web.app", "")),
			"empty secret, post":                      e.revokes(url.Values{"client_id": {"web.app"}, "client_secret": {""}}),
			"secret null":                             e.revokes(nil, basic("web.app", "null")),
			"secret undefined":                        e.revokes(url.Values{"client_id": {"web.app"}, "client_secret": {"undefined"}}),
			"confidential without secret":             e.revokes(url.Values{"client_id": {"web.app"}}),
			"public with a secret":                    e.revokes(url.Values{"client_id": {"spa"}, "client_secret": {secret}}),
			"public by basic":                         e.revokes(nil, basic("spa", "x")),
			"public by basic, empty secret":           e.revokes(nil, basic("spa", "")),
			"basic and post at once":                  e.revokes(url.Values{"client_id": {"web.app"}, "client_secret": {secret}}, basic("web.app", secret)),
			"basic and an assertion":                  e.revokes(assertion("keyed"), basic("web.app", secret)),
			"post and an assertion":                   e.revokes(both),
			"basic id is not the body's":              e.revokes(url.Values{"client_id": {"other"}}, basic("web.app", secret)),
			"assertion's client is not the body's":    e.revokes(named),
			"a secret where a key is registered":      e.revokes(nil, basic("keyed", secret)),
			"nothing where a key is registered":       e.revokes(url.Values{"client_id": {"keyed"}}),
			"an assertion where a secret is":          e.revokes(assertion("web.app")),
			"disabled client":                         e.revokes(nil, basic("gone", gone)),
			"client_id twice":                         e.revokes(url.Values{"client_id": {"spa", "spa"}}),
			"client_secret twice":                     e.revokes(url.Values{"client_id": {"web.app"}, "client_secret": {secret, secret}}),
			"bearer in place of basic":                e.revokes(nil, withBearer(secret)),
			"two authorization headers":               e.revokes(nil, basic("web.app", secret), func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }),
			"basic that is not base64":                e.revokes(nil, func(r *http.Request) { r.Header.Set("Authorization", "Basic ***") }),
			"basic without a colon":                   e.revokes(nil, rawBasic("web.app")),
			"basic with a broken escape":              e.revokes(nil, rawBasic("web.app:%zz")),
			"basic of 1 MB":                           e.revokes(nil, rawBasic("web.app:"+strings.Repeat("a", 1<<20))),
			"secret of 10 KB":                         e.revokes(url.Values{"client_id": {"web.app"}, "client_secret": {strings.Repeat("a", 10<<10)}}),
			"the hash of the secret":                  e.revokes(nil, basic("web.app", fmt.Sprintf("%x", hashOf(secret)))),
			"id in another case":                      e.revokes(nil, basic("WEB.APP", secret)),
			"assertion type alone":                    e.revokes(url.Values{"client_id": {"spa"}, "client_assertion_type": {assertionType}}),
			"assertion of an unknown type":            e.revokes(url.Values{"client_assertion": assertion("keyed")["client_assertion"], "client_assertion_type": {"x"}}),
			"SAML assertion":                          e.revokes(url.Values{"client_assertion": {"x"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}}),
			"id with a NUL":                           e.revokes(url.Values{"client_id": {"spa\x00"}}),
			"id that is not UTF-8":                    e.revokes(url.Values{"client_id": {"spa\xff"}}),
			"an assertion of an unknown client":       e.revokes(assertion("nobody")),
			"an assertion for a client of 10 KB name": e.revokes(assertion(strings.Repeat("n", 9000))),
		}
		want := ""
		for name, w := range bad {
			if w.Code != http.StatusUnauthorized || decode(t, w)["error"] != "invalid_client" {
				t.Errorf("sec-P23 %s: %d %s, want 401 invalid_client", name, w.Code, w.Body)
				continue
			}
			// RFC 6749 §5.2, and no oracle: body and headers do not tell one refusal from another.
			seen := w.Body.String() + w.Header().Get("WWW-Authenticate") + fmt.Sprint(len(w.Header()))
			if want == "" {
				want = seen
			}
			if seen != want || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
				t.Errorf("sec-P23 %s answers\n%s\nother refusals answer\n%s", name, seen, want)
			}
		}
		if n := e.coalesced(audit.ClientRefused); n != len(bad) {
			t.Errorf("%d events client.refused, want one for each of %d refusals", n, len(bad))
		}
		for _, ev := range e.events {
			if raw, _ := json.Marshal(ev); strings.Contains(string(raw), secret) || strings.Contains(string(raw), other) {
				t.Errorf("an event holds a secret: %s", raw)
			}
		}
	})
}

// sec-P23, I9: an unknown client costs what a wrong secret costs.
func TestSecP23UnknownClientsCostTheSame(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		_, secret := e.client("app", auth.Web, nil)
		cost := func(id string) uint64 {
			before := e.db.Statements()
			if w := e.revokes(nil, basic(id, secret+"x")); w.Code != http.StatusUnauthorized {
				t.Fatalf("%s: %d", id, w.Code)
			}
			return e.db.Statements() - before
		}
		if known, unknown := cost("app"), cost("nobody"); known != unknown {
			t.Errorf("a wrong secret costs %d statements, an unknown client %d", known, unknown)
		}
		if auth.CheckSecret(nobody, "", e.clock.Now()) || auth.CheckSecret(nobody, secret, e.clock.Now()) {
			t.Error("nobody has a secret")
		}
	})
}

func lowerScheme(r *http.Request) {
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "Basic", "basic", 1))
}

func rawBasic(pair string) func(*http.Request) {
	return func(r *http.Request) { id, secret, ok := strings.Cut(pair, ":"); setBasic(r, id, secret, ok) }
}

func setBasic(r *http.Request, id, secret string, colon bool) {
	if colon {
		r.SetBasicAuth(id, secret)
		return
	}
	r.Header.Set("Authorization", "Basic "+b64std(id))
}

// sec-P23: a secret that was rotated out counts until its overlap ends and not a moment longer.
func TestSecP23RotatedSecret(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		_, old := e.client("app", auth.Web, nil)
		var fresh auth.Secret
		e.update(func(tx storeTx) (err error) {
			fresh, err = auth.RotateSecret(t.Context(), tx, "local:test", "app", time.Hour)
			return err
		})
		status := func(secret string) int { return e.revokes(nil, basic("app", secret)).Code }
		if status(old) != 200 || status(string(fresh)) != 200 {
			t.Error("both secrets should work while the rotation overlaps")
		}
		e.clock.Add(time.Hour)
		if got := status(old); got != 401 {
			t.Errorf("sec-P23 the old secret after the overlap: %d, want 401", got)
		}
		if got := status(string(fresh)); got != 200 {
			t.Errorf("the new secret: %d, want 200", got)
		}
	})
}

// assertion is a client assertion as a good client makes it, with changes to its claims; a nil value takes a claim out.
func (e *ends) assertion(key crypto.Signer, alg string, header map[string]any, id string, changes map[string]any) url.Values {
	e.t.Helper()
	now := e.clock.Now()
	claims := map[string]any{
		"iss": id, "sub": id, "aud": testIssuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	for name, v := range changes {
		if v == nil {
			delete(claims, name)
		} else {
			claims[name] = v
		}
	}
	opts := &jose.SignerOptions{}
	for name, v := range header {
		opts.WithHeader(jose.HeaderKey(name), v)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, opts)
	if err != nil {
		e.t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		e.t.Fatal(err)
	}
	sig, err := signer.Sign(payload)
	if err != nil {
		e.t.Fatal(err)
	}
	token, err := sig.CompactSerialize()
	if err != nil {
		e.t.Fatal(err)
	}
	return asAssertion(token)
}

func asAssertion(token string) url.Values {
	return url.Values{"client_assertion": {token}, "client_assertion_type": {assertionType}}
}

// setOf is a JWKS of one key.
func setOf(key crypto.PublicKey, kid, use string) []byte {
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: kid, Use: use}}})
	if err != nil {
		panic(err)
	}
	return raw
}

// sec-P24, oidc-T2, fosite-11.
func TestSecP24PrivateKeyJWT(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		now := e.clock.Now()
		ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		_, ed, _ := ed25519.GenerateKey(rand.Reader)
		big, err := testKeys()("RS256")
		if err != nil {
			t.Fatal(err)
		}
		set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: ec.Public(), KeyID: "ec"}, {Key: ed.Public(), KeyID: "ed"}, {Key: big.Public(), KeyID: "rsa"},
			{Key: p384.Public(), KeyID: "p384"}, {Key: stranger.Public(), KeyID: "enc", Use: "enc"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		keyed := func(set []byte) func(c *auth.Client) {
			return func(c *auth.Client) { c.AuthMethod, c.JWKS = auth.AuthPrivateKeyJWT, set }
		}
		e.client("app", auth.Web, keyed(set))
		e.client("other", auth.Web, keyed(set))
		der, err := x509.MarshalPKIXPublicKey(ec.Public())
		if err != nil {
			t.Fatal(err)
		}

		with := func(changes map[string]any) url.Values {
			return e.assertion(ec, "ES256", map[string]any{"kid": "ec"}, "app", changes)
		}
		at := func(d time.Duration) int64 { return now.Add(d).Unix() }
		for name, form := range map[string]url.Values{
			"as it should be":                with(nil),
			"typ JWT":                        e.assertion(ec, "ES256", map[string]any{"kid": "ec", "typ": "JWT"}, "app", nil),
			"typ client-authentication+jwt":  e.assertion(ec, "ES256", map[string]any{"kid": "ec", "typ": "client-authentication+jwt"}, "app", nil),
			"no kid, one key fits":           e.assertion(ec, "ES256", nil, "app", nil),
			"x5t as some clients send":       e.assertion(ec, "ES256", map[string]any{"kid": "ec", "x5t": "AAAA"}, "app", nil),
			"EdDSA":                          e.assertion(ed, "EdDSA", map[string]any{"kid": "ed"}, "app", nil),
			"RS256":                          e.assertion(big, "RS256", map[string]any{"kid": "rsa"}, "app", nil),
			"PS256":                          e.assertion(big, "PS256", map[string]any{"kid": "rsa"}, "app", nil),
			"aud the token endpoint":         with(map[string]any{"aud": testIssuer + tokenPath}),
			"aud a list of one":              with(map[string]any{"aud": []string{testIssuer}}),
			"five minutes":                   with(map[string]any{"exp": at(5 * time.Minute)}),
			"iat a fraction":                 with(map[string]any{"iat": float64(now.Unix()) + 0.5}),
			"a clock ahead by 50 s":          with(map[string]any{"iat": at(50 * time.Second), "nbf": at(50 * time.Second)}),
			"no iat":                         with(map[string]any{"iat": nil}),
			"client_id said again":           joined(with(nil), url.Values{"client_id": {"app"}}),
			"the other client's, by itself":  e.assertion(ec, "ES256", map[string]any{"kid": "ec"}, "other", nil),
			"exp passed within the grace":    with(map[string]any{"exp": at(-5 * time.Second)}),
			"a private claim beside":         with(map[string]any{"x": map[string]any{"y": 1}}),
			"jti as long as it may be":       with(map[string]any{"jti": strings.Repeat("j", maxJTI)}),
			"an audience list with one, too": with(map[string]any{"aud": []string{testIssuer + tokenPath}}),
		} {
			if w := e.revokes(form); w.Code != http.StatusOK {
				t.Errorf("sec-P24 %s: %d %s, want 200", name, w.Code, w.Body)
			}
		}

		payload := fmt.Sprintf(`{"iss":"app","sub":"app","aud":%q,"jti":%q,"exp":%d}`, testIssuer, rand.Text(), at(time.Minute))
		bad := map[string]url.Values{
			"alg none":                        asAssertion(forge(map[string]any{"alg": "none", "kid": "ec"}, payload, nil)),
			"HS256 keyed with the public key": asAssertion(forge(map[string]any{"alg": "HS256", "kid": "ec"}, payload, hs256(der))),
			"HS256 keyed with nothing":        asAssertion(forge(map[string]any{"alg": "HS256", "kid": "ec"}, payload, hs256(nil))),
			"another's signature":             e.assertion(stranger, "ES256", map[string]any{"kid": "ec"}, "app", nil),
			"the encryption key":              e.assertion(stranger, "ES256", map[string]any{"kid": "enc"}, "app", nil),
			"ES384":                           e.assertion(p384, "ES384", map[string]any{"kid": "p384"}, "app", nil),
			"unknown kid":                     e.assertion(ec, "ES256", map[string]any{"kid": "x"}, "app", nil),
			"kid of another type of key":      e.assertion(ec, "ES256", map[string]any{"kid": "rsa"}, "app", nil),
			"jwk in the header":               e.assertion(stranger, "ES256", map[string]any{"jwk": jose.JSONWebKey{Key: stranger.Public(), KeyID: "ec"}}, "app", nil),
			"jku in the header":               e.assertion(ec, "ES256", map[string]any{"kid": "ec", "jku": "https://evil.example.org"}, "app", nil),
			"our own key":                     asAssertion(mustSign(t, e.keys, "ES256", typID, json.RawMessage(payload))),
			"iss of another":                  with(map[string]any{"iss": "other"}),
			"no iss":                          with(map[string]any{"iss": nil}),
			"sub of another":                  with(map[string]any{"sub": "other"}),
			"iss in another case":             with(map[string]any{"iss": "App"}),
			"no aud":                          with(map[string]any{"aud": nil}),
			"aud null":                        with(map[string]any{"aud": json.RawMessage("null")}),
			"aud empty":                       with(map[string]any{"aud": ""}),
			"aud an empty list":               with(map[string]any{"aud": []string{}}),
			"aud of another server":           with(map[string]any{"aud": "https://other.example.org"}),
			"aud with a slash more":           with(map[string]any{"aud": testIssuer + "/"}),
			"aud another endpoint":            with(map[string]any{"aud": testIssuer + revokePath}),
			"aud two, ours among them":        with(map[string]any{"aud": []string{testIssuer, "https://other.example.org"}}),
			"aud ours twice":                  with(map[string]any{"aud": []string{testIssuer, testIssuer}}),
			"aud an object":                   with(map[string]any{"aud": map[string]any{"x": testIssuer}}),
			"no exp":                          with(map[string]any{"exp": nil}),
			"exp null":                        with(map[string]any{"exp": json.RawMessage("null")}),
			"exp a string":                    with(map[string]any{"exp": fmt.Sprint(at(time.Minute))}),
			"expired":                         with(map[string]any{"exp": at(-11 * time.Second)}),
			"exp zero":                        with(map[string]any{"exp": 0}),
			"exp negative":                    with(map[string]any{"exp": -1}),
			"exp in an hour":                  with(map[string]any{"exp": at(time.Hour)}),
			"exp in a year":                   with(map[string]any{"exp": at(365 * 24 * time.Hour)}),
			"exp beyond all clocks":           with(map[string]any{"exp": json.RawMessage("1e300")}),
			"nbf beyond the skew":             with(map[string]any{"nbf": at(61 * time.Second)}),
			"iat beyond the skew":             with(map[string]any{"iat": at(61 * time.Second)}),
			"no jti":                          with(map[string]any{"jti": nil}),
			"jti empty":                       with(map[string]any{"jti": ""}),
			"jti a number":                    with(map[string]any{"jti": 7}),
			"jti of 1 KB":                     with(map[string]any{"jti": strings.Repeat("j", 1024)}),
			"of 20 KB":                        with(map[string]any{"x": strings.Repeat("x", 20<<10)}),
			"not a JWT":                       asAssertion("x.y.z"),
			"a second spelling":               asAssertion(strings.Replace(with(nil).Get("client_assertion"), ".", ".\n", 1)),
		}
		for name, form := range bad {
			if w := e.revokes(form); w.Code != http.StatusUnauthorized || decode(t, w)["error"] != "invalid_client" {
				t.Errorf("sec-P24 %s: %d %s, want 401 invalid_client", name, w.Code, w.Body)
			}
		}

		// Once per client, not once for all; and what was refused for another reason spent nothing.
		again := with(map[string]any{"jti": "same"})
		if w := e.revokes(e.assertion(stranger, "ES256", map[string]any{"kid": "ec"}, "app", map[string]any{"jti": "same"})); w.Code != 401 {
			t.Errorf("a stranger's assertion: %d, want 401", w.Code)
		}
		if w := e.revokes(again); w.Code != http.StatusOK {
			t.Errorf("sec-P24 a stranger used up the client's jti: %d %s", w.Code, w.Body)
		}
		if w := e.revokes(again); w.Code != http.StatusUnauthorized {
			t.Errorf("sec-P24 the same assertion again: %d, want 401", w.Code)
		}
		if w := e.revokes(with(map[string]any{"jti": "same"})); w.Code != http.StatusUnauthorized {
			t.Errorf("sec-P24 another assertion with the same jti: %d, want 401", w.Code)
		}
		if w := e.revokes(e.assertion(ec, "ES256", map[string]any{"kid": "ec"}, "other", map[string]any{"jti": "same"})); w.Code != http.StatusOK {
			t.Errorf("fosite-11 another client's jti of the same name: %d %s, want 200", w.Code, w.Body)
		}
	})
}

func joined(a, b url.Values) url.Values {
	for name, v := range b {
		a[name] = v
	}
	return a
}

func mustSign(t *testing.T, k *Keyring, alg, typ string, claims any) string {
	t.Helper()
	token, err := k.Sign(alg, typ, claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// I1: twenty requests with one assertion, one of which is it.
func TestSecP24AssertionIsSpentOnce(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		e.client("app", auth.Web, func(c *auth.Client) { c.AuthMethod, c.JWKS = auth.AuthPrivateKeyJWT, setOf(key.Public(), "k", "sig") })
		for range 5 {
			form := e.assertion(key, "ES256", map[string]any{"kid": "k"}, "app", nil)
			var ok, refused atomic.Int32
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					switch w := e.revokes(form); w.Code {
					case http.StatusOK:
						ok.Add(1)
					case http.StatusUnauthorized:
						refused.Add(1)
					default:
						t.Errorf("got %d %s", w.Code, w.Body)
					}
				})
			}
			wg.Wait()
			if ok.Load() != 1 || refused.Load() != 19 {
				t.Errorf("sec-P24 %d accepted and %d refused, want 1 and 19", ok.Load(), refused.Load())
			}
		}
	})
}

// keyServer serves a client's JWKS.
type keyServer struct {
	*httptest.Server
	hits atomic.Int32
	mu   sync.Mutex
	set  []byte
	fail bool
}

func newKeyServer(t *testing.T) *keyServer {
	s := &keyServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.hits.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.fail {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(s.set)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *keyServer) serve(set []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set, s.fail = set, set == nil
}

// oidc-T5: an application turns its keys over, and we follow, at a bounded rate.
func TestOidcT5ClientKeysFollowTheirAddress(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		e.use(outbound.New(outbound.Config{Allow: loopbackOnly}))
		s := newKeyServer(t)
		key := func() *ecdsa.PrivateKey {
			k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		first, second := key(), key()
		s.serve(setOf(first.Public(), "1", "sig"))
		e.fetchedFrom("app", s.URL)

		asks := func(k *ecdsa.PrivateKey, kid string) int {
			t.Helper()
			return e.revokes(e.assertion(k, "ES256", map[string]any{"kid": kid}, "app", nil)).Code
		}
		for range 3 {
			if got := asks(first, "1"); got != 200 {
				t.Fatalf("the first key: %d", got)
			}
		}
		if n := s.hits.Load(); n != 1 {
			t.Errorf("%d fetches for three requests, want 1", n)
		}

		s.serve(setOf(second.Public(), "2", "sig"))
		if got := asks(second, "2"); got != 401 || s.hits.Load() != 1 {
			t.Errorf("at once: %d after %d fetches, want 401 and none more: unknown kids must not be an amplifier", got, s.hits.Load())
		}
		e.clock.Add(time.Minute)
		if got := asks(second, "2"); got != 200 {
			t.Errorf("oidc-T5 the new key a minute later: %d, want 200", got)
		}
		if got := asks(first, "1"); got != 401 {
			t.Errorf("the key that left the set: %d, want 401", got)
		}
		for range 50 {
			asks(first, "x")
		}
		if n := s.hits.Load(); n != 2 {
			t.Errorf("%d fetches, want 2: fifty unknown kids in a minute fetch nothing", n)
		}

		// A server that is down does not shut the client out at once, but in the end it does.
		s.serve(nil)
		e.clock.Add(setFresh)
		if got := asks(second, "2"); got != 200 {
			t.Errorf("while its server is down: %d, want 200", got)
		}
		e.clock.Add(setUsable)
		if got := asks(second, "2"); got != 401 {
			t.Errorf("an hour later: %d, want 401", got)
		}
		s.serve(setOf(second.Public(), "2", "sig"))
		e.clock.Add(time.Minute)
		if got := asks(second, "2"); got != 200 {
			t.Errorf("when its server is back: %d, want 200", got)
		}
	})
}

// fetchedFrom registers a client whose keys are at uri. Registration takes https alone; that the test's server speaks
// http is the operator's exception.
func (e *ends) fetchedFrom(id auth.ClientID, uri string) {
	e.t.Helper()
	e.client(id, auth.Web, func(c *auth.Client) { c.AuthMethod, c.JWKSURI = auth.AuthPrivateKeyJWT, "https://keys.example.org/" })
	e.update(func(tx storeTx) error {
		c, err := tx.Client(e.t.Context(), id)
		if err != nil {
			return err
		}
		c.JWKSURI = uri
		_, err = tx.UpdateClient(e.t.Context(), c)
		return err
	})
}

// One fetch for all who wait, and one answer though the first of them hangs up.
func TestClientKeysAreFetchedOnce(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var fetches atomic.Int32
	release := make(chan struct{})
	k := newClientKeys(func(ctx context.Context, _ string, _ ...string) ([]byte, error) {
		fetches.Add(1)
		<-release
		return setOf(key.Public(), "k", ""), ctx.Err()
	})
	c := auth.Client{ID: "app", JWKSURI: "https://keys.example.org"}
	var wg sync.WaitGroup
	for i := range 20 {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		if i == 0 {
			stop()
		}
		wg.Go(func() {
			if keys, err := k.find(ctx, c, "k", "ES256"); err != nil || len(keys) != 1 {
				t.Errorf("got %d keys, %v", len(keys), err)
			}
		})
	}
	for fetches.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	close(release)
	wg.Wait()
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
}

// I22: the cache of sets does not grow with what is asked for.
func TestClientKeysAreBounded(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one := setOf(key.Public(), "k", "")
	k := newClientKeys(func(context.Context, string, ...string) ([]byte, error) { return one, nil })
	for i := range maxSets + 50 {
		if _, err := k.find(t.Context(), auth.Client{ID: auth.ClientID(fmt.Sprint(i)), JWKSURI: "https://x"}, "k", "ES256"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(k.sets); n > maxSets {
		t.Errorf("%d sets are kept, want at most %d", n, maxSets)
	}
}

// sec-P26: what a client's JWKS may hold that we do not use.
func TestSecP26WhatAClientsKeySetMayHold(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	raw := func(k any) string {
		b, err := json.Marshal(jose.JSONWebKey{Key: k, KeyID: "k"})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	good := raw(key.Public())
	for name, tt := range map[string]struct {
		set  string
		alg  string
		kid  string
		keys int
	}{
		"one key":                        {`{"keys":[` + good + `]}`, "ES256", "k", 1},
		"an exotic key beside":           {`{"keys":[{"kty":"AKP","alg":"ML-DSA-44"},{"kty":"??"},` + good + `,7,null]}`, "ES256", "k", 1},
		"a private key":                  {`{"keys":[` + raw(key) + `]}`, "ES256", "k", 0},
		"a symmetric key":                {`{"keys":[{"kty":"oct","k":"AAAA","kid":"k","alg":"HS256"}]}`, "ES256", "k", 0},
		"an RSA key of 1024 bits":        {`{"keys":[` + raw(weak.Public()) + `]}`, "RS256", "k", 0},
		"a key for another algorithm":    {`{"keys":[` + strings.Replace(good, `{`, `{"alg":"ES512",`, 1) + `]}`, "ES256", "k", 0},
		"kid in another case":            {`{"keys":[` + good + `]}`, "ES256", "K", 0},
		"the kid five times":             {`{"keys":[` + strings.TrimSuffix(strings.Repeat(good+",", 5), ",") + `]}`, "ES256", "k", 0},
		"two keys and no kid asked":      {`{"keys":[` + good + `,` + good + `]}`, "ES256", "", 0},
		"a point that is on no curve":    {`{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"AAAA","y":"AAAA"}]}`, "ES256", "k", 0},
		"not JSON":                       {`<html>`, "ES256", "k", 0},
		"keys is no list":                {`{"keys":{"a":1}}`, "ES256", "k", 0},
		"a thousand keys before it":      {`{"keys":[` + strings.Repeat(`{"kty":"oct","k":"AA"},`, 1000) + good + `]}`, "ES256", "k", 0},
		"empty":                          {``, "ES256", "k", 0},
		"the RSA exponent beyond reason": {`{"keys":[{"kty":"RSA","kid":"k","e":"` + b64.EncodeToString(make([]byte, 4096)) + `","n":"` + b64.EncodeToString(big1()) + `"}]}`, "RS256", "k", 0},
	} {
		keys, _ := pick(parseSet([]byte(tt.set)), tt.kid, tt.alg)
		if len(keys) != tt.keys {
			t.Errorf("sec-P26 %s: %d keys, want %d", name, len(keys), tt.keys)
		}
	}
}

func big1() []byte {
	n := make([]byte, 256)
	for i := range n {
		n[i] = 0xff
	}
	return n
}

// sec-X01: a jwks_uri that points into the network is not followed, and leaves an event.
func TestSecX01ClientKeysStayOutOfTheNetwork(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s := newKeyServer(t)
		s.serve(setOf(key.Public(), "k", ""))
		_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		uris := []string{s.URL, "https://127.0.0.1:" + port, "https://localhost:" + port, "https://[::ffff:127.0.0.1]:" + port, "https://169.254.169.254/jwks", "http://10.0.0.1/"}
		for i, uri := range uris {
			id := auth.ClientID(fmt.Sprintf("app%d", i))
			e.fetchedFrom(id, uri)
			if w := e.revokes(e.assertion(key, "ES256", map[string]any{"kid": "k"}, string(id), nil)); w.Code != http.StatusUnauthorized {
				t.Errorf("sec-X01 %s: %d, want 401", uri, w.Code)
			}
		}
		if n := s.hits.Load(); n != 0 {
			t.Errorf("sec-X01 the private server was reached %d times", n)
		}
		if n := e.coalesced(audit.OutboundRefused); n != len(uris) {
			t.Errorf("sec-X01 %d events outbound.refused, want %d", n, len(uris))
		}
	})
}

func FuzzReadCredentials(f *testing.F) {
	f.Add("Basic "+b64std("app:secret"), "client_id=app")
	f.Add("Basic "+b64std("%61pp:"), "")
	f.Add("", "client_id=app&client_secret=s")
	f.Add("", "client_assertion_type="+url.QueryEscape(assertionType)+"&client_assertion=e30."+b64.EncodeToString([]byte(`{"sub":"app"}`))+".AA")
	f.Fuzz(func(t *testing.T, header, body string) {
		form, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		if header != "" {
			r.Header["Authorization"] = []string{header}
		}
		c, err := readCredentials(r, form)
		if err != nil {
			return
		}
		ways := 0
		for _, used := range []bool{c.secret != "", c.assertion != "", c.method == "none"} {
			if used {
				ways++
			}
		}
		if ways != 1 || c.id == "" || len(c.id) > maxClientID || len(c.secret) > maxSecret {
			t.Errorf("readCredentials(%q, %q) = %+v", header, body, c)
		}
		if id := form.Get("client_id"); id != "" && id != string(c.id) {
			t.Errorf("client_id %q, but credentials are %q's", id, c.id)
		}
	})
}
