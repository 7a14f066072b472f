package rbac

import (
	"math/bits"
	"slices"
)

// scratch is the working memory of one decision. It is taken from the snapshot's pool, so that
// decisions allocate nothing.
type scratch struct {
	before, after bitset
	tally         tally
	other         tally
	seenDuty      bitset
	seenRule      bitset
	touchedDuty   []int32
	touchedRule   []int32
	holdings      [2][]holding
	views         []view
	points        []Instant
	worse, stand  []span
	contexts      contexts
}

func (s *Snapshot) newScratch() *scratch {
	return &scratch{
		before: make(bitset, s.width), after: make(bitset, s.width),
		tally: s.newTally(), other: s.newTally(),
		seenDuty: newBitset(len(s.duties)), seenRule: newBitset(len(s.rules)), contexts: contexts{},
	}
}

// borrow takes scratch memory; give returns it.
func (s *Snapshot) borrow() *scratch {
	sc := s.scratch.Get().(*scratch)
	sc.holdings[0], sc.holdings[1] = sc.holdings[0][:0], sc.holdings[1][:0]
	clear(sc.contexts)
	return sc
}

func (s *Snapshot) give(sc *scratch) { s.scratch.Put(sc) }

// tally counts, for one row, how many members of each duty are held and how many duties of each rule.
type tally struct {
	duty, rule         []int32
	duties, rulesFound []int32 // those that are not zero
}

func (s *Snapshot) newTally() tally {
	return tally{duty: make([]int32, len(s.duties)), rule: make([]int32, len(s.rules))}
}

// count fills t for row: afterwards t.rule says how many duties of each static rule are held.
func (s *Snapshot) count(t *tally, row bitset) {
	for _, d := range t.duties {
		t.duty[d] = 0
	}
	for _, r := range t.rulesFound {
		t.rule[r] = 0
	}
	t.duties, t.rulesFound = t.duties[:0], t.rulesFound[:0]

	for i, w := range row {
		for ; w != 0; w &= w - 1 {
			for _, d := range s.dutiesOf[i<<6+bits.TrailingZeros64(w)] {
				if t.duty[d] == 0 {
					t.duties = append(t.duties, d)
				}
				t.duty[d]++
				if int(t.duty[d]) != s.duties[d].k {
					continue
				}
				for _, r := range s.rulesOf[d] {
					if t.rule[r] == 0 {
						t.rulesFound = append(t.rulesFound, r)
					}
					t.rule[r]++
				}
			}
		}
	}
}

// held returns how many duties of r are held in row.
func (s *Snapshot) held(r *rule, row bitset) int {
	n := 0
	for _, d := range r.duties {
		if s.duties[d].met(row) {
			n++
		}
	}
	return n
}

// span says that a rule is in conflict from one instant to another.
type span struct {
	rule     int32
	from, to Instant
}

// conflicts appends the spans, from now on, in which static rules that want accepts are in conflict
// for somebody who holds hs. Spans of one rule may touch or, across contexts, overlap.
func (s *Snapshot) conflicts(dst []span, sc *scratch, hs []holding, now Instant, want func(*rule) bool) []span {
	sc.views = views(sc.views[:0], hs)
	sc.points = points(sc.points[:0], now, hs)
	for _, v := range sc.views {
		for i, t := range sc.points {
			s.gather(sc.after, hs, t, v)
			s.count(&sc.tally, sc.after)
			for _, r := range sc.tally.rulesFound {
				rule := &s.rules[r]
				if int(sc.tally.rule[r]) >= rule.K && v.classes&(1<<rule.class) != 0 && want(rule) {
					dst = append(dst, span{r, t, endOf(sc.points, i)})
				}
			}
		}
	}
	return dst
}

// worsened compares what somebody held before, under this snapshot, with what they hold after. It
// appends the spans in which a rule is in conflict after and more of its duties are held than before.
//
// Atoms only matter where they are new: a rule none of whose duties gained an atom cannot be worse.
func (s *Snapshot) worsened(dst []span, sc *scratch, before, after []holding, now Instant) []span {
	sc.views = views(sc.views[:0], before, after)
	sc.points = points(sc.points[:0], now, before, after)
	for _, v := range sc.views {
		for i, t := range sc.points {
			s.gather(sc.before, before, t, v)
			s.gather(sc.after, after, t, v)
			s.gained(sc)
			for _, r := range sc.touchedRule {
				sc.seenRule.clear(r)
				rule := &s.rules[r]
				if v.classes&(1<<rule.class) == 0 {
					continue
				}
				n := s.held(rule, sc.after)
				if n >= rule.K && n > s.held(rule, sc.before) {
					dst = append(dst, span{r, t, endOf(sc.points, i)})
				}
			}
		}
	}
	return dst
}

// gained collects in sc.touchedRule the rules of duties that are held in sc.after and not in sc.before.
func (s *Snapshot) gained(sc *scratch) {
	sc.touchedDuty, sc.touchedRule = sc.touchedDuty[:0], sc.touchedRule[:0]
	for i, w := range sc.after {
		for w &^= sc.before[i]; w != 0; w &= w - 1 {
			for _, d := range s.dutiesOf[i<<6+bits.TrailingZeros64(w)] {
				if sc.seenDuty.has(d) {
					continue
				}
				sc.seenDuty.set(d)
				sc.touchedDuty = append(sc.touchedDuty, d)
			}
		}
	}
	for _, d := range sc.touchedDuty {
		sc.seenDuty.clear(d)
		if !s.duties[d].met(sc.after) || s.duties[d].met(sc.before) {
			continue
		}
		for _, r := range s.rulesOf[d] {
			if !sc.seenRule.has(r) {
				sc.seenRule.set(r)
				sc.touchedRule = append(sc.touchedRule, r)
			}
		}
	}
}

// compared is worsened across two snapshots of the same rules, for changes to the structure: was
// compiled what was before. It also returns the spans in which a rule is in conflict after and no worse
// than before. Both are part of sc.
func (s *Snapshot) compared(sc *scratch, was *Snapshot, wasSc *scratch, before, after []holding, now Instant) (worse, stand []span) {
	sc.worse, sc.stand = sc.worse[:0], sc.stand[:0]
	sc.views = views(sc.views[:0], before, after)
	sc.points = points(sc.points[:0], now, before, after)
	for _, v := range sc.views {
		for i, t := range sc.points {
			was.gather(wasSc.before, before, t, v)
			was.count(&sc.other, wasSc.before)
			s.gather(sc.after, after, t, v)
			s.count(&sc.tally, sc.after)
			for _, r := range sc.tally.rulesFound {
				rule, n := &s.rules[r], sc.tally.rule[r]
				switch {
				case int(n) < rule.K || v.classes&(1<<rule.class) == 0:
				case n > sc.other.rule[r]:
					sc.worse = append(sc.worse, span{r, t, endOf(sc.points, i)})
				default:
					sc.stand = append(sc.stand, span{r, t, endOf(sc.points, i)})
				}
			}
		}
	}
	return sc.worse, sc.stand
}

// windowsOf collects the spans of one rule and cuts them to the rule's own window.
func (s *Snapshot) windowsOf(spans []span, r int32) []Window {
	var out []Window
	for _, sp := range spans {
		if sp.rule == r {
			out = append(out, window(sp.from, sp.to))
		}
	}
	return meet(union(out), []Window{s.rules[r].During})
}

// rulesIn returns the rules that spans are about, in order.
func (s *Snapshot) rulesIn(spans []span) []int32 {
	if len(spans) == 0 {
		return nil
	}
	seen := newBitset(len(s.rules))
	for _, sp := range spans {
		seen.set(sp.rule)
	}
	var out []int32
	seen.each(func(r int32) { out = append(out, r) })
	return out
}

// rulesOn returns the rules that spans are about, in order, as far as they are on at some time of the spans. The list is sc's.
func (s *Snapshot) rulesOn(sc *scratch, spans []span) []int32 {
	sc.touchedRule = sc.touchedRule[:0]
	for _, sp := range spans {
		if window(sp.from, sp.to).Overlaps(s.rules[sp.rule].During) {
			sc.touchedRule = append(sc.touchedRule, sp.rule)
		}
	}
	slices.Sort(sc.touchedRule)
	sc.touchedRule = slices.Compact(sc.touchedRule)
	return sc.touchedRule
}
