package audit_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/audit/audittest"
)

// A tampering harms l at random and returns where the first bad entry is, or false where it finds
// nothing to harm. Where exact is false the damage can only be told to a range around first.
type tampering func(r *rand.Rand, l *audittest.Log) (first int64, exact, done bool)

var tamperings = map[string]tampering{
	"flip a byte of an entry": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		e := anEntry(r, l)
		return e.Position, true, flipEntry(r, e)
	},
	"flip a bit of a position": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		e := anEntry(r, l)
		from := e.Position
		e.Position ^= 1 << r.IntN(64)
		if e.Position < 0 {
			return from, true, true
		}
		return min(from, e.Position), true, true
	},
	"flip a byte of a leaf's hash in the tree": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		p := r.Int64N(size(l))
		flipHash(r, l, tlog.StoredHashIndex(0, p))
		return p, true, true
	},
	"flip a byte of any hash in the tree": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		index := r.Int64N(tlog.StoredHashCount(size(l)))
		flipHash(r, l, index)
		level, n := tlog.SplitStoredHashIndex(index)
		return n << level, true, true
	},
	"remove a hash of the tree": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		index := r.Int64N(tlog.StoredHashCount(size(l)))
		delete(l.Hashes, index)
		level, n := tlog.SplitStoredHashIndex(index)
		return n << level, true, true
	},
	"flip a byte of a checkpoint": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		sizes := slices.Sorted(maps.Keys(l.Checkpoints))
		s := sizes[r.IntN(len(sizes))]
		l.Checkpoints[s] = flipByte(r, l.Checkpoints[s])
		return s - 1, true, true
	},
	"delete": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		p := r.Int64N(size(l))
		drop(l, p)
		return p, true, true
	},
	"delete and close the gap": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		p := r.Int64N(size(l))
		drop(l, p)
		shift(l, p, -1)
		return p, true, true
	},
	"insert": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		p := r.Int64N(size(l) + 1)
		shift(l, p, 1)
		l.Rows = append(l.Rows, forge("x", p))
		return p, true, true
	},
	"insert without making room": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		p := r.Int64N(size(l))
		l.Rows = append(l.Rows, forge(fmt.Sprint(r.Uint64()), p))
		return p, true, true
	},
	"insert a copy": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		e := *anEntry(r, l)
		p := r.Int64N(size(l) + 1)
		if p == e.Position || p == e.Position+1 {
			p = e.Position + 1 // the copy follows the original, whichever is which
		}
		shift(l, p, 1)
		e.Position = p
		l.Rows = append(l.Rows, e)
		return p, true, true
	},
	"swap": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		a, b := anEntry(r, l), anEntry(r, l)
		first := min(a.Position, b.Position)
		a.Position, b.Position = b.Position, a.Position
		return first, true, a != b
	},
	"swap and give each the other's hash": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		a, b := anEntry(r, l), anEntry(r, l)
		first := min(a.Position, b.Position)
		a.Position, b.Position = b.Position, a.Position
		a.Hash, b.Hash = b.Hash, a.Hash
		return first, true, a != b && !(a.Pruned && b.Pruned)
	},
	"truncate": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		s := r.Int64N(size(l))
		cut(l, s)
		return s, true, true
	},
	"truncate with hashes": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		s := r.Int64N(size(l))
		cut(l, s)
		maps.DeleteFunc(l.Hashes, func(i int64, _ tlog.Hash) bool { return i >= tlog.StoredHashCount(s) })
		return s, false, true
	},
	"truncate with hashes and unfit checkpoints": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		s := r.Int64N(size(l))
		cut(l, s)
		maps.DeleteFunc(l.Hashes, func(i int64, _ tlog.Hash) bool { return i >= tlog.StoredHashCount(s) })
		maps.DeleteFunc(l.Checkpoints, func(c int64, _ []byte) bool { return c > s })
		_, unseen := l.Checkpoints[s] // only an outside checkpoint can tell
		return s - 1, false, !unseen && s > 0
	},
	"empty": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		e := anEntry(r, l)
		if e.Pruned {
			return 0, true, false
		}
		empty(e)
		return e.Position, true, true
	},
	"rewrite with hash and tree": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		e := anEntry(r, l)
		*e = forge(e.ID, e.Position)
		regrow(l)
		return e.Position, false, true
	},
	"delete and grow the tree anew": func(r *rand.Rand, l *audittest.Log) (int64, bool, bool) {
		p := r.Int64N(size(l) - 1)
		drop(l, p)
		shift(l, p, -1)
		regrow(l)
		return p, false, true
	},
}

func size(l *audittest.Log) int64 { return int64(len(l.Rows)) }

func anEntry(r *rand.Rand, l *audittest.Log) *audit.Entry { return at(l, r.Int64N(size(l))) }

func flipByte[T ~string | ~[]byte](r *rand.Rand, s T) T {
	if len(s) == 0 {
		return T([]byte{byte(r.Uint32())})
	}
	b := slices.Clone([]byte(s))
	b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	return T(b)
}

func flipHash(r *rand.Rand, l *audittest.Log, index int64) {
	h := l.Hashes[index]
	copy(h[:], flipByte(r, h[:]))
	l.Hashes[index] = h
}

func flipMap(r *rand.Rand, m map[string]string) map[string]string {
	m = maps.Clone(m)
	if len(m) == 0 {
		return map[string]string{"x": ""}
	}
	keys := slices.Sorted(maps.Keys(m))
	k := keys[r.IntN(len(keys))]
	switch v := m[k]; r.IntN(3) {
	case 0:
		delete(m, k)
	case 1:
		delete(m, k)
		m[flipByte(r, k)] = v
	default:
		m[k] = flipByte(r, v)
	}
	return m
}

// flipEntry changes one byte of one column of e; false where the column has none to change.
func flipEntry(r *rand.Rand, e *audit.Entry) bool {
	texts := [...]*string{
		(*string)(&e.Kind), (*string)(&e.Outcome), &e.Code,
		&e.Actor, &e.Subject, &e.Client, &e.Session, &e.Grant, &e.Request,
	}
	switch column := r.IntN(len(texts) + 9); column {
	default:
		*texts[column-9] = flipByte(r, *texts[column-9])
	case 0: // a pruned entry's id hangs on nothing
		e.ID = flipByte(r, e.ID)
		return !e.Pruned
	case 1:
		e.At = time.UnixMicro(e.At.UnixMicro() ^ 1<<r.IntN(40))
	case 2:
		e.Count ^= 1 << r.IntN(63)
	case 3:
		e.Detail = flipMap(r, e.Detail)
	case 4:
		e.Personal = flipMap(r, e.Personal)
		return e.Pruned || len(e.Personal) > 0 || len(e.Salt) > 0
	case 5:
		e.Salt = flipByte(r, e.Salt)
	case 6:
		e.Commitment = flipByte(r, e.Commitment)
	case 7:
		copy(e.Hash[:], flipByte(r, e.Hash[:]))
	case 8:
		e.Pruned = !e.Pruned
	}
	return true
}

func samePrunings(a, b *audittest.Log) bool {
	of := func(l *audittest.Log) map[string]bool {
		statements := map[string]bool{}
		for i := range l.Rows {
			if e := l.Rows[i].Event; e.Kind == audit.Pruned {
				statements[e.Detail["from"]+" "+e.Detail["to"]+" "+e.Detail["statement"]] = true
			}
		}
		return statements
	}
	return maps.Equal(of(a), of(b))
}

// remembered is a verifier that does the sums of each signature once. Nothing else changes.
type remembered struct {
	note.Verifier
	mu   *sync.Mutex
	seen map[[2]string]bool
}

func (v remembered) Verify(msg, sig []byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := [2]string{string(msg), string(sig)}
	good, ok := v.seen[key]
	if !ok {
		good = v.Verifier.Verify(msg, sig)
		v.seen[key] = good
	}
	return good
}

func (v remembered) list() note.Verifiers { return note.VerifierList(v) }

// randomLog is a log as years of lawful running leave it.
func randomLog(t *testing.T, r *rand.Rand) *audittest.Log {
	l := audittest.New()
	for range 1 + r.IntN(3) {
		record(t, l, len(l.Rows), 2+r.IntN(10))
		sequence(t, l, 1+r.IntN(9))
		erase(&l.Rows[r.IntN(len(l.Rows))])
		if r.IntN(3) == 0 {
			prune(t, l, audit.Pruning{From: 0, To: 1 + r.Int64N(size(l)-1)})
			sequence(t, l, 4)
		}
	}
	return l
}

// Every one of 10,000 random tamperings is found, and where it begins is named.
func TestEveryTamperingIsFound(t *testing.T) {
	t.Parallel()
	rounds := 10_000
	if testing.Short() {
		rounds = 1_000
	}
	verifier, err := keys.Known.Verifier(keys.Signer.Name(), keys.Signer.KeyHash())
	if err != nil {
		t.Fatal(err)
	}
	known := remembered{verifier, new(sync.Mutex), map[[2]string]bool{}}.list()
	names := slices.Sorted(maps.Keys(tamperings))
	found := map[string]int{}
	r := rand.New(rand.NewPCG(1, 2))
	var whole *audittest.Log
	for i := 0; i < rounds; {
		if whole == nil || r.IntN(100) == 0 {
			whole = randomLog(t, r)
			wantWhole(t, whole, audit.Options{}, size(whole))
		}
		name := names[r.IntN(len(names))]
		l := whole.Clone()
		first, exact, done := tamperings[name](r, l)
		if !done {
			continue
		}
		i++
		found[name]++
		report, err := audit.Verify(t.Context(), l, known, audit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		bad := report.Bad
		switch {
		case bad == nil:
			t.Fatalf("sec-D03 %s at %d of %d: found nothing", name, first, size(whole))
		case bad.Harm == audit.Emptied && bad.First < first && !samePrunings(l, whole):
			// What was harmed is the event that excused this entry, which comes first.
		case exact && bad.First != first:
			t.Fatalf("sec-D03 %s at %d of %d: found %+v", name, first, size(whole), *bad)
		case bad.First > first || bad.Last < bad.First || !exact && bad.Last < first:
			t.Fatalf("sec-D03 %s at %d of %d is not within %+v", name, first, size(whole), *bad)
		}
	}
	for _, name := range names {
		if found[name] < rounds/100 {
			t.Errorf("%s was tried only %d times", name, found[name])
		}
	}
}
