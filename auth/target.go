package auth

import (
	"context"
	"slices"

	"github.com/countersign-id/countersign/rbac"
)

// OfflineAccess is the scope without which no refresh token is issued (OpenID Connect Core §11).
const OfflineAccess = "offline_access"

// identityScopes ask for claims about a person; every other scope belongs to a resource server.
var identityScopes = []string{"openid", "profile", "email", "address", "phone", OfflineAccess}

// IdentityScope reports whether scope asks for claims about a person, and not for access to a resource server.
func IdentityScope(scope string) bool { return slices.Contains(identityScopes, scope) }

// Target is whom a request's tokens are for and what they may say there.
type Target struct {
	Scopes    []string // granted: asked, within the client's ceiling, and carried by the subject's roles; in the order asked
	Resources []string // the resource servers: named, or the client's default
	Audience  []string // the aud of access tokens: the resources, and the issuer with openid or where there are none
}

// Audience settles whom a request's tokens are for (RFC 8707 and the house rules): identity scopes only, the issuer alone; a
// client's default resource when the request names none and asks for scopes of that server; otherwise resources must be named,
// and one the client may not ask for is ErrTarget. A scope outside the client's ceiling or known to none of the servers is
// ErrScope. One whose permissions the holder's roles do not carry is left out without a word. holder is the account, for
// client_credentials the client.
func (p Issuing) Audience(ctx context.Context, tx Tx, c Client, holder rbac.AccountID, scopes, resources []string) (Target, error) {
	if !subset(scopes, c.Scopes) {
		return Target{}, ErrScope
	}
	if !subset(resources, c.Resources) {
		return Target{}, ErrTarget
	}
	if subset(scopes, identityScopes) && len(resources) == 0 {
		return p.grantable(ctx, tx, nil, holder, scopes, nil)
	}
	st, err := tx.Structure(ctx)
	if err != nil {
		return Target{}, err
	}
	servers, ok := serversOf(st, resources)
	if !ok {
		return Target{}, ErrTarget
	}
	if len(resources) == 0 {
		if c.DefaultResource == "" {
			return Target{}, ErrTarget
		}
		if servers, ok = serversOf(st, []string{c.DefaultResource}); !ok {
			return Target{}, ErrTarget
		}
	}
	for _, s := range scopes {
		if !IdentityScope(s) && len(scopesFor(st, servers, s)) == 0 {
			if len(resources) == 0 {
				return Target{}, ErrTarget // it may be another server's: then that has to be named
			}
			return Target{}, ErrScope
		}
	}
	return p.grantable(ctx, tx, st, holder, scopes, servers)
}

// narrow is Audience for what was granted before: scopes of servers that are not among the resources are left out rather than
// refused, and a server that is gone yields nothing.
func (p Issuing) narrow(ctx context.Context, tx Tx, c Client, holder rbac.AccountID, scopes, resources []string) (Target, error) {
	resources = slices.DeleteFunc(slices.Clone(resources), func(r string) bool { return !slices.Contains(c.Resources, r) })
	if len(resources) == 0 {
		return p.grantable(ctx, tx, nil, holder, scopes, nil)
	}
	st, err := tx.Structure(ctx)
	if err != nil {
		return Target{}, err
	}
	var servers []target
	for _, r := range resources {
		if s, ok := st.Server(r); ok {
			servers = append(servers, target{r, s.ID})
		}
	}
	return p.grantable(ctx, tx, st, holder, scopes, servers)
}

// target is a resource server under the audience it was asked for by.
type target struct {
	audience string
	server   rbac.ServerID
}

// serversOf returns the resource servers of audiences; false if one of them is none.
func serversOf(st *rbac.Structure, audiences []string) ([]target, bool) {
	var servers []target
	for _, a := range audiences {
		s, ok := st.Server(a)
		if !ok {
			return nil, false
		}
		servers = append(servers, target{a, s.ID})
	}
	return servers, true
}

// scopesFor returns what a scope means: at every server that knows it. A token for several servers means at each of them what
// that server means by its scopes, so a scope that two of them know takes what both ask.
func scopesFor(st *rbac.Structure, servers []target, scope string) []rbac.Scope {
	var out []rbac.Scope
	for _, t := range servers {
		if s, ok := st.Scope(t.server, scope); ok {
			out = append(out, s)
		}
	}
	return out
}

// grantable keeps the scopes that holder may have at servers. What they hold is read only if some scope takes a permission.
func (p Issuing) grantable(ctx context.Context, tx Tx, st *rbac.Structure, holder rbac.AccountID, scopes []string, servers []target) (Target, error) {
	var has rbac.Authority
	if !subset(scopes, identityScopes) && len(servers) > 0 {
		grants, err := tx.HeldBy(ctx, holder)
		if err != nil {
			return Target{}, err
		}
		has = st.Authority(st.Standing(grants, rbac.At(tx.Now())))
	}
	t := Target{}
	for _, s := range scopes {
		need := scopesFor(st, servers, s)
		if IdentityScope(s) || len(need) > 0 && !slices.ContainsFunc(need, func(sc rbac.Scope) bool { return !has.Carries(sc) }) {
			t.Scopes = append(t.Scopes, s)
		}
	}
	for _, s := range servers {
		t.Resources = append(t.Resources, s.audience)
	}
	t.Audience = slices.Clone(t.Resources)
	if len(servers) == 0 || slices.Contains(scopes, "openid") {
		t.Audience = append(t.Audience, p.Issuer)
	}
	return t, nil
}
