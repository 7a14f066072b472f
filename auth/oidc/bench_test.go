package oidc

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store/storetest"
)

func benchKeyring(b *testing.B) *Keyring {
	b.Helper()
	k := newTestKeyring(b, storetest.Open(b), GenerateKey)
	if err := k.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	return k
}

func benchToken() auth.AccessToken {
	now := time.Now()
	return auth.AccessToken{
		ID: "01a20622-68e7-7c63-8726-b077ed30f015.0TNfAXpjfEDkdpkijxS6BA", Grant: "01a20622-68e7-7c63-8726-b077ed30f015",
		Client: "ledger", Account: "01a20622-68de-784f-9d21-9906bf6a7e71", Session: "01a20622-68e6-79de-b9aa-677d75507166",
		Scopes: []string{"openid", "profile", "email"}, Audience: []string{testIssuer}, AuthTime: now, ACR: "aal1", AMR: []string{"pwd"},
		IssuedAt: now, Ends: now.Add(5 * time.Minute),
	}
}

func BenchmarkSign(b *testing.B) {
	k := benchKeyring(b)
	p := &Provider{issuer: testIssuer, keys: k}
	claims := p.accessClaims(benchToken())
	for _, alg := range auth.SigningAlgs() {
		b.Run(alg, func(b *testing.B) {
			for b.Loop() {
				if _, err := k.Sign(alg, typID, claims); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	k := benchKeyring(b)
	p := &Provider{issuer: testIssuer, keys: k}
	token, err := p.mintAccess(benchToken(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("access token", func(b *testing.B) {
		for b.Loop() {
			if _, err := p.readAccess(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, alg := range auth.SigningAlgs() {
		token, err := k.Sign(alg, typID, idToken{Issuer: testIssuer, Subject: "x", Audience: audiences{"c"}, Expires: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.Run("hint "+alg, func(b *testing.B) {
			for b.Loop() {
				if _, err := p.readIDToken(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkJWKS(b *testing.B) {
	p := &Provider{issuer: testIssuer, keys: benchKeyring(b), metadata: newMetadata(testIssuer, nil, true)}
	for name, serve := range map[string]func(http.ResponseWriter, *http.Request) error{"jwks": p.jwks, "discovery": p.discovery} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := serve(httptest.NewRecorder(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFollow is what following the store costs a process that has nothing else to do.
func BenchmarkFollow(b *testing.B) {
	k := benchKeyring(b)
	for b.Loop() {
		k.last = time.Time{}
		if err := k.load(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
