package oidc

import (
	"context"
	"fmt"
	"slices"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

// Turn does what the policy has due: it makes, activates and retires keys. It costs one read when nothing is due. The
// server calls it every minute on every replica; whoever is first does the work.
func (k *Keyring) Turn(ctx context.Context) error {
	made := map[string]auth.Key{} // by algorithm; generated outside transactions, because that takes seconds
	for {
		var plan []auth.KeyStep
		err := k.c.DB.View(ctx, func(tx *store.Tx) (err error) {
			plan, err = k.plan(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
		if len(plan) == 0 {
			return k.load(ctx, 0)
		}
		for _, step := range plan {
			if _, ok := made[step.Make]; ok || step.Make == "" {
				continue
			}
			if made[step.Make], err = k.newKey(step.Make); err != nil {
				return err
			}
		}
		var used []string
		err = k.c.DB.Update(ctx, func(tx *store.Tx) (err error) {
			used, err = k.apply(ctx, tx, made)
			return err
		})
		if err != nil {
			return err
		}
		for _, alg := range used {
			delete(made, alg)
		}
	}
}

func (k *Keyring) plan(ctx context.Context, tx auth.Tx) ([]auth.KeyStep, error) {
	keys, err := tx.Keys(ctx)
	if err != nil {
		return nil, err
	}
	return k.c.Policy.Plan(keys, tx.Now()), nil
}

// apply does the steps that are due once the lock is held, and returns the algorithms whose made key it used. A step that
// needs a key nobody made is left for the next round.
func (k *Keyring) apply(ctx context.Context, tx auth.Tx, made map[string]auth.Key) (used []string, err error) {
	if err := tx.LockKeys(ctx); err != nil {
		return nil, err
	}
	plan, err := k.plan(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, step := range plan {
		if step.Make == "" {
			if _, _, err := k.c.Policy.MoveKey(ctx, tx, "system", step.Key, step.To); err != nil {
				return nil, err
			}
			continue
		}
		key, ok := made[step.Make]
		if !ok || slices.Contains(used, step.Make) {
			continue
		}
		used = append(used, step.Make)
		key.CreatedAt, key.State, key.ActiveAt = tx.Now(), auth.KeyNext, step.At
		if !step.At.After(tx.Now()) {
			key.State = auth.KeyActive
		}
		key.RetireAt = key.ActiveAt.Add(k.c.Policy.Life)
		if err := auth.AddKey(ctx, tx, "system", key); err != nil {
			return nil, err
		}
	}
	return used, nil
}

// Rotate makes alg's next key sign now and lets the present one retire in the usual way: everything it signed stays good.
// It returns the id of the key that signs. Where no next key stands published, a fresh one signs at once, and relying
// parties have to fetch the JWKS again to know it.
func (k *Keyring) Rotate(ctx context.Context, by, alg string) (kid string, err error) {
	if !slices.Contains(k.c.Policy.Algs, alg) {
		return "", auth.ErrNoKey.Because(fmt.Errorf("no keys are kept for %q", alg))
	}
	fresh, err := k.newKey(alg)
	if err != nil {
		return "", err
	}
	err = k.c.DB.Update(ctx, func(tx *store.Tx) error {
		keys, err := lockedKeys(ctx, tx)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if key.Alg != alg || key.State != auth.KeyActive {
				continue
			}
			if _, _, err := k.c.Policy.MoveKey(ctx, tx, by, key, auth.KeyRetiring); err != nil {
				return err
			}
		}
		kid, err = k.succeed(ctx, tx, by, keys, fresh)
		return err
	})
	if err != nil {
		return "", err
	}
	return kid, k.Turn(ctx)
}

// Revoke takes back all trust in a key: what it signed counts for nothing from now on, here at once and on other replicas
// within a second. If it was the one that signs, a successor signs in the same transaction.
func (k *Keyring) Revoke(ctx context.Context, by, kid string) error {
	var alg string
	err := k.c.DB.View(ctx, func(tx *store.Tx) error {
		keys, err := tx.Keys(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(keys, func(key auth.Key) bool { return key.ID == kid && key.State != auth.KeyRevoked })
		if i < 0 {
			return auth.ErrNoKey
		}
		alg = keys[i].Alg
		return nil
	})
	if err != nil {
		return err
	}
	fresh, err := k.newKey(alg)
	if err != nil {
		return err
	}
	err = k.c.DB.Update(ctx, func(tx *store.Tx) error {
		keys, err := lockedKeys(ctx, tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(keys, func(key auth.Key) bool { return key.ID == kid && key.State != auth.KeyRevoked })
		if i < 0 {
			return auth.ErrNoKey
		}
		lost := keys[i]
		if _, _, err := k.c.Policy.MoveKey(ctx, tx, by, lost, auth.KeyRevoked); err != nil {
			return err
		}
		if lost.State != auth.KeyActive || !slices.Contains(k.c.Policy.Algs, alg) {
			return nil
		}
		_, err = k.succeed(ctx, tx, by, slices.Delete(keys, i, i+1), fresh)
		return err
	})
	if err != nil {
		return err
	}
	return k.Turn(ctx)
}

func lockedKeys(ctx context.Context, tx auth.Tx) ([]auth.Key, error) {
	if err := tx.LockKeys(ctx); err != nil {
		return nil, err
	}
	return tx.Keys(ctx)
}

// succeed makes the next key of fresh's algorithm active, which relying parties know already, or else fresh.
func (k *Keyring) succeed(ctx context.Context, tx auth.Tx, by string, keys []auth.Key, fresh auth.Key) (kid string, err error) {
	i := slices.IndexFunc(keys, func(key auth.Key) bool { return key.Alg == fresh.Alg && key.State == auth.KeyNext })
	if i >= 0 {
		_, _, err := k.c.Policy.MoveKey(ctx, tx, by, keys[i], auth.KeyActive)
		return keys[i].ID, err
	}
	fresh.State, fresh.CreatedAt, fresh.ActiveAt = auth.KeyActive, tx.Now(), tx.Now()
	fresh.RetireAt = fresh.ActiveAt.Add(k.c.Policy.Life)
	return fresh.ID, auth.AddKey(ctx, tx, by, fresh)
}
