package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"

	"github.com/countersign-id/countersign/auth"
)

// Bounds of the clients' key sets (I8, I22, I30).
const (
	setFresh  = 5 * time.Minute // a key the client took out of its set counts this long at most
	setUsable = time.Hour       // and this long where its server does not answer
	setPause  = time.Minute     // between two fetches for one client, whatever is asked for (oidc-T5)
	maxSets   = 1000
	maxKeys   = 50 // of one client
)

var errNoClientKey = errors.New("client has no such key")

var jwksTypes = []string{"application/jwk-set+json", "application/json"}

// clientKeys finds the public keys of clients: those they registered, or those at their jwks_uri, which are fetched
// through the guarded client and kept for a while.
type clientKeys struct {
	get func(ctx context.Context, url string, accept ...string) ([]byte, error)
	now func() time.Time

	flight singleflight.Group
	mu     sync.Mutex
	sets   map[string]fetchedSet // by client and address
}

// fetchedSet is what came of the last fetches for one client.
type fetchedSet struct {
	keys    []jose.JSONWebKey
	fetched time.Time // when keys were got; zero: never
	tried   time.Time
	err     error // of the last try
}

func newClientKeys(get func(ctx context.Context, url string, accept ...string) ([]byte, error)) *clientKeys {
	return &clientKeys{get: get, now: time.Now, sets: map[string]fetchedSet{}}
}

// find returns the keys with which c may have signed under that header. Where the header names no key, only one may be
// meant (OpenID Connect Core §10.1).
func (k *clientKeys) find(ctx context.Context, c auth.Client, kid, alg string) ([]jose.JSONWebKey, error) {
	if c.JWKSURI == "" {
		return pick(parseSet(c.JWKS), kid, alg)
	}
	name := string(c.ID) + " " + c.JWKSURI
	k.mu.Lock()
	set := k.sets[name]
	k.mu.Unlock()

	now := k.now()
	keys, err := pick(set.keys, kid, alg)
	paused := now.Sub(set.tried) < setPause
	switch {
	case err == nil && now.Sub(set.fetched) < setFresh:
		return keys, nil
	case paused && err == nil && now.Sub(set.fetched) < setUsable:
		return keys, nil
	case paused && set.err != nil:
		return nil, set.err
	case paused:
		return nil, errNoClientKey
	}
	set = k.fetch(ctx, name, c.JWKSURI, set)
	if set.fetched.IsZero() || now.Sub(set.fetched) >= setUsable {
		return nil, set.err
	}
	return pick(set.keys, kid, alg)
}

// fetch gets the set anew, once for all who wait for it. What was there before stays if that fails.
func (k *clientKeys) fetch(ctx context.Context, name, url string, old fetchedSet) fetchedSet {
	got, _, _ := k.flight.Do(name, func() (any, error) {
		set := old
		set.tried = k.now()
		// Not with the caller's context: whoever hangs up must not take the others' answer away.
		var body []byte
		body, set.err = k.get(context.WithoutCancel(ctx), url, jwksTypes...)
		if set.err == nil {
			set.keys, set.fetched = parseSet(body), set.tried
		}
		k.keep(name, set)
		return set, nil
	})
	return got.(fetchedSet)
}

func (k *clientKeys) keep(name string, set fetchedSet) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.sets[name]; !ok && len(k.sets) >= maxSets {
		oldest := ""
		for n, s := range k.sets {
			if oldest == "" || s.tried.Before(k.sets[oldest].tried) {
				oldest = n
			}
		}
		delete(k.sets, oldest)
	}
	k.sets[name] = set
}

// parseSet reads the keys of a JSON Web Key Set that we can use: public, asymmetric, for signing. Others are left out, so that
// one exotic key does not shut the client out.
func parseSet(raw []byte) []jose.JSONWebKey {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(raw, &set) != nil {
		return nil
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || !key.Valid() || !key.IsPublic() || key.Use == "enc" {
			continue
		}
		keys = append(keys, key)
	}
	return keys
}

// pick returns the keys named kid that alg is for.
func pick(keys []jose.JSONWebKey, kid, alg string) ([]jose.JSONWebKey, error) {
	var fit []jose.JSONWebKey
	for _, key := range keys {
		if (kid == "" || key.KeyID == kid) && (key.Algorithm == "" || key.Algorithm == alg) && fits(key.Key, alg) {
			fit = append(fit, key)
		}
	}
	switch {
	case len(fit) == 0:
		return nil, errNoClientKey
	case kid == "" && len(fit) > 1:
		return nil, errors.New("assertion does not say which of several keys signed it")
	case len(fit) > 4:
		return nil, errors.New("client has too many keys of one name")
	}
	return fit, nil
}
