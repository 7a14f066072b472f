package auth_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

// sec-S06: idle and absolute ends are the server's, exact to the instant, and no polling and no jump of the clock revives a session.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		b := r.browser()
		touch := func() {
			cur, ok := b.current()
			if !ok {
				r.Fatal("the session is over")
			}
			if r.signIn.TouchDue(cur.Session, r.clock.Now()) {
				r.update(func(ctx context.Context, tx auth.Tx) error { return r.signIn.Touch(ctx, tx, cur.Session) })
			}
		}
		live := func() bool { _, ok := b.current(); return ok }

		b.signs(own, "noor")
		r.clock.Add(time.Hour - time.Microsecond)
		if !live() {
			r.Error("sec-S06: the session ended before its idle end")
		}
		r.clock.Add(time.Microsecond)
		if live() {
			r.Error("sec-S06: the session counts at its idle end")
		}

		e := b.signs(own, "noor")
		for range 23 {
			r.clock.Add(30 * time.Minute)
			touch()
		}
		r.clock.Add(30*time.Minute - time.Microsecond)
		touch()
		if !live() {
			r.Error("sec-S06: the session ended before its absolute end")
		}
		r.clock.Add(time.Microsecond)
		if live() {
			r.Error("sec-S06: polling carried the session over its absolute end")
		}

		// Touching a session that is over does not revive it.
		r.update(func(ctx context.Context, tx auth.Tx) error { return r.signIn.Touch(ctx, tx, e.Session) })
		if live() {
			r.Error("sec-S06: touching revived a session")
		}

		// A jump forward ends a session for good only if somebody ends it; a jump back gives it no more than it had.
		b.signs(own, "noor")
		cur, _ := b.current()
		r.clock.Add(-24 * time.Hour)
		r.update(func(ctx context.Context, tx auth.Tx) error { return r.signIn.Touch(ctx, tx, cur.Session) })
		if again, _ := b.current(); again.Session.IdleEnds.After(cur.Session.IdleEnds) || !again.Session.Ends.Equal(cur.Session.Ends) {
			r.Errorf("sec-S06: a clock set back moved the ends to %s and %s", again.Session.IdleEnds, again.Session.Ends)
		}
	})
}

// TouchDue spares writes: a session in use is written once a minute.
func TestTouchDue(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	s := auth.Session{ID: "s", SeenAt: at, IdleEnds: at.Add(time.Hour), Ends: at.Add(12 * time.Hour)}
	for after, want := range map[time.Duration]bool{0: false, 59 * time.Second: false, time.Minute: true, -time.Minute: false, time.Hour: false} {
		if got := (auth.SignIn{}).TouchDue(s, at.Add(after)); got != want {
			t.Errorf("TouchDue after %s = %v, want %v", after, got, want)
		}
	}
}

// sec-S02: what a browser brought with it is never adopted: no token that we did not make opens a session, and a sign-in makes its own.
func TestFixation(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		noor := r.account("noor")
		r.account("omar")
		thief := r.browser()
		planted := thief.signs(own, "omar")

		victim := r.browser()
		victim.session = string(planted.Token) // the thief's cookie, put into the victim's browser
		f := victim.begin(auth.Demands{Back: "/", Login: true, MaxAge: -1})
		f = victim.name(f, "noor")
		f, refused := victim.password(f, "noor's password")
		wantRefused(r, refused, nil)
		e := victim.establish(f)
		if e.Session.ID == planted.Session.ID || e.Session.Account != noor.ID || string(e.Token) == string(planted.Token) {
			r.Errorf("sec-S02: noor was signed in into the planted session: %+v", e.Session)
		}
		if cur, ok := thief.current(); ok {
			r.Errorf("sec-S02: the planted cookie opens %+v", cur.Session)
		}
		for _, token := range []string{"", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", string(e.Session.ID)} {
			b := *victim
			b.session = token
			if _, ok := b.current(); ok {
				r.Errorf("sec-S02: the cookie %q opens a session", token)
			}
		}
	})
}

// sec-S01, sec-S04: a change of password ends every other session and every grant, renews this session's identifier, and tells the person.
func TestChangePassword(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		noor := r.account("noor")
		c := r.client("app", auth.Web)
		other := r.browser()
		other.signs(own, "noor")
		i := r.family(c, "noor")
		b := r.browser()
		b.signs(own, "noor")
		cur, _ := b.current()
		old := *b

		change := func(seen, hash string) (e auth.Established, err error) {
			err = r.try(func(ctx context.Context, tx auth.Tx) error {
				e, err = r.signIn.ChangePassword(ctx, tx, cur, seen, hash, b.from())
				return err
			})
			return e, err
		}
		_, err := change("is:something else", "is:new")
		wantFault(r, err, auth.ErrStale)
		_, err = change("", "is:new")
		wantFault(r, err, auth.ErrStale)
		e, err := change("is:noor's password", "is:new")
		if err != nil {
			r.Fatal(err)
		}
		b.take(e)

		if again, ok := b.current(); !ok || again.Session.ID != cur.Session.ID {
			r.Error("sec-S04: the session the password was changed in is gone")
		}
		if _, ok := old.current(); ok {
			r.Error("sec-S01: the identifier from before the change still opens the session")
		}
		if _, ok := other.current(); ok {
			r.Error("sec-S04: another session outlived the change")
		}
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken}).Refused, auth.ErrInvalidGrant)
		if got := r.letters(); !slices.Equal(got, []string{"password-changed"}) {
			r.Errorf("messages %v, want one password-changed", got)
		}
		events := r.events(audit.PasswordChanged)
		if len(events) != 1 || events[0].Detail["way"] != "self" || events[0].Subject != "account:"+string(noor.ID) {
			r.Errorf("password.changed events %+v", events)
		}

		f := r.browser()
		flow := f.name(f.begin(own), "noor")
		flow, refused := f.password(flow, "noor's password")
		wantRefused(r, refused, auth.ErrSignIn)
		_, refused = f.password(flow, "new")
		wantRefused(r, refused, nil)

		// The same form sent twice: the present password is not the one that was seen.
		_, err = change("is:noor's password", "is:third")
		wantFault(r, err, auth.ErrStale)
		// A session that is over changes nothing.
		r.update(func(ctx context.Context, tx auth.Tx) error { return auth.SignOut(ctx, tx, "x", cur.Session, b.from()) })
		_, err = change("is:new", "is:third")
		wantFault(r, err, auth.ErrSignIn)
	})
}

// I10: guessing at the present password counts like signing in.
func TestTryCurrent(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		b := r.browser()
		b.signs(own, "noor")
		b.device = "" // a stolen session in another browser
		cur, _ := b.current()
		evaluated := 0
		for range 30 {
			r.update(func(ctx context.Context, tx auth.Tx) error {
				a, err := r.signIn.TryCurrent(ctx, tx, cur, b.from())
				if err == nil && !a.Dummy {
					evaluated++
					if a.Hash != "is:noor's password" {
						r.Errorf("verified against %q", a.Hash)
					}
				}
				if err != nil {
					return err
				}
				return auth.RefusePassword(ctx, tx, cur, auth.ErrSignIn, b.from())
			})
		}
		if evaluated != 10 {
			r.Errorf("%d of 30 guesses evaluated, want 10", evaluated)
		}
		if n := len(r.events(audit.PasswordRefused)); n != 30 {
			r.Errorf("%d password.refused events, want 30", n)
		}
	})
}

func TestSignOutOthers(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		noor := r.account("noor")
		c := r.client("app", auth.Web)
		here, there := r.browser(), r.browser()
		e := here.signs(demands(c), "noor")
		mine := r.redeem(redemption(c, r.codeFor(c, e.Session, demands(c).Scopes)))
		e2 := there.signs(demands(c), "noor")
		theirs := r.redeem(redemption(c, r.codeFor(c, e2.Session, demands(c).Scopes)))
		out := func(except auth.SessionID) (n int) {
			r.update(func(ctx context.Context, tx auth.Tx) (err error) {
				n, err = auth.SignOutOthers(ctx, tx, "account:"+string(noor.ID), noor.ID, except, here.from())
				return err
			})
			return n
		}
		if n := out(e.Session.ID); n != 1 {
			r.Errorf("%d sessions ended, want 1", n)
		}
		_, ok1 := here.current()
		_, ok2 := there.current()
		if !ok1 || ok2 {
			r.Errorf("here %v, there %v; want this session alone", ok1, ok2)
		}
		if r.stands(theirs.Access).Active || !r.stands(mine.Access).Active {
			r.Error("the tokens of the other session end with it, those of this one do not")
		}
		if n := out(""); n != 1 {
			r.Errorf("%d sessions ended, want 1", n)
		}
		if r.stands(mine.Access).Active {
			r.Error("a token outlived signing out everywhere")
		}
	})
}

// The last session token that opens is the newest: renewing one session from two tabs leaves one of them signed in, and no fault.
func TestSignInAgainTwice(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		b := r.browser()
		b.signs(own, "noor")
		d := auth.Demands{Back: "/", Login: true, MaxAge: -1}
		var flows []auth.Flow
		for range 2 {
			f, refused := b.password(b.name(b.begin(d), "noor"), "noor's password")
			wantRefused(r, refused, nil)
			flows = append(flows, f)
		}
		for _, f := range flows {
			b.establish(f)
		}
		if _, ok := b.current(); !ok {
			r.Error("the browser is signed out")
		}
		r.view(func(ctx context.Context, tx *store.Tx) error {
			cur, _, err := auth.Resume(ctx, tx, hashOf(b.session))
			if err != nil {
				return err
			}
			all, err := tx.SessionsOf(ctx, cur.Session.Account)
			if len(all) != 1 {
				r.Errorf("%d sessions, want 1", len(all))
			}
			return err
		})
	})
}
