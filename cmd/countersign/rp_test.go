package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	zoidc "github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

// Relying parties that others wrote sign a person in. Each gets what the README says it needs: issuer, client id, secret.

const rpCallback = "http://127.0.0.1:9401/cb"

// rpDeployment serves a deployment with one person and one application.
func rpDeployment(t *testing.T, d *deployment, flags ...string) (secret, sub string) {
	t.Helper()
	sub = d.addUser("probe")
	secret = d.addClient("probe", append([]string{
		"--kind", "web", "--redirect-uri", rpCallback, "--post-logout-redirect-uri", "http://127.0.0.1:9401/bye",
		"--scope", "openid profile email offline_access",
	}, flags...)...)
	d.serve()
	return secret, sub
}

func TestGoOIDCSignsAPersonIn(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, d *deployment) {
		secret, sub := rpDeployment(t, d)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		provider, err := oidc.NewProvider(ctx, d.issuer)
		if err != nil {
			t.Fatal(err)
		}
		conf := oauth2.Config{
			ClientID: "probe", ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: rpCallback,
			Scopes: []string{"openid", "profile", "email", "offline_access"},
		}
		verifier, nonce, state := oauth2.GenerateVerifier(), rand.Text(), rand.Text()
		probe := newPerson(t, "probe@example.org") // by address, as well as by name
		back := probe.signsIn(conf.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce)), rpCallback)
		if back.Query().Get("state") != state || back.Query().Get("iss") != d.issuer {
			t.Fatalf("came back with %s", back)
		}
		tok, err := conf.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		id := verified(t, ctx, provider, tok)
		if id.Subject != sub || id.Nonce != nonce || id.VerifyAccessToken(tok.AccessToken) != nil {
			t.Errorf("ID token says sub %q, nonce %q, at_hash %v", id.Subject, id.Nonce, id.VerifyAccessToken(tok.AccessToken))
		}
		info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tok))
		if err != nil || info.Email != "probe@example.org" || info.Subject != sub {
			t.Errorf("userinfo %+v, %v", info, err)
		}

		renewed, err := conf.TokenSource(ctx, &oauth2.Token{RefreshToken: tok.RefreshToken}).Token()
		if err != nil {
			t.Fatal(err)
		}
		if again := verified(t, ctx, provider, renewed); again.Subject != sub || renewed.RefreshToken == tok.RefreshToken {
			t.Errorf("refreshed to sub %q with a refresh token that is the old one: %t", again.Subject, renewed.RefreshToken == tok.RefreshToken)
		}
	})
}

func verified(t *testing.T, ctx context.Context, p *oidc.Provider, tok *oauth2.Token) *oidc.IDToken {
	t.Helper()
	raw, _ := tok.Extra("id_token").(string)
	id, err := p.VerifierContext(ctx, &oidc.Config{ClientID: "probe"}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestZitadelsRelyingPartySignsAPersonIn(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "sqlite")
	secret, sub := rpDeployment(t, d, "--id-token-alg", "EdDSA")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	party, err := rp.NewRelyingPartyOIDC(ctx, d.issuer, "probe", secret, rpCallback, []string{"openid", "profile", "email", "offline_access"},
		rp.WithVerifierOpts(rp.WithSupportedSigningAlgorithms("EdDSA"), rp.WithIssuedAtMaxAge(time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	verifier := oauth2.GenerateVerifier()
	probe := newPerson(t, "probe")
	back := probe.signsIn(rp.AuthURL("a state of its own", party, rp.WithCodeChallenge(oauth2.S256ChallengeFromVerifier(verifier))), rpCallback)
	tokens, err := rp.CodeExchange[*zoidc.IDTokenClaims](ctx, back.Query().Get("code"), party, rp.WithCodeVerifier(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if tokens.IDTokenClaims.Subject != sub {
		t.Errorf("sub %q, want %q", tokens.IDTokenClaims.Subject, sub)
	}
	info, err := rp.Userinfo[*zoidc.UserInfo](ctx, tokens.AccessToken, tokens.TokenType, sub, party)
	if err != nil || info.Email != "probe@example.org" {
		t.Errorf("userinfo %+v, %v", info, err)
	}
	renewed, err := rp.RefreshTokens[*zoidc.IDTokenClaims](ctx, party, tokens.RefreshToken, "", "")
	if err != nil || renewed.RefreshToken == tokens.RefreshToken {
		t.Errorf("refresh: %v", err)
	}
	bye, err := rp.EndSession(ctx, party, tokens.IDToken, "http://127.0.0.1:9401/bye", "s", "", nil)
	if err != nil {
		t.Fatalf("end session: %v", err)
	}
	_ = bye
}

// openid-client is the library most Node applications use; a program of ours drives it (test/rp/rp.mjs).
func TestOpenIDClientSignsAPersonIn(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "postgres")
	secret, sub := rpDeployment(t, d)
	node := startNode(t)
	node.say(map[string]any{
		"issuer": d.issuer, "client_id": "probe", "client_secret": secret, "redirect_uri": rpCallback,
		"scope": "openid profile email offline_access", "post_logout_redirect_uri": "http://127.0.0.1:9401/bye",
	})
	probe := newPerson(t, "probe")
	authorize := node.hear("authorize")["url"].(string)
	node.say(map[string]any{"callback": probe.signsIn(authorize, rpCallback).String()})
	if claims := node.hear("tokens")["claims"].(map[string]any); claims["sub"] != sub {
		t.Errorf("ID token's sub %v, want %s", claims["sub"], sub)
	}
	if claims := node.hear("userinfo")["claims"].(map[string]any); claims["email"] != "probe@example.org" {
		t.Errorf("userinfo %v", claims)
	}
	node.hear("refresh")
	if answer := node.hear("introspect")["answer"].(map[string]any); answer["active"] != true || answer["sub"] != sub {
		t.Errorf("introspection %v", answer)
	}
	node.hear("revoke")
	if answer := node.hear("introspect-revoked")["answer"].(map[string]any); answer["active"] != false {
		t.Errorf("introspection after revocation %v", answer)
	}
	bye := node.hear("logout")["url"].(string)
	node.hear("done")
	if at, _ := probe.get(bye); !strings.HasPrefix(at, "http://127.0.0.1:9401/bye") {
		t.Errorf("signed out, the browser is at %s", at)
	}
}

// node is the program on openid-client. It speaks JSON, an object a line.
type node struct {
	t     testing.TB
	in    *json.Encoder
	lines *bufio.Scanner
}

func startNode(t *testing.T) *node {
	t.Helper()
	dir, err := filepath.Abs("../../test/rp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "openid-client")); err != nil {
		notRun(t, "openid-client is not installed: run scripts/need")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "node", "rp.mjs")
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return &node{t: t, in: json.NewEncoder(in), lines: bufio.NewScanner(out)}
}

// notRun fails in CI, where nothing may be missing, and says why elsewhere.
func notRun(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func (n *node) say(v any) {
	n.t.Helper()
	if err := n.in.Encode(v); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) hear(step string) map[string]any {
	n.t.Helper()
	if !n.lines.Scan() {
		n.t.Fatalf("the relying party ended before %q: %v", step, n.lines.Err())
	}
	var v map[string]any
	if err := json.Unmarshal(n.lines.Bytes(), &v); err != nil {
		n.t.Fatalf("%v in %q", err, n.lines.Text())
	}
	if v["step"] != step {
		n.t.Fatalf("heard %s, want %q", n.lines.Text(), step)
	}
	return v
}
