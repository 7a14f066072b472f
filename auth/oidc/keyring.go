package oidc

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// KeyringConfig is what a keyring needs.
type KeyringConfig struct {
	DB       *store.DB
	Policy   auth.KeyPolicy
	Log      *slog.Logger
	Generate func(alg string) (crypto.Signer, error) // nil: GenerateKey
}

// Keyring signs and verifies with the keys of the store. It holds them parsed, with their signers made, and follows the
// store: what this process changes counts here at once, what another changes within a second. Its methods open
// transactions of their own, so none may be called inside one.
type Keyring struct {
	c    KeyringConfig
	set  atomic.Pointer[keySet]
	read sync.Mutex // held while the store is read
	last time.Time  // when it was last read, from the beginning of that; guarded by read
}

const (
	follow = 400 * time.Millisecond // how often the store is asked for changes; twice that is the most by which a replica lags
	pause  = 25 * time.Millisecond  // between two readings, whoever asks for them
)

// ErrNoSigningKey says that nothing can be signed: the keys were never made, or all were revoked.
var ErrNoSigningKey = fault.New(fault.Unavailable, "no-signing-key", "There is no key to sign with.")

// NewKeyring returns a keyring that holds no keys yet: call Start.
func NewKeyring(c KeyringConfig) (*Keyring, error) {
	if c.DB == nil || c.Log == nil {
		return nil, errors.New("keyring: DB and Log are required")
	}
	c.Policy = c.Policy.WithDefaults()
	for _, alg := range c.Policy.Algs {
		if !slices.Contains(algorithms, alg) {
			return nil, fmt.Errorf("keyring: %q is not one of %v", alg, algorithms)
		}
	}
	if c.Generate == nil {
		c.Generate = GenerateKey
	}
	k := &Keyring{c: c}
	k.set.Store(&keySet{})
	return k, nil
}

// GenerateKey makes a private key for alg: RSA of 3072 bits, P-256 or Ed25519.
func GenerateKey(alg string) (crypto.Signer, error) {
	switch alg {
	case "RS256", "PS256":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("no keys for algorithm %q", alg)
}

// Start makes the keys that are missing and reads them all. Replicas that start together make one set.
func (k *Keyring) Start(ctx context.Context) error {
	if err := k.Turn(ctx); err != nil {
		return err
	}
	for _, alg := range k.c.Policy.Algs {
		if k.set.Load().active[alg] == nil {
			return ErrNoSigningKey.Because(fmt.Errorf("no active key for %s", alg))
		}
	}
	return nil
}

// Follow keeps up with the store until ctx ends. A store that does not answer is logged once and asked again.
func (k *Keyring) Follow(ctx context.Context) {
	tick := time.NewTicker(follow)
	defer tick.Stop()
	silent := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := k.load(ctx)
		if err != nil && !silent && ctx.Err() == nil {
			k.c.Log.ErrorContext(ctx, "signing keys are not followed", "err", err)
		}
		silent = err != nil
	}
}

// Sign returns claims as a compact JWS of the given type, signed with the active key of alg.
func (k *Keyring) Sign(alg, typ string, claims any) (string, error) {
	key := k.set.Load().active[alg]
	if key == nil {
		return "", ErrNoSigningKey.Because(fmt.Errorf("no active key for %s", alg))
	}
	signer, ok := key.signers[typ]
	if !ok {
		return "", fmt.Errorf("sign: %q is not a type of ours", typ)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	sig, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", key.ID, err)
	}
	return sig.CompactSerialize()
}

// Purpose says what a token is presented as.
type Purpose struct {
	Typ     string
	Algs    []string
	Retired bool // keys that have left the JWKS will do
}

// The purposes of tokens that come back to us.
var (
	ForAccess = Purpose{Typ: typAccess, Algs: []string{accessAlg}}
	ForHint   = Purpose{Typ: typID, Algs: algorithms, Retired: true} // id_token_hint: an old ID token still names a person
)

// Verify returns the claims of a token that we signed for p, and the key's id. The claims are authentic and nothing
// else: expiry, issuer and audience are the caller's to check.
func (k *Keyring) Verify(ctx context.Context, token string, p Purpose) (claims []byte, kid string, err error) {
	h, err := readHeader(token)
	if err != nil {
		return nil, "", err
	}
	if h.Typ != p.Typ || !slices.Contains(p.Algs, h.Alg) {
		return nil, "", errNotOurs
	}
	key, err := k.find(ctx, h.Kid)
	if err != nil {
		return nil, "", err
	}
	if key.Alg != h.Alg || key.State == auth.KeyRetired && !p.Retired {
		return nil, "", errNotOurs
	}
	claims, err = verifyJWS(token, key.Alg, key.public)
	return claims, key.ID, err
}

// find returns the key named kid. A name we do not know may be that of a key another replica has just made: the store
// is asked, at most some forty times a second however many ask.
func (k *Keyring) find(ctx context.Context, kid string) (*signingKey, error) {
	if key := k.set.Load().keys[kid]; key != nil {
		return key, nil
	}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	if key := k.set.Load().keys[kid]; key != nil {
		return key, nil
	}
	return nil, errNotOurs
}

// Ready reports whether there are keys to sign with.
func (k *Keyring) Ready() bool { return len(k.set.Load().active) > 0 }

// JWKS returns the published key set, encoded, and its entity tag.
func (k *Keyring) JWKS() (body []byte, etag string) {
	s := k.set.Load()
	return s.jwks, s.etag
}

// load reads the keys. Those who come while others read share the next reading, which begins after they came.
func (k *Keyring) load(ctx context.Context) error {
	came := time.Now()
	k.read.Lock()
	defer k.read.Unlock()
	if k.last.After(came) {
		return nil
	}
	time.Sleep(pause - time.Since(k.last))
	began := time.Now()
	var keys []auth.Key
	err := k.c.DB.View(ctx, func(tx *store.Tx) (err error) {
		keys, err = tx.Keys(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	next, err := k.set.Load().with(keys)
	if err != nil {
		return err
	}
	k.last = began
	k.set.Store(next)
	return nil
}

// keySet is the keys as they were read at one moment. It does not change.
type keySet struct {
	keys   map[string]*signingKey // by kid; none that is revoked
	active map[string]*signingKey // by algorithm
	jwks   []byte
	etag   string
}

// signingKey is a key, parsed.
type signingKey struct {
	auth.Key
	public  crypto.PublicKey
	signers map[string]jose.Signer // by type
}

// with returns the set of keys, with what s has parsed already taken over.
func (s *keySet) with(keys []auth.Key) (*keySet, error) {
	next := &keySet{keys: map[string]*signingKey{}, active: map[string]*signingKey{}}
	published := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		if k.State == auth.KeyRevoked {
			continue
		}
		key, err := s.parse(k)
		if err != nil {
			return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
		}
		next.keys[k.ID] = key
		if newest := next.active[k.Alg]; k.State == auth.KeyActive && (newest == nil || newest.ActiveAt.Before(k.ActiveAt)) {
			next.active[k.Alg] = key
		}
		if k.State != auth.KeyRetired {
			published.Keys = append(published.Keys, jose.JSONWebKey{Key: key.public, KeyID: k.ID, Algorithm: k.Alg, Use: "sig"})
		}
	}
	var err error
	if next.jwks, err = json.Marshal(published); err != nil {
		return nil, err
	}
	next.etag = etagOf(next.jwks)
	return next, nil
}

// parse returns k with its key read and its signers made. That is done once for a kid, because a kid's key never changes.
func (s *keySet) parse(k auth.Key) (*signingKey, error) {
	if old := s.keys[k.ID]; old != nil && old.Alg == k.Alg && bytes.Equal(old.Public, k.Public) {
		key := *old
		key.Key = k
		key.Private = nil
		return &key, nil
	}
	public, err := x509.ParsePKIXPublicKey(k.Public)
	if err != nil {
		return nil, fmt.Errorf("parse public key: %w", err)
	}
	if !fits(public, k.Alg) {
		return nil, fmt.Errorf("its key is not one for %s", k.Alg)
	}
	key := &signingKey{Key: k, public: public, signers: map[string]jose.Signer{}}
	key.Private = nil
	if len(k.Private) == 0 {
		return key, nil
	}
	private, err := x509.ParsePKCS8PrivateKey(k.Private)
	if err != nil {
		return nil, fmt.Errorf("parse private key: %w", err)
	}
	for _, typ := range []string{typID, typAccess, typUserinfo} {
		key.signers[typ], err = jose.NewSigner(
			jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.Alg), Key: jose.JSONWebKey{Key: private, KeyID: k.ID}},
			(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
		if err != nil {
			return nil, err
		}
	}
	return key, nil
}

// newKey generates a key for alg, named by that and 128 bits of its thumbprint (RFC 7638): a name never stands for other
// material, and never begins with a dash, which a command line would take for a flag.
func (k *Keyring) newKey(alg string) (auth.Key, error) {
	signer, err := k.c.Generate(alg)
	if err != nil {
		return auth.Key{}, fmt.Errorf("generate key for %s: %w", alg, err)
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return auth.Key{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return auth.Key{}, err
	}
	thumb, err := (&jose.JSONWebKey{Key: signer.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		return auth.Key{}, err
	}
	kid := strings.ToLower(alg) + "-" + base64.RawURLEncoding.EncodeToString(thumb[:16])
	return auth.Key{ID: kid, Alg: alg, Public: public, Private: private}, nil
}
