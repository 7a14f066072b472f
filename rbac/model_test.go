package rbac

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The small world every property runs in: four people, one of them with two accounts and a workload, five roles,
// four permissions, three groups, four duties.
var (
	smallRoles    = []RoleID{"r0", "r1", "r2", "r3", "r4"}
	smallPerms    = []Permission{"app/x:0", "app/x:1", "app/x:2", "app/x:3"}
	smallGroups   = []GroupID{"g0", "g1", "g2"}
	smallDuties   = []DutyID{"d0", "d1", "d2", "d3"}
	smallRules    = []RuleID{"R0", "R1", "R2"}
	smallSubjects = []SubjectID{"p0", "p1", "p2", "w0"}
	smallAccounts = map[AccountID]SubjectID{"a0": "p0", "b0": "p0", "a1": "p1", "a2": "p2", "w0": "w0"}
	smallContexts = []string{"", "", "", "org=1", "org=2"}
)

// furnished is the small world with permissions in its roles, some hierarchy and some rules: dense enough that most
// of what happens in it matters to some rule.
func furnished(t *rapid.T) both {
	b := smallWorld()
	b.w.now = 100
	var ops []Op
	for i, p := range smallPerms {
		if rapid.IntRange(0, 3).Draw(t, "carries") > 0 {
			ops = append(ops, GrantPermission{smallRoles[i], p})
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "edges") {
		ops = append(ops, AddInheritance{rapid.SampledFrom(smallRoles).Draw(t, "senior"), rapid.SampledFrom(smallRoles).Draw(t, "junior"),
			rapid.SampledFrom([]EdgeMode{Both, Activate}).Draw(t, "mode")})
	}
	for range rapid.IntRange(0, 2).Draw(t, "groups") {
		ops = append(ops, AddGroupRole{rapid.SampledFrom(smallGroups).Draw(t, "group"), rapid.SampledFrom(smallRoles).Draw(t, "role")})
	}
	for _, id := range smallRules[:rapid.IntRange(0, 3).Draw(t, "rules")] {
		r := drawRule(t)
		r.ID = id
		ops = append(ops, CreateRule{Rule: r})
	}
	for _, op := range ops {
		w, code := b.w.step([]Op{op}, 100)
		res, err := b.s.Apply(By{}, Changeset{Ops: []Op{op}}, 100)
		if err != nil || codeOf(res.Why) != code {
			t.Fatalf("%T%+v: got %v %v, want %q", op, op, res.Why, err, code)
		}
		if code == "" {
			b.w = w
		}
	}
	return b
}

// both is a state and the oracle's world, built from the same rows.
type both struct {
	s *State
	w world
}

func smallWorld() both {
	b := both{NewState(), newWorld()}
	for _, p := range smallPerms {
		b.s.Load(PermissionDef{ID: p})
		b.w.perms[p] = true
	}
	for _, r := range smallRoles {
		b.s.Load(Role{ID: r, Name: string(r)})
		b.w.roles[r] = Role{ID: r, Name: string(r)}
	}
	for _, g := range smallGroups {
		b.s.Load(Group{ID: g, Name: string(g)})
		b.w.groups[g] = true
	}
	sc := Scope{ID: "app/s", Permissions: []Permission{"app/x:0", "app/x:1"}}
	b.s.Load(sc)
	b.w.scopes[sc.ID] = sc
	for i, d := range smallDuties {
		row := Duty{ID: d, Name: string(d), Expr: AnyOf(smallPerms[i].Atom())}
		b.s.Load(row)
		b.w.duties[d] = row
	}
	for _, x := range smallSubjects {
		row := Subject{ID: x}
		if x == "w0" {
			row.Kind, row.Owner = Workload, "p1"
			b.w.ownerOf[x] = "p1"
		}
		b.s.Load(row)
		b.w.subjects[x] = true
	}
	for a, x := range smallAccounts {
		b.s.Load(Account{a, x})
		b.w.subjectOf[a] = x
	}
	return b
}

func accounts() []AccountID { return slices.Sorted(maps.Keys(smallAccounts)) }

func drawWindow(t *rapid.T) Window {
	from := Instant(rapid.IntRange(9, 15).Draw(t, "from")) * 10
	if rapid.Bool().Draw(t, "ends") {
		return Window{from, from + Instant(rapid.IntRange(-1, 4).Draw(t, "length"))*10}
	}
	return Window{From: from}
}

func drawAtom(t *rapid.T) Atom {
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return rapid.SampledFrom(smallGroups).Draw(t, "group").Atom()
	case 1:
		return ScopeID("app/s").Atom()
	case 2, 3:
		return rapid.SampledFrom(smallRoles).Draw(t, "role").Atom()
	}
	return rapid.SampledFrom(smallPerms).Draw(t, "perm").Atom()
}

func drawExpr(t *rapid.T, depth int) Expr {
	n := rapid.IntRange(1, 3).Draw(t, "parts")
	e := Expr{K: rapid.IntRange(1, n).Draw(t, "k")}
	seen := map[Atom]bool{}
	for len(e.Of) < n {
		if depth < 2 && rapid.IntRange(0, 4).Draw(t, "nest") == 0 {
			e.Of = append(e.Of, drawExpr(t, depth+1))
			continue
		}
		if a := drawAtom(t); !seen[a] {
			seen[a] = true
			e.Of = append(e.Of, Leaf(a))
		}
	}
	return e
}

func drawRule(t *rapid.T) Rule {
	n := rapid.IntRange(2, 3).Draw(t, "duties")
	return Rule{
		ID: rapid.SampledFrom(smallRules).Draw(t, "rule"), Kind: Static, Level: Low,
		Duties: slices.Clone(rapid.Permutation(smallDuties).Draw(t, "order")[:n]), K: rapid.IntRange(2, n).Draw(t, "k"),
		Mode:  rapid.SampledFrom([]Mode{Block, Block, Block, Approve, Warn, Record, Simulate, Draft}).Draw(t, "mode"),
		Join:  rapid.SampledFrom([]Join{AnyContext, AnyContext, SameContext}).Draw(t, "join"),
		Owned: rapid.IntRange(0, 3).Draw(t, "owned") == 0,
	}
}

func drawOp(t *rapid.T, s *State) Op {
	role := func(l string) RoleID { return rapid.SampledFrom(smallRoles).Draw(t, l) }
	group := func(l string) GroupID { return rapid.SampledFrom(smallGroups).Draw(t, l) }
	account := func(l string) AccountID { return rapid.SampledFrom(accounts()).Draw(t, l) }
	perm := func() Permission { return rapid.SampledFrom(smallPerms).Draw(t, "perm") }
	switch rapid.IntRange(0, 32).Draw(t, "op") {
	case 0, 1:
		return AddInheritance{role("senior"), role("junior"), rapid.SampledFrom([]EdgeMode{Both, Inherit, Activate}).Draw(t, "mode")}
	case 2:
		return DeleteInheritance{role("senior"), role("junior")}
	case 3, 4, 5:
		return GrantPermission{role("role"), perm()}
	case 6:
		return RevokePermission{role("role"), perm()}
	case 7:
		return AddGroupEdge{group("parent"), group("child")}
	case 8:
		return DeleteGroupEdge{group("parent"), group("child")}
	case 9, 10:
		return AddGroupRole{group("group"), role("role")}
	case 11:
		return DeleteGroupRole{group("group"), role("role")}
	case 12, 13, 14, 15, 16, 17:
		return Assign{Assignment{
			ID: AssignmentID(fmt.Sprint("u", rapid.IntRange(0, 30).Draw(t, "id"))), Account: account("account"), Role: role("role"),
			Context: rapid.SampledFrom(smallContexts).Draw(t, "context"), During: drawWindow(t), Eligible: rapid.Bool().Draw(t, "eligible"),
		}}
	case 18:
		if ids := sortedKeys(s.Assignments); len(ids) > 0 {
			return Withdraw{rapid.SampledFrom(ids).Draw(t, "assignment")}
		}
		return Withdraw{"none"}
	case 19, 20:
		return AddMember{Membership{group("group"), account("account"), Window{}}}
	case 21:
		return RemoveMember{group("group"), account("account")}
	case 22, 23:
		return Delegate{Delegation{
			ID: DelegationID(fmt.Sprint("v", rapid.IntRange(0, 5).Draw(t, "id"))), From: account("from"), To: account("to"),
			Roles: []RoleID{role("role")}, During: Window{110, 110 + Instant(rapid.IntRange(1, 5).Draw(t, "length"))*10},
		}}
	case 24:
		return LinkAccount{account("account"), rapid.SampledFrom(smallSubjects).Draw(t, "subject")}
	case 25:
		x := Exception{
			ID: ExceptionID(fmt.Sprint("x", rapid.IntRange(0, 5).Draw(t, "id"))), Rule: rapid.SampledFrom(smallRules).Draw(t, "rule"),
			Subject: rapid.SampledFrom(smallSubjects).Draw(t, "subject"), Approvers: []SubjectID{"p9"},
			During: Window{100, 100 + Instant(rapid.IntRange(1, 6).Draw(t, "length"))*10},
		}
		x.Version = s.Rules[x.Rule].Version
		return GrantException{x}
	case 26:
		return RevokeException{ExceptionID(fmt.Sprint("x", rapid.IntRange(0, 5).Draw(t, "id")))}
	case 27, 28:
		r := drawRule(t)
		if _, ok := s.Rules[r.ID]; ok {
			return EditRule{r, rapid.Bool().Draw(t, "grandfather")}
		}
		return CreateRule{r, rapid.Bool().Draw(t, "grandfather")}
	case 29:
		return DeleteRule{rapid.SampledFrom(smallRules).Draw(t, "rule")}
	case 30:
		id := rapid.SampledFrom(smallDuties).Draw(t, "duty")
		return DefineDuty{Duty{ID: id, Name: string(id), Expr: drawExpr(t, 0)}}
	case 31:
		r := s.Roles[role("role")]
		r.MaxAssignees = rapid.IntRange(0, 2).Draw(t, "max")
		r.MinAssignees = rapid.IntRange(0, r.MaxAssignees).Draw(t, "min")
		r.Unassignable = rapid.IntRange(0, 4).Draw(t, "unassignable") == 0
		r.Prerequisite = Cond{}
		if rapid.IntRange(0, 2).Draw(t, "needs") == 0 {
			r.Prerequisite = Cond{Role: role("prerequisite"), Not: rapid.IntRange(0, 3).Draw(t, "not") == 0}
		}
		return EditRole{r}
	}
	return Sweep{}
}

// agree holds everything the engine says of the state against the oracle.
func (b both) agree(t interface{ Fatalf(string, ...any) }) {
	snap, err := b.s.Snapshot()
	if err != nil {
		t.Fatalf("Snapshot() = %v", err)
	}
	for _, a := range smallRoles { // I1–I3
		for _, c := range smallRoles {
			at, to := snap.roleAt[a], snap.roleAt[c]
			if got, want := snap.may[at].has(to), b.w.reaches(a, c, false); got != want {
				t.Fatalf("%s reaches %s: got %v, want %v", a, c, got, want)
			}
			if got, want := snap.does[at].has(to), b.w.reaches(a, c, true); got != want {
				t.Fatalf("%s carries %s: got %v, want %v", a, c, got, want)
			}
		}
	}
	for _, x := range smallSubjects {
		b.agreeOn(t, snap, x)
	}
	b.holds(t, snap)
	got := map[CaseKey]bool{}
	for key, v := range b.s.Violations { // I19
		got[key] = len(v.Uncovered) > 0
	}
	want := b.w.violations()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("violations differ (-oracle +engine):\n%s", diff)
	}
	for key, uncovered := range want { // I4: what a rule speaks against and nothing excuses is somebody's work
		c, ok := b.s.Cases[key]
		if !ok || uncovered && (c.State.Closed() || c.State == CaseInactive) {
			t.Fatalf("no open case for %v: %+v", key, c)
		}
	}
}

// holds: the backstop is what everybody holds for good of rules that block, each in a slot of its own.
func (b both) holds(t interface{ Fatalf(string, ...any) }, snap *Snapshot) {
	want, got := map[HoldKey]bool{}, map[HoldKey]bool{}
	for _, x := range smallSubjects {
		atoms := b.w.atoms(x, Forever-1, anywhere, false)
		for id, r := range b.w.rules {
			if r.Mode != Block || r.Join != AnyContext || r.Owned || b.w.count(r, atoms) >= r.K {
				continue
			}
			for _, d := range r.Duties {
				if b.w.holds(b.w.duties[d].Expr, atoms) {
					want[HoldKey{id, x, d}] = true
				}
			}
		}
	}
	slots := map[Hold]bool{}
	for key, h := range b.s.Holds {
		got[key] = true
		slot := Hold{Rule: h.Rule, Subject: h.Subject, Slot: h.Slot}
		if slots[slot] || h.Slot < 1 || h.Slot >= b.w.rules[h.Rule].K {
			t.Fatalf("the slot of %+v is taken or none", h)
		}
		slots[slot] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("holds differ (-oracle +engine):\n%s", diff)
	}
}

func (b both) agreeOn(t interface{ Fatalf(string, ...any) }, snap *Snapshot, x SubjectID) {
	h := b.s.Holder(x)
	ts := b.w.instants()
	for _, id := range sortedKeys(b.w.rules) {
		r := b.w.rules[id]
		if !r.static() {
			continue
		}
		findings := snap.FindingsOf(h, id, b.w.now)
		in := func(ws []Window, at Instant) bool {
			return slices.ContainsFunc(ws, func(w Window) bool { return w.Holds(at) })
		}
		for _, at := range ts {
			during, uncovered := false, false
			for _, f := range findings {
				during, uncovered = during || in(f.During, at), uncovered || in(f.Uncovered, at)
			}
			violated := b.w.violated(r, x, at)
			if during != violated || uncovered != (violated && !b.w.covered(r, x, at)) {
				t.Fatalf("%s against %s at %d: got %v (uncovered %v), want %v", x, id, at, during, uncovered, violated)
			}
		}
		for _, f := range findings {
			b.sound(t, f, r)
		}
	}
}

// sound: the atoms of a witness are a conflict by themselves, without any one of them they are none, and
// each path leads along edges that exist.
func (b both) sound(t interface{ Fatalf(string, ...any) }, f Finding, r Rule) {
	held := map[Atom]bool{}
	for _, d := range f.Witness.Duties {
		for _, p := range d.Paths {
			held[p.Atom] = true
			for i := 1; i < len(p.Roles); i++ {
				if _, ok := b.w.rh[pair[RoleID, RoleID]{p.Roles[i-1], p.Roles[i]}]; !ok {
					t.Fatalf("the path %+v takes an edge that does not exist", p)
				}
			}
			for i := 1; i < len(p.Groups); i++ {
				if !b.w.contains[pair[GroupID, GroupID]{p.Groups[i], p.Groups[i-1]}] {
					t.Fatalf("the path %+v takes a group edge that does not exist", p)
				}
			}
			if kind, name := p.Atom.Split(); kind == PermAtom && !b.w.pa[pair[RoleID, Permission]{p.Roles[len(p.Roles)-1], Permission(name)}] {
				t.Fatalf("the path %+v ends at a role without the permission", p)
			}
		}
	}
	if b.w.count(r, held) < r.K {
		t.Fatalf("the witness %+v is no conflict with %+v", f.Witness, r)
	}
	for a := range held {
		delete(held, a)
		if b.w.count(r, held) >= r.K {
			t.Fatalf("the witness %+v does not need %s", f.Witness, a)
		}
		held[a] = true
	}
}

// rbac-I1 to I4, I10, I11, I17, I19: after every operation of any history the engine and the oracle say the same.
func TestTheEngineAgreesWithTheOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := furnished(t)
		now := Instant(100)
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			if rapid.IntRange(0, 9).Draw(t, "tick") == 0 {
				now += Instant(rapid.IntRange(1, 15).Draw(t, "passes"))
				b.apply(t, Sweep{}, now)
			}
			b.apply(t, drawOp(t, b.s), now)
			b.agree(t)
		}
	})
}

// apply takes op through both and compares the verdicts.
func (b *both) apply(t *rapid.T, op Op, now Instant) {
	var approved []RuleID
	if rapid.Bool().Draw(t, "approved") {
		approved = smallRules
	}
	before := snapshotOfRows(b.s)
	w, want := b.w.step([]Op{op}, now, approved...)
	res, err := b.s.Apply(By{}, Changeset{Ops: []Op{op}, Approved: approved}, now)
	if err != nil {
		t.Fatalf("Apply(%+v) = %v", op, err)
	}
	got := ""
	if res.Why != nil {
		got = res.Why.Code
	}
	if got != want {
		t.Fatalf("%T%+v at %d: got %q, want %q (hits %+v)", op, op, now, got, want, res.Hits)
	}
	if want != "" {
		if diff := cmp.Diff(before, snapshotOfRows(b.s)); diff != "" {
			t.Fatalf("a refused change left something behind:\n%s", diff)
		}
		b.w.now = max(b.w.now, now)
		// Time passes for a refused change too, but only a change or a sweep files what that means.
		if w, code := b.w.step([]Op{Sweep{}}, now); code == "" {
			b.w = w
		}
		if _, err := b.s.Apply(By{}, Changeset{Ops: []Op{Sweep{}}}, now); err != nil {
			t.Fatalf("Sweep = %v", err)
		}
		return
	}
	b.w = w
}

// snapshotOfRows is the state without its indexes.
func snapshotOfRows(s *State) map[string]any {
	return map[string]any{
		"policy": s.Policy.Clone(), "subjects": maps.Clone(s.Subjects), "accounts": maps.Clone(s.Accounts),
		"assignments": maps.Clone(s.Assignments), "memberships": maps.Clone(s.Memberships), "delegations": maps.Clone(s.Delegations),
		"exceptions": maps.Clone(s.Exceptions), "violations": maps.Clone(s.Violations), "cases": maps.Clone(s.Cases), "holds": maps.Clone(s.Holds), "epoch": s.Epoch,
	}
}
