package store

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
	"gorm.io/gorm"

	"github.com/countersign-id/countersign/internal/fault"
)

// Some columns are sealed: who reads the database without the master key learns nothing from them, and who writes to it cannot move a
// sealed value elsewhere, because each is bound to its table, column and row.
//
// A data keyset seals them (XAES-256-GCM) and lies in the database itself, sealed by the master key. So a new master key re-seals one
// row (Rewrap), and a new data key re-seals the columns in batches (RotateDataKey, Reseal) while everything runs.

// sealedColumn is a table whose column "sealed" is sealed, and the column that names its rows.
type sealedColumn struct{ table, id string }

var (
	passwordColumn = sealedColumn{"passwords", "account_id"}
	keyColumn      = sealedColumn{"keys", "id"}
	secretColumn   = sealedColumn{"secrets", "name"}

	sealedColumns = []sealedColumn{passwordColumn, keyColumn, secretColumn, passkeyColumn, totpColumn, ceremonyColumn}
)

// at is what a value is bound to.
func (c sealedColumn) at(row string) []byte { return []byte(c.table + "|sealed|" + row) }

const keysetName = "data"

var keysetBinding = []byte("keysets|sealed|" + keysetName)

type keysetRow struct {
	Name    string `gorm:"primaryKey"`
	KEK     string
	Sealed  []byte
	Version int64
	Updated micros `gorm:"column:updated_at"`
}

func (keysetRow) TableName() string { return "keysets" }

var errSealBroken = fault.New(fault.Internal, "seal-broken", "A sealed value was changed or moved. Nothing was done with it.")

// kek is a key made from a master key; its name tells nothing of it.
type kek struct {
	name string
	aead tink.AEAD
}

func kekOf(master []byte) (kek, error) {
	if len(master) != 32 {
		return kek{}, errMasterKey.Saying("A master key has 32 bytes. Make one with countersign keygen.")
	}
	key, err := hkdf.Key(sha256.New, master, nil, "countersign data keyset 1", 32)
	if err != nil {
		return kek{}, err
	}
	name, err := hkdf.Key(sha256.New, master, nil, "countersign master key name 1", 8)
	if err != nil {
		return kek{}, err
	}
	seal, err := subtle.NewAESGCM(key)
	return kek{hex.EncodeToString(name), seal}, err
}

// dataKeys is the data keyset at one version.
type dataKeys struct {
	version int64
	handle  *keyset.Handle
	aead    tink.AEAD
	primary uint32
	known   map[uint32]bool
}

func dataKeysOf(h *keyset.Handle, version int64) (*dataKeys, error) {
	seal, err := aead.New(h)
	if err != nil {
		return nil, err
	}
	info := h.KeysetInfo()
	k := &dataKeys{version: version, handle: h, aead: seal, primary: info.GetPrimaryKeyId(), known: map[uint32]bool{}}
	for _, i := range info.GetKeyInfo() {
		k.known[i.GetKeyId()] = true
	}
	return k, nil
}

// sealer holds the master keys and the data keyset as this process last read it.
type sealer struct {
	keks []kek // the current one first
	mu   sync.RWMutex
	data *dataKeys
}

func (s *sealer) keys() *dataKeys {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.data
}

func (s *sealer) open(r keysetRow) (*dataKeys, error) {
	for _, k := range s.keks {
		if k.name != r.KEK {
			continue
		}
		h, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(r.Sealed)), k.aead, keysetBinding)
		if err != nil {
			return nil, errSealBroken.Because(err)
		}
		return dataKeysOf(h, r.Version)
	}
	return nil, errMasterKey
}

func (k kek) wrap(h *keyset.Handle) ([]byte, error) {
	var b bytes.Buffer
	err := h.WriteWithAssociatedData(keyset.NewBinaryWriter(&b), k.aead, keysetBinding)
	return b.Bytes(), err
}

// openSealer reads the data keyset, or makes it where there is none yet.
func openSealer(ctx context.Context, db *DB, masters [][]byte) (*sealer, error) {
	if len(masters) == 0 {
		return nil, errMasterKey.Saying("A master key is needed. Make one with countersign keygen.")
	}
	s := &sealer{}
	for _, m := range masters {
		k, err := kekOf(m)
		if err != nil {
			return nil, err
		}
		s.keks = append(s.keks, k)
	}
	err := db.View(ctx, func(tx *Tx) error { return s.load(ctx, tx) })
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = db.Update(ctx, func(tx *Tx) error { return s.make(ctx, tx) })
	}
	return s, err
}

func (s *sealer) load(ctx context.Context, tx *Tx) error {
	r, err := take[keysetRow](ctx, tx, "name = ?", keysetName)
	if err != nil {
		return err
	}
	data, err := s.open(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = data
	return nil
}

// make makes the data keyset, unless another process was first.
func (s *sealer) make(ctx context.Context, tx *Tx) error {
	h, err := keyset.NewHandle(aead.XAES256GCM192BitNonceKeyTemplate())
	if err != nil {
		return err
	}
	sealed, err := s.keks[0].wrap(h)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, "INSERT INTO keysets (name, kek, sealed, version, updated_at) VALUES (?, ?, ?, 1, ?) ON CONFLICT DO NOTHING",
		keysetName, s.keks[0].name, sealed, stamp(tx.now))
	if err != nil {
		return err
	}
	return s.load(ctx, tx)
}

// sealed seals a value for its place and names the key that did. It holds the keyset as it is until the transaction ends, so that no key
// is dropped that is just being used.
func (tx *Tx) sealed(ctx context.Context, value, place []byte) (sealed []byte, by int64, err error) {
	s := tx.store.seal
	share := ""
	if tx.store.dialect == postgres {
		share = " FOR SHARE"
	}
	version, err := tx.number(ctx, "SELECT version FROM keysets WHERE name = ?"+share, keysetName)
	if err != nil {
		return nil, 0, err
	}
	if int64(version) != s.keys().version {
		if err := s.load(ctx, tx); err != nil {
			return nil, 0, err
		}
	}
	data := s.keys()
	sealed, err = data.aead.Encrypt(value, place)
	return sealed, int64(data.primary), err
}

// unseal opens a value. A key this process does not know yet is looked for once: another one may have rotated.
func (tx *Tx) unseal(ctx context.Context, sealed, place []byte) ([]byte, error) {
	s := tx.store.seal
	if by, ok := sealedBy(sealed); ok && !s.keys().known[by] {
		if err := s.load(ctx, tx); err != nil {
			return nil, err
		}
	}
	value, err := s.keys().aead.Decrypt(sealed, place)
	if err != nil {
		return nil, errSealBroken.Because(fmt.Errorf("%s: %w", place, err))
	}
	return value, nil
}

// sealedBy reads the key's identifier from a ciphertext: tink puts a byte of version and four of identifier before it.
func sealedBy(sealed []byte) (uint32, bool) {
	if len(sealed) < 5 || sealed[0] != 1 {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:5]), true
}

// SecretOnce returns the named secret of the deployment, which is the same for every process and for ever. The first caller's make makes it.
func (tx *Tx) SecretOnce(ctx context.Context, name string, make func() []byte) ([]byte, error) {
	value, err := tx.secret(ctx, name)
	if !errors.Is(err, gorm.ErrRecordNotFound) {
		return value, err
	}
	sealed, by, err := tx.sealed(ctx, make(), secretColumn.at(name))
	if err != nil {
		return nil, err
	}
	_, err = tx.exec(ctx, "INSERT INTO secrets (name, sealed, sealed_by, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", name, sealed, by, stamp(tx.now))
	if err != nil {
		return nil, err
	}
	return tx.secret(ctx, name)
}

type secretRow struct {
	Name     string `gorm:"primaryKey"`
	Sealed   []byte
	SealedBy int64
	Created  micros `gorm:"column:created_at"`
}

func (secretRow) TableName() string { return "secrets" }

func (tx *Tx) secret(ctx context.Context, name string) ([]byte, error) {
	r, err := take[secretRow](ctx, tx, "name = ?", name)
	if err != nil {
		return nil, err
	}
	return tx.unseal(ctx, r.Sealed, secretColumn.at(name))
}
