package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// factors: what people prove themselves with is kept whole and sealed, belongs to one of them, and is spent once.
var factors = []promise{
	{"keeps every field of a passkey, for its owner alone", func(t *testing.T, open opener) {
		db, k := open(), filled[auth.Passkey]()
		a, b := account(t, db, "a"), account(t, db, "b")
		k.Account = a.ID
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddPasskey(ctx, k) })
		read := func(want ...auth.Passkey) {
			t.Helper()
			view(t, db, func(ctx context.Context, tx *store.Tx) error {
				got, err := tx.Passkeys(ctx, a.ID)
				same(t, got, want)
				none, err2 := tx.Passkeys(ctx, b.ID)
				same(t, none, []auth.Passkey(nil))
				return errors.Join(err, err2)
			})
		}
		read(k)
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			again := k
			again.ID, again.Account = "another", b.ID
			return tx.AddPasskey(t.Context(), again)
		})
		if !errors.Is(err, auth.ErrPasskeyIn) {
			t.Errorf("a credential that somebody has: got %v", err)
		}
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			foreign, err := tx.RenamePasskey(ctx, b.ID, k.ID, "mine")
			gone, err2 := tx.DropPasskey(ctx, b.ID, k.ID)
			own, err3 := tx.RenamePasskey(ctx, a.ID, k.ID, "Laptop 笔记本")
			k.Name, k.Signs, k.Record = "Laptop 笔记本", k.Signs+1, []byte("new record\nwith lines\x00")
			used, err4 := tx.UsePasskey(ctx, k)
			back := k
			back.Signs--
			lower, err5 := tx.UsePasskey(ctx, back)
			err6 := tx.SuspectPasskey(ctx, k.ID)
			k.UsedAt, k.SuspectAt = tx.Now(), tx.Now()
			if foreign || gone || !own || !used || lower {
				t.Errorf("renamed by another %v, dropped by another %v, renamed %v, used %v, used with a lower counter %v", foreign, gone, own, used, lower)
			}
			return errors.Join(err, err2, err3, err4, err5, err6)
		})
		read(k)
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			first, err := tx.DropPasskey(ctx, a.ID, k.ID)
			second, err2 := tx.DropPasskey(ctx, a.ID, k.ID)
			if !first || second {
				t.Errorf("dropped %v and again %v", first, second)
			}
			return errors.Join(err, err2)
		})
		read()
	}},
	{"keeps every field of a holder, and its handle for ever", func(t *testing.T, open opener) {
		db, h := open(), filled[auth.Holder]()
		h.Account = account(t, db, "a").ID
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutHolder(ctx, h) })
		later := h
		later.Handle, later.Version, later.GraceAt = []byte("another"), h.Version+1, time.Time{}
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Holder(ctx, h.Account)
			same(t, got, h)
			return errors.Join(err, tx.PutHolder(ctx, later))
		})
		later.Handle = h.Handle
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.HolderByHandle(ctx, h.Handle)
			same(t, got, later)
			none, err2 := tx.Holder(ctx, "nobody")
			same(t, none, auth.Holder{Account: "nobody"})
			return errors.Join(err, err2)
		})
	}},
	// RFC 6238 §5.2: a code is accepted once; sec-M04: so many guesses and no more.
	{"keeps an authenticator, spends a step once and never an earlier one, and counts only guesses that fail", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.Use)
		o := filled[auth.TOTP]()
		o.Account, o.Failed, o.FailedAt, o.Step = account(t, db, "a").ID, 0, time.Time{}, 100
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			err := tx.PutTOTP(ctx, o)
			got, err2 := tx.TOTP(ctx, o.Account)
			same(t, got, o)
			return errors.Join(err, err2)
		})
		guess := func(want bool) {
			t.Helper()
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				ok, err := tx.GuessTOTP(ctx, o.Account, time.Hour, 2)
				if ok != want {
					t.Errorf("a guess was counted: %v, want %v", ok, want)
				}
				return err
			})
		}
		guess(true)
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			same1, err := tx.SpendTOTP(ctx, o.Account, 100)
			next, err2 := tx.SpendTOTP(ctx, o.Account, 101)
			again, err3 := tx.SpendTOTP(ctx, o.Account, 101)
			before, err4 := tx.SpendTOTP(ctx, o.Account, 99)
			if same1 || !next || again || before {
				t.Errorf("spent the last step %v, the next %v, again %v, one before %v", same1, next, again, before)
			}
			return errors.Join(err, err2, err3, err4)
		})
		guess(true) // the one before did not fail
		guess(true)
		guess(false)
		clock.Add(time.Hour - time.Microsecond)
		guess(false)
		clock.Add(time.Microsecond)
		guess(true)
		guess(true)
		guess(false)
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.ReopenTOTP(ctx, o.Account) })
		guess(true)
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			first, err := tx.DropTOTP(ctx, o.Account)
			second, err2 := tx.DropTOTP(ctx, o.Account)
			if !first || second {
				t.Errorf("dropped %v and again %v", first, second)
			}
			return errors.Join(err, err2)
		})
		guess(false)
	}},
	{"replaces all recovery codes and spends each once, for its owner", func(t *testing.T, open opener) {
		db := open()
		a, b := account(t, db, "a").ID, account(t, db, "b").ID
		set := func(id auth.AccountID, hashes ...string) (codes []auth.RecoveryCode) {
			for _, h := range hashes {
				codes = append(codes, auth.RecoveryCode{Account: id, Hash: []byte(h), CreatedAt: epoch})
			}
			update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutRecoveryCodes(ctx, id, codes) })
			return codes
		}
		set(a, "1", "2")
		left := set(a, "3", "4")
		set(b, "3")
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			old, err := tx.SpendRecoveryCode(ctx, a, []byte("1"))
			first, err2 := tx.SpendRecoveryCode(ctx, a, []byte("3"))
			second, err3 := tx.SpendRecoveryCode(ctx, a, []byte("3"))
			foreign, err4 := tx.SpendRecoveryCode(ctx, b, []byte("4"))
			if old || !first || second || foreign {
				t.Errorf("spent a replaced one %v, one %v, it again %v, another's %v", old, first, second, foreign)
			}
			got, err5 := tx.RecoveryCodes(ctx, a)
			same(t, got, left[1:])
			return errors.Join(err, err2, err3, err4, err5)
		})
	}},
	{"keeps every field of a trusted browser until it ends, and turns its token over once", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.Use)
		b := filled[auth.TrustedBrowser]()
		b.Account, b.Ends = account(t, db, "a").ID, clock.Now().Add(time.Hour)
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddTrustedBrowser(ctx, b) })
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.TrustedBrowser(ctx, b.ID)
			same(t, got, b)
			next, old := b, b.TokenHash
			next.TokenHash, next.SeenAt, next.UserAgent = []byte("next"), tx.Now(), "another"
			first, err2 := tx.RenewTrustedBrowser(ctx, next, old)
			second, err3 := tx.RenewTrustedBrowser(ctx, next, old)
			foreign, err4 := tx.DropTrustedBrowser(ctx, "nobody", b.ID)
			if !first || second || foreign {
				t.Errorf("renewed %v and again %v; dropped by another %v", first, second, foreign)
			}
			all, err5 := tx.TrustedBrowsers(ctx, b.Account)
			same(t, all, []auth.TrustedBrowser{next})
			return errors.Join(err, err2, err3, err4, err5)
		})
		clock.Add(time.Hour)
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			all, err := tx.TrustedBrowsers(ctx, b.Account)
			_, err2 := tx.TrustedBrowser(ctx, b.ID)
			late, err3 := tx.RenewTrustedBrowser(ctx, b, []byte("next"))
			n, err4 := tx.DropTrustedBrowsers(ctx, b.Account)
			if len(all) > 0 || !fault.Is(err2, fault.NotFound) || late || n != 1 {
				t.Errorf("after its end: listed %d, found %v, renewed %v; dropped %d", len(all), err2, late, n)
			}
			return errors.Join(err, err3, err4)
		})
	}},
	{"has one pass of an account, the last, spent once and in time", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.Use)
		a, b := account(t, db, "a").ID, account(t, db, "b").ID
		put := func(hash string) {
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				return tx.PutPass(ctx, auth.Pass{Account: a, Hash: []byte(hash), By: "local:test", CreatedAt: tx.Now(), Ends: tx.Now().Add(time.Hour)})
			})
		}
		spend := func(id auth.AccountID, hash string, want bool) {
			t.Helper()
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				ok, err := tx.SpendPass(ctx, id, []byte(hash))
				if ok != want {
					t.Errorf("spent %v, want %v", ok, want)
				}
				return err
			})
		}
		put("1")
		put("2")
		spend(a, "1", false)
		spend(b, "2", false)
		spend(a, "2", true)
		spend(a, "2", false)
		put("3")
		clock.Add(time.Hour)
		spend(a, "3", false)
	}},
	{"has one ceremony of an owner, the last, taken once and in time", func(t *testing.T, open opener) {
		clock := newClock()
		db := open(clock.Use)
		c := filled[auth.Ceremony]()
		put := func() {
			c.Ends = clock.Now().Add(time.Minute)
			update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutCeremony(ctx, c) })
		}
		take := func(owner string, want bool) {
			t.Helper()
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				got, ok, err := tx.TakeCeremony(ctx, owner)
				if ok != want {
					t.Errorf("took %v, want %v", ok, want)
				}
				if ok {
					same(t, got, c)
				}
				return err
			})
		}
		put()
		c.Body = auth.Secret("second")
		put()
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Ceremony(ctx, c.Owner)
			same(t, got, c)
			return err
		})
		take("another", false)
		take(c.Owner, true)
		take(c.Owner, false)
		put()
		clock.Add(time.Minute)
		take(c.Owner, false)
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			if _, err := tx.Ceremony(ctx, c.Owner); !errors.Is(err, auth.ErrCeremony) {
				t.Errorf("read when over: %v", err)
			}
			return nil
		})
	}},
}

// factorRaces: of many who spend one thing, one does.
var factorRaces = []promise{
	// sec-M02: a code used once never works again, not from twenty at once.
	once(many, "lets one of twenty spend a code's step", authenticator, func(ctx context.Context, tx *store.Tx, id auth.AccountID, _ int) (bool, error) {
		return tx.SpendTOTP(ctx, id, 200)
	}),
	// sec-M16.
	once(many, "lets one of twenty spend a recovery code", func(t *testing.T, db *store.DB, round int) auth.AccountID {
		id := account(t, db, fmt.Sprint("r", round)).ID
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return tx.PutRecoveryCodes(ctx, id, []auth.RecoveryCode{{Account: id, Hash: []byte("h"), CreatedAt: tx.Now()}})
		})
		return id
	}, func(ctx context.Context, tx *store.Tx, id auth.AccountID, _ int) (bool, error) {
		return tx.SpendRecoveryCode(ctx, id, []byte("h"))
	}),
	once(many, "lets one of twenty take a ceremony", func(t *testing.T, db *store.DB, round int) string {
		owner := fmt.Sprint("flow:", round)
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return tx.PutCeremony(ctx, auth.Ceremony{Owner: owner, Body: auth.Secret("b"), Ends: tx.Now().Add(time.Minute)})
		})
		return owner
	}, func(ctx context.Context, tx *store.Tx, owner string, _ int) (bool, error) {
		_, ok, err := tx.TakeCeremony(ctx, owner)
		return ok, err
	}),
	once(some, "lets one of twenty spend a pass", func(t *testing.T, db *store.DB, round int) auth.AccountID {
		id := account(t, db, fmt.Sprint("p", round)).ID
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return tx.PutPass(ctx, auth.Pass{Account: id, Hash: []byte("h"), CreatedAt: tx.Now(), Ends: tx.Now().Add(time.Hour)})
		})
		return id
	}, func(ctx context.Context, tx *store.Tx, id auth.AccountID, _ int) (bool, error) {
		return tx.SpendPass(ctx, id, []byte("h"))
	}),
	once(some, "lets one of twenty renew a trusted browser", func(t *testing.T, db *store.DB, round int) auth.TrustedBrowser {
		id := account(t, db, fmt.Sprint("b", round)).ID
		b := auth.TrustedBrowser{ID: auth.BrowserID(fmt.Sprint(round)), Account: id, TokenHash: []byte("old")}
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			b.CreatedAt, b.SeenAt, b.Ends = tx.Now(), tx.Now(), tx.Now().Add(time.Hour)
			return tx.AddTrustedBrowser(ctx, b)
		})
		return b
	}, func(ctx context.Context, tx *store.Tx, b auth.TrustedBrowser, racer int) (bool, error) {
		b.TokenHash = fmt.Append(nil, "new", racer)
		return tx.RenewTrustedBrowser(ctx, b, []byte("old"))
	}),
	{"counts no guess past the limit, whoever guesses at once", func(t *testing.T, open opener) {
		db := open()
		for round := range rounds(some) {
			id := authenticator(t, db, round)
			got := race(t, db, func(ctx context.Context, tx *store.Tx, _ int) (bool, error) {
				return tx.GuessTOTP(ctx, id, time.Hour, 7)
			})
			if got != 7 {
				t.Fatalf("round %d: %d guesses were counted, want 7", round, got)
			}
		}
	}},
}

// authenticator gives a new account one that has spent step 100.
func authenticator(t *testing.T, db *store.DB, round int) auth.AccountID {
	id := account(t, db, fmt.Sprint("t", round)).ID
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutTOTP(ctx, auth.TOTP{Account: id, Secret: auth.Secret("s"), Step: 100, CreatedAt: tx.Now()})
	})
	return id
}
