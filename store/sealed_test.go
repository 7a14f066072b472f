package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
)

func containsText(s, part string) bool { return strings.Contains(s, part) }

const (
	canaryHash   = "$argon2id$canary-of-a-password"
	canaryKey    = "canary-of-a-private-key"
	canarySecret = "canary-of-a-mac-key"
)

// sealSome writes one of everything that is sealed, n times.
func sealSome(t *testing.T, db *DB, n int) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *Tx) error {
		for range n {
			id := tx.NewID()
			p := auth.Person{ID: auth.PersonID(id), CreatedAt: tx.Now()}
			a := auth.Account{ID: auth.AccountID(id), Person: p.ID, Username: id, CreatedAt: tx.Now(), UpdatedAt: tx.Now()}
			if err := tx.AddAccount(t.Context(), p, a); err != nil {
				return err
			}
			if err := tx.PutPassword(t.Context(), auth.Password{Account: a.ID, Hash: canaryHash, ChangedAt: tx.Now()}); err != nil {
				return err
			}
			k := auth.Key{ID: id, State: auth.KeyActive, Public: []byte("public"), Private: []byte(canaryKey), CreatedAt: tx.Now()}
			if err := tx.AddKey(t.Context(), k); err != nil {
				return err
			}
			if _, err := tx.SecretOnce(t.Context(), id, func() []byte { return []byte(canarySecret) }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// unsealAll reads everything that is sealed and returns how many values there were.
func unsealAll(t *testing.T, db *DB) (n int) {
	t.Helper()
	err := db.View(t.Context(), func(tx *Tx) error {
		n = 0
		keys, err := tx.Keys(t.Context())
		if err != nil {
			return err
		}
		for _, k := range keys {
			p, err := tx.Password(t.Context(), auth.AccountID(k.ID))
			if err != nil {
				return err
			}
			s, err := tx.secret(t.Context(), k.ID)
			if err != nil {
				return err
			}
			if string(k.Private) != canaryKey || p.Hash != canaryHash || string(s) != canarySecret {
				t.Errorf("read %q, %q, %q", k.Private, p.Hash, s)
			}
			n += 3
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSealedAtRest(t *testing.T) {
	t.Parallel()
	t.Run("sec-D07 a dump shows nothing that is sealed", func(t *testing.T) {
		t.Parallel()
		cfg := sqliteConfig(t)
		db := opened(t, cfg)
		sealSome(t, db, 5)
		files, err := filepath.Glob(strings.TrimPrefix(cfg.Database, "sqlite:") + "*")
		if err != nil || len(files) < 2 {
			t.Fatalf("files %v, %v", files, err)
		}
		for _, f := range files {
			content, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, canary := range []string{canaryHash, canaryKey, canarySecret, string(testKey)} {
				if bytes.Contains(content, []byte(canary)) {
					t.Errorf("%s shows %q", filepath.Base(f), canary)
				}
			}
		}
	})
	t.Run("sec-D07 a wrong master key does not open the store", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, cfg Config) {
			opened(t, cfg)
			for name, keys := range map[string][][]byte{
				"another": {bytes.Repeat([]byte("x"), 32)}, "none": nil, "a short one": {testKey[:31]}, "none of two": {bytes.Repeat([]byte("x"), 32), bytes.Repeat([]byte("y"), 32)},
			} {
				cfg.MasterKeys = keys
				_, err := Open(t.Context(), cfg)
				if f := fault.From(err); f.Code != "master-key-wrong" {
					t.Errorf("%s: got %v, want master-key-wrong", name, err)
				}
			}
		})
	})
	t.Run("sec-D07 a new master key takes over while the old one is still known", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, cfg Config) {
			sealSome(t, opened(t, cfg), 2)
			fresh := bytes.Repeat([]byte("f"), 32)
			cfg.MasterKeys = [][]byte{fresh, testKey}
			db := opened(t, cfg)
			unsealAll(t, db)
			first, err := db.Rewrap(t.Context())
			second, err2 := db.Rewrap(t.Context())
			if !first || second || err != nil || err2 != nil {
				t.Errorf("rewrapped %v, %v and then %v, %v", first, err, second, err2)
			}
			cfg.MasterKeys = [][]byte{fresh}
			if n := unsealAll(t, opened(t, cfg)); n != 6 {
				t.Errorf("read %d values, want 6", n)
			}
			cfg.MasterKeys = [][]byte{testKey}
			if _, err := Open(t.Context(), cfg); err == nil {
				t.Error("the old master key still opens the store")
			}
		})
	})
	t.Run("sec-D07 sealing again under a new data key can stop and go on anywhere", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, cfg Config) {
			db, other := opened(t, cfg), opened(t, cfg) // two replicas
			sealSome(t, db, 4)
			old := db.seal.keys().primary
			if err := db.RotateDataKey(t.Context()); err != nil {
				t.Fatal(err)
			}
			sealSome(t, db, 1)
			if n := unsealAll(t, other); n != 15 {
				t.Errorf("the other replica read %d values, want 15", n)
			}
			for i := range 100 {
				replica := []*DB{db, other}[i%2]
				n, err := replica.Reseal(t.Context(), 5)
				if err != nil {
					t.Fatal(err)
				}
				sealed := unsealAll(t, db)
				if n == 0 {
					if sealed != 15 || i != 3 { // 12 values, 5 at a time, and a look
						t.Errorf("done after %d steps with %d values", i, sealed)
					}
					break
				}
			}
			sealSome(t, other, 1) // it must notice that the old key is gone
			if n := unsealAll(t, db); n != 18 {
				t.Errorf("read %d values, want 18", n)
			}
			if now := opened(t, cfg).seal.keys(); now.known[old] || len(now.known) != 1 {
				t.Error("the old data key is still there")
			}
		})
	})
	t.Run("a sealed value counts only where it was put", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, cfg Config) {
			db := opened(t, cfg)
			sealSome(t, db, 2)
			for what, move := range map[string]string{
				"another row":   "UPDATE passwords SET sealed = (SELECT sealed FROM passwords ORDER BY account_id LIMIT 1)",
				"another table": "UPDATE keys SET sealed = (SELECT sealed FROM secrets WHERE name = keys.id)",
			} {
				err := db.Update(t.Context(), func(tx *Tx) error {
					if _, err := tx.exec(t.Context(), move); err != nil {
						return err
					}
					_, keysErr := tx.Keys(t.Context())
					_, passwordErr := tx.Password(t.Context(), auth.AccountID(tx.last(t, "SELECT max(account_id) FROM passwords")))
					if keysErr == nil && passwordErr == nil {
						t.Errorf("%s was read", what)
					}
					return errRollback
				})
				if err != errRollback {
					t.Fatal(err)
				}
			}
		})
	})
}

var errRollback = errors.New("rolled back on purpose")

func (tx *Tx) last(t *testing.T, q string) string {
	t.Helper()
	s, err := tx.texts(t.Context(), q)
	if err != nil || len(s) == 0 {
		t.Fatal(s, err)
	}
	return s[0]
}

func TestFileModes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes are another thing there")
	}
	t.Run("sec-D14 the files are their owner's alone", func(t *testing.T) {
		t.Parallel()
		cfg := sqliteConfig(t)
		sealSome(t, opened(t, cfg), 1)
		files, err := filepath.Glob(strings.TrimPrefix(cfg.Database, "sqlite:") + "*")
		if err != nil || len(files) != 3 {
			t.Fatalf("files %v, %v, want the database, its log and its index", files, err)
		}
		for _, f := range files {
			info, err := os.Stat(f)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode %v, %v, want 0600", filepath.Base(f), info.Mode(), err)
			}
		}
	})
	t.Run("sec-D14 a file or folder open to everybody is refused", func(t *testing.T) {
		t.Parallel()
		cfg := sqliteConfig(t)
		opened(t, cfg)
		path := strings.TrimPrefix(cfg.Database, "sqlite:")
		for _, mode := range []os.FileMode{0o604, 0o602, 0o666, 0o777} {
			refusedAs(t, cfg, path, mode, "database-file-open")
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		refusedAs(t, cfg, filepath.Dir(path), 0o777, "database-file-open")
	})
	t.Run("a path may hold anything a path may hold", func(t *testing.T) {
		t.Parallel()
		cfg := sqliteConfig(t)
		cfg.Database = "sqlite:" + filepath.Join(t.TempDir(), "a ?b#c%20d&_pragma=x é.db")
		opened(t, cfg)
		if _, err := os.Stat(strings.TrimPrefix(cfg.Database, "sqlite:")); err != nil {
			t.Error(err)
		}
	})
}

func refusedAs(t *testing.T, cfg Config, path string, mode os.FileMode, want string) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), cfg)
	if err == nil {
		db.Close()
	}
	if f := fault.From(err); f.Code != want {
		t.Errorf("mode %o: got %v, want %s", mode, err, want)
	}
}

func TestCanonicalNamesAreOneEach(t *testing.T) {
	t.Parallel()
	a := auth.Account{Username: "Ann@Example.org", Profile: auth.Profile{Email: "ann@example.org"}}
	if got := namesOf(a); !slices.Equal(got, []string{"ann@example.org"}) {
		t.Errorf("got %v", got)
	}
}
