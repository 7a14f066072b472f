package oidc

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/internal/outbound"
	"github.com/countersign-id/countersign/store"
)

// How an application says who it is (RFC 6749 §2.3, OpenID Connect Core §9; sec-P23, P24). It uses the one method it is
// registered for, and only that. Whatever is wrong, the answer is the same invalid_client: which part it was, and
// whether the client exists, stands in the event alone.

// The bounds of a client assertion.
const (
	assertionType  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertionLife  = 5 * time.Minute  // how far ahead it may expire
	assertionSkew  = time.Minute      // by how much the client's clock may be ahead
	assertionGrace = 10 * time.Second // and behind
	maxClientID    = 256
	maxSecret      = 512
	maxJTI         = 256
)

// credentials is what a request brings along to say which client sent it.
type credentials struct {
	id        auth.ClientID
	method    string // how, in the words of discovery: client_secret_basic …
	secret    string
	assertion string
}

// authenticate returns the client that sent r, whose body form is. A refusal is errClient, whatever the reason. It must
// not be called inside a transaction: it may fetch the client's keys.
func (p *Provider) authenticate(r *http.Request, form url.Values) (auth.Client, error) {
	cred, err := readCredentials(r, form)
	if err != nil {
		return auth.Client{}, p.refuseClient(nil, cred.method, err)
	}
	var (
		client auth.Client
		now    time.Time
	)
	ctx := r.Context()
	err = p.db.View(ctx, func(tx *store.Tx) (err error) {
		now = tx.Now()
		client, err = tx.Client(ctx, cred.id)
		return err
	})
	known := err == nil
	if !known && !fault.Is(err, fault.NotFound) {
		return auth.Client{}, err
	}
	if !known {
		client = nobody // is checked like anybody, so that a stranger's name takes as long
	}
	err = p.prove(r, client, cred, now)
	switch {
	case fault.Is(err, fault.Unavailable) && errors.Is(err, errSpend):
		return auth.Client{}, err
	case err != nil || !known:
		return auth.Client{}, p.refuseClient(&client, cred.method, err)
	}
	return client, nil
}

// nobody is the client that unknown ones are checked against. No secret has its hash.
var nobody = auth.Client{AuthMethod: auth.AuthSecret, Secrets: []auth.ClientSecret{{Hash: make([]byte, 32)}}}

// errSpend marks a failure of ours to keep an assertion's jti: the client is told to come again, not that it lied.
var errSpend = fault.New(fault.Unavailable, "temporarily-unavailable", "The client cannot be authenticated right now.")

// prove reports whether cred proves the client, as registered.
func (p *Provider) prove(r *http.Request, c auth.Client, cred credentials, now time.Time) error {
	secretOK := cred.secret != "" && auth.CheckSecret(c, cred.secret, now)
	switch {
	case c.Disabled:
		return errors.New("disabled")
	case cred.method != "none" && c.AuthMethod != method(cred.method), cred.method == "none" && c.AuthMethod != auth.AuthNone:
		return errors.New("method not registered")
	case cred.method == "none":
		return nil
	case cred.assertion != "":
		return p.proveAssertion(r, c, cred.assertion, now)
	case !secretOK:
		return errors.New("wrong secret")
	}
	return nil
}

// method returns the registered method that covers one on the wire.
func method(wire string) string {
	if wire == "private_key_jwt" {
		return auth.AuthPrivateKeyJWT
	}
	return auth.AuthSecret
}

// refuseClient notes the refusal and returns the one answer there is. c is nil where no client was looked up.
func (p *Provider) refuseClient(c *auth.Client, method string, cause error) error {
	e := audit.Event{Kind: audit.ClientRefused, Outcome: audit.Refused, Code: errClient.Code, Detail: map[string]string{}}
	if method != "" {
		e.Detail["method"] = method
	}
	if c != nil && c.ID != "" {
		e.Subject, e.Client = "client:"+string(c.ID), string(c.ID)
		e.Detail["why"] = cause.Error()
	}
	p.coalesce(e)
	return errClient.Because(cause)
}

// readCredentials finds the one way in which r says who sent it.
func readCredentials(r *http.Request, form url.Values) (credentials, error) {
	var found []credentials
	if headers := r.Header.Values("Authorization"); len(headers) > 0 {
		c, err := basicCredentials(headers)
		if err != nil {
			return credentials{method: "client_secret_basic"}, err
		}
		found = append(found, c)
	}
	for _, name := range []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"} {
		if len(form[name]) > 1 {
			return credentials{}, errors.New(name + " given twice")
		}
	}
	id := auth.ClientID(form.Get("client_id"))
	if secret := form.Get("client_secret"); secret != "" {
		found = append(found, credentials{id: id, method: "client_secret_post", secret: secret})
	}
	if form.Get("client_assertion") != "" || form.Get("client_assertion_type") != "" {
		c, err := assertionCredentials(form)
		if err != nil {
			return credentials{method: "private_key_jwt"}, err
		}
		found = append(found, c)
	}

	if len(found) > 1 {
		return credentials{}, errors.New("several methods at once")
	}
	if len(found) == 0 {
		found = append(found, credentials{id: id, method: "none"})
	}
	c := found[0]
	switch {
	case id != "" && id != c.id:
		return c, errors.New("client_id is another's")
	case c.id == "" || len(c.id) > maxClientID || len(c.secret) > maxSecret:
		return c, errors.New("no usable client_id")
	}
	return c, nil
}

// basicCredentials reads HTTP Basic as RFC 6749 §2.3.1 wants it: both parts form-urlencoded before they are joined.
func basicCredentials(headers []string) (credentials, error) {
	scheme, encoded, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 || !strings.EqualFold(scheme, "Basic") || len(encoded) > 4096 {
		return credentials{}, errors.New("authorization is not one Basic header")
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return credentials{}, errors.New("authorization is not Basic")
	}
	id, secret, ok := strings.Cut(string(raw), ":")
	if !ok {
		return credentials{}, errors.New("authorization is not Basic")
	}
	id, err1 := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(secret)
	switch {
	case err1 != nil || err2 != nil:
		return credentials{}, errors.New("authorization is not form-urlencoded")
	case secret == "":
		return credentials{}, errors.New("empty secret")
	}
	return credentials{id: auth.ClientID(id), method: "client_secret_basic", secret: secret}, nil
}

// assertion is what a client says of itself in a JWT (RFC 7523 §3). Names are exact: see readHeader.
type assertion struct {
	Issuer    string          `json:"iss"`
	Subject   string          `json:"sub"`
	Audience  json.RawMessage `json:"aud"`
	ID        string          `json:"jti"`
	Expires   *float64        `json:"exp"`
	NotBefore *float64        `json:"nbf"`
	IssuedAt  *float64        `json:"iat"`
}

// assertionCredentials reads whose assertion it claims to be. Nothing in it is trusted yet.
func assertionCredentials(form url.Values) (credentials, error) {
	token := form.Get("client_assertion")
	if form.Get("client_assertion_type") != assertionType || !compact(token) {
		return credentials{}, errors.New("no assertion of type jwt-bearer")
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		return credentials{}, errors.New("assertion is not a JWT")
	}
	var a assertion
	if err := json.Unmarshal(payload, &a); err != nil || a.Subject == "" {
		return credentials{}, errors.New("assertion names nobody")
	}
	return credentials{id: auth.ClientID(a.Subject), method: "private_key_jwt", assertion: token}, nil
}

// proveAssertion reports whether token is an assertion of c for us, now, and for the first time.
func (p *Provider) proveAssertion(r *http.Request, c auth.Client, token string, now time.Time) error {
	ctx := r.Context()
	h, err := readHeader(token)
	if err != nil {
		return err
	}
	keys, err := p.clientKeys.find(ctx, c, h.Kid, h.Alg)
	if errors.Is(err, outbound.ErrRefused) {
		p.coalesce(audit.Event{
			Kind: audit.OutboundRefused, Outcome: audit.Refused, Code: outbound.ErrRefused.Code,
			Subject: "client:" + string(c.ID), Client: string(c.ID), Detail: map[string]string{"for": "jwks_uri"},
		})
	}
	if err != nil {
		return err
	}
	payload, err := verifyAny(token, h.Alg, keys)
	if err != nil {
		return err
	}
	var a assertion
	if err := json.Unmarshal(payload, &a); err != nil {
		return errNotOurs
	}
	until, err := a.check(string(c.ID), []string{p.issuer, p.issuer + tokenPath}, now)
	if err != nil {
		return err
	}

	// Last, so that nobody but the client can use up its identifiers.
	var fresh bool
	err = p.db.Update(ctx, func(tx *store.Tx) (err error) {
		fresh, err = tx.SpendAssertion(ctx, c.ID, a.ID, until)
		return err
	})
	if err != nil {
		return errSpend.Because(err)
	}
	if !fresh {
		return errors.New("assertion was used before")
	}
	return nil
}

func verifyAny(token, alg string, keys []jose.JSONWebKey) ([]byte, error) {
	for _, key := range keys {
		if payload, err := verifyJWS(token, alg, key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("assertion's signature does not verify")
}

// check returns until when a counts, if it counts at now: it is the client's own word about itself, meant for exactly one
// of audiences, and neither too old, too new nor for too long.
func (a assertion) check(client string, audiences []string, now time.Time) (until time.Time, err error) {
	if a.Issuer != client || a.Subject != client {
		return until, errors.New("assertion's iss and sub are not the client")
	}
	var aud string
	if list := []string(nil); json.Unmarshal(a.Audience, &list) == nil && len(list) == 1 {
		aud = list[0]
	} else if json.Unmarshal(a.Audience, &aud) != nil {
		return until, errors.New("assertion's aud is not one audience")
	}
	if !slices.Contains(audiences, aud) || aud == "" {
		return until, errors.New("assertion is for somebody else")
	}
	if a.Expires == nil {
		return until, errors.New("assertion does not expire")
	}
	until = instant(*a.Expires).Add(assertionGrace)
	switch {
	case !now.Before(until):
		return until, errors.New("assertion is expired")
	case instant(*a.Expires).After(now.Add(assertionLife + assertionSkew)):
		return until, errors.New("assertion lives too long")
	case a.NotBefore != nil && instant(*a.NotBefore).After(now.Add(assertionSkew)):
		return until, errors.New("assertion is not valid yet")
	case a.IssuedAt != nil && instant(*a.IssuedAt).After(now.Add(assertionSkew)):
		return until, errors.New("assertion is from the future")
	case a.ID == "" || len(a.ID) > maxJTI:
		return until, errors.New("assertion has no usable jti")
	}
	return until, nil
}

// instant reads a NumericDate (RFC 7519 §2). What no clock of ours will show becomes the zero time or the far future.
func instant(seconds float64) time.Time {
	switch {
	case !(seconds > 0): // NaN too
		return time.Time{}
	case seconds > 1<<40:
		return time.Unix(1<<40, 0).UTC()
	}
	return time.UnixMicro(int64(seconds * 1e6)).UTC()
}
