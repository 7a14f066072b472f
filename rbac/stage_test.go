package rbac_test

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

// stage is the stored world with several hands in it. Each hand makes one change at a time, and a script says how far it
// goes and who is next. On PostgreSQL each is like a process of its own; on SQLite they share the one writer.
type stage struct {
	*stored
	hands []*store.DB
	after still // of the last race
	lite  bool
}

func newStage(t *testing.T, cfg store.Config, hands int) *stage {
	t.Helper()
	s := &stage{lite: strings.HasPrefix(cfg.Database, "sqlite:")}
	if !s.lite {
		cfg.Database = with(t, cfg.Database, "deadlock_timeout", "20ms")
	}
	s.stored = newStored(t, cfg)
	for i := range hands {
		if s.lite {
			s.hands = append(s.hands, s.db)
			continue
		}
		s.hands = append(s.hands, s.another(t, cfg, "hand"+strconv.Itoa(i)))
	}
	return s
}

// another opens the database once more, as another process would.
func (s *stage) another(t *testing.T, cfg store.Config, name string) *store.DB {
	t.Helper()
	if !s.lite {
		cfg.Database = with(t, cfg.Database, "application_name", name)
	}
	cfg.Writers, cfg.Readers = 1, 1
	cfg.Clock = func() time.Time { return time.UnixMicro(s.clock.Load()) }
	db, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func with(t *testing.T, dsn, key, value string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// move is a change, and how it is made.
type move struct {
	rbac.Changeset
	without string // the lock that is left out
	free    bool   // it is held nowhere
}

// player is a move under way.
type player struct {
	move
	stage  *stage
	hand   int
	actor  string
	came   chan string // where it has come to; closed once it has ended
	onward chan struct{}
	stop   <-chan struct{}
	queue  int64 // how many had waited for SQLite's writer when it began

	place  string // where it is held; "" while it is on its way, waits or has ended
	begun  bool   // it was held somewhere
	waited bool   // it waited for somebody else's lock
	over   bool

	// Once it is over.
	tries int
	res   rbac.Result
	err   error
}

// enter begins a move. It goes nowhere before it is told to.
func (s *stage) enter(t testing.TB, hand int, m move) *player {
	p := &player{
		move: m, stage: s, hand: hand, actor: "local:hand" + strconv.Itoa(hand),
		came: make(chan string), onward: make(chan struct{}), stop: t.Context().Done(),
	}
	if s.lite {
		writers, _ := s.db.Stats()
		p.queue = writers.WaitCount
	}
	ctx := t.Context()
	go func() {
		defer close(p.came)
		p.err = s.hands[hand].Update(ctx, func(tx *store.Tx) (err error) {
			p.tries++
			p.res, err = rbac.Apply(ctx, stepped{tx, p}, rbac.By{Actor: p.actor}, p.Changeset)
			p.at("commit")
			return err
		})
	}()
	return p
}

// at holds p here until it is told to go on.
func (p *player) at(place string) {
	if p.free {
		return
	}
	select {
	case p.came <- place:
	case <-p.stop:
		return
	}
	select {
	case <-p.onward:
	case <-p.stop:
	}
}

// step lets p go on until it is held at the next place, waits for somebody else or has ended.
func (p *player) step(t testing.TB) {
	t.Helper()
	if p.place != "" {
		p.place = ""
		p.onward <- struct{}{}
	}
	for began := time.Now(); ; {
		select {
		case place, open := <-p.came:
			p.place, p.over, p.begun = place, !open, true
			return
		case <-time.After(time.Millisecond):
		}
		if p.waits(t) {
			p.waited = true
			return
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("%s neither comes on nor waits for a lock", p.actor)
		}
	}
}

// glance takes in that p, which waited, has come on.
func (p *player) glance() {
	select {
	case place, open := <-p.came:
		p.place, p.over, p.begun = place, !open, true
	case <-time.After(100 * time.Microsecond):
	}
}

// waits asks the database whether p waits for somebody else.
func (p *player) waits(t testing.TB) bool {
	t.Helper()
	if p.stage.lite {
		writers, _ := p.stage.db.Stats()
		return !p.begun && writers.WaitCount > p.queue
	}
	var n int
	err := p.stage.raw.QueryRow(`SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = $1 AND wait_event_type = 'Lock'`, "hand"+strconv.Itoa(p.hand)).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

// to lets p go on to its kth place, and reports whether it came there.
func (p *player) to(t testing.TB, k int) bool {
	t.Helper()
	for range k {
		if p.step(t); p.place == "" {
			return false
		}
	}
	return true
}

// run lets p go on to its end, unless it has to wait.
func (p *player) run(t testing.TB) {
	t.Helper()
	for !p.over {
		if p.step(t); p.place == "" {
			return
		}
	}
}

// conclude lets all run to their ends, the first of them first.
func conclude(t testing.TB, players ...*player) {
	t.Helper()
	for going := true; going; {
		going = false
		for _, p := range players {
			p.run(t)
			going = going || !p.over
		}
	}
	for _, p := range players {
		if p.err != nil {
			t.Fatalf("%s: %v", p.actor, p.err)
		}
	}
}

// code is how p was refused, "" if it was not.
func (p *player) code() string { return codeOf(p.res) }

func codeOf(r rbac.Result) string {
	if r.Why == nil {
		return ""
	}
	return r.Why.Code
}

// stepped is a transaction of the store that is held before each step that matters to others, and can leave a lock out.
type stepped struct {
	*store.Tx
	by *player
}

func (s stepped) LockPolicy(ctx context.Context, exclusive bool) error {
	if s.by.at("LockPolicy"); s.by.without == "LockPolicy" {
		return nil
	}
	return s.Tx.LockPolicy(ctx, exclusive)
}

func (s stepped) LockSubjects(ctx context.Context, w rbac.Whom) ([]rbac.SubjectID, error) {
	if s.by.at("LockSubjects"); s.by.without == "LockSubjects" {
		return s.Tx.SubjectsOf(ctx, w)
	}
	return s.Tx.LockSubjects(ctx, w)
}

func (s stepped) LockRoles(ctx context.Context, ids []rbac.RoleID) error {
	if s.by.at("LockRoles"); s.by.without == "LockRoles" {
		return nil
	}
	return s.Tx.LockRoles(ctx, ids)
}

func (s stepped) People(ctx context.Context, ids []rbac.SubjectID) ([]any, error) {
	s.by.at("People")
	return s.Tx.People(ctx, ids)
}

func (s stepped) Store(ctx context.Context, next *rbac.Structure, writes []rbac.Write) error {
	s.by.at("Store")
	return s.Tx.Store(ctx, next, writes)
}
