// Package demo is the organisation that `countersign demo` shows: six people, their roles, and Ledger's registration.
// None of it exists in a served deployment.
package demo

import (
	"context"
	"slices"
	"strings"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/auth/totp"
	"github.com/countersign-id/countersign/internal/demo/ledger"
	"github.com/countersign-id/countersign/rbac"
	"github.com/countersign-id/countersign/store"
)

// Password is every demo account's password. The seed is the only writer exempt from the blocklist, which knows it.
const Password = "correct horse battery staple"

// LedgerID is Ledger's client identifier.
const LedgerID auth.ClientID = "ledger"

// Person is one of the demo's people.
type Person struct {
	Username, Name string
	Roles          []string
	Try            string
}

// People are the demo's accounts, in the order of its table.
var People = []Person{
	{"clerk", "Noor Haddad", []string{"ap-clerk"}, "Open Ledger and enter an invoice; approving is not offered."},
	{"approver", "Ingrid Solberg", []string{"ap-approver"}, "Approve the clerk's invoice; entering is not offered."},
	{"controller", "Li Wei 李薇", []string{"controller"}, "Approve and pay, and open the reports."},
	{"sysadmin", "Tomás Ferreira", []string{rbac.SystemAdministrator}, "Sign in and look at the account pages."},
	{"secadmin", "Amara Okafor", []string{rbac.SecurityAdministrator}, "Sign in and look at the account pages."},
	{"auditor", "Jonas Weber", []string{rbac.Auditor, "ledger-auditor"}, "Open Ledger: reports, and nothing that changes anything."},
}

// Administrators are the accounts that hold administrative power. Each has an authenticator app from the first start; what policy asks of
// them it asks here too.
func Administrators() (names []string) {
	for _, p := range People {
		if slices.ContainsFunc(p.Roles, func(role string) bool {
			return slices.ContainsFunc(rbac.BuiltIn(), func(b rbac.PlainRole) bool { return b.Name == role })
		}) {
			names = append(names, p.Username)
		}
	}
	return names
}

// roles are Ledger's duties as plain named permission sets; the three administrators' are built in.
var roles = []rbac.PlainRole{
	{Name: "ap-clerk", Title: "Accounts payable clerk", Permissions: []string{"ledger/invoice:read", "ledger/invoice:enter"}},
	{Name: "ap-approver", Title: "Accounts payable approver", Permissions: []string{"ledger/invoice:read", "ledger/invoice:approve"}},
	{Name: "controller", Title: "Controller", Permissions: []string{"ledger/invoice:read", "ledger/invoice:approve", "ledger/invoice:pay", "ledger/report:read"}},
	{Name: "ledger-auditor", Title: "Ledger auditor", Permissions: []string{"ledger/invoice:read", "ledger/report:read"}},
}

// server is Ledger's API: what may be asked for, and the permission each scope stands for.
var server = rbac.ResourceServer{
	Audience: ledger.Audience, Title: "Ledger",
	Scopes: []rbac.Scope{
		{Name: ledger.ReadInvoices, Title: "See invoices", Permission: "ledger/invoice:read"},
		{Name: ledger.EnterInvoices, Title: "Enter invoices", Permission: "ledger/invoice:enter"},
		{Name: ledger.ApproveInvoices, Title: "Approve invoices", Permission: "ledger/invoice:approve"},
		{Name: ledger.PayInvoices, Title: "Pay invoices", Permission: "ledger/invoice:pay"},
		{Name: ledger.ReadReports, Title: "See reports", Permission: "ledger/report:read"},
	},
}

// Setup is what the seed needs besides the database.
type Setup struct {
	Hash    string   // of Password, at the deployment's parameters, made outside the transaction
	Ledgers []string // addresses Ledger is reached at, without a slash at the end
}

// Seed fills an empty database. It reports false, and changes nothing, where accounts exist already. The secret it returns
// is Ledger's; only its hash is kept.
func Seed(ctx context.Context, tx *store.Tx, s Setup) (auth.Secret, bool, error) {
	if n, err := tx.CountAccounts(ctx); err != nil || n > 0 {
		return nil, false, err
	}
	const by = "local:demo"
	if err := rbac.AddServer(ctx, tx, by, server); err != nil {
		return nil, false, err
	}
	for _, r := range append(rbac.BuiltIn(), roles...) {
		if err := rbac.AddRole(ctx, tx, by, r); err != nil {
			return nil, false, err
		}
	}
	for _, p := range People {
		given, family, _ := strings.Cut(p.Name, " ")
		a, err := auth.AddAccount(ctx, tx, by, auth.NewAccount{Username: p.Username, Hash: s.Hash, Profile: auth.Profile{
			Name: p.Name, GivenName: given, FamilyName: family, Email: p.Username + "@demo.countersign.example", EmailVerified: true,
			Zoneinfo: "Europe/Oslo", Locale: "en",
		}})
		if err != nil {
			return nil, false, err
		}
		if slices.Contains(Administrators(), p.Username) {
			if err := auth.SeedTOTP(ctx, tx, by, a.ID, totp.NewSecret()); err != nil {
				return nil, false, err
			}
		}
		for _, r := range p.Roles {
			if err := rbac.AssignRole(ctx, tx, by, string(a.Person), r); err != nil {
				return nil, false, err
			}
		}
	}
	_, secret, err := auth.AddClient(ctx, tx, by, Ledger(s.Ledgers))
	return secret, true, err
}

// Ledger is Ledger's registration: a web application that asks for ES256, as it may.
func Ledger(addresses []string) auth.Client {
	k := auth.NewClient(LedgerID, "Ledger", auth.Web)
	for _, a := range addresses {
		k.RedirectURIs = append(k.RedirectURIs, a+"/callback")
		k.PostLogoutURIs = append(k.PostLogoutURIs, a+"/goodbye")
	}
	k.Scopes = ledger.Scopes
	k.DefaultResource = ledger.Audience
	k.Resources = []string{ledger.Audience}
	k.IDTokenAlg = "ES256"
	return k
}
