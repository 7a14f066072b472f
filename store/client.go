package store

import (
	"context"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/rbac"
)

type clientRow struct {
	ID              string `gorm:"primaryKey"`
	Name            string
	Kind            string
	Disabled        flag
	RedirectURIs    list `gorm:"column:redirect_uris"`
	PostLogoutURIs  list `gorm:"column:post_logout_uris"`
	AuthMethod      string
	Secrets         doc[[]auth.ClientSecret]
	JWKS            []byte `gorm:"column:jwks"`
	JWKSURI         string `gorm:"column:jwks_uri"`
	Grants          list
	Scopes          list
	Resources       list
	Serves          list
	DefaultResource string
	FirstParty      flag
	PKCEOptional    flag `gorm:"column:pkce_optional"`
	Claims          doc[[]auth.ClaimRule]
	IDTokenAlg      string `gorm:"column:id_token_alg"`
	UserinfoAlg     string
	OpaqueTokens    flag
	Lifetimes       doc[auth.Lifetimes]
	NoRotation      flag
	RefreshLeeway   int64
	RefreshEndsWith string
	URI             string `gorm:"column:uri"`
	LogoURI         string `gorm:"column:logo_uri"`
	PolicyURI       string `gorm:"column:policy_uri"`
	TosURI          string `gorm:"column:tos_uri"`
	Created         micros `gorm:"column:created_at"`
	Updated         micros `gorm:"column:updated_at"`
	Version         int64
}

func (clientRow) TableName() string { return "clients" }

func clientOf(c auth.Client) clientRow {
	return clientRow{
		ID: string(c.ID), Name: c.Name, Kind: string(c.Kind), Disabled: flag(c.Disabled),
		RedirectURIs: c.RedirectURIs, PostLogoutURIs: c.PostLogoutURIs,
		AuthMethod: c.AuthMethod, Secrets: doc[[]auth.ClientSecret]{c.Secrets}, JWKS: c.JWKS, JWKSURI: c.JWKSURI,
		Grants: c.Grants, Scopes: c.Scopes, Resources: c.Resources, Serves: c.Serves, DefaultResource: c.DefaultResource,
		FirstParty: flag(c.FirstParty), PKCEOptional: flag(c.PKCEOptional), Claims: doc[[]auth.ClaimRule]{c.Claims},
		IDTokenAlg: c.IDTokenAlg, UserinfoAlg: c.UserinfoAlg, OpaqueTokens: flag(c.OpaqueAccessToken), Lifetimes: doc[auth.Lifetimes]{c.Lifetimes},
		NoRotation: flag(c.NoRotation), RefreshLeeway: c.RefreshLeeway.Microseconds(), RefreshEndsWith: c.RefreshEndsWith,
		URI: c.URI, LogoURI: c.LogoURI, PolicyURI: c.PolicyURI, TosURI: c.TosURI,
		Created: stamp(c.CreatedAt), Updated: stamp(c.UpdatedAt), Version: c.Version,
	}
}

func (r clientRow) client() auth.Client {
	return auth.Client{
		ID: auth.ClientID(r.ID), Name: r.Name, Kind: auth.ClientKind(r.Kind), Disabled: bool(r.Disabled),
		RedirectURIs: r.RedirectURIs, PostLogoutURIs: r.PostLogoutURIs,
		AuthMethod: r.AuthMethod, Secrets: r.Secrets.v, JWKS: r.JWKS, JWKSURI: r.JWKSURI,
		Grants: r.Grants, Scopes: r.Scopes, Resources: r.Resources, Serves: r.Serves, DefaultResource: r.DefaultResource,
		FirstParty: bool(r.FirstParty), PKCEOptional: bool(r.PKCEOptional), Claims: r.Claims.v,
		IDTokenAlg: r.IDTokenAlg, UserinfoAlg: r.UserinfoAlg, OpaqueAccessToken: bool(r.OpaqueTokens), Lifetimes: r.Lifetimes.v,
		NoRotation: bool(r.NoRotation), RefreshLeeway: time.Duration(r.RefreshLeeway) * time.Microsecond, RefreshEndsWith: r.RefreshEndsWith,
		URI: r.URI, LogoURI: r.LogoURI, PolicyURI: r.PolicyURI, TosURI: r.TosURI,
		CreatedAt: r.Created.time(), UpdatedAt: r.Updated.time(), Version: r.Version,
	}
}

// Client implements auth.ClientTx.
func (tx *Tx) Client(ctx context.Context, id auth.ClientID) (auth.Client, error) {
	r, err := take[clientRow](ctx, tx, "id = ?", string(id))
	return r.client(), missing(err, errClientMissing)
}

// Clients returns up to max clients with identifiers above after, in that order.
func (tx *Tx) Clients(ctx context.Context, after auth.ClientID, max int) ([]auth.Client, error) {
	rows, err := page[clientRow](ctx, tx, max, "id > ?", string(after))
	return mapped(rows, clientRow.client), err
}

// CountClients returns how many clients there are, disabled ones too.
func (tx *Tx) CountClients(ctx context.Context) (int, error) {
	return tx.number(ctx, "SELECT count(*) FROM clients")
}

// AddClient implements auth.ClientTx. A client is a workload too: what its roles are about.
func (tx *Tx) AddClient(ctx context.Context, c auth.Client) error {
	if err := insert(ctx, tx, clientOf(c)); err != nil {
		return taken(err, errClientExists)
	}
	workload := subjectRow{ID: string(c.ID), Name: c.Name, Created: stamp(c.CreatedAt), Kind: string(rbac.Workload)}
	return taken(insert(ctx, tx, workload), errClientExists)
}

// UpdateClient implements auth.ClientTx.
func (tx *Tx) UpdateClient(ctx context.Context, c auth.Client) (bool, error) {
	r := clientOf(c)
	r.Version++
	return overwrite(ctx, tx, r, []string{"id", "created_at"}, "id = ? AND version = ?", r.ID, c.Version)
}

// SpendAssertion implements auth.ClientTx.
func (tx *Tx) SpendAssertion(ctx context.Context, id auth.ClientID, jti string, until time.Time) (bool, error) {
	return tx.wrote(ctx, "INSERT INTO assertions (client_id, jti, ends_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", string(id), jti, stamp(until))
}
