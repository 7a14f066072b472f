package audit_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/audit/audittest"
)

func verify(t interface{ Fatal(...any) }, l audit.Source, o audit.Options) audit.Report {
	report, err := audit.Verify(context.Background(), l, keys.Known, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func wantWhole(t *testing.T, l audit.Source, o audit.Options, entries int64) audit.Report {
	t.Helper()
	report := verify(t, l, o)
	if report.Bad != nil {
		t.Fatalf("found bad: %+v", *report.Bad)
	}
	if report.Entries != entries {
		t.Fatalf("found %d entries, want %d", report.Entries, entries)
	}
	return report
}

// The log of these tests has 12 entries, checkpoints of sizes 5, 10 and 12, and personal data in
// the entries of even position.
func TestVerifyNamesTheFirstBadEntry(t *testing.T) {
	t.Parallel()
	whole := aLog(t, 12, 5)
	wantWhole(t, whole, audit.Options{}, 12)
	tests := []struct {
		name        string
		harm        func(l *audittest.Log)
		want        audit.Harm
		first, last int64
		says        string
	}{
		{"a flipped field", func(l *audittest.Log) { at(l, 6).Actor = "account:x" }, audit.Changed, 6, 6, "Entry 6 is not the one that was logged."},
		{"a flipped field with its hash made to fit", func(l *audittest.Log) {
			at(l, 6).Actor = "account:x"
			at(l, 6).Hash = audit.LeafHash(at(l, 6).Event, at(l, 6).Commitment)
		}, audit.Changed, 6, 6, "Entry 6 is not"},
		{"a flipped hash beside an entry", func(l *audittest.Log) { flip(&at(l, 3).Hash) }, audit.Changed, 3, 3, "hash kept beside entry 3"},
		{"a time moved by a microsecond", func(l *audittest.Log) { at(l, 0).At = at(l, 0).At.Add(time.Microsecond) }, audit.Changed, 0, 0, "Entry 0"},
		{"a commitment removed", func(l *audittest.Log) { at(l, 4).Commitment = nil }, audit.Changed, 4, 4, "Entry 4"},
		{"personal data changed", func(l *audittest.Log) { at(l, 4).Personal = map[string]string{audit.Address: "203.0.113.1"} }, audit.Personal, 4, 4, "personal data of entry 4"},
		{"personal data removed without the salt", func(l *audittest.Log) { at(l, 4).Personal = nil }, audit.Personal, 4, 4, "entry 4"},
		{"a salt removed without the personal data", func(l *audittest.Log) { at(l, 4).Salt = nil }, audit.Personal, 4, 4, "entry 4"},
		{"personal data given to who had none", func(l *audittest.Log) { at(l, 5).Personal = map[string]string{audit.Typed: "bob"} }, audit.Personal, 5, 5, "entry 5"},

		{"a deletion", func(l *audittest.Log) { drop(l, 7) }, audit.Missing, 7, 7, "Entry 7 is missing."},
		{"a deletion of several", func(l *audittest.Log) { drop(l, 7); drop(l, 8) }, audit.Missing, 7, 8, "Entries 7 to 8 are missing."},
		{"a deletion of the first", func(l *audittest.Log) { drop(l, 0) }, audit.Missing, 0, 0, "Entry 0 is missing."},
		{"a deletion that closed the gap", func(l *audittest.Log) { drop(l, 7); shift(l, 7, -1) }, audit.Removed, 7, 7, "logged at 7 was removed; the one logged at 8 stands there"},
		{"an entry sent back to wait", func(l *audittest.Log) { at(l, 7).Position = audittest.Waiting }, audit.Missing, 7, 7, "Entry 7 is missing."},

		{"an insertion", func(l *audittest.Log) { shift(l, 4, 1); l.Rows = append(l.Rows, forge("x", 4)) }, audit.Inserted, 4, 4, "Entry 4 was inserted; the one logged there is now at 5."},
		{"an insertion beside an entry", func(l *audittest.Log) { l.Rows = append(l.Rows, forge("x", 4)) }, audit.Inserted, 4, 4, "Two entries hold position 4."},
		{"an insertion before the beginning", func(l *audittest.Log) { l.Rows = append(l.Rows, forge("x", -9)) }, audit.Inserted, 0, 0, "1 entries hold positions below 0."},
		{"an insertion at the end", func(l *audittest.Log) { l.Rows = append(l.Rows, forge("x", 12)) }, audit.Unsigned, 12, 12, "From entry 12 on"},
		{"an insertion at the end, with its hashes", func(l *audittest.Log) { l.Rows = append(l.Rows, forge("x", 12)); regrow(l) }, audit.Unsigned, 12, 12, "From entry 12 on"},
		{"an insertion far behind the end", func(l *audittest.Log) { l.Rows = append(l.Rows, forge("x", 1<<60)) }, audit.Missing, 12, 1023, "are missing"},

		{"a swap", func(l *audittest.Log) { a, b := at(l, 2), at(l, 9); a.Position, b.Position = 9, 2 }, audit.Swapped, 2, 2, "Entries 2 and 9 have changed places."},
		{"a swap of neighbours", func(l *audittest.Log) { a, b := at(l, 2), at(l, 3); a.Position, b.Position = 3, 2 }, audit.Swapped, 2, 2, "Entries 2 and 3 have"},
		{"a swap of bodies", func(l *audittest.Log) { a, b := at(l, 2), at(l, 9); a.Event, b.Event = b.Event, a.Event }, audit.Changed, 2, 2, "Entry 2"},
		{"a swap of all but positions and hashes", func(l *audittest.Log) {
			a, b := at(l, 2), at(l, 9)
			*a, *b = *b, *a
			a.Position, b.Position, a.Hash, b.Hash = 2, 9, b.Hash, a.Hash
		}, audit.Swapped, 2, 2, "Entries 2 and 9 have changed places."},
		{"an entry moved up", func(l *audittest.Log) {
			e := at(l, 9)
			e.Position = 99
			shift(l, 3, 1)
			e.Position = 3
			shift(l, 10, -1)
		}, audit.Swapped, 3, 3, "Entry 3 stands where another was logged, which is now at 4."},

		{"a truncation", func(l *audittest.Log) { cut(l, 8) }, audit.Truncated, 8, 11, "The log ends before entry 8; its own checkpoint signed 12 entries."},
		{"a truncation of everything", func(l *audittest.Log) { cut(l, 0) }, audit.Truncated, 0, 11, "before entry 0"},
		{"a truncation with its hashes", func(l *audittest.Log) { cut(l, 8); regrow(l) }, audit.Truncated, 5, 11, "nothing vouches for those from 5 on"},
		{"a truncation of all but what was rewritten", func(l *audittest.Log) {
			cut(l, 8)
			*at(l, 6) = forge("x", 6)
			regrow(l)
		}, audit.Truncated, 5, 11, "nothing vouches for those from 5 on"},
		{"a truncation of all but what was rewritten, in the old tree", func(l *audittest.Log) {
			old := maps.Clone(l.Hashes)
			cut(l, 8)
			*at(l, 6) = forge("x", 6)
			regrow(l)
			for index := tlog.StoredHashCount(8); index < tlog.StoredHashCount(12); index++ {
				l.Hashes[index] = old[index]
			}
		}, audit.Truncated, 5, 11, "nothing vouches for those from 5 on"},
		{"a truncation with the later checkpoints", func(l *audittest.Log) { cut(l, 8); delete(l.Checkpoints, 10); delete(l.Checkpoints, 12) }, audit.Unsigned, 5, 7, "From entry 5 on"},
		{"all checkpoints removed", func(l *audittest.Log) { clear(l.Checkpoints) }, audit.Unsigned, 0, 11, "From entry 0 on"},

		{"a body removed", func(l *audittest.Log) { empty(at(l, 6)) }, audit.Emptied, 6, 6, "body of entry 6 is gone"},
		{"a body hidden behind the mark of pruning", func(l *audittest.Log) { at(l, 6).Pruned = true }, audit.Changed, 6, 6, "marked as pruned and has a body"},
		{"a pruned hash changed", func(l *audittest.Log) { empty(at(l, 6)); flip(&at(l, 6).Hash) }, audit.Changed, 6, 6, "Entry 6"},

		{"a hash of the tree changed", func(l *audittest.Log) { flipAt(l, tlog.StoredHashIndex(0, 6)) }, audit.Changed, 6, 6, "Entry 6"},
		{"a hash of the tree removed", func(l *audittest.Log) { delete(l.Hashes, tlog.StoredHashIndex(0, 6)) }, audit.Tree, 6, 6, "no hash for entry 6"},
		{"a hash over four changed", func(l *audittest.Log) { flipAt(l, tlog.StoredHashIndex(2, 1)) }, audit.Tree, 4, 7, "over entries 4 to 7"},
		{"a hash over four removed", func(l *audittest.Log) { delete(l.Hashes, tlog.StoredHashIndex(2, 1)) }, audit.Tree, 4, 7, "over entries 4 to 7"},

		{"an entry rewritten with all its hashes", func(l *audittest.Log) {
			*at(l, 6) = forge("x", 6)
			regrow(l)
		}, audit.Rewritten, 5, 9, "From entry 5 on, the log is not the one that the checkpoint of size 10 signed."},
		{"a checkpoint changed", func(l *audittest.Log) { l.Checkpoints[10] = slices.Concat([]byte("x"), l.Checkpoints[10]) }, audit.Signature, 9, 9, "checkpoint of size 10"},
		{"a checkpoint under another size", func(l *audittest.Log) { l.Checkpoints[7] = l.Checkpoints[5] }, audit.Signature, 6, 6, "checkpoint of size 7"},
		{"a false checkpoint of a greater size", func(l *audittest.Log) { l.Checkpoints[99] = l.Checkpoints[12] }, audit.Signature, 12, 12, "checkpoint of size 99"},
		{"a checkpoint of a negative size", func(l *audittest.Log) { l.Checkpoints[-3] = l.Checkpoints[12] }, audit.Signature, 0, 0, "impossible size -3"},
		{"a checkpoint of another key", func(l *audittest.Log) {
			other := audittest.Keys("id.example.org/audit", "another")
			l.Checkpoints[10] = sign(t, audit.Checkpoint{Size: 10}, other)
		}, audit.Signature, 9, 9, "checkpoint of size 10"},
		{"the worst of several", func(l *audittest.Log) { at(l, 9).Code = "x"; drop(l, 7); at(l, 3).Count++; cut(l, 11) }, audit.Changed, 3, 3, "Entry 3"},
	}
	for _, tt := range tests {
		t.Run("sec-D03 "+tt.name, func(t *testing.T) {
			t.Parallel()
			l := whole.Clone()
			tt.harm(l)
			got := verify(t, l, audit.Options{}).Bad
			if got == nil {
				t.Fatal("found nothing")
			}
			if got.Harm != tt.want || got.First != tt.first || got.Last != tt.last || !strings.Contains(got.Text, tt.says) {
				t.Errorf("got %s %d–%d %q\nwant %s %d–%d %q", got.Harm, got.First, got.Last, got.Text, tt.want, tt.first, tt.last, tt.says)
			}
		})
	}
}

// Against a checkpoint kept elsewhere a log is known to be cut even where it was cut together
// with its checkpoints, and grown again with the true key.
func TestVerifyAgainstAnOutsideCheckpoint(t *testing.T) {
	t.Parallel()
	whole := aLog(t, 12, 5)
	outside := audit.Options{Checkpoint: whole.Checkpoints[12]}
	back := func(l *audittest.Log) { // to the checkpoint of 5, without a trace
		cut(l, 5)
		delete(l.Checkpoints, 10)
		delete(l.Checkpoints, 12)
		regrow(l)
	}
	t.Run("sec-D03 a whole log", func(t *testing.T) {
		report := wantWhole(t, whole, outside, 12)
		if report.Checkpoints != 4 || report.Head.Size != 12 {
			t.Errorf("compared %d checkpoints with a head of %d, want 4 and 12", report.Checkpoints, report.Head.Size)
		}
		wantWhole(t, whole, audit.Options{Checkpoint: whole.Checkpoints[5]}, 12)
	})
	t.Run("sec-D03 cut with its checkpoints", func(t *testing.T) {
		l := whole.Clone()
		back(l)
		wantWhole(t, l, audit.Options{}, 5) // the limit of what a log can say of itself
		if got := verify(t, l, outside).Bad; got == nil || got.Harm != audit.Truncated || got.First != 5 || got.Last != 11 {
			t.Errorf("got %+v, want truncated from 5 to 11", got)
		}
	})
	t.Run("sec-D03 cut and grown again", func(t *testing.T) {
		l := whole.Clone()
		back(l)
		record(t, l, 100, 9)
		sequence(t, l, 20)
		wantWhole(t, l, audit.Options{}, 14)
		if got := verify(t, l, outside).Bad; got == nil || got.Harm != audit.Rewritten || got.First != 0 || got.Last != 11 {
			t.Errorf("got %+v, want rewritten within 0 to 11", got)
		}
	})
	t.Run("a checkpoint that is none", func(t *testing.T) {
		for _, msg := range [][]byte{{}, []byte("x"), sign(t, point, audittest.Keys("id.example.org/audit", "another"))} {
			if _, err := audit.Verify(context.Background(), whole, keys.Known, audit.Options{Checkpoint: msg}); !errors.Is(err, audit.ErrCheckpoint) {
				t.Errorf("%q: %v, want ErrCheckpoint", msg, err)
			}
		}
	})
}

// D09: erasing takes salts and personal data, and the log still verifies.
func TestVerifyHoldsAfterErasure(t *testing.T) {
	t.Parallel()
	l := aLog(t, 12, 5)
	for i := range l.Rows {
		erase(&l.Rows[i])
	}
	if report := wantWhole(t, l, audit.Options{}, 12); report.Erased != 6 {
		t.Errorf("counted %d erased, want 6", report.Erased)
	}
	record(t, l, 12, 1)
	erase(&l.Rows[12]) // also before its entry was sequenced
	sequence(t, l, 5)
	if report := wantWhole(t, l, audit.Options{}, 13); report.Erased != 7 {
		t.Errorf("counted %d erased, want 7", report.Erased)
	}
}

func TestVerifyOfAnEmptyLog(t *testing.T) {
	t.Parallel()
	l := audittest.New()
	wantWhole(t, l, audit.Options{}, 0)
	record(t, l, 0, 3)
	if report := wantWhole(t, l, audit.Options{}, 0); report.Unsequenced != 3 {
		t.Errorf("%d wait, want 3", report.Unsequenced)
	}
}

// Keys are rotated: what an old key signed counts as long as that key is known.
func TestVerifyAcrossARotationOfTheKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := aLog(t, 5, 5)
	record(t, l, 5, 2)
	next := audittest.Keys("id.example.org/audit", "the next key")
	if _, err := audit.Sequence(ctx, l, next, lease, 5); !errors.Is(err, audit.ErrLogBroken) {
		t.Fatalf("sequenced without knowing the old key: %v", err)
	}
	next.Known = both{keys.Known, next.Known}
	if n, err := audit.Sequence(ctx, l, next, lease, 5); n != 2 || err != nil {
		t.Fatalf("sequenced %d, %v", n, err)
	}
	report, err := audit.Verify(ctx, l, next.Known, audit.Options{})
	if err != nil || report.Bad != nil || report.Checkpoints != 2 {
		t.Errorf("got %+v, %v", report, err)
	}
	if got := verify(t, l, audit.Options{}).Bad; got == nil || got.Harm != audit.Signature {
		t.Errorf("without the new key: %+v, want a signature not ours", got)
	}
}

type both [2]note.Verifiers

func (b both) Verifier(name string, hash uint32) (note.Verifier, error) {
	if v, err := b[0].Verifier(name, hash); err == nil {
		return v, nil
	}
	return b[1].Verifier(name, hash)
}

// bounded fails the test when more than a page is asked for at once.
type bounded struct {
	*audittest.Log
	t *testing.T
}

func (b bounded) LogEntries(ctx context.Context, from, to int64) ([]audit.Entry, error) {
	if to-from > 1024 {
		b.t.Errorf("asked for entries %d to %d at once", from, to)
	}
	return b.Log.LogEntries(ctx, from, to)
}

func (b bounded) LogHashRange(ctx context.Context, from, to int64) (map[int64]tlog.Hash, error) {
	if to-from > 2*1024+64 {
		b.t.Errorf("asked for hashes %d to %d at once", from, to)
	}
	return b.Log.LogHashRange(ctx, from, to)
}

func TestVerifyReadsByThePage(t *testing.T) {
	t.Parallel()
	l := bounded{aLog(t, 3000, 700), t}
	wantWhole(t, l, audit.Options{}, 3000)
	l.Log = l.Clone()
	a, b := at(l.Log, 500), at(l.Log, 2500) // in different pages
	a.Position, b.Position = 2500, 500
	if got := verify(t, l, audit.Options{}).Bad; got == nil || got.Text != "Entries 500 and 2500 have changed places." {
		t.Errorf("got %+v", got)
	}
	a.Position, b.Position = 500, 2500
	for _, edge := range []int64{1023, 1024, 2047, 2048, 2999} {
		harmed := bounded{l.Clone(), t}
		harmed.Rows = append(harmed.Rows, forge("x", edge))
		if got := verify(t, harmed, audit.Options{}).Bad; got == nil || got.First != edge {
			t.Errorf("inserted at %d: got %+v", edge, got)
		}
		harmed = bounded{l.Clone(), t}
		drop(harmed.Log, edge)
		if got := verify(t, harmed, audit.Options{}).Bad; got == nil || got.First != edge {
			t.Errorf("deleted at %d: got %+v", edge, got)
		}
	}
}

// growing is a log that grows, and drops its newest checkpoint, as soon as its extent was read.
type growing struct {
	*audittest.Log
	t *testing.T
}

func (g growing) LogExtent(ctx context.Context) (audit.Extent, error) {
	x, err := g.Log.LogExtent(ctx)
	record(g.t, g.Log, len(g.Rows), 5)
	if n, err := audit.Sequence(ctx, g.Log, keys, lease, 10); n != 5 || err != nil {
		g.t.Fatal(n, err)
	}
	return x, err
}

// On PostgreSQL each statement sees what was committed when it began.
func TestVerifyWhileTheLogGrows(t *testing.T) {
	t.Parallel()
	l := aLog(t, 12, 5)
	l.Clock = head(t, l).At // the next checkpoint is of the same hour
	report := wantWhole(t, growing{l, t}, audit.Options{}, 12)
	if _, kept := l.Checkpoints[12]; kept || report.Head.Size != 12 {
		t.Errorf("the checkpoint of 12 was kept: %v; the head is %+v", kept, report.Head)
	}
	wantWhole(t, l, audit.Options{}, 17)
}

// Whatever lawfully happens to a log — batches, erasure, pruning, thinned checkpoints — it
// verifies, and every later head is consistent with every earlier one.
func TestALawfulLogVerifies(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		l := audittest.New()
		var heads []audit.Checkpoint
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			record(t, l, len(l.Rows), rapid.IntRange(1, 12).Draw(t, "events"))
			sequence(t, l, rapid.IntRange(1, 9).Draw(t, "batch"))
			heads = append(heads, head(t, l))
			size := heads[len(heads)-1].Size
			switch rapid.IntRange(0, 3).Draw(t, "then") {
			case 0:
				erase(&l.Rows[rapid.Int64Range(0, size-1).Draw(t, "erase")])
			case 1:
				prune(t, l, audit.Pruning{From: 0, To: rapid.Int64Range(1, size).Draw(t, "to")})
			case 2:
				maps.DeleteFunc(l.Checkpoints, func(s int64, _ []byte) bool { return s < size && s%2 == 0 })
			}
		}
		report := verify(t, l, audit.Options{})
		if report.Bad != nil {
			t.Fatalf("found bad: %+v", *report.Bad)
		}
		last := heads[len(heads)-1]
		if report.Entries != last.Size || report.Head != last || report.Entries+report.Unsequenced != int64(len(l.Rows)) {
			t.Fatalf("got %+v, with a head of %+v and %d rows", report, last, len(l.Rows))
		}
		for _, earlier := range heads {
			p, err := audit.ProveConsistency(ctx, l, last.Size, earlier.Size)
			if err != nil {
				t.Fatal(err)
			}
			if err := audit.CheckConsistency(p, last, earlier); err != nil {
				t.Fatalf("from %d to %d: %v", earlier.Size, last.Size, err)
			}
		}
	})
}
