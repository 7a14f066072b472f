package audit

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/countersign-id/countersign/internal/fault"
)

var (
	// ErrLeaseLost is the fault of sequencing without the lease: another process leads now.
	ErrLeaseLost = fault.New(fault.Conflict, "lease-lost", "Another process holds the lease.")
	// ErrLogBroken is the fault of a log that no longer has the root it was last signed with.
	// Nothing more is signed until somebody has looked: signing on would bless the damage.
	ErrLogBroken = fault.New(fault.Internal, "log-broken", "The audit log is not the one that was signed. Run audit verify.")
)

// Entry is an event as the log keeps it. An entry taken by Unsequenced need not carry Personal
// and Salt.
type Entry struct {
	Event
	Commitment []byte    // to Personal; nil where there is nothing personal
	Salt       []byte    // of the commitment; nil when erased or never there
	Position   int64     // in the log, from 0
	Hash       tlog.Hash // LeafHash, kept for ever
	Pruned     bool      // retention removed the body; of Event only ID may be left
}

// Tx is what sequencing needs of a store's transaction.
type Tx interface {
	Now() time.Time

	// HoldLease gives holder the lease until then if it is free, expired by Now, or already
	// holder's, by one conditional write, and reports whether holder has it.
	HoldLease(ctx context.Context, name, holder string, until time.Time) (bool, error)
	// CheckLease reports whether holder has the unexpired lease, and keeps others from taking
	// it until the transaction ends (it locks the row).
	CheckLease(ctx context.Context, name, holder string) (bool, error)

	// Unsequenced returns up to limit events whose position is null, lowest id first. It never
	// looks for events "above a mark": ids are not in the order of commits.
	Unsequenced(ctx context.Context, limit int) ([]Entry, error)
	// PlaceEntries stores Position and Hash of each entry by its ID, if its position is null.
	// It fails unless every entry was placed, and if a position is taken.
	PlaceEntries(ctx context.Context, placed []Entry) error

	// LogHashes returns the tree's hashes at the given stored hash indexes
	// (tlog.StoredHashIndex), in that order. It fails if one is missing.
	LogHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error)
	// PutLogHashes adds hashes at the indexes from first on. It fails if one is taken.
	PutLogHashes(ctx context.Context, first int64, hashes []tlog.Hash) error

	// NewestCheckpoint returns the signed checkpoint of the greatest size, nil if there is none.
	NewestCheckpoint(ctx context.Context) ([]byte, error)
	// PutCheckpoint adds the signed checkpoint of a size. It fails if that size has one.
	PutCheckpoint(ctx context.Context, size int64, signed []byte) error
	// DropCheckpoint removes the checkpoint of a size, which a greater one replaces.
	DropCheckpoint(ctx context.Context, size int64) error
}

// Keys are a log's keys: the one that signs now, and all whose signatures count.
type Keys struct {
	Signer note.Signer
	Known  note.Verifiers
}

// Lease is the right to lead at something, which one holder at a time has and which passes on
// when it expires.
type Lease struct {
	Name   string
	Holder string // a process: random, new at each start
}

// Hold takes or renews the lease for a span from the transaction's now. False means that another
// holder has it.
func (l Lease) Hold(ctx context.Context, tx Tx, span time.Duration) (bool, error) {
	return tx.HoldLease(ctx, l.Name, l.Holder, tx.Now().Add(span))
}

// Sequence puts up to limit waiting events into the log, in one transaction with the checkpoint
// that signs them, so that no entry is ever in the log unsigned. Of each hour the last checkpoint
// is kept. It returns how many it put; if that is limit, more may wait. It fails with ErrLeaseLost where l is not held, and with
// ErrLogBroken where the tree no longer fits the newest checkpoint.
func Sequence(ctx context.Context, tx Tx, keys Keys, l Lease, limit int) (int, error) {
	held, err := tx.CheckLease(ctx, l.Name, l.Holder)
	if err != nil {
		return 0, fmt.Errorf("check lease: %w", err)
	}
	if !held {
		return 0, ErrLeaseLost
	}
	entries, err := tx.Unsequenced(ctx, limit)
	if err != nil {
		return 0, fmt.Errorf("take events: %w", err)
	}
	if len(entries) == 0 {
		return 0, nil
	}
	head, edge, err := loadHead(ctx, tx, keys.Known)
	if err != nil {
		return 0, err
	}
	first := tlog.StoredHashCount(edge.size)
	var hashes []tlog.Hash
	for i := range entries {
		entries[i].Position = edge.size
		entries[i].Hash = LeafHash(entries[i].Event, entries[i].Commitment)
		hashes = edge.add(entries[i].Hash, hashes)
	}
	if err := tx.PlaceEntries(ctx, entries); err != nil {
		return 0, fmt.Errorf("place entries: %w", err)
	}
	if err := tx.PutLogHashes(ctx, first, hashes); err != nil {
		return 0, fmt.Errorf("put hashes: %w", err)
	}
	next := Checkpoint{Size: edge.size, Root: edge.root(), At: tx.Now()}
	if err := putCheckpoint(ctx, tx, keys.Signer, head, next); err != nil {
		return 0, err
	}
	return len(entries), nil
}

// putCheckpoint signs and stores next, and drops the one before it if that is of the same hour:
// there would be one for every second in which something happened.
func putCheckpoint(ctx context.Context, tx Tx, signer note.Signer, head, next Checkpoint) error {
	signed, err := Sign(next, signer)
	if err != nil {
		return fmt.Errorf("sign checkpoint: %w", err)
	}
	if err := tx.PutCheckpoint(ctx, next.Size, signed); err != nil {
		return fmt.Errorf("put checkpoint: %w", err)
	}
	if !head.At.Truncate(time.Hour).Equal(next.At.Truncate(time.Hour)) {
		return nil
	}
	if err := tx.DropCheckpoint(ctx, head.Size); err != nil {
		return fmt.Errorf("drop checkpoint: %w", err)
	}
	return nil
}

// loadHead reads the newest checkpoint and the edge of the tree that it signed, and refuses any
// other tree: the log only ever grows from what was signed.
func loadHead(ctx context.Context, tx Tx, known note.Verifiers) (Checkpoint, *frontier, error) {
	signed, err := tx.NewestCheckpoint(ctx)
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("read checkpoint: %w", err)
	}
	if signed == nil {
		return Checkpoint{}, &frontier{}, nil
	}
	head, err := Open(signed, known)
	if err != nil {
		return Checkpoint{}, nil, ErrLogBroken.Because(err)
	}
	hashes, err := tx.LogHashes(ctx, frontierIndexes(head.Size))
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("read hashes: %w", err)
	}
	edge := &frontier{size: head.Size, roots: hashes}
	if edge.root() != head.Root {
		return Checkpoint{}, nil, ErrLogBroken.Because(fmt.Errorf("size %d has root %s, signed was %s", head.Size, edge.root(), head.Root))
	}
	return head, edge, nil
}

// frontier is the right edge of a growing tree: the roots of the complete subtrees that the bits
// of its size stand for, largest first. It is all that appending and the root need.
type frontier struct {
	size  int64
	roots []tlog.Hash
}

// frontierIndexes returns the stored hash indexes of the frontier of a tree of size.
func frontierIndexes(size int64) []int64 {
	var indexes []int64
	for level := 62; level >= 0; level-- {
		if size>>level&1 == 1 {
			indexes = append(indexes, tlog.StoredHashIndex(level, size>>level-1))
		}
	}
	return indexes
}

// add appends a leaf and, to hashes, what must be stored for it: the leaf's hash and the roots
// of the subtrees it completes (tlog.StoredHashes, without reading).
func (f *frontier) add(leaf tlog.Hash, hashes []tlog.Hash) []tlog.Hash {
	h := leaf
	hashes = append(hashes, h)
	for n := f.size; n&1 == 1; n >>= 1 {
		last := len(f.roots) - 1
		h = tlog.NodeHash(f.roots[last], h)
		f.roots = f.roots[:last]
		hashes = append(hashes, h)
	}
	f.roots = append(f.roots, h)
	f.size++
	return hashes
}

// root is the RFC 6962 tree hash.
func (f *frontier) root() tlog.Hash {
	if len(f.roots) == 0 {
		return sha256.Sum256(nil)
	}
	h := f.roots[len(f.roots)-1]
	for i := len(f.roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(f.roots[i], h)
	}
	return h
}
