package rbac

import (
	"slices"
	"testing"
)

func TestASetOfBitsIsASet(t *testing.T) {
	t.Parallel()
	in := []int32{0, 1, 63, 64, 127, 130, 200}
	b := newBitset(201)
	for _, i := range in {
		b.set(i)
		b.set(i)
	}
	var got []int32
	b.each(func(i int32) { got = append(got, i) })
	if !slices.Equal(got, in) || b.count() != len(in) || !b.has(130) || b.has(129) {
		t.Errorf("got %v, %d of them, want %v", got, b.count(), in)
	}
	o := newBitset(201)
	o.set(65)
	o.or(b)
	b.clear(130)
	b.clear(130)
	if b.has(130) || b.count() != len(in)-1 || o.count() != len(in)+1 || !o.has(65) || !o.has(200) {
		t.Errorf("got %d without 130 and %d with 65, want %d and %d", b.count(), o.count(), len(in)-1, len(in)+1)
	}
}

// A threshold is met from its k-th member on, and keeps the members of a word together, whatever their order.
func TestAThresholdCountsItsMembers(t *testing.T) {
	t.Parallel()
	members := []int32{130, 2, 64, 1, 65, 0}
	for k := 1; k <= len(members)+1; k++ {
		th := newThreshold(k, members)
		var got []int32
		th.each(func(i int32) { got = append(got, i) })
		if want := slices.Sorted(slices.Values(members)); !slices.Equal(got, want) || len(th.cells) != 3 {
			t.Fatalf("got %v in %d cells, want %v in 3", got, len(th.cells), want)
		}
		for held := range 1 << len(members) {
			row, n := newBitset(192), 0
			row.set(3) // no member
			for i, m := range members {
				if held&(1<<i) != 0 {
					row.set(m)
					n++
				}
			}
			if got := th.met(row); got != (n >= k) {
				t.Fatalf("%d of %v with %b: got %v", k, members, held, got)
			}
		}
	}
}
