package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
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
		} {
			update(t, db, add)
			err := db.Update(t.Context(), func(tx *store.Tx) error { return add(t.Context(), tx) })
			if f := fault.From(err); f.Kind != fault.Conflict || f.Code != code {
				t.Errorf("got %v, want the conflict %s", err, code)
			}
		}
	}},
	{"renews, touches and ends only a session that lives", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.Use)
		a := account(t, db, "a")
		s := auth.Session{
			ID: "s", Account: a.ID, TokenHash: []byte("1"), AuthTime: clock.Now(), CreatedAt: clock.Now(), SeenAt: clock.Now(),
			IdleEnds: clock.Now().Add(time.Hour), Ends: clock.Now().Add(2 * time.Hour),
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
		clock.Add(time.Minute)
		touch(clock.Now(), clock.Now().Add(time.Hour))
		want := idle()
		touch(clock.Now().Add(-time.Second), clock.Now()) // came later, saw earlier
		if got := idle(); !got.Equal(want) || !want.Equal(clock.Now().Add(time.Hour)) {
			t.Errorf("idle end %v, want %v", got, want)
		}
		clock.Add(time.Hour)
		touch(clock.Now(), clock.Now().Add(time.Hour))
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
	{"forgets retired keys after a long time but never gives their names away", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.Use)
		k := auth.Key{ID: "k", State: auth.KeyRetired, Public: []byte("p"), Private: []byte("q"), CreatedAt: clock.Now(), EndedAt: clock.Now()}
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
		clock.Add(2 * 365 * 24 * time.Hour)
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
	_, found["authenticator"] = tx.TOTP(ctx, auth.AccountID(id))
	_, found["user handle"] = tx.HolderByHandle(ctx, []byte(id))
	_, found["trusted browser"] = tx.TrustedBrowser(ctx, auth.BrowserID(id))
	return found
}
