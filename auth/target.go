package auth

import (
	"context"
	"slices"

	"github.com/countersign-id/countersign/internal/fault"
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
// ErrScope. One whose permission the subject's roles do not carry is left out without a word. subject is the person's id, for
// client_credentials the client's.
func (p Issuing) Audience(ctx context.Context, tx Tx, c Client, subject string, scopes, resources []string) (Target, error) {
	if !subset(scopes, c.Scopes) {
		return Target{}, ErrScope
	}
	if !subset(resources, c.Resources) {
		return Target{}, ErrTarget
	}
	servers, err := readServers(ctx, tx, resources)
	if err != nil {
		return Target{}, err
	}
	if foreign := !subset(scopes, identityScopes); foreign && len(resources) == 0 {
		if c.DefaultResource == "" {
			return Target{}, ErrTarget
		}
		if servers, err = readServers(ctx, tx, []string{c.DefaultResource}); err != nil {
			return Target{}, err
		}
	}
	for _, s := range scopes {
		if !IdentityScope(s) && len(permissionsFor(servers, s)) == 0 {
			if len(resources) == 0 {
				return Target{}, ErrTarget // it may be another server's: then that has to be named
			}
			return Target{}, ErrScope
		}
	}
	return p.grantable(ctx, tx, subject, scopes, servers)
}

// narrow is Audience for what was granted before: scopes of servers that are not among the resources are left out rather than
// refused, and a server that is gone yields nothing.
func (p Issuing) narrow(ctx context.Context, tx Tx, c Client, subject string, scopes, resources []string) (Target, error) {
	var servers []rbac.ResourceServer
	for _, r := range resources {
		if !slices.Contains(c.Resources, r) {
			continue
		}
		s, err := tx.ResourceServer(ctx, r)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return Target{}, err
		}
		servers = append(servers, s)
	}
	return p.grantable(ctx, tx, subject, scopes, servers)
}

func readServers(ctx context.Context, tx Tx, audiences []string) ([]rbac.ResourceServer, error) {
	var servers []rbac.ResourceServer
	for _, a := range audiences {
		s, err := tx.ResourceServer(ctx, a)
		if fault.Is(err, fault.NotFound) {
			return nil, ErrTarget
		}
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

// permissionsFor returns what a scope takes: the permission of every server that knows it. A token for several servers means
// at each of them what that server means by its scopes, so a scope that two of them know takes both permissions.
func permissionsFor(servers []rbac.ResourceServer, scope string) []string {
	var need []string
	for _, server := range servers {
		for _, s := range server.Scopes {
			if s.Name == scope {
				need = append(need, s.Permission)
			}
		}
	}
	return need
}

// grantable keeps the scopes that subject may have at servers. Permissions are read only if some scope takes one.
func (p Issuing) grantable(ctx context.Context, tx Tx, subject string, scopes []string, servers []rbac.ResourceServer) (Target, error) {
	var has []string
	if !subset(scopes, identityScopes) {
		var err error
		if has, err = tx.PermissionsOf(ctx, subject); err != nil {
			return Target{}, err
		}
	}
	t := Target{}
	for _, s := range scopes {
		need := permissionsFor(servers, s)
		if IdentityScope(s) || len(need) > 0 && subset(need, has) && !slices.Contains(need, "") {
			t.Scopes = append(t.Scopes, s)
		}
	}
	for _, s := range servers {
		t.Resources = append(t.Resources, s.Audience)
	}
	t.Audience = slices.Clone(t.Resources)
	if len(servers) == 0 || slices.Contains(scopes, "openid") {
		t.Audience = append(t.Audience, p.Issuer)
	}
	return t, nil
}
