package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// keeps: what is written is what is read.
var keeps = []promise{
	{"keeps every field of an account and finds it by its names", func(t *testing.T, open opener) {
		db, a := open(), filled[auth.Account]()
		a.Username, a.Profile.Email = "Ärger", "Someone@Example.org"
		p := filled[auth.Person]()
		p.ID = a.Person
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddAccount(ctx, p, a) })
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Account(ctx, a.ID)
			same(t, got, a)
			who, err2 := tx.Person(ctx, p.ID)
			same(t, who, p)
			byName, err3 := tx.AccountByName(ctx, auth.CanonicalName("ärger"))
			same(t, byName, a)
			byMail, err4 := tx.AccountByName(ctx, auth.CanonicalName("someone@example.org"))
			same(t, byMail, a)
			return errors.Join(err, err2, err3, err4)
		})
	}},
	{"keeps a password, and swaps its hash only for the one it has", func(t *testing.T, open opener) {
		db := open()
		p := auth.Password{Account: account(t, db, "a").ID, Hash: "$argon2id$one", ChangedAt: epoch}
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			err := tx.PutPassword(ctx, p)
			wrong, err2 := tx.ReplaceHash(ctx, p.Account, "$argon2id$other", "$argon2id$three")
			right, err3 := tx.ReplaceHash(ctx, p.Account, p.Hash, "$argon2id$two")
			nobody, err4 := tx.ReplaceHash(ctx, "nobody", p.Hash, "$argon2id$two")
			if wrong || !right || nobody {
				t.Errorf("swapped the wrong one %v, the right one %v, nobody's %v", wrong, right, nobody)
			}
			return errors.Join(err, err2, err3, err4)
		})
		p.Hash = "$argon2id$two"
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Password(ctx, p.Account)
			same(t, got, p)
			return err
		})
	}},
	{"keeps every field of a session", func(t *testing.T, open opener) {
		db, s := open(), filled[auth.Session]()
		s.Account = account(t, db, "a").ID
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddSession(ctx, s) })
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Session(ctx, s.ID)
			same(t, got, s)
			byToken, err2 := tx.SessionByToken(ctx, s.TokenHash)
			same(t, byToken, s)
			return errors.Join(err, err2)
		})
	}},
	{"keeps every field of a client", func(t *testing.T, open opener) {
		db, c := open(), filled[auth.Client]()
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddClient(ctx, c) })
		readClient(t, db, c)

		// Every field can be changed, too, but for its identity; an older copy changes nothing.
		changed := auth.Client{ID: c.ID, CreatedAt: c.CreatedAt, UpdatedAt: epoch, Version: c.Version}
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			ok, err := tx.UpdateClient(ctx, changed)
			again, err2 := tx.UpdateClient(ctx, changed)
			if !ok || again {
				t.Errorf("changed %v, by an older copy %v", ok, again)
			}
			return errors.Join(err, err2)
		})
		changed.Version++
		readClient(t, db, changed)
	}},
	{"keeps every field of a consent", func(t *testing.T, open opener) {
		db, c := open(), filled[auth.Consent]()
		c.Account, c.Client = account(t, db, "a").ID, client(t, db, auth.Client{ID: "c"}).ID
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutConsent(ctx, c) })
		later := c
		later.Scopes, later.GivenAt, later.UpdatedAt = []string{"x"}, epoch.Add(time.Hour), epoch.Add(time.Hour)
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Consent(ctx, c.Account, c.Client)
			same(t, got, c)
			return errors.Join(err, tx.PutConsent(ctx, later))
		})
		later.GivenAt = c.GivenAt // it was first given then
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.ConsentsOf(ctx, c.Account)
			same(t, got, []auth.Consent{later})
			first, err2 := tx.DropConsent(ctx, c.Account, c.Client)
			second, err3 := tx.DropConsent(ctx, c.Account, c.Client)
			if !first || second {
				t.Errorf("dropped %v and again %v", first, second)
			}
			return errors.Join(err, err2, err3)
		})
	}},
	{"keeps every field of a grant, from the code to its end", func(t *testing.T, open opener) {
		db, g := open(), filled[auth.Grant]()
		g.Account, g.State = account(t, db, "a").ID, auth.GrantPending
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddGrant(ctx, g) })
		readGrant(t, db, g)

		redeemed := filled[auth.Grant]()
		redeemed.ID, redeemed.Client, redeemed.Account, redeemed.Session = g.ID, g.Client, g.Account, g.Session
		redeemed.CodeHash, redeemed.CreatedAt, redeemed.State, redeemed.Generation = g.CodeHash, g.CreatedAt, auth.GrantLive, 1
		redeemed.Scopes, redeemed.Resources = nil, nil
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.RedeemGrant(ctx, redeemed)
			return err
		})
		readGrant(t, db, redeemed)
	}},
	{"reads a grant with all it stands on, and what is missing as nothing", func(t *testing.T, open opener) {
		db := open()
		d := auth.Ground{Grant: filled[auth.Grant](), Client: filled[auth.Client](), Account: account(t, db, "a"), Consent: filled[auth.Consent](), Session: filled[auth.Session]()}
		d.Session.Account, d.Consent.Account, d.Consent.Client = d.Account.ID, d.Account.ID, d.Client.ID
		d.Grant.Account, d.Grant.Client, d.Grant.Session = d.Account.ID, d.Client.ID, d.Session.ID
		bare := auth.Grant{ID: "bare", Account: d.Account.ID, Client: "none", Session: "none", CreatedAt: epoch}
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(tx.AddClient(ctx, d.Client), tx.AddSession(ctx, d.Session), tx.PutConsent(ctx, d.Consent),
				tx.AddGrant(ctx, d.Grant), tx.AddGrant(ctx, bare), tx.Deny(ctx, "jti", epoch))
		})
		before := db.Statements()
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Ground(ctx, d.Grant.ID, "another")
			same(t, got, d)
			if n := db.Statements() - before; n > 2 { // SQLite's BEGIN
				t.Errorf("%d statements for one ground", n)
			}
			byCode, err2 := tx.GroundByCode(ctx, d.Grant.CodeHash)
			same(t, byCode, d)
			denied, err3 := tx.Ground(ctx, "bare", "jti")
			same(t, denied, auth.Ground{Grant: bare, Account: d.Account, Denied: true})
			return errors.Join(err, err2, err3)
		})
	}},
	{"keeps every field of an access token", func(t *testing.T, open opener) {
		db, token := open(), filled[auth.AccessToken]()
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(tx.AddAccessToken(ctx, []byte("h"), token), tx.AddAccessToken(ctx, []byte("i"), auth.AccessToken{IssuedAt: epoch, Ends: epoch}))
		})
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.AccessToken(ctx, []byte("h"))
			same(t, got, token)
			bare, err2 := tx.AccessToken(ctx, []byte("i"))
			same(t, bare, auth.AccessToken{IssuedAt: epoch, Ends: epoch})
			return errors.Join(err, err2)
		})
	}},
	{"keeps every field of a flow, for the browser that began it", func(t *testing.T, open opener) {
		db, f := open(), filled[auth.Flow]()
		f.Ends = time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddFlow(ctx, f) })
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Flow(ctx, f.ID, f.BrowserHash)
			same(t, got, f)
			for _, other := range [][]byte{nil, {}, []byte("x"), f.BrowserHash[1:]} {
				if _, err := tx.Flow(ctx, f.ID, other); !fault.Is(err, fault.NotFound) {
					t.Errorf("another browser (%q) got %v, want NotFound", other, err)
				}
			}
			return err
		})
	}},
	{"keeps every field of a signing key", func(t *testing.T, open opener) {
		db, k := open(), filled[auth.Key]()
		k.State = auth.KeyNext
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddKey(ctx, k) })
		moved := k
		moved.State, moved.EndedAt, moved.GoneAt = auth.KeyActive, time.Time{}, time.Time{}
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Keys(ctx)
			same(t, got, []auth.Key{k})
			ok, err2 := tx.UpdateKey(ctx, moved, auth.KeyNext)
			again, err3 := tx.UpdateKey(ctx, k, auth.KeyNext)
			if !ok || again {
				t.Errorf("moved on %v, and from a state it was not in %v", ok, again)
			}
			return errors.Join(err, err2, err3, tx.LockKeys(ctx))
		})
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Keys(ctx)
			same(t, got, []auth.Key{moved})
			return err
		})
	}},
	{"keeps every field of an event", func(t *testing.T, open opener) {
		db, e := open(), filled[audit.Event]()
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.Record(ctx, e) })
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Events(ctx, store.EventFilter{Subject: e.Subject}, 10)
			if len(got) != 1 {
				t.Fatalf("got %d events, want 1", len(got))
			}
			same(t, got[0].Event, e)
			if got[0].Position != store.Unplaced || !audit.CheckCommitment(got[0].Salt, got[0].Commitment, got[0].Personal) {
				t.Errorf("position %d, commitment %x does not fit", got[0].Position, got[0].Commitment)
			}
			return err
		})
	}},
	{"keeps letters until they are dropped, and lends each to one worker", func(t *testing.T, open opener) {
		db, m := open(), filled[auth.Message]()
		m.Account = account(t, db, "a").ID
		var taken []store.Letter
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.Notify(ctx, m) })
		update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
			taken, err = tx.TakeLetters(ctx, 10, tx.Now().Add(time.Hour))
			return err
		})
		if len(taken) != 1 || taken[0].Tries != 1 {
			t.Fatalf("took %+v, want one letter at its first try", taken)
		}
		same(t, taken[0].Message, m)
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			again, err := tx.TakeLetters(ctx, 10, tx.Now())
			same(t, again, []store.Letter{})
			dropped, err2 := tx.DropLetter(ctx, taken[0].ID)
			if !dropped {
				t.Error("the letter was gone")
			}
			return errors.Join(err, err2)
		})
	}},
	{"keeps identifiers that differ only in case, accents or space apart", func(t *testing.T, open opener) {
		db := open()
		ids := []auth.ClientID{"A", "a", "á", "a ", "a\u0301", "aa", "A-b", "a_b", "aB"}
		for _, id := range ids {
			client(t, db, auth.Client{ID: id, Name: string(id)})
		}
		slices.Sort(ids) // by bytes, on every database
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			var got []auth.ClientID
			for after := auth.ClientID(""); ; after = got[len(got)-1] {
				page, err := tx.Clients(ctx, after, 2)
				if err != nil || len(page) == 0 {
					same(t, got, ids)
					return err
				}
				for _, c := range page {
					got = append(got, c.ID)
				}
			}
		})
	}},
	{"keeps time to the microsecond, in UTC, and one instant a transaction", func(t *testing.T, open opener) {
		at := time.Date(2031, 5, 6, 7, 8, 9, 123456789, time.FixedZone("east", 7*3600))
		calls := 0
		db := open(func(c *store.Config) {
			c.Clock = func() time.Time { calls++; return at.Add(time.Duration(calls) * time.Hour) }
		})
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			now := tx.Now()
			if now != tx.Now() || now.Location() != time.UTC || now.Nanosecond() != 123456000 {
				t.Errorf("now is %v", now)
			}
			a, err := addAccount(ctx, tx, "a")
			got, err2 := tx.Account(ctx, a.ID)
			if got.CreatedAt != now {
				t.Errorf("read %v, want %v", got.CreatedAt, now)
			}
			return errors.Join(err, err2)
		})
	}},
	{"keeps a secret of the deployment the same for ever", func(t *testing.T, open opener) {
		db := open()
		var first, second []byte
		update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
			first, err = tx.SecretOnce(ctx, "mac", func() []byte { return []byte("one") })
			return err
		})
		update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
			second, err = tx.SecretOnce(ctx, "mac", func() []byte { return []byte("two") })
			return err
		})
		if string(first) != "one" || string(second) != "one" {
			t.Errorf("got %q and then %q, want the first", first, second)
		}
	}},
	{"lists accounts and grants page by page", func(t *testing.T, open opener) {
		db := open()
		for i := range 5 {
			account(t, db, fmt.Sprint("person", i))
		}
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			all, err := tx.Accounts(ctx, "", 10)
			rest, err2 := tx.Accounts(ctx, all[1].ID, 2)
			same(t, rest, all[2:4])
			n, err3 := tx.CountAccounts(ctx)
			if n != 5 || len(all) != 5 {
				t.Errorf("counted %d and listed %d, want 5", n, len(all))
			}
			return errors.Join(err, err2, err3)
		})
	}},
}

func readClient(t *testing.T, db *store.DB, want auth.Client) {
	t.Helper()
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Client(ctx, want.ID)
		same(t, got, want)
		return err
	})
}

func readGrant(t *testing.T, db *store.DB, want auth.Grant) {
	t.Helper()
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Grant(ctx, want.ID)
		same(t, got, want)
		byCode, err2 := tx.GrantByCode(ctx, want.CodeHash)
		same(t, byCode, want)
		return errors.Join(err, err2)
	})
}
