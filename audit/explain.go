package audit

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// explain says what became of the entry at p. own is the hash of what stands there, logged the
// hash of what ought to. The rest of the log is read to see whether that stands elsewhere, and
// where this belongs: a deletion that closed the gap is told from an insertion and a swap.
func (w *walk) explain(ctx context.Context, p int64, own, logged tlog.Hash) error {
	now, before := int64(-1), int64(-1) // where the logged entry stands now; where ours stood before
	for from := p; from < w.extent.End; from += page {
		to := min(from+page, w.extent.End)
		entries, err := w.tx.LogEntries(ctx, from, to)
		if err != nil {
			return fmt.Errorf("read entries: %w", err)
		}
		if len(entries) == 0 {
			break // a gap of a page or more: what lies beyond does not explain this
		}
		for i := range entries {
			if now < 0 && hashOf(&entries[i]) == logged {
				now = entries[i].Position
			}
		}
	}
	for from := p; from < w.extent.Signed; from += page {
		to := min(from+page, w.extent.Signed)
		stored, err := w.tx.LogHashRange(ctx, tlog.StoredHashCount(from), tlog.StoredHashCount(to))
		if err != nil {
			return fmt.Errorf("read hashes: %w", err)
		}
		if len(stored) == 0 {
			break
		}
		for at := from; at < to && before < 0; at++ {
			if h, ok := stored[tlog.StoredHashIndex(0, at)]; ok && h == own {
				before = at
			}
		}
	}
	w.verdict(p, now, before)
	return nil
}

func (w *walk) verdict(p, now, before int64) {
	switch {
	case now > p && now == before:
		w.bad(Swapped, p, p, "Entries %d and %d have changed places.", p, now)
	case now > p && before < 0:
		w.bad(Inserted, p, p, "Entry %d was inserted; the one logged there is now at %d.", p, now)
	case now > p:
		w.bad(Swapped, p, p, "Entry %d stands where another was logged, which is now at %d.", p, now)
	case before > p:
		w.bad(Removed, p, p, "The entry logged at %d was removed; the one logged at %d stands there.", p, before)
	default:
		w.bad(Changed, p, p, "Entry %d is not the one that was logged.", p)
	}
}

// cut says what became of a log that ends before its newest checkpoint. Where the tree still
// proves that the entries left are the first of those signed, only the end is gone; otherwise
// nothing vouches for those behind the last checkpoint that fitted.
func (w *walk) cut(ctx context.Context) error {
	end, size := w.edge.size, w.extent.Signed
	head, err := Open(w.extent.Head, w.known)
	if err != nil || head.Size != size {
		w.bad(Signature, end, end, notOurs, size)
		return nil
	}
	first := w.fits
	proof, err := ProveConsistency(ctx, present{w.tx}, size, end)
	switch {
	case err != nil && !errors.Is(err, errAbsent):
		return err
	case err == nil && CheckConsistency(proof, head, Checkpoint{Size: end, Root: w.edge.root()}) == nil:
		first = end
	}
	if first < end {
		w.bad(Truncated, first, size-1, "The log ends before entry %d; its own checkpoint signed %d entries, and nothing vouches for those from %d on.", end, size, first)
		return nil
	}
	w.bad(Truncated, end, size-1, "The log ends before entry %d; its own checkpoint signed %d entries.", end, size)
	return nil
}

// present reads the tree's hashes so that a missing one is told from a fault in reading.
type present struct{ tx Source }

var errAbsent = errors.New("hash is absent")

func (p present) LogHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		stored, err := p.tx.LogHashRange(ctx, index, index+1)
		if err != nil {
			return nil, fmt.Errorf("read hashes: %w", err)
		}
		h, ok := stored[index]
		if !ok {
			return nil, errAbsent
		}
		hashes[i] = h
	}
	return hashes, nil
}
