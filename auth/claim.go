package auth

import (
	"slices"
	"strings"

	"github.com/countersign-id/countersign/internal/fault"
)

// claimFields are the fields a claim may come from, in the words of `--claim`.
var claimFields = map[string]func(Account) string{
	"username":            func(a Account) string { return a.Username },
	"profile.name":        func(a Account) string { return a.Profile.Name },
	"profile.given_name":  func(a Account) string { return a.Profile.GivenName },
	"profile.family_name": func(a Account) string { return a.Profile.FamilyName },
	"profile.middle_name": func(a Account) string { return a.Profile.MiddleName },
	"profile.nickname":    func(a Account) string { return a.Profile.Nickname },
	"profile.email":       func(a Account) string { return a.Profile.Email },
	"profile.phone":       func(a Account) string { return a.Profile.Phone },
	"profile.zoneinfo":    func(a Account) string { return a.Profile.Zoneinfo },
	"profile.locale":      func(a Account) string { return a.Profile.Locale },
}

// reservedClaims belong to the protocol: a rule that set one could forge a subject, an audience or an authentication.
var reservedClaims = []string{
	"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "auth_time", "acr", "amr", "azp", "sid", "at_hash", "c_hash", "s_hash",
	"client_id", "scope", "cnf", "act", "may_act", "typ", "events", "roles", "groups", "entitlements",
}

// ParseClaimRule reads NAME=FIELD[@id_token|@userinfo|@access_token].
func ParseClaimRule(text string) (ClaimRule, error) {
	name, field, ok := strings.Cut(text, "=")
	field, in, _ := strings.Cut(field, "@")
	r := ClaimRule{Name: name, Field: field, In: in}
	if !ok {
		return r, errClaim.Saying("A claim rule is NAME=FIELD, such as nickname=username.")
	}
	return r, r.check()
}

var errClaim = fault.New(fault.Invalid, "bad-claim", "The claim rule is not valid.").At("claim")

func (r ClaimRule) check() error {
	switch {
	case r.Name == "" || len(r.Name) > 100 || strings.ContainsFunc(r.Name, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }):
		return errClaim.Saying("A claim's name is 1 to 100 printable characters without spaces.")
	case slices.ContainsFunc(reservedClaims, func(own string) bool { return strings.EqualFold(own, r.Name) }): // readers differ on case
		return errClaim.Saying("The claim " + r.Name + " belongs to the protocol and cannot be mapped.")
	case claimFields[r.Field] == nil:
		return errClaim.Saying("There is no field " + r.Field + "; see docs/cli.md for those there are.")
	case !slices.Contains([]string{"", "id_token", "userinfo", "access_token"}, r.In):
		return errClaim.Saying("A claim goes into id_token, userinfo or access_token.")
	}
	return nil
}

// Goes reports whether the rule's claim belongs in doc: "id_token", "userinfo" or "access_token".
func (r ClaimRule) Goes(doc string) bool {
	return r.In == doc || r.In == "" && (doc == "id_token" || doc == "userinfo")
}

// Value is the claim's value for an account; empty means that the claim is left out.
func (r ClaimRule) Value(a Account) string {
	read := claimFields[r.Field]
	if read == nil {
		return ""
	}
	return read(a)
}
