package auth_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// The last factor that is needed stays; any other goes, with what it opened.
func TestTheLastFactorThatIsNeededStays(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		a := r.account("noor")
		r.app(a.ID)
		k := r.key(a.ID, "Blue key", false)
		b, elsewhere := r.browser(), r.browser()
		sign := func(b *browser, step int64) {
			t.Helper()
			f, refused := b.sends(b.upTo(own, "noor"), step)
			wantRefused(t, refused, nil)
			b.establish(f)
		}
		sign(elsewhere, 1)
		sign(b, 2)
		remove := func() (*fault.Error, error) {
			cur, _ := b.current()
			var refused *fault.Error
			err := r.try(func(ctx context.Context, tx auth.Tx) (err error) {
				var e auth.Established
				e, refused, err = r.signIn.RemoveTOTP(ctx, tx, cur, b.from())
				b.take(e)
				return err
			})
			return refused, err
		}
		r.administers(a)
		refused, err := remove() // a passkey is left
		if refused != nil || err != nil {
			t.Fatalf("the app, beside a passkey: %v, %v", refused, err)
		}
		if _, ok := elsewhere.current(); ok {
			t.Error("sec-S04 the session elsewhere goes on")
		}
		if _, ok := b.current(); !ok {
			t.Error("the session that removed it is gone")
		}
		if !slices.Contains(r.letters(), "authenticator-removed") {
			t.Error("its owner does not hear of it")
		}
		cur, _ := b.current()
		err = r.try(func(ctx context.Context, tx auth.Tx) (err error) {
			_, refused, err = r.signIn.RemovePasskey(ctx, tx, cur, k.ID, b.from())
			return err
		})
		if err != nil || refused == nil || refused.Code != auth.ErrLast.Code || len(r.events(audit.FactorRefused)) != 1 {
			t.Errorf("an administrator's last factor: %v, %v", refused, err)
		}
		// Of another account nothing can be removed.
		r.account("wei")
		w := r.browser()
		w.establish(w.upTo(own, "wei"))
		cur, _ = w.current()
		wantFault(t, r.try(func(ctx context.Context, tx auth.Tx) error {
			_, _, err := r.signIn.RemovePasskey(ctx, tx, cur, k.ID, w.from())
			return err
		}), auth.ErrNoFactor)
		wantFault(t, r.try(func(ctx context.Context, tx auth.Tx) error {
			return auth.RenamePasskey(ctx, tx, cur, k.ID, "mine", w.from())
		}), auth.ErrNoFactor)
	})
}

// sec-M10: a factor is added or removed by a new proof at the level of the account.
func TestASessionBelowItsAccountsLevelChangesNoFactor(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		a := r.account("noor")
		b := r.browser()
		b.establish(b.upTo(own, "noor"))
		cur, _ := b.current()
		r.app(a.ID) // meanwhile, past the session's end that comes with it otherwise
		for name, act := range map[string]func(ctx context.Context, tx auth.Tx) error{
			"adding a passkey": func(ctx context.Context, tx auth.Tx) error {
				_, err := r.signIn.AddPasskey(ctx, tx, cur, auth.Passkey{Name: "x", Credential: []byte("x")}, b.from())
				return err
			},
			"adding an app": func(ctx context.Context, tx auth.Tx) error {
				_, err := r.signIn.AddTOTP(ctx, tx, cur, auth.Secret("s"), 1, b.from())
				return err
			},
			"removing the app": func(ctx context.Context, tx auth.Tx) error {
				_, _, err := r.signIn.RemoveTOTP(ctx, tx, cur, b.from())
				return err
			},
			"making codes": func(ctx context.Context, tx auth.Tx) error {
				_, err := r.signIn.NewRecoveryCodes(ctx, tx, cur, b.from())
				return err
			},
		} {
			if err := r.try(act); !errors.Is(err, auth.ErrNotFresh) {
				t.Errorf("%s: got %v, want that it is not fresh", name, err)
			}
		}
		// sec-M20: nor does one whose proof is older than five minutes.
		again := own
		again.Login = true
		f, _ := b.sends(b.upTo(again, "noor"), 1)
		b.establish(f)
		cur, _ = b.current()
		fresh := func(ctx context.Context, tx auth.Tx) error { return r.signIn.Fresh(ctx, tx, cur) }
		r.clock.Add(auth.FreshFor)
		if err := r.try(fresh); err != nil {
			t.Errorf("after five minutes: %v", err)
		}
		r.clock.Add(time.Microsecond)
		wantFault(t, r.try(fresh), auth.ErrNotFresh)
	})
}

// sec-S04: a proof that was given before a factor was added or removed opens nothing after it.
func TestAProofFromBeforeAChangeOfFactorsOpensNothing(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		a := r.account("noor")
		c := r.client("app", auth.Web)
		waits := r.browser()
		f := waits.upTo(demands(c), "noor")
		wantStep(t, f, auth.Allow)
		r.app(a.ID)
		waits.update(func(ctx context.Context, tx auth.Tx) (err error) {
			f, err = auth.AllowScopes(ctx, tx, f, f.Offered)
			return err
		})
		wantRefused(t, waits.establish(f).Refused, auth.ErrFlowGone)
	})
}

// sec-M15: a counter that goes back is told of, counts for nothing, and the key is refused from then on; another factor is asked for.
func TestAKeyThatMayHaveBeenCopiedIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.signIn.Passkeys = true
		a := r.account("noor")
		k := r.key(a.ID, "Blue key", false)
		r.app(a.ID)
		b := r.browser()
		f, refused := b.proves(b.begin(own), auth.PasskeyProof{Key: k, Verified: true, Bound: true, Back: true})
		wantRefused(t, refused, auth.ErrSuspect)
		wantStep(t, f, auth.Identify)
		if len(r.events(audit.FactorSuspected)) != 1 || !slices.Contains(r.letters(), "passkey-suspect") {
			t.Error("it is not told of")
		}
		later := k
		later.Signs = 50
		_, refused = b.proves(f, auth.PasskeyProof{Key: later, Verified: true, Bound: true})
		wantRefused(t, refused, auth.ErrSuspect)
		r.view(func(ctx context.Context, tx *store.Tx) error {
			keys, err := tx.Passkeys(ctx, a.ID)
			if keys[0].Signs != 10 {
				t.Errorf("the stored counter is %d, want 10", keys[0].Signs)
			}
			return err
		})
		f = b.upTo(own, "noor")
		wantStep(t, f, auth.Second)
		if slices.Contains(f.Ways, auth.ByPasskey) {
			t.Error("a suspect passkey is offered")
		}
		f, _ = b.sends(f, 1)
		wantStep(t, f, auth.Done)
	})
}
