package rbac

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The metamorphic properties of rbac.md 15.3: what may not change an answer, and how.

// history is a random state that came about by changes that stood.
func history(t *rapid.T) both {
	b := furnished(t)
	for range rapid.IntRange(3, 20).Draw(t, "history") {
		op := drawOp(t, b.s)
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

// found is every conflict of every static rule, by subject, with when it is.
func found(t interface{ Fatalf(string, ...any) }, s *State, now Instant) map[CaseKey][]Window {
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatalf("Snapshot() = %v", err)
	}
	out := map[CaseKey][]Window{}
	for x := range s.Subjects {
		for id, r := range s.Rules {
			if !r.static() {
				continue
			}
			for _, f := range snap.FindingsOf(s.Holder(x), id, now) {
				out[CaseKey{id, x}] = f.During
			}
		}
	}
	return out
}

// rbac-M1, I16, I17: a changeset has one verdict whatever the order of its operations, and it is that of the union.
func TestOrderMeansNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := history(t)
		ops := []Op{}
		ids := sortedKeys(b.s.Assignments)
		for i := range rapid.IntRange(2, 4).Draw(t, "ops") {
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				if i < len(ids) {
					ops = append(ops, Withdraw{ids[i]})
				}
			case 1:
				ops = append(ops, GrantPermission{smallRoles[i], rapid.SampledFrom(smallPerms).Draw(t, "perm")})
			case 2:
				ops = append(ops, AddGroupRole{smallGroups[i%3], smallRoles[i]})
			default:
				ops = append(ops, Assign{Assignment{ID: AssignmentID(fmt.Sprint("new", i)), Account: rapid.SampledFrom(accounts()).Draw(t, "account"),
					Role: smallRoles[i], During: drawWindow(t)}})
			}
		}
		_, want := b.w.step(ops, 100)
		var first Result
		for i := range 4 {
			order := rapid.Permutation(ops).Draw(t, "order")
			res, err := b.s.Apply(By{}, Changeset{Ops: order, DryRun: true}, 100)
			if err != nil {
				t.Fatalf("Apply = %v", err)
			}
			got := codeOf(res.Why)
			if local[got] || local[want] {
				return // what an operation says of itself may depend on which is first
			}
			if got != want {
				t.Fatalf("%+v: got %q, want %q", order, got, want)
			}
			if i == 0 {
				first = res
			}
			if diff := cmp.Diff(first.Hits, res.Hits, ignorePaths); diff != "" {
				t.Fatalf("in another order the hits differ:\n%s", diff)
			}
		}
	})
}

var local = map[string]bool{"already-exists": true, "not-found": true, "window-invalid": true}

var ignorePaths = cmp.Comparer(func(a, b Path) bool { return a.Atom == b.Atom && a.Account == b.Account })

// rbac-M2: adding never takes a conflict away, and taking away never adds one.
func TestMonotony(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := history(t)
		before := found(t, b.s, 100)
		op := drawOp(t, b.s)
		if _, err := b.s.Apply(By{}, Changeset{Ops: []Op{op}, Adopt: true}, 100); err != nil {
			t.Fatalf("Apply = %v", err)
		}
		after := found(t, b.s, 100)
		less, more := before, after
		switch op.(type) {
		case AddInheritance, GrantPermission, AddGroupEdge, AddGroupRole, Assign, AddMember, Delegate:
		case DeleteInheritance, RevokePermission, DeleteGroupEdge, DeleteGroupRole, Withdraw, RemoveMember, Undelegate:
			less, more = after, before
		default:
			return
		}
		for key, during := range less {
			if left := minus(during, more[key]); len(left) > 0 {
				t.Fatalf("%T%+v took %v in %v away", op, op, key, left)
			}
		}
	})
}

// renamed is s with every name turned into another that sorts the other way round.
func renamed(s *State) (*State, func(string) string) {
	name := func(old string) string {
		if old == "" {
			return ""
		}
		return strings.Map(func(r rune) rune {
			switch {
			case r >= '0' && r <= '9':
				return '9' - (r - '0')
			case r >= 'a' && r <= 'z':
				return 'z' - (r - 'a')
			case r >= 'A' && r <= 'Z':
				return 'Z' - (r - 'A')
			}
			return r
		}, old)
	}
	var expr func(Expr) Expr
	expr = func(e Expr) Expr {
		if e.Atom != "" {
			kind, n := e.Atom.Split()
			return Leaf(Atom(string(kind) + ":" + name(n)))
		}
		out := Expr{K: e.K}
		for _, sub := range slices.Backward(e.Of) {
			out.Of = append(out.Of, expr(sub))
		}
		return out
	}
	perms := func(ps []Permission) (out []Permission) {
		for _, p := range ps {
			out = append(out, Permission(name(string(p))))
		}
		return sorted(out)
	}
	o := NewState()
	for _, p := range s.Permissions {
		o.Load(PermissionDef{ID: Permission(name(string(p.ID)))})
	}
	for _, sc := range s.Scopes {
		o.Load(Scope{ID: ScopeID(name(string(sc.ID))), Permissions: perms(sc.Permissions), Mode: sc.Mode})
	}
	for _, r := range s.Roles {
		var js []Junior
		for _, j := range r.Juniors {
			js = append(js, Junior{RoleID(name(string(j.Role))), j.Mode})
		}
		o.Load(Role{ID: RoleID(name(string(r.ID))), Name: name(r.Name), Permissions: perms(r.Permissions), Juniors: js})
	}
	for _, g := range s.Groups {
		n := Group{ID: GroupID(name(string(g.ID))), Name: name(g.Name)}
		for _, r := range g.Roles {
			n.Roles = append(n.Roles, RoleID(name(string(r))))
		}
		for _, c := range g.Children {
			n.Children = append(n.Children, GroupID(name(string(c))))
		}
		o.Load(n)
	}
	for _, d := range s.Duties {
		o.Load(Duty{ID: DutyID(name(string(d.ID))), Name: d.Name, Expr: expr(d.Expr)})
	}
	for _, r := range s.Rules {
		n := r
		n.ID, n.Duties = RuleID(name(string(r.ID))), nil
		for _, d := range slices.Backward(r.Duties) {
			n.Duties = append(n.Duties, DutyID(name(string(d))))
		}
		o.Load(n)
	}
	for _, x := range s.Subjects {
		o.Load(Subject{SubjectID(name(string(x.ID))), x.Kind, SubjectID(name(string(x.Owner)))})
	}
	for _, a := range s.Accounts {
		o.Load(Account{AccountID(name(string(a.ID))), SubjectID(name(string(a.Subject)))})
	}
	for _, a := range s.Assignments {
		a.ID, a.Account, a.Role, a.Context = AssignmentID(name(string(a.ID))), AccountID(name(string(a.Account))), RoleID(name(string(a.Role))), name(a.Context)
		o.Load(a)
	}
	for _, m := range s.Memberships {
		o.Load(Membership{GroupID(name(string(m.Group))), AccountID(name(string(m.Account))), m.During})
	}
	for _, d := range s.Delegations {
		roles := []RoleID{}
		for _, r := range d.Roles {
			roles = append(roles, RoleID(name(string(r))))
		}
		o.Load(Delegation{DelegationID(name(string(d.ID))), AccountID(name(string(d.From))), AccountID(name(string(d.To))), roles, d.During})
	}
	return o, name
}

// rbac-M3: names mean nothing.
func TestNamesMeanNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := history(t)
		o, name := renamed(b.s)
		want := map[CaseKey][]Window{}
		for key, during := range found(t, b.s, 100) {
			want[CaseKey{RuleID(name(string(key.Rule))), SubjectID(name(string(key.Subject)))}] = during
		}
		if diff := cmp.Diff(want, found(t, o, 100)); diff != "" {
			t.Fatalf("under other names the conflicts differ:\n%s", diff)
		}
	})
}

// rbac-M4: what has nothing to do with it changes nothing.
func TestTheUnrelatedChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := history(t)
		want := found(t, b.s, 100)
		b.s.Load(PermissionDef{ID: "other/x:y"}, Role{ID: "other", Name: "other", Permissions: []Permission{"other/x:y"}},
			Role{ID: "0", Name: "0"}, Group{ID: "0", Name: "0", Roles: []RoleID{"other"}}, Subject{ID: "0"}, Account{"0", "0"},
			Assignment{ID: "0", Account: "0", Role: "other"}, Membership{Group: "0", Account: "0"},
			Duty{ID: "0", Name: "0", Expr: AnyOf("perm:other/x:y")}, Duty{ID: "1", Name: "1", Expr: AnyOf("role:0")},
			Rule{ID: "0", Kind: Static, Level: Low, Mode: Block, K: 2, Duties: []DutyID{"0", "1"}, Version: 1})
		if diff := cmp.Diff(want, found(t, b.s, 100)); diff != "" {
			t.Fatalf("it does:\n%s", diff)
		}
	})
}

// rbac-M5: what a dry run says is what happens, and a dry run does nothing.
func TestADryRunTellsTheTruth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := history(t)
		c := Changeset{Ops: []Op{drawOp(t, b.s), drawOp(t, b.s)}, DryRun: true, Adopt: rapid.Bool().Draw(t, "adopt")}
		before := snapshotOfRows(b.s)
		said, err := b.s.Apply(By{}, c, 105)
		if err != nil {
			t.Fatalf("Apply = %v", err)
		}
		if diff := cmp.Diff(before, snapshotOfRows(b.s)); diff != "" {
			t.Fatalf("a dry run left something behind:\n%s", diff)
		}
		c.DryRun = false
		done, err := b.s.Apply(By{}, c, 105)
		if err != nil {
			t.Fatalf("Apply = %v", err)
		}
		changes := func(r Result) []Hit {
			return slices.DeleteFunc(append([]Hit{}, r.Hits...), func(h Hit) bool { return h.Change == Stands })
		}
		if said.Outcome != done.Outcome || codeOf(said.Why) != codeOf(done.Why) || !cmp.Equal(changes(said), changes(done), ignorePaths) ||
			!slices.Equal(said.Affected, done.Affected) {
			t.Fatalf("said %+v, done %+v", said, done)
		}
		if diff := cmp.Diff(said.Writes, done.Writes); diff != "" {
			t.Fatalf("it wrote something else:\n%s", diff)
		}
	})
}

// rbac-M6: what is kept up to date is what would be made anew.
func TestKeptUpIsMadeAnew(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := history(t)
		snap, _ := b.s.Snapshot()
		anew, err := Compile(b.s.Policy, snap.Epoch)
		if err != nil {
			t.Fatalf("Compile = %v", err)
		}
		if !cmp.Equal(snap.rows, anew.rows) || !cmp.Equal(snap.may, anew.may) || !cmp.Equal(snap.does, anew.does) {
			t.Fatalf("the snapshot of the state is not that of its policy")
		}
		kept := NewPopulation(snap, 100)
		for _, x := range smallSubjects {
			kept.Set(b.s.Holder(x))
		}
		for range 4 { // people come, go and change
			x := rapid.SampledFrom(smallSubjects).Draw(t, "subject")
			h := b.s.Holder(x)
			h.Grants = h.Grants[:rapid.IntRange(0, len(h.Grants)).Draw(t, "left")]
			kept.Set(h)
		}
		made := NewPopulation(snap, 100)
		for _, x := range smallSubjects {
			kept.Set(b.s.Holder(x))
			made.Set(b.s.Holder(x))
		}
		for _, d := range smallDuties {
			if got, want := kept.Holders(d), made.Holders(d); got != want {
				t.Fatalf("%s: got %d holders, want %d", d, got, want)
			}
		}
		b.agreeWithPopulation(t, kept)
		b.agreeWithPopulation(t, kept.Rebase(anew))
	})
}

// agreeWithPopulation: who breaks a rule is the same one by one, by holders and by scan.
func (b both) agreeWithPopulation(t *rapid.T, pop *Population) {
	want := map[CaseKey]bool{}
	for key := range found(t, b.s, 100) {
		want[key] = true
	}
	got := map[CaseKey]bool{}
	for id, r := range b.s.Rules {
		who, err := pop.Violators(r)
		if err != nil {
			t.Fatalf("Violators = %v", err)
		}
		for _, x := range who {
			got[CaseKey{id, x}] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("by holders of duties:\n%s", diff)
	}
	maps.DeleteFunc(want, func(key CaseKey, _ bool) bool { return !b.s.Rules[key.Rule].filed() })
	got = map[CaseKey]bool{}
	pop.Scan(func(x SubjectID, r RuleID) { got[CaseKey{r, x}] = true })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("by scan:\n%s", diff)
	}

	snap, _ := b.s.Snapshot()
	x, role := rapid.SampledFrom(smallSubjects).Draw(t, "who"), rapid.SampledFrom(smallRoles).Draw(t, "what")
	g := Grant{Account: "a1", Role: role, During: drawWindow(t), Assignment: "new", Context: rapid.SampledFrom(smallContexts).Draw(t, "context")}
	after := b.s.Holder(x)
	after.Grants = append(after.Grants, g)
	var slow []RuleID
	for _, h := range snap.Worsens(b.s.Holder(x), after, 100) {
		slow = append(slow, h.Rule)
	}
	quick := slices.DeleteFunc(pop.Check(x, g), func(r RuleID) bool { return modeRank[b.s.Rules[r].Mode] < modeRank[Simulate] })
	if !slices.Equal(slow, quick) {
		t.Fatalf("a grant of %+v to %s: quick %v, slow %v", g, x, quick, slow)
	}

	edit, err := Compile(b.editedPolicy(t), 9)
	if err != nil {
		return
	}
	preview := map[CaseKey]bool{}
	pop.Preview(edit, func(x SubjectID, r RuleID) { preview[CaseKey{r, x}] = true })
	for _, x := range smallSubjects {
		h := b.s.Holder(x)
		for id, r := range b.s.Rules {
			if r.static() && preview[CaseKey{id, x}] && len(edit.FindingsOf(h, id, 100)) == 0 {
				t.Fatalf("the preview finds %s in %s, and there is nothing", x, id)
			}
			if r.static() && !preview[CaseKey{id, x}] && len(edit.FindingsOf(h, id, 100)) > len(snap.FindingsOf(h, id, 100)) && len(h.Exceptions) == 0 {
				t.Fatalf("the preview misses %s in %s", x, id)
			}
		}
	}
}

func (b both) editedPolicy(t *rapid.T) Policy {
	p := b.s.Policy.Clone()
	r := p.Roles[rapid.SampledFrom(smallRoles).Draw(t, "edited")]
	r.Permissions = sorted(append(slices.Clone(r.Permissions), rapid.SampledFrom(smallPerms).Draw(t, "granted")))
	p.Roles[r.ID] = r
	return p
}
