package rbac

import (
	"fmt"
	"slices"
	"testing"
)

// Most people hold nothing in a context and own no workload: they have one view. Others have one for each way
// in which a rule may look at them, and no view twice.
func TestWhichViewsThereAre(t *testing.T) {
	t.Parallel()
	const any = anyContext
	plain, here, there, owned := holding{}, holding{context: 1}, holding{context: 2}, holding{owned: true}
	for _, tt := range []struct {
		name string
		hs   [][]holding
		want []view
	}{
		{"nothing", nil, []view{{any, false, allClasses}}},
		{"roles everywhere", [][]holding{{plain}, {plain, plain}}, []view{{any, false, allClasses}}},
		{"roles in contexts", [][]holding{{here, plain, there}, {here}}, []view{
			{any, false, 0b0101}, {0, false, 0b1010}, {1, false, 0b1010}, {2, false, 0b1010}}},
		{"a workload", [][]holding{{plain, owned}, {plain}}, []view{{any, false, 0b0011}, {any, true, 0b1100}}},
		{"both", [][]holding{{owned}, {here}}, []view{
			{any, false, 0b0001}, {0, false, 0b0010}, {1, false, 0b0010}, {any, true, 0b0100}, {0, true, 0b1000}, {1, true, 0b1000}}},
	} {
		if got := views(nil, tt.hs...); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestWhatAViewSees(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		v    view
		h    holding
		want bool
	}{
		{view{context: anyContext}, holding{context: 2}, true},
		{view{context: 0}, holding{context: 0}, true},
		{view{context: 0}, holding{context: 2}, false},
		{view{context: 1}, holding{context: 0}, true}, // what is held everywhere is held here
		{view{context: 1}, holding{context: 1}, true},
		{view{context: 1}, holding{context: 2}, false},
		{view{context: anyContext}, holding{owned: true}, false},
		{view{context: anyContext, owned: true}, holding{owned: true}, true},
		{view{context: anyContext, owned: true}, holding{}, true},
		{view{context: 1, owned: true}, holding{context: 2, owned: true}, false},
	} {
		if got := tt.v.sees(&tt.h); got != tt.want {
			t.Errorf("%+v sees %+v: got %v, want %v", tt.v, tt.h, got, tt.want)
		}
	}
	for want, r := range []Rule{{}, {Join: SameContext}, {Owned: true}, {Join: SameContext, Owned: true}} {
		if got := classOf(r); got != uint8(want) {
			t.Errorf("%+v is of class %d, want %d", r, got, want)
		}
	}
}

func TestWhereSomethingStartsOrEnds(t *testing.T) {
	t.Parallel()
	hs := [][]holding{{{from: 0, to: Forever}, {from: 50, to: 150}}, {{from: 150, to: 160}, {from: 50, to: 90}, {from: 100, to: 100}, {from: 200, to: 300}}}
	got := points(nil, 100, hs...)
	if want := []Instant{100, 150, 160, 200, 300}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if a, b := endOf(got, 1), endOf(got, 4); a != 160 || b != Forever {
		t.Errorf("the second segment ends at %d and the last at %d, want 160 and for ever", a, b)
	}
}

func TestContextsHaveOneNumberEach(t *testing.T) {
	t.Parallel()
	c := contexts{}
	for range 2 {
		for i := range 40 {
			if got := c.number(fmt.Sprint("org=", i)); got != int32(i+1) {
				t.Fatalf("context %d has number %d", i, got)
			}
		}
	}
	if got := c.number(""); got != 0 {
		t.Errorf("everywhere has number %d, want 0", got)
	}
}
