package rbac

import "slices"

// holding is a grant in the snapshot's own numbers.
type holding struct {
	node     int32 // role, or number of roles + group
	context  int32 // 0: everywhere
	grant    int32 // index into the holder's grants
	owned    bool
	from, to Instant
}

// contexts numbers the contexts of one decision, so that two holders compared share them. "" is 0: everywhere.
type contexts map[string]int32

func (c contexts) number(name string) int32 {
	if name == "" {
		return 0
	}
	n, ok := c[name]
	if !ok {
		n = int32(len(c) + 1)
		c[name] = n
	}
	return n
}

// holdings puts what is granted into numbers. What the snapshot does not know comes to nothing.
func (s *Snapshot) holdings(dst []holding, grants []Grant, c contexts) []holding {
	for i := range grants {
		g := &grants[i]
		h := holding{context: c.number(g.Context), grant: int32(i), owned: g.Owned, from: g.During.From, to: g.During.End()}
		if g.Group != "" {
			at, ok := s.groupAt[g.Group]
			if !ok {
				continue
			}
			h.node = int32(len(s.roles)) + at
		} else {
			at, ok := s.roleAt[g.Role]
			if !ok {
				continue
			}
			h.node = at
		}
		dst = append(dst, h)
	}
	return dst
}

// view is a part of what a person holds: in one context or in any, with or without the workloads they
// own. Each rule looks at the views of its class.
type view struct {
	context int32 // anyContext, or a context: then what is held everywhere counts too
	owned   bool
	classes uint8 // set of rule classes that look at it
}

const (
	anyContext int32 = -1
	allClasses uint8 = 1<<0 | 1<<1 | 1<<2 | 1<<3
	sameMask   uint8 = 1<<1 | 1<<3 // classes whose duties must meet in one context
	ownedMask  uint8 = 1<<2 | 1<<3 // classes that count owned workloads
)

// classOf returns the class of r.
func classOf(r Rule) uint8 {
	var c uint8
	if r.Join == SameContext {
		c |= 1
	}
	if r.Owned {
		c |= 2
	}
	return c
}

func (v view) sees(h *holding) bool {
	return (v.owned || !h.owned) && (v.context == anyContext || h.context == 0 || h.context == v.context)
}

// views returns the views that differ for somebody who holds hs. Most people hold nothing in a context
// and own no workload: they have one.
func views(dst []view, hs ...[]holding) []view {
	var contexts []int32
	owned := false
	for _, list := range hs {
		for i := range list {
			owned = owned || list[i].owned
			if c := list[i].context; c != 0 && !slices.Contains(contexts, c) {
				contexts = append(contexts, c)
			}
		}
	}
	inContexts := func(owned bool, classes uint8) {
		if len(contexts) == 0 {
			dst = append(dst, view{anyContext, owned, classes})
			return
		}
		dst = append(dst, view{anyContext, owned, classes &^ sameMask})
		dst = append(dst, view{0, owned, classes & sameMask})
		for _, c := range contexts {
			dst = append(dst, view{c, owned, classes & sameMask})
		}
	}
	if !owned {
		inContexts(false, allClasses)
		return dst
	}
	inContexts(false, allClasses&^ownedMask)
	inContexts(true, ownedMask)
	return dst
}

// points returns the instants from now on where something that is held starts or ends, now first.
func points(dst []Instant, now Instant, hs ...[]holding) []Instant {
	dst = append(dst, now)
	for _, list := range hs {
		for i := range list {
			if t := list[i].from; t > now {
				dst = append(dst, t)
			}
			if t := list[i].to; t > now && t != Forever {
				dst = append(dst, t)
			}
		}
	}
	slices.Sort(dst)
	return slices.Compact(dst)
}

// endOf returns where the segment that starts at ts[i] ends.
func endOf(ts []Instant, i int) Instant {
	if i+1 < len(ts) {
		return ts[i+1]
	}
	return Forever
}

// gather sets row to the atoms held at t in v, gates included.
func (s *Snapshot) gather(row bitset, hs []holding, t Instant, v view) {
	clear(row)
	for i := range hs {
		if h := &hs[i]; h.from <= t && t < h.to && v.sees(h) {
			row.or(s.row(h.node))
		}
	}
	s.settle(row)
}
