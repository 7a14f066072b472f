package rbac

import (
	"math/bits"
	"slices"
)

// bitset is a set of small numbers.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, words(n)) }

func words(n int) int { return (n + 63) / 64 }

func (b bitset) set(i int32)      { b[i>>6] |= 1 << (i & 63) }
func (b bitset) clear(i int32)    { b[i>>6] &^= 1 << (i & 63) }
func (b bitset) has(i int32) bool { return b[i>>6]&(1<<(i&63)) != 0 }

func (b bitset) or(o bitset) {
	for i, w := range o {
		b[i] |= w
	}
}

// each calls f for every member, in order.
func (b bitset) each(f func(int32)) {
	for i, w := range b {
		for w != 0 {
			f(int32(i<<6 + bits.TrailingZeros64(w)))
			w &= w - 1
		}
	}
}

// count returns the number of members.
func (b bitset) count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// cell is the part of a sparse set that falls into one word.
type cell struct {
	word int32
	bits uint64
}

// threshold is met by a row that has at least k of its members: an any-of, an all-of, or anything between.
type threshold struct {
	k     int
	cells []cell
}

// newThreshold makes a threshold of distinct members.
func newThreshold(k int, members []int32) threshold {
	t := threshold{k: k}
	for _, m := range slices.Sorted(slices.Values(members)) {
		if n := len(t.cells); n == 0 || t.cells[n-1].word != m>>6 {
			t.cells = append(t.cells, cell{word: m >> 6})
		}
		t.cells[len(t.cells)-1].bits |= 1 << (m & 63)
	}
	return t
}

// met reports whether row reaches the threshold.
func (t threshold) met(row bitset) bool {
	n := 0
	for _, c := range t.cells {
		n += bits.OnesCount64(row[c.word] & c.bits)
		if n >= t.k {
			return true
		}
	}
	return false
}

// each calls f for every member.
func (t threshold) each(f func(int32)) {
	for _, c := range t.cells {
		for w := c.bits; w != 0; w &= w - 1 {
			f(c.word<<6 + int32(bits.TrailingZeros64(w)))
		}
	}
}
