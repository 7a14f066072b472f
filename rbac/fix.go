package rbac

import (
	"slices"
	"strings"
)

// Fix is a set of things to take away so that a holder is in no uncovered conflict any more.
type Fix []Grant

// maxFixNodes bounds the search for fixes; finding the smallest is NP-hard.
const maxFixNodes = 5_000

// Fixes returns the fixes of the smallest size for the uncovered conflicts of h with rules, all filed
// rules if none are named, and whether the search was finished. A holder in no conflict has one fix, the empty one.
//
// Every fix must take something from every witness, because a witness alone is already a conflict. So
// the search branches on one witness at a time, and is exact without trying all subsets.
func (s *Snapshot) Fixes(h Holder, rules []RuleID, now Instant) (fixes []Fix, exact bool) {
	return s.fixes(h, rules, now, func(Grant) bool { return true })
}

// fixes is Fixes among what may be taken away.
func (s *Snapshot) fixes(h Holder, rules []RuleID, now Instant, may func(Grant) bool) (fixes []Fix, exact bool) {
	want := func(r *rule) bool {
		if len(rules) == 0 {
			return r.filed()
		}
		return slices.Contains(rules, r.ID)
	}
	nodes := 0
	for size := 0; size <= len(h.Grants); size++ {
		seen := map[string]bool{}
		var search func(left []Grant, taken Fix) bool
		search = func(left []Grant, taken Fix) bool {
			key := taken.key()
			if seen[key] {
				return true
			}
			seen[key] = true
			if nodes++; nodes > maxFixNodes {
				return false
			}
			w, ok := s.uncovered(Holder{h.Subject, left, h.Exceptions}, now, want)
			if !ok {
				fixes = append(fixes, taken)
				return true
			}
			if len(taken) == size {
				return true
			}
			for _, g := range w.grants(left) {
				if !may(g) {
					continue
				}
				rest := slices.DeleteFunc(slices.Clone(left), func(o Grant) bool { return o.unit() == g.unit() })
				if !search(rest, append(slices.Clone(taken), g)) {
					return false
				}
			}
			return true
		}
		if !search(h.Grants, nil) {
			return fixes, false
		}
		if len(fixes) > 0 {
			return fixes, true
		}
	}
	return nil, true
}

// stalled is what a change that was not applied would have led to.
type stalled struct {
	snap   *Snapshot
	now    Instant
	before map[SubjectID]Holder
	after  map[SubjectID]Holder
}

// Fixes returns, for a change that was refused or has to wait, the smallest sets of what a subject held before that they would have to give
// up first; none if there are none. It reports whether the search was finished.
func (r Result) Fixes(id SubjectID) (fixes []Fix, exact bool) {
	var rules []RuleID
	for _, h := range r.Hits {
		if h.Subject == id && h.Mode.Binds() && h.Change != Resolved {
			rules = append(rules, h.Rule)
		}
	}
	if r.stalled == nil || len(rules) == 0 {
		return nil, true
	}
	had := map[string]bool{}
	for _, g := range r.stalled.before[id].Grants {
		had[g.unit()] = true
	}
	return r.stalled.snap.fixes(r.stalled.after[id], rules, r.stalled.now, func(g Grant) bool { return had[g.unit()] })
}

// uncovered returns the witness of one uncovered conflict.
func (s *Snapshot) uncovered(h Holder, now Instant, want func(*rule) bool) (Witness, bool) {
	for _, f := range s.findings(h, now, want) {
		if len(f.Uncovered) == 0 {
			continue
		}
		if f.Uncovered[0].From == f.During[0].From {
			return f.Witness, true
		}
		sc := s.borrow()
		defer s.give(sc)
		hs := s.holdings(sc.holdings[0], h.Grants, sc.contexts)
		return s.witness(&s.rules[s.ruleAt[f.Rule]], h, hs, f.Uncovered[0].From, past{s: s}), true
	}
	return Witness{}, false
}

// grants returns the grants that w rests on, for each atom one.
func (w Witness) grants(of []Grant) []Grant {
	var out []Grant
	for _, d := range w.Duties {
		for _, p := range d.Paths {
			out = append(out, of[p.grant])
		}
	}
	return out
}

// unit names what would be taken away: one row.
func (g Grant) unit() string {
	switch {
	case g.Assignment != "":
		return "a\x00" + string(g.Assignment)
	case g.Delegation != "":
		return "d\x00" + string(g.Delegation)
	}
	return "m\x00" + string(g.Account) + "\x00" + string(g.Group) + "\x00" + string(g.Role)
}

func (f Fix) key() string {
	units := make([]string, len(f))
	for i, g := range f {
		units[i] = g.unit()
	}
	slices.Sort(units)
	return strings.Join(units, "\x01")
}
