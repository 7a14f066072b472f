package rbac

import (
	"cmp"
	"slices"
)

// Hold is the backstop in the database: one duty of a blocking rule that a subject holds for good. A rule that allows k-1
// duties has k-1 slots for each subject, and the database lets a slot be taken once. Two changes that came past every lock
// would meet there, because what is held without an end is held together in the end.
//
// Rules that join by context, count workloads or have a window of their own have no backstop; nor have windows that end.
type Hold struct {
	Rule    RuleID
	Subject SubjectID
	Slot    int // 1 to K-1
	Duty    DutyID
}

// HoldKey names a hold.
type HoldKey struct {
	Rule    RuleID
	Subject SubjectID
	Duty    DutyID
}

// backed reports whether r has a backstop.
func (r Rule) backed() bool {
	return r.static() && r.Mode == Block && r.K > 1 && r.Join == AnyContext && !r.Owned && r.During == Window{}
}

// hold brings the holds of a subject up to date. A conflict that was let stand has none: there is no slot for it.
func (e *edit) hold(snap *Snapshot, id SubjectID) {
	want := snap.heldForGood(e.s.Holder(id))
	taken := map[RuleID]map[int]bool{}
	for _, key := range e.holdKeys(id) {
		h := e.s.Holds[key]
		if !slices.Contains(want[key.Rule], key.Duty) {
			drop(e, e.s.Holds, key)
			continue
		}
		if taken[key.Rule] == nil {
			taken[key.Rule] = map[int]bool{}
		}
		taken[key.Rule][h.Slot] = true
	}
	for _, rule := range sortedKeys(want) {
		for _, duty := range want[rule] {
			if _, ok := e.s.Holds[HoldKey{rule, id, duty}]; ok {
				continue
			}
			slot := 1
			for taken[rule][slot] {
				slot++
			}
			if taken[rule] == nil {
				taken[rule] = map[int]bool{}
			}
			taken[rule][slot] = true
			e.write(Hold{rule, id, slot, duty})
		}
	}
}

func (e *edit) holdKeys(id SubjectID) []HoldKey {
	var out []HoldKey
	for key := range e.s.holdsOf[id] {
		out = append(out, key)
	}
	slices.SortFunc(out, func(a, b HoldKey) int { return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Duty, b.Duty)) })
	return out
}

// heldForGood returns, by rule, the duties of backed rules that h holds without an end, if they are fewer than the rule forbids.
func (s *Snapshot) heldForGood(h Holder) map[RuleID][]DutyID {
	sc := s.borrow()
	defer s.give(sc)
	sc.holdings[0] = s.holdings(sc.holdings[0], h.Grants, sc.contexts)
	s.gather(sc.after, sc.holdings[0], Forever-1, view{anyContext, false, allClasses})
	s.count(&sc.tally, sc.after)
	out := map[RuleID][]DutyID{}
	for _, i := range sc.tally.rulesFound {
		r := &s.rules[i]
		if n := int(sc.tally.rule[i]); !r.backed() || n >= r.K {
			continue
		}
		for _, d := range r.duties {
			if s.duties[d].met(sc.after) {
				out[r.ID] = append(out[r.ID], s.duties[d].id)
			}
		}
		slices.Sort(out[r.ID])
	}
	return out
}
