package audit_test

import (
	"context"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/audit/audittest"
)

// straight reads a log whose rows lie in the order of their positions without searching, so that
// the benchmark measures the mathematics.
type straight struct {
	*audittest.Log
	hashes []tlog.Hash
}

func (s straight) LogEntries(_ context.Context, from, to int64) ([]audit.Entry, error) {
	return s.Rows[from:to], nil
}

func (s straight) LogHashRange(_ context.Context, from, to int64) (map[int64]tlog.Hash, error) {
	found := make(map[int64]tlog.Hash, to-from)
	for i := from; i < to; i++ {
		found[i] = s.hashes[i]
	}
	return found, nil
}

func (s straight) LogCheckpoints(_ context.Context, from, to int64) (map[int64][]byte, error) {
	found := make(map[int64][]byte)
	for size := max(from, 0) + 1; size <= to; size++ {
		if signed, ok := s.Checkpoints[size]; ok {
			found[size] = signed
		}
	}
	return found, nil
}

// Verifying 1e6 entries may take 30 s, reading them included; see s/1e6.
func BenchmarkVerify(b *testing.B) {
	for name, batch := range map[string]int{"batches of 100": 100, "a checkpoint for each": 1} {
		b.Run(name, func(b *testing.B) {
			const n = 10_000
			s := straight{Log: aLog(b, n, batch)}
			for i := range tlog.StoredHashCount(n) {
				s.hashes = append(s.hashes, s.Hashes[i])
			}
			b.ReportAllocs()
			for b.Loop() {
				if report := verify(b, s, audit.Options{}); report.Bad != nil || report.Entries != n {
					b.Fatalf("%+v", report)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/n*1e6, "s/1e6")
		})
	}
}

// One operation is a batch of 1000 events on a log that has 1000.
func BenchmarkSequence(b *testing.B) {
	const n = 1000
	begun := aLog(b, n, n)
	record(b, begun, n, n)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		l := begun.Clone()
		b.StartTimer()
		if got, err := audit.Sequence(context.Background(), l, keys, lease, n); got != n || err != nil {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/n*1e6, "s/1e6")
}

func BenchmarkLeafHash(b *testing.B) {
	e := sample()
	salt, commitment := audit.Commit(e.Personal)
	if !audit.CheckCommitment(salt, commitment, e.Personal) {
		b.Fatal("no commitment")
	}
	b.ReportAllocs()
	for b.Loop() {
		audit.LeafHash(e, commitment)
	}
}
