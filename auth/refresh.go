package auth

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
)

var errGrantID = errors.New("grant id is no UUID")

// Renewal is a refresh token presented at the token endpoint.
type Renewal struct {
	Client    Client
	Token     string
	Scopes    []string // must be within the grant's; none: all
	Resources []string
	Request   string
	Source    string
}

// Refresh spends a refresh token and issues its successor (RFC 6749 §6, RFC 9700 §4.14). A used one ends the family, except a
// retry within the client's leeway. Account, client, consent, session (where the client's tokens end with it) and rights are read
// again: what was withdrawn is not issued.
func (p Issuing) Refresh(ctx context.Context, tx Tx, r Renewal) (Issued, error) {
	id, generation, ok := p.readRefresh(r.Token)
	if !ok {
		return Issued{Refused: ErrInvalidGrant}, nil
	}
	// Whoever loses the race for the row looks at it again: within the leeway it is a retry, else a reuse. A row can be lost
	// only to a use that counted, so a few rounds are enough for any number of racers.
	for range maxRounds {
		issued, lost, err := p.refresh(ctx, tx, r, id, generation)
		if err != nil || !lost {
			return issued, err
		}
	}
	return Issued{}, ErrBusy
}

const maxRounds = 8

func (p Issuing) refresh(ctx context.Context, tx Tx, r Renewal, id GrantID, generation int) (issued Issued, lost bool, err error) {
	ground, err := tx.Ground(ctx, id, "")
	if fault.Is(err, fault.NotFound) {
		return Issued{Refused: ErrInvalidGrant}, false, nil
	}
	if err != nil {
		return Issued{}, false, err
	}
	g, st := ground.Grant, ground.footing(tx.Now())
	no := refusal{actor: r.Client.ID.actor(), request: r.Request, source: r.Source}
	if g.Client != r.Client.ID {
		// The token is true and in the hands of another client: it leaked. The family ends, as a code's would.
		issued, err := no.end(ctx, tx, g, whyClient)
		return issued, false, err
	}
	if why := g.presented(generation, tx.Now(), st.client.RefreshLeeway); why != "" {
		issued, err := no.end(ctx, tx, g, why)
		return issued, false, err
	}
	if why := st.refreshable(g); why != "" { // what it stood on is gone, and does not come back to this family
		issued, err := no.end(ctx, tx, g, why)
		return issued, false, err
	}
	access, refused, err := p.mint(ctx, tx, g, st, r.Scopes, r.Resources)
	if err != nil {
		return Issued{}, false, err
	}
	if refused != nil {
		return Issued{Refused: refused}, false, nil
	}

	from := g.Generation
	g = g.claim(generation, tx.Now(), p.LifetimesOf(st.client), st.client.NoRotation)
	token, err := p.successor(g, from)
	if err != nil {
		return Issued{}, false, err
	}
	won, err := tx.RotateGrant(ctx, g, from)
	if err != nil || !won {
		return Issued{}, !won, err
	}
	return Issued{Grant: g, Account: st.account, Access: access, RefreshToken: token, Allowed: st.left(identityScopes)}, false,
		tx.Record(ctx, g.event(audit.GrantRefreshed, audit.OK, "", no.actor, r.Request, r.Source))
}

// successor returns the token of g's generation, if that is a new one.
func (p Issuing) successor(g Grant, from int) (string, error) {
	if g.Generation == from {
		return "", nil
	}
	token, ok := p.refreshToken(g.ID, g.Generation)
	if !ok {
		return "", errGrantID
	}
	return token, nil
}

// presented says why generation yields nothing at now; empty if it does. Any generation of the family that is not the valid
// one has been used, or was replaced before its response arrived: presenting it is a reuse. The exception is a retry: the
// newest used generation, within leeway of its use, while the successor it yielded has not been used.
func (g Grant) presented(generation int, now time.Time, leeway time.Duration) string {
	retry := generation == g.Claimed && g.Claimed > 0 && now.Before(g.RotatedAt.Add(leeway))
	switch {
	case g.State != GrantLive:
		return whySuperseded
	case generation != g.Generation && !retry:
		return whyReused
	case !g.Refreshable(now):
		return whyExpired
	}
	return ""
}

// claim is g after generation was used: its successor is valid, its idle end moved, its absolute end where it was (sec-P35). A
// retry does not move the time its leeway counts from, so that retrying cannot stretch it.
func (g Grant) claim(generation int, now time.Time, life Lifetimes, keep bool) Grant {
	g.IdleEnds = earlier(now.Add(life.RefreshIdle), g.RefreshEnds)
	if keep {
		return g
	}
	if generation == g.Generation {
		g.Claimed, g.RotatedAt = generation, now
	}
	g.Generation++
	return g
}

// refreshable says why what g stands on does not carry a refresh.
func (st footing) refreshable(g Grant) string {
	switch {
	case st.why != "":
		return st.why
	case !st.client.Allows(GrantRefresh):
		return whyGrantType
	case !slices.Contains(st.left(g.Scopes), OfflineAccess):
		return whyConsent
	}
	return ""
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// FindRefresh finds the grant of a refresh token that is valid now, without spending it; NotFound otherwise.
func (p Issuing) FindRefresh(ctx context.Context, tx Tx, token string) (Grant, error) {
	id, generation, ok := p.readRefresh(token)
	if !ok {
		return Grant{}, ErrNoToken
	}
	ground, err := tx.Ground(ctx, id, "")
	if err != nil {
		return Grant{}, err
	}
	g, st := ground.Grant, ground.footing(tx.Now())
	if generation != g.Generation || !g.Refreshable(tx.Now()) || st.refreshable(g) != "" {
		return Grant{}, ErrNoToken
	}
	return g, nil
}
