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
