package password_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign-id/countersign/auth/password"
	"github.com/countersign-id/countersign/internal/fault"
)

var cheap = password.Config{Memory: 64, Time: 1, Workers: 2}

func hasher(t testing.TB, c password.Config) *password.Hasher {
	t.Helper()
	h, err := password.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func hash(t testing.TB, h *password.Hasher, p string) string {
	t.Helper()
	s, err := h.Hash(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerify(t *testing.T) {
	t.Parallel()
	h := hasher(t, cheap)
	const p = "kelp otter mugs"
	good := hash(t, h, p)
	if other := hash(t, h, p); other == good {
		t.Error("two hashes of one password are the same")
	}
	long := strings.Repeat("ö", 2048) // 4096 bytes
	older := hash(t, hasher(t, password.Config{Memory: 128, Time: 1}), p)

	for _, tt := range []struct {
		name, password, encoded string
		ok, rehash              bool
	}{
		{"the password", p, good, true, false},
		{"another", p + "!", good, false, false},
		{"the empty one", "", good, false, false},
		{"letters composed in another way are the same (NIST SP 800-63B-4 §3.1.1.2)", "cafe\u0301 otter mugs", hash(t, h, "caf\u00e9 otter mugs"), true, false},
		{"case counts", "Kelp otter mugs", good, false, false},
		{"nothing is cut: the last byte of 4096 counts", long[:4094] + "o!", hash(t, h, long), false, false},
		{"4096 bytes are hashed in full", long, hash(t, h, long), true, false},
		{"sec-K23 older parameters match and ask for a new hash", p, older, true, true},
		{"older parameters and another password", "nothing", older, false, false},
		{"sec-K23 bcrypt is not read", p, "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", false, false},
		{"sec-K23 no hash at all", p, "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ok, rehash, err := h.Verify(context.Background(), tt.password, tt.encoded)
			if err != nil || ok != tt.ok || rehash != tt.rehash {
				t.Errorf("Verify = %v, %v, %v; want %v, %v", ok, rehash, err, tt.ok, tt.rehash)
			}
		})
	}
}

// sec-K05: every verification costs one hash, whatever is verified against; one that is refused as too long costs none.
func TestRuns(t *testing.T) {
	t.Parallel()
	h := hasher(t, cheap)
	good := hash(t, h, "kelp otter mugs")
	if got := h.Runs(); got != 1 {
		t.Errorf("Runs() = %d after one hash, want 1", got)
	}
	for i, encoded := range []string{good, good, "", "nonsense", "$argon2id$v=19$m=4194304,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"} {
		before := h.Runs()
		if _, _, err := h.Verify(context.Background(), strings.Repeat("x", i), encoded); err != nil {
			t.Errorf("Verify against %q: %v", encoded, err)
		}
		if got := h.Runs() - before; got != 1 {
			t.Errorf("Verify against %q ran %d hashes, want 1", encoded, got)
		}
	}
	before := h.Runs()
	_, _, err := h.Verify(context.Background(), strings.Repeat("x", 4097), good)
	if !errors.Is(err, password.ErrTooLong) || h.Runs() != before {
		t.Errorf("Verify of 4097 bytes: %v after %d hashes, want %v after none", err, h.Runs()-before, password.ErrTooLong)
	}
}

// sec-K23: an imported hash cannot take the machine.
func TestCheck(t *testing.T) {
	t.Parallel()
	const salt, key = "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, tt := range []struct {
		encoded string
		ok      bool
	}{
		{"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + key, true},
		{"$argon2id$v=19$m=1048576,t=16,p=16$" + salt + "$" + key, true},
		{"$argon2id$v=19$m=4194304,t=1,p=1$" + salt + "$" + key, false}, // 4 GiB
		{"$argon2id$v=19$m=19456,t=31,p=1$" + salt + "$" + key, false},
		{"$argon2id$v=19$m=19456,t=0,p=1$" + salt + "$" + key, false},
		{"$argon2id$v=19$m=19456,t=2,p=0$" + salt + "$" + key, false},
		{"$argon2id$v=19$m=19456,t=2,p=257$" + salt + "$" + key, false},
		{"$argon2id$v=16$m=19456,t=2,p=1$" + salt + "$" + key, false},
		{"$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + key, false},
		{"$argon2id$v=19$t=2,m=19456,p=1$" + salt + "$" + key, false},
		{"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$", false},
		{"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + key + "$", false},
		{"$argon2id$v=19$m=19456,t=2,p=1$$" + key, false},
		{"$2b$31$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", false},
		{"$scrypt$ln=20,r=8,p=1$" + salt + "$" + key, false},
	} {
		if err := password.Check(tt.encoded); (err == nil) != tt.ok {
			t.Errorf("Check(%q) = %v, want ok %v", tt.encoded, err, tt.ok)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=1,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, s string) { password.Check(s) })
}

func TestWhatWasHashedVerifies(t *testing.T) {
	t.Parallel()
	h := hasher(t, cheap)
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.String().Draw(t, "password")
		s, err := h.Hash(context.Background(), p)
		if err != nil {
			t.Skip()
		}
		ok, rehash, err := h.Verify(context.Background(), p, s)
		if !ok || rehash || err != nil || password.Check(s) != nil {
			t.Fatalf("Verify(%q, %q) = %v, %v, %v", p, s, ok, rehash, err)
		}
	})
}

func TestEnter(t *testing.T) {
	t.Parallel()
	h := hasher(t, password.Config{Memory: 64, Time: 1, Workers: 1, Queue: 2})
	ctx := context.Background()
	leave, err := h.Enter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Enter(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = h.Enter(ctx)
	if !fault.Is(err, fault.Unavailable) || fault.From(err).Wait == 0 {
		t.Errorf("Enter of a full queue = %v, want Unavailable with a time to wait", err)
	}
	leave()
	leave() // leaving twice gives one place back
	if _, err := h.Enter(ctx); err != nil {
		t.Errorf("Enter after one left: %v", err)
	}
	if _, err := h.Enter(ctx); err == nil {
		t.Error("leaving twice gave two places back")
	}
}

// No more hashes run at once than there are workers, and whoever gave up waiting costs none.
func TestWorkers(t *testing.T) {
	t.Parallel()
	h := hasher(t, password.Config{Memory: 16 << 10, Time: 2, Workers: 1})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var gaveUp int
	var mu sync.Mutex
	for range 20 {
		wg.Go(func() {
			if _, err := h.Hash(ctx, "kelp otter mugs"); errors.Is(err, context.Canceled) {
				mu.Lock()
				gaveUp++
				mu.Unlock()
			}
		})
	}
	for h.Runs() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	wg.Wait()
	if got := int(h.Runs()); got+gaveUp != 20 || gaveUp == 0 {
		t.Errorf("%d hashes ran and %d gave up, want 20 in all and some who gave up", got, gaveUp)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []password.Config{{Memory: 7}, {Memory: 2 << 20}, {Time: 17}, {Threads: 17}, {Workers: -1}, {Queue: -1}} {
		if _, err := password.New(c); err == nil {
			t.Errorf("New(%+v) accepts it", c)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	h := hasher(b, password.Config{})
	s := hash(b, h, "kelp otter mugs")
	for b.Loop() {
		if ok, _, err := h.Verify(context.Background(), "kelp otter mugs", s); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
