package audit_test

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/audit/audittest"
)

// Each batch is of one entry, so there is a checkpoint of every size to prove from and to.
func everySize(t *testing.T, n int64) (*audittest.Log, []audit.Checkpoint) {
	l := aLog(t, int(n), 1)
	heads := make([]audit.Checkpoint, n+1)
	empty, err := tlog.TreeHash(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	heads[0] = audit.Checkpoint{Root: empty}
	for size := int64(1); size <= n; size++ {
		if heads[size], err = audit.Open(l.Checkpoints[size], keys.Known); err != nil {
			t.Fatal(err)
		}
	}
	return l, heads
}

func TestInclusionIsProvedForEveryEntryAtEverySize(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	const n = 17
	l, heads := everySize(t, n)
	for size := int64(1); size <= n; size++ {
		for at := range size {
			p, err := audit.ProveInclusion(ctx, l, size, at)
			if err != nil {
				t.Fatal(err)
			}
			for claimed := range size {
				for leaf := range int64(n) {
					err := audit.CheckInclusion(p, heads[size], claimed, l.Rows[leaf].Hash)
					if good := claimed == at && leaf == at; (err == nil) != good {
						t.Fatalf("size %d: the proof of %d for entry %d at %d: %v", size, at, leaf, claimed, err)
					}
				}
			}
		}
	}
}

func TestConsistencyIsProvedBetweenAnyTwoSizes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	const n = 17
	l, heads := everySize(t, n)
	for newer := int64(0); newer <= n; newer++ {
		for older := int64(0); older <= newer; older++ {
			p, err := audit.ProveConsistency(ctx, l, newer, older)
			if err != nil {
				t.Fatal(err)
			}
			if err := audit.CheckConsistency(p, heads[newer], heads[older]); err != nil {
				t.Fatalf("from %d to %d: %v", older, newer, err)
			}
			other := heads[older]
			other.Root[7] ^= 1
			if err := audit.CheckConsistency(p, heads[newer], other); !errors.Is(err, audit.ErrProof) {
				t.Fatalf("from %d with another root to %d: %v", older, newer, err)
			}
			other = heads[newer]
			other.Root[7] ^= 1
			if err := audit.CheckConsistency(p, other, heads[older]); older > 0 && !errors.Is(err, audit.ErrProof) {
				t.Fatalf("from %d to %d with another root: %v", older, newer, err)
			}
			if err := audit.CheckConsistency(append(p, tlog.Hash{}), heads[newer], heads[older]); !errors.Is(err, audit.ErrProof) {
				t.Fatalf("from %d to %d with a hash too many: %v", older, newer, err)
			}
			if newer > older && older > 0 {
				if err := audit.CheckConsistency(p, heads[older], heads[newer]); !errors.Is(err, audit.ErrProof) {
					t.Fatalf("backwards from %d to %d: %v", newer, older, err)
				}
			}
		}
	}
}

func TestProofsOfTheImpossibleAreRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l, heads := everySize(t, 3)
	for _, at := range []int64{-1, 3, 4} {
		if _, err := audit.ProveInclusion(ctx, l, 3, at); !errors.Is(err, audit.ErrProof) {
			t.Errorf("inclusion at %d of 3: %v", at, err)
		}
		if err := audit.CheckInclusion(nil, heads[3], at, tlog.Hash{}); !errors.Is(err, audit.ErrProof) {
			t.Errorf("a check of inclusion at %d of 3: %v", at, err)
		}
	}
	for _, sizes := range [][2]int64{{3, -1}, {2, 3}, {-1, -2}} {
		if _, err := audit.ProveConsistency(ctx, l, sizes[0], sizes[1]); !errors.Is(err, audit.ErrProof) {
			t.Errorf("consistency from %d to %d: %v", sizes[1], sizes[0], err)
		}
	}
	if err := audit.CheckConsistency(nil, audit.Checkpoint{Size: -1}, heads[0]); !errors.Is(err, audit.ErrProof) {
		t.Errorf("consistency with a negative size: %v", err)
	}
	if _, err := audit.ProveInclusion(ctx, l, 5, 4); err == nil {
		t.Error("inclusion in a log of 5, of which only 3 are stored, was proved")
	}
}
