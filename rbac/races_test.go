package rbac_test

import (
	"slices"
	"testing"

	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// A race is two or three changes at once, each of them lawful alone. What each may be told is listed: the verdicts in the orders they
// may come in. during is when what they give is held; without an end it has the backstop of a Hold, with one only the locks.
type race struct {
	name  string
	of    func(during rbac.Window) (setup []rbac.Op, moves []rbac.Changeset)
	told  [][]string
	lock  string // without it the race is lost …
	holds bool   // … unless what is given has no end: then the slots of the rule refuse it
	after int64  // how much later than what was there before all of it happens
}

const (
	sod      = "sod-violation"
	existing = "existing-violations"
)

// ending is a window that a Hold does not keep.
var ending = rbac.Window{From: 100, To: 200}

func change(ops ...rbac.Op) rbac.Changeset { return rbac.Changeset{Ops: ops} }

func assign(id rbac.AssignmentID, account rbac.AccountID, role rbac.RoleID, during rbac.Window) rbac.Op {
	return rbac.Assign{Assignment: rbac.Assignment{ID: id, Account: account, Role: role, During: during}}
}

func join(group rbac.GroupID, account rbac.AccountID, during rbac.Window) rbac.Op {
	return rbac.AddMember{Membership: rbac.Membership{Group: group, Account: account, During: during}}
}

func apart(mode rbac.Mode) rbac.Rule {
	return rbac.Rule{ID: "apart", Kind: rbac.Static, Level: rbac.Low, Duties: []rbac.DutyID{"enter", "release"}, K: 2, Mode: mode}
}

func excuse(id rbac.ExceptionID, subject rbac.SubjectID) rbac.Op {
	return rbac.GrantException{Exception: rbac.Exception{
		ID: id, Rule: "apart", Version: 1, Subject: subject, Approvers: []rbac.SubjectID{"p9"}, During: rbac.Window{From: 100, To: 200},
	}}
}

// payments is the policy of every race: to enter a payment and to release it are two people's duties.
func payments(mode rbac.Mode, more ...rbac.Op) []rbac.Op {
	ops := []rbac.Op{
		rbac.DefinePermission{Permission: rbac.PermissionDef{ID: "pay/order:enter"}}, rbac.DefinePermission{Permission: rbac.PermissionDef{ID: "pay/order:release"}},
		storetest.Role("enter", "pay/order:enter"), storetest.Role("release", "pay/order:release"), storetest.Role("clerk"), storetest.Role("desk"),
		rbac.CreateGroup{Group: rbac.Group{ID: "team", Name: "team"}}, rbac.CreateGroup{Group: rbac.Group{ID: "staff", Name: "staff"}},
		rbac.DefineDuty{Duty: rbac.Duty{ID: "enter", Name: "enter", Expr: rbac.AnyOf("perm:pay/order:enter")}},
		rbac.DefineDuty{Duty: rbac.Duty{ID: "release", Name: "release", Expr: rbac.AnyOf("perm:pay/order:release")}},
		rbac.CreateRule{Rule: apart(mode)},
	}
	return append(ops, more...)
}

func officer(least, most int) rbac.Op {
	return rbac.CreateRole{Role: rbac.Role{ID: "officer", Name: "officer", MinAssignees: least, MaxAssignees: most}}
}

// verdicts of two: whichever comes first is applied, the other refused with code.
func oneOf(code string) [][]string { return [][]string{{"", code}, {code, ""}} }

// rbac.md 9.3, on both databases: whoever comes between whatever steps of another, the verdicts, the rows and the events are those of
// one after the other, and whoever comes while another is about to commit waits for it.
func TestRaces(t *testing.T) {
	t.Parallel()
	onStages(t, 3, func(t *testing.T, s *stage) {
		for _, r := range slices.Concat(racesOfRules, racesOfLimits) {
			t.Run(r.name, func(t *testing.T) {
				seen := map[int]bool{}
				s.interleave(t, r, ending, "", func(t *testing.T, before still, players []*player, held string) bool {
					if order := s.serial(t, before, players); order == nil {
						t.Fatalf("the first was held at %s", held)
					}
					at := r.outcome(players)
					if at < 0 {
						t.Fatalf("got %s, want the verdicts of %q", verdicts(players), r.told)
					}
					seen[at] = true
					if held == "commit" && len(players) == 2 && !players[1].waited {
						t.Errorf("%+v did not wait for %+v, which was about to commit", players[1].Ops, players[0].Ops)
					}
					return false
				})
				if len(seen) != len(r.told) {
					t.Errorf("got only the outcomes %v of %q", seen, r.told)
				}
			})
		}
	})
}

// outcome is which of the outcomes of r it came to, -1 for none. players are in whatever order they came in.
func (r race) outcome(players []*player) int {
	got := make([]string, len(players))
	for _, p := range players {
		got[p.hand] = p.code()
	}
	return slices.IndexFunc(r.told, func(want []string) bool { return slices.Equal(got, want) })
}

func onStages(t *testing.T, hands int, test func(t *testing.T, s *stage)) {
	t.Helper()
	for name, cfg := range map[string]func(testing.TB) store.Config{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newStage(t, database(t, cfg), hands))
		})
	}
}

// interleave plays r in every way to hold one of its changes at one of its steps while the others go as far as they can.
func (s *stage) interleave(t *testing.T, r race, during rbac.Window, without string, check func(t *testing.T, before still, players []*player, held string) (enough bool)) {
	t.Helper()
	setup, moves := r.of(during)
	for _, order := range orders(len(moves)) {
		for k := 1; ; k++ {
			s.reset(t)
			if res, err := s.apply(change(setup...)); err != nil || res.Why != nil {
				t.Fatalf("set up: %v %v", res.Why, err)
			}
			s.exec(t, "DELETE FROM events")
			s.clock.Add(r.after)
			before := s.still(t)
			var players []*player
			first := s.enter(t, order[0], move{Changeset: moves[order[0]], without: without})
			players = append(players, first)
			if !first.held(t, k) {
				conclude(t, players...)
				break // it has no more steps
			}
			held := first.place
			for _, i := range order[1:] {
				p := s.enter(t, i, move{Changeset: moves[i], without: without})
				players = append(players, p)
				p.run(t)
			}
			conclude(t, players...)
			if check(t, before, players, held) || t.Failed() {
				return
			}
		}
	}
}

// held lets p come to its kth step. On SQLite, where all others wait for the one writer wherever it is, there are the first and the last.
func (p *player) held(t *testing.T, k int) bool {
	if !p.stage.lite || k == 1 {
		return p.to(t, k)
	}
	for k == 2 && !p.over && p.place != "commit" {
		p.step(t)
	}
	if k > 2 {
		p.run(t)
	}
	return !p.over
}
