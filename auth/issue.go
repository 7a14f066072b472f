package auth

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
)

// Issuing holds what grants need besides a transaction.
type Issuing struct {
	Issuer   string    // the audience of tokens that are for nobody else
	Key      Secret    // MAC key of refresh tokens, 32 bytes; the same on every replica
	Defaults Lifetimes // code 60 s, access token 5 min, ID token 5 min, refresh idle 14 d, absolute 90 d
}

// Refusals of the token endpoint. Each is an outcome: the transaction that found it commits.
var (
	ErrInvalidGrant = fault.New(fault.Unauthenticated, "invalid-grant", "The code or refresh token is not valid.")
	ErrScope        = fault.New(fault.Invalid, "invalid-scope", "A scope was asked for that was not granted.")
	ErrTarget       = fault.New(fault.Invalid, "invalid-target", "An audience was asked for that was not granted.")
	ErrGrantType    = fault.New(fault.Denied, "unauthorized-client", "The client may not use this grant.")
	ErrDenied       = fault.New(fault.Denied, "access-denied", "What this sign-in stood on no longer holds. Start again.")
)

// Authorization is what a finished sign-in grants an application.
type Authorization struct {
	Client      Client
	Session     Session
	RedirectURI string
	Challenge   string
	Nonce       string
	Requested   []string
	Scopes      []string // after consent and rights
	Resources   []string
	Claims      []byte
	Request     string // request identifier, for the event
	Source      string
}

// defaults are what a deployment gets that sets none.
var defaults = Lifetimes{
	Code: time.Minute, AccessToken: 5 * time.Minute, IDToken: 5 * time.Minute,
	RefreshIdle: 14 * 24 * time.Hour, RefreshAbsolute: 90 * 24 * time.Hour,
}

// LifetimesOf returns what c's tokens live: as registered, else as the deployment says.
func (p Issuing) LifetimesOf(c Client) Lifetimes {
	pick := func(of func(Lifetimes) time.Duration) time.Duration {
		for _, l := range []Lifetimes{c.Lifetimes, p.Defaults} {
			if of(l) > 0 {
				return of(l)
			}
		}
		return of(defaults)
	}
	return Lifetimes{
		Code:            pick(func(l Lifetimes) time.Duration { return l.Code }),
		AccessToken:     pick(func(l Lifetimes) time.Duration { return l.AccessToken }),
		IDToken:         pick(func(l Lifetimes) time.Duration { return l.IDToken }),
		RefreshIdle:     pick(func(l Lifetimes) time.Duration { return l.RefreshIdle }),
		RefreshAbsolute: pick(func(l Lifetimes) time.Duration { return l.RefreshAbsolute }),
	}
}

// Authorize writes the grant and its event and returns the code: "csc_" and 256 random bits, base64url. Only its hash is kept.
// Client, account, session and consent are read again: a Denied fault says that one of them no longer holds. Scopes and
// resources go through Audience; call it before to tell the application of ErrScope and ErrTarget early.
func (p Issuing) Authorize(ctx context.Context, tx Tx, a Authorization) (code string, g Grant, err error) {
	now := tx.Now()
	g = Grant{
		ID: GrantID(tx.NewID()), State: GrantPending, Client: a.Client.ID, Account: a.Session.Account, Session: a.Session.ID,
		RedirectURI: a.RedirectURI, Challenge: a.Challenge, Nonce: a.Nonce, Requested: a.Requested, Scopes: a.Scopes,
		Resources: a.Resources, Claims: a.Claims, AuthTime: a.Session.AuthTime, ACR: a.Session.ACR, AMR: a.Session.AMR, CreatedAt: now,
	}
	st, err := standing(ctx, tx, g)
	if err != nil {
		return "", Grant{}, err
	}
	switch {
	case st.why == "" && !a.Session.Live(now):
		st.why = whyOver
	case st.why == "" && !st.client.Allows(GrantCode):
		st.why = whyGrantType
	case st.why == "" && !st.covers(a.Scopes):
		st.why = whyConsent
	case st.why == "" && !st.client.MatchRedirect(a.RedirectURI):
		st.why = whyRedirect
	case st.why == "" && a.Challenge == "" && !st.client.PKCEOptional:
		st.why = whyPKCE
	}
	if st.why != "" {
		return "", Grant{}, ErrDenied.Because(errors.New(st.why))
	}
	t, err := p.Audience(ctx, tx, st.client, rbac.AccountID(st.account.ID), a.Scopes, a.Resources)
	if err != nil {
		return "", Grant{}, err
	}

	code = newToken(codePrefix)
	g.CodeHash, g.CodeEnds = hashToken(code), now.Add(p.LifetimesOf(st.client).Code)
	g.Scopes, g.Resources = t.Scopes, t.Resources
	if err := tx.AddGrant(ctx, g); err != nil {
		return "", Grant{}, err
	}
	return code, g, tx.Record(ctx, g.event(audit.GrantStarted, audit.OK, "", g.Account.actor(), a.Request, a.Source))
}

// event tells of a grant; source is the address a request came from.
func (g Grant) event(kind audit.Kind, outcome audit.Outcome, code, actor, request, source string) audit.Event {
	return audit.Event{
		Kind: kind, Outcome: outcome, Code: code, Actor: actor, Subject: g.Account.actor(), Client: string(g.Client),
		Session: string(g.Session), Grant: string(g.ID), Request: request, Personal: personal(audit.Address, source),
	}
}

// The reasons for which a grant yields nothing, as events tell them; applications learn invalid_grant alone.
const (
	whyClient     = "wrong-client"
	whyClosed     = "client-disabled"
	whyGrantType  = "unauthorized-client"
	whyRedirect   = "wrong-redirect"
	whyVerifier   = "wrong-verifier"
	whyPKCE       = "pkce-required"
	whyExpired    = "expired"
	whyConsent    = "consent-required"
	whyReused     = "reused"
	whySuperseded = "superseded"
)

// footing is what a grant stands on, read again (I3).
type footing struct {
	client  Client
	account Account
	consent Consent
	why     string // why it stands no more; empty while it does
}

// footing says at now whether a grant stands. A first-party client needs no consent. The session counts where the client's tokens
// end with it: by its end or its absolute limit; being idle at our pages is no reason to stop an application in use.
func (d Ground) footing(now time.Time) footing {
	st := footing{client: d.Client, account: d.Account, consent: d.Consent}
	switch {
	case d.Client.ID == "" || d.Client.Disabled:
		st.why = whyClosed
	case !d.Account.Active():
		st.why = whyDisabled
	case !d.Client.FirstParty && d.Consent.Client == "":
		st.why = whyConsent
	case (d.Client.endsWithSession() || d.Grant.State == GrantPending) && d.Session.over(now):
		st.why = whyOver
	}
	return st
}

// over reports whether s is missing, ended or at its absolute limit.
func (s Session) over(now time.Time) bool {
	return s.ID == "" || !s.EndedAt.IsZero() || !now.Before(s.Ends)
}

// standing reads what a grant that is not stored yet will stand on.
func standing(ctx context.Context, tx Tx, g Grant) (footing, error) {
	d := Ground{Grant: g}
	var errs [4]error
	d.Client, errs[0] = orZero(tx.Client(ctx, g.Client))
	d.Account, errs[1] = orZero(tx.Account(ctx, g.Account))
	d.Session, errs[2] = orZero(tx.Session(ctx, g.Session))
	if !d.Client.FirstParty {
		d.Consent, errs[3] = orZero(tx.Consent(ctx, g.Account, g.Client))
	}
	return d.footing(tx.Now()), errors.Join(errs[:]...)
}

// orZero turns what is missing into its zero value.
func orZero[T any](v T, err error) (T, error) {
	if fault.Is(err, fault.NotFound) {
		var none T
		return none, nil
	}
	return v, err
}

// covers reports whether every scope was consented to, or needs no consent.
func (st footing) covers(scopes []string) bool {
	return st.client.FirstParty || st.consent.Covers(scopes)
}

// left returns those of scopes that the client may still have and the person still allows.
func (st footing) left(scopes []string) []string {
	var left []string
	for _, s := range scopes {
		if slices.Contains(st.client.Scopes, s) && (st.client.FirstParty || slices.Contains(st.consent.Scopes, s)) {
			left = append(left, s)
		}
	}
	return left
}

// mint narrows g to what is asked and what still stands, and makes the access token of it. Nothing is ever added: asked scopes
// and resources have to be g's.
func (p Issuing) mint(ctx context.Context, tx Tx, g Grant, st footing, scopes, resources []string) (AccessToken, *fault.Error, error) {
	if !subset(scopes, g.Scopes) {
		return AccessToken{}, ErrScope, nil
	}
	if !subset(resources, g.Resources) {
		return AccessToken{}, ErrTarget, nil
	}
	if len(scopes) == 0 {
		scopes = g.Scopes
	}
	if len(resources) == 0 {
		resources = g.Resources
	}
	t, err := p.narrow(ctx, tx, st.client, rbac.AccountID(st.account.ID), st.left(scopes), resources)
	if err != nil {
		return AccessToken{}, nil, err
	}
	now := tx.Now()
	return AccessToken{
		ID: string(g.ID) + "." + randomText(16), Grant: g.ID, Client: g.Client, Account: g.Account, Session: g.Session,
		Scopes: t.Scopes, Audience: t.Audience, AuthTime: g.AuthTime, ACR: g.ACR, AMR: g.AMR,
		IssuedAt: now, Ends: now.Add(p.LifetimesOf(st.client).AccessToken),
	}, nil, nil
}

func subset(part, whole []string) bool {
	return !slices.ContainsFunc(part, func(s string) bool { return !slices.Contains(whole, s) })
}

// ClientToken returns the access token of a client_credentials grant. Nothing is written.
func (p Issuing) ClientToken(ctx context.Context, tx Tx, c Client, scopes, resources []string) (AccessToken, error) {
	c, err := tx.Client(ctx, c.ID)
	if err != nil {
		return AccessToken{}, err
	}
	if !c.Confidential() || !c.Allows(GrantClientCredentials) {
		return AccessToken{}, ErrGrantType
	}
	// There is no person here to identify and none to be away (OpenID Connect Core §3.1.2.1, §11).
	if slices.Contains(scopes, "openid") || slices.Contains(scopes, OfflineAccess) {
		return AccessToken{}, ErrScope
	}
	t, err := p.Audience(ctx, tx, c, rbac.AccountID(c.ID), scopes, resources)
	if err != nil {
		return AccessToken{}, err
	}
	now := tx.Now()
	return AccessToken{
		ID: randomText(16), Client: c.ID, Scopes: t.Scopes, Audience: t.Audience,
		IssuedAt: now, Ends: now.Add(p.LifetimesOf(c).AccessToken),
	}, nil
}

// StoreAccess keeps an opaque access token: "csa_" and 256 random bits, of which only the hash is kept.
func StoreAccess(ctx context.Context, tx Tx, t AccessToken) (token string, err error) {
	token = newToken(accessPrefix)
	return token, tx.AddAccessToken(ctx, hashToken(token), t)
}
