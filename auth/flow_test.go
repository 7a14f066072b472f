package auth_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
)

func TestFlowNext(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	proved := auth.Flow{Account: "a", AMR: []string{"pwd"}, AuthTime: at, CreatedAt: at}
	with := func(f auth.Flow, change func(*auth.Flow)) auth.Flow { change(&f); return f }
	for _, tt := range []struct {
		name string
		flow auth.Flow
		want auth.Step
	}{
		{"a stranger says who they are", auth.Flow{}, auth.Identify},
		{"a name is no proof", auth.Flow{Typed: "noor"}, auth.Prove},
		{"an account without a proof is none", auth.Flow{Typed: "noor", Account: "a"}, auth.Prove},
		{"an account that nobody named is none", auth.Flow{Account: "a"}, auth.Identify},
		{"a proof will do where nothing more is asked", proved, auth.Done},
		{"what needs consent waits for it", with(proved, func(f *auth.Flow) { f.NeedConsent = true }), auth.Allow},
		{"consent alone is no proof", auth.Flow{NeedConsent: true, Consented: true}, auth.Identify},
		{"consent given is consent", with(proved, func(f *auth.Flow) { f.NeedConsent, f.Consented = true, true }), auth.Done},
		{"sec-P47 an old proof will not do where a new one is asked", with(proved, func(f *auth.Flow) { f.Fresh, f.CreatedAt = true, at.Add(time.Second) }), auth.Identify},
		{"sec-P47 a proof older than max_age will not do", with(proved, func(f *auth.Flow) { f.Typed, f.NotBefore = "noor", at.Add(time.Second) }), auth.Prove},
		{"nobody else than the one who is wanted will do", with(proved, func(f *auth.Flow) { f.WantAccount = "b" }), auth.Identify},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.flow.Next(); got != tt.want {
				t.Errorf("Next() = %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzFlowNext holds the one promise that matters: no path reaches Done without the proof and the consent that were asked for.
func FuzzFlowNext(f *testing.F) {
	f.Add("", "", "", uint8(0), int64(0), int64(0), int64(0))
	f.Add("noor", "a", "a", uint8(0xff), int64(5), int64(5), int64(4))
	f.Fuzz(func(t *testing.T, typed, account, want string, flags uint8, authTime, created, notBefore int64) {
		flow := auth.Flow{
			Typed: typed, Account: auth.AccountID(account), WantAccount: auth.AccountID(want),
			Fresh: flags&1 > 0, AskConsent: flags&2 > 0, NeedConsent: flags&4 > 0, Consented: flags&8 > 0,
			AuthTime: time.Unix(authTime, 0), CreatedAt: time.Unix(created, 0), NotBefore: time.Unix(notBefore, 0),
		}
		if flags&16 > 0 {
			flow.AMR = []string{"pwd"}
		}
		step := flow.Next()
		if !slices.Contains([]auth.Step{auth.Identify, auth.Prove, auth.Allow, auth.Done}, step) {
			t.Fatalf("Next() = %q", step)
		}
		if step != auth.Done && step != auth.Allow {
			return
		}
		switch {
		case flow.Account == "", len(flow.AMR) == 0:
			t.Errorf("%s without a proof: %+v", step, flow)
		case want != "" && want != account:
			t.Errorf("%s with another account: %+v", step, flow)
		case flow.Fresh && authTime < created, authTime < notBefore:
			t.Errorf("%s with a proof that is too old: %+v", step, flow)
		case step == auth.Done && flow.NeedConsent && !flow.Consented:
			t.Errorf("done without consent: %+v", flow)
		}
	})
}

// A session is carried into a flow only where it is what the request asks for.
func TestBeginCarriesASession(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web, func(c *auth.Client) { c.FirstParty = true })
		b := r.browser()
		e := b.signs(demands(c), "noor")
		r.clock.Add(10 * time.Second)

		for _, tt := range []struct {
			name    string
			demands func(*auth.Demands)
			want    auth.Step
		}{
			{"nothing special is asked", func(*auth.Demands) {}, auth.Done},
			{"prompt=login", func(d *auth.Demands) { d.Login = true }, auth.Identify},
			{"sec-P47 max_age=0", func(d *auth.Demands) { d.MaxAge = 0 }, auth.Identify},
			{"sec-P47 max_age is over", func(d *auth.Demands) { d.MaxAge = 9 * time.Second }, auth.Identify},
			{"max_age is not over", func(d *auth.Demands) { d.MaxAge = 10 * time.Second }, auth.Done},
			{"the person of the hint", func(d *auth.Demands) { d.WantAccount = e.Session.Account }, auth.Done},
			{"another person in the hint", func(d *auth.Demands) { d.WantAccount = "somebody" }, auth.Identify},
			{"prompt=consent of a first-party client", func(d *auth.Demands) { d.Consent = true }, auth.Done},
		} {
			d := demands(c)
			tt.demands(&d)
			f := b.begin(d)
			if got := f.Next(); got != tt.want {
				t.Errorf("%s: the sign-in stands at %s, want %s", tt.name, got, tt.want)
			}
			if f.Session != e.Session.ID {
				t.Errorf("%s: the flow forgot the browser's session", tt.name)
			}
			if (f.ID == "") != (tt.want == auth.Done) {
				t.Errorf("%s: flow id %q at step %s", tt.name, f.ID, tt.want)
			}
		}
	})
}

// Single sign-on spends nothing and gives the session as it is.
func TestEstablishWithoutAFlow(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web, func(c *auth.Client) { c.FirstParty = true })
		b := r.browser()
		first := b.signs(demands(c), "noor")
		f := b.begin(demands(c))
		e := b.establish(f)
		if e.Token != nil || e.Device != "" || e.Session.ID != first.Session.ID {
			t.Errorf("single sign-on gave %+v, want session %s unchanged", e, first.Session.ID)
		}

		// The same flow counts no more once the session has ended.
		r.update(func(ctx context.Context, tx auth.Tx) error {
			return auth.SignOut(ctx, tx, "account:x", first.Session, b.from())
		})
		wantRefused(t, b.establish(f).Refused, auth.ErrFlowGone)

		// A proof that was never written down is no proof.
		f.Proofs = []auth.Proof{{Way: auth.ByPassword, At: r.clock.Now()}}
		if err := r.try(func(ctx context.Context, tx auth.Tx) error {
			_, err := r.signIn.Establish(ctx, tx, f, b.from())
			return err
		}); err == nil {
			t.Error("a flow without a row established a session of its own")
		}
	})
}

// OpenID Connect Core §3.1.2.1: prompt=login authenticates again, with a new time, in the same session under a new identifier.
func TestSignInAgain(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web, func(c *auth.Client) { c.FirstParty = true })
		b := r.browser()
		first := b.signs(demands(c), "noor")
		r.clock.Add(time.Minute)
		d := demands(c)
		d.Login = true
		again := b.signs(d, "noor")
		if again.Session.ID != first.Session.ID || !again.Session.AuthTime.Equal(r.clock.Now()) || again.Token == nil {
			t.Errorf("signed in again: %+v, want session %s, authenticated now, with a new token", again.Session, first.Session.ID)
		}
		// sec-S01: the old identifier is dead at once.
		old := *b
		old.session = string(first.Token)
		if _, ok := old.current(); ok {
			t.Error("sec-S01: the token from before the second sign-in still opens the session")
		}
		if got := len(r.events(audit.SessionSuperseded)); got != 1 {
			t.Errorf("%d session.superseded events, want 1", got)
		}
	})
}

// Somebody else signs in at a browser: a new session, and the one before ends, with the tokens that end with it.
func TestAnotherPersonSignsIn(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		r.account("omar")
		c := r.client("app", auth.SPA)
		b := r.browser()
		first := b.signs(demands(c), "noor")
		i := r.redeem(redemption(c, r.codeFor(c, first.Session, demands(c).Scopes)))
		d := demands(c)
		d.Login = true
		second := b.signs(d, "omar")
		if second.Session.ID == first.Session.ID || second.Session.Account == first.Session.Account {
			t.Errorf("omar got the session %+v", second.Session)
		}
		old := *b
		old.session = string(first.Token)
		if _, ok := old.current(); ok {
			t.Error("noor's session outlived omar's sign-in at the same browser")
		}
		wantRefused(t, r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken}).Refused, auth.ErrInvalidGrant)
	})
}

// id_token_hint: a good proof of somebody else is refused, and the flow starts over.
func TestWantAccount(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		noor := r.account("noor")
		r.account("omar")
		c := r.client("app", auth.Web, func(c *auth.Client) { c.FirstParty = true })
		b := r.browser()
		d := demands(c)
		d.WantAccount = noor.ID
		f := b.name(b.begin(d), "omar")
		f, refused := b.password(f, "omar's password")
		wantRefused(t, refused, auth.ErrOther)
		if f.Next() != auth.Identify {
			t.Errorf("the sign-in stands at %s, want %s", f.Next(), auth.Identify)
		}
		f, refused = b.password(b.name(f, "noor"), "noor's password")
		wantRefused(t, refused, nil)
		if e := b.establish(f); e.Session.Account != noor.ID {
			t.Errorf("signed in as %s, want %s", e.Session.Account, noor.ID)
		}
	})
}

func TestConsent(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		noor := r.account("noor")
		c := r.client("app", auth.Web)
		b := r.browser()
		allow := func(f auth.Flow, scopes ...string) auth.Flow {
			t.Helper()
			r.update(func(ctx context.Context, tx auth.Tx) (err error) {
				f, err = auth.AllowScopes(ctx, tx, f, scopes)
				return err
			})
			return f
		}

		f := b.name(b.begin(demands(c, "openid", "profile", "email")), "noor")
		f, _ = b.password(f, "noor's password")
		if f.Next() != auth.Allow {
			t.Fatalf("a first sign-in stands at %s, want %s", f.Next(), auth.Allow)
		}
		err := r.try(func(ctx context.Context, tx auth.Tx) error {
			_, err := auth.AllowScopes(ctx, tx, f, []string{"phone"})
			return err
		})
		wantFault(t, err, auth.ErrScope)
		f = allow(f, "email")
		if got, want := f.Allowed, []string{"openid", "email"}; !slices.Equal(got, want) {
			t.Errorf("granted %v, want %v: openid is no choice, profile was not ticked", got, want)
		}
		b.establish(f)

		for _, tt := range []struct {
			name   string
			scopes []string
			ask    bool
			want   auth.Step
		}{
			{"what was allowed is remembered", []string{"openid", "email"}, false, auth.Done},
			{"less too", []string{"openid"}, false, auth.Done},
			{"what was left out is not asked again", []string{"openid", "profile"}, false, auth.Done},
			{"what was never asked is", []string{"openid", "phone"}, false, auth.Allow},
			{"what the person's roles do not carry is not asked", []string{"openid", "nobody:has"}, false, auth.Done},
			{"prompt=consent asks", []string{"openid", "email"}, true, auth.Allow},
		} {
			d := demands(c, tt.scopes...)
			d.Consent = tt.ask
			f := b.begin(d)
			if got := f.Next(); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
			if slices.Contains(f.Allowed, "profile") || slices.Contains(f.Allowed, "nobody:has") {
				t.Errorf("%s: granted %v", tt.name, f.Allowed)
			}
		}

		// What is not ticked any more is taken back; what was not asked about stays.
		d := demands(c, "openid", "email")
		d.Consent = true
		allow(b.begin(d))
		r.view(func(ctx context.Context, tx *storeTx) error {
			given, err := tx.Consent(ctx, noor.ID, c.ID)
			if want := []string{"openid"}; !slices.Equal(given.Scopes, want) {
				t.Errorf("consent to %v, want %v", given.Scopes, want)
			}
			return err
		})
		if got := len(r.events(audit.ConsentGiven)); got != 2 {
			t.Errorf("%d consent.given events, want 2", got)
		}

		// Whoever says no spends the flow, and an event tells of it.
		f = b.begin(d)
		r.update(func(ctx context.Context, tx auth.Tx) error { return auth.Abandon(ctx, tx, f, b.from()) })
		err = r.try(func(ctx context.Context, tx auth.Tx) error { return auth.Abandon(ctx, tx, f, b.from()) })
		wantFault(t, err, auth.ErrFlowGone)
		if got := len(r.events(audit.ConsentRefused)); got != 1 {
			t.Errorf("%d consent.refused events, want 1", got)
		}
	})
}

// I19: what counts at the end is the session that the browser holds then, not the one its sign-in began with.
func TestTwoTabsLeaveOneSession(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		noor := r.account("noor")
		r.account("omar")
		own := r.client("own", auth.Web, func(c *auth.Client) { c.FirstParty = true })
		b := r.browser()
		one, two := b.begin(demands(own)), b.begin(demands(own)) // signed out in both
		for _, f := range []auth.Flow{one, two} {
			f, _ = b.password(b.name(f, "noor"), "noor's password")
			b.establish(f)
		}
		r.view(func(ctx context.Context, tx *storeTx) error {
			live, err := tx.SessionsOf(ctx, noor.ID)
			if len(live) != 1 {
				t.Errorf("two tabs left %d sessions, want 1", len(live))
			}
			return err
		})

		// noor waits on a consent page; omar signs in over her session; her page opens nothing any more
		waiting := b.begin(demands(r.client("other", auth.Web), "openid"))
		over := demands(own)
		over.Login = true
		f, _ := b.password(b.name(b.begin(over), "omar"), "omar's password")
		b.establish(f)
		r.update(func(ctx context.Context, tx auth.Tx) (err error) {
			waiting, err = auth.AllowScopes(ctx, tx, waiting, []string{"openid"})
			return err
		})
		wantRefused(t, b.establish(waiting).Refused, auth.ErrFlowGone)
	})
}

// sec-S04: whoever proved the old password and waits on the consent page does not come in after the change, nor once the account
// was disabled and enabled again.
func TestAProofDoesNotOutliveWhatItProved(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		for name, change := range map[string]func(ctx context.Context, tx auth.Tx, id auth.AccountID) error{
			"password": func(ctx context.Context, tx auth.Tx, id auth.AccountID) error {
				return auth.SetPassword(ctx, tx, "local:op", id, "is:another")
			},
			"disabled": func(ctx context.Context, tx auth.Tx, id auth.AccountID) error {
				if err := auth.Disable(ctx, tx, "local:op", id); err != nil {
					return err
				}
				return auth.Enable(ctx, tx, "local:op", id)
			},
		} {
			acc := r.account(name)
			b := r.browser()
			f := b.name(b.begin(demands(r.client(auth.ClientID("app-"+name), auth.Web), "openid")), name)
			f, _ = b.password(f, name+"'s password")
			if f.Next() != auth.Allow {
				t.Fatalf("%s: the sign-in stands at %s, want %s", name, f.Next(), auth.Allow)
			}
			r.clock.Add(time.Second)
			r.update(func(ctx context.Context, tx auth.Tx) error { return change(ctx, tx, acc.ID) })
			r.update(func(ctx context.Context, tx auth.Tx) (err error) {
				f, err = auth.AllowScopes(ctx, tx, f, []string{"openid"})
				return err
			})
			wantRefused(t, b.establish(f).Refused, auth.ErrFlowGone)
		}
	})
}

// A flow is spent once (I1): two browsers' tabs that finish it together get one session.
func TestEstablishOnce(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		b := r.browser()
		f := b.name(b.begin(auth.Demands{Back: "/account", MaxAge: -1}), "noor")
		f, _ = b.password(f, "noor's password")
		results := race(8, func() error {
			return r.try(func(ctx context.Context, tx auth.Tx) error {
				_, err := r.signIn.Establish(ctx, tx, f, b.from())
				return err
			})
		})
		won := 0
		for _, err := range results {
			if err == nil {
				won++
				continue
			}
			wantFault(t, err, auth.ErrFlowGone)
		}
		if won != 1 || len(r.events(audit.SessionStarted)) != 1 {
			t.Errorf("%d of 8 finished the sign-in, with %d events; want 1", won, len(r.events(audit.SessionStarted)))
		}
	})
}

// The steps come in order: none can be taken that the flow does not stand at.
func TestWrongStep(t *testing.T) {
	t.Parallel()
	r := newSQLite(t)
	r.account("noor")
	c := r.client("app", auth.Web)
	b := r.browser()
	f := b.begin(demands(c))
	for name, step := range map[string]func(ctx context.Context, tx auth.Tx) error{
		"a password before a name": func(ctx context.Context, tx auth.Tx) error {
			_, err := r.signIn.TryPassword(ctx, tx, f, b.from())
			return err
		},
		"consent before a proof": func(ctx context.Context, tx auth.Tx) error {
			_, err := auth.AllowScopes(ctx, tx, f, nil)
			return err
		},
		"the end before the beginning": func(ctx context.Context, tx auth.Tx) error {
			_, err := r.signIn.Establish(ctx, tx, f, b.from())
			return err
		},
		"keeping it twice": func(ctx context.Context, tx auth.Tx) error {
			_, err := auth.Keep(ctx, tx, f)
			return err
		},
		"an attempt at another name": func(ctx context.Context, tx auth.Tx) error {
			g, err := auth.Name(ctx, tx, f, "omar")
			if err != nil {
				return err
			}
			a, err := r.signIn.TryPassword(ctx, tx, g, b.from())
			if err != nil {
				return err
			}
			g.Typed = "noor"
			_, _, err = r.signIn.Settle(ctx, tx, a, g, true, "", b.from())
			return err
		},
	} {
		if err := r.try(step); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			wantFault(t, err, auth.ErrStep)
		}
	}
	err := r.try(func(ctx context.Context, tx auth.Tx) error {
		_, err := auth.Name(ctx, tx, f, "no\x00or")
		return err
	})
	wantFault(t, err, auth.ErrName)
}
