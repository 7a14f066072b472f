package rbac

import (
	"slices"
	"sync"
)

// Snapshot is one policy compiled: closed hierarchies, what each role and group comes to in atoms, and
// the way back from atoms to duties and rules. It never changes and may be used by any number of
// goroutines.
//
// Rules speak of few atoms, so each role and each group is a row of bits over those atoms alone, with
// everything it inherits. What a person holds is the union of a few rows, and because union commutes
// with the thresholds of duties this is exact, not an estimate.
type Snapshot struct {
	Epoch uint64

	roles   []RoleID
	roleAt  map[RoleID]int32
	groups  []GroupID
	groupAt map[GroupID]int32
	perms   []Permission // those that some role carries
	permAt  map[Permission]int32

	own         [][]int32 // role → its own permissions
	juniors     [][]edge  // role → base edges
	may, does   []bitset  // role → roles it reaches over all edges; over those that carry permissions
	parents     [][]int32 // group → groups it is a direct child of
	above       []bitset  // group → itself and the groups that contain it
	groupRoles  [][]int32
	traits      []trait  // role → what activating it takes
	bottomUp    []int32  // roles, juniors first
	limits      []RoleID // roles that count their people
	conditions  []RoleID // roles that need others
	hasActivate bool

	atoms  []Atom
	atomAt map[Atom]int32
	width  int    // words of a row
	rows   bitset // node → atoms it may come to; roles first, then groups
	acts   bitset // role → atoms of it once active, without what it may only activate
	gates  []gate // bits that follow from other bits: scopes, nested expressions; in order
	duties []duty // sorted by id
	dutyAt map[DutyID]int32
	rules  []rule // sorted by id
	ruleAt map[RuleID]int32
	active []int32 // dynamic rules that are no drafts

	dutiesOf [][]int32 // atom → duties
	rulesOf  [][]int32 // duty → rules

	scratch sync.Pool
}

type edge struct {
	role     int32
	activate bool // carries no permissions
}

// trait is what of a role matters in a session.
type trait struct {
	risk     int
	eligible bool
	dormant  bool // a draft, or retired: cannot be active
}

// gate sets bit where its threshold is met.
type gate struct {
	threshold
	bit int32
}

type duty struct {
	threshold
	id   DutyID
	expr Expr
}

type rule struct {
	Rule
	duties []int32
	class  uint8 // which views of a person it looks at
}

// Compile makes the snapshot of p. It refuses a hierarchy that has a cycle; every other mistake is
// caught where a policy is changed.
func Compile(p Policy, epoch uint64) (*Snapshot, error) {
	s := &Snapshot{Epoch: epoch}
	if err := s.compileHierarchy(p); err != nil {
		return nil, err
	}
	if err := s.compileGroups(p); err != nil {
		return nil, err
	}
	s.compileDuties(p)
	s.compileRows()
	s.compileRules(p)
	s.scratch.New = func() any { return s.newScratch() }
	return s, nil
}

// index numbers ids in order.
func index[K comparable](ids []K) map[K]int32 {
	at := make(map[K]int32, len(ids))
	for i, id := range ids {
		at[id] = int32(i)
	}
	return at
}

func (s *Snapshot) compileHierarchy(p Policy) error {
	s.roles = sortedKeys(p.Roles)
	s.roleAt = index(s.roles)
	s.permAt = make(map[Permission]int32, len(p.Permissions))
	s.own = make([][]int32, len(s.roles))
	s.juniors = make([][]edge, len(s.roles))
	s.traits = make([]trait, len(s.roles))

	for i, id := range s.roles {
		r := p.Roles[id]
		s.traits[i] = trait{r.Risk, r.Eligible, r.Lifecycle == DraftRole || r.Lifecycle == RetiredRole}
		if r.MinAssignees > 0 || r.MaxAssignees > 0 {
			s.limits = append(s.limits, id)
		}
		if !r.Prerequisite.Zero() {
			s.conditions = append(s.conditions, id)
		}
		own := make([]int32, len(r.Permissions))
		for k, perm := range r.Permissions {
			at, ok := s.permAt[perm]
			if !ok {
				at = int32(len(s.perms))
				s.perms, s.permAt[perm] = append(s.perms, perm), at
			}
			own[k] = at
		}
		s.own[i] = own
		for _, j := range r.Juniors {
			if at, ok := s.roleAt[j.Role]; ok {
				s.juniors[i] = append(s.juniors[i], edge{at, j.Mode == Activate})
				s.hasActivate = s.hasActivate || j.Mode == Activate
			}
		}
	}

	next := make([][]int32, len(s.roles))
	for i, es := range s.juniors {
		for _, e := range es {
			next[i] = append(next[i], e.role)
		}
	}
	order, ok := bottomUp(next)
	if !ok {
		return ErrWouldCycle
	}
	s.bottomUp = order
	s.may = s.closure(order, func(edge) bool { return true })
	s.does = s.may
	if s.hasActivate {
		s.does = s.closure(order, func(e edge) bool { return !e.activate })
	}
	return nil
}

// closure returns for each role the roles it reaches over the edges that count, itself among them.
func (s *Snapshot) closure(order []int32, counts func(edge) bool) []bitset {
	w := words(len(s.roles))
	all := make(bitset, w*len(s.roles))
	out := make([]bitset, len(s.roles))
	for _, r := range order {
		out[r] = all[int(r)*w : (int(r)+1)*w]
		out[r].set(r)
		for _, e := range s.juniors[r] {
			if counts(e) {
				out[r].or(out[e.role])
			}
		}
	}
	return out
}

func (s *Snapshot) compileGroups(p Policy) error {
	s.groups = sortedKeys(p.Groups)
	s.groupAt = index(s.groups)
	s.parents = make([][]int32, len(s.groups))
	s.groupRoles = make([][]int32, len(s.groups))
	for i, id := range s.groups {
		for _, child := range p.Groups[id].Children {
			if at, ok := s.groupAt[child]; ok {
				s.parents[at] = append(s.parents[at], int32(i))
			}
		}
		for _, r := range p.Groups[id].Roles {
			if at, ok := s.roleAt[r]; ok {
				s.groupRoles[i] = append(s.groupRoles[i], at)
			}
		}
	}
	order, ok := bottomUp(s.parents)
	if !ok {
		return ErrWouldCycle
	}
	s.above = make([]bitset, len(s.groups))
	for _, g := range order {
		s.above[g] = newBitset(len(s.groups))
		s.above[g].set(g)
		for _, up := range s.parents[g] {
			s.above[g].or(s.above[up])
		}
	}
	return nil
}

// bottomUp orders nodes so that each comes after those it points to; it reports false if some node
// reaches itself. It does not recurse: a hierarchy may be as deep as it has roles.
func bottomUp(next [][]int32) ([]int32, bool) {
	waits := make([]int32, len(next)) // how many of its targets are still missing
	back := make([][]int32, len(next))
	order := make([]int32, 0, len(next))
	for i, ts := range next {
		waits[i] = int32(len(ts))
		for _, t := range ts {
			back[t] = append(back[t], int32(i))
		}
		if len(ts) == 0 {
			order = append(order, int32(i))
		}
	}
	for done := 0; done < len(order); done++ {
		for _, b := range back[order[done]] {
			if waits[b]--; waits[b] == 0 {
				order = append(order, b)
			}
		}
	}
	return order, len(order) == len(next)
}

// row returns the atoms that node, a role or a group, may come to.
func (s *Snapshot) row(node int32) bitset {
	return s.rows[int(node)*s.width : (int(node)+1)*s.width]
}

// act returns the atoms of an active role.
func (s *Snapshot) act(role int32) bitset {
	return s.acts[int(role)*s.width : (int(role)+1)*s.width]
}

func (s *Snapshot) compileRows() {
	s.width = words(len(s.atoms))
	s.rows = make(bitset, s.width*(len(s.roles)+len(s.groups)))
	s.acts = s.rows
	if s.hasActivate {
		s.acts = make(bitset, s.width*len(s.roles))
	}
	permBit, roleBit, groupBit := s.nodeBits()
	for _, r := range s.bottomUp {
		row, act := s.row(r), s.act(r)
		if b := roleBit[r]; b >= 0 {
			row.set(b)
		}
		for _, perm := range s.own[r] {
			if b := permBit[perm]; b >= 0 {
				row.set(b)
			}
		}
		if s.hasActivate {
			copy(act, row)
		}
		for _, e := range s.juniors[r] {
			row.or(s.row(e.role))
			if !e.activate {
				act.or(s.act(e.role))
			}
		}
	}
	for g := range s.groups {
		row := s.row(int32(len(s.roles) + g))
		s.above[g].each(func(up int32) {
			if b := groupBit[up]; b >= 0 {
				row.set(b)
			}
			for _, r := range s.groupRoles[up] {
				row.or(s.row(r))
			}
		})
	}
}

// bit returns the number of an atom, -1 if no duty speaks of it.
func (s *Snapshot) bit(a Atom) int32 {
	if at, ok := s.atomAt[a]; ok {
		return at
	}
	return -1
}

// nodeBits returns bit for the atom of each permission, role and group. It looks the atoms up, not what they stand
// for: they are fewer.
func (s *Snapshot) nodeBits() (perms, roles, groups []int32) {
	none := []int32{-1}
	perms, roles, groups = slices.Repeat(none, len(s.perms)), slices.Repeat(none, len(s.roles)), slices.Repeat(none, len(s.groups))
	for i, a := range s.atoms {
		kind, name := a.Split()
		list, at, ok := perms, int32(0), false
		switch kind {
		case PermAtom:
			at, ok = s.permAt[Permission(name)]
		case RoleAtom:
			list = roles
			at, ok = s.roleAt[RoleID(name)]
		case GroupAtom:
			list = groups
			at, ok = s.groupAt[GroupID(name)]
		}
		if ok {
			list[at] = int32(i)
		}
	}
	return perms, roles, groups
}

func (s *Snapshot) compileRules(p Policy) {
	ids := sortedKeys(p.Rules)
	s.ruleAt = index(ids)
	s.rules = make([]rule, len(ids))
	s.rulesOf = make([][]int32, len(s.duties))
	for i, id := range ids {
		r := rule{Rule: p.Rules[id], class: classOf(p.Rules[id])}
		for _, d := range r.Duties {
			if at, ok := s.dutyAt[d]; ok && !slices.Contains(r.duties, at) {
				r.duties = append(r.duties, at)
				if r.static() {
					s.rulesOf[at] = append(s.rulesOf[at], int32(i))
				}
			}
		}
		if r.Kind == Dynamic && modeRank[r.Mode] >= modeRank[Simulate] {
			s.active = append(s.active, int32(i))
		}
		s.rules[i] = r
	}
}
