package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/audit/audittest"
)

var (
	keys  = audittest.Keys("id.example.org/audit", "log key")
	lease = audit.Lease{Name: "audit-sequencer", Holder: "a"}
)

// record adds n events with ids from first on, every second one with personal data.
func record(t interface{ Fatal(...any) }, l *audittest.Log, first, n int) {
	for i := first; i < first+n; i++ {
		e := audit.Event{
			ID: fmt.Sprintf("%08d", i), At: l.Clock.Add(time.Duration(i) * time.Millisecond),
			Kind: audit.SessionStarted, Outcome: audit.OK, Actor: fmt.Sprintf("account:%d", i%7),
			Session: fmt.Sprintf("s%d", i), Detail: map[string]string{"level": "aal1"}, Count: i % 3,
		}
		if i%2 == 0 {
			e.Personal = map[string]string{audit.Address: fmt.Sprintf("192.0.2.%d", i%250)}
		}
		if err := l.Record(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// sequence puts all that waits into l, limit at a time. A batch takes an hour, so that its
// checkpoint is kept.
func sequence(t interface{ Fatal(...any) }, l *audittest.Log, limit int) {
	ctx := context.Background()
	for {
		l.Clock = l.Clock.Add(time.Hour)
		if held, err := lease.Hold(ctx, l, time.Minute); !held || err != nil {
			t.Fatal("no lease:", err)
		}
		n, err := audit.Sequence(ctx, l, keys, lease, limit)
		if err != nil {
			t.Fatal(err)
		}
		if n < limit {
			return
		}
	}
}

// aLog is a log of n entries in batches, each with its checkpoint.
func aLog(t interface{ Fatal(...any) }, n, batch int) *audittest.Log {
	l := audittest.New()
	record(t, l, 0, n)
	sequence(t, l, batch)
	return l
}

func head(t interface{ Fatal(...any) }, l *audittest.Log) audit.Checkpoint {
	signed, err := l.NewestCheckpoint(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	c, err := audit.Open(signed, keys.Known)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Batches of any size must give the tree that tlog gives for the same leaves, one by one.
func TestSequenceBuildsTheTreeOfRFC6962(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := audittest.New()
		var want []tlog.Hash
		read := tlog.HashReaderFunc(func(indexes []int64) (hashes []tlog.Hash, err error) {
			for _, i := range indexes {
				hashes = append(hashes, want[i])
			}
			return hashes, nil
		})
		var size int64
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			n := rapid.IntRange(0, 20).Draw(t, "events")
			record(t, l, int(size), n)
			sequence(t, l, rapid.IntRange(1, 20).Draw(t, "batch"))
			for range n {
				e := l.Rows[size]
				if e.Position != size {
					t.Fatalf("entry %s has position %d, want %d", e.ID, e.Position, size)
				}
				hashes, err := tlog.StoredHashes(size, audit.Leaf(e.Event, e.Commitment), read)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, hashes...)
				size++
			}
		}
		if len(l.Hashes) != len(want) {
			t.Fatalf("stored %d hashes, want %d", len(l.Hashes), len(want))
		}
		for i, h := range want {
			if l.Hashes[int64(i)] != h {
				t.Fatalf("hash %d differs", i)
			}
		}
		if size == 0 {
			return
		}
		root, err := tlog.TreeHash(size, read)
		if err != nil {
			t.Fatal(err)
		}
		if c := head(t, l); c.Size != size || c.Root != root || c.Origin != "id.example.org/audit" || c.At.After(l.Clock) {
			t.Fatalf("the head is %+v, want size %d and root %s", c, size, root)
		}
	})
}

// An event that was written early and committed late has a lower id than entries already in the
// log. A sequencer that looked above a mark would lose it.
func TestSequenceTakesALateCommitWithALowerID(t *testing.T) {
	t.Parallel()
	l := audittest.New()
	record(t, l, 5, 3)
	sequence(t, l, 10)
	record(t, l, 1, 2)
	sequence(t, l, 10)
	got := map[string]int64{}
	for _, e := range l.Rows {
		got[e.ID] = e.Position
	}
	want := map[string]int64{"00000005": 0, "00000006": 1, "00000007": 2, "00000001": 3, "00000002": 4}
	for id, p := range want {
		if got[id] != p {
			t.Errorf("entry %s has position %d, want %d", id, got[id], p)
		}
	}
	wantWhole(t, l, audit.Options{}, 5)
}

func TestSequenceNeedsTheLease(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := audittest.New()
	record(t, l, 0, 2)
	other := audit.Lease{Name: lease.Name, Holder: "b"}
	hold := func(by audit.Lease, want bool) {
		t.Helper()
		if got, err := by.Hold(ctx, l, 10*time.Second); got != want || err != nil {
			t.Errorf("%s holds the lease: %v, %v, want %v", by.Holder, got, err, want)
		}
	}
	sequences := func(by audit.Lease, n int, want error) {
		t.Helper()
		if got, err := audit.Sequence(ctx, l, keys, by, 1); got != n || !errors.Is(err, want) {
			t.Errorf("%s sequences %d, %v, want %d, %v", by.Holder, got, err, n, want)
		}
	}
	sequences(lease, 0, audit.ErrLeaseLost)
	hold(lease, true)
	hold(other, false)
	sequences(other, 0, audit.ErrLeaseLost)
	sequences(lease, 1, nil)
	l.Clock = l.Clock.Add(9 * time.Second)
	hold(lease, true) // renewed
	l.Clock = l.Clock.Add(9 * time.Second)
	hold(other, false)
	l.Clock = l.Clock.Add(time.Second) // expired: lost to its holder before anybody takes it
	sequences(lease, 0, audit.ErrLeaseLost)
	hold(other, true)
	hold(lease, false)
	sequences(lease, 0, audit.ErrLeaseLost)
	sequences(other, 1, nil)
	sequences(other, 0, nil)
	wantWhole(t, l, audit.Options{}, 2)
}

// Signing on from a log that is not the one that was signed would bless what was done to it.
func TestSequenceRefusesToGrowABrokenLog(t *testing.T) {
	t.Parallel()
	tests := map[string]func(l *audittest.Log){
		"a hash of the frontier was changed": func(l *audittest.Log) {
			index := tlog.StoredHashIndex(2, 0)
			h := l.Hashes[index]
			h[0] ^= 1
			l.Hashes[index] = h
		},
		"the newest checkpoint was changed": func(l *audittest.Log) {
			l.Checkpoints[6][3] ^= 1
		},
		"the newest checkpoint is of another key": func(l *audittest.Log) {
			c := head(t, l)
			signed, err := audit.Sign(c, audittest.Keys("id.example.org/audit", "another").Signer)
			if err != nil {
				t.Fatal(err)
			}
			l.Checkpoints[6] = signed
		},
		"the newest checkpoint was put back, its entries not": func(l *audittest.Log) {
			delete(l.Checkpoints, 6)
		},
	}
	for name, harm := range tests {
		t.Run("sec-D03 "+name, func(t *testing.T) {
			l := aLog(t, 6, 3)
			record(t, l, 6, 1)
			harm(l)
			before := len(l.Checkpoints)
			n, err := audit.Sequence(context.Background(), l, keys, lease, 10)
			if n != 0 || err == nil {
				t.Errorf("sequenced %d with %v, want a fault", n, err)
			}
			if len(l.Checkpoints) != before {
				t.Error("a checkpoint was signed")
			}
		})
	}
}

func TestSequenceKeepsTheLastCheckpointOfEachHour(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l := audittest.New()
	l.Clock = noon.Add(59 * time.Minute)
	var kept []int64
	for i, wait := range []time.Duration{0, 59 * time.Second, time.Second, 0, 59 * time.Minute, time.Minute, 24 * time.Hour} {
		l.Clock = l.Clock.Add(wait)
		record(t, l, i, 1)
		if held, err := lease.Hold(ctx, l, time.Second); !held || err != nil {
			t.Fatal("no lease:", err)
		}
		if n, err := audit.Sequence(ctx, l, keys, lease, 10); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		wantWhole(t, l, audit.Options{}, int64(i)+1)
	}
	for size := range l.Checkpoints {
		kept = append(kept, size)
	}
	slices.Sort(kept)
	if want := []int64{2, 5, 6, 7}; !slices.Equal(kept, want) { // 12:59:59, 13:59, 14:00, the next day
		t.Errorf("kept the checkpoints of sizes %d, want %d", kept, want)
	}
}

type failing struct {
	*audittest.Log
	at string
}

var errStore = errors.New("the disk is gone")

func (f failing) CheckLease(ctx context.Context, name, holder string) (bool, error) {
	if f.at == "lease" {
		return false, errStore
	}
	return f.Log.CheckLease(ctx, name, holder)
}

func (f failing) Unsequenced(ctx context.Context, limit int) ([]audit.Entry, error) {
	if f.at == "events" {
		return nil, errStore
	}
	return f.Log.Unsequenced(ctx, limit)
}

func (f failing) NewestCheckpoint(ctx context.Context) ([]byte, error) {
	if f.at == "head" {
		return nil, errStore
	}
	return f.Log.NewestCheckpoint(ctx)
}

func (f failing) LogHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	if f.at == "frontier" {
		return nil, errStore
	}
	return f.Log.LogHashes(ctx, indexes)
}

func (f failing) PlaceEntries(ctx context.Context, placed []audit.Entry) error {
	if f.at == "place" {
		return errStore
	}
	return f.Log.PlaceEntries(ctx, placed)
}

func (f failing) PutLogHashes(ctx context.Context, first int64, hashes []tlog.Hash) error {
	if f.at == "hashes" {
		return errStore
	}
	return f.Log.PutLogHashes(ctx, first, hashes)
}

func (f failing) PutCheckpoint(ctx context.Context, size int64, signed []byte) error {
	if f.at == "checkpoint" {
		return errStore
	}
	return f.Log.PutCheckpoint(ctx, size, signed)
}

func (f failing) DropCheckpoint(ctx context.Context, size int64) error {
	if f.at == "drop" {
		return errStore
	}
	return f.Log.DropCheckpoint(ctx, size)
}

// A fault of the store must come out, so that the transaction rolls back as a whole.
func TestSequenceReportsEveryFaultOfTheStore(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"lease", "events", "head", "frontier", "place", "hashes", "checkpoint", "drop"} {
		l := aLog(t, 3, 3)
		l.Clock = head(t, l).At // within its hour, so that it is dropped
		record(t, l, 3, 1)
		if n, err := audit.Sequence(context.Background(), failing{l, at}, keys, lease, 10); n != 0 || !errors.Is(err, errStore) {
			t.Errorf("fault at %s: got %d, %v", at, n, err)
		}
	}
}
