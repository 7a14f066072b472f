package auth

import (
	"context"
	"time"
)

// KeyState is where a signing key stands in its life.
type KeyState string

// The states of a signing key. A key is published as Next before it signs (longer than relying parties cache the JWKS),
// and stays published as Retiring until the last token it signed has died.
const (
	KeyNext     KeyState = "next"
	KeyActive   KeyState = "active"
	KeyRetiring KeyState = "retiring"
	KeyRetired  KeyState = "retired" // no longer published; still good for reading an old id_token_hint
	KeyRevoked  KeyState = "revoked" // trusted for nothing
)

// Key is a signing key. Private is sealed at rest and empty where only verification is needed.
type Key struct {
	ID        string // kid; never reused
	Alg       string // RS256, PS256, ES256, EdDSA: one key serves one algorithm
	State     KeyState
	Public    []byte // PKIX, DER
	Private   []byte // PKCS #8, DER; sealed by the store
	CreatedAt time.Time
	ActiveAt  time.Time // when it began or is to begin signing
	RetireAt  time.Time // when it stops signing
	GoneAt    time.Time // when it leaves the JWKS
	EndedAt   time.Time // when it was retired or revoked
}

// KeyPolicy says when signing keys turn over.
type KeyPolicy struct {
	Algs    []string      // one active key for each, always
	Life    time.Duration // how long a key signs; default 90 d
	Publish time.Duration // how long it is published before it signs; default 24 h
	Overlap time.Duration // how long it stays published after: longer than any token it signed lives; default 25 h
}

// KeyStep is one thing rotation has to do.
type KeyStep struct {
	Make string   // algorithm: make a key, to be active at At
	Key  Key      // or: this key, as it is
	To   KeyState // goes to this state
	At   time.Time
}

// Turn carries out what is due at the transaction's instant, each step with its event, under the lock of all keys. made holds
// keys generated outside the transaction (ID, Alg, Public, Private) for the algorithms Plan asked for; unused ones are dropped.
// It returns the algorithms for which a key is due and none was made.
func (p KeyPolicy) Turn(ctx context.Context, tx Tx, by string, made []Key) (missing []string, err error) {
	panic("unwritten")
}

// RevokeKey makes a key trusted for nothing from now on. The caller calls Turn after it, so that its algorithm can sign again.
// Revoking a revoked key changes nothing.
func RevokeKey(ctx context.Context, tx Tx, by, kid string) error { panic("unwritten") }

// Plan returns what is due at now, pure: keys to make, to activate, to retire. A missing active key is made active at once.
func (p KeyPolicy) Plan(keys []Key, now time.Time) []KeyStep { panic("unwritten") }
