package rbac

import (
	"fmt"
	"maps"
	"slices"
)

// Population is many holders in a snapshot's own numbers: what sweeps, previews and the live rule editor
// work on. It is advisory. What decides reads the person again, inside its transaction.
//
// For every duty it keeps who holds it at some time from now on. That is exact for people who keep what
// they hold for good and everywhere, and a superset for all others, who are looked at one by one.
// A Population is not safe for concurrent use.
type Population struct {
	snap       *Snapshot
	now        Instant
	ids        []SubjectID
	at         map[SubjectID]int32
	held       [][]holding
	exceptions map[int32][]Exception
	contexts   contexts
	holders    []bitset // duty → subjects
	plain      bitset   // subjects whose holdings have no end, context or owner: in the end they hold all at once
}

// NewPopulation returns an empty population under snap, seen at now.
func NewPopulation(snap *Snapshot, now Instant) *Population {
	return &Population{
		snap: snap, now: now, at: map[SubjectID]int32{},
		holders: make([]bitset, len(snap.duties)), exceptions: map[int32][]Exception{}, contexts: contexts{},
	}
}

// Len returns how many subjects there are.
func (p *Population) Len() int { return len(p.ids) }

// Set puts a holder in, or in place of what was known of the subject.
func (p *Population) Set(h Holder) {
	i, ok := p.at[h.Subject]
	if !ok {
		i = int32(len(p.ids))
		p.at[h.Subject] = i
		p.ids = append(p.ids, h.Subject)
		p.held = append(p.held, nil)
		if words(len(p.ids)) > len(p.plain) {
			p.grow()
		}
	}
	p.held[i] = p.snap.holdings(make([]holding, 0, len(h.Grants)), h.Grants, p.contexts)
	if len(h.Exceptions) > 0 {
		p.exceptions[i] = h.Exceptions
	} else {
		delete(p.exceptions, i)
	}
	p.refresh(i, ok)
}

func (p *Population) grow() {
	n := max(16, 2*len(p.plain))
	p.plain = append(p.plain, make(bitset, n-len(p.plain))...)
	for d := range p.holders {
		if p.holders[d] != nil {
			p.holders[d] = append(p.holders[d], make(bitset, n-len(p.holders[d]))...)
		}
	}
}

// refresh works out which duties subject i holds; anew, if it was known before.
func (p *Population) refresh(i int32, known bool) {
	for _, b := range p.holders {
		if known && b != nil {
			b.clear(i)
		}
	}
	p.plain.set(i)
	for _, h := range p.held[i] {
		if h.context != 0 || h.owned || h.to != Forever {
			p.plain.clear(i)
		}
	}

	sc := p.snap.borrow()
	defer p.snap.give(sc)
	sc.points = points(sc.points[:0], p.now, p.held[i])
	for _, t := range sc.points {
		p.snap.gather(sc.after, p.held[i], t, view{anyContext, true, allClasses})
		p.snap.count(&sc.tally, sc.after)
		for _, d := range sc.tally.duties {
			if int(sc.tally.duty[d]) < p.snap.duties[d].k {
				continue
			}
			if p.holders[d] == nil {
				p.holders[d] = make(bitset, len(p.plain))
			}
			p.holders[d].set(i)
		}
	}
}

// Holders returns how many subjects hold a duty at some time from now on.
func (p *Population) Holders(id DutyID) int {
	d, ok := p.snap.dutyAt[id]
	if !ok {
		return 0
	}
	return p.holders[d].count()
}

// Violators returns, in no order, who is in conflict with a static rule over duties of the snapshot,
// covered or not, at some time from now on. The rule need not be one of the snapshot's: it is what
// somebody is just drafting.
func (p *Population) Violators(r Rule) ([]SubjectID, error) {
	if msg, field := r.check(); msg != "" {
		return nil, ErrRuleInvalid.Saying(msg).At(field)
	}
	compiled := rule{Rule: r, class: classOf(r)}
	atLeast := make([]bitset, r.K) // atLeast[j]: subjects who hold more than j of the duties seen so far
	for j := range atLeast {
		atLeast[j] = make(bitset, len(p.plain))
	}
	for _, id := range r.Duties {
		d, ok := p.snap.dutyAt[id]
		if !ok {
			return nil, ErrNotFound.Saying(fmt.Sprintf("There is no duty %q.", id))
		}
		compiled.duties = append(compiled.duties, d)
		for w, holders := range p.holders[d] {
			for j := r.K - 1; j > 0; j-- {
				atLeast[j][w] |= atLeast[j-1][w] & holders
			}
			atLeast[0][w] |= holders
		}
	}

	always := r.During == Window{}
	out := make([]SubjectID, 0, atLeast[r.K-1].count())
	atLeast[r.K-1].each(func(i int32) {
		if always && p.plain.has(i) || p.conflicts(&compiled, i) {
			out = append(out, p.ids[i])
		}
	})
	return out, nil
}

// conflicts looks at one subject by definition.
func (p *Population) conflicts(r *rule, i int32) bool {
	sc := p.snap.borrow()
	defer p.snap.give(sc)
	for _, v := range views(nil, p.held[i]) {
		if v.classes&(1<<r.class) == 0 {
			continue
		}
		ts := points(nil, p.now, p.held[i])
		for k, t := range ts {
			p.snap.gather(sc.after, p.held[i], t, v)
			if p.snap.held(r, sc.after) >= r.K && window(t, endOf(ts, k)).Overlaps(r.During) {
				return true
			}
		}
	}
	return false
}

// Scan calls found for every subject and filed rule in conflict, covered or not, from now on.
func (p *Population) Scan(found func(SubjectID, RuleID)) {
	sc := p.snap.borrow()
	defer p.snap.give(sc)
	for i, held := range p.held {
		sc.worse = p.snap.conflicts(sc.worse[:0], sc, held, p.now, func(r *rule) bool { return r.filed() })
		for _, r := range p.snap.rulesOn(sc, sc.worse) {
			found(p.ids[i], p.snap.rules[r].ID)
		}
	}
}

// Check reports which rules would come into conflict, or worse into it, if the subject held g as well: the
// quick answer while somebody chooses. It allocates nothing where there is nothing to report.
func (p *Population) Check(id SubjectID, g Grant) []RuleID {
	i, ok := p.at[id]
	if !ok {
		return nil
	}
	s := p.snap
	sc := s.borrow()
	defer s.give(sc)
	one := [1]Grant{g}
	sc.holdings[1] = append(sc.holdings[1], p.held[i]...)
	sc.holdings[1] = s.holdings(sc.holdings[1], one[:], p.contexts)
	sc.worse = s.worsened(sc.worse[:0], sc, p.held[i], sc.holdings[1], p.now)
	var out []RuleID
	for _, r := range s.rulesOn(sc, sc.worse) {
		if len(p.exceptions[i]) == 0 || len(minus(s.windowsOf(sc.worse, r), covered(&s.rules[r], p.exceptions[i]))) > 0 {
			out = append(out, s.rules[r].ID)
		}
	}
	return out
}

// Rebase returns the population under another snapshot. Roles and groups are found again by name; what
// after does not know, nobody holds any more.
func (p *Population) Rebase(after *Snapshot) *Population {
	out := NewPopulation(after, p.now)
	out.ids, out.at, out.exceptions, out.contexts = slices.Clone(p.ids), maps.Clone(p.at), maps.Clone(p.exceptions), maps.Clone(p.contexts)
	out.plain = make(bitset, len(p.plain))
	node := p.snap.nodesIn(after)
	out.held = make([][]holding, len(p.held))
	for i, held := range p.held {
		out.held[i] = rebased(nil, held, node)
		out.refresh(int32(i), false)
	}
	return out
}

// nodesIn returns for every node of s its number in o, -1 where o has none.
func (s *Snapshot) nodesIn(o *Snapshot) []int32 {
	out := make([]int32, 0, len(s.roles)+len(s.groups))
	for _, id := range s.roles {
		at, ok := o.roleAt[id]
		if !ok {
			at = -1
		}
		out = append(out, at)
	}
	for _, id := range s.groups {
		at, ok := o.groupAt[id]
		if at += int32(len(o.roles)); !ok {
			at = -1
		}
		out = append(out, at)
	}
	return out
}

func rebased(dst, held []holding, node []int32) []holding {
	for _, h := range held {
		if h.node = node[h.node]; h.node >= 0 {
			dst = append(dst, h)
		}
	}
	return dst
}

// Preview calls found for every subject that an edit of the structure, which leaves the rules as they
// are, brings into conflict with a rule or further into it.
func (p *Population) Preview(after *Snapshot, found func(SubjectID, RuleID)) {
	node := p.snap.nodesIn(after)
	same := slices.Equal(p.snap.atoms, after.atoms) && sameGates(p.snap.gates, after.gates)
	changed := make([]bool, len(node))
	for n, m := range node {
		changed[n] = m < 0 || !same || !slices.Equal(p.snap.row(int32(n)), after.row(m))
	}
	sc, was := after.borrow(), p.snap.borrow()
	defer after.give(sc)
	defer p.snap.give(was)
	for i, held := range p.held {
		if !slices.ContainsFunc(held, func(h holding) bool { return changed[h.node] }) {
			continue
		}
		sc.holdings[1] = rebased(sc.holdings[1][:0], held, node)
		worse, _ := after.compared(sc, p.snap, was, held, sc.holdings[1], p.now)
		for _, r := range after.rulesOn(sc, worse) {
			if len(p.exceptions[int32(i)]) == 0 || len(minus(after.windowsOf(worse, r), covered(&after.rules[r], p.exceptions[int32(i)]))) > 0 {
				found(p.ids[i], after.rules[r].ID)
			}
		}
	}
}
