package audit_test

import (
	"context"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/audit/audittest"
)

// prune removes bodies as retention does, and records why.
func prune(t interface{ Fatal(...any) }, l *audittest.Log, p audit.Pruning) {
	for i := range l.Rows {
		if at := l.Rows[i].Position; p.From <= at && at < p.To {
			empty(&l.Rows[i])
		}
	}
	e, err := p.Event(keys.Signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Record(context.Background(), e); err != nil {
		t.Fatal(err)
	}
}

func empty(e *audit.Entry) {
	*e = audit.Entry{Event: audit.Event{ID: e.ID}, Position: e.Position, Hash: e.Hash, Pruned: true}
}

func erase(e *audit.Entry) { e.Personal, e.Salt = nil, nil }

// at returns the row at a position.
func at(l *audittest.Log, position int64) *audit.Entry {
	return &l.Rows[slices.IndexFunc(l.Rows, func(e audit.Entry) bool { return e.Position == position })]
}

// shift adds by to the positions from from on, as one who closes or opens a gap does.
func shift(l *audittest.Log, from, by int64) {
	for i := range l.Rows {
		if l.Rows[i].Position >= from {
			l.Rows[i].Position += by
		}
	}
}

func drop(l *audittest.Log, position int64) {
	l.Rows = slices.DeleteFunc(l.Rows, func(e audit.Entry) bool { return e.Position == position })
}

func cut(l *audittest.Log, size int64) {
	l.Rows = slices.DeleteFunc(l.Rows, func(e audit.Entry) bool { return e.Position >= size })
}

// forge is an entry as a good forger makes one: sound in itself.
func forge(id string, position int64) audit.Entry {
	e := audit.Entry{Event: audit.Event{ID: id, At: noon, Kind: audit.RoleAssigned, Outcome: audit.OK, Actor: "account:evil"}, Position: position}
	e.Hash = audit.LeafHash(e.Event, nil)
	return e
}

// regrow makes the tree anew from the rows, as one who knows our program could.
func regrow(l *audittest.Log) {
	clear(l.Hashes)
	entries, _ := l.LogEntries(context.Background(), 0, int64(len(l.Rows)))
	for i := range entries {
		hashes, err := tlog.StoredHashesForRecordHash(int64(i), entries[i].Hash, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			return l.LogHashes(context.Background(), indexes)
		}))
		if err != nil {
			panic(err)
		}
		for j, h := range hashes {
			l.Hashes[tlog.StoredHashIndex(0, int64(i))+int64(j)] = h
		}
	}
}

func flip(h *tlog.Hash) { h[5] ^= 4 }

func flipAt(l *audittest.Log, index int64) {
	h := l.Hashes[index]
	flip(&h)
	l.Hashes[index] = h
}
