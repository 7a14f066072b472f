package oidc

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// published reads the JWKS of k as a relying party would.
func published(t testing.TB, k *Keyring) map[string]jose.JSONWebKey {
	t.Helper()
	body, _ := k.JWKS()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatalf("JWKS: %v", err)
	}
	keys := map[string]jose.JSONWebKey{}
	for _, key := range set.Keys {
		if _, twice := keys[key.KeyID]; twice {
			t.Errorf("kid %q is there twice", key.KeyID)
		}
		keys[key.KeyID] = key
	}
	return keys
}

// kidOf reads which key signed token.
func kidOf(t testing.TB, token string) string {
	t.Helper()
	h, err := readHeader(token)
	if err != nil {
		t.Fatal(err)
	}
	return h.Kid
}

func sign(t testing.TB, k *Keyring, alg, typ string) string {
	t.Helper()
	token, err := k.Sign(alg, typ, map[string]any{"sub": "x"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestKeyringStart(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		keys := published(t, e.keys)
		if len(keys) != len(auth.SigningAlgs()) {
			t.Errorf("%d keys are published, want one for each of %v", len(keys), auth.SigningAlgs())
		}
		for _, alg := range auth.SigningAlgs() {
			token := sign(t, e.keys, alg, typID)
			key, ok := keys[kidOf(t, token)]
			if !ok {
				t.Errorf("oidc-T4 %s: the kid of a token is not in the JWKS", alg)
				continue
			}
			// oidc-D8: public only, with alg and use.
			if key.Algorithm != alg || key.Use != "sig" || !key.IsPublic() || !key.Valid() {
				t.Errorf("oidc-D8 %s: published as alg %q use %q public %t", alg, key.Algorithm, key.Use, key.IsPublic())
			}
			if _, err := verifyJWS(token, alg, key.Key); err != nil {
				t.Errorf("%s: a relying party cannot verify what we sign: %v", alg, err)
			}
		}
		for _, kind := range []audit.Kind{audit.KeyCreated, audit.KeyActivated} {
			if n := len(e.eventsOf(kind)); n != len(auth.SigningAlgs()) {
				t.Errorf("%d events %s, want %d", n, kind, len(auth.SigningAlgs()))
			}
		}

		// A second start finds what the first made.
		again := newTestKeyring(t, e.db, func(string) (crypto.Signer, error) { return nil, errors.New("made a key that exists") })
		if err := again.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a, b := published(t, e.keys), published(t, again); !slices.Equal(sortedKids(a), sortedKids(b)) {
			t.Errorf("two processes publish %v and %v", sortedKids(a), sortedKids(b))
		}
	})
}

func sortedKids(keys map[string]jose.JSONWebKey) []string {
	var kids []string
	for kid := range keys {
		kids = append(kids, kid)
	}
	slices.Sort(kids)
	return kids
}

func TestReplicasThatStartTogetherMakeOneSet(t *testing.T) {
	t.Parallel()
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			shared := testKeys()
			var mu sync.Mutex
			var rings []*Keyring
			var wg sync.WaitGroup
			for range 6 {
				k := newTestKeyring(t, db, func(alg string) (crypto.Signer, error) { mu.Lock(); defer mu.Unlock(); return shared(alg) })
				rings = append(rings, k)
				wg.Go(func() {
					if err := k.Start(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			want := sortedKids(published(t, rings[0]))
			if len(want) != len(auth.SigningAlgs()) {
				t.Errorf("got %d keys, want one for each algorithm", len(want))
			}
			for _, k := range rings {
				if got := sortedKids(published(t, k)); !slices.Equal(got, want) {
					t.Errorf("replicas differ: %v and %v", got, want)
				}
			}
		})
	}
}

// sec-F13, oidc-T7: a key is published before it signs, and stays until what it signed has died.
func TestSecF13OidcT7KeysTurnOver(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		ctx, policy := t.Context(), testPolicy()
		turn := func(d time.Duration) {
			t.Helper()
			e.clock.Add(d)
			if err := e.keys.Turn(ctx); err != nil {
				t.Fatal(err)
			}
		}
		old := sign(t, e.keys, "RS256", typID)
		oldKid := kidOf(t, old)

		turn(policy.Life - policy.Publish)
		keys := published(t, e.keys)
		if len(keys) != 2*len(policy.Algs) {
			t.Fatalf("%d keys are published a day ahead, want present and next of each", len(keys))
		}
		if kid := kidOf(t, sign(t, e.keys, "RS256", typID)); kid != oldKid {
			t.Errorf("the next key signs before its time")
		}

		turn(policy.Publish)
		fresh := sign(t, e.keys, "RS256", typID)
		if kid := kidOf(t, fresh); kid == oldKid {
			t.Error("the old key signs after its time")
		} else if _, ok := keys[kid]; !ok {
			t.Error("a key signs that was not published before")
		}
		if _, ok := published(t, e.keys)[oldKid]; !ok {
			t.Error("oidc-T7 the old key left the JWKS while its tokens live")
		}
		for _, token := range []string{old, fresh} {
			if _, _, err := e.keys.Verify(ctx, token, ForHint); err != nil {
				t.Errorf("a token signed before or after the turn: %v", err)
			}
		}

		turn(policy.Overlap)
		if _, ok := published(t, e.keys)[oldKid]; ok {
			t.Error("the old key is still published after its overlap")
		}
		if _, _, err := e.keys.Verify(ctx, old, ForHint); err != nil {
			t.Errorf("fosite-15 an old ID token is no hint any more: %v", err)
		}
	})
}

// sec-P27: a retired key verifies hints and nothing else, a revoked one nothing.
func TestSecP27RetiredAndRevokedKeys(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		ctx, policy := t.Context(), testPolicy()
		access, hint := sign(t, e.keys, accessAlg, typAccess), sign(t, e.keys, "ES256", typID)
		if err := e.keys.Rotate(ctx, "local:test", "ES256"); err != nil {
			t.Fatal(err)
		}
		if kidOf(t, sign(t, e.keys, "ES256", typID)) == kidOf(t, hint) {
			t.Error("the rotated key still signs")
		}
		if _, _, err := e.keys.Verify(ctx, access, ForAccess); err != nil {
			t.Errorf("rotation ended a token: %v", err)
		}
		e.clock.Add(policy.Overlap)
		if err := e.keys.Turn(ctx); err != nil {
			t.Fatal(err)
		}
		if _, _, err := e.keys.Verify(ctx, access, ForAccess); !errors.Is(err, errNotOurs) {
			t.Errorf("sec-P27 a retired key opens: %v", err)
		}
		if _, _, err := e.keys.Verify(ctx, hint, ForHint); err != nil {
			t.Errorf("a retired key's hint: %v", err)
		}

		if err := e.keys.Revoke(ctx, "local:test", kidOf(t, hint)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := e.keys.Verify(ctx, hint, ForHint); !errors.Is(err, errNotOurs) {
			t.Errorf("sec-P27 a revoked key's hint: %v, want refused", err)
		}
		if err := e.keys.Revoke(ctx, "local:test", "no such key"); !errors.Is(err, auth.ErrNoKey) {
			t.Errorf("revoke a key that is not there: %v, want no-such-key", err)
		}
	})
}

func TestRevokingTheActiveKey(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		ctx := t.Context()
		other := newTestKeyring(t, e.db, nil)
		if err := other.Start(ctx); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		go other.Follow(ctx)

		stolen := sign(t, e.keys, accessAlg, typAccess)
		if err := e.keys.Revoke(ctx, "local:test", kidOf(t, stolen)); err != nil {
			t.Fatal(err)
		}
		// Here at once: refused, gone from the JWKS, and a successor signs.
		if _, _, err := e.keys.Verify(ctx, stolen, ForAccess); !errors.Is(err, errNotOurs) {
			t.Errorf("here: %v, want refused at once", err)
		}
		if _, ok := published(t, e.keys)[kidOf(t, stolen)]; ok {
			t.Error("the revoked key is still published")
		}
		fresh := sign(t, e.keys, accessAlg, typAccess)
		// Another replica knows a new key as soon as it meets it, and forgets the stolen one within a second.
		if _, _, err := other.Verify(ctx, fresh, ForAccess); err != nil {
			t.Errorf("another replica refuses the successor: %v", err)
		}
		deadline := time.Now().Add(3 * time.Second) // 1 s is the promise; the rest is for a busy machine
		for {
			_, _, err := other.Verify(ctx, stolen, ForAccess)
			if errors.Is(err, errNotOurs) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("another replica still trusts a revoked key after three seconds")
			}
			time.Sleep(20 * time.Millisecond)
		}
		revoked := e.eventsOf(audit.KeyRevoked)
		if len(revoked) != 1 || revoked[0].Actor != "local:test" || revoked[0].Subject != "key:"+kidOf(t, stolen) {
			t.Errorf("got events %+v, want one key.revoked by local:test", revoked)
		}
	})
}

// sec-F13: while keys turn over, relying parties that keep the JWKS verify every token.
func TestSecF13RotationUnderLoad(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, e *ends) {
		ctx := t.Context()
		policy := testPolicy()
		e.clock.Add(policy.Life - policy.Publish)
		if err := e.keys.Turn(ctx); err != nil {
			t.Fatal(err)
		}
		cached := published(t, e.keys) // what a relying party holds from now on

		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					token, err := e.keys.Sign("ES256", typID, map[string]any{"sub": "x"})
					if err != nil {
						t.Errorf("sign during rotation: %v", err)
						return
					}
					key, ok := cached[kidOf(t, token)]
					if !ok {
						t.Error("a token is signed by a key that was not published before")
						return
					}
					if _, err := verifyJWS(token, "ES256", key.Key); err != nil {
						t.Errorf("verify during rotation: %v", err)
						return
					}
				}
			})
		}
		e.clock.Add(policy.Publish)
		if err := e.keys.Turn(ctx); err != nil {
			t.Error(err)
		}
		time.Sleep(50 * time.Millisecond)
		close(stop)
		wg.Wait()
	})
}

// sec-D07: private keys are sealed at rest.
func TestOidcD8PrivateKeysAreNotPublished(t *testing.T) {
	t.Parallel()
	e := newEnds(t, databases["sqlite"](t), newClock())
	body, _ := e.keys.JWKS()
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	for _, key := range set.Keys {
		for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, ok := key[member]; ok {
				t.Errorf("oidc-D8 the JWKS holds the private member %q", member)
			}
		}
	}
	for _, key := range e.keys.set.Load().keys {
		if len(key.Private) > 0 {
			t.Error("the keyring keeps private keys encoded beside its signers")
		}
	}
}

// sec-D07: what lies in the database's files holds no private key in clear.
func TestSecD07PrivateKeysAreSealedAtRest(t *testing.T) {
	t.Parallel()
	cfg := storetest.SQLite(t)
	db, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	k := newTestKeyring(t, db, nil)
	if err := k.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var keys []auth.Key
	if err := db.View(t.Context(), func(tx *store.Tx) (err error) { keys, err = tx.Keys(t.Context()); return err }); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(cfg.Database, "sqlite:")
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if !bytes.Contains(raw, key.Public) {
				t.Errorf("%s: the public key is not there, so this test looks in the wrong place", key.Alg)
			}
			if bytes.Contains(raw, secretPart(t, key.Private)) {
				t.Errorf("sec-D07 %s: the private key lies in %s in clear", key.Alg, filepath.Base(file))
			}
		}
	}
}

// secretPart returns bytes of a private key that are not its public half's too.
func secretPart(t *testing.T, der []byte) []byte {
	t.Helper()
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return der[len(der)-24:]
	}
	scalar, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return scalar
}

func TestKeyringRefusesUnfitKeys(t *testing.T) {
	t.Parallel()
	db := databases["sqlite"](t)
	if _, err := NewKeyring(KeyringConfig{DB: db, Log: slog.New(slog.DiscardHandler), Policy: auth.KeyPolicy{Algs: []string{"HS256"}}}); err == nil {
		t.Error("a keyring for HS256 was made")
	}
	k := newTestKeyring(t, db, func(string) (crypto.Signer, error) { return GenerateKey("EdDSA") })
	if err := k.Start(t.Context()); err == nil {
		t.Error("an Ed25519 key was taken for RS256")
	}
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("short: makes an RSA key of 3072 bits")
	}
	for _, alg := range auth.SigningAlgs() {
		key, err := GenerateKey(alg)
		if err != nil || !fits(key.Public(), alg) {
			t.Errorf("%s: %T, %v", alg, key, err)
		}
		if k, ok := key.(*rsa.PrivateKey); ok && k.N.BitLen() != 3072 {
			t.Errorf("%s: RSA of %d bits, want 3072", alg, k.N.BitLen())
		}
	}
}

// Replicas lag by less than a second: twice the interval at which they ask, and a reading.
func TestFollowKeepsItsPromise(t *testing.T) {
	t.Parallel()
	if 2*follow+pause >= time.Second {
		t.Errorf("keys are followed every %v, which is too seldom for a second", follow)
	}
}

func TestKeyringFailsClosed(t *testing.T) {
	t.Parallel()
	db := databases["sqlite"](t)
	k := newTestKeyring(t, db, nil)
	if _, err := k.Sign("ES256", typID, 1); !errors.Is(err, ErrNoSigningKey) {
		t.Errorf("sign without keys: %v, want no-signing-key", err)
	}
	e := newEnds(t, databases["sqlite"](t), newClock())
	if _, err := e.keys.Sign("ES256", "secevent+jwt", 1); err == nil {
		t.Error("signed a type that nobody declared")
	}
	// I6: a store that does not answer refuses, as an error of ours and not of the token's.
	token := sign(t, k2(t), accessAlg, typAccess)
	if err := e.db.Close(); err != nil {
		t.Fatal(err)
	}
	e.keys.last = time.Time{}
	_, _, err := e.keys.Verify(t.Context(), token, ForAccess)
	if err == nil || errors.Is(err, errNotOurs) {
		t.Errorf("verify without a store: %v, want a fault of ours", err)
	}
}

func k2(t *testing.T) *Keyring {
	k := newTestKeyring(t, databases["sqlite"](t), nil)
	if err := k.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}
