package rbac

import "slices"

// Finding is a rule that a holder is, or at a known time will be, in conflict with.
type Finding struct {
	Rule      RuleID
	Version   int
	During    []Window // from now on
	Uncovered []Window // what of During no exception covers
	Witness   Witness
}

// Hit is what a change does to one subject under one rule.
type Hit struct {
	Rule    RuleID
	Level   Level
	Mode    Mode
	Subject SubjectID
	Change  Change
	During  []Window // when, as far as no exception covers it
	Witness Witness
}

// Change says how a conflict came out of a change.
type Change string

// The changes.
const (
	Appears  Change = "new"      // it was none before, or now has more duties
	Stands   Change = "existing" // it was there before
	Resolved Change = "resolved" // it is no more
)

// covered returns when exceptions let h be in conflict with this version of r.
func covered(r *rule, exceptions []Exception) []Window {
	var out []Window
	for i := range exceptions {
		if e := &exceptions[i]; e.Rule == r.ID && e.Version == r.Version {
			out = append(out, e.During)
		}
	}
	return union(out)
}

// Findings returns every conflict of h, from now on, with a static rule that files violations, sorted
// by rule.
func (s *Snapshot) Findings(h Holder, now Instant) []Finding {
	return s.findings(h, now, func(r *rule) bool { return r.filed() })
}

// FindingsOf is Findings for one static rule, whatever its mode: the preview of a rule that does not bind yet.
func (s *Snapshot) FindingsOf(h Holder, id RuleID, now Instant) []Finding {
	return s.findings(h, now, func(r *rule) bool { return r.ID == id })
}

func (s *Snapshot) findings(h Holder, now Instant, want func(*rule) bool) []Finding {
	sc := s.borrow()
	defer s.give(sc)
	sc.holdings[0] = s.holdings(sc.holdings[0], h.Grants, sc.contexts)
	sc.worse = s.conflicts(sc.worse[:0], sc, sc.holdings[0], now, want)

	var out []Finding
	for _, r := range s.rulesIn(sc.worse) {
		rule := &s.rules[r]
		f := Finding{Rule: rule.ID, Version: rule.Version, During: s.windowsOf(sc.worse, r)}
		if len(f.During) == 0 {
			continue
		}
		f.Uncovered = minus(f.During, covered(rule, h.Exceptions))
		f.Witness = s.witness(rule, h, sc.holdings[0], f.During[0].From, past{s: s})
		out = append(out, f)
	}
	return out
}

// Worsens returns what the step from before to after makes worse, from now on, under this snapshot:
// rules above Draft that come into conflict, or of which more duties are held, at times that no
// exception of after covers. Everything that only takes away comes out empty.
func (s *Snapshot) Worsens(before, after Holder, now Instant) []Hit {
	sc := s.borrow()
	defer s.give(sc)
	sc.holdings[0] = s.holdings(sc.holdings[0], before.Grants, sc.contexts)
	sc.holdings[1] = s.holdings(sc.holdings[1], after.Grants, sc.contexts)
	sc.worse = s.worsened(sc.worse[:0], sc, sc.holdings[0], sc.holdings[1], now)
	if len(sc.worse) == 0 {
		return nil
	}
	return s.hits(sc.worse, sc.holdings[1], past{s, sc.holdings[0]}, after, nil)
}

// hits turns spans about after, who holds hs, into hits, without what exceptions cover and without also.
func (s *Snapshot) hits(spans []span, hs []holding, before past, after Holder, also func(r *rule) []Window) []Hit {
	var out []Hit
	for _, r := range s.rulesIn(spans) {
		rule := &s.rules[r]
		if modeRank[rule.Mode] < modeRank[Simulate] {
			continue
		}
		during := minus(s.windowsOf(spans, r), covered(rule, after.Exceptions))
		if also != nil {
			during = minus(during, also(rule))
		}
		if len(during) == 0 {
			continue
		}
		hit := Hit{Rule: rule.ID, Level: rule.Level, Mode: rule.Mode, Subject: after.Subject, Change: Appears, During: during}
		hit.Witness = s.witness(rule, after, hs, during[0].From, before)
		out = append(out, hit)
	}
	return out
}

// SelfConflict returns the first static rule in mode Block that role by itself breaks, "" if none.
func (s *Snapshot) SelfConflict(role RoleID) RuleID {
	at, ok := s.roleAt[role]
	if !ok {
		return ""
	}
	row := slices.Clone(s.row(at))
	s.settle(row)
	for i := range s.rules {
		r := &s.rules[i]
		if r.static() && r.Mode == Block && s.held(r, row) >= r.K {
			return r.ID
		}
	}
	return ""
}
