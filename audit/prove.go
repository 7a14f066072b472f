package audit

import (
	"context"
	"crypto/sha256"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/countersign-id/countersign/internal/fault"
)

// ErrProof is the fault of a proof that does not prove, and of asking for one that cannot be.
var ErrProof = fault.New(fault.Invalid, "proof-invalid", "The proof does not hold.")

// Hashes is what proofs need of the store: see Tx.LogHashes.
type Hashes interface {
	LogHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error)
}

// ProveInclusion proves that the log of size holds what it holds at position (RFC 6962 §2.1.1).
func ProveInclusion(ctx context.Context, tx Hashes, size, position int64) (tlog.RecordProof, error) {
	if position < 0 || position >= size {
		return nil, ErrProof.Saying("The log has no entry at that position.")
	}
	return tlog.ProveRecord(size, position, reader(ctx, tx))
}

// CheckInclusion checks that head signed an entry with that leaf hash at position. It needs
// nothing but its arguments; every fault is ErrProof.
func CheckInclusion(p tlog.RecordProof, head Checkpoint, position int64, leaf tlog.Hash) error {
	if err := tlog.CheckRecord(p, head.Size, head.Root, position, leaf); err != nil {
		return ErrProof.Because(err)
	}
	return nil
}

// ProveConsistency proves that the log of newer size begins with that of older size
// (RFC 6962 §2.1.2).
func ProveConsistency(ctx context.Context, tx Hashes, newer, older int64) (tlog.TreeProof, error) {
	if older < 0 || older > newer {
		return nil, ErrProof.Saying("The older size must not be above the newer.")
	}
	if older == 0 {
		return tlog.TreeProof{}, nil // every log begins with the empty one
	}
	return tlog.ProveTree(newer, older, reader(ctx, tx))
}

// CheckConsistency checks that newer continues older, with nothing changed or removed. It needs
// nothing but its arguments; every fault is ErrProof.
func CheckConsistency(p tlog.TreeProof, newer, older Checkpoint) error {
	if older.Size == 0 && newer.Size >= 0 {
		if len(p) != 0 || older.Root != sha256.Sum256(nil) {
			return ErrProof.Because(errors.New("not the empty tree"))
		}
		return nil
	}
	if err := tlog.CheckTree(p, newer.Size, newer.Root, older.Size, older.Root); err != nil {
		return ErrProof.Because(err)
	}
	return nil
}

func reader(ctx context.Context, tx Hashes) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return tx.LogHashes(ctx, indexes) })
}
