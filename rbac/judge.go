package rbac

import "slices"

// judge holds everybody a change touches against the rules: what they held before, what they hold after.
//
// Three snapshots matter. was is the policy as it was. after is the policy as it will be. mid is the
// structure as it was under the rules as they will be: what the change itself makes worse is the step
// from mid to after; what a new rule merely finds is what stands in both.
type judge struct {
	e               *edit
	was, mid, after *Snapshot
	changed         map[RuleID]bool // rules that are new or forbid, or do, something else
	everybody       bool
	nodes           map[RoleID]bool // roles and groups that come to something else than before
	groups          map[GroupID]bool

	blocked, existing, waits bool
	hits                     []Hit
	standing                 map[CaseKey]bool // conflicts that a changed rule found
}

func (e *edit) newJudge(after *Snapshot) (*judge, error) {
	j := &judge{e: e, was: e.wasSnap, mid: after, after: after, changed: map[RuleID]bool{}, standing: map[CaseKey]bool{}}
	if e.before == nil {
		return j, nil
	}
	old := *e.before
	for id, r := range e.s.Rules {
		if e.ruleChanged(old, id, r) {
			j.changed[id] = true
		}
	}
	for id := range old.Rules {
		if _, ok := e.s.Rules[id]; !ok {
			j.changed[id] = true
		}
	}
	hybrid := old
	hybrid.Rules, hybrid.Duties = e.s.Rules, e.s.Duties
	mid, err := Compile(hybrid, e.s.Epoch)
	if err != nil {
		return nil, err
	}
	j.mid = mid
	j.compareNodes()
	return j, nil
}

// ruleChanged reports whether r does something else than it did.
func (e *edit) ruleChanged(old Policy, id RuleID, r Rule) bool {
	o, ok := old.Rules[id]
	if !ok || o.Mode != r.Mode || o.Version != r.Version || o.Invalid != r.Invalid || !sameMeaning(o, r) {
		return true
	}
	return slices.ContainsFunc(r.Duties, func(d DutyID) bool { return !sameExpr(old.Duties[d].Expr, e.s.Duties[d].Expr) })
}

// compareNodes finds the roles and groups whose atoms changed. Where rules changed, or the atoms
// themselves, everybody is looked at.
func (j *judge) compareNodes() {
	if len(j.changed) > 0 || !slices.Equal(j.mid.atoms, j.after.atoms) || !sameGates(j.mid.gates, j.after.gates) {
		j.everybody = true
		return
	}
	j.nodes, j.groups = map[RoleID]bool{}, map[GroupID]bool{}
	for i, id := range j.after.roles {
		at, ok := j.mid.roleAt[id]
		if !ok || !slices.Equal(j.mid.row(at), j.after.row(int32(i))) {
			j.nodes[id] = true
		}
	}
	for i, id := range j.after.groups {
		at, ok := j.mid.groupAt[id]
		if !ok || !slices.Equal(j.mid.row(int32(len(j.mid.roles))+at), j.after.row(int32(len(j.after.roles)+i))) {
			j.groups[id] = true
		}
	}
}

// sameGates compares the gates of two snapshots of the same atoms: which bit a gate sets follows from its place.
func sameGates(a, b []gate) bool {
	return slices.EqualFunc(a, b, func(x, y gate) bool { return x.k == y.k && slices.Equal(x.cells, y.cells) })
}

// affected returns everybody whose conflicts may be other than before, sorted. Whoever has a row written is
// touched by it, and so are the holders of a role or group that is gone.
func (j *judge) affected() []SubjectID {
	s := j.e.s
	out := map[SubjectID]struct{}{}
	add := func(a AccountID) {
		id := s.Accounts[a].Subject
		out[id] = struct{}{}
		if owner := s.Subjects[id].Owner; owner != "" {
			out[owner] = struct{}{}
		}
	}
	if j.everybody || j.e.everybody {
		for id := range s.Subjects {
			out[id] = struct{}{}
		}
	}
	for id := range j.e.touched {
		out[id] = struct{}{}
	}
	if len(j.nodes) > 0 || len(j.groups) > 0 {
		for _, a := range s.Assignments {
			if j.nodes[a.Role] {
				add(a.Account)
			}
		}
		for _, m := range s.Memberships {
			if j.groups[m.Group] {
				add(m.Account)
			}
		}
		for _, d := range s.Delegations {
			if slices.ContainsFunc(d.Roles, func(r RoleID) bool { return j.nodes[r] }) {
				add(d.To)
			}
		}
	}
	return sortedKeys(out)
}

// look judges one subject.
func (j *judge) look(id SubjectID, c Changeset) {
	before, after := j.e.base(id), j.e.s.Holder(id)
	var hits []Hit
	if j.mid == j.after {
		hits = j.after.Worsens(before, after, j.e.now)
	} else {
		hits = j.acrossStructure(before, after)
	}
	for _, h := range hits {
		switch {
		case h.Change != Appears:
		case h.Mode == Block:
			j.blocked = true
		case h.Mode == Approve && !slices.Contains(c.Approved, h.Rule):
			j.waits = true
		}
	}
	j.hits = append(j.hits, hits...)
}

// acrossStructure is Worsens where the structure or the rules changed. A rule that newly blocks is held
// up by what stands against it, unless that stood against it before or the rule lets it stand.
func (j *judge) acrossStructure(before, after Holder) []Hit {
	sc, msc := j.after.borrow(), j.mid.borrow()
	defer j.after.give(sc)
	defer j.mid.give(msc)

	sc.holdings[1] = j.after.holdings(sc.holdings[1], after.Grants, sc.contexts)
	msc.holdings[0] = j.mid.holdings(msc.holdings[0], before.Grants, sc.contexts)
	worse, stand := j.after.compared(sc, j.mid, msc, msc.holdings[0], sc.holdings[1], j.e.now)
	hits := j.after.hits(worse, sc.holdings[1], past{j.mid, msc.holdings[0]}, after, nil)
	stand = slices.DeleteFunc(stand, func(sp span) bool { return !j.changed[j.after.rules[sp.rule].ID] })
	for _, h := range j.after.hits(stand, sc.holdings[1], past{s: j.after}, after, func(r *rule) []Window { return j.alreadyAgainst(r, before) }) {
		h.Change = Stands
		j.standing[CaseKey{h.Rule, h.Subject}] = true
		if h.Mode == Block && !j.e.grandfather[h.Rule] {
			j.existing = true
		}
		hits = append(hits, h)
	}
	return hits
}

// alreadyAgainst returns when before was in uncovered conflict with r as it was, if it blocked then too.
func (j *judge) alreadyAgainst(r *rule, before Holder) []Window {
	at, ok := j.was.ruleAt[r.ID]
	if !ok || j.was.rules[at].Mode != Block {
		return nil
	}
	if found := j.was.FindingsOf(before, r.ID, j.e.now); len(found) > 0 {
		return found[0].Uncovered
	}
	return nil
}
