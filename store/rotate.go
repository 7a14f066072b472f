package store

import (
	"context"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// Rewrap seals the data keyset by the current master key, so that the older ones can be taken out of the configuration of every process.
// It reports whether it had to. All of it is one row, so nothing can be left half done.
func (db *DB) Rewrap(ctx context.Context) (bool, error) {
	var did bool
	err := db.Update(ctx, func(tx *Tx) error {
		did = false
		r, err := tx.lockKeyset(ctx)
		if err != nil || r.KEK == db.seal.keks[0].name {
			return err
		}
		data, err := db.seal.open(r)
		if err != nil {
			return err
		}
		did = true
		return tx.putKeyset(ctx, data.handle, r.Version+1)
	})
	return did, err
}

// RotateDataKey adds a new data key, which seals from now on. What older ones sealed is still read; Reseal moves it over.
func (db *DB) RotateDataKey(ctx context.Context) error {
	return db.Update(ctx, func(tx *Tx) error {
		r, err := tx.lockKeyset(ctx)
		if err != nil {
			return err
		}
		data, err := db.seal.open(r)
		if err != nil {
			return err
		}
		m := keyset.NewManagerFromHandle(data.handle)
		id, err := m.Add(aead.XAES256GCM192BitNonceKeyTemplate())
		if err != nil {
			return err
		}
		if err := m.SetPrimary(id); err != nil {
			return err
		}
		h, err := m.Handle()
		if err != nil {
			return err
		}
		return tx.putKeyset(ctx, h, r.Version+1)
	})
}

// Reseal seals up to max values again that an older data key sealed, in one transaction, and returns how many. When none is left it drops
// the older keys and returns 0. It may be stopped and started again at any time, anywhere.
func (db *DB) Reseal(ctx context.Context, max int) (int, error) {
	var n int
	err := db.Update(ctx, func(tx *Tx) error {
		n = 0
		r, err := tx.lockKeyset(ctx)
		if err != nil {
			return err
		}
		data, err := db.seal.open(r)
		if err != nil {
			return err
		}
		for _, c := range sealedColumns {
			done, err := tx.reseal(ctx, c, data, max-n)
			if err != nil {
				return err
			}
			if n += done; n >= max {
				return nil
			}
		}
		if n > 0 || len(data.known) == 1 {
			return nil
		}
		return tx.dropOldKeys(ctx, data)
	})
	return n, err
}

func (tx *Tx) reseal(ctx context.Context, c sealedColumn, data *dataKeys, max int) (int, error) {
	type row struct {
		ID     string
		Sealed []byte
	}
	var rows []row
	err := tx.on(ctx).Raw(fmt.Sprintf("SELECT %s AS id, sealed FROM %s WHERE sealed_by <> ? ORDER BY %[1]s LIMIT ?", c.id, c.table),
		int64(data.primary), max).Scan(&rows).Error
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		value, err := data.aead.Decrypt(r.Sealed, c.at(r.ID))
		if err != nil {
			return 0, errSealBroken.Because(fmt.Errorf("%s: %w", c.at(r.ID), err))
		}
		sealed, err := data.aead.Encrypt(value, c.at(r.ID))
		if err != nil {
			return 0, err
		}
		// Whoever wrote the row meanwhile sealed it anew; theirs stays.
		if _, err := tx.exec(ctx, fmt.Sprintf("UPDATE %s SET sealed = ?, sealed_by = ? WHERE %s = ? AND sealed = ?", c.table, c.id),
			sealed, int64(data.primary), r.ID, r.Sealed); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

func (tx *Tx) dropOldKeys(ctx context.Context, data *dataKeys) error {
	m := keyset.NewManagerFromHandle(data.handle)
	for id := range data.known {
		if id == data.primary {
			continue
		}
		if err := m.Delete(id); err != nil {
			return err
		}
	}
	h, err := m.Handle()
	if err != nil {
		return err
	}
	return tx.putKeyset(ctx, h, data.version+1)
}

// lockKeyset reads the keyset and holds off everybody who is sealing or rotating.
func (tx *Tx) lockKeyset(ctx context.Context) (keysetRow, error) {
	if lock := tx.store.dialect.lock(); lock != "" {
		if _, err := tx.texts(ctx, "SELECT name FROM keysets WHERE name = ?"+lock, keysetName); err != nil {
			return keysetRow{}, err
		}
	}
	return take[keysetRow](ctx, tx, "name = ?", keysetName)
}

func (tx *Tx) putKeyset(ctx context.Context, h *keyset.Handle, version int64) error {
	current := tx.store.seal.keks[0]
	sealed, err := current.wrap(h)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, "UPDATE keysets SET kek = ?, sealed = ?, version = ?, updated_at = ? WHERE name = ?",
		current.name, sealed, version, stamp(tx.now), keysetName)
	return err
}
