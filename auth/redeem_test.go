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
)

// sec-P01, RFC 6749 §4.1.2: a code is used once; a second use takes everything back that came from the first.
func TestCodeReplayed(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		noor := r.account("noor")
		c := r.client("app", auth.Web)
		code := r.code(c, "noor")
		first := r.redeem(redemption(c, code))
		wantRefused(r, first.Refused, nil)
		if first.Account.ID != noor.ID || first.RefreshToken == "" || !r.stands(first.Access).Active {
			r.Fatalf("issued %+v", first)
		}
		opaque := r.store(first.Access)

		second := r.redeem(redemption(c, code))
		wantRefused(r, second.Refused, auth.ErrInvalidGrant)
		if second.Grant.ID != first.Grant.ID {
			r.Error("sec-P01: the replay is not known for what it is")
		}
		if s := r.stands(first.Access); s.Active {
			r.Error("sec-P01: the access token of the first exchange still counts")
		}
		if r.finds(opaque) {
			r.Error("sec-P01: the opaque access token of the first exchange still counts")
		}
		wantRefused(r, r.refresh(auth.Renewal{Client: c, Token: first.RefreshToken}).Refused, auth.ErrInvalidGrant)
		if got := len(r.events(audit.GrantReused)); got != 1 {
			r.Errorf("sec-P01: %d grant.reused events, want 1", got)
		}

		// A third use changes nothing and writes no event: one dead code cannot fill the log.
		if third := r.redeem(redemption(c, code)); third.Grant.ID != "" || third.Refused == nil {
			r.Errorf("a third use: %+v", third)
		}
		if got := len(r.events(audit.GrantReused)) + len(r.events(audit.GrantRefused)); got != 1 {
			r.Errorf("%d events after a third use, want 1", got)
		}
	})
}

// sec-P02: of twenty exchanges of one code at once at most one succeeds, and none ends in a fault.
func TestCodeRaced(t *testing.T) {
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
			code := r.codeFor(c, e.Session, demands(c).Scopes)
			won := 0
			for _, i := range race(20, func() auth.Issued { return r.redeem(redemption(c, code)) }) {
				if i.Refused == nil {
					won++
					continue
				}
				wantRefused(r, i.Refused, auth.ErrInvalidGrant)
			}
			if won > 1 {
				r.Fatalf("sec-P02: round %d: %d exchanges of one code succeeded", round, won)
			}
			if got := len(r.events(audit.GrantReused)); got != round+1 {
				r.Fatalf("sec-P02: round %d: %d grant.reused events, want %d", round, got, round+1)
			}
		}
	})
}

// sec-P04, sec-P05, sec-P08: a code that comes with anything wrong is refused, and burned.
func TestCodeMisused(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web)
		other := r.client("other", auth.Web)
		public := r.client("public", auth.SPA)
		e := r.browser().signs(demands(c), "noor")

		for _, tt := range []struct {
			name, why string
			change    func(*auth.Redemption)
		}{
			{"sec-P04 another confidential client", "wrong-client", func(d *auth.Redemption) { d.Client = other }},
			{"sec-P04 a public client", "wrong-client", func(d *auth.Redemption) { d.Client = public }},
			{"sec-P05 another redirect address", "wrong-redirect", func(d *auth.Redemption) { d.RedirectURI = callback + "/" }},
			{"sec-P05 no redirect address", "wrong-redirect", func(d *auth.Redemption) { d.RedirectURI = "" }},
			{"sec-P05 differently encoded", "wrong-redirect", func(d *auth.Redemption) { d.RedirectURI = strings.Replace(callback, "/cb", "/%63b", 1) }},
			{"sec-P08 no verifier", "wrong-verifier", func(d *auth.Redemption) { d.Verifier = "" }},
			{"sec-P08 the wrong one", "wrong-verifier", func(d *auth.Redemption) { d.Verifier = strings.Repeat("a", 43) }},
			{"sec-P08 the challenge itself", "wrong-verifier", func(d *auth.Redemption) { d.Verifier = challenge(verifier) }},
		} {
			before := len(r.events(audit.GrantRefused))
			code := r.codeFor(c, e.Session, demands(c).Scopes)
			bad := redemption(c, code)
			tt.change(&bad)
			i := r.redeem(bad)
			wantRefused(r, i.Refused, auth.ErrInvalidGrant)
			if i.RefreshToken != "" || i.Access.ID != "" {
				r.Errorf("%s: issued %+v", tt.name, i)
			}
			if got := r.codes(audit.GrantRefused)[before:]; !slices.Equal(got, []string{tt.why}) {
				r.Errorf("%s: events %v, want one %s", tt.name, got, tt.why)
			}
			if i := r.redeem(redemption(c, code)); i.Refused == nil {
				r.Errorf("%s: the code was not burned", tt.name)
			}
		}

		code := r.codeFor(c, e.Session, demands(c).Scopes)
		r.clock.Add(time.Minute)
		wantRefused(r, r.redeem(redemption(c, code)).Refused, auth.ErrInvalidGrant)
		if got := r.codes(audit.GrantRefused); got[len(got)-1] != "expired" {
			r.Errorf("an expired code: %v", got)
		}
		code = r.codeFor(c, e.Session, demands(c).Scopes)
		r.clock.Add(time.Minute - time.Microsecond)
		wantRefused(r, r.redeem(redemption(c, code)).Refused, nil) // exact boundary (I26)

		for _, unknown := range []string{"", "csc_", "csc_" + strings.Repeat("A", 43), "nonsense", strings.TrimPrefix(code, "csc_")} {
			if i := r.redeem(redemption(c, unknown)); i.Refused == nil || i.Grant.ID != "" {
				r.Errorf("code %q: %+v", unknown, i)
			}
		}
	})
}

// sec-P08, RFC 7636 §4.1: a verifier of another form than the standard's is refused even where the challenge was made of it.
func TestVerifierForm(t *testing.T) {
	t.Parallel()
	r := newSQLite(t)
	r.account("noor")
	c := r.client("app", auth.Web)
	e := r.browser().signs(demands(c), "noor")
	for v, ok := range map[string]bool{
		strings.Repeat("a", 42): false, strings.Repeat("a", 43): true, strings.Repeat("a", 128): true, strings.Repeat("a", 129): false,
		verifier[:42] + "+": false, verifier[:42] + "=": false, verifier[:42] + " ": false, verifier[:41] + "é": false, verifier[:42] + "~": true,
	} {
		var code string
		r.update(func(ctx context.Context, tx auth.Tx) (err error) {
			code, _, err = r.issuing.Authorize(ctx, tx, auth.Authorization{
				Client: c, Session: e.Session, RedirectURI: callback, Challenge: challenge(v), Scopes: []string{"openid"},
			})
			return err
		})
		d := redemption(c, code)
		d.Verifier = v
		if i := r.redeem(d); (i.Refused == nil) != ok {
			t.Errorf("sec-P08: the verifier %q: %v, want ok %v", v, i.Refused, ok)
		}
	}
}

// RFC 9700 §2.1.1: PKCE both ways. A verifier without a challenge is a sign that somebody took the challenge away.
func TestPKCEOptional(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("old", auth.Web, func(c *auth.Client) { c.PKCEOptional = true })
		e := r.browser().signs(demands(c), "noor")
		code := func(challenge string) (code string, err error) {
			err = r.try(func(ctx context.Context, tx auth.Tx) error {
				code, _, err = r.issuing.Authorize(ctx, tx, auth.Authorization{
					Client: c, Session: e.Session, RedirectURI: callback, Challenge: challenge, Scopes: []string{"openid"},
				})
				return err
			})
			return code, err
		}
		for _, tt := range []struct {
			name, challenge, verifier string
			ok                        bool
		}{
			{"neither", "", "", true},
			{"a verifier alone", "", verifier, false},
			{"a challenge alone", challenge(verifier), "", false},
			{"both", challenge(verifier), verifier, true},
		} {
			text, err := code(tt.challenge)
			if err != nil {
				r.Fatal(err)
			}
			d := redemption(c, text)
			d.Verifier = tt.verifier
			if i := r.redeem(d); (i.Refused == nil) != tt.ok {
				r.Errorf("%s: refused %v, want ok %v", tt.name, i.Refused, tt.ok)
			}
		}

		strict := r.client("new", auth.Web)
		e = r.browser().signs(demands(strict), "noor")
		c = strict
		if _, err := code(""); !errors.Is(err, auth.ErrDenied) { // sec-P07 in depth
			r.Errorf("a code without a challenge: %v", err)
		}
	})
}

// A refresh token takes the scope, the grant type, and the person's consent to the scope.
func TestRefreshTokenIssued(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		with := r.client("with", auth.Web)
		without := r.client("without", auth.Web, func(c *auth.Client) { c.Grants = []string{auth.GrantCode} })
		first := r.client("first", auth.Web, func(c *auth.Client) { c.FirstParty = true })
		for _, tt := range []struct {
			name   string
			client auth.Client
			scopes []string
			want   bool
		}{
			{"offline_access", with, []string{"openid", auth.OfflineAccess}, true},
			{"no offline_access", with, []string{"openid"}, false},
			{"no grant type", without, []string{"openid", auth.OfflineAccess}, false},
			{"first-party", first, []string{"openid", auth.OfflineAccess}, true},
		} {
			i := r.family(tt.client, "noor", tt.scopes...)
			if (i.RefreshToken != "") != tt.want {
				r.Errorf("%s: refresh token %q, want one: %v", tt.name, i.RefreshToken, tt.want)
			}
			if (i.Grant.Generation > 0) != tt.want {
				r.Errorf("%s: generation %d", tt.name, i.Grant.Generation)
			}
		}
	})
}

// A token request may ask for less, never for more; asking for more leaves the code as it is.
func TestNarrowing(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web)
		d := redemption(c, r.code(c, "noor", "openid", "email", auth.OfflineAccess))
		d.Scopes = []string{"openid", "profile"} // within the client's ceiling, but not granted
		wantRefused(r, r.redeem(d).Refused, auth.ErrScope)
		d.Scopes, d.Resources = nil, []string{"https://elsewhere.example"}
		wantRefused(r, r.redeem(d).Refused, auth.ErrTarget)
		d.Scopes, d.Resources = []string{"email"}, nil
		i := r.redeem(d)
		wantRefused(r, i.Refused, nil)
		if !slices.Equal(i.Access.Scopes, []string{"email"}) {
			r.Errorf("scopes %v, want email alone", i.Access.Scopes)
		}

		n := auth.Renewal{Client: c, Token: i.RefreshToken, Scopes: []string{"openid", "profile"}}
		wantRefused(r, r.refresh(n).Refused, auth.ErrScope) // sec-P34
		n.Scopes, n.Resources = nil, []string{"https://elsewhere.example"}
		wantRefused(r, r.refresh(n).Refused, auth.ErrTarget) // sec-P34
		n.Resources = nil
		i = r.refresh(n)
		wantRefused(r, i.Refused, nil) // and neither spent the token; narrowing one access token does not narrow the grant
		if !slices.Equal(i.Access.Scopes, []string{"openid", "email", auth.OfflineAccess}) {
			r.Errorf("scopes %v after a refresh", i.Access.Scopes)
		}
	})
}

// Authorize stands on what is so at its instant.
func TestAuthorizeRefuses(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.account("noor")
		c := r.client("app", auth.Web)
		b := r.browser()
		e := b.signs(demands(c), "noor")
		for _, tt := range []struct {
			name   string
			change func(*auth.Authorization)
		}{
			{"no session", func(a *auth.Authorization) { a.Session = auth.Session{} }},
			{"a scope that was not consented to", func(a *auth.Authorization) { a.Scopes = []string{"openid", "email"} }},
			{"an address that is not registered", func(a *auth.Authorization) { a.RedirectURI = "https://evil.example/cb" }},
			{"a client that is not there", func(a *auth.Authorization) { a.Client.ID = "nobody" }},
		} {
			a := auth.Authorization{Client: c, Session: e.Session, RedirectURI: callback, Challenge: challenge(verifier), Scopes: []string{"openid"}}
			tt.change(&a)
			err := r.try(func(ctx context.Context, tx auth.Tx) error {
				_, _, err := r.issuing.Authorize(ctx, tx, a)
				return err
			})
			if !errors.Is(err, auth.ErrDenied) {
				r.Errorf("%s: %v, want %v", tt.name, err, auth.ErrDenied)
			}
		}
	})
}
