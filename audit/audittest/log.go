// Package audittest keeps an audit log in memory, for tests of its mathematics only: whatever a
// test says of storing it says with a real store. Its parts are open, so that a test can do to
// them what somebody with a database shell could.
package audittest

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/countersign-id/countersign/audit"
)

// Waiting is the position of an entry that has none.
const Waiting = -1

// Log is a stored log. It has no rollback and is not safe for concurrent use.
type Log struct {
	Clock       time.Time
	Rows        []audit.Entry // in the order of recording
	Hashes      map[int64]tlog.Hash
	Checkpoints map[int64][]byte
	Leases      map[string]Held

	waiting []int // indexes of the rows that Record added and PlaceEntries has not placed
}

// Held is a lease as stored.
type Held struct {
	Holder string
	Until  time.Time
}

var (
	_ audit.Tx       = (*Log)(nil)
	_ audit.Source   = (*Log)(nil)
	_ audit.Recorder = (*Log)(nil)
)

// New returns an empty log.
func New() *Log {
	return &Log{
		Clock:  time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC),
		Hashes: map[int64]tlog.Hash{}, Checkpoints: map[int64][]byte{}, Leases: map[string]Held{},
	}
}

// Clone returns a copy whose rows and hashes can be changed without changing l's. Rows are copied
// flatly: replace maps and slices within them, do not write to them.
func (l *Log) Clone() *Log {
	c := *l
	c.Rows, c.Hashes, c.Checkpoints = slices.Clone(l.Rows), maps.Clone(l.Hashes), maps.Clone(l.Checkpoints)
	c.Leases, c.waiting = maps.Clone(l.Leases), slices.Clone(l.waiting)
	return &c
}

// Keys returns keys made from a seed: the same origin and seed, the same keys.
func Keys(origin, seed string) audit.Keys {
	sum := sha256.Sum256([]byte(seed))
	key := ed25519.NewKeyFromSeed(sum[:])
	signer, err := audit.NewSigner(origin, key)
	if err != nil {
		panic(err)
	}
	verifier, err := audit.NewVerifier(origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	return audit.Keys{Signer: signer, Known: note.VerifierList(verifier)}
}

// Record adds an event as a store does: with its commitment, without a position.
func (l *Log) Record(_ context.Context, e audit.Event) error {
	if e.ID == "" {
		e.ID = fmt.Sprintf("%08d", len(l.Rows))
	}
	if e.At.IsZero() {
		e.At = l.Clock
	}
	row := audit.Entry{Event: e, Position: Waiting}
	row.Salt, row.Commitment = audit.Commit(e.Personal)
	l.waiting = append(l.waiting, len(l.Rows))
	l.Rows = append(l.Rows, row)
	return nil
}

// Now is Clock.
func (l *Log) Now() time.Time { return l.Clock }

// HoldLease implements audit.Tx.
func (l *Log) HoldLease(_ context.Context, name, holder string, until time.Time) (bool, error) {
	if h, ok := l.Leases[name]; ok && h.Holder != holder && l.Clock.Before(h.Until) {
		return false, nil
	}
	l.Leases[name] = Held{holder, until}
	return true, nil
}

// CheckLease implements audit.Tx.
func (l *Log) CheckLease(_ context.Context, name, holder string) (bool, error) {
	h, ok := l.Leases[name]
	return ok && h.Holder == holder && l.Clock.Before(h.Until), nil
}

// Unsequenced implements audit.Tx.
func (l *Log) Unsequenced(_ context.Context, limit int) ([]audit.Entry, error) {
	slices.SortFunc(l.waiting, func(a, b int) int { return cmp.Compare(l.Rows[a].ID, l.Rows[b].ID) })
	var taken []audit.Entry
	for _, i := range l.waiting[:min(limit, len(l.waiting))] {
		taken = append(taken, l.Rows[i])
	}
	return taken, nil
}

// PlaceEntries implements audit.Tx.
func (l *Log) PlaceEntries(_ context.Context, placed []audit.Entry) error {
	taken := make(map[int64]bool, len(l.Rows))
	for i := range l.Rows {
		taken[l.Rows[i].Position] = true
	}
	at := make(map[string]int, len(l.waiting))
	for _, i := range l.waiting {
		at[l.Rows[i].ID] = i
	}
	for _, e := range placed {
		i, ok := at[e.ID]
		if !ok || l.Rows[i].Position != Waiting {
			return fmt.Errorf("entry %s does not wait", e.ID)
		}
		if taken[e.Position] {
			return fmt.Errorf("position %d is taken", e.Position)
		}
		l.Rows[i].Position, l.Rows[i].Hash = e.Position, e.Hash
	}
	l.waiting = slices.DeleteFunc(l.waiting, func(i int) bool { return l.Rows[i].Position != Waiting })
	return nil
}

// LogHashes implements audit.Tx.
func (l *Log) LogHashes(_ context.Context, indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, ok := l.Hashes[index]
		if !ok {
			return nil, fmt.Errorf("no hash at %d", index)
		}
		hashes[i] = h
	}
	return hashes, nil
}

// PutLogHashes implements audit.Tx.
func (l *Log) PutLogHashes(_ context.Context, first int64, hashes []tlog.Hash) error {
	for i, h := range hashes {
		index := first + int64(i)
		if _, taken := l.Hashes[index]; taken {
			return fmt.Errorf("hash at %d is taken", index)
		}
		l.Hashes[index] = h
	}
	return nil
}

// NewestCheckpoint implements audit.Tx.
func (l *Log) NewestCheckpoint(context.Context) ([]byte, error) {
	if len(l.Checkpoints) == 0 {
		return nil, nil
	}
	return l.Checkpoints[slices.Max(slices.Collect(maps.Keys(l.Checkpoints)))], nil
}

// PutCheckpoint implements audit.Tx.
func (l *Log) PutCheckpoint(_ context.Context, size int64, signed []byte) error {
	if _, taken := l.Checkpoints[size]; taken {
		return fmt.Errorf("size %d has a checkpoint", size)
	}
	l.Checkpoints[size] = signed
	return nil
}

// DropCheckpoint implements audit.Tx.
func (l *Log) DropCheckpoint(_ context.Context, size int64) error {
	delete(l.Checkpoints, size)
	return nil
}

// LogExtent implements audit.Source.
func (l *Log) LogExtent(context.Context) (audit.Extent, error) {
	var x audit.Extent
	for i := range l.Rows {
		p := l.Rows[i].Position
		if p == Waiting {
			x.Unsequenced++
			continue
		}
		x.Entries++
		x.End = max(x.End, p+1)
	}
	for size := range l.Checkpoints {
		x.Signed = max(x.Signed, size)
	}
	x.Head = l.Checkpoints[x.Signed]
	return x, nil
}

// LogEntries implements audit.Source.
func (l *Log) LogEntries(_ context.Context, from, to int64) ([]audit.Entry, error) {
	var found []audit.Entry
	for _, e := range l.Rows {
		if from <= e.Position && e.Position < to {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b audit.Entry) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(int64(len(found)), to-from+1)], nil
}

// LogHashRange implements audit.Source.
func (l *Log) LogHashRange(_ context.Context, from, to int64) (map[int64]tlog.Hash, error) {
	found := make(map[int64]tlog.Hash)
	for i := from; i < to; i++ {
		if h, ok := l.Hashes[i]; ok {
			found[i] = h
		}
	}
	return found, nil
}

// LogCheckpoints implements audit.Source.
func (l *Log) LogCheckpoints(_ context.Context, from, to int64) (map[int64][]byte, error) {
	found := make(map[int64][]byte)
	for size, signed := range l.Checkpoints {
		if from < size && size <= to {
			found[size] = signed
		}
	}
	return found, nil
}

// LogPrunings implements audit.Source.
func (l *Log) LogPrunings(context.Context) ([]audit.Event, error) {
	var found []audit.Event
	for i := range l.Rows {
		if l.Rows[i].Kind == audit.Pruned {
			found = append(found, l.Rows[i].Event)
		}
	}
	return found, nil
}
