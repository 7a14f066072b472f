package oidc

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign-id/countersign/auth"
)

var b64 = base64.RawURLEncoding

// forge joins any header and payload with any signature.
func forge(header map[string]any, payload string, mac func(signed string) []byte) string {
	h, err := json.Marshal(header)
	if err != nil {
		panic(err)
	}
	return forgeRaw(string(h), payload, mac)
}

func forgeRaw(header, payload string, mac func(signed string) []byte) string {
	signed := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	var sig []byte
	if mac != nil {
		sig = mac(signed)
	}
	return signed + "." + b64.EncodeToString(sig)
}

func es256(key *ecdsa.PrivateKey) func(string) []byte {
	return func(signed string) []byte {
		sum := sha256.Sum256([]byte(signed))
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			panic(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
}

func hs256(secret []byte) func(string) []byte {
	return func(signed string) []byte {
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(signed))
		return m.Sum(nil)
	}
}

// forgeries returns tokens with payload that no key of ours signed, or not for that purpose, by what is wrong with them. typ is
// what the purpose expects.
func forgeries(t *testing.T, e *ends, typ, payload string) map[string]string {
	t.Helper()
	attacker, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	active := e.keys.set.Load().active
	kid, rsaKid := active["ES256"].ID, active["RS256"].ID
	public := map[string][]byte{}
	for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
		der, err := x509.MarshalPKIXPublicKey(active[alg].public)
		if err != nil {
			t.Fatal(err)
		}
		public[alg] = der
	}
	pemOf := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}) }
	good, err := e.keys.Sign("ES256", typ, json.RawMessage(payload))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	own := func(more map[string]any) map[string]any {
		h := map[string]any{"alg": "ES256", "kid": kid, "typ": typ}
		for name, v := range more {
			if v == nil {
				delete(h, name)
			} else {
				h[name] = v
			}
		}
		return h
	}
	jwk := func(kid string) any {
		return jose.JSONWebKey{Key: attacker.Public(), KeyID: kid, Algorithm: "ES256", Use: "sig"}
	}
	// The same header members, signed by us: only the members are wrong.
	signedByUs := func(header map[string]any) string {
		h, err := json.Marshal(header)
		if err != nil {
			t.Fatal(err)
		}
		key := privateOf(t, e, kid).(*ecdsa.PrivateKey)
		return forgeRaw(string(h), payload, es256(key))
	}

	all := map[string]string{
		"alg none, no signature":           forge(own(map[string]any{"alg": "none"}), payload, nil),
		"alg None":                         forge(own(map[string]any{"alg": "None"}), payload, nil),
		"alg nOnE":                         forge(own(map[string]any{"alg": "nOnE"}), payload, nil),
		"alg none with a signature":        forge(own(map[string]any{"alg": "none"}), payload, es256(attacker)),
		"alg empty":                        forge(own(map[string]any{"alg": ""}), payload, nil),
		"alg absent":                       forge(own(map[string]any{"alg": nil}), payload, es256(attacker)),
		"alg a number":                     forge(own(map[string]any{"alg": 256}), payload, es256(attacker)),
		"alg a list":                       forge(own(map[string]any{"alg": []string{"ES256"}}), payload, es256(attacker)),
		"alg es256":                        forge(own(map[string]any{"alg": "es256"}), payload, es256(attacker)),
		"HS256 keyed with our EC DER":      forge(own(map[string]any{"alg": "HS256"}), payload, hs256(public["ES256"])),
		"HS256 keyed with our EC PEM":      forge(own(map[string]any{"alg": "HS256"}), payload, hs256(pemOf(public["ES256"]))),
		"HS256 keyed with our RSA PEM":     forge(own(map[string]any{"alg": "HS256", "kid": rsaKid}), payload, hs256(pemOf(public["RS256"]))),
		"HS256 keyed with our RSA DER":     forge(own(map[string]any{"alg": "HS256", "kid": rsaKid}), payload, hs256(public["RS256"])),
		"HS256 keyed with nothing":         forge(own(map[string]any{"alg": "HS256"}), payload, hs256(nil)),
		"HS512":                            forge(own(map[string]any{"alg": "HS512"}), payload, hs256(public["ES256"])),
		"ES256 by somebody else":           forge(own(nil), payload, es256(attacker)),
		"ES256 with r=s=0":                 forge(own(nil), payload, func(string) []byte { return make([]byte, 64) }),
		"ES256 with r=s=n":                 forge(own(nil), payload, func(string) []byte { return order() }),
		"ES256 in ASN.1":                   forge(own(nil), payload, asn1(privateOf(t, e, kid).(*ecdsa.PrivateKey))),
		"ES256 signature cut short":        forge(own(nil), payload, func(s string) []byte { return es256(attacker)(s)[:63] }),
		"no signature":                     parts[0] + "." + parts[1] + ".",
		"signature of another payload":     parts[0] + "." + b64.EncodeToString([]byte(strings.Replace(payload, "{", `{"x":1,`, 1))) + "." + parts[2],
		"kid of our RSA key, alg ES256":    forge(own(map[string]any{"kid": rsaKid}), payload, es256(attacker)),
		"kid of our EC key, alg RS256":     forge(own(map[string]any{"alg": "RS256"}), payload, es256(attacker)),
		"alg PS256 with the RS256 key":     forge(own(map[string]any{"alg": "PS256", "kid": rsaKid}), payload, es256(attacker)),
		"alg ES384":                        forge(own(map[string]any{"alg": "ES384"}), payload, es256(attacker)),
		"kid absent":                       signedByUs(own(map[string]any{"kid": nil})),
		"kid empty":                        signedByUs(own(map[string]any{"kid": ""})),
		"kid a number":                     signedByUs(own(map[string]any{"kid": 1})),
		"kid a path":                       signedByUs(own(map[string]any{"kid": "../../../../etc/passwd"})),
		"kid /dev/null":                    forge(own(map[string]any{"kid": "/dev/null", "alg": "HS256"}), payload, hs256(nil)),
		"kid SQL":                          signedByUs(own(map[string]any{"kid": "' OR 1=1 --"})),
		"kid with NUL":                     signedByUs(own(map[string]any{"kid": kid + "\x00"})),
		"kid of 10 KB":                     signedByUs(own(map[string]any{"kid": strings.Repeat("k", 10_000)})),
		"kid unknown":                      forge(own(map[string]any{"kid": "nobody"}), payload, es256(attacker)),
		"jwk of the attacker":              forge(own(map[string]any{"jwk": jwk(kid)}), payload, es256(attacker)),
		"jwk of the attacker, no kid":      forge(own(map[string]any{"jwk": jwk(""), "kid": nil}), payload, es256(attacker)),
		"jwk beside our own signature":     signedByUs(own(map[string]any{"jwk": jwk(kid)})),
		"jku":                              signedByUs(own(map[string]any{"jku": "https://evil.example.org/jwks"})),
		"x5u":                              signedByUs(own(map[string]any{"x5u": "https://evil.example.org/x"})),
		"crit b64":                         signedByUs(own(map[string]any{"crit": []string{"b64"}, "b64": true})),
		"crit unknown":                     signedByUs(own(map[string]any{"crit": []string{"x"}, "x": 1})),
		"crit empty":                       signedByUs(own(map[string]any{"crit": []string{}})),
		"b64 false":                        signedByUs(own(map[string]any{"b64": false})),
		"zip":                              signedByUs(own(map[string]any{"zip": "DEF"})),
		"typ of another purpose":           signedByUs(own(map[string]any{"typ": "secevent+jwt"})),
		"typ absent":                       signedByUs(own(map[string]any{"typ": nil})),
		"typ in other case":                signedByUs(own(map[string]any{"typ": swapCase(typ)})),
		"alg twice":                        forgeRaw(`{"alg":"ES256","alg":"none","kid":"`+kid+`","typ":"`+typ+`"}`, payload, es256(attacker)),
		"ALG beside alg":                   forgeRaw(`{"alg":"none","ALG":"ES256","kid":"`+kid+`","typ":"`+typ+`"}`, payload, nil),
		"header twice over":                parts[0] + "." + good,
		"four parts":                       good + ".",
		"five parts, as encrypted":         forge(map[string]any{"alg": "RSA-OAEP", "enc": "A128GCM", "kid": rsaKid}, payload, nil) + ".x.y",
		"header not JSON":                  b64.EncodeToString([]byte("alg=ES256")) + "." + parts[1] + "." + parts[2],
		"header null":                      b64.EncodeToString([]byte("null")) + "." + parts[1] + "." + parts[2],
		"header not base64url":             strings.Replace(parts[0], parts[0][:1], "!", 1) + "." + parts[1] + "." + parts[2],
		"header padded":                    parts[0] + "=." + parts[1] + "." + parts[2],
		"JSON serialization":               `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
		"spaces around":                    " " + good + " ",
		"newline within":                   parts[0] + ".\n" + parts[1] + "." + parts[2],
		"only dots":                        "..",
		"a million dots":                   strings.Repeat(".", 1_000_000),
		"empty":                            "",
		"nested in itself":                 forge(own(map[string]any{"cty": "JWT"}), good, es256(attacker)),
		"an encrypted token, p2c of 2^31":  b64.EncodeToString([]byte(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}`)) + ".a.b.c.d",
		"signed, with p2c of 2^31":         signedByUs(own(map[string]any{"p2c": 1 << 31})),
		"a header of 10 MB":                b64.EncodeToString(bytes.Repeat([]byte(" "), 10<<20)) + "." + parts[1] + "." + parts[2],
		"a header of deep JSON":            b64.EncodeToString([]byte(strings.Repeat("[", 9000))) + "." + parts[1] + "." + parts[2],
		"a compressed payload":             bomb(kid, typ),
		"a payload of 10 MB, signed by us": signedHuge(t, e, kid, typ),
	}
	for _, p := range []string{typAccess, typID, typUserinfo} {
		if p != typ {
			token, err := e.keys.Sign("ES256", p, json.RawMessage(payload))
			if err != nil {
				t.Fatal(err)
			}
			all["ours, of type "+p] = token
		}
	}
	return all
}

// privateOf reads a private key as the store has it.
func privateOf(t *testing.T, e *ends, kid string) crypto.PrivateKey {
	t.Helper()
	var der []byte
	e.update(func(tx storeTx) error {
		keys, err := tx.Keys(t.Context())
		for _, k := range keys {
			if k.ID == kid {
				der = k.Private
			}
		}
		return err
	})
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func order() []byte {
	n := elliptic.P256().Params().N.FillBytes(make([]byte, 32))
	return append(n, n...)
}

func asn1(key *ecdsa.PrivateKey) func(string) []byte {
	return func(signed string) []byte {
		sum := sha256.Sum256([]byte(signed))
		sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
		if err != nil {
			panic(err)
		}
		return sig
	}
}

func swapCase(s string) string {
	if up := strings.ToUpper(s); up != s {
		return up
	}
	return strings.ToLower(s)
}

func bomb(kid, typ string) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	if err != nil {
		panic(err)
	}
	w.Write(make([]byte, 8<<20))
	w.Close()
	return forge(map[string]any{"alg": "ES256", "kid": kid, "typ": typ, "zip": "DEF"}, b.String(), nil)
}

func signedHuge(t *testing.T, e *ends, kid, typ string) string {
	h := fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":%q}`, kid, typ)
	return forgeRaw(h, `{"sub":"`+strings.Repeat("a", 10<<20)+`"}`, es256(privateOf(t, e, kid).(*ecdsa.PrivateKey)))
}

// sec-P26, sec-P27: what is presented as an access token.
func TestSecP26P27ForgedAccessTokens(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		ada := e.account("ada")
		c, secret := e.client("ledger", auth.Web, nil)
		s, _ := e.signedIn(ada)
		mine := e.issue(c, s, "openid", "profile")
		payload := payloadOf(t, mine.bearer)
		if w := e.get(userinfoPath, withBearer(mine.bearer)); w.Code != http.StatusOK {
			t.Fatalf("the token that is forged here is no good itself: %d %s", w.Code, w.Body)
		}
		for name, token := range forgeries(t, e, typAccess, payload) {
			if len(token) > 60<<10 {
				if _, _, err := e.keys.Verify(t.Context(), token, ForAccess); !errors.Is(err, errNotOurs) {
					t.Errorf("sec-P27 %s: %v, want refused", name, err)
				}
				continue
			}
			if w := e.post(userinfoPath, url.Values{"access_token": {token}}); w.Code != http.StatusUnauthorized {
				t.Errorf("sec-P27 userinfo, %s: %d %s, want 401", name, w.Code, w.Body)
			}
			if token == "" {
				continue
			}
			w := e.post(introspectPath, url.Values{"token": {token}}, basic("ledger", secret))
			if w.Code != http.StatusOK || w.Body.String() != `{"active":false}` {
				t.Errorf("sec-P26 introspection, %s: %d %s, want active false alone", name, w.Code, w.Body)
			}
		}
		// The issuer is part of the token: one signed by a key of ours for another issuer is not ours.
		foreign := strings.Replace(payload, testIssuer, "https://other.example.org", 1)
		token, err := e.keys.Sign(accessAlg, typAccess, json.RawMessage(foreign))
		if err != nil {
			t.Fatal(err)
		}
		if w := e.get(userinfoPath, withBearer(token)); w.Code != http.StatusUnauthorized {
			t.Errorf("sec-P27 another issuer: %d, want 401", w.Code)
		}
	})
}

// sec-P27: what is presented as an id_token_hint.
func TestSecP27OidcL3ForgedHints(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		ada := e.account("ada")
		c, _ := e.client("ledger", auth.Web, nil)
		s, cookie := e.signedIn(ada)
		mine := e.issue(c, s, "openid")
		if _, err := e.p.readIDToken(t.Context(), mine.id); err != nil {
			t.Fatal(err)
		}
		for name, token := range forgeries(t, e, typID, payloadOf(t, mine.id)) {
			if _, err := e.p.readIDToken(t.Context(), token); !errors.Is(err, errNotOurs) {
				t.Errorf("sec-P27 hint, %s: %v, want refused", name, err)
			}
			if len(token) > 8<<10 || token == "" {
				continue
			}
			// oidc-L3: alg none, signed by someone else: no redirect, nothing ended.
			e.pages.last = ""
			w := e.get(logoutPath+"?"+url.Values{"id_token_hint": {token}, "post_logout_redirect_uri": {c.PostLogoutURIs[0]}}.Encode(), withCookie(cookie))
			if w.Code != http.StatusOK || e.pages.last != "confirm" {
				t.Errorf("oidc-L3 %s: %d %s, want the confirmation page", name, w.Code, e.pages.last)
			}
		}
		if !e.live(s.ID) {
			t.Error("a forged hint ended the session")
		}
	})
}

func payloadOf(t testing.TB, token string) string {
	t.Helper()
	payload, err := b64.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}

// sec-X09: what is too large is refused before it is looked into.
func TestSecX09BombsAreCheap(t *testing.T) {
	e := newEnds(t, databases["sqlite"](t), newClock())
	all := forgeries(t, e, typAccess, `{"iss":"`+testIssuer+`","sub":"x","jti":"x.y","client_id":"c","exp":9999999999}`)
	for name, token := range all {
		var before, after runtime.MemStats
		took := time.Hour
		for range 3 { // the quickest counts: the machine may be busy with something else
			e.keys.last = time.Time{} // an unknown kid costs a reading of the store; the pause between two is no work
			runtime.ReadMemStats(&before)
			began := time.Now()
			_, _, err := e.keys.Verify(t.Context(), token, ForAccess)
			took = min(took, time.Since(began))
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("sec-X09 %s was accepted", name)
			}
		}
		if took > 50*time.Millisecond {
			t.Errorf("sec-X09 %s took %v, want less than 50 ms", name, took)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
			t.Errorf("sec-X09 %s took %d bytes, want less than 8 MiB", name, used)
		}
	}
}

func FuzzReadHeader(f *testing.F) {
	for _, header := range []string{`{"alg":"ES256","kid":"k","typ":"at+jwt"}`, `{"alg":"none"}`, `{"ALG":"ES256"}`, `null`, `[]`, `{"crit":["b64"]}`} {
		f.Add(b64.EncodeToString([]byte(header)) + ".e30.AA")
	}
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		h, err := readHeader(token)
		if err != nil {
			return
		}
		if len(token) > maxJWS || !strings.Contains("RS256 ES256 PS256 EdDSA", h.Alg) || h.Alg == "" {
			t.Errorf("readHeader(%q) = %+v", token, h)
		}
	})
}
