package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// app is an application that speaks OAuth by hand, for what libraries would not send.
type app struct {
	issuer, id, secret string
	http               *http.Client
}

func newApp(issuer, id, secret string) *app {
	return &app{issuer: issuer, id: id, secret: secret, http: &http.Client{Timeout: 15 * time.Second}}
}

// tokens is an answer of the token endpoint.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Scope   string `json:"scope"`
	Error   string `json:"error"`
	Status  int    `json:"-"`
}

const verifier = "a-verifier-that-is-long-enough-to-be-one-0123456789"

// authorize is the address that begins a sign-in with PKCE.
func (a *app) authorize(scope string, more ...string) string {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"client_id": {a.id}, "response_type": {"code"}, "redirect_uri": {rpCallback}, "scope": {scope}, "state": {"a-state"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return a.issuer + "/oauth2/authorize?" + q.Encode()
}

// signIn takes a person through the code flow.
func (a *app) signIn(t testing.TB, p *person, scope string) tokens {
	t.Helper()
	back := p.signsIn(a.authorize(scope), rpCallback)
	got, err := a.token(context.Background(), "grant_type", "authorization_code", "code", back.Query().Get("code"), "redirect_uri", rpCallback, "code_verifier", verifier)
	if err != nil || got.Status != http.StatusOK {
		t.Fatalf("exchange after %s: %d %s %v", back, got.Status, got.Error, err)
	}
	return got
}

// token posts to the token endpoint. The error is the network's; a refusal is in the answer.
func (a *app) token(ctx context.Context, fields ...string) (tokens, error) {
	var got tokens
	status, body, err := a.post(ctx, "/oauth2/token", fields...)
	if err != nil {
		return got, err
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return got, fmt.Errorf("%d %q: %w", status, body, err)
	}
	got.Status = status
	return got, nil
}

// post posts a form with the application's secret.
func (a *app) post(ctx context.Context, path string, fields ...string) (int, []byte, error) {
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(a.id), url.QueryEscape(a.secret))
	resp, err := a.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// active asks introspection whether a token counts.
func (a *app) active(t testing.TB, token string) bool {
	t.Helper()
	status, body, err := a.post(context.Background(), "/oauth2/introspect", "token", token)
	var v struct {
		Active bool `json:"active"`
	}
	if err != nil || status != http.StatusOK || json.Unmarshal(body, &v) != nil {
		t.Fatalf("introspection: %d %s %v", status, body, err)
	}
	return v.Active
}

// grantOf reads the grant's id from an access token's jti, which is "<grant>.<random>".
func grantOf(t testing.TB, access string) string {
	t.Helper()
	parts := strings.Split(access, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", access)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		ID string `json:"jti"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	grant, _, _ := strings.Cut(v.ID, ".")
	return grant
}
