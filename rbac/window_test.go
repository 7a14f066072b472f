package rbac

import (
	"slices"
	"testing"
)

// Windows by every instant: what meet, minus and union say of any lists of short windows is what each instant says.
func TestWindowsByEveryInstant(t *testing.T) {
	t.Parallel()
	const last = 4
	var some []Window
	for from := range Instant(last) {
		some = append(some, Window{From: from})
		for to := from + 1; to <= last; to++ {
			some = append(some, Window{from, to})
		}
	}
	lists := [][]Window{nil}
	for _, a := range some {
		lists = append(lists, []Window{a})
		for _, b := range some {
			lists = append(lists, []Window{a, b}, []Window{a, b, {1, 2}})
		}
	}
	in := func(ws []Window, at Instant) bool {
		return slices.ContainsFunc(ws, func(w Window) bool { return w.Holds(at) })
	}
	// clean: each holds something, they are in order, and none begins before the one before it has ended.
	clean := func(ws []Window) bool {
		for i, w := range ws {
			if !w.Valid() || w.To == Forever || i > 0 && w.From < ws[i-1].End() {
				return false
			}
		}
		return true
	}

	var joined [][]Window
	for _, ws := range lists {
		was := slices.Clone(ws)
		got := union(ws)
		if !slices.Equal(ws, was) {
			t.Fatalf("union(%v) left %v of its argument", was, ws)
		}
		for i, w := range got {
			if i > 0 && w.From <= got[i-1].End() {
				t.Fatalf("union(%v) = %v, want windows that do not touch", ws, got)
			}
		}
		for at := range Instant(last + 1) {
			if !clean(got) || in(got, at) != in(ws, at) {
				t.Fatalf("union(%v) = %v, wrong at %d", ws, got, at)
			}
		}
		if !slices.ContainsFunc(joined, func(o []Window) bool { return slices.Equal(o, got) }) {
			joined = append(joined, got)
		}
	}
	joined = append(joined, []Window{{0, 1}, {1, 2}, {3, 4}}, []Window{{0, 2}, {2, 0}}) // windows that touch are sorted too
	for _, a := range joined {
		for _, b := range joined {
			got := meet(a, b)
			for at := range Instant(last + 1) {
				if !clean(got) || in(got, at) != (in(a, at) && in(b, at)) {
					t.Fatalf("meet(%v, %v) = %v, wrong at %d", a, b, got, at)
				}
			}
		}
		for _, b := range lists { // in any order
			got := minus(a, b)
			for at := range Instant(last + 1) {
				if !clean(got) || in(got, at) != (in(a, at) && !in(b, at)) {
					t.Fatalf("minus(%v, %v) = %v, wrong at %d", a, b, got, at)
				}
			}
		}
	}
	for _, a := range some {
		for _, b := range some {
			if got, want := a.Overlaps(b), len(meet([]Window{a}, []Window{b})) > 0; got != want {
				t.Fatalf("%v overlaps %v: got %v, want %v", a, b, got, want)
			}
		}
	}
}

func TestAWindowIsHalfOpen(t *testing.T) {
	t.Parallel()
	w := Window{10, 20}
	for at, want := range map[Instant]bool{9: false, 10: true, 19: true, 20: false} {
		if got := w.Holds(at); got != want {
			t.Errorf("[10, 20) holds %d: got %v, want %v", at, got, want)
		}
	}
	if !(Window{}).Holds(Forever-1) || (Window{}).Holds(Forever) || (Window{}).End() != Forever {
		t.Errorf("the zero window ends at %d, want it always", Window{}.End())
	}
	for w, want := range map[Window]bool{{}: true, {5, 5}: false, {5, 6}: true, {6, 5}: false, {From: 5}: true} {
		if got := w.Valid(); got != want {
			t.Errorf("%v is valid: got %v, want %v", w, got, want)
		}
	}
}
