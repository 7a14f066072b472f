package rbac

import (
	"fmt"
	"testing"
)

// Every world of three people, three roles and two rules: every hierarchy, every pair of rules, every way to
// assign, and from each of them every assignment that could be made or withdrawn next.
func TestEverySmallWorld(t *testing.T) {
	t.Parallel()
	roles := []RoleID{"r0", "r1", "r2"}
	people := []SubjectID{"p0", "p1", "p2"}
	type set struct{ roles, k int }
	sets := []set{{0b011, 2}, {0b101, 2}, {0b110, 2}, {0b111, 2}, {0b111, 3}}
	edges := [][2]int{{0, 1}, {0, 2}, {1, 2}}
	worlds, steps := 0, 0

	for hierarchy := range 1 << len(edges) {
		for first := range sets {
			for second := first; second < len(sets); second++ {
				s, w := NewState(), newWorld()
				for i, r := range roles {
					row := Role{ID: r, Name: string(r)}
					for e, edge := range edges {
						if edge[0] == i && hierarchy&(1<<e) != 0 {
							row.Juniors = append(row.Juniors, Junior{Role: roles[edge[1]]})
							w.rh[pair[RoleID, RoleID]{r, roles[edge[1]]}] = Both
						}
					}
					w.roles[r] = Role{ID: r, Name: string(r)}
					d := Duty{ID: DutyID(r), Name: string(r), Expr: AnyOf(r.Atom())}
					w.duties[d.ID] = d
					s.Load(row, d)
				}
				for i, c := range []int{first, second} {
					r := Rule{ID: RuleID(fmt.Sprint("R", i)), Kind: Static, Level: Low, Mode: Block, K: sets[c].k, Version: 1}
					for j, role := range roles {
						if sets[c].roles&(1<<j) != 0 {
							r.Duties = append(r.Duties, DutyID(role))
						}
					}
					s.Load(r)
					w.rules[r.ID] = r
				}
				for _, p := range people {
					w.subjects[p], w.subjectOf[AccountID(p)] = true, p
				}
				snap, err := s.Snapshot()
				if err != nil {
					t.Fatal(err)
				}

				// One person's verdicts do not depend on the others, so the oracle is asked once for what each
				// can hold; the engine is asked about all of them, in one population, for each of the 512 ways.
				var breaks [8][2]int // held roles → duties held of each rule
				for held := range 8 {
					v := w.clone()
					for j, r := range roles {
						if held&(1<<j) != 0 {
							v.ua[AssignmentID(r)] = Assignment{ID: AssignmentID(r), Account: "p0", Role: r}
						}
					}
					for i := range 2 {
						breaks[held][i] = v.count(v.rules[RuleID(fmt.Sprint("R", i))], v.atoms("p0", 0, anywhere, false))
					}
				}
				worse := func(from, to, rule int) bool {
					k := w.rules[RuleID(fmt.Sprint("R", rule))].K
					return breaks[to][rule] >= k && breaks[to][rule] > breaks[from][rule]
				}
				pop := NewPopulation(snap, 0)
				for ua := range 512 {
					worlds++
					for p, x := range people {
						pop.Set(holderOf(x, roles, ua>>(3*p)&7))
					}
					got := map[CaseKey]bool{}
					pop.Scan(func(x SubjectID, r RuleID) { got[CaseKey{r, x}] = true })
					for p, x := range people {
						held := ua >> (3 * p) & 7
						for i := range 2 {
							key := CaseKey{RuleID(fmt.Sprint("R", i)), x}
							if want := breaks[held][i] >= w.rules[key.Rule].K; got[key] != want {
								t.Fatalf("hierarchy %b, rules %v %v, %s with %b: got %v, want %v", hierarchy, sets[first], sets[second], x, held, got[key], want)
							}
						}
						if ua>>(3*p+3) != 0 {
							continue // the same step is tried where nobody after has anything
						}
						for j := range roles {
							steps++
							to := held ^ 1<<j
							hits := map[RuleID]bool{}
							for _, h := range snap.Worsens(holderOf(x, roles, held), holderOf(x, roles, to), 0) {
								hits[h.Rule] = true
							}
							for i := range 2 {
								if id := RuleID(fmt.Sprint("R", i)); hits[id] != worse(held, to, i) {
									t.Fatalf("hierarchy %b, rules %v %v, from %b to %b: got %v, want %v", hierarchy, sets[first], sets[second], held, to, hits, worse(held, to, i))
								}
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d worlds, %d steps", worlds, steps)
}

func holderOf(x SubjectID, roles []RoleID, held int) Holder {
	h := Holder{Subject: x}
	for j, r := range roles {
		if held&(1<<j) != 0 {
			h.Grants = append(h.Grants, Grant{Account: AccountID(x), Role: r, Assignment: AssignmentID(r)})
		}
	}
	return h
}
