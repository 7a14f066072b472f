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
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/store"
)

// sec-P29, RFC 9700 §4.14.2: presenting a refresh token that was used ends its family, and the person is told.
func TestRefreshReused(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web)
		first := r.family(c, "noor")
		second := r.refresh(auth.Renewal{Client: c, Token: first.RefreshToken})
		wantRefused(r, second.Refused, nil)
		if second.RefreshToken == "" || second.RefreshToken == first.RefreshToken || second.Account.Username != "noor" {
			r.Fatalf("refreshed: %+v", second)
		}
		third := r.refresh(auth.Renewal{Client: c, Token: second.RefreshToken})
		wantRefused(r, third.Refused, nil)
		opaque := r.store(third.Access)

		reused := r.refresh(auth.Renewal{Client: c, Token: first.RefreshToken}) // two generations old is recognised too
		wantRefused(r, reused.Refused, auth.ErrInvalidGrant)
		for _, a := range []auth.AccessToken{first.Access, second.Access, third.Access} {
			if r.stands(a).Active {
				r.Error("sec-P29: an access token of the family still counts")
			}
		}
		if r.finds(opaque) {
			r.Error("sec-P29: an opaque access token of the family still counts")
		}
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: third.RefreshToken}).Refused, auth.ErrInvalidGrant)
		if got := r.events(audit.GrantReused); len(got) != 1 || got[0].Grant != string(first.Grant.ID) {
			r.Errorf("sec-P29: grant.reused events %+v, want one", got)
		}
		if got, want := r.letters(), []string{"grant-reused"}; !slices.Equal(got, want) {
			r.Errorf("sec-P29: messages %v, want %v", got, want)
		}
	})
}

// sec-P30: of twenty refreshes of one token at once at most one succeeds; the others end the family, and none ends in a fault.
func TestRefreshRaced(t *testing.T) {
	t.Parallel()
	rounds := 200
	if testing.Short() {
		rounds = 30
	}
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web)
		e := r.browser().signs(demands(c), "noor")
		for round := range rounds {
			i := r.redeem(redemption(c, r.codeFor(c, e.Session, demands(c).Scopes)))
			won := 0
			for _, i := range race(20, func() auth.Issued { return r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken}) }) {
				if i.Refused == nil {
					won++
					continue
				}
				wantRefused(r, i.Refused, auth.ErrInvalidGrant)
			}
			if won > 1 {
				r.Fatalf("sec-P30: round %d: %d refreshes of one token succeeded", round, won)
			}
			if g := r.grant(i.Grant.ID); g.State != auth.GrantEnded || g.EndedWhy != "reused" {
				r.Fatalf("sec-P30: round %d: the family is %s (%s), want ended as reused", round, g.State, g.EndedWhy)
			}
		}
	})
}

// Within a client's leeway racers are retries of one lost response: all get an answer, one successor lives, and no more than one.
func TestRefreshRacedWithinLeeway(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.SPA, func(c *auth.Client) { c.RefreshLeeway = 10 * time.Second })
		i := r.family(c, "noor")
		live := 0
		for _, next := range race(6, func() auth.Issued { return r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken}) }) {
			wantRefused(r, next.Refused, nil)
			r.view(func(ctx context.Context, tx *store.Tx) error {
				_, err := r.issuing.FindRefresh(ctx, tx, next.RefreshToken)
				if err == nil {
					live++
				}
				return nil
			})
		}
		if live != 1 {
			r.Errorf("%d successors live, want 1", live)
		}
	})
}

// The leeway, step by step (settled: a retry within it gets a successor while the unclaimed one dies).
func TestLeeway(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.SPA, func(c *auth.Client) { c.RefreshLeeway = 10 * time.Second })
		refresh := func(token string) auth.Issued { return r.refresh(auth.Renewal{Client: c, Token: token}) }
		ok := func(i auth.Issued, what string) string {
			if i.Refused != nil {
				r.Fatalf("%s: refused %v", what, i.Refused)
			}
			return i.RefreshToken
		}

		first := r.family(c, "noor").RefreshToken
		second := ok(refresh(first), "the first use")
		r.clock.Add(9 * time.Second)
		third := ok(refresh(first), "a retry within the leeway")
		if third == second {
			r.Error("the retry got the token that was lost again")
		}
		r.clock.Add(2 * time.Second)
		fourth := ok(refresh(third), "the successor, claimed after the leeway")
		r.clock.Add(9 * time.Second)
		ok(refresh(third), "a retry of the successor")
		_ = fourth

		for _, tt := range []struct {
			name  string
			spoil func(first, second, third string) string
		}{
			{"a retry when the leeway is over", func(first, _, _ string) string { r.clock.Add(10 * time.Second); return first }},
			{"a retry cannot stretch the leeway", func(first, _, _ string) string {
				r.clock.Add(6 * time.Second)
				ok(refresh(first), "a retry")
				r.clock.Add(6 * time.Second)
				return first
			}},
			{"the successor that a retry replaced", func(_, second, _ string) string { return second }},
			{"a retry when the successor was used", func(first, _, third string) string {
				ok(refresh(third), "the successor")
				return first
			}},
		} {
			i := r.family(c, "noor")
			first := i.RefreshToken
			second := ok(refresh(first), "use")
			third := ok(refresh(first), "retry")
			wantRefused(r, refresh(tt.spoil(first, second, third)).Refused, auth.ErrInvalidGrant)
			if g := r.grant(i.Grant.ID); g.State != auth.GrantEnded {
				r.Errorf("%s: the family is %s, want ended", tt.name, g.State)
			}
		}
	})
}

// A client set not to rotate keeps its token; its life still ends.
func TestNoRotation(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web, func(c *auth.Client) { c.NoRotation = true })
		i := r.family(c, "noor")
		for range 3 {
			r.clock.Add(13 * 24 * time.Hour)
			next := r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken})
			wantRefused(r, next.Refused, nil)
			if next.RefreshToken != "" {
				r.Errorf("a new refresh token %q for a client that keeps its own", next.RefreshToken)
			}
		}
		r.clock.Add(14 * 24 * time.Hour)
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken}).Refused, auth.ErrInvalidGrant)
	})
}

// sec-P34: a refresh token is its client's alone. In another's hands it leaked, and the family ends.
func TestRefreshByAnotherClient(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web)
		other := r.client("other", auth.Web)
		i := r.family(c, "noor")
		wantRefused(r, r.refresh(auth.Renewal{Client: other, Token: i.RefreshToken}).Refused, auth.ErrInvalidGrant)
		if got, want := r.codes(audit.GrantRefused), []string{"wrong-client"}; !slices.Equal(got, want) {
			r.Errorf("sec-P34: events %v, want %v", got, want)
		}
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken}).Refused, auth.ErrInvalidGrant)
	})
}

// A token that we did not make reaches no family, let alone ends it.
func TestRefreshForged(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web)
		i := r.family(c, "noor")
		good := i.RefreshToken
		for n := range len(good) {
			bad := []byte(good)
			bad[n] ^= 1
			if got := r.refresh(auth.Renewal{Client: c, Token: string(bad)}); got.Refused == nil || got.Grant.ID != "" {
				r.Fatalf("with character %d changed: %+v", n, got)
			}
		}
		foreign := r.issuing
		foreign.Key = []byte(strings.Repeat("x", 32))
		for _, bad := range []string{"", "csr_", good + "A", good[:len(good)-1], strings.TrimPrefix(good, "csr_"), "csr_" + strings.Repeat("A", 70), good + "="} {
			wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: bad}).Refused, auth.ErrInvalidGrant)
		}
		if g := r.grant(i.Grant.ID); g.State != auth.GrantLive {
			r.Errorf("the family is %s after forged tokens, want live", g.State)
		}
		if n := len(r.events(audit.GrantRefused)); n != 0 {
			r.Errorf("%d events for forged tokens, want none of their own", n)
		}
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: good}).Refused, nil)
	})
}

// sec-P35: refreshing every day moves the idle end and never the absolute one.
func TestAbsoluteEnd(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web)
		i := r.family(c, "noor")
		began, ends := r.clock.Now(), i.Grant.RefreshEnds
		if want := began.Add(90 * 24 * time.Hour); !ends.Equal(want) {
			r.Fatalf("the family ends %s, want %s", ends, want)
		}
		token := i.RefreshToken
		for r.clock.Now().Add(9 * 24 * time.Hour).Before(ends) {
			r.clock.Add(9 * 24 * time.Hour)
			i = r.refresh(auth.Renewal{Client: c, Token: token})
			wantRefused(r, i.Refused, nil)
			if g := i.Grant; !g.RefreshEnds.Equal(ends) || g.IdleEnds.After(ends) {
				r.Fatalf("sec-P35: ends %s, idle %s; want %s for ever", g.RefreshEnds, g.IdleEnds, ends)
			}
			token = i.RefreshToken
		}
		r.clock.Add(ends.Sub(r.clock.Now()) - time.Microsecond)
		i = r.refresh(auth.Renewal{Client: c, Token: token})
		wantRefused(r, i.Refused, nil)
		r.clock.Add(time.Microsecond) // exact boundary (I26)
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken}).Refused, auth.ErrInvalidGrant)

		idle := r.family(c, "noor")
		r.clock.Add(14 * 24 * time.Hour)
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: idle.RefreshToken}).Refused, auth.ErrInvalidGrant)
		// A clock that jumps back revives nothing (I26): the family was ended when it was found expired.
		r.clock.Add(-24 * time.Hour)
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: idle.RefreshToken}).Refused, auth.ErrInvalidGrant)
	})
}

// sec-P36, sec-S04, I3: what is withdrawn stops working at once, on every path on which a grant yields something.
func TestStateByPath(t *testing.T) {
	t.Parallel()
	type world struct {
		*rig
		account auth.Account
		client  auth.Client
		session auth.Session
	}
	changeClient := func(w world, change func(*auth.Client)) {
		w.update(func(ctx context.Context, tx auth.Tx) error {
			c, err := tx.Client(ctx, w.client.ID)
			if err != nil {
				return err
			}
			change(&c)
			_, err = tx.UpdateClient(ctx, c)
			return err
		})
	}
	// What each path yields after a change: nothing, or scopes without offline_access.
	for _, tt := range []struct {
		name                         string
		change                       func(w world)
		code, refresh, access, stays bool // whether something is still yielded; stays: with fewer scopes
	}{
		{name: "user disabled", change: func(w world) {
			w.update(func(ctx context.Context, tx auth.Tx) error { return auth.Disable(ctx, tx, "local:test", w.account.ID) })
		}},
		{name: "password reset", change: func(w world) {
			w.update(func(ctx context.Context, tx auth.Tx) error {
				return auth.SetPassword(ctx, tx, "local:test", w.account.ID, "is:new")
			})
		}},
		{name: "password changed by its owner", change: func(w world) {
			w.update(func(ctx context.Context, tx auth.Tx) error {
				_, err := w.signIn.ChangePassword(ctx, tx, auth.Current{Session: w.session, Account: w.account}, "is:noor's password", "is:new", auth.Origin{})
				return err
			})
		}},
		{name: "consent withdrawn", change: func(w world) {
			w.update(func(ctx context.Context, tx auth.Tx) error {
				return auth.Withdraw(ctx, tx, "account:"+string(w.account.ID), w.account.ID, w.client.ID)
			})
		}},
		{name: "client disabled", change: func(w world) {
			w.update(func(ctx context.Context, tx auth.Tx) error {
				return auth.SetClientDisabled(ctx, tx, "local:test", w.client.ID, true)
			})
		}},
		{name: "grants taken from the client", access: true, change: func(w world) {
			changeClient(w, func(c *auth.Client) { c.Grants = []string{auth.GrantClientCredentials} })
		}},
		{name: "scope taken from the client", code: true, refresh: true, access: true, stays: true, change: func(w world) {
			changeClient(w, func(c *auth.Client) { c.Scopes = []string{"openid", auth.OfflineAccess} })
		}},
		{name: "signed out", refresh: true, access: true, change: func(w world) {
			w.update(func(ctx context.Context, tx auth.Tx) error {
				return auth.SignOut(ctx, tx, "account:"+string(w.account.ID), w.session, auth.Origin{})
			})
		}},
		{name: "signed out everywhere", change: func(w world) {
			w.update(func(ctx context.Context, tx auth.Tx) error {
				_, err := auth.SignOutOthers(ctx, tx, "account:"+string(w.account.ID), w.account.ID, "", auth.Origin{})
				return err
			})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			each(t, func(r *rig) {
				scopes := []string{"openid", "email", auth.OfflineAccess}
				w := world{rig: r, account: r.account("noor"), client: r.client("app", auth.Web)}
				e := r.browser().signs(demands(w.client, scopes...), "noor")
				w.session = e.Session
				live := r.redeem(redemption(w.client, r.codeFor(w.client, e.Session, scopes)))
				opaque := r.store(live.Access)
				code := r.codeFor(w.client, e.Session, scopes)
				tt.change(w)

				check := func(path string, got bool, want bool, left []string) {
					if got != want {
						r.Errorf("sec-P36 %s × %s: yields %v, want %v", tt.name, path, got, want)
					}
					if got && slices.Contains(left, "email") == tt.stays {
						r.Errorf("sec-P36 %s × %s: scopes %v, fewer wanted: %v", tt.name, path, left, tt.stays)
					}
				}
				s := r.stands(live.Access)
				check("userinfo, introspection", s.Active, tt.access, s.Token.Scopes)
				if r.finds(opaque) && !tt.access {
					var o auth.AccessToken
					r.view(func(ctx context.Context, tx *store.Tx) (err error) {
						o, err = auth.FindOpaque(ctx, tx, opaque)
						return err
					})
					check("opaque", r.stands(o).Active, tt.access, nil)
				}
				r.view(func(ctx context.Context, tx *store.Tx) error {
					_, err := r.issuing.FindRefresh(ctx, tx, live.RefreshToken)
					if err != nil && !fault.Is(err, fault.NotFound) {
						return err
					}
					check("introspection of the refresh token", err == nil, tt.refresh, []string{"email"}[:b2i(!tt.stays)])
					return nil
				})
				i := r.redeem(redemption(w.client, code))
				check("code", i.Refused == nil, tt.code, i.Access.Scopes)
				i = r.refresh(auth.Renewal{Client: w.client, Token: live.RefreshToken})
				check("refresh", i.Refused == nil, tt.refresh, i.Access.Scopes)
			})
		})
	}
}

// I3: the state of account and client alone decides, whatever ended with it when it was set.
func TestStateAlone(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		for i, statement := range []string{
			"UPDATE accounts SET state = 'disabled' WHERE id = %[1]s", "UPDATE clients SET disabled = 1 WHERE id = %[1]s",
			"DELETE FROM consents WHERE account_id = %[1]s",
		} {
			name := fmt.Sprintf("noor-%d", i)
			noor := r.account(name)
			c := r.client(auth.ClientID(name), auth.Web)
			e := r.browser().signs(demands(c), name)
			live := r.redeem(redemption(c, r.codeFor(c, e.Session, demands(c).Scopes)))
			opaque := r.store(live.Access)
			code := r.codeFor(c, e.Session, demands(c).Scopes)
			if strings.Contains(statement, "clients") {
				r.exec(statement, string(c.ID))
			} else {
				r.exec(statement, string(noor.ID))
			}

			if r.stands(live.Access).Active {
				r.Errorf("%s: the access token counts", statement)
			}
			if !r.finds(opaque) {
				r.Errorf("%s: an opaque token is gone, though nobody ended its grant", statement)
			}
			err := r.try(func(ctx context.Context, tx auth.Tx) error {
				_, _, err := r.issuing.Authorize(ctx, tx, auth.Authorization{
					Client: c, Session: e.Session, RedirectURI: callback, Challenge: challenge(verifier), Scopes: []string{"openid"},
				})
				return err
			})
			wantFault(r, err, auth.ErrDenied)
			wantRefused(r, r.redeem(redemption(c, code)).Refused, auth.ErrInvalidGrant)
			wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: live.RefreshToken}).Refused, auth.ErrInvalidGrant)
		}
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// sec-S03: what a client's refresh tokens end with is registered: its own life, or the session.
func TestSignOutEndsTokens(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		offline := r.client("offline", auth.Web)
		bound := r.client("bound", auth.SPA)
		b := r.browser()
		b.signs(demands(offline), "noor")
		e := b.signs(demands(bound), "noor")
		first := r.redeem(redemption(offline, r.codeFor(offline, e.Session, demands(offline).Scopes)))
		second := r.redeem(redemption(bound, r.codeFor(bound, e.Session, demands(bound).Scopes)))
		r.update(func(ctx context.Context, tx auth.Tx) error {
			return auth.SignOut(ctx, tx, "account:"+string(e.Session.Account), e.Session, b.from())
		})
		if _, ok := b.current(); ok {
			r.Error("sec-S03: the cookie still opens the session")
		}
		if s := r.stands(second.Access); s.Active {
			r.Error("sec-S03: an access token of a client that ends with the session still counts")
		}
		wantRefused(r, r.refresh(auth.Renewal{Client: bound, Token: second.RefreshToken}).Refused, auth.ErrInvalidGrant)
		wantRefused(r, r.refresh(auth.Renewal{Client: offline, Token: first.RefreshToken}).Refused, nil)
		if n := len(r.events(audit.SessionEnded)); n != 1 {
			r.Errorf("%d session.ended events, want 1", n)
		}
		r.update(func(ctx context.Context, tx auth.Tx) error { // again: nothing happens
			return auth.SignOut(ctx, tx, "account:x", e.Session, b.from())
		})
		if n := len(r.events(audit.SessionEnded)); n != 1 {
			r.Errorf("%d session.ended events after signing out twice, want 1", n)
		}
	})
}

// The refresh tokens of a client that ends with the session end with its absolute limit too, and not because nobody visits our pages.
func TestSessionBoundRefresh(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.SPA)
		i := r.family(c, "noor")
		r.clock.Add(11 * time.Hour) // the browser session has long been idle
		i = r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken})
		wantRefused(r, i.Refused, nil)
		r.clock.Add(time.Hour)
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken}).Refused, auth.ErrInvalidGrant)
	})
}

// RFC 7009: a client revokes its own tokens; anybody else's, and unknown ones, change nothing.
func TestRevoke(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web)
		other := r.client("other", auth.Web)
		revoke := func(c auth.Client, token string, parsed *auth.AccessToken) {
			r.Helper()
			r.update(func(ctx context.Context, tx auth.Tx) error {
				return r.issuing.Revoke(ctx, tx, c, token, parsed, "req-9")
			})
		}
		i := r.family(c, "noor")
		opaque := r.store(i.Access)

		for _, token := range []string{"", "nonsense", "csr_x", "csa_x", opaque, i.RefreshToken} {
			revoke(other, token, nil)
		}
		revoke(other, "jwt", &i.Access)
		if !r.stands(i.Access).Active || !r.finds(opaque) {
			r.Fatal("sec-P43: another client revoked a token")
		}

		revoke(c, opaque, nil)
		revoke(c, opaque, nil)
		if r.finds(opaque) || !r.stands(i.Access).Active {
			r.Error("revoking an opaque access token revokes it alone")
		}
		revoke(c, "jwt", &i.Access)
		revoke(c, "jwt", &i.Access)
		if r.stands(i.Access).Active {
			r.Error("a revoked JWT still counts")
		}
		if n := len(r.events(audit.TokenRevoked)); n != 2 {
			r.Errorf("%d token.revoked events, want 2", n)
		}
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken}).Refused, nil)

		i = r.family(c, "noor")
		revoke(c, i.RefreshToken, nil)
		revoke(c, i.RefreshToken, nil)
		if r.stands(i.Access).Active {
			r.Error("RFC 7009 §2.1: the access tokens of a revoked refresh token still count")
		}
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken}).Refused, auth.ErrInvalidGrant)
		if n := len(r.events(audit.GrantRevoked)); n != 1 {
			r.Errorf("%d grant.revoked events, want 1", n)
		}
	})
}
