package rbac_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store/storetest"
)

// rbac.md 9.3, that the tests can fail: with one lock left out, some way to interleave each race comes to what is unlawful.
func TestEveryLockIsNeeded(t *testing.T) {
	t.Parallel()
	s := newStage(t, database(t, storetest.Postgres), 3)
	shown := map[string]bool{}
	for _, r := range slices.Concat(racesOfRules, racesOfLimits) {
		if r.lock == "" {
			continue
		}
		t.Run(r.name+" without "+r.lock, func(t *testing.T) {
			lost := false
			s.interleave(t, r, ending, r.lock, func(t *testing.T, before still, players []*player, _ string) bool {
				order, _ := s.ordered(t, before, players)
				lost = lost || order == nil
				return lost
			})
			if !lost {
				t.Errorf("every way to interleave is lawful without the lock")
			}
			shown[r.lock] = true
		})
	}
	for _, lock := range []string{"LockPolicy", "LockSubjects", "LockRoles"} {
		if !shown[lock] {
			t.Errorf("no race needs %s", lock)
		}
	}
}

// rbac.md 9.2 and 9.3: what is held for good is held in slots. Whoever comes past the locks meets there, is judged again and refused.
// Only who decides by a policy that is no more, which the policy's lock alone prevents, does not know what a slot is taken for.
func TestTheSlotsOfARuleHoldWithoutTheLocks(t *testing.T) {
	t.Parallel()
	s := newStage(t, database(t, storetest.Postgres), 3)
	for _, r := range racesOfRules {
		if !r.holds {
			continue
		}
		t.Run(r.name+" without "+r.lock, func(t *testing.T) {
			again := 0
			s.interleave(t, r, rbac.Window{}, r.lock, func(t *testing.T, before still, players []*player, held string) bool {
				if r.lock == "LockPolicy" && held != "Store" {
					return false
				}
				if r.outcome(players) < 0 || s.serial(t, before, players) == nil {
					t.Fatalf("the first was held at %s: got %s, want the verdicts of %q", held, verdicts(players), r.told)
				}
				for _, p := range players {
					again += p.tries - 1
				}
				return false
			})
			if again == 0 {
				t.Errorf("nobody had to be judged again")
			}
		})
	}
}

// Two edits of the policy that came past its lock: the epoch tells the second to begin again, and neither is lost.
func TestTheEpochHoldsWithoutTheLock(t *testing.T) {
	t.Parallel()
	s := newStage(t, database(t, storetest.Postgres), 2)
	r := racesOfLimits[slices.IndexFunc(racesOfLimits, func(r race) bool { return strings.HasPrefix(r.name, "two edits of the policy") })]
	again := 0
	s.interleave(t, r, ending, "LockPolicy", func(t *testing.T, before still, players []*player, held string) bool {
		if s.serial(t, before, players); players[0].res.Epoch == players[1].res.Epoch {
			t.Errorf("held at %s: both made epoch %d", held, players[0].res.Epoch)
		}
		again += players[0].tries + players[1].tries - 2
		return false
	})
	if again == 0 {
		t.Errorf("nobody had to begin again")
	}
}
