package auth

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
)

// consider says what of f's scopes its account can be granted and has allowed, and whether it has to be asked before c gets
// anything. What a person's roles do not carry is neither asked nor granted: nobody is to allow what they do not have.
func (f Flow) consider(ctx context.Context, tx Tx, c Client) (Flow, error) {
	f.NeedConsent, f.Consented, f.Allowed = false, false, nil
	if c.ID == "" {
		return f, nil
	}
	t, err := Issuing{}.narrow(ctx, tx, c, rbac.AccountID(f.Account), f.Scopes, c.Resources)
	if err != nil {
		return f, err
	}
	f.Offered = t.Scopes
	if c.FirstParty {
		f.Allowed = f.Offered
		return f, nil
	}
	given, err := tx.Consent(ctx, f.Account, c.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return f, err
	}
	for _, s := range f.Offered {
		if slices.Contains(given.Scopes, s) {
			f.Allowed = append(f.Allowed, s)
		}
	}
	f.NeedConsent = f.AskConsent || given.Account == "" || !given.Answers(f.Offered)
	return f, nil
}

// AllowScopes records what the person allowed on the consent page: the required scopes and those ticked. Earlier consents to
// scopes not asked for this time stay.
func AllowScopes(ctx context.Context, tx Tx, f Flow, scopes []string) (Flow, error) {
	if f.Next() != Allow {
		return f, ErrStep
	}
	for _, s := range scopes {
		if !slices.Contains(f.Offered, s) {
			return f, ErrScope
		}
	}
	if err := tx.LockAccount(ctx, f.Account); err != nil { // before the flow, as Establish does
		return f, err
	}
	f.Allowed = nil
	for _, s := range f.Offered {
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
	given.Scopes = replaced(given.Scopes, f.Offered, f.Allowed)
	given.Declined = replaced(given.Declined, f.Offered, without(f.Offered, f.Allowed))
	given.UpdatedAt = tx.Now()
	if err := tx.PutConsent(ctx, given); err != nil {
		return err
	}
	return tx.Record(ctx, audit.Event{
		Kind: audit.ConsentGiven, Outcome: audit.OK, Actor: f.Account.actor(), Subject: f.Account.actor(), Client: string(f.Client),
		Detail: map[string]string{"scopes": strings.Join(f.Allowed, " ")},
	})
}

// replaced is list with what was said of the scopes asked this time in place of what was said of them before; sorted.
func replaced(list, asked, said []string) []string {
	all := append(without(list, asked), said...)
	slices.Sort(all)
	return slices.Compact(all)
}

func without(list, out []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(out, s) })
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
