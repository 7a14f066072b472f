package auth

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
)

// needConsent says whether f's account has to be asked before c gets what f asks for.
func needConsent(ctx context.Context, tx Tx, f Flow, c Client) (bool, error) {
	switch {
	case c.ID == "" || c.FirstParty:
		return false, nil
	case f.AskConsent:
		return true, nil
	}
	given, err := tx.Consent(ctx, f.Account, c.ID)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	return !given.Covers(f.Scopes), err
}

// AllowScopes records what the person allowed on the consent page: the required scopes and those ticked. Earlier consents to
// scopes not asked for this time stay.
func AllowScopes(ctx context.Context, tx Tx, f Flow, scopes []string) (Flow, error) {
	if f.Next() != Allow {
		return f, ErrStep
	}
	for _, s := range scopes {
		if !slices.Contains(f.Scopes, s) {
			return f, ErrScope
		}
	}
	if err := tx.LockAccount(ctx, f.Account); err != nil { // before the flow, as Establish does
		return f, err
	}
	f.Allowed = nil
	for _, s := range f.Scopes {
		if RequiredScope(s) || slices.Contains(scopes, s) {
			f.Allowed = append(f.Allowed, s)
		}
	}
	f.Consented = true
	if err := keepOn(ctx, tx, f); err != nil {
		return f, err
	}
	return f, giveConsent(ctx, tx, f)
}

// RequiredScope reports whether the consent page offers no choice about scope: without it nothing is granted at all.
func RequiredScope(scope string) bool { return scope == "openid" }

func giveConsent(ctx context.Context, tx Tx, f Flow) error {
	given, err := tx.Consent(ctx, f.Account, f.Client)
	switch {
	case fault.Is(err, fault.NotFound):
		given = Consent{Account: f.Account, Client: f.Client, GivenAt: tx.Now()}
	case err != nil:
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(given.Scopes), func(s string) bool { return slices.Contains(f.Scopes, s) })
	given.Scopes = append(kept, f.Allowed...)
	slices.Sort(given.Scopes)
	given.Scopes = slices.Compact(given.Scopes)
	given.UpdatedAt = tx.Now()
	if err := tx.PutConsent(ctx, given); err != nil {
		return err
	}
	return tx.Record(ctx, audit.Event{
		Kind: audit.ConsentGiven, Outcome: audit.OK, Actor: f.Account.actor(), Subject: f.Account.actor(), Client: string(f.Client),
		Detail: map[string]string{"scopes": strings.Join(f.Allowed, " ")},
	})
}

// Withdraw takes back an account's consent to a client and ends its grants.
func Withdraw(ctx context.Context, tx Tx, by string, a AccountID, c ClientID) error {
	if err := tx.LockAccount(ctx, a); err != nil {
		return err
	}
	ok, err := tx.DropConsent(ctx, a, c)
	if err != nil {
		return err
	}
	// Grants end whether or not a consent was there: a first-party client has none, and its owner may still want it out.
	ended, err := ending{by: by, account: a, why: "consent-withdrawn"}.grants(ctx, tx, GrantFilter{Account: a, Client: c})
	if err != nil || !ok && ended == 0 {
		return err
	}
	return tx.Record(ctx, audit.Event{
		Kind: audit.ConsentWithdrawn, Outcome: audit.OK, Actor: by, Subject: a.actor(), Client: string(c),
		Detail: map[string]string{"grants": strconv.Itoa(ended)},
	})
}
