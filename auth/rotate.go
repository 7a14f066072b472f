package auth

import (
	"context"

	"github.com/countersign-id/countersign/internal/fault"
)

// ErrNoKey says that there is no such signing key, or none any more.
var ErrNoKey = fault.New(fault.NotFound, "no-such-key", "There is no such signing key.")

// RetireActive ends the signing of alg's active key now, whatever is left of its life; what it signed stays good for the
// overlap. The caller calls Turn after it, in the same transaction, so that a successor signs. ErrNoKey if none is active.
func (p KeyPolicy) RetireActive(ctx context.Context, tx Tx, by, alg string) error {
	if err := tx.LockKeys(ctx); err != nil {
		return err
	}
	keys, err := tx.Keys(ctx)
	if err != nil {
		return err
	}
	found := false
	for _, k := range keys {
		if k.Alg != alg || k.State != KeyActive {
			continue
		}
		found = true
		if err := p.WithDefaults().move(ctx, tx, by, k, KeyRetiring); err != nil {
			return err
		}
	}
	if !found {
		return ErrNoKey
	}
	return nil
}
