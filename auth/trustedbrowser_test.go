package auth_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

// sec-M18, sec-S11: a trusted browser stands in for the second factor of its account alone, until its trust ends, is turned over at each
// use, and ends where somebody comes with an old token. It raises nothing.
func TestATrustedBrowserStandsInAndRaisesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		const month = 30 * 24 * time.Hour
		r.signIn.Policy.Trust = month
		id, other := r.account("noor").ID, r.account("wei").ID
		r.app(id)
		r.app(other)
		b := r.browser()
		f, _ := b.sends(b.upTo(own, "noor"), 1, true)
		e := b.establish(f)
		b.origin.Trust = e.Trust
		first := e.Trust

		r.clock.Add(13 * time.Hour)
		b.session = ""
		f = b.upTo(own, "noor")
		wantStep(t, f, auth.Done)
		e = b.establish(f)
		wantProof(t, e, auth.AAL1, "pwd") // I4: what was proved, no more
		if e.Trust == "" || e.Trust == first {
			t.Error("the token was not turned over")
		}
		b.origin.Trust = e.Trust

		b.session = ""
		if f := b.upTo(own, "wei"); f.Next() != auth.Second {
			t.Errorf("it stands in for another account: %s", f.Next())
		}
		b.session = ""
		asked := own
		asked.Asked = []string{auth.AAL2}
		wantStep(t, b.upTo(asked, "noor"), auth.Second) // not for step-up
		b.session = ""
		strict := own
		strict.Strict = true
		wantStep(t, b.upTo(strict, "noor"), auth.Second)

		// Sensitive acts need the factor itself.
		b.session = ""
		b.establish(b.upTo(own, "noor"))
		cur, _ := b.current()
		wantFault(t, r.try(func(ctx context.Context, tx auth.Tx) error { return r.signIn.Fresh(ctx, tx, cur) }), auth.ErrNotFresh)

		// The one who stole an old token ends the trust, for both.
		thief := r.browser()
		thief.origin.Trust = first
		wantStep(t, thief.upTo(own, "noor"), auth.Second)
		if r.codes(audit.BrowserForgotten)[0] != "token-reused" {
			t.Error("an old token ended nothing")
		}
		b.session = ""
		wantStep(t, b.upTo(own, "noor"), auth.Second)

		// A policy that got shorter counts for those trusted before; so does one that trusts none.
		f, _ = b.sends(b.upTo(own, "noor"), 2, true)
		b.origin.Trust = b.establish(f).Trust
		b.session = ""
		r.clock.Add(48 * time.Hour)
		r.signIn.Policy.Trust = 24 * time.Hour
		wantStep(t, b.upTo(own, "noor"), auth.Second)
		r.signIn.Policy.Trust = 0
		wantStep(t, b.upTo(own, "noor"), auth.Second)

		// Never for administration.
		r.signIn.Policy.Trust = month
		var noor auth.Account
		r.view(func(ctx context.Context, tx *store.Tx) (err error) { noor, err = tx.Account(ctx, id); return err })
		r.administers(noor)
		wantStep(t, b.upTo(own, "noor"), auth.Second)
	})
}

// sec-S04: trust in a browser ends with the password, with the account, and by its owner, also for a sign-in that is under way.
func TestTrustInABrowserEndsWithWhatItStoodOn(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.signIn.Policy.Trust = 30 * 24 * time.Hour
		id := r.account("noor").ID
		r.app(id)
		c := r.client("app", auth.Web)
		step := int64(0)
		for name, end := range map[string]func(ctx context.Context, tx auth.Tx) error{
			"its owner": func(ctx context.Context, tx auth.Tx) error {
				all, err := tx.TrustedBrowsers(ctx, id)
				if err != nil {
					return err
				}
				return auth.ForgetBrowser(ctx, tx, auth.Current{Account: auth.Account{ID: id}}, all[0].ID, auth.Origin{})
			},
			"the password": func(ctx context.Context, tx auth.Tx) error {
				return auth.SetPassword(ctx, tx, "local:test", id, "is:noor's password")
			},
			"the account": func(ctx context.Context, tx auth.Tx) error {
				return errors.Join(auth.Disable(ctx, tx, "local:test", id), auth.Enable(ctx, tx, "local:test", id))
			},
		} {
			r.clock.Add(time.Minute)
			b := r.browser()
			step++
			f, refused := b.sends(b.upTo(own, "noor"), step, true)
			wantRefused(t, refused, nil)
			b.origin.Trust = b.establish(f).Trust
			b.session = ""
			waits := b.upTo(demands(c), "noor")
			wantStep(t, waits, auth.Allow)
			r.clock.Add(time.Second)
			r.update(end)
			b.update(func(ctx context.Context, tx auth.Tx) (err error) {
				waits, err = auth.AllowScopes(ctx, tx, waits, waits.Offered)
				return err
			})
			wantRefused(t, b.establish(waits).Refused, auth.ErrFlowGone)
			if f := b.upTo(own, "noor"); f.Next() != auth.Second {
				t.Errorf("%s: the browser is trusted still", name)
			}
			r.update(func(ctx context.Context, tx auth.Tx) error { return auth.Withdraw(ctx, tx, "local:test", id, c.ID) })
		}
	})
}
