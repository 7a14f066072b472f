package main

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

// sec-F01: a server that is killed loses no write that it acknowledged, and leaves none half done. COUNTERSIGN_TEST_KILLS sets
// how often; `make fault CAMPAIGN=kill` sets it higher.
func TestKillLosesNoAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	kills := 20
	if n, err := strconv.Atoi(os.Getenv("COUNTERSIGN_TEST_KILLS")); err == nil {
		kills = n
	}
	eachDatabase(t, func(t *testing.T, d *deployment) {
		d.addUser("probe")
		a := newApp(d.issuer, "probe", d.addClient("probe", "--kind", "web", "--redirect-uri", rpCallback, "--scope", "openid offline_access", "--first-party"))
		p := d.serve()
		probe := newPerson(t, "probe")
		chains := make([]*chain, 4)
		for i := range chains {
			chains[i] = newChain(t, a, probe)
		}
		acknowledged := 0
		for range kills {
			acknowledged += underLoad(a, chains, p.kill)
			began := time.Now()
			p = d.serve()
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("sec-F01 ready again after %s", took)
			}
			for i, c := range chains {
				if !a.active(t, c.token) { // the request under way was done, its answer lost
					d.holds(t, c)
					chains[i] = newChain(t, a, probe)
				}
			}
		}
		for _, c := range chains {
			d.holds(t, c)
		}
		if acknowledged < kills {
			t.Errorf("%d writes were acknowledged in %d rounds: there was no load", acknowledged, kills)
		}
		t.Logf("%d kills, %d acknowledged refreshes", kills, acknowledged)
		d.run("", "audit", "checkpoint")
		d.run("", "audit", "verify")
	})
}

// chain is one token family, refreshed again and again by one application.
type chain struct {
	grant   string
	token   string // the newest that was acknowledged
	acked   int    // refreshes acknowledged
	unknown int    // refreshes whose answer never came: at most one is under way at a time
}

func newChain(t *testing.T, a *app, p *person) *chain {
	t.Helper()
	got := a.signIn(t, p, "openid offline_access")
	return &chain{grant: grantOf(t, got.Access), token: got.Refresh}
}

// underLoad refreshes every chain until kill has ended the server, and returns how many refreshes were acknowledged.
func underLoad(a *app, chains []*chain, kill func()) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	before := 0
	for _, c := range chains {
		before += c.acked
	}
	var all sync.WaitGroup
	for _, c := range chains {
		all.Go(func() {
			for ctx.Err() == nil {
				got, err := a.token(ctx, "grant_type", "refresh_token", "refresh_token", c.token)
				if err != nil || got.Status != http.StatusOK {
					c.unknown++
					return
				}
				c.token, c.acked = got.Refresh, c.acked+1
			}
		})
	}
	time.Sleep(time.Duration(60+rand.IntN(150)) * time.Millisecond)
	kill()
	cancel()
	all.Wait()
	after := 0
	for _, c := range chains {
		after += c.acked
	}
	return after - before
}

// holds compares what the store holds of a chain with what was acknowledged: nothing less, no more than was under way, and an
// event for each effect.
func (d *deployment) holds(t *testing.T, c *chain) {
	t.Helper()
	ctx := context.Background()
	cfg, err := loadConfig("", d.env, nil)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(ctx, cfg.store(slog.New(slog.NewTextHandler(io.Discard, nil))))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var g auth.Grant
	events := 0
	if err := db.View(ctx, func(tx *store.Tx) error {
		events = 0
		if g, err = tx.Grant(ctx, auth.GrantID(c.grant)); err != nil {
			return err
		}
		for before := ""; ; {
			page, err := tx.Events(ctx, store.EventFilter{Kind: audit.GrantRefreshed, Newest: true, Before: before}, 1000)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, e := range page {
				if e.Grant == c.grant {
					events++
				}
			}
			before = page[len(page)-1].ID
		}
	}); err != nil {
		t.Fatal(err)
	}
	if events < c.acked || events > c.acked+c.unknown || g.Generation != 1+events {
		t.Errorf("sec-F01 grant %s: %d refreshes acknowledged, %d without an answer; the store holds %d events and generation %d",
			c.grant, c.acked, c.unknown, events, g.Generation)
	}
}

// sec-F21: told to stop, the server lets requests in progress end and fails none of them.
func TestStoppingFailsNoRequestInProgress(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, d *deployment) {
		d.addUser("probe")
		a := newApp(d.issuer, "probe", d.addClient("probe", "--kind", "web", "--redirect-uri", rpCallback, "--scope", "openid offline_access", "--first-party"))
		p := d.serve()
		probe := newPerson(t, "probe")
		var all sync.WaitGroup
		var mu sync.Mutex
		half, stopped := 0, false
		for range 4 {
			c := newChain(t, a, probe)
			all.Go(func() {
				for {
					got, err := a.token(context.Background(), "grant_type", "refresh_token", "refresh_token", c.token)
					mu.Lock()
					over := stopped
					if err == nil && got.Status != http.StatusOK {
						half++
					}
					mu.Unlock()
					if err != nil && over {
						return // refused at the door: it never was in progress
					}
					if err != nil || got.Status != http.StatusOK {
						t.Errorf("sec-F21 %v %d %s", err, got.Status, got.Error)
						return
					}
					c.token = got.Refresh
				}
			})
		}
		time.Sleep(200 * time.Millisecond)
		mu.Lock()
		stopped = true
		mu.Unlock()
		took, err := p.stop()
		all.Wait()
		if err != nil || took > 10*time.Second || half > 0 {
			t.Errorf("sec-F21 stopped after %s with %v; %d requests got half an answer", took, err, half)
		}
	})
}
