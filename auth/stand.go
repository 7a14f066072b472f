package auth

import (
	"context"
	"strings"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
)

// ErrNoToken says that a token is unknown or over, and not which.
var ErrNoToken = fault.New(fault.NotFound, "no-such-token", "There is no such token.")

// Standing is the live state behind an access token (I3).
type Standing struct {
	Token   AccessToken
	Client  Client
	Account Account // zero for client_credentials
	Grant   Grant   // likewise
	Active  bool
	Allowed []string // identity scopes that client and consent still carry: what claims asked for singly may come from
	Why     string   // why not
}

// Stand reads again whether an access token still counts: not denied, grant not ended, client enabled, account active,
// consent not withdrawn, session not ended where the client's tokens end with it. Scopes the person's roles no longer carry
// are taken out of Token.Scopes.
func Stand(ctx context.Context, tx Tx, t AccessToken) (Standing, error) {
	s := Standing{Token: t}
	if !tx.Now().Before(t.Ends) {
		s.Why = whyExpired
		return s, nil
	}
	if t.Grant != "" {
		return s.ofGrant(ctx, tx)
	}
	denied, err := tx.Denied(ctx, t.ID)
	if err != nil {
		return Standing{}, err
	}
	if denied {
		s.Why = "revoked"
		return s, nil
	}
	return s.ofClient(ctx, tx)
}

func (s Standing) ofClient(ctx context.Context, tx Tx) (_ Standing, err error) {
	if s.Client, err = orZero(tx.Client(ctx, s.Token.Client)); err != nil {
		return s, err
	}
	switch {
	case s.Client.ID == "" || s.Client.Disabled:
		s.Why = whyClosed
	case !s.Client.Allows(GrantClientCredentials) || s.Token.Account != "":
		s.Why = whyGrantType
	default:
		return s.narrowed(ctx, tx, rbac.AccountID(s.Client.ID), footing{client: Client{FirstParty: true, Scopes: s.Client.Scopes}})
	}
	return s, nil
}

func (s Standing) ofGrant(ctx context.Context, tx Tx) (Standing, error) {
	ground, err := orZero(tx.Ground(ctx, s.Token.Grant, s.Token.ID))
	if err != nil {
		return s, err
	}
	s.Grant = ground.Grant
	if g := ground.Grant; ground.Denied || g.State != GrantLive || g.Client != s.Token.Client || g.Account != s.Token.Account {
		s.Why = "revoked"
		return s, nil
	}
	st := ground.footing(tx.Now())
	s.Client, s.Account, s.Why = st.client, st.account, st.why
	if s.Why != "" {
		return s, nil
	}
	return s.narrowed(ctx, tx, rbac.AccountID(st.account.ID), st)
}

// narrowed leaves the scopes that client, consent and roles still carry.
func (s Standing) narrowed(ctx context.Context, tx Tx, holder rbac.AccountID, st footing) (Standing, error) {
	t, err := Issuing{}.narrow(ctx, tx, s.Client, holder, st.left(s.Token.Scopes), s.Token.Audience)
	if err != nil {
		return Standing{}, err
	}
	s.Token.Scopes, s.Active = t.Scopes, true
	s.Allowed = st.left(identityScopes)
	return s, nil
}

// FindOpaque finds an opaque access token; NotFound if it is unknown or has ended.
func FindOpaque(ctx context.Context, tx Tx, token string) (AccessToken, error) {
	if !strings.HasPrefix(token, accessPrefix) {
		return AccessToken{}, ErrNoToken
	}
	t, err := tx.AccessToken(ctx, hashToken(token))
	if err != nil {
		return AccessToken{}, err
	}
	if !tx.Now().Before(t.Ends) {
		return AccessToken{}, ErrNoToken
	}
	return t, nil
}

// Revoke ends what token names, if it was issued to client c (RFC 7009): a refresh token ends its family, an access token
// itself. parsed is the access token if the door could read it as one of our JWTs. Unknown and foreign tokens change nothing.
func (p Issuing) Revoke(ctx context.Context, tx Tx, c Client, token string, parsed *AccessToken, request string) error {
	if id, _, ok := p.readRefresh(token); ok {
		return revokeFamily(ctx, tx, c, id, request)
	}
	if parsed != nil {
		return revokeJWT(ctx, tx, c, *parsed, request)
	}
	t, err := FindOpaque(ctx, tx, token)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil || t.Client != c.ID {
		return err
	}
	ok, err := tx.DropAccessToken(ctx, hashToken(token))
	if err != nil || !ok {
		return err
	}
	return recordRevoked(ctx, tx, t, request)
}

func revokeFamily(ctx context.Context, tx Tx, c Client, id GrantID, request string) error {
	g, err := tx.Grant(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil || g.Client != c.ID {
		return err
	}
	ok, err := tx.EndGrant(ctx, g.ID, "revoked")
	if err != nil || !ok {
		return err
	}
	return tx.Record(ctx, g.event(audit.GrantRevoked, audit.OK, "revoked", c.ID.actor(), request, ""))
}

func revokeJWT(ctx context.Context, tx Tx, c Client, t AccessToken, request string) error {
	if t.Client != c.ID || t.ID == "" || !tx.Now().Before(t.Ends) {
		return nil
	}
	denied, err := tx.Denied(ctx, t.ID)
	if err != nil || denied {
		return err
	}
	if err := tx.Deny(ctx, t.ID, t.Ends); err != nil {
		return err
	}
	return recordRevoked(ctx, tx, t, request)
}

func recordRevoked(ctx context.Context, tx Tx, t AccessToken, request string) error {
	e := audit.Event{
		Kind: audit.TokenRevoked, Outcome: audit.OK, Actor: t.Client.actor(), Subject: t.Client.actor(), Client: string(t.Client),
		Session: string(t.Session), Grant: string(t.Grant), Request: request,
	}
	if t.Account != "" {
		e.Subject = t.Account.actor()
	}
	return tx.Record(ctx, e)
}
