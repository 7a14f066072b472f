package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

// refuses: what may not be written is not, and what is not there is missing by name.
var refuses = []promise{
	{"says of everything missing that it is missing", func(t *testing.T, open opener) {
		db := open()
		for _, id := range []string{"nothing", "", "nul\x00", "not utf-8 \xff", "' OR 1=1 --"} {
			view(t, db, func(ctx context.Context, tx *store.Tx) error {
				for what, err := range missing(ctx, tx, id) {
					if !fault.Is(err, fault.NotFound) {
						t.Errorf("%s %q: got %v, want NotFound", what, id, err)
					}
				}
				return nil
			})
		}
	}},
	{"refuses text that is not text, on every database", func(t *testing.T, open opener) {
		db := open()
		for _, name := range []string{"nul\x00", "\xff"} {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				return tx.AddClient(t.Context(), auth.Client{ID: "c", Name: name, CreatedAt: epoch, UpdatedAt: epoch})
			})
			if !errors.Is(err, store.ErrText) {
				t.Errorf("name %q: got %v, want %v", name, err, store.ErrText)
			}
		}
	}},
	{"lets no name or address be taken twice, whichever it is", func(t *testing.T, open opener) {
		db := open()
		a := account(t, db, "ann")
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			a.Profile.Email = "Ann@Example.org"
			ok, err := tx.UpdateAccount(ctx, a)
			stale, err2 := tx.UpdateAccount(ctx, a)
			if !ok || stale {
				t.Errorf("changed %v, by an older copy %v", ok, stale)
			}
			return errors.Join(err, err2)
		})
		for _, name := range []string{"ANN", "ann@example.org"} {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				_, err := addAccount(t.Context(), tx, name)
				return err
			})
			if !errors.Is(err, auth.ErrNameTaken) {
				t.Errorf("%q: got %v, want %v", name, err, auth.ErrNameTaken)
			}
		}

		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			a.Version, a.Profile.Email = a.Version+1, ""
			_, err := tx.UpdateAccount(ctx, a)
			return err
		})
		account(t, db, "ann@example.org") // free again
	}},
	{"refuses what exists", func(t *testing.T, open opener) {
		db := open()
		key := auth.Key{ID: "k", State: auth.KeyNext, Public: []byte("p"), Private: []byte("q"), CreatedAt: epoch}
		for code, add := range map[string]func(ctx context.Context, tx *store.Tx) error{
			"client-exists": func(ctx context.Context, tx *store.Tx) error {
				return tx.AddClient(ctx, auth.Client{ID: "c", CreatedAt: epoch, UpdatedAt: epoch})
			},
			"key-exists": func(ctx context.Context, tx *store.Tx) error { return tx.AddKey(ctx, key) },
			"resource-exists": func(ctx context.Context, tx *store.Tx) error {
				return tx.AddResourceServer(ctx, rbac.ResourceServer{Audience: "a"})
			},
			"role-exists": func(ctx context.Context, tx *store.Tx) error { return tx.AddPlainRole(ctx, rbac.PlainRole{Name: "r"}) },
			"role-assigned": func(ctx context.Context, tx *store.Tx) error {
				tx.AddPlainRole(ctx, rbac.PlainRole{Name: "s"})
				return tx.AssignPlainRole(ctx, "p", "s")
			},
		} {
			if code == "role-assigned" {
				update(t, db, add)
				add = func(ctx context.Context, tx *store.Tx) error { return tx.AssignPlainRole(ctx, "p", "s") }
			} else {
				update(t, db, add)
			}
			err := db.Update(t.Context(), func(tx *store.Tx) error { return add(t.Context(), tx) })
			if f := fault.From(err); f.Kind != fault.Conflict || f.Code != code {
				t.Errorf("got %v, want the conflict %s", err, code)
			}
		}
	}},
	{"assigns no role that does not exist", func(t *testing.T, open opener) {
		err := open().Update(t.Context(), func(tx *store.Tx) error { return tx.AssignPlainRole(t.Context(), "p", "none") })
		if f := fault.From(err); f.Code != "role-not-found" {
			t.Errorf("got %v, want role-not-found", err)
		}
	}},
	{"renews, touches and ends only a session that lives", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.use)
		a := account(t, db, "a")
		s := auth.Session{
			ID: "s", Account: a.ID, TokenHash: []byte("1"), AuthTime: clock.now(), CreatedAt: clock.now(), SeenAt: clock.now(),
			IdleEnds: clock.now().Add(time.Hour), Ends: clock.now().Add(2 * time.Hour),
		}
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddSession(ctx, s) })
		renew := func(hash, old string) (ok bool) {
			update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
				s.TokenHash = []byte(hash)
				ok, err = tx.RenewSession(ctx, s, []byte(old))
				return err
			})
			return ok
		}
		idle := func() (at time.Time) {
			view(t, db, func(ctx context.Context, tx *store.Tx) error {
				got, err := tx.Session(ctx, "s")
				at = got.IdleEnds
				return err
			})
			return at
		}
		touch := func(seen, ends time.Time) {
			update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.TouchSession(ctx, "s", seen, ends) })
		}

		if !renew("2", "1") || renew("3", "1") {
			t.Error("a session is renewed by the token it has, once")
		}
		clock.add(time.Minute)
		touch(clock.now(), clock.now().Add(time.Hour))
		want := idle()
		touch(clock.now().Add(-time.Second), clock.now()) // came later, saw earlier
		if got := idle(); !got.Equal(want) || !want.Equal(clock.now().Add(time.Hour)) {
			t.Errorf("idle end %v, want %v", got, want)
		}
		clock.add(time.Hour)
		touch(clock.now(), clock.now().Add(time.Hour))
		if got := idle(); !got.Equal(want) {
			t.Error("a session that was idle too long came back")
		}
		s.TokenHash = []byte("4")
		if renew("4", "2") {
			t.Error("a session that was idle too long was renewed")
		}
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			first, err := tx.EndSession(ctx, "s")
			second, err2 := tx.EndSession(ctx, "s")
			if !first || second {
				t.Errorf("ended %v and again %v", first, second)
			}
			return errors.Join(err, err2)
		})
	}},
	{"ends all sessions of an account but one", func(t *testing.T, open opener) {
		db := open()
		a, b := account(t, db, "a"), account(t, db, "b")
		for id, who := range map[auth.SessionID]auth.AccountID{"s1": a.ID, "s2": a.ID, "s3": a.ID, "s4": b.ID} {
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				return tx.AddSession(ctx, auth.Session{ID: id, Account: who, TokenHash: []byte(id), AuthTime: tx.Now(), CreatedAt: tx.Now(), SeenAt: tx.Now(), IdleEnds: tx.Now(), Ends: tx.Now()})
			})
		}
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			ended, err := tx.EndSessions(ctx, a.ID, "s2")
			left, err2 := tx.SessionsOf(ctx, a.ID)
			others, err3 := tx.SessionsOf(ctx, b.ID)
			if len(ended) != 2 || len(left) != 1 || left[0].ID != "s2" || len(others) != 1 {
				t.Errorf("ended %v, left %v and %v", ended, left, others)
			}
			all, err4 := tx.EndSessions(ctx, a.ID, "")
			if len(all) != 1 {
				t.Errorf("then ended %v, want the last", all)
			}
			return errors.Join(err, err2, err3, err4)
		})
	}},
	// RFC 6749 §4.1.2: a code is used once. §10.4: so is a refresh token.
	{"redeems a pending grant once and rotates only the generation that is valid", func(t *testing.T, open opener) {
		db := open()
		g := grant(t, db, account(t, db, "a"), nil)
		g.State, g.Generation, g.RedeemedAt = auth.GrantLive, 1, epoch
		g.RefreshEnds, g.IdleEnds = epoch.Add(time.Hour), epoch.Add(time.Hour)
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			early, err := tx.RotateGrant(ctx, g, 0) // a pending grant has no refresh token
			first, err2 := tx.RedeemGrant(ctx, g)
			second, err3 := tx.RedeemGrant(ctx, g)
			g.Claimed, g.Generation = 1, 2
			third, err4 := tx.RotateGrant(ctx, g, 1)
			fourth, err5 := tx.RotateGrant(ctx, g, 1)
			if early || !first || second || !third || fourth {
				t.Errorf("got %v %v %v %v %v", early, first, second, third, fourth)
			}
			return errors.Join(err, err2, err3, err4, err5)
		})
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			first, err := tx.EndGrant(ctx, g.ID, "revoked")
			second, err2 := tx.EndGrant(ctx, g.ID, "again")
			g.Generation = 3
			rotated, err3 := tx.RotateGrant(ctx, g, 2)
			redeemed, err4 := tx.RedeemGrant(ctx, g)
			got, err5 := tx.Grant(ctx, g.ID)
			if !first || second || rotated || redeemed || got.State != auth.GrantEnded || got.EndedWhy != "revoked" || got.EndedAt != tx.Now() || got.Generation != 2 {
				t.Errorf("got %v %v %v %v, then %+v", first, second, rotated, redeemed, got)
			}
			return errors.Join(err, err2, err3, err4, err5)
		})
	}},
	{"ends the grants a filter picks, with their tokens, and never all of them", func(t *testing.T, open opener) {
		db := open()
		a, b := account(t, db, "a"), account(t, db, "b")
		client(t, db, auth.Client{ID: "c"})
		client(t, db, auth.Client{ID: "spa", RefreshEndsWith: "session"})
		made := func(who auth.Account, c auth.ClientID, s auth.SessionID) auth.Grant {
			g := grant(t, db, who, func(g *auth.Grant) { g.Client, g.Session = c, s })
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				return tx.AddAccessToken(ctx, []byte(g.ID), auth.AccessToken{Grant: g.ID, IssuedAt: tx.Now(), Ends: tx.Now()})
			})
			return g
		}
		one, two, three, four := made(a, "c", "s1"), made(a, "spa", "s1"), made(a, "spa", "s2"), made(b, "c", "s3")
		for _, step := range []struct {
			filter auth.GrantFilter
			want   []auth.GrantID
		}{
			{auth.GrantFilter{}, nil},
			{auth.GrantFilter{EndingWithSession: true}, nil},
			{auth.GrantFilter{Session: "s1", EndingWithSession: true}, []auth.GrantID{two.ID}},
			{auth.GrantFilter{Session: "s1"}, []auth.GrantID{one.ID}},
			{auth.GrantFilter{Account: b.ID, Client: "spa"}, nil},
			{auth.GrantFilter{Account: a.ID}, []auth.GrantID{three.ID}},
			{auth.GrantFilter{Client: "c"}, []auth.GrantID{four.ID}},
		} {
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				ended, err := tx.EndGrants(ctx, step.filter, "why")
				same(t, ended, step.want)
				for _, id := range step.want {
					if _, err := tx.AccessToken(ctx, []byte(id)); !fault.Is(err, fault.NotFound) {
						t.Errorf("a token of %s is still there: %v", id, err)
					}
				}
				return err
			})
		}
	}},
	{"denies a token for at least as long as was ever asked", func(t *testing.T, open opener) {
		db := open()
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			err := errors.Join(tx.Deny(ctx, "j", tx.Now().Add(time.Hour)), tx.Deny(ctx, "j", tx.Now()))
			yes, err2 := tx.Denied(ctx, "j")
			no, err3 := tx.Denied(ctx, "J")
			if !yes || no {
				t.Errorf("denied %v, another %v", yes, no)
			}
			return errors.Join(err, err2, err3)
		})
	}},
	{"spends a flow and a set-up token once, and not when they have expired", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.use)
		put := func() {
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				ends := tx.Now().Add(time.Minute)
				f := auth.Flow{ID: auth.FlowID(tx.NewID()), BrowserHash: []byte("b"), CreatedAt: tx.Now(), Ends: ends}
				f.ID = "f"
				return errors.Join(tx.AddFlow(ctx, f), tx.PutSetup(ctx, auth.SetupToken{Hash: []byte("h"), Purpose: "p", CreatedAt: tx.Now(), Ends: ends}))
			})
		}
		spend := func() (flow, setup bool) {
			update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
				if flow, err = tx.SpendFlow(ctx, "f"); err != nil {
					return err
				}
				setup, err = tx.SpendSetup(ctx, "p", []byte("h"))
				return err
			})
			return flow, setup
		}
		put()
		if flow, setup := spend(); !flow || !setup {
			t.Errorf("spent %v, %v", flow, setup)
		}
		if flow, setup := spend(); flow || setup {
			t.Errorf("spent again %v, %v", flow, setup)
		}
		put()
		clock.add(time.Minute)
		if flow, setup := spend(); flow || setup {
			t.Errorf("spent when expired %v, %v", flow, setup)
		}
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Flow(ctx, "f", []byte("b"))
			_, err2 := tx.Setup(ctx, "p", []byte("h"))
			if !fault.Is(err, fault.NotFound) || !fault.Is(err2, fault.NotFound) {
				t.Errorf("found when expired: %v, %v", err, err2)
			}
			return nil
		})
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			moved, err := tx.UpdateFlow(ctx, auth.Flow{ID: "f"})
			if moved {
				t.Error("an expired flow moved on")
			}
			return err
		})
	}},
	{"has one set-up token of a purpose, the last", func(t *testing.T, open opener) {
		db := open()
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			for _, h := range []string{"1", "2"} {
				if err := tx.PutSetup(ctx, auth.SetupToken{Hash: []byte(h), Purpose: "p", CreatedAt: tx.Now(), Ends: tx.Now().Add(time.Hour)}); err != nil {
					return err
				}
			}
			old, err := tx.SpendSetup(ctx, "p", []byte("1"))
			foreign, err2 := tx.SpendSetup(ctx, "q", []byte("2"))
			last, err3 := tx.SpendSetup(ctx, "p", []byte("2"))
			if old || foreign || !last {
				t.Errorf("spent the old one %v, for another purpose %v, the last %v", old, foreign, last)
			}
			return errors.Join(err, err2, err3)
		})
	}},
	// RFC 7523 §3: a jti is used once; each client has its own.
	{"spends an assertion once for its client", func(t *testing.T, open opener) {
		db := open()
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			first, err := tx.SpendAssertion(ctx, "c", "j", tx.Now().Add(time.Hour))
			second, err2 := tx.SpendAssertion(ctx, "c", "j", tx.Now().Add(2*time.Hour))
			other, err3 := tx.SpendAssertion(ctx, "d", "j", tx.Now().Add(time.Hour))
			if !first || second || !other {
				t.Errorf("got %v %v %v", first, second, other)
			}
			return errors.Join(err, err2, err3)
		})
	}},
	{"counts attempts in a window that neither moves nor is counted past", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.use)
		attempt := func(key string, window time.Duration, limit int) (n int, ok bool) {
			update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
				n, ok, err = tx.Attempt(ctx, []byte(key), window, limit)
				return err
			})
			return n, ok
		}
		want := func(n int, ok bool) func(int, bool) {
			return func(gotN int, gotOK bool) {
				t.Helper()
				if gotN != n || gotOK != ok {
					t.Errorf("got %d %v, want %d %v", gotN, gotOK, n, ok)
				}
			}
		}
		want(1, true)(attempt("k", time.Minute, 2))
		clock.add(59 * time.Second)
		want(2, true)(attempt("k", time.Minute, 2))
		want(2, false)(attempt("k", time.Minute, 2))
		want(1, true)(attempt("l", time.Minute, 2)) // another key
		want(1, true)(attempt("k", time.Hour, 2))   // another window
		clock.add(time.Second)
		want(1, true)(attempt("k", time.Minute, 2))
		want(2, true)(attempt("k", time.Minute, 2))
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.Forgive(ctx, []byte("k")) })
		want(1, true)(attempt("k", time.Minute, 2))
		want(1, true)(attempt("k", time.Hour, 2))
		want(0, false)(attempt("m", time.Minute, 0))
	}},
	{"forgets retired keys after a long time but never gives their names away", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.use)
		k := auth.Key{ID: "k", State: auth.KeyRetired, Public: []byte("p"), Private: []byte("q"), CreatedAt: clock.now(), EndedAt: clock.now()}
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddKey(ctx, k) })
		listed := func() (n int) {
			view(t, db, func(ctx context.Context, tx *store.Tx) error {
				keys, err := tx.Keys(ctx)
				n = len(keys)
				return err
			})
			return n
		}
		if listed() != 1 {
			t.Error("a key just retired is not listed")
		}
		clock.add(2 * 365 * 24 * time.Hour)
		if listed() != 0 {
			t.Error("a key retired long ago is listed")
		}
		err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.AddKey(t.Context(), k) })
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("its name: got %v, want Conflict", err)
		}
	}},
	{"writes nothing in a View", func(t *testing.T, open opener) {
		db := open()
		for what, write := range map[string]func(ctx context.Context, tx *store.Tx) error{
			"an insert": func(ctx context.Context, tx *store.Tx) error {
				return tx.AddClient(ctx, auth.Client{ID: "c", CreatedAt: epoch, UpdatedAt: epoch})
			},
			"an update": func(ctx context.Context, tx *store.Tx) error { _, err := tx.EndSession(ctx, "s"); return err },
			"an update that returns": func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.EndSessions(ctx, "a", "")
				return err
			},
			"an event": func(ctx context.Context, tx *store.Tx) error {
				return tx.Record(ctx, audit.Event{Kind: audit.AccountAdded, Outcome: audit.OK})
			},
			"a swallowed error": func(ctx context.Context, tx *store.Tx) error { tx.EndSession(ctx, "s"); return nil },
		} {
			if err := db.View(t.Context(), func(tx *store.Tx) error { return write(t.Context(), tx) }); err == nil {
				t.Errorf("%s went through", what)
			}
		}
	}},
}

// missing reads everything by an identifier that nothing has.
func missing(ctx context.Context, tx *store.Tx, id string) map[string]error {
	found := map[string]error{}
	_, found["account"] = tx.Account(ctx, auth.AccountID(id))
	_, found["name"] = tx.AccountByName(ctx, id)
	_, found["person"] = tx.Person(ctx, auth.PersonID(id))
	_, found["password"] = tx.Password(ctx, auth.AccountID(id))
	_, found["set-up"] = tx.Setup(ctx, id, []byte(id))
	_, found["session"] = tx.Session(ctx, auth.SessionID(id))
	_, found["session token"] = tx.SessionByToken(ctx, []byte(id))
	_, found["client"] = tx.Client(ctx, auth.ClientID(id))
	_, found["consent"] = tx.Consent(ctx, auth.AccountID(id), auth.ClientID(id))
	_, found["grant"] = tx.Grant(ctx, auth.GrantID(id))
	_, found["ground"] = tx.Ground(ctx, auth.GrantID(id), id)
	_, found["ground by code"] = tx.GroundByCode(ctx, []byte(id))
	_, found["code"] = tx.GrantByCode(ctx, []byte(id))
	_, found["token"] = tx.AccessToken(ctx, []byte(id))
	_, found["flow"] = tx.Flow(ctx, auth.FlowID(id), []byte(id))
	_, found["resource server"] = tx.ResourceServer(ctx, id)
	return found
}
