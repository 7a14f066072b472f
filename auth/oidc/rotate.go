package oidc

import (
	"context"
	"slices"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

// Turn does what the policy has due: it makes, activates and retires keys. It costs one read when nothing is due. The
// server calls it every minute on every replica; whoever is first does the work.
func (k *Keyring) Turn(ctx context.Context) error {
	var due int
	err := k.c.DB.View(ctx, func(tx *store.Tx) error {
		keys, err := tx.Keys(ctx)
		due = len(k.c.Policy.Plan(keys, tx.Now()))
		return err
	})
	if err != nil {
		return err
	}
	if due == 0 {
		return k.load(ctx)
	}
	return k.turn(ctx, "system", nil, func(*store.Tx) error { return nil })
}

// Rotate makes alg's next key sign now and lets the present one retire in the usual way: everything it signed stays good.
// Where no next key stands published, a fresh one signs at once, and relying parties have to fetch the JWKS again.
func (k *Keyring) Rotate(ctx context.Context, by, alg string) error {
	if !slices.Contains(k.c.Policy.Algs, alg) {
		return auth.ErrNoKey
	}
	return k.turn(ctx, by, []string{alg}, func(tx *store.Tx) error {
		return k.c.Policy.RetireActive(ctx, tx, by, alg)
	})
}

// Revoke takes back all trust in a key: what it signed counts for nothing from now on, here at once and on other replicas
// within a second. If it was the one that signs, a successor signs from the same transaction on.
func (k *Keyring) Revoke(ctx context.Context, by, kid string) error {
	var lost auth.Key
	err := k.c.DB.View(ctx, func(tx *store.Tx) error {
		keys, err := tx.Keys(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(keys, func(key auth.Key) bool { return key.ID == kid })
		if i < 0 {
			return auth.ErrNoKey
		}
		lost = keys[i]
		return nil
	})
	if err != nil {
		return err
	}
	var need []string
	if lost.State == auth.KeyActive && slices.Contains(k.c.Policy.Algs, lost.Alg) {
		need = []string{lost.Alg}
	}
	return k.turn(ctx, by, need, func(tx *store.Tx) error { return auth.RevokeKey(ctx, tx, by, kid) })
}

// turn runs first and then the policy in one transaction, again with more keys as long as the policy misses some. Keys are
// generated outside transactions, because that takes seconds; need names the algorithms first will leave without one.
func (k *Keyring) turn(ctx context.Context, by string, need []string, first func(*store.Tx) error) error {
	var made []auth.Key
	for {
		for _, alg := range need {
			key, err := k.newKey(alg)
			if err != nil {
				return err
			}
			made = append(made, key)
		}
		var missing []string
		err := k.c.DB.Update(ctx, func(tx *store.Tx) (err error) {
			if err := first(tx); err != nil {
				return err
			}
			missing, err = k.c.Policy.Turn(ctx, tx, by, made)
			return err
		})
		if err != nil {
			return err
		}
		if len(missing) == 0 {
			return k.load(ctx)
		}
		need, made, first = missing, nil, func(*store.Tx) error { return nil }
	}
}
