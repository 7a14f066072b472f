package rbac

import "context"

// ResourceServer is an API that accepts our access tokens, known by the audience it expects (RFC 8707).
type ResourceServer struct {
	Audience string // the `aud` of its tokens: an absolute URI without fragment
	Title    string // shown on the consent page
	Scopes   []Scope
}

// Scope is what an application may ask a resource server for. A person is granted it only if their roles carry Permission.
type Scope struct {
	Name       string
	Title      string
	Permission string
}

// Reader is what a decision about a token needs to read. It knows roles as plain named permission sets.
// Subjects are persons or service clients, by id.
type Reader interface {
	// PermissionsOf returns the permissions a subject's roles carry, sorted, without duplicates.
	PermissionsOf(ctx context.Context, subject string) ([]string, error)
	// RoleNamesOf returns the names of a subject's roles, sorted.
	RoleNamesOf(ctx context.Context, subject string) ([]string, error)
	// ResourceServer returns the server of an audience; NotFound if there is none.
	ResourceServer(ctx context.Context, audience string) (ResourceServer, error)
}
