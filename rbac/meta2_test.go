package rbac

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// rbac-M7: what comes through a group is what comes directly.
func TestAGroupIsAnotherWay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := history(t)
		for _, d := range b.s.Duties { // of duties that speak of no group
			if speaksOfGroups(d.Expr) {
				return
			}
		}
		want := found(t, b.s, 100)
		o := NewState()
		loadAll(o, b.s, func(row any) bool { _, is := row.(Membership); return !is })
		n := 0
		for key, m := range b.s.Memberships {
			for g := range b.w.groups {
				if !b.w.within(key.Group, g) {
					continue
				}
				for _, r := range b.s.Groups[g].Roles {
					n++
					o.Load(Assignment{ID: AssignmentID(fmt.Sprint("via", n)), Account: key.Account, Role: r, During: m.During})
				}
			}
		}
		if diff := cmp.Diff(want, found(t, o, 100)); diff != "" {
			t.Fatalf("directly it is:\n%s", diff)
		}
	})
}

// loadAll copies the rows of from that keep accepts.
func loadAll(to, from *State, keep func(any) bool) {
	var rows []any
	rows = rowsOf(rows, from.Permissions)
	rows = rowsOf(rows, from.Scopes)
	rows = rowsOf(rows, from.Roles)
	rows = rowsOf(rows, from.Groups)
	rows = rowsOf(rows, from.Duties)
	rows = rowsOf(rows, from.Rules)
	rows = rowsOf(rows, from.Subjects)
	rows = rowsOf(rows, from.Accounts)
	rows = rowsOf(rows, from.Assignments)
	rows = rowsOf(rows, from.Memberships)
	rows = rowsOf(rows, from.Delegations)
	rows = rowsOf(rows, from.Exceptions)
	for _, row := range rows {
		if keep(row) {
			to.Load(row)
		}
	}
}

func rowsOf[K comparable, R any](rows []any, m map[K]R) []any {
	for _, r := range m {
		rows = append(rows, r)
	}
	return rows
}

// rbac-M8: a role split into a junior that has its permissions and a senior that inherits it is the same role.
func TestASplitRoleIsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := history(t)
		want := found(t, b.s, 100)
		r := b.s.Roles[rapid.SampledFrom(smallRoles).Draw(t, "split")]
		b.s.Load(Role{ID: "half", Name: "half", Permissions: r.Permissions})
		r.Permissions = nil
		r.Juniors = append(slices.Clone(r.Juniors), Junior{Role: "half"})
		b.s.Load(r)
		if diff := cmp.Diff(want, found(t, b.s, 100)); diff != "" {
			t.Fatalf("split it is:\n%s", diff)
		}
	})
}

// rbac-M9, I15: where a static rule holds, the same rule as a dynamic one cannot be broken. rbac-I5, I6:
// whatever is activated in whatever order, what blocks is never broken and nothing is active that is not held.
func TestStaticImpliesDynamic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := history(t)
		static := found(t, b.s, 100)
		for id, r := range b.s.Rules {
			r.Kind, r.Join, r.Mode, r.Reach = Dynamic, AnyContext, Block, ReachSession
			for _, d := range r.Duties {
				if speaksOfGroups(b.s.Duties[d].Expr) {
					return
				}
			}
			b.s.Load(r)
			b.w.rules[id] = r
		}
		snap, err := b.s.Snapshot()
		if err != nil {
			t.Fatalf("Snapshot = %v", err)
		}
		at := Instant(rapid.IntRange(10, 19).Draw(t, "at")) * 10
		for x, account := range map[SubjectID]AccountID{"p0": "a0", "p1": "a1", "p2": "a2"} {
			h := b.s.Holder(x)
			account = rapid.SampledFrom([]AccountID{account, "b0"}).Draw(t, "account")
			a := Active{Account: account, Elevated: true}
			for range 8 {
				role := rapid.SampledFrom(smallRoles).Draw(t, "role")
				got := snap.Activate(h, a, role, at)
				may := b.w.subjectOf[account] == x && mayActivate(b.w, account, at)[role]
				if (codeOf(got.Why) == "role-not-activatable") == may {
					t.Fatalf("%s as %s: got %v, want it activatable: %v", x, role, got.Why, may)
				}
				if got.Outcome == Applied {
					a.Here = got.Roles
				}
				for id, r := range b.s.Rules {
					broken := b.w.count(r, b.w.activeAtoms(append(slices.Clone(a.Here), role))) >= r.K
					if got.Outcome == Applied && broken {
						t.Fatalf("%v are active against %s", a.Here, id)
					}
					if _, bad := static[CaseKey{id, x}]; may && broken && !bad {
						t.Fatalf("%v would break %s as a dynamic rule and not as a static one", append(a.Here, role), id)
					}
				}
				if codeOf(got.Why) == "dsd-conflict" && !b.anyBroken(append(slices.Clone(a.Here), role)) {
					t.Fatalf("%v with %s was refused for nothing", a.Here, role)
				}
			}
		}
	})
}

func mayActivate(w world, a AccountID, t Instant) map[RoleID]bool { return w.authorised(a, t, "") }

func (b both) anyBroken(active []RoleID) bool {
	for _, r := range b.s.Rules {
		if b.w.count(r, b.w.activeAtoms(active)) >= r.K {
			return true
		}
	}
	return false
}

// activeAtoms: what active roles carry, by definition.
func (w world) activeAtoms(active []RoleID) map[Atom]bool {
	out := map[Atom]bool{}
	for _, r := range active {
		for j := range w.roles {
			if !w.reaches(r, j, true) {
				continue
			}
			out[j.Atom()] = true
			for p := range w.pa {
				if p.a == j {
					out[p.b.Atom()] = true
				}
			}
		}
	}
	return out
}

// rbac-M10: when everything happens later, everything happens later. Windows that touch are apart; by one
// microsecond they are not.
func TestTimeIsOnlyADistance(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := history(t)
		by := Instant(rapid.IntRange(1, 1_000_000).Draw(t, "by"))
		shift := func(w Window) Window {
			if w.From += by; w.To != 0 {
				w.To += by
			}
			return w
		}
		want := map[CaseKey][]Window{}
		for key, during := range found(t, b.s, 100) {
			for _, w := range during {
				want[key] = append(want[key], shift(w))
			}
		}
		for _, a := range b.s.Assignments {
			a.During = shift(a.During)
			b.s.Load(a)
		}
		for _, m := range b.s.Memberships {
			m.During = shift(m.During)
			b.s.Load(m)
		}
		for _, d := range b.s.Delegations {
			d.During = shift(d.During)
			b.s.Load(d)
		}
		if diff := cmp.Diff(want, found(t, b.s, 100+by)); diff != "" {
			t.Fatalf("later it is:\n%s", diff)
		}
	})
	t.Run("to the microsecond", func(t *testing.T) {
		for overlap, want := range map[Instant]int{-1: 0, 0: 0, 1: 1} {
			o, enter, release := ledger(t)
			o.s.Load(Assignment{ID: "1", Account: "ann", Role: enter, During: Window{From: 2000, To: 3000}},
				Assignment{ID: "2", Account: "ann", Role: release, During: Window{From: 3000 - overlap}})
			if got := len(found(t, o.s, 1000)); got != want {
				t.Errorf("windows that overlap by %d: got %d conflicts, want %d", overlap, got, want)
			}
		}
	})
}

// rbac-M13: a snapshot answers as of its epoch, whatever happens after.
func TestASnapshotIsOfItsEpoch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := history(t)
		snap, _ := b.s.Snapshot()
		epoch := snap.Epoch
		holders := map[SubjectID]Holder{}
		want := map[SubjectID][]Finding{}
		for _, x := range smallSubjects {
			holders[x] = b.s.Holder(x)
			want[x] = snap.Findings(holders[x], 100)
		}
		structural := false
		for range 6 {
			op := drawOp(t, b.s)
			policy := b.s.Policy.Clone()
			before := b.s.Epoch
			res, err := b.s.Apply(By{}, Changeset{Ops: []Op{op}}, 100)
			if err != nil {
				t.Fatalf("Apply = %v", err)
			}
			moved := b.s.Epoch - before
			if same := cmp.Equal(policy, b.s.Policy); same && moved != 0 && res.Outcome != Applied || !same && moved != 1 {
				t.Fatalf("%T%+v moved the epoch by %d", op, op, moved)
			}
			structural = structural || moved > 0
		}
		if (b.s.Epoch == epoch) == structural {
			t.Fatalf("the epoch went from %d to %d", epoch, b.s.Epoch)
		}
		for x, h := range holders {
			if diff := cmp.Diff(want[x], snap.Findings(h, 100), cmp.AllowUnexported(Path{})); diff != "" {
				t.Fatalf("the old snapshot says something new of %s:\n%s", x, diff)
			}
		}
	})
}

// rbac-M16: the fixes found are those of the smallest size there are, all of them, by trying every subset.
func TestFixesAreTheSmallest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := furnished(t)
		for range rapid.IntRange(3, 20).Draw(t, "history") {
			if _, err := b.s.Apply(By{}, Changeset{Ops: []Op{drawOp(t, b.s)}, Adopt: true}, 100); err != nil {
				t.Fatalf("Apply = %v", err)
			}
		}
		snap, _ := b.s.Snapshot()
		for _, x := range smallSubjects {
			h := b.s.Holder(x)
			units := []string{}
			for _, g := range h.Grants {
				if !slices.Contains(units, g.unit()) {
					units = append(units, g.unit())
				}
			}
			if len(units) > 10 {
				continue
			}
			clears := func(set int) bool {
				left := h
				left.Grants = nil
				for _, g := range h.Grants {
					if set&(1<<slices.Index(units, g.unit())) == 0 {
						left.Grants = append(left.Grants, g)
					}
				}
				return !slices.ContainsFunc(snap.Findings(left, 100), func(f Finding) bool { return len(f.Uncovered) > 0 })
			}
			best, want := len(units)+1, map[string]bool{}
			for set := range 1 << len(units) {
				var taken []string
				for i, u := range units {
					if set&(1<<i) != 0 {
						taken = append(taken, u)
					}
				}
				if len(taken) > best || !clears(set) {
					continue
				}
				if len(taken) < best {
					best, want = len(taken), map[string]bool{}
				}
				slices.Sort(taken)
				want[fmt.Sprint(taken)] = true
			}
			fixes, exact := snap.Fixes(h, nil, 100)
			got := map[string]bool{}
			for _, f := range fixes {
				var taken []string
				for _, g := range f {
					taken = append(taken, g.unit())
				}
				slices.Sort(taken)
				got[fmt.Sprint(taken)] = true
			}
			if diff := cmp.Diff(want, got); diff != "" || !exact {
				t.Fatalf("%s: fixes differ (-all subsets +found, exact %v):\n%s", x, exact, diff)
			}
		}
	})
}
