package auth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// app gives an account an authenticator app.
func (r *rig) app(id auth.AccountID) {
	r.Helper()
	r.update(func(ctx context.Context, tx auth.Tx) error {
		return auth.SeedTOTP(ctx, tx, "local:test", id, auth.Secret("twenty bytes of seed"))
	})
}

// key gives an account a passkey, past all ceremonies.
func (r *rig) key(id auth.AccountID, name string, synced bool) auth.Passkey {
	r.Helper()
	k := auth.Passkey{Account: id, Credential: []byte("credential of " + name), Name: name, Synced: synced, Signs: 10, Record: []byte("{}")}
	r.update(func(ctx context.Context, tx auth.Tx) error {
		h, err := auth.Hold(ctx, tx, id)
		if err != nil {
			return err
		}
		h.Version++
		k.ID, k.CreatedAt = auth.PasskeyID(tx.NewID()), tx.Now()
		return errors.Join(tx.PutHolder(ctx, h), tx.AddPasskey(ctx, k))
	})
	return k
}

// administers makes an account an administrator's.
func (r *rig) administers(a auth.Account) {
	r.Helper()
	r.update(func(ctx context.Context, tx auth.Tx) error {
		return storetest.Appoint(ctx, tx, a.ID)
	})
}

// upTo goes through a sign-in of name past the password.
func (b *browser) upTo(d auth.Demands, name string) auth.Flow {
	b.Helper()
	d.From = b.from()
	f := b.begin(d)
	if f.Next() == auth.Identify {
		f = b.name(f, name)
	}
	if f.Next() != auth.Prove { // the browser's session was carried into it
		return f
	}
	f, refused := b.password(f, name+"'s password")
	if refused != nil {
		b.Fatalf("%s cannot sign in: %v", name, refused)
	}
	return f
}

// sends tries a code that belongs to a step, 0 for none.
func (b *browser) sends(f auth.Flow, step int64, trust ...bool) (auth.Flow, *fault.Error) {
	b.Helper()
	var a auth.CodeAttempt
	var refused *fault.Error
	b.update(func(ctx context.Context, tx auth.Tx) (err error) {
		a, refused, err = b.signIn.TryCode(ctx, tx, f, b.from())
		return err
	})
	if refused != nil {
		return f, refused
	}
	var next auth.Flow
	b.update(func(ctx context.Context, tx auth.Tx) (err error) {
		next, refused, err = b.signIn.SettleCode(ctx, tx, a, f, step, len(trust) > 0, b.from())
		return err
	})
	return next, refused
}

// proves proves a passkey.
func (b *browser) proves(f auth.Flow, p auth.PasskeyProof) (next auth.Flow, refused *fault.Error) {
	b.Helper()
	b.update(func(ctx context.Context, tx auth.Tx) (err error) {
		next, refused, err = b.signIn.SettlePasskey(ctx, tx, f, p, false, b.from())
		return err
	})
	return next, refused
}

func (b *browser) recovers(f auth.Flow, code string) (next auth.Flow, refused *fault.Error) {
	b.Helper()
	b.update(func(ctx context.Context, tx auth.Tx) (err error) {
		next, refused, err = b.signIn.TryRecovery(ctx, tx, f, code, b.from())
		return err
	})
	return next, refused
}

func (b *browser) codes() (codes []string) {
	b.Helper()
	cur, _ := b.current()
	b.update(func(ctx context.Context, tx auth.Tx) (err error) {
		codes, err = b.signIn.NewRecoveryCodes(ctx, tx, cur, b.from())
		return err
	})
	return codes
}

func wantProof(t testing.TB, e auth.Established, acr, amr string) {
	t.Helper()
	if e.Session.ACR != acr || strings.Join(e.Session.AMR, " ") != amr {
		t.Errorf("got %s by %v, want %s by %s", e.Session.ACR, e.Session.AMR, acr, amr)
	}
}

func wantStep(t testing.TB, f auth.Flow, want auth.Step) {
	t.Helper()
	if f.Next() != want {
		t.Errorf("the flow stands at %s, want %s", f.Next(), want)
	}
}

// sec-M04: guesses at codes count per account, whatever session and source they come from, and a right password takes nothing back.
func TestGuessesAtCodesAreBoundedWhereverTheyComeFrom(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		id := r.account("noor").ID
		r.app(id)
		evaluated := 0
		for i := range 30 {
			b := r.browser()
			b.hash = fmt.Append(nil, "browser", i)
			b.origin.Source = fmt.Sprintf("192.0.%d.0/24", i)
			f := b.upTo(own, "noor")
			_, refused := b.sends(f, 0)
			if refused != nil && refused.Code == auth.ErrCode.Code {
				evaluated++
			} else if refused == nil || refused.Code != auth.ErrThrottled.Code {
				t.Fatalf("guess %d: %v", i, refused)
			}
		}
		if evaluated != 10 {
			t.Errorf("%d guesses were evaluated in one window, want 10", evaluated)
		}
		if n := len(r.codes(audit.ThrottleClosed)); n != 1 {
			t.Errorf("%d events that the limit was reached, want 1", n)
		}
		// The year's bound, in windows of fifteen minutes: then the app is closed, and stays so.
		for evaluated < 400 {
			r.clock.Add(16 * time.Minute)
			b := r.browser()
			f := b.upTo(own, "noor")
			closed := false
			for range 10 {
				_, refused := b.sends(f, 0)
				if refused.Code == auth.ErrClosed.Code {
					closed = true
					break
				}
				evaluated++
			}
			if closed {
				break
			}
		}
		if evaluated != 166 {
			t.Errorf("%d guesses were evaluated in a year, want 166: two years that meet hold at most 332", evaluated)
		}
		if len(r.events(audit.FactorClosed)) != 1 || !slices.Contains(r.letters(), "authenticator-closed") {
			t.Error("that the app was closed is not told of")
		}
		r.clock.Add(30 * 24 * time.Hour)
		b := r.browser()
		f := b.upTo(own, "noor")
		wantStep(t, f, auth.Second)
		if slices.Contains(f.Ways, auth.ByCode) || !f.Closed {
			t.Errorf("a closed app is offered: %v", f.Ways)
		}
		if _, refused := b.sends(f, 1000); refused == nil || refused.Code != auth.ErrClosed.Code {
			t.Errorf("a closed app takes the right code: %v", refused)
		}
		// A temporary pass opens it again; the pass itself signs nobody in.
		pass := r.pass(id)
		f, refused := b.recovers(f, pass)
		wantRefused(t, refused, nil)
		wantStep(t, f, auth.Enrol)
		b = r.browser()
		f, refused = b.sends(b.upTo(own, "noor"), 1001)
		wantRefused(t, refused, nil)
		wantProof(t, b.establish(f), auth.AAL2, "pwd otp mfa")
	})
}

func (r *rig) pass(id auth.AccountID) string {
	r.Helper()
	var pass auth.Secret
	r.update(func(ctx context.Context, tx auth.Tx) (err error) {
		pass, _, err = r.signIn.IssuePass(ctx, tx, "local:test", id, time.Hour)
		return err
	})
	return string(pass)
}

// sec-M02: of twenty sign-ins that send one code at once, one goes on.
func TestOneOfTwentySignInsSpendsACode(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		id := r.account("noor").ID
		r.app(id)
		r.signIn.Limits = auth.Limits{AccountBurst: 100, AccountTotal: 100, SourceBurst: 1000, GlobalBurst: 1000}
		var flows []auth.Flow
		var browsers []*browser
		for i := range 10 {
			b := r.browser()
			b.hash = fmt.Append(nil, "browser", i)
			browsers, flows = append(browsers, b), append(flows, b.upTo(own, "noor"))
		}
		var won, lost int
		var mu sync.Mutex
		var all sync.WaitGroup
		for i, b := range browsers {
			for range 2 {
				all.Go(func() {
					ctx := context.Background()
					var a auth.CodeAttempt
					var refused *fault.Error
					err := b.db.Update(ctx, func(tx *store.Tx) (err error) {
						a, refused, err = b.signIn.TryCode(ctx, tx, flows[i], b.from())
						return err
					})
					if err != nil || refused != nil {
						mu.Lock()
						lost++
						mu.Unlock()
						return
					}
					err = b.db.Update(ctx, func(tx *store.Tx) (err error) {
						_, refused, err = b.signIn.SettleCode(ctx, tx, a, flows[i], 500, false, b.from())
						return err
					})
					mu.Lock()
					defer mu.Unlock()
					if err == nil && refused == nil {
						won++
					} else {
						lost++
					}
				})
			}
		}
		all.Wait()
		if won != 1 || lost != 19 {
			t.Errorf("%d went on and %d did not", won, lost)
		}
	})
}

// sec-M16: recovery codes are spent once, made anew all together, told of, and end trusted browsers.
func TestARecoveryCodeIsSpentOnceAndToldOf(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.signIn.Policy.Trust = 30 * 24 * time.Hour
		id := r.account("noor").ID
		r.app(id)
		b := r.browser()
		f, _ := b.sends(b.upTo(own, "noor"), 1, true)
		if e := b.establish(f); e.Trust == "" {
			t.Fatal("the browser is not trusted")
		}
		old := b.codes()
		codes := b.codes()
		r.letters()
		for _, c := range codes {
			if len(strings.ReplaceAll(c, "-", "")) != 16 {
				t.Errorf("%s has less than 80 bits", c)
			}
		}
		try := func(code string) (*browser, auth.Flow, *fault.Error) {
			r.clock.Add(20 * time.Minute)
			b := r.browser()
			f, refused := b.recovers(b.upTo(own, "noor"), code)
			return b, f, refused
		}
		if _, _, refused := try(old[0]); refused == nil || refused.Code != auth.ErrRecovery.Code {
			t.Errorf("a code that was replaced: %v", refused)
		}
		one, f, refused := try(" " + strings.ToLower(strings.ReplaceAll(codes[0], "-", "")) + " ")
		wantRefused(t, refused, nil)
		wantProof(t, one.establish(f), auth.AAL2, "pwd otp mfa")
		if _, _, refused := try(codes[0]); refused == nil {
			t.Error("a code worked twice")
		}
		if got := r.letters(); !slices.Contains(got, "recovery-code-used") {
			t.Errorf("its owner hears of %v", got)
		}
		if r.codes(audit.BrowserForgotten)[0] != "recovery-code-used" {
			t.Error("the trusted browser is trusted still")
		}
		for i := 1; i < 8; i++ {
			try(codes[i])
		}
		if got := r.letters(); !slices.Contains(got, "recovery-codes-low") {
			t.Errorf("with two left its owner hears of %v", got)
		}
		if n := len(r.events(audit.RecoveryUsed)); n != 8 {
			t.Errorf("%d codes were used, want 8", n)
		}
	})
}

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

// A passkey says whose it is; what it proves is told truly, and a session is stepped up by what it lacks alone.
func TestASessionIsSteppedUpByWhatItLacks(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.signIn.Passkeys = true
		a := r.account("noor")
		c := r.client("app", auth.Web, func(c *auth.Client) { c.FirstParty = true })
		b := r.browser()
		began := r.clock.Now()
		b.establish(b.upTo(demands(c), "noor"))
		r.app(a.ID)
		b.session = b.signsWithCode(own, "noor", 1)
		old := b.session
		k := r.key(a.ID, "Laptop", true)
		cur, ok := b.current()
		if !ok {
			t.Fatal("the session is gone")
		}
		r.clock.Add(time.Hour / 2)

		d := demands(c)
		d.Asked = []string{auth.PHR}
		f := b.begin(d)
		wantStep(t, f, auth.Second)
		if !slices.Equal(f.Seconds(), []auth.Way{auth.ByPasskey}) {
			t.Errorf("it can go on by %v, want a passkey alone", f.Seconds())
		}
		f, refused := b.proves(f, auth.PasskeyProof{Key: k}) // possession alone
		wantRefused(t, refused, nil)
		e := b.establish(f)
		wantProof(t, e, auth.PHR, "pwd otp swk user mfa")
		if !e.Session.AuthTime.Equal(began) { // it stands on the password of then
			t.Errorf("auth_time %s, want %s", e.Session.AuthTime, began)
		}
		if b.session == old || e.Session.ID != cur.Session.ID {
			t.Error("sec-S01 the session was not renewed under a new token")
		}
		r.clock.Add(time.Minute)
		d.Asked = []string{auth.AAL3}
		f = b.begin(d)
		wantStep(t, f, auth.Identify) // to add such a key, a new first proof is needed
	})
}

// signsWithCode signs in with password and code, and returns the session's token.
func (b *browser) signsWithCode(d auth.Demands, name string, step int64) string {
	b.Helper()
	f, refused := b.sends(b.upTo(d, name), step)
	if refused != nil {
		b.Fatal(refused)
	}
	b.establish(f)
	return b.session
}

// A temporary pass is used once, in time, by its account; it leads to enrolling a factor and to nothing else (I5).
func TestAPassLeadsToEnrollingAFactor(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		a := r.account("noor")
		other := r.account("wei")
		r.app(a.ID)
		r.app(other.ID)
		foreign, lapsed := r.pass(other.ID), r.pass(a.ID)
		b := r.browser()
		for _, code := range []string{foreign, "", "0000-0000-0000-0000-0000"} {
			_, refused := b.recovers(b.upTo(own, "noor"), code)
			wantRefused(t, refused, auth.ErrRecovery)
		}
		r.clock.Add(time.Hour)
		_, refused := b.recovers(b.upTo(own, "noor"), lapsed)
		wantRefused(t, refused, auth.ErrRecovery)

		first, pass := r.pass(a.ID), r.pass(a.ID)
		f := b.upTo(own, "noor")
		_, refused = b.recovers(f, first)
		wantRefused(t, refused, auth.ErrRecovery) // the newest only
		f, refused = b.recovers(f, pass)
		wantRefused(t, refused, nil)
		wantStep(t, f, auth.Enrol)
		if f.MayPutOff(r.clock.Now()) {
			t.Error("who came by a pass may go without a factor")
		}
		b.update(func(ctx context.Context, tx auth.Tx) (err error) {
			f, err = b.signIn.EnrolTOTP(ctx, tx, f, auth.Secret("another secret, as long"), 77, b.from())
			return err
		})
		wantProof(t, b.establish(f), auth.AAL2, "pwd otp mfa")
		again := r.browser()
		_, refused = again.recovers(again.upTo(own, "noor"), pass)
		wantRefused(t, refused, auth.ErrRecovery)
		if !slices.Contains(r.letters(), "pass-used") {
			t.Error("its owner does not hear of it")
		}
	})
}

// Who must have a factor is led into enrolment, and may put it off as long as policy says, counted from the first time.
func TestEnrolmentIsPutOffAsLongAsPolicySays(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.signIn.Policy.Rules = []auth.Rule{rule(r.T, "level=aal2 grace=48h")}
		r.account("noor")
		b := r.browser()
		later := func(f auth.Flow) auth.Flow {
			b.update(func(ctx context.Context, tx auth.Tx) (err error) {
				f, err = b.signIn.PutOff(ctx, tx, f, b.from())
				return err
			})
			return f
		}
		f := b.upTo(own, "noor")
		wantStep(t, f, auth.Enrol)
		f = later(f)
		wantStep(t, f, auth.Done)
		wantProof(t, b.establish(f), auth.AAL1, "pwd")
		b.session = ""
		r.clock.Add(47 * time.Hour)
		later(b.upTo(own, "noor"))
		r.clock.Add(time.Hour)
		f = b.upTo(own, "noor")
		wantFault(t, r.try(func(ctx context.Context, tx auth.Tx) error {
			_, err := b.signIn.PutOff(ctx, tx, f, b.from())
			return err
		}), auth.ErrStep)
		wantStep(t, f, auth.Enrol)

		// What an application asks for is not put off.
		d := own
		d.Asked = []string{auth.AAL2}
		b2 := r.browser()
		r.account("wei")
		f = b2.upTo(d, "wei")
		if f.MayPutOff(r.clock.Now()) {
			t.Error("a demand of an application may be put off")
		}
	})
}

// Two flows in one browser, each of its own account: a proof of one is no proof of the other.
func TestProofsOfParallelSignInsDoNotMix(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.signIn.Passkeys = true
		noor, wei := r.account("noor"), r.account("wei")
		r.app(noor.ID)
		r.app(wei.ID)
		k := r.key(wei.ID, "Wei's", true)
		b := r.browser()
		one, two := b.upTo(own, "noor"), b.upTo(own, "wei")
		var a auth.CodeAttempt
		b.update(func(ctx context.Context, tx auth.Tx) (err error) {
			a, _, err = b.signIn.TryCode(ctx, tx, two, b.from())
			return err
		})
		wantFault(t, r.try(func(ctx context.Context, tx auth.Tx) error {
			_, _, err := b.signIn.SettleCode(ctx, tx, a, one, 5, false, b.from())
			return err
		}), auth.ErrStep)
		wantFault(t, r.try(func(ctx context.Context, tx auth.Tx) error {
			_, _, err := b.signIn.SettlePasskey(ctx, tx, one, auth.PasskeyProof{Key: k, Verified: true}, false, b.from())
			return err
		}), auth.ErrStep)
		two, refused := b.sends(two, 5)
		wantRefused(t, refused, nil)
		wantStep(t, two, auth.Done)
		wantStep(t, one, auth.Second)
		if e := b.establish(two); e.Session.Account != wei.ID {
			t.Errorf("the session is %s's", e.Session.Account)
		}
		one, _ = b.sends(one, 6)
		if e := b.establish(one); e.Session.Account != noor.ID {
			t.Errorf("the session is %s's", e.Session.Account)
		}
	})
}
