package auth_test

import (
	"context"
	"slices"
	"testing"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

const (
	ledger  = "https://ledger.example.org"
	archive = "https://archive.example.org"
)

// servers adds two resource servers; both know the scope "read", and mean different things by it.
func (r *rig) servers() {
	r.Helper()
	r.update(func(ctx context.Context, tx auth.Tx) error {
		return storetest.Policy(ctx, tx,
			storetest.Server("ledger", ledger, ""), storetest.Scope("ledger", "invoices", "", "ledger/invoice:read"),
			storetest.Scope("ledger", "payments", "", "ledger/payment:make"), storetest.Scope("ledger", "read", "", "ledger/all:read"), storetest.Scope("ledger", "open", ""),
			storetest.Server("archive", archive, ""), storetest.Scope("archive", "read", "", "archive/all:read"),
			storetest.Role("clerk", "ledger/invoice:read", "ledger/all:read"), storetest.Role("archivist", "archive/all:read"),
		)
	})
}

func (r *rig) assign(account string, role rbac.RoleID) {
	r.Helper()
	r.update(func(ctx context.Context, tx auth.Tx) error {
		return storetest.Policy(ctx, tx, storetest.Assign(tx, account, role))
	})
}

func TestAudience(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.servers()
		noor := r.account("noor")
		omar := r.account("omar")
		r.assign(string(noor.ID), "clerk")
		r.assign(string(noor.ID), "archivist")
		r.assign(string(omar.ID), "clerk")
		full := func(c *auth.Client) {
			c.Scopes = []string{"openid", "email", auth.OfflineAccess, "invoices", "payments", "read", "open"}
			c.Resources = []string{ledger, archive}
		}
		plain := r.client("plain", auth.Web, full)
		def := r.client("default", auth.Web, full, func(c *auth.Client) { c.DefaultResource = ledger })

		list := func(s ...string) []string { return s }
		for _, tt := range []struct {
			name             string
			client           auth.Client
			who              auth.Account
			scopes           []string
			resources        []string
			granted, aud     []string
			err              *fault.Error
			resourcesGranted []string
		}{
			{"identity scopes are for the issuer alone", plain, noor, list("openid", "email"), nil, list("openid", "email"), list(issuer), nil, nil},
			{"no scope at all", plain, noor, nil, nil, nil, list(issuer), nil, nil},
			{"oidc-P51 scopes of a server that was not named", plain, noor, list("openid", "invoices"), nil, nil, nil, auth.ErrTarget, nil},
			{"a named server, without openid", plain, noor, list("invoices"), list(ledger), list("invoices"), list(ledger), nil, list(ledger)},
			{"a named server, with openid", plain, noor, list("openid", "invoices"), list(ledger), list("openid", "invoices"), list(ledger, issuer), nil, list(ledger)},
			{"the default server", def, noor, list("openid", "invoices"), nil, list("openid", "invoices"), list(ledger, issuer), nil, list(ledger)},
			{"the default server is not asked for", def, noor, list("openid"), nil, list("openid"), list(issuer), nil, nil},
			{"a permission that the roles do not carry", plain, noor, list("invoices", "payments"), list(ledger), list("invoices"), list(ledger), nil, list(ledger)},
			{"a scope without permission is nobody's", plain, noor, list("invoices", "open"), list(ledger), list("invoices"), list(ledger), nil, list(ledger)},
			{"a scope of another server than the named", plain, noor, list("invoices"), list(archive), nil, nil, auth.ErrScope, nil},
			{"two servers that know a scope take both permissions", plain, noor, list("read"), list(ledger, archive), list("read"), list(ledger, archive), nil, list(ledger, archive)},
			{"and without one of them it is left out", plain, omar, list("invoices", "read"), list(ledger, archive), list("invoices"), list(ledger, archive), nil, list(ledger, archive)},
			{"a server outside the client's", plain, noor, list("openid"), list("https://elsewhere.example"), nil, nil, auth.ErrTarget, nil},
			{"a scope outside the client's", plain, noor, list("openid", "phone"), nil, nil, nil, auth.ErrScope, nil},
		} {
			r.view(func(ctx context.Context, tx *store.Tx) error {
				got, err := r.issuing.Audience(ctx, tx, tt.client, rbac.AccountID(tt.who.ID), tt.scopes, tt.resources)
				if tt.err != nil {
					wantFault(r, err, tt.err)
					return nil
				}
				if !slices.Equal(got.Scopes, tt.granted) || !slices.Equal(got.Audience, tt.aud) || !slices.Equal(got.Resources, tt.resourcesGranted) {
					r.Errorf("%s: %+v; want scopes %v, audience %v, resources %v", tt.name, got, tt.granted, tt.aud, tt.resourcesGranted)
				}
				return err
			})
		}
	})
}

// sec-P36, I3: a role that is taken away takes its scopes with it, from tokens that are out and from those that come.
func TestRoleWithdrawn(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.servers()
		noor := r.account("noor")
		r.assign(string(noor.ID), "clerk")
		c := r.client("app", auth.Web, func(c *auth.Client) {
			c.Scopes, c.Resources, c.DefaultResource = append(c.Scopes, "invoices"), []string{ledger, archive}, ledger
		})
		i := r.family(c, "noor", "openid", "invoices", auth.OfflineAccess)
		if !slices.Contains(i.Access.Scopes, "invoices") || !slices.Equal(i.Access.Audience, []string{ledger, issuer}) {
			r.Fatalf("issued %+v", i.Access)
		}
		if s := r.stands(i.Access); !s.Active || !slices.Equal(s.Token.Scopes, i.Access.Scopes) {
			r.Errorf("the token stands as %+v", s.Token)
		}
		r.withdrawRole(string(noor.ID), "clerk")
		if s := r.stands(i.Access); !s.Active || slices.Contains(s.Token.Scopes, "invoices") {
			r.Errorf("sec-P36: with the role gone the token stands as %v", s.Token.Scopes)
		}
		i = r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken})
		wantRefused(r, i.Refused, nil)
		if slices.Contains(i.Access.Scopes, "invoices") {
			r.Errorf("sec-P36: with the role gone a refresh yields %v", i.Access.Scopes)
		}
		r.assign(string(noor.ID), "clerk")
		i = r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken})
		if !slices.Contains(i.Access.Scopes, "invoices") {
			r.Error("the grant forgot a scope whose role came back")
		}
	})
}

// RFC 8707 §2.2: one grant for two servers, one access token for each.
func TestResourceByResource(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.servers()
		noor := r.account("noor")
		r.assign(string(noor.ID), "clerk")
		r.assign(string(noor.ID), "archivist")
		c := r.client("app", auth.Web, func(c *auth.Client) {
			c.Scopes, c.Resources = append(c.Scopes, "invoices", "read"), []string{ledger, archive}
		})
		scopes := []string{"openid", auth.OfflineAccess, "invoices", "read"}
		e := r.browser().signs(demands(c, scopes...), "noor")
		d := redemption(c, r.codeFor(c, e.Session, scopes, ledger, archive))
		d.Resources = []string{archive}
		i := r.redeem(d)
		wantRefused(r, i.Refused, nil)
		if !slices.Equal(i.Access.Audience, []string{archive, issuer}) || slices.Contains(i.Access.Scopes, "invoices") || !slices.Contains(i.Access.Scopes, "read") {
			r.Errorf("for the archive: %v at %v", i.Access.Scopes, i.Access.Audience)
		}
		i = r.refresh(auth.Renewal{Client: c, Token: i.RefreshToken, Resources: []string{ledger}})
		wantRefused(r, i.Refused, nil)
		if !slices.Equal(i.Access.Audience, []string{ledger, issuer}) || !slices.Contains(i.Access.Scopes, "invoices") {
			r.Errorf("for the ledger: %v at %v", i.Access.Scopes, i.Access.Audience)
		}
	})
}

func TestClientToken(t *testing.T) {
	t.Parallel()
	each(t, func(r *rig) {
		r.servers()
		c := r.client("service", auth.Service, func(c *auth.Client) { c.Scopes, c.Resources = []string{"invoices", "payments"}, []string{ledger} })
		web := r.client("web", auth.Web)
		r.assign("service", "clerk")
		token := func(c auth.Client, scopes, resources []string) (t auth.AccessToken, err error) {
			r.view(func(ctx context.Context, tx *store.Tx) error {
				t, err = r.issuing.ClientToken(ctx, tx, c, scopes, resources)
				return nil
			})
			return t, err
		}
		got, err := token(c, nil, nil)
		if err != nil || !slices.Equal(got.Audience, []string{issuer}) || len(got.Scopes) != 0 || got.Account != "" || got.Grant != "" {
			r.Errorf("without scope: %+v, %v", got, err)
		}
		got, err = token(c, []string{"invoices", "payments"}, []string{ledger})
		if err != nil || !slices.Equal(got.Audience, []string{ledger}) || !slices.Equal(got.Scopes, []string{"invoices"}) {
			r.Errorf("with scopes: %+v, %v", got, err)
		}
		if !r.stands(got).Active {
			r.Error("the token does not count")
		}
		for _, scope := range []string{"openid", auth.OfflineAccess} {
			c.Scopes = append(c.Scopes, scope)
			_, err = token(c, []string{scope}, nil)
			wantFault(r, err, auth.ErrScope)
		}
		_, err = token(web, nil, nil)
		wantFault(r, err, auth.ErrGrantType)

		r.withdrawRole("service", "clerk")
		if s := r.stands(got); len(s.Token.Scopes) != 0 {
			r.Errorf("with the role gone the token stands as %v", s.Token.Scopes)
		}
		r.update(func(ctx context.Context, tx auth.Tx) error {
			return auth.SetClientDisabled(ctx, tx, "local:test", "service", true)
		})
		if r.stands(got).Active {
			r.Error("the token of a disabled client counts")
		}
		_, err = token(c, nil, nil)
		wantFault(r, err, auth.ErrGrantType)
		got.Ends = r.clock.Now()
		if s := r.stands(got); s.Active || s.Why != "expired" {
			r.Errorf("at its end a token is %+v", s)
		}
	})
}
