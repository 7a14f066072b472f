package auth_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

func TestCanonicalName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, want string }{
		{"noor", "noor"}, {"  Noor\t", "noor"}, {"NOOR", "noor"}, {"ＮＯＯＲ", "noor"}, {"Noor@Example.ORG", "noor@example.org"},
		{"Straße", "strasse"}, {"STRASSE", "strasse"}, {"ﬁnn", "finn"}, {"e\u0301va", "\u00e9va"}, {"\u00c9VA", "\u00e9va"},
		{"张伟", "张伟"}, {"Σίσυφος", "σίσυφοσ"}, {"نور", "نور"}, {"می\u200cخواهم", "میخواهم"}, {"ǅ", "dž"}, {"K", "k"}, {"Ꮮ", "ꮮ"}, // Kelvin, Cherokee

		{"", ""}, {"   ", ""}, {"no or", ""}, {"no\u00a0or", ""}, {"no\x00or", ""}, {"no\nor", ""}, {"no\u202eor", ""}, {"no\u200bor", ""},
		{"no\ufeffor", ""}, {"no\U000e0041or", ""}, {"no\ue000or", ""}, {"\xff", ""}, {"\u200d", ""}, {strings.Repeat("x", 255), ""},
		{strings.Repeat("x", 254), strings.Repeat("x", 254)}, {"no\u2028or", ""},
	} {
		if got := auth.CanonicalName(tt.name); got != tt.want {
			t.Errorf("CanonicalName(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

// FuzzCanonicalName: one form, and the form of that is itself.
func FuzzCanonicalName(f *testing.F) {
	for _, s := range []string{"Noor", "Straße", "ǅ", "ΐ", "ﬃ", "İ", "ͅα", "\u1e9e", "\u0345\u0300"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := auth.CanonicalName(s)
		if c == "" {
			return
		}
		if again := auth.CanonicalName(c); again != c {
			t.Errorf("CanonicalName(%q) = %q, and of that %q", s, c, again)
		}
		for _, same := range []string{strings.ToLower(c), " " + c} {
			if got := auth.CanonicalName(same); got != c {
				t.Errorf("CanonicalName(%q) = %q, want %q", same, got, c)
			}
		}
		if strings.ContainsAny(c, " \t\n\x00") {
			t.Errorf("CanonicalName(%q) = %q", s, c)
		}
	})
}

func TestAddAccount(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		add := func(n auth.NewAccount) (a auth.Account, err error) {
			err = r.try(func(ctx context.Context, tx auth.Tx) error {
				a, err = auth.AddAccount(ctx, tx, "local:test", n)
				return err
			})
			return a, err
		}
		noor, err := add(auth.NewAccount{Username: "Noor", Profile: auth.Profile{Name: "Noor Haddad", Email: "noor@example.org", EmailVerified: true}})
		if err != nil {
			r.Fatal(err)
		}
		if noor.Person == "" || string(noor.Person) == string(noor.ID) || !noor.Active() {
			r.Errorf("added %+v", noor)
		}
		r.view(func(ctx context.Context, tx *store.Tx) error {
			for _, name := range []string{"noor", "NOOR", "Noor@Example.org"} {
				if a, err := tx.AccountByName(ctx, auth.CanonicalName(name)); err != nil || a.ID != noor.ID {
					r.Errorf("%s finds %v, %v", name, a.ID, err)
				}
			}
			return nil
		})

		for _, n := range []auth.NewAccount{
			{Username: "NOOR"}, {Username: "noor@example.org"}, {Username: "other", Profile: auth.Profile{Email: "NOOR@example.org"}},
		} {
			_, err := add(n)
			wantFault(r, err, auth.ErrNameTaken)
		}
		for field, n := range map[string]auth.NewAccount{
			"username":   {Username: "no or"},
			"email":      {Username: "a", Profile: auth.Profile{Email: "nobody"}},
			"given_name": {Username: "a", Profile: auth.Profile{GivenName: "a\nb"}},
			"name":       {Username: "a", Profile: auth.Profile{Name: strings.Repeat("x", 201)}},
			"picture":    {Username: "a", Profile: auth.Profile{Picture: "javascript:alert(1)"}},
			"website":    {Username: "a", Profile: auth.Profile{Website: "data:text/html,x"}},
		} {
			_, err := add(n)
			if !fault.Is(err, fault.Invalid) || fault.From(err).Field != field {
				r.Errorf("%+v: %v, want Invalid at %s", n, err, field)
			}
		}
		for _, mail := range []string{"@x.org", "a@", "a b@x.org", "a@b@c.org", "a@x..org", "a@.org", "a@x.org.", "<a@x.org>", "a,b@x.org", "a\n@x.org", strings.Repeat("a", 65) + "@x.org"} {
			if _, err := add(auth.NewAccount{Username: "b", Profile: auth.Profile{Email: mail}}); !fault.Is(err, fault.Invalid) {
				r.Errorf("e-mail %q: %v, want Invalid", mail, err)
			}
		}
		if _, err := add(auth.NewAccount{Username: "c", Profile: auth.Profile{EmailVerified: true}}); !fault.Is(err, fault.Invalid) {
			r.Errorf("a verified address that is not there: %v", err)
		}
		if _, err := add(auth.NewAccount{Username: "张伟", Profile: auth.Profile{
			Name: "张伟", Page: "https://example.org/~zw", Address: auth.Address{Formatted: "1 High Street\nTown"},
		}}); err != nil {
			r.Errorf("any script will do: %v", err)
		}
		if n := len(r.events(audit.AccountAdded)); n != 2 {
			r.Errorf("%d account.added events, want 2", n)
		}
	})
}

func TestDisableAndEnable(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		noor := r.account("noor")
		c := r.client("app", auth.Web)
		b := r.browser()
		e := b.signs(demands(c), "noor")
		i := r.redeem(redemption(c, r.codeFor(c, e.Session, demands(c).Scopes)))
		do := func(f func(context.Context, auth.Tx, string, auth.AccountID) error) {
			r.update(func(ctx context.Context, tx auth.Tx) error { return f(ctx, tx, "local:test", noor.ID) })
		}
		do(auth.Disable)
		do(auth.Disable)
		if r.stands(i.Access).Active {
			r.Error("sec-S04: a token of a disabled account counts")
		}
		do(auth.Enable)
		do(auth.Enable)
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken}).Refused, auth.ErrInvalidGrant)
		for kind, want := range map[audit.Kind]int{
			audit.AccountDisabled: 1, audit.AccountEnabled: 1, audit.SessionEnded: 1, audit.GrantRevoked: 1,
		} {
			if got := len(r.events(kind)); got != want {
				r.Errorf("%d %s events, want %d", got, kind, want)
			}
		}
		if got := r.letters(); !slices.Equal(got, []string{"account-disabled", "account-enabled"}) {
			r.Errorf("messages %v", got)
		}
		err := r.try(func(ctx context.Context, tx auth.Tx) error { return auth.Disable(ctx, tx, "local:test", "nobody") })
		if !fault.Is(err, fault.NotFound) {
			r.Errorf("nobody's account: %v", err)
		}
	})
}

// I1: the right to make the first administrator is used once, by one.
func TestSetup(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		offer := func() (token string, err error) {
			err = r.try(func(ctx context.Context, tx auth.Tx) error {
				s, err := auth.OfferSetup(ctx, tx, "system", time.Hour)
				token = string(s)
				return err
			})
			return token, err
		}
		open := func(token string) (ok bool) {
			r.view(func(ctx context.Context, tx *store.Tx) (err error) {
				ok, err = auth.SetupOpen(ctx, tx, token)
				return err
			})
			return ok
		}
		complete := func(token, name string) (a auth.Account, err error) {
			err = r.try(func(ctx context.Context, tx auth.Tx) error {
				a, err = auth.CompleteSetup(ctx, tx, token, auth.NewAccount{Username: name, Hash: "is:x"}, auth.Origin{Address: "192.0.2.1"})
				return err
			})
			return a, err
		}
		first, err := offer()
		if err != nil || !strings.HasPrefix(first, "cst_") || len(first) < 4+22 {
			r.Fatalf("offered %q, %v", first, err)
		}
		second, _ := offer()
		if open(first) || !open(second) {
			r.Error("a new link replaces the old one")
		}
		for _, bad := range []string{"", "cst_", first, second + "A", strings.TrimPrefix(second, "cst_")} {
			if open(bad) {
				r.Errorf("the link %q is open", bad)
			}
			_, err := complete(bad, "root")
			wantFault(r, err, auth.ErrSetup)
		}
		if _, err := complete(second, "ro ot"); !fault.Is(err, fault.Invalid) || !open(second) {
			r.Errorf("a malformed name: %v; it must not spend the link", err)
		}
		r.clock.Add(time.Hour)
		if _, err := complete(second, "root"); open(second) || err == nil {
			r.Errorf("an expired link: %v", err)
		}

		// One role is there already; the others are added.
		r.update(func(ctx context.Context, tx auth.Tx) error {
			first := rbac.BuiltinRoles()[0]
			first.Permissions = nil
			return storetest.Policy(ctx, tx, rbac.CreateRole{Role: first})
		})
		third, _ := offer()
		type result struct {
			a   auth.Account
			err error
		}
		var admin auth.Account
		won := 0
		for _, res := range race(6, func() result { a, err := complete(third, "root"); return result{a, err} }) {
			if res.err == nil {
				won++
				admin = res.a
				continue
			}
			if !fault.Is(res.err, fault.Expired) && !fault.Is(res.err, fault.Conflict) {
				r.Errorf("a loser: %v", res.err)
			}
		}
		if won != 1 {
			r.Fatalf("%d first administrators", won)
		}
		r.view(func(ctx context.Context, tx *store.Tx) error {
			held, err := tx.HeldBy(ctx, rbac.AccountID(admin.ID))
			st, err2 := tx.Structure(ctx)
			if err := errors.Join(err, err2); err != nil {
				return err
			}
			roles := st.Standing(held, rbac.At(tx.Now()))
			if len(roles) != len(rbac.BuiltinRoles()) {
				r.Errorf("the first administrator holds %v, want all built-in roles", roles)
			}
			return nil
		})
		_, err = offer()
		wantFault(r, err, auth.ErrSetupDone)
		if n := len(r.events(audit.SetupCompleted)); n != 1 {
			r.Errorf("%d setup.completed events, want 1", n)
		}
		b := r.browser()
		f := b.name(b.begin(own), "root")
		if _, refused := b.password(f, "x"); refused != nil {
			r.Errorf("the first administrator cannot sign in: %v", refused)
		}
	})
}

// Secrets print as dots wherever they end up.
func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web)
		b := r.browser()
		e := b.signs(demands(c), "noor")
		code := r.codeFor(c, e.Session, demands(c).Scopes)
		i := r.redeem(redemption(c, code))
		secrets := []string{string(e.Token), code, i.RefreshToken, "noor's password", verifier}
		for _, kind := range []audit.Kind{""} {
			for _, ev := range r.events(kind) {
				text := strings.Join([]string{string(ev.Kind), ev.Code, ev.Actor, ev.Subject, ev.Client, ev.Session, ev.Grant, ev.Request}, " ")
				for _, m := range []map[string]string{ev.Detail, ev.Personal} {
					for k, v := range m {
						text += " " + k + "=" + v
					}
				}
				for _, s := range secrets {
					if strings.Contains(text, s) {
						r.Errorf("the event %s holds a secret: %s", ev.Kind, text)
					}
				}
			}
		}
	})
}
