package rbac

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/countersign-id/countersign/internal/fault"
)

// Want is what an application asked for, in permissions, and what it may have at most.
type Want struct {
	Account     AccountID
	Permissions []Permission // of the scopes asked for
	Ceiling     []Permission // nil: no ceiling
	Elsewhere   []RoleID
	Elevated    bool
}

// Choice is a set of roles to make active.
type Choice struct {
	Roles   []RoleID     // sorted
	Covered []Permission // of what was wanted, sorted
	Extra   int          // permissions carried beyond what was wanted
	Exact   bool         // no better choice exists; false where the search was cut short
}

// The bounds of the search: choosing roles is NP-hard.
const (
	maxChooseNodes    = 200_000
	maxExactPicker    = 20 // candidates of which every maximal set is tried
	maxAlternatives   = 8
	maxPickerSearches = 1 << 16
)

// Choose picks the roles that carry all of what is wanted that the account is authorised for, that together
// break no dynamic rule, that carry nothing beyond the ceiling, and that then carry the least more,
// in the fewest roles, at the least risk. Where no one set carries it all, it answers ErrDSDConflict and
// the sets there are to choose from, best first.
func (s *Snapshot) Choose(h Holder, w Want, t Instant) (Choice, []Choice, *fault.Error) {
	c := s.newChooser(h, w, t)
	if best, ok := c.best(); ok {
		return best, nil, nil
	}
	return Choice{}, c.alternatives(), ErrDSDConflict
}

type chooser struct {
	s         *Snapshot
	elsewhere []RoleID
	t         Instant
	wanted    bitset // permissions
	needed    bitset // of them, what some candidate carries
	roles     []candidate
	nodes     int
	found     *cost
	picked    []int
}

type candidate struct {
	role  int32
	perms bitset
}

// cost orders choices: least beyond what is wanted, then fewest roles, then least risk.
type cost struct{ extra, roles, risk int }

func (a cost) less(b cost) bool {
	return cmp.Or(cmp.Compare(a.extra, b.extra), cmp.Compare(a.roles, b.roles), cmp.Compare(a.risk, b.risk)) < 0
}

func (s *Snapshot) newChooser(h Holder, w Want, t Instant) *chooser {
	c := &chooser{s: s, elsewhere: w.Elsewhere, t: t, wanted: s.permSet(w.Permissions), needed: newBitset(len(s.perms))}
	ceiling := s.permSet(w.Ceiling)
	s.activatable(h, w.Account, t, w.Elevated).each(func(r int32) {
		perms := newBitset(len(s.perms))
		s.carry(perms, r)
		useful, beyond := false, false
		for i, p := range perms {
			useful = useful || p&c.wanted[i] != 0
			beyond = beyond || w.Ceiling != nil && p&^ceiling[i] != 0
		}
		role := []RoleID{s.roles[r]}
		if !useful || beyond || blocks(s.Together(role, nil, t)) {
			return
		}
		if !blocks(s.Together(role, w.Elsewhere, t)) {
			c.roles = append(c.roles, candidate{r, perms})
		}
		// What only another session stands against is still needed: the person may end that session.
		for i, p := range perms {
			c.needed[i] |= p & c.wanted[i]
		}
	})
	return c
}

func (s *Snapshot) permSet(ps []Permission) bitset {
	out := newBitset(len(s.perms))
	for _, p := range ps {
		if at, ok := s.permAt[p]; ok {
			out.set(at)
		}
	}
	return out
}

// conflict reports whether roles together break a dynamic rule that blocks.
func (c *chooser) conflict(roles []candidate) bool {
	ids := make([]RoleID, len(roles))
	for i, r := range roles {
		ids[i] = c.s.roles[r.role]
	}
	return blocks(c.s.Together(ids, c.elsewhere, c.t))
}

func blocks(hits []Hit) bool {
	return slices.ContainsFunc(hits, func(h Hit) bool { return h.Mode == Block })
}

// best searches by branch and bound: whichever role carries the rarest permission still missing is in
// the set. Every part of the cost only grows, so a set no better than the best so far is left.
func (c *chooser) best() (Choice, bool) {
	var search func(held bitset, in []int, risk int)
	search = func(held bitset, in []int, risk int) {
		if c.nodes++; c.nodes > maxChooseNodes {
			return
		}
		now := cost{c.extra(held), len(in), risk}
		if c.found != nil && !now.less(*c.found) {
			return
		}
		missing := c.rarest(held)
		if missing < 0 {
			c.found, c.picked = &now, slices.Clone(in)
			return
		}
		for i, r := range c.roles {
			if !r.perms.has(missing) || slices.Contains(in, i) {
				continue
			}
			next := append(slices.Clone(in), i)
			if len(c.s.active) > 0 && c.conflict(c.pick(next)) {
				continue
			}
			with := slices.Clone(held)
			with.or(r.perms)
			search(with, next, risk+c.s.traits[r.role].risk)
		}
	}
	search(newBitset(len(c.s.perms)), nil, 0)
	if c.found == nil {
		return Choice{}, false
	}
	out := c.choice(c.picked)
	out.Exact = c.nodes <= maxChooseNodes
	return out, true
}

func (c *chooser) pick(in []int) []candidate {
	out := make([]candidate, len(in))
	for i, at := range in {
		out[i] = c.roles[at]
	}
	return out
}

// extra counts what is held beyond what is wanted.
func (c *chooser) extra(held bitset) int {
	n := 0
	for i, w := range held {
		n += bits.OnesCount64(w &^ c.wanted[i])
	}
	return n
}

// rarest returns the needed permission that is not held and that the fewest candidates carry, -1 if none is missing.
func (c *chooser) rarest(held bitset) int32 {
	best, fewest := int32(-1), len(c.roles)+1
	for i, w := range c.needed {
		for w &^= held[i]; w != 0; w &= w - 1 {
			p, n := int32(i<<6+bits.TrailingZeros64(w)), 0
			for _, r := range c.roles {
				if r.perms.has(p) {
					n++
				}
			}
			if n < fewest {
				best, fewest = p, n
			}
		}
	}
	return best
}

func (c *chooser) choice(in []int) Choice {
	var out Choice
	held := newBitset(len(c.s.perms))
	for _, i := range in {
		out.Roles = append(out.Roles, c.s.roles[c.roles[i].role])
		held.or(c.roles[i].perms)
	}
	slices.Sort(out.Roles)
	for i, w := range held {
		for w &= c.wanted[i]; w != 0; w &= w - 1 {
			out.Covered = append(out.Covered, c.s.perms[i<<6+bits.TrailingZeros64(w)])
		}
	}
	slices.Sort(out.Covered)
	out.Extra = c.extra(held)
	return out
}

// alternatives returns the largest sets of candidates without a conflict: those that carry most of what
// is wanted first, then those that carry least beyond it.
func (c *chooser) alternatives() []Choice {
	var sets [][]int
	exact := false
	if len(c.roles) <= maxExactPicker {
		sets, exact = c.maximal()
	}
	if !exact {
		for first := range c.roles {
			sets = append(sets, c.grown(first))
		}
	}
	var out []Choice
	for _, in := range sets {
		if len(in) == 0 {
			continue
		}
		ch := c.choice(in)
		ch.Exact = exact
		out = append(out, ch)
	}
	slices.SortFunc(out, func(a, b Choice) int {
		return cmp.Or(cmp.Compare(len(b.Covered), len(a.Covered)), cmp.Compare(a.Extra, b.Extra),
			cmp.Compare(len(a.Roles), len(b.Roles)), slices.Compare(a.Roles, b.Roles))
	})
	out = slices.CompactFunc(out, func(a, b Choice) bool { return slices.Equal(a.Roles, b.Roles) })
	return out[:min(len(out), maxAlternatives)]
}

// maximal returns every set of candidates without a conflict to which none can be added, and whether the
// search was finished.
func (c *chooser) maximal() (out [][]int, exact bool) {
	searches := 0
	var search func(i int, in []int)
	search = func(i int, in []int) {
		if searches++; searches > maxPickerSearches {
			return
		}
		if i == len(c.roles) {
			for j := range c.roles {
				if !slices.Contains(in, j) && !c.conflict(c.pick(append(slices.Clone(in), j))) {
					return
				}
			}
			out = append(out, slices.Clone(in))
			return
		}
		if with := append(slices.Clone(in), i); !c.conflict(c.pick(with)) {
			search(i+1, with)
		}
		all := slices.Clone(in)
		for j := i; j < len(c.roles); j++ {
			all = append(all, j)
		}
		if c.conflict(c.pick(all)) { // else whatever comes of it has room for i
			search(i+1, in)
		}
	}
	search(0, nil)
	return out, searches <= maxPickerSearches
}

// grown starts from one candidate and adds all others that fit, in order.
func (c *chooser) grown(first int) []int {
	in := []int{first}
	for i := range c.roles {
		if next := append(slices.Clone(in), i); i != first && !c.conflict(c.pick(next)) {
			in = next
		}
	}
	return in
}
