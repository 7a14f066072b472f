package audit_test

import (
	"context"
	"maps"
	"testing"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/audit/audittest"
)

func TestVerifyCountsPrunedEntriesUnderTheirPruning(t *testing.T) {
	t.Parallel()
	l := aLog(t, 12, 5)
	prune(t, l, audit.Pruning{From: 0, To: 4})
	if report := wantWhole(t, l, audit.Options{}, 12); report.Pruned != 4 || report.Unsequenced != 1 {
		t.Errorf("before its event is sequenced: %d pruned, %d wait, want 4 and 1", report.Pruned, report.Unsequenced)
	}
	sequence(t, l, 5)
	record(t, l, 13, 3)
	sequence(t, l, 5)
	if report := wantWhole(t, l, audit.Options{}, 16); report.Pruned != 4 || report.Unsequenced != 0 {
		t.Errorf("%d pruned, %d wait, want 4 and 0", report.Pruned, report.Unsequenced)
	}
	t.Run("sec-D03 a body beyond the range", func(t *testing.T) {
		l := l.Clone()
		empty(at(l, 4))
		if got := verify(t, l, audit.Options{}).Bad; got == nil || got.Harm != audit.Emptied || got.First != 4 {
			t.Errorf("got %+v, want entry 4 emptied", got)
		}
	})
	t.Run("sec-D03 the pruning's event removed", func(t *testing.T) {
		l := l.Clone()
		drop(l, 12)
		if got := verify(t, l, audit.Options{}).Bad; got == nil || got.First != 0 || got.Harm != audit.Emptied {
			t.Errorf("got %+v, want entry 0 emptied", got)
		}
	})
	t.Run("a pruning that takes the earlier one along", func(t *testing.T) {
		l := l.Clone()
		prune(t, l, audit.Pruning{From: 0, To: 14})
		sequence(t, l, 5)
		if report := wantWhole(t, l, audit.Options{}, 17); report.Pruned != 14 {
			t.Errorf("%d pruned, want 14", report.Pruned)
		}
	})
	t.Run("prunings side by side", func(t *testing.T) {
		l := l.Clone()
		prune(t, l, audit.Pruning{From: 6, To: 8})
		prune(t, l, audit.Pruning{From: 4, To: 6})
		prune(t, l, audit.Pruning{From: 10, To: 11})
		sequence(t, l, 5)
		if report := wantWhole(t, l, audit.Options{}, 19); report.Pruned != 9 {
			t.Errorf("%d pruned, want 9", report.Pruned)
		}
		empty(at(l, 9))
		if got := verify(t, l, audit.Options{}).Bad; got == nil || got.First != 9 || got.Harm != audit.Emptied {
			t.Errorf("got %+v, want entry 9 emptied", got)
		}
	})
}

// Whoever can add a row can have it sequenced. That must not be enough to excuse emptied entries.
func TestVerifyTakesOnlySignedPrunings(t *testing.T) {
	t.Parallel()
	other, err := audit.Pruning{From: 0, To: 4}.Event(audittest.Keys("id.example.org/audit", "another").Signer)
	if err != nil {
		t.Fatal(err)
	}
	narrow, err := audit.Pruning{From: 0, To: 1}.Event(keys.Signer)
	if err != nil {
		t.Fatal(err)
	}
	wide := narrow
	wide.Detail = maps.Clone(narrow.Detail)
	wide.Detail["to"] = "4"
	backwards, err := audit.Pruning{From: 4, To: 0}.Event(keys.Signer)
	if err != nil {
		t.Fatal(err)
	}
	whole := aLog(t, 12, 5)
	for name, e := range map[string]audit.Event{
		"no statement":             {Kind: audit.Pruned, Detail: map[string]string{"from": "0", "to": "4"}},
		"another key":              other,
		"a range not in statement": wide,
		"a range that is none":     backwards,
		"a checkpoint":             {Kind: audit.Pruned, Detail: map[string]string{"from": "0", "to": "4", "statement": string(whole.Checkpoints[5])}},
	} {
		t.Run("sec-D03 "+name, func(t *testing.T) {
			l := whole.Clone()
			if err := l.Record(context.Background(), e); err != nil {
				t.Fatal(err)
			}
			sequence(t, l, 5)
			wantWhole(t, l, audit.Options{}, 13)
			empty(at(l, 2))
			if got := verify(t, l, audit.Options{}).Bad; got == nil || got.First != 2 || got.Harm != audit.Emptied {
				t.Errorf("got %+v, want entry 2 emptied", got)
			}
		})
	}
}

// A range without entries, should one ever be signed, must not hide the others.
func TestVerifyPassesOverAnEmptyPruning(t *testing.T) {
	t.Parallel()
	l := aLog(t, 12, 5)
	for _, p := range []audit.Pruning{{From: 0, To: 3}, {From: 4, To: 0}, {From: 5, To: 9}} {
		prune(t, l, p)
	}
	if report := wantWhole(t, l, audit.Options{}, 12); report.Pruned != 7 {
		t.Errorf("%d pruned, want 7", report.Pruned)
	}
}
