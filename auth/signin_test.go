package auth_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/password"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

var own = auth.Demands{Back: "/account", MaxAge: -1}

// sec-K04, sec-K05, sec-K21: whoever may not sign in gets one answer, after one hash, and leaves the flow where it was.
func TestSameAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		hasher, err := password.New(password.Config{Memory: 64, Time: 1})
		if err != nil {
			r.Fatal(err)
		}
		ctx := context.Background()
		hash := func(p string) string {
			s, err := hasher.Hash(ctx, p)
			if err != nil {
				r.Fatal(err)
			}
			return s
		}
		r.signIn.Dummy = hash("nobody's password")
		known := map[string]auth.AccountID{}
		for _, name := range []string{"wrong", "disabled", "passwordless", "throttled"} {
			n := auth.NewAccount{Username: name, Hash: hash("right")}
			if name == "passwordless" {
				n.Hash = ""
			}
			r.update(func(ctx context.Context, tx auth.Tx) error {
				a, err := auth.AddAccount(ctx, tx, "local:test", n)
				if err == nil && name == "disabled" {
					err = auth.Disable(ctx, tx, "local:test", a.ID)
				}
				known[name] = a.ID
				return err
			})
		}
		for range 10 {
			b := r.browser()
			b.attempt(b.name(b.begin(own), "throttled"))
		}
		before := len(r.events(audit.SessionRefused))

		for _, tt := range []struct {
			name, typed, password, why string
			account                    bool // an event of its own
		}{
			{"unknown", "nobody", "right", "unknown-account", false},
			{"wrong password", "wrong", "not right", "wrong-password", true},
			{"empty password", "wrong", "", "wrong-password", true},
			{"4096 bytes", "wrong", strings.Repeat("x", 4096), "wrong-password", true},
			{"disabled, wrong", "disabled", "not right", "account-disabled", true},
			{"disabled, right", "disabled", "right", "account-disabled", true},
			{"no password, empty", "passwordless", "", "no-password", true},
			{"no password, null", "passwordless", "null", "no-password", true},
			{"throttled, right", "throttled", "right", "too-many-attempts", false},
			{"over the limit of a name nobody has", "nobody", "right", "unknown-account", false},
		} {
			b := r.browser()
			f := b.name(b.begin(own), tt.typed)
			runs := hasher.Runs()
			a := b.attempt(f)
			match, rehash, err := hasher.Verify(ctx, tt.password, a.Hash)
			if err != nil || rehash {
				r.Fatal(rehash, err)
			}
			var next auth.Flow
			var refused *fault.Error
			r.update(func(ctx context.Context, tx auth.Tx) (err error) {
				next, refused, err = r.signIn.Settle(ctx, tx, a, f, match, "", b.from())
				return err
			})
			if got := hasher.Runs() - runs; got != 1 {
				r.Errorf("sec-K05 %s: %d hashes, want 1", tt.name, got)
			}
			if refused != auth.ErrSignIn {
				r.Errorf("sec-K04 %s: refused %v, want %v", tt.name, refused, auth.ErrSignIn)
			}
			if next.Next() != auth.Prove || next.Account != "" || next.Typed != tt.typed {
				r.Errorf("sec-K04 %s: the flow is %+v, want it unmoved", tt.name, next)
			}
			if (a.Account != "") != tt.account {
				r.Errorf("%s: account %q, want one: %v", tt.name, a.Account, tt.account)
			}
			events := r.events(audit.SessionRefused)[before:]
			if !tt.account {
				if len(events) != 0 {
					r.Errorf("%s: %d events of its own, want none: strangers could fill the disk", tt.name, len(events))
				}
				if e := auth.Stray(next, refused, b.from()); e.Subject != "" || e.Personal[audit.Typed] != tt.typed || e.Kind != audit.SessionRefused {
					r.Errorf("%s: stray event %+v", tt.name, e)
				}
				continue
			}
			before++
			if len(events) != 1 || events[0].Code != tt.why || events[0].Subject != "account:"+string(known[tt.typed]) {
				r.Errorf("%s: events %+v, want one %s", tt.name, events, tt.why)
			}
		}
	})
}

// sec-K07: however many sources guess at one account, no more guesses are evaluated than the limit allows; nobody is told that it was
// reached; and the owner gets in from a browser they used before.
func TestAccountLimit(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		owner := r.browser()
		owner.signs(own, "noor")
		if owner.device == "" {
			r.Fatal("no device cookie")
		}
		r.clock.Add(time.Hour)

		thief := r.browser()
		f := thief.name(thief.begin(own), "NOOR") // the canonical name counts
		g := thief.name(thief.begin(own), "noor@example.org")
		evaluated, tried := 0, 0
		guess := func(f auth.Flow) {
			tried++
			thief.origin.Source = fmt.Sprintf("198.51.%d.0/24", tried%1000)
			if a := thief.attempt(f); !a.Dummy {
				evaluated++
				_, refused := thief.settle(a, f, "a guess")
				wantRefused(r, refused, auth.ErrSignIn)
			}
		}
		for window := range 20 {
			for range 7 {
				guess(f)
				guess(g) // a second name of the account has no budget of its own
			}
			if window == 0 && evaluated != 10 {
				r.Errorf("sec-K07: %d guesses evaluated in one window, want 10", evaluated)
			}
			r.clock.Add(15*time.Minute + time.Second)
			f.CreatedAt, f.Ends = r.clock.Now(), r.clock.Now().Add(time.Hour)
			f, g = thief.name(thief.begin(own), "noor"), thief.name(thief.begin(own), "noor@example.org")
		}
		if evaluated != 100 {
			r.Errorf("sec-K07: %d guesses of %d evaluated in 30 days, want 100", evaluated, tried)
		}

		// The thief's right guess comes too late, and the owner's stranger of a browser is locked out with them.
		_, refused := thief.password(f, "noor's password")
		wantRefused(r, refused, auth.ErrSignIn)

		// The known browser has its own budget, and its success does not reopen the strangers'.
		again := owner.begin(auth.Demands{Back: "/account", Login: true, MaxAge: -1})
		again = owner.name(again, "noor")
		a := owner.attempt(again)
		if !a.Known || a.Dummy {
			r.Fatalf("sec-K07: the owner's browser is not known: %+v", a)
		}
		again, refused = owner.settle(a, again, "noor's password")
		wantRefused(r, refused, nil)
		owner.establish(again)
		if a := thief.attempt(f); !a.Dummy {
			r.Error("sec-K07: the owner's sign-in opened the account to strangers again")
		}

		// A new password is a new budget: what was guessed at is gone.
		cur, _ := owner.current()
		r.update(func(ctx context.Context, tx auth.Tx) error {
			_, err := r.signIn.ChangePassword(ctx, tx, cur, "is:noor's password", "is:another", owner.from())
			return err
		})
		b := r.browser()
		f = b.name(b.begin(own), "noor")
		f, refused = b.password(f, "another")
		wantRefused(r, refused, nil)
		b.establish(f)

		closed := r.events(audit.ThrottleClosed)
		if len(closed) != 21 { // twenty short windows and the long one
			r.Errorf("%d throttle.closed events, want one for each window that filled", len(closed))
		}
	})
}

// sec-K07, target S6: a crowd never gets one guess more than the limit.
func TestAccountLimitInACrowd(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		b := r.browser()
		f := b.name(b.begin(own), "noor")
		evaluated := 0
		for _, a := range race(100, func() auth.Attempt { return b.attempt(f) }) {
			if !a.Dummy {
				evaluated++
			}
		}
		if evaluated != 10 {
			r.Errorf("%d of 100 guesses at once evaluated, want 10", evaluated)
		}
	})
}

// A success takes back what was counted against the name: ten typing errors a day lock nobody out.
func TestSuccessForgives(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		for range 12 {
			b := r.browser() // never a known one
			f := b.name(b.begin(own), "noor")
			for range 9 {
				f, _ = b.password(f, "a typing error")
			}
			f, refused := b.password(f, "noor's password")
			wantRefused(r, refused, nil)
			if f.Next() != auth.Done {
				r.Fatalf("the sign-in stands at %s", f.Next())
			}
		}
	})
}

// A stolen device cookie opens a small budget, of its own account alone, and ends with the password.
func TestKnownBrowser(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		r.account("omar")
		b := r.browser()
		b.signs(own, "noor")
		cookie := b.device
		known := func(name, device string) bool {
			thief := r.browser()
			thief.device = device
			return thief.attempt(thief.name(thief.begin(own), name)).Known
		}

		if known("omar", cookie) {
			r.Error("noor's browser is known to omar's account")
		}
		for _, forged := range []string{"", ".", "..", "x." + cookie, cookie + "A", strings.Repeat("a", 5000), cookie[:len(cookie)-4] + "AAAA"} {
			if known("omar", forged) || known("noor", forged) {
				r.Errorf("a browser is known by %q", forged)
			}
		}
		n := 0
		for known("noor", cookie) {
			n++
		}
		if n != 5 {
			r.Errorf("a device has a budget of %d, want 5", n)
		}
		r.clock.Add(181 * 24 * time.Hour)
		if known("noor", cookie) {
			r.Error("a device is known after half a year")
		}

		fresh := r.browser()
		fresh.signs(own, "noor")
		if !known("noor", fresh.device) {
			r.Fatal("a fresh device is not known")
		}
		cur, _ := fresh.current()
		var e auth.Established
		r.update(func(ctx context.Context, tx auth.Tx) (err error) {
			e, err = r.signIn.ChangePassword(ctx, tx, cur, "is:noor's password", "is:new", fresh.from())
			return err
		})
		if known("noor", fresh.device) || !known("noor", e.Device) {
			r.Error("sec-S04: known browsers end with the password, but for the one it was changed in")
		}
	})
}

// sec-K08: one password over many accounts from one network is stopped by the network's limit, before any account is looked up.
func TestSourceLimit(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		admit := func(source string) error {
			return r.try(func(ctx context.Context, tx auth.Tx) error {
				return r.signIn.Admit(ctx, tx, auth.Origin{Source: source})
			})
		}
		admitted := 0
		for range 100 {
			if admit("192.0.2.0/24") == nil {
				admitted++
			}
		}
		if admitted != 60 {
			r.Errorf("sec-K08: %d of 100 attempts admitted, want 60", admitted)
		}
		err := admit("192.0.2.0/24")
		wantFault(r, err, auth.ErrThrottled)
		if fault.From(err).Wait != 60 {
			r.Errorf("told to wait %d seconds, want 60", fault.From(err).Wait)
		}
		if err := admit("2001:db8::/64"); err != nil {
			r.Errorf("another network: %v", err)
		}
		r.clock.Add(time.Minute)
		if err := admit("192.0.2.0/24"); err != nil {
			r.Errorf("a minute later: %v", err)
		}

		// Global: many networks together.
		r.clock.Add(time.Second)
		results := map[bool]int{}
		for i := range 210 {
			err := admit(fmt.Sprintf("10.%d.0.0/24", i))
			results[err == nil]++
			if err != nil {
				wantFault(r, err, auth.ErrBusy)
			}
		}
		if results[true] != 200 {
			r.Errorf("%d attempts admitted in one second, want 200", results[true])
		}
	})
}

// Limits are rows: a restart and a second replica know them.
func TestLimitsSurviveARestart(t *testing.T) {
	t.Parallel()
	for _, d := range []struct {
		name string
		make func(testing.TB) store.Config
	}{{"sqlite", storetest.SQLite}, {"postgres", storetest.Postgres}} {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			cfg := d.make(t)
			var last *store.DB
			r := newRig(t, func(testing.TB, ...func(*store.Config)) *store.DB {
				db, err := store.Open(context.Background(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				last = db
				return db
			})
			r.account("noor")
			b := r.browser()
			f := b.name(b.begin(own), "noor")
			for range 10 {
				b.password(f, "a guess")
			}
			if err := last.Close(); err != nil {
				t.Fatal(err)
			}
			db, err := store.Open(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			r.db = db
			if a := b.attempt(f); !a.Dummy || a.Why != "too-many-attempts" {
				t.Errorf("sec-K07: the limit is forgotten after a restart: %+v", a)
			}
		})
	}
}

// sec-K11: what was pending when an account was closed is refused.
func TestDisabledMeanwhile(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		disable := func(id auth.AccountID, disabled bool) {
			r.update(func(ctx context.Context, tx auth.Tx) error {
				if disabled {
					return auth.Disable(ctx, tx, "local:test", id)
				}
				return auth.Enable(ctx, tx, "local:test", id)
			})
		}
		noor := r.account("noor")
		c := r.client("app", auth.Web, func(c *auth.Client) { c.FirstParty = true })
		b := r.browser()

		f := b.name(b.begin(own), "noor")
		a := b.attempt(f)
		disable(noor.ID, true)
		_, refused := b.settle(a, f, "noor's password")
		wantRefused(r, refused, auth.ErrSignIn) // between the attempt and its answer

		disable(noor.ID, false)
		f, refused = b.password(f, "noor's password")
		wantRefused(r, refused, nil)
		disable(noor.ID, true)
		wantRefused(r, b.establish(f).Refused, auth.ErrSignIn) // between the proof and the session

		disable(noor.ID, false)
		e := b.signs(demands(c), "noor")
		code := r.codeFor(c, e.Session, demands(c).Scopes)
		disable(noor.ID, true)
		wantRefused(r, r.redeem(redemption(c, code)).Refused, auth.ErrInvalidGrant) // between the code and its exchange
		if _, ok := b.current(); ok {
			r.Error("sec-S04: the session of a disabled account counts")
		}

		disable(noor.ID, false)
		if _, ok := b.current(); ok {
			r.Error("enabling an account revived its session")
		}
		got := r.codes(audit.SessionRefused)
		if want := []string{"account-disabled", "account-disabled"}; !slices.Equal(got, want) {
			r.Errorf("session.refused events %v, want %v", got, want)
		}
	})
}

// A password that was changed between the attempt and its answer does not sign in any more.
func TestPasswordChangedMeanwhile(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		noor := r.account("noor")
		b := r.browser()
		f := b.name(b.begin(own), "noor")
		a := b.attempt(f)
		r.update(func(ctx context.Context, tx auth.Tx) error {
			return auth.SetPassword(ctx, tx, "local:test", noor.ID, "is:new")
		})
		_, refused := b.settle(a, f, "noor's password")
		wantRefused(r, refused, auth.ErrSignIn)
	})
}

// A hash at older parameters is replaced when its password was typed, and known browsers stay known.
func TestRehash(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		noor := r.account("noor")
		b := r.browser()
		b.signs(own, "noor")
		f := b.begin(auth.Demands{Back: "/", Login: true, MaxAge: -1})
		f = b.name(f, "noor")
		a := b.attempt(f)
		r.update(func(ctx context.Context, tx auth.Tx) error {
			_, refused, err := r.signIn.Settle(ctx, tx, a, f, true, "is: a better one", b.from())
			wantRefused(r, refused, nil)
			return err
		})
		r.view(func(ctx context.Context, tx *store.Tx) error {
			pw, err := tx.Password(ctx, noor.ID)
			if pw.Hash != "is: a better one" {
				r.Errorf("the hash is %q", pw.Hash)
			}
			return err
		})
		if a := b.attempt(b.name(b.begin(auth.Demands{Back: "/", Login: true, MaxAge: -1}), "noor")); !a.Known {
			r.Error("rehashing forgot the browser")
		}
	})
}
