package oidc

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/countersign-id/countersign/auth"
)

// Rules of claims about a person:
//   - the scopes profile, email, address and phone are answered by userinfo; the ID token stays small (oidc-A11);
//   - the claims parameter picks single claims for either, within the scopes the person allowed;
//   - a client's claim rules put what they name where they say;
//   - an empty value is left out, never sent as "" or null.

// Where a claim may appear.
const (
	inIDToken     = "id_token"
	inUserinfo    = "userinfo"
	inAccessToken = "access_token"
)

const (
	maxClaims      = 8 << 10 // bytes of the claims parameter
	maxClaimNames  = 64
	maxClaimValues = 16
)

// claimsRequest is the claims parameter (OpenID Connect Core §5.5).
type claimsRequest struct {
	Userinfo map[string]*claimRequest `json:"userinfo,omitempty"`
	IDToken  map[string]*claimRequest `json:"id_token,omitempty"`
}

type claimRequest struct {
	Essential bool              `json:"essential,omitempty"`
	Value     json.RawMessage   `json:"value,omitempty"`
	Values    []json.RawMessage `json:"values,omitempty"`
}

// strings are the values asked for that are strings, in order of preference.
func (c *claimRequest) strings() []string {
	var all []string
	for _, raw := range append(c.Values[:len(c.Values):len(c.Values)], c.Value) {
		var s string
		if json.Unmarshal(raw, &s) == nil && s != "" {
			all = append(all, s)
		}
	}
	return all
}

var errClaims = errors.New("claims parameter")

// parseClaims reads a claims parameter, within bounds. Members it does not know are ignored.
func parseClaims(v string) (claimsRequest, error) {
	var c claimsRequest
	if v == "" {
		return c, nil
	}
	if len(v) > maxClaims || !strings.HasPrefix(strings.TrimLeft(v, " \t\r\n"), "{") {
		return c, errClaims
	}
	if err := json.Unmarshal([]byte(v), &c); err != nil {
		return claimsRequest{}, errClaims
	}
	for _, part := range []map[string]*claimRequest{c.Userinfo, c.IDToken} {
		if len(part) > maxClaimNames {
			return claimsRequest{}, errClaims
		}
		for _, one := range part {
			if one != nil && len(one.Values) > maxClaimValues {
				return claimsRequest{}, errClaims
			}
		}
	}
	return c, nil
}

// scopes are the scopes that the claims asked for belong to.
func (c claimsRequest) scopes() []string {
	var all []string
	for _, part := range []map[string]*claimRequest{c.Userinfo, c.IDToken} {
		for name := range part {
			if s := scopeOfClaim[name]; s != "" && !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	slices.Sort(all)
	return all
}

// within returns c as canonical JSON, with only the claims whose scope was allowed; nil if none is left.
func (c claimsRequest) within(allowed []string) []byte {
	keep := func(part map[string]*claimRequest) map[string]*claimRequest {
		out := maps.Clone(part)
		maps.DeleteFunc(out, func(name string, _ *claimRequest) bool {
			s, ok := scopeOfClaim[name]
			return !ok || !slices.Contains(allowed, s)
		})
		return out
	}
	kept := claimsRequest{Userinfo: keep(c.Userinfo), IDToken: keep(c.IDToken)}
	if len(kept.Userinfo)+len(kept.IDToken) == 0 {
		return nil
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		return nil
	}
	return raw
}

// scopeClaims lists the standard claims by the scope that asks for them (OpenID Connect Core §5.4).
var scopeClaims = map[string][]string{
	"profile": {
		"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
		"website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
	},
	"email":   {"email", "email_verified"},
	"address": {"address"},
	"phone":   {"phone_number", "phone_number_verified"},
}

var scopeOfClaim = func() map[string]string {
	all := map[string]string{}
	for scope, names := range scopeClaims {
		for _, name := range names {
			all[name] = scope
		}
	}
	return all
}()

// standardClaims are all we know of a person, by claim name (OpenID Connect Core §5.1). Empty ones are absent.
func standardClaims(a auth.Account) map[string]any {
	p := a.Profile
	all := map[string]any{
		"name": p.Name, "family_name": p.FamilyName, "given_name": p.GivenName, "middle_name": p.MiddleName,
		"nickname": p.Nickname, "preferred_username": a.Username, "profile": p.Page, "picture": p.Picture,
		"website": p.Website, "gender": p.Gender, "birthdate": p.Birthdate, "zoneinfo": p.Zoneinfo, "locale": p.Locale,
		"email": p.Email, "phone_number": p.Phone,
	}
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == "" })
	if p.Email != "" {
		all["email_verified"] = p.EmailVerified
	}
	if p.Phone != "" {
		all["phone_number_verified"] = p.PhoneVerified
	}
	if !a.UpdatedAt.IsZero() {
		all["updated_at"] = a.UpdatedAt.Unix()
	}
	address := map[string]any{
		"formatted": p.Address.Formatted, "street_address": p.Address.Street, "locality": p.Address.Locality,
		"region": p.Address.Region, "postal_code": p.Address.PostalCode, "country": p.Address.Country,
	}
	maps.DeleteFunc(address, func(_ string, v any) bool { return v == "" })
	if len(address) > 0 {
		all["address"] = address
	}
	return all
}

// personClaims returns what is said about a person in one place: by scope (userinfo alone), by asked, the claims
// parameter as the grant keeps it, as far as allowed still carries it, and by the client's rules.
func personClaims(where string, c auth.Client, a auth.Account, scopes, allowed []string, asked []byte) map[string]any {
	out := map[string]any{}
	if where != inUserinfo && len(asked)+len(c.Claims) == 0 {
		return out
	}
	known := standardClaims(a)
	take := func(name string) {
		if v, ok := known[name]; ok {
			out[name] = v
		}
	}
	if where == inUserinfo {
		for _, s := range scopes {
			for _, name := range scopeClaims[s] {
				take(name)
			}
		}
	}
	for name := range askedFor(where, asked) {
		if slices.Contains(allowed, scopeOfClaim[name]) { // what was withdrawn since is not given out (I3)
			take(name)
		}
	}
	for _, rule := range c.Claims {
		if v := rule.Value(a); v != "" && rule.Goes(where) {
			out[rule.Name] = v
		}
	}
	return out
}

func askedFor(where string, asked []byte) map[string]*claimRequest {
	var c claimsRequest
	if len(asked) == 0 || json.Unmarshal(asked, &c) != nil {
		return nil
	}
	switch where {
	case inIDToken:
		return c.IDToken
	case inUserinfo:
		return c.Userinfo
	}
	return nil
}
