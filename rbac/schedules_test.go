package rbac_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// length is how many schedules make a history: what one leaves is what the next begins with.
const length = 10

// rbac.md 15.6: two to four random changes of the small world come between each other at random. What comes of them is held against the
// engine alone, in some order, and against the oracle (I1 to I4, I10, I18, I19). A history is told by its number.
//
// It is a campaign of `make fault` too: COUNTERSIGN_SCHEDULES says how many on each database, COUNTERSIGN_SCHEDULES_FROM names the first
// history, for one that failed, and COUNTERSIGN_SCHEDULES_NEXT a file that keeps which is next.
func TestRandomSchedules(t *testing.T) {
	t.Parallel()
	count, first := 100, number(t, os.Getenv("COUNTERSIGN_SCHEDULES_FROM"))
	if testing.Short() {
		count = 50
	}
	if n := os.Getenv("COUNTERSIGN_SCHEDULES"); n != "" {
		count = number(t, n)
	}
	next := os.Getenv("COUNTERSIGN_SCHEDULES_NEXT")
	if next != "" {
		kept, err := os.ReadFile(next)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		first = number(t, strings.TrimSpace(string(kept)))
	}
	last := first + count/length
	for name, cfg := range map[string]func(testing.TB) store.Config{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			histories(t, name, cfg, first, last)
		})
	}
	if next != "" {
		t.Cleanup(func() {
			if !t.Failed() {
				if err := os.WriteFile(next, []byte(strconv.Itoa(last)), 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// histories plays the histories from first up to last, some side by side, each in a database of its own.
func histories(t *testing.T, name string, cfg func(testing.TB) store.Config, first, last int) {
	began, at := time.Now(), atomic.Int64{}
	at.Store(int64(first))
	var work sync.WaitGroup
	for range min(3, last-first) {
		s := newStage(t, database(t, cfg), 4)
		work.Go(func() {
			for h := at.Add(1) - 1; h < int64(last) && !t.Failed(); h = at.Add(1) - 1 {
				if why := s.history(t, uint64(h), ""); why != "" {
					t.Errorf("history %d, %s", h, why)
				}
			}
		})
	}
	work.Wait()
	if n := (last - first) * length; !t.Failed() {
		t.Logf("%s: %d schedules, %.0f a second", name, n, float64(n)/time.Since(began).Seconds())
	}
}

// That they can fail: with a lock left out, some random schedule comes to what is unlawful.
func TestRandomSchedulesMissALock(t *testing.T) {
	t.Parallel()
	for _, lock := range []string{"LockPolicy", "LockSubjects", "LockRoles"} {
		t.Run(lock, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, database(t, storetest.Postgres), 4)
			for h := uint64(1); h < 400; h += 2 {
				if why := s.history(t, h, lock); why != "" {
					t.Logf("history %d, %.80s", h, why)
					return
				}
			}
			t.Error("nothing was amiss")
		})
	}
}

// history plays one, and returns what is wrong with it.
func (s *stage) history(t *testing.T, number uint64, without string) string {
	script := rand.New(rand.NewPCG(number, 0))
	s.reset(t)
	pointed := number%2 == 1
	if res, err := s.apply(change(furniture(script, pointed)...)); err != nil || res.Why != nil {
		return fmt.Sprintf("furnish: %v %v", res.Why, err)
	}
	s.exec(t, "DELETE FROM events")
	s.after = s.still(t)
	for i := range length {
		if script.IntN(4) == 0 {
			s.clock.Add(int64(1 + script.IntN(15)))
			if _, err := s.apply(change(rbac.Sweep{})); err != nil {
				return fmt.Sprintf("schedule %d, sweep: %v", i, err)
			}
			s.exec(t, "DELETE FROM events")
			s.after = s.still(t)
		}
		if why := s.schedule(t, script, pointed, without); why != "" {
			return fmt.Sprintf("schedule %d: %s", i, why)
		}
	}
	return ""
}

// schedule plays a few random changes and returns what is wrong with what they came to.
func (s *stage) schedule(t *testing.T, script *rand.Rand, pointed bool, without string) string {
	before := s.after
	free, there := script.IntN(4) == 0, before.state()
	var players []*player
	for hand := range 2 + script.IntN(3) {
		m := move{free: free, without: without}
		for range 1 + script.IntN(2) {
			m.Ops = append(m.Ops, draw(script, there, rbac.Instant(s.clock.Load()), pointed))
		}
		if script.IntN(2) == 0 {
			m.Approved = rbac.SmallRules()
		}
		m.Adopt = script.IntN(12) == 0
		players = append(players, s.enter(t, hand, m))
	}
	if free {
		for _, p := range players {
			for range p.came {
			}
			p.over = true
		}
	} else {
		s.shuffle(t, script, players)
	}
	for _, p := range players {
		if p.err != nil {
			return fmt.Sprintf("%v, of %s", p.err, verdicts(players))
		}
	}
	if order, why := s.ordered(t, before, players); order == nil {
		return "no order one after the other comes to " + verdicts(players) + why
	}
	return s.stands(t, before, players)
}

// shuffle lets one or the other of the players go on, until all have ended.
func (s *stage) shuffle(t *testing.T, script *rand.Rand, players []*player) {
	for {
		var ready, waiting []*player
		for _, p := range players {
			switch {
			case p.place != "" || !p.begun && !p.waited:
				ready = append(ready, p)
			case !p.over:
				waiting = append(waiting, p)
			}
		}
		switch {
		case len(ready) > 0:
			ready[script.IntN(len(ready))].step(t)
		case len(waiting) == 0:
			return
		}
		for _, p := range waiting {
			p.glance()
		}
	}
}

// stands holds what is in the database against the oracle, and who holds roles that need people.
func (s *stage) stands(t *testing.T, before still, players []*player) (why string) {
	after, now := s.after.state(), rbac.Instant(s.clock.Load())
	var told saying
	if rbac.Agree(&told, after, now); told != "" {
		return string(told) + ", after " + verdicts(players)
	}
	for _, p := range players {
		for _, op := range p.Ops {
			switch op.(type) {
			case rbac.EditRole, rbac.LinkAccount:
				return "" // these may leave a role with too few
			}
		}
	}
	was := before.state()
	for id, r := range after.Roles {
		if n, least := rbac.People(after, id, now), min(r.MinAssignees, rbac.People(was, id, now)); n < least {
			return fmt.Sprintf("%d hold %s, which needs %d, after %s", n, id, r.MinAssignees, verdicts(players))
		}
	}
	return ""
}

// saying keeps what is fatal first.
type saying string

func (s *saying) Fatalf(format string, args ...any) {
	if *s == "" {
		*s = saying(fmt.Sprintf(format, args...))
	}
}
