package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strings"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
)

// Redemption is a code presented at the token endpoint by an authenticated client.
type Redemption struct {
	Client      Client
	Code        string
	RedirectURI string
	Verifier    string
	Scopes      []string // none: all that were granted
	Resources   []string // none: all that were granted
	Request     string
	Source      string
}

// Issued is what the token endpoint may now mint. Refused is set instead when the answer is no. Where Grant has no ID then, no
// grant changed and no event was written: the door hands an audit.GrantRefused to the coalescer.
type Issued struct {
	Grant        Grant
	Account      Account
	Access       AccessToken // its form (JWT or opaque) is the door's; an opaque one is stored by StoreAccess in the same transaction
	RefreshToken string      // empty: none
	Allowed      []string    // as Standing.Allowed
	Refused      *fault.Error
}

// Redeem spends a code (RFC 6749 §4.1.3, RFC 7636 §4.6). A wrong client, redirect address or verifier burns the code; a second
// use ends the grant and everything issued from it. All of these are Refused outcomes: commit them.
func (p Issuing) Redeem(ctx context.Context, tx Tx, r Redemption) (Issued, error) {
	if !strings.HasPrefix(r.Code, codePrefix) {
		return Issued{Refused: ErrInvalidGrant}, nil
	}
	ground, err := tx.GroundByCode(ctx, hashToken(r.Code))
	if fault.Is(err, fault.NotFound) {
		return Issued{Refused: ErrInvalidGrant}, nil
	}
	if err != nil {
		return Issued{}, err
	}
	g := ground.Grant
	no := refusal{actor: r.Client.ID.actor(), request: r.Request, source: r.Source}
	if why := r.mismatch(g, tx); why != "" {
		return no.end(ctx, tx, g, why)
	}
	st := ground.footing(tx.Now())
	if st.why == "" && !st.client.Allows(GrantCode) {
		st.why = whyGrantType
	}
	if st.why != "" {
		return no.end(ctx, tx, g, st.why)
	}
	access, refused, err := p.mint(ctx, tx, g, st, r.Scopes, r.Resources)
	if err != nil {
		return Issued{}, err
	}
	if refused != nil {
		return Issued{Refused: refused}, nil // the code is good, the request asks for too much: it may try again
	}

	now, life := tx.Now(), p.LifetimesOf(st.client)
	g.State, g.RedeemedAt = GrantLive, now
	var token string
	if slices.Contains(st.left(g.Scopes), OfflineAccess) && st.client.Allows(GrantRefresh) {
		g.Generation, g.RotatedAt, g.RefreshEnds = 1, now, now.Add(life.RefreshAbsolute)
		g.IdleEnds = earlier(now.Add(life.RefreshIdle), g.RefreshEnds)
		if token, err = p.successor(g, 0); err != nil {
			return Issued{}, err
		}
	}
	won, err := tx.RedeemGrant(ctx, g)
	if err != nil {
		return Issued{}, err
	}
	if !won { // somebody else redeemed it since we read: we are the second use
		return no.end(ctx, tx, g, whyReused)
	}
	return Issued{Grant: g, Account: st.account, Access: access, RefreshToken: token, Allowed: st.left(identityScopes)},
		tx.Record(ctx, g.event(audit.GrantRedeemed, audit.OK, "", no.actor, r.Request, r.Source))
}

// mismatch says what about a presented code is not as it was authorized. The order does not matter to an application: each is
// invalid_grant and burns the code, because a code that comes with anything wrong has been in wrong hands.
func (r Redemption) mismatch(g Grant, tx Tx) string {
	switch {
	case g.State != GrantPending:
		return whyReused
	case g.Client != r.Client.ID:
		return whyClient
	case !tx.Now().Before(g.CodeEnds):
		return whyExpired
	case g.RedirectURI != r.RedirectURI:
		return whyRedirect
	case g.Challenge == "" && !r.Client.PKCEOptional:
		return whyPKCE
	case !verifies(r.Verifier, g.Challenge):
		return whyVerifier
	}
	return ""
}

// verifies checks a PKCE verifier (RFC 7636 §4.6). None may come where no challenge was sent: a challenge stripped from the
// request on its way would otherwise pass unseen (RFC 9700 §2.1.1).
func verifies(verifier, challenge string) bool {
	if challenge == "" {
		return verifier == ""
	}
	if len(verifier) < 43 || len(verifier) > 128 || strings.ContainsFunc(verifier, func(c rune) bool { return !unreserved(c) }) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(tokenText.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// refusal is a no of the token endpoint to whoever presented something.
type refusal struct{ actor, request, source string }

// end ends g and tells of it: as a reuse where what was presented had been used before. A grant that has ended already stays
// as it is, and no second event is written, so that nobody fills the log with one dead token: Issued.Grant is then empty.
func (n refusal) end(ctx context.Context, tx Tx, g Grant, why string) (Issued, error) {
	ended, err := tx.EndGrant(ctx, g.ID, why)
	if err != nil || !ended {
		return Issued{Refused: ErrInvalidGrant}, err
	}
	if why != whyReused {
		err := tx.Record(ctx, g.event(audit.GrantRefused, audit.Refused, why, n.actor, n.request, n.source))
		return Issued{Grant: g, Refused: ErrInvalidGrant}, err
	}
	err = tx.Record(ctx, g.event(audit.GrantReused, audit.Refused, why, n.actor, n.request, n.source))
	if err != nil {
		return Issued{}, err
	}
	return Issued{Grant: g, Refused: ErrInvalidGrant}, tx.Notify(ctx, Message{
		Account: g.Account, Text: "grant-reused", Detail: map[string]string{"client": string(g.Client)},
	})
}
