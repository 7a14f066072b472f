package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// spends: what may be used once is used once, and what has ended does nothing.
var spends = []promise{
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
		db := open(clock.Use)
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
		clock.Add(time.Minute)
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
		db := open(clock.Use)
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
		clock.Add(59 * time.Second)
		want(2, true)(attempt("k", time.Minute, 2))
		want(2, false)(attempt("k", time.Minute, 2))
		want(1, true)(attempt("l", time.Minute, 2)) // another key
		want(1, true)(attempt("k", time.Hour, 2))   // another window
		clock.Add(time.Second)
		want(1, true)(attempt("k", time.Minute, 2))
		want(2, true)(attempt("k", time.Minute, 2))
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.Forgive(ctx, []byte("k")) })
		want(1, true)(attempt("k", time.Minute, 2))
		want(1, true)(attempt("k", time.Hour, 2))
		want(0, false)(attempt("m", time.Minute, 0))
	}},
}
