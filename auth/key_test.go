package auth_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

const day = 24 * time.Hour

var keyPolicy = auth.KeyPolicy{Algs: []string{"ES256"}, Life: 90 * day, Publish: day, Overlap: 25 * time.Hour}

func TestPlan(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	key := func(id string, state auth.KeyState, created, active time.Duration) auth.Key {
		k := auth.Key{ID: id, Alg: "ES256", State: state, CreatedAt: at.Add(created), ActiveAt: at.Add(active)}
		k.RetireAt = k.ActiveAt.Add(keyPolicy.Life)
		k.GoneAt = k.RetireAt.Add(keyPolicy.Overlap)
		return k
	}
	retiring := key("old", auth.KeyRetiring, -100*day, -100*day)
	retiring.GoneAt = at
	for _, tt := range []struct {
		name string
		keys []auth.Key
		want []string
	}{
		{"the very first key signs at once", nil, []string{"make ES256 +0s"}},
		{"nothing is due in the middle of a life", []auth.Key{key("a", auth.KeyActive, -45*day, -45*day)}, nil},
		{"the successor is published before it is needed", []auth.Key{key("a", auth.KeyActive, -89*day, -89*day)}, []string{"make ES256 +24h0m0s"}},
		{"and not before that", []auth.Key{key("a", auth.KeyActive, -89*day+time.Second, -89*day+time.Second)}, nil},
		{"a published successor takes over", []auth.Key{key("a", auth.KeyActive, -90*day, -90*day), key("b", auth.KeyNext, -day, 0)}, []string{"a retiring", "b active"}},
		{"one that was not published long enough waits", []auth.Key{key("a", auth.KeyActive, -95*day, -95*day), key("b", auth.KeyNext, -day+time.Second, 0)}, nil},
		{"after a long sleep the old key signs until a new one was published", []auth.Key{key("a", auth.KeyActive, -400*day, -400*day)}, []string{"make ES256 +24h0m0s"}},
		{"a missing active key is replaced by the published one at once", []auth.Key{key("b", auth.KeyNext, 0, day)}, []string{"b active"}},
		{"a revoked key is no key", []auth.Key{key("a", auth.KeyRevoked, -day, -day)}, []string{"make ES256 +0s"}},
		{"a retiring key leaves when its last token died", []auth.Key{key("a", auth.KeyActive, -45*day, -45*day), retiring}, []string{"old retired"}},
		{"of two active keys the newest signs", []auth.Key{key("b", auth.KeyActive, -day, -day), key("a", auth.KeyActive, -2*day, -2*day)}, []string{"a retiring"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, s := range keyPolicy.Plan(tt.keys, at) {
				if s.Make != "" {
					got = append(got, fmt.Sprintf("make %s +%s", s.Make, s.At.Sub(at)))
					continue
				}
				got = append(got, fmt.Sprintf("%s %s", s.Key.ID, s.To))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("Plan = %v, want %v", got, tt.want)
			}
		})
	}
	foreign := key("rsa", auth.KeyActive, -day, -day)
	foreign.Alg = "RS256"
	steps := keyPolicy.Plan([]auth.Key{foreign, key("a", auth.KeyActive, -day, -day)}, at)
	if len(steps) != 1 || steps[0].Key.ID != "rsa" || steps[0].To != auth.KeyRetiring {
		t.Errorf("a key of an algorithm that is switched off: %+v", steps)
	}
}

// For ever: exactly one active key an algorithm; none but the very first signs before it was published long enough; a key stays
// published until the last token it signed has died; no key comes back.
func TestKeyLives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := auth.KeyPolicy{
			Algs: []string{"ES256", "RS256"}, Life: time.Duration(rapid.IntRange(1, 200).Draw(t, "life")) * time.Hour,
			Publish: time.Duration(rapid.IntRange(1, 100).Draw(t, "publish")) * time.Hour, Overlap: time.Duration(rapid.IntRange(1, 50).Draw(t, "overlap")) * time.Hour,
		}
		now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
		var keys []auth.Key
		made := 0
		stopped := map[string]time.Time{}
		for range 60 {
			for range 10 { // as Turn does: until nothing is due
				steps := p.Plan(keys, now)
				if len(steps) == 0 {
					break
				}
				for _, s := range steps {
					if s.Make != "" {
						made++
						k := auth.Key{ID: fmt.Sprint("k", made), Alg: s.Make, State: auth.KeyNext, CreatedAt: now, ActiveAt: s.At, RetireAt: s.At.Add(p.Life)}
						if !s.At.After(now) {
							k.State = auth.KeyActive
							if slices.ContainsFunc(keys, func(o auth.Key) bool { return o.Alg == k.Alg }) {
								t.Fatalf("%s signs as soon as it is made, beside %+v", k.ID, keys)
							}
						}
						keys = append(keys, k)
						continue
					}
					i := slices.IndexFunc(keys, func(k auth.Key) bool { return k.ID == s.Key.ID })
					k := &keys[i]
					switch {
					case s.To == auth.KeyActive && k.State == auth.KeyNext:
						if now.Before(k.CreatedAt.Add(p.Publish)) {
							t.Fatalf("%s signs %s after it was published, want %s", k.ID, now.Sub(k.CreatedAt), p.Publish)
						}
						k.ActiveAt, k.RetireAt = now, now.Add(p.Life)
					case s.To == auth.KeyRetiring && k.State == auth.KeyActive:
						k.RetireAt, k.GoneAt = now, now.Add(p.Overlap)
						stopped[k.ID] = now
					case s.To == auth.KeyRetired && k.State == auth.KeyRetiring:
						if now.Before(stopped[k.ID].Add(p.Overlap)) {
							t.Fatalf("%s leaves %s after it signed, want %s", k.ID, now.Sub(stopped[k.ID]), p.Overlap)
						}
					default:
						t.Fatalf("%s goes from %s to %s", k.ID, k.State, s.To)
					}
					k.State = s.To
				}
			}
			if steps := p.Plan(keys, now); len(steps) > 0 {
				t.Fatalf("the plan does not come to rest: %+v", steps)
			}
			active := map[string]int{}
			for _, k := range keys {
				if k.State == auth.KeyActive {
					active[k.Alg]++
				}
			}
			if active["ES256"] != 1 || active["RS256"] != 1 {
				t.Fatalf("active keys: %v", active)
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 100*60).Draw(t, "minutes")) * time.Minute)
		}
	})
}

func TestTurn(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		made := 0
		turn := func(p auth.KeyPolicy, algs ...string) (missing []string) {
			r.Helper()
			var keys []auth.Key
			for _, alg := range algs {
				made++
				keys = append(keys, auth.Key{ID: fmt.Sprintf("key-%d", made), Alg: alg, Public: []byte("public"), Private: []byte("private")})
			}
			r.update(func(ctx context.Context, tx auth.Tx) (err error) {
				missing, err = p.Turn(ctx, tx, "system", keys)
				return err
			})
			return missing
		}
		states := func() map[string]auth.KeyState {
			all := map[string]auth.KeyState{}
			r.view(func(ctx context.Context, tx *store.Tx) error {
				keys, err := tx.Keys(ctx)
				for _, k := range keys {
					all[k.ID] = k.State
				}
				return err
			})
			return all
		}
		if got := turn(keyPolicy); !slices.Equal(got, []string{"ES256"}) {
			r.Fatalf("missing %v, want ES256", got)
		}
		if got := turn(keyPolicy, "ES256", "ES256", "RS256"); len(got) != 0 {
			r.Fatalf("missing %v", got)
		}
		if got := states(); len(got) != 1 || got["key-1"] != auth.KeyActive {
			r.Fatalf("keys %v, want one, active: what was not due is dropped", got)
		}
		r.clock.Add(89 * day)
		turn(keyPolicy, "ES256") // key-4
		r.clock.Add(day)
		turn(keyPolicy)
		if got := states(); got["key-1"] != auth.KeyRetiring || got["key-4"] != auth.KeyActive {
			r.Errorf("after a life: %v", got)
		}
		r.clock.Add(25 * time.Hour)
		turn(keyPolicy)
		if got := states(); got["key-1"] != auth.KeyRetired {
			r.Errorf("after the overlap: %v", got)
		}

		// Revoked in an emergency: nothing signs until Turn gave it a successor, in the same transaction.
		revoke := func(kid string) error {
			return r.try(func(ctx context.Context, tx auth.Tx) error { return auth.RevokeKey(ctx, tx, "account:x", kid) })
		}
		wantFault(r, revoke("nobody's"), auth.ErrNoKey)
		for range 2 {
			if err := revoke("key-4"); err != nil {
				r.Fatal(err)
			}
		}
		if got := turn(keyPolicy, "ES256"); len(got) != 0 || states()["key-5"] != auth.KeyActive {
			r.Errorf("after a revocation: missing %v, keys %v", got, states())
		}

		// Retired by hand.
		r.update(func(ctx context.Context, tx auth.Tx) error {
			if err := keyPolicy.RetireActive(ctx, tx, "account:x", "ES256"); err != nil {
				return err
			}
			_, err := keyPolicy.Turn(ctx, tx, "account:x", []auth.Key{{ID: "key-6", Alg: "ES256", Public: []byte("p"), Private: []byte("p")}})
			return err
		})
		if got := states(); got["key-5"] != auth.KeyRetiring || got["key-6"] != auth.KeyActive {
			r.Errorf("retired by hand: %v", got)
		}
		for kind, want := range map[audit.Kind]int{audit.KeyCreated: 4, audit.KeyActivated: 4, audit.KeyRetired: 2, audit.KeyRevoked: 1} {
			if got := len(r.events(kind)); got != want {
				r.Errorf("%d %s events, want %d", got, kind, want)
			}
		}
	})
}
