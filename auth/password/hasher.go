package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/countersign-id/countersign/internal/fault"
)

// MaxBytes is the longest password that is looked at. A longer one is refused before anything is computed; none is cut.
const MaxBytes = 4096

// Faults of hashing.
var (
	// ErrBusy says that as many passwords wait as may.
	ErrBusy = &fault.Error{Kind: fault.Unavailable, Code: "busy", Text: "We are busy right now. Try again in a moment.", Wait: 2}
	// ErrTooLong refuses a password longer than MaxBytes.
	ErrTooLong = fault.New(fault.Malformed, "password-too-long", "A password has at most 4096 bytes.").At("password")
)

// Config sets the cost of argon2id (RFC 9106) and how many computations may run and wait. Zero figures take their defaults:
// 19456 KiB, 2 passes, 1 lane (OWASP's minimum), as many workers as there are cores, 32 waiting for each.
type Config struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8  // lanes
	Workers int
	Queue   int // places for passwords that wait or are being computed; taken by Enter
}

// Hasher computes password hashes. It is safe for concurrent use.
type Hasher struct {
	cost    cost
	workers chan struct{} // who waits gets one in the order of coming
	places  chan struct{}
	runs    atomic.Uint64
}

// New returns a hasher, or says which figure cannot be.
func New(c Config) (*Hasher, error) {
	if c.Memory == 0 {
		c.Memory = 19456
	}
	if c.Time == 0 {
		c.Time = 2
	}
	if c.Threads == 0 {
		c.Threads = 1
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Queue == 0 {
		c.Queue = 32 * c.Workers
	}
	h := &Hasher{cost: cost{memory: c.Memory, time: c.Time, threads: c.Threads}}
	if err := h.cost.check(); err != nil {
		return nil, err
	}
	if c.Workers < 0 || c.Queue < 0 {
		return nil, errors.New("password: workers and queue cannot be negative")
	}
	h.workers, h.places = make(chan struct{}, c.Workers), make(chan struct{}, c.Queue)
	return h, nil
}

// Enter takes a place in the queue, to be left by leave, or is ErrBusy. Take it before any account is looked up, so that a full
// queue costs nothing and tells nothing; Verify and Hash then wait for a worker as long as their context lets them.
func (h *Hasher) Enter(context.Context) (leave func(), err error) {
	select {
	case h.places <- struct{}{}:
		var left atomic.Bool
		return func() {
			if left.CompareAndSwap(false, true) {
				<-h.places
			}
		}, nil
	default:
		return func() {}, ErrBusy
	}
}

// Runs returns how many hashes were computed since the start.
func (h *Hasher) Runs() uint64 { return h.runs.Load() }

// Hash returns the PHC string of a password at current parameters, with a fresh salt of 128 bits.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > MaxBytes {
		return "", ErrTooLong
	}
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	key, err := h.run(ctx, password, phc{cost: h.cost, salt: salt, key: make([]byte, keyBytes)})
	if err != nil {
		return "", err
	}
	return phc{cost: h.cost, salt: salt, key: key}.String(), nil
}

// Verify computes one hash, whatever encoded is, and reports whether password is the one it was made of; and if so, whether
// it should be replaced by one at current parameters. An encoded hash that cannot be read matches nothing and costs the same.
func (h *Hasher) Verify(ctx context.Context, password, encoded string) (ok, rehash bool, err error) {
	if len(password) > MaxBytes {
		return false, false, ErrTooLong
	}
	want, errRead := parse(encoded)
	if errRead != nil {
		want = phc{cost: h.cost, salt: make([]byte, saltBytes), key: make([]byte, keyBytes)}
	}
	key, err := h.run(ctx, password, want)
	if err != nil {
		return false, false, err
	}
	ok = subtle.ConstantTimeCompare(key, want.key) == 1 && errRead == nil
	return ok, ok && (want.cost != h.cost || len(want.key) != keyBytes || len(want.salt) < saltBytes), nil
}

// run computes one hash when a worker is free.
func (h *Hasher) run(ctx context.Context, password string, p phc) ([]byte, error) {
	select {
	case h.workers <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to hash: %w", ctx.Err())
	}
	defer func() { <-h.workers }()
	h.runs.Add(1)
	return argon2.IDKey(normal(password), p.salt, p.time, p.memory, p.threads, uint32(len(p.key))), nil
}

// normal is the form in which a password is hashed: NFKC, so that keyboards which compose letters in different ways type the
// same one (NIST SP 800-63B-4 §3.1.1.2). Nothing is cut and no case folded.
func normal(password string) []byte { return norm.NFKC.Bytes([]byte(password)) }
