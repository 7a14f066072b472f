package auth

import (
	"context"
	"slices"
	"time"

	"github.com/countersign-id/countersign/audit"
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

// WithDefaults returns p with its zero figures filled in.
func (p KeyPolicy) WithDefaults() KeyPolicy {
	if len(p.Algs) == 0 {
		p.Algs = SigningAlgs()
	}
	if p.Life <= 0 {
		p.Life = 90 * 24 * time.Hour
	}
	if p.Publish <= 0 {
		p.Publish = 24 * time.Hour
	}
	if p.Overlap <= 0 {
		p.Overlap = 25 * time.Hour
	}
	return p
}

// Plan returns what is due at now, pure: keys to make, to activate, to retire. A missing active key is made active at once;
// otherwise no key signs before it was published for p.Publish, and the old one signs on until then.
func (p KeyPolicy) Plan(keys []Key, now time.Time) []KeyStep {
	p = p.WithDefaults()
	algs := slices.Clone(p.Algs)
	for _, k := range keys {
		if !slices.Contains(algs, k.Alg) {
			algs = append(algs, k.Alg)
		}
	}
	var steps []KeyStep
	for _, alg := range algs {
		steps = append(steps, p.plan(alg, keys, now)...)
	}
	return steps
}

func (p KeyPolicy) plan(alg string, keys []Key, now time.Time) (steps []KeyStep) {
	move := func(k Key, to KeyState) { steps = append(steps, KeyStep{Key: k, To: to, At: now}) }
	in := map[KeyState][]Key{}
	for _, k := range keys {
		if k.Alg == alg {
			in[k.State] = append(in[k.State], k)
		}
	}
	for _, k := range in[KeyRetiring] {
		if !now.Before(k.GoneAt) {
			move(k, KeyRetired)
		}
	}
	active, next := byTime(in[KeyActive]), byTime(in[KeyNext])
	if !slices.Contains(p.Algs, alg) { // the deployment signs with it no more
		for _, k := range active {
			move(k, KeyRetiring)
		}
		for _, k := range next {
			move(k, KeyRetired)
		}
		return steps
	}

	for len(active) > 1 { // cannot be; the newest signs
		move(active[0], KeyRetiring)
		active = active[1:]
	}
	switch {
	case len(active) == 0 && len(next) == 0:
		steps = append(steps, KeyStep{Make: alg, At: now})
	case len(active) == 0:
		move(next[0], KeyActive)
	case len(next) == 0 && !now.Before(active[0].RetireAt.Add(-p.Publish)):
		steps = append(steps, KeyStep{Make: alg, At: later(active[0].RetireAt, now.Add(p.Publish))})
	case len(next) > 0 && !now.Before(later(active[0].RetireAt, next[0].CreatedAt.Add(p.Publish))):
		move(active[0], KeyRetiring)
		move(next[0], KeyActive)
	}
	return steps
}

// byTime sorts keys by the instant they begin to sign, oldest first.
func byTime(keys []Key) []Key {
	slices.SortStableFunc(keys, func(a, b Key) int { return a.ActiveAt.Compare(b.ActiveAt) })
	return keys
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Turn carries out what is due at the transaction's instant, each step with its event, under the lock of all keys. made holds
// keys generated outside the transaction (ID, Alg, Public, Private) for the algorithms Plan asked for; unused ones are dropped.
// It returns the algorithms for which a key is due and none was made.
func (p KeyPolicy) Turn(ctx context.Context, tx Tx, by string, made []Key) (missing []string, err error) {
	p = p.WithDefaults()
	if err := tx.LockKeys(ctx); err != nil {
		return nil, err
	}
	made = slices.Clone(made)
	for {
		keys, err := tx.Keys(ctx)
		if err != nil {
			return nil, err
		}
		steps := p.Plan(keys, tx.Now())
		done := 0
		missing = nil
		for _, step := range steps {
			if step.Make == "" {
				done++
				if err := p.move(ctx, tx, by, step.Key, step.To); err != nil {
					return nil, err
				}
				continue
			}
			i := slices.IndexFunc(made, func(k Key) bool { return k.Alg == step.Make })
			if i < 0 {
				missing = append(missing, step.Make)
				continue
			}
			done++
			if err := p.begin(ctx, tx, by, made[i], step.At); err != nil {
				return nil, err
			}
			made = slices.Delete(made, i, i+1)
		}
		if done == 0 { // one step can make another due
			return missing, nil
		}
	}
}

// begin keeps a new key: as the active one if it is to sign now, else as the next.
func (p KeyPolicy) begin(ctx context.Context, tx Tx, by string, k Key, at time.Time) error {
	k.State, k.CreatedAt = KeyNext, tx.Now()
	k = p.signing(k, at)
	if !at.After(tx.Now()) {
		k.State = KeyActive
	}
	if err := tx.AddKey(ctx, k); err != nil {
		return err
	}
	if err := recordKey(ctx, tx, audit.KeyCreated, by, k); err != nil || k.State != KeyActive {
		return err
	}
	return recordKey(ctx, tx, audit.KeyActivated, by, k)
}

// signing sets a key's times from the instant it begins to sign.
func (p KeyPolicy) signing(k Key, at time.Time) Key {
	k.ActiveAt = at
	k.RetireAt = at.Add(p.Life)
	k.GoneAt = k.RetireAt.Add(p.Overlap)
	return k
}

// move takes a key to the next state of its life, now.
func (p KeyPolicy) move(ctx context.Context, tx Tx, by string, k Key, to KeyState) error {
	now, from := tx.Now(), k.State
	var kind audit.Kind
	switch to {
	case KeyActive:
		k, kind = p.signing(k, now), audit.KeyActivated
	case KeyRetiring:
		k.RetireAt, k.GoneAt, kind = now, now.Add(p.Overlap), audit.KeyRetired
	case KeyRetired:
		k.EndedAt = now // it stopped signing long ago, with its event; leaving the JWKS changes nothing for anybody
	case KeyRevoked:
		k.EndedAt, k.GoneAt, kind = now, now, audit.KeyRevoked
	}
	k.State = to
	ok, err := tx.UpdateKey(ctx, k, from)
	if err != nil {
		return err
	}
	if !ok {
		return ErrStale
	}
	if kind == "" {
		return nil
	}
	return recordKey(ctx, tx, kind, by, k)
}

func recordKey(ctx context.Context, tx Tx, kind audit.Kind, by string, k Key) error {
	return tx.Record(ctx, audit.Event{
		Kind: kind, Outcome: audit.OK, Actor: by, Subject: "key:" + k.ID,
		Detail: map[string]string{"alg": k.Alg, "state": string(k.State)},
	})
}

// RevokeKey makes a key trusted for nothing from now on. The caller calls Turn after it, so that its algorithm can sign again.
// Revoking a revoked key changes nothing; one that is not there is ErrNoKey.
func RevokeKey(ctx context.Context, tx Tx, by, kid string) error {
	if err := tx.LockKeys(ctx); err != nil {
		return err
	}
	keys, err := tx.Keys(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(k Key) bool { return k.ID == kid })
	switch {
	case i < 0:
		return ErrNoKey
	case keys[i].State == KeyRevoked:
		return nil
	}
	return KeyPolicy{}.move(ctx, tx, by, keys[i], KeyRevoked)
}

// SigningAlgs lists the algorithms we sign with (RFC 7518 §3.1, RFC 8037): each always has one active key.
func SigningAlgs() []string { return []string{"RS256", "ES256", "PS256", "EdDSA"} }
