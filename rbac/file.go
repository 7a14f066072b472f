package rbac

import "slices"

// file brings violations and cases of one subject up to date with what holds now. It returns the hits
// of conflicts that were there before, for a dry run, and of those that are gone.
func (e *edit) file(snap *Snapshot, id SubjectID, j *judge, c Changeset) []Hit {
	var hits []Hit
	found := map[RuleID]bool{}
	for _, f := range snap.Findings(e.s.Holder(id), e.now) {
		found[f.Rule] = true
		key := CaseKey{f.Rule, id}
		_, before := e.s.Violations[key]
		if v, old := e.violation(key, f), e.s.Violations[key]; !before || e.sweep || !sameViolation(v, old) {
			e.write(v)
		}
		if cs := e.caseOf(key, f, j, c); cs != e.s.Cases[key] {
			e.write(cs)
		}
		if before && c.DryRun {
			r := e.s.Rules[f.Rule]
			hits = append(hits, Hit{f.Rule, r.Level, r.Mode, id, Stands, f.During, f.Witness})
		}
	}
	for _, key := range e.caseKeys(id) {
		if found[key.Rule] {
			continue
		}
		if v, ok := e.s.Violations[key]; ok {
			r := e.s.Rules[key.Rule]
			hits = append(hits, Hit{Rule: key.Rule, Level: r.Level, Mode: r.Mode, Subject: id, Change: Resolved, During: v.During})
			drop(e, e.s.Violations, key)
		}
		if next := e.restOf(key.Rule); !e.s.Cases[key].State.Closed() && e.s.Cases[key].State != next {
			cs := e.s.Cases[key]
			cs.State = next
			e.write(cs)
		}
	}
	return hits
}

// sameViolation reports whether nothing but the time it was last seen differs.
func sameViolation(a, b Violation) bool {
	return a.Version == b.Version && a.Witness == b.Witness && slices.Equal(a.During, b.During) && slices.Equal(a.Uncovered, b.Uncovered)
}

// seenAgain is sameViolation but for the time that has passed: the windows of both begin where somebody looked.
func seenAgain(a, old Violation) bool {
	rest := []Window{{From: a.LastSeen}}
	a.During, a.Uncovered = meet(a.During, rest), meet(a.Uncovered, rest)
	old.During, old.Uncovered = meet(old.During, rest), meet(old.Uncovered, rest)
	return sameViolation(a, old)
}

func (e *edit) caseKeys(id SubjectID) []CaseKey {
	rules := map[RuleID]struct{}{}
	for key := range e.s.casesOf[id] {
		rules[key.Rule] = struct{}{}
	}
	var out []CaseKey
	for _, r := range sortedKeys(rules) {
		out = append(out, CaseKey{r, id})
	}
	return out
}

// restOf says where a case rests whose conflict is not found any more.
func (e *edit) restOf(id RuleID) CaseState {
	r, ok := e.s.Rules[id]
	switch {
	case !ok:
		return CaseRuleDeleted
	case !r.filed():
		return CaseInactive
	}
	return CaseResolved
}

func (e *edit) violation(key CaseKey, f Finding) Violation {
	v := Violation{Rule: key.Rule, Subject: key.Subject, FirstSeen: e.now, By: Preventive}
	if old, ok := e.s.Violations[key]; ok {
		v = old
	} else if e.sweep {
		v.By = Detective
	}
	v.Version, v.During, v.Uncovered, v.Witness, v.LastSeen = f.Version, f.During, f.Uncovered, f.Witness.Hash(), e.now
	return v
}

// caseOf returns the case of a conflict as it stands now. A case opens again when what excused it ended
// or when the conflict has another cause.
func (e *edit) caseOf(key CaseKey, f Finding, j *judge, c Changeset) Case {
	hash := f.Witness.Hash()
	state := CaseOpen
	if e.isExcused(f) {
		state = CaseException
	}
	old, had := e.s.Cases[key]
	if !had {
		return Case{
			Rule: key.Rule, Subject: key.Subject, State: state, Origin: e.origin(key, j, c), Witness: hash, Opened: e.now,
		}
	}
	next := old
	next.Witness = hash
	switch {
	case state == CaseException:
		next.State = CaseException
	case old.State == CaseResolved || old.State == CaseRuleDeleted || old.State == CaseInactive:
		next.State, next.Origin = CaseOpen, e.origin(key, j, c)
		next.Reopened++
	case old.State == CaseException || old.Witness != hash && old.State != CaseOpen:
		next.State = CaseOpen
		next.Reopened++
	}
	return next
}

// isExcused reports whether an exception covers the conflict now, or all of it.
func (e *edit) isExcused(f Finding) bool {
	for _, w := range f.Uncovered {
		if w.Holds(e.now) {
			return false
		}
	}
	if len(f.Uncovered) == 0 {
		return true
	}
	for _, w := range f.During {
		if w.Holds(e.now) {
			return true
		}
	}
	return false
}

func (e *edit) origin(key CaseKey, j *judge, c Changeset) CaseOrigin {
	switch {
	case c.Adopt:
		return FromAdoption
	case j.standing[key]:
		return Grandfather
	case e.linked[key.Subject]:
		return FromIdentity
	case e.sweep:
		return FromTime
	}
	return FromChange
}

// fileRules opens a case without a subject for every rule that became invalid, and closes it when the
// rule is whole again.
func (e *edit) fileRules(changed map[RuleID]bool) {
	for _, id := range sortedKeys(changed) {
		key := CaseKey{Rule: id}
		r, ok := e.s.Rules[id]
		c, had := e.s.Cases[key]
		switch {
		case ok && r.Invalid && (!had || c.State.Closed()):
			e.write(Case{Rule: id, State: CaseInvalid, Origin: FromChange, Opened: e.now, Reopened: c.Reopened})
		case had && !c.State.Closed() && (!ok || !r.Invalid):
			c.State = e.restOf(id)
			e.write(c)
		}
	}
}
