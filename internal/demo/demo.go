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
	Roles          []rbac.RoleID
	Try            string
}

// People are the demo's accounts, in the order of its table.
var People = []Person{
	{"clerk", "Noor Haddad", []rbac.RoleID{"ap-clerk"}, "Open Ledger and enter an invoice; approving is not offered."},
	{"approver", "Ingrid Solberg", []rbac.RoleID{"ap-approver"}, "Approve the clerk's invoice; entering is not offered."},
	{"controller", "Li Wei 李薇", []rbac.RoleID{"controller"}, "Approve and pay, and open the reports."},
	{"sysadmin", "Tomás Ferreira", []rbac.RoleID{rbac.SystemAdministrator}, "Sign in and look at the account pages."},
	{"secadmin", "Amara Okafor", []rbac.RoleID{rbac.SecurityAdministrator}, "Sign in and look at the account pages."},
	{"auditor", "Jonas Weber", []rbac.RoleID{rbac.Auditor, "ledger-auditor"}, "Open Ledger: reports, and nothing that changes anything."},
}

// Administrators are the accounts that hold administrative power. Each has an authenticator app from the first start; what policy asks of
// them it asks here too.
func Administrators() (names []string) {
	for _, p := range People {
		if slices.ContainsFunc(p.Roles, func(role rbac.RoleID) bool {
			return slices.ContainsFunc(rbac.BuiltinRoles(), func(b rbac.Role) bool { return b.ID == role })
		}) {
			names = append(names, p.Username)
		}
	}
	return names
}

// policy is Ledger's: its API with its scopes, its roles, and the rule that nobody enters and approves invoices.
func policy() []rbac.Op {
	perm := func(name string) rbac.Permission { return rbac.Permission("ledger/" + name) }
	ops := []rbac.Op{rbac.DefineServer{Server: rbac.ResourceServer{ID: "ledger", Title: "Ledger", Audiences: []string{ledger.Audience}}}}
	for _, sc := range []struct{ name, title, perm string }{
		{ledger.ReadInvoices, "See invoices", "invoice:read"},
		{ledger.EnterInvoices, "Enter invoices", "invoice:enter"},
		{ledger.ApproveInvoices, "Approve invoices", "invoice:approve"},
		{ledger.PayInvoices, "Pay invoices", "invoice:pay"},
		{ledger.ReadReports, "See reports", "report:read"},
	} {
		ops = append(ops, rbac.DefinePermission{Permission: rbac.PermissionDef{ID: perm(sc.perm), Description: sc.title}},
			rbac.DefineScope{Scope: rbac.Scope{ID: rbac.ScopeOf("ledger", sc.name), Title: sc.title, Permissions: []rbac.Permission{perm(sc.perm)}}})
	}
	for _, r := range []struct {
		id    rbac.RoleID
		name  string
		perms []rbac.Permission
	}{
		{"ap-clerk", "Accounts payable clerk", []rbac.Permission{perm("invoice:read"), perm("invoice:enter")}},
		{"ap-approver", "Accounts payable approver", []rbac.Permission{perm("invoice:read"), perm("invoice:approve")}},
		{"controller", "Controller", []rbac.Permission{perm("invoice:read"), perm("invoice:approve"), perm("invoice:pay"), perm("report:read")}},
		{"ledger-auditor", "Ledger auditor", []rbac.Permission{perm("invoice:read"), perm("report:read")}},
	} {
		ops = append(ops, rbac.CreateRole{Role: rbac.Role{ID: r.id, Name: r.name, Permissions: r.perms}})
	}
	return append(ops,
		rbac.DefineDuty{Duty: rbac.Duty{ID: "AP-ENTER", Process: "Accounts payable", Name: "Enter invoices", Expr: rbac.Leaf(perm("invoice:enter").Atom())}},
		rbac.DefineDuty{Duty: rbac.Duty{ID: "AP-APPROVE", Process: "Accounts payable", Name: "Approve invoices", Expr: rbac.Leaf(perm("invoice:approve").Atom())}},
		rbac.CreateRule{Rule: rbac.Rule{
			ID: "AP-R01", Kind: rbac.Static, Duties: []rbac.DutyID{"AP-ENTER", "AP-APPROVE"}, K: 2, Level: rbac.High, Mode: rbac.Block, MaxExceptionDays: 30,
			Description: "Nobody enters and approves invoices.", Scenario: "Somebody enters an invoice of their own and approves it.",
		}})
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
	if err := rbac.Furnish(ctx, tx, rbac.By{Actor: by}); err != nil {
		return nil, false, err
	}
	ops := policy()
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
			ops = append(ops, rbac.Assign{Assignment: rbac.Assignment{ID: rbac.AssignmentID(tx.NewID()), Account: rbac.AccountID(a.ID), Role: r}})
		}
	}
	if err := rbac.Do(ctx, tx, rbac.By{Actor: by}, ops...); err != nil {
		return nil, false, err
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
