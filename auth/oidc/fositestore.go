package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/ory/fosite"

	"github.com/countersign-id/countersign/auth"
)

// What fosite sees of us. It is the framework of the two endpoints that grants go through: it takes a request apart, picks
// the handler and holds the response. It stores nothing: a code, its PKCE challenge, its OpenID Connect parameters and
// the refresh tokens are one row of ours, changed by one conditional update each (package auth), so the places where
// fosite reads, compares and deletes in separate steps do not exist here (fosite-1, 2, 3, 7, 14).

// newFosite returns fosite with our handlers and nothing that acts on its own: every default that would reach for the
// network, keep a global or make itself up at the first request is set (fosite-21).
func newFosite(p *Provider) *fosite.Fosite {
	return fosite.NewOAuth2Provider(clients{}, &fosite.Config{
		IDTokenIssuer:                p.issuer,
		AccessTokenIssuer:            p.issuer,
		TokenURL:                     p.issuer + tokenPath,
		ScopeStrategy:                fosite.ExactScopeStrategy,
		AudienceMatchingStrategy:     func(_, _ []string) error { return nil }, // auth.Audience judges resources; fosite's `audience` is ignored
		MinParameterEntropy:          1,                                        // 0 and less mean 8; judge lets the absent state pass (fosite-8)
		EnforcePKCE:                  true,                                     // judge and auth.Redeem do; this is for a handler of fosite's, should one ever be added
		OmitRedirectScopeParam:       true,
		ClientSecretsHasher:          noSecrets{},
		HTTPClient:                   &retryablehttp.Client{HTTPClient: &http.Client{Transport: noFetch{}}, CheckRetry: neverAgain},
		ClientAuthenticationStrategy: p.fositeAuthenticate,
		AuthorizeEndpointHandlers:    fosite.AuthorizeEndpointHandlers{authorizeHandler{p}},
		TokenEndpointHandlers:        fosite.TokenEndpointHandlers{codeHandler{p}, refreshHandler{p}, clientHandler{p}, otherHandler{}},
	})
}

// fositeAuthenticate puts our client authentication where fosite's would be (fosite-10, 11, 23).
func (p *Provider) fositeAuthenticate(_ context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	c, err := p.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	return client{Client: c}, nil
}

// client is a client as fosite may see it. It does not implement fosite.OpenIDConnectClient, so no request object and no
// key set of a stranger's is ever read by the old JOSE library fosite brings (fosite-6).
type client struct {
	auth.Client
	redirect string // the one address this request may use: matched by us, byte for byte (fosite-19)
}

func (c client) GetID() string                      { return string(c.ID) }
func (c client) GetHashedSecret() []byte            { return nil }
func (c client) GetRedirectURIs() []string          { return []string{c.redirect} }
func (c client) GetGrantTypes() fosite.Arguments    { return c.Grants }
func (c client) GetResponseTypes() fosite.Arguments { return fosite.Arguments{"code"} }
func (c client) GetScopes() fosite.Arguments        { return c.Scopes }
func (c client) IsPublic() bool                     { return !c.Confidential() }
func (c client) GetAudience() fosite.Arguments      { return c.Resources }
func (c client) GetResponseModes() []fosite.ResponseModeType {
	return []fosite.ResponseModeType{fosite.ResponseModeQuery, fosite.ResponseModeFragment, fosite.ResponseModeFormPost}
}

// clients answers fosite's one question: which client is this request about? It was read and judged before, in the
// request's transaction; fosite gets it through the context and nothing is read twice.
type clients struct{}

type clientKey struct{}

func withClient(ctx context.Context, c client) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

func (clients) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	c, ok := ctx.Value(clientKey{}).(client)
	if !ok || string(c.ID) != id {
		return nil, fosite.ErrNotFound
	}
	return c, nil
}

var errOurs = errors.New("client assertions are authenticated by us")

func (clients) ClientAssertionJWTValid(context.Context, string) error          { return errOurs }
func (clients) SetClientAssertionJWT(context.Context, string, time.Time) error { return errOurs }

// noSecrets compares no secret: fosite knows none (fosite-23).
type noSecrets struct{}

var errNoSecrets = errors.New("client secrets are compared by us")

func (noSecrets) Compare(context.Context, []byte, []byte) error { return errNoSecrets }
func (noSecrets) Hash(context.Context, []byte) ([]byte, error)  { return nil, errNoSecrets }

// noFetch fetches nothing: what is fetched goes through the one guarded client (I8).
type noFetch struct{}

var errNoFetch = errors.New("fosite fetches nothing")

func (noFetch) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNoFetch }

func neverAgain(context.Context, *http.Response, error) (bool, error) { return false, nil }

// carrier is what a fosite session is to us: the thing that our handlers hand from one of fosite's steps to the next. It
// is never stored, so fosite has no claims to change behind our back (fosite-17).
type carrier struct{}

func (carrier) SetExpiresAt(fosite.TokenType, time.Time) {}
func (carrier) GetExpiresAt(fosite.TokenType) time.Time  { return time.Time{} }
func (carrier) GetUsername() string                      { return "" }
func (carrier) GetSubject() string                       { return "" }
