package rig

import (
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// Authenticator is a virtual authenticator in the browser: a key or a platform that holds passkeys. Somebody touches it at once when
// it is asked.
type Authenticator struct {
	b  *Browser
	id webauthn.AuthenticatorID
}

// Authenticator plugs one in. synced: its passkeys may be copied between devices, as a password manager's.
func (b *Browser) Authenticator(synced bool) *Authenticator {
	b.t.Helper()
	call(b, webauthn.Enable, webauthn.EnableParams{})
	transport := webauthn.AuthenticatorTransportInternal
	if !synced {
		transport = webauthn.AuthenticatorTransportUsb
	}
	r := call(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: transport, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true,
		AutomaticPresenceSimulation: true, DefaultBackupEligibility: synced, DefaultBackupState: synced,
	}})
	return &Authenticator{b, r.AuthenticatorID}
}

// Verifies says whether it recognises its holder from now on.
func (a *Authenticator) Verifies(yes bool) {
	a.b.t.Helper()
	call(a.b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id, IsUserVerified: yes})
}

// Touched says whether somebody touches it when it is asked, from now on.
func (a *Authenticator) Touched(yes bool) {
	a.b.t.Helper()
	call(a.b, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: a.id, Enabled: yes})
}

// Unplug takes it away, with what it holds.
func (a *Authenticator) Unplug() {
	a.b.t.Helper()
	call(a.b, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: a.id})
}

// Forget removes the passkeys it holds.
func (a *Authenticator) Forget() {
	a.b.t.Helper()
	call(a.b, webauthn.ClearCredentials, webauthn.ClearCredentialsParams{AuthenticatorID: a.id})
}

// Holds returns the names of whose passkeys it holds.
func (a *Authenticator) Holds() (names []string) {
	a.b.t.Helper()
	for _, c := range call(a.b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: a.id}).Credentials {
		names = append(names, c.UserName)
	}
	return names
}

// Rewinds sets the signature counters of what it holds, as those of a copy that was made earlier.
func (a *Authenticator) Rewinds(to float64) {
	a.b.t.Helper()
	for _, c := range call(a.b, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: a.id}).Credentials {
		call(a.b, webauthn.RemoveCredential, webauthn.RemoveCredentialParams{AuthenticatorID: a.id, CredentialID: c.CredentialID})
		call(a.b, addCredential, credentialParams{a.id, credential{c.CredentialID, c.IsResidentCredential, c.RpID, c.PrivateKey, c.UserHandle, to, c.UserName}})
	}
}

// addCredential is webauthn.AddCredential without what this authenticator does not have, and Chromium will not hear of then.
var addCredential = cdp.Command[credentialParams, cdp.Empty]{Method: webauthn.CommandAddCredential}

type credentialParams struct {
	AuthenticatorID webauthn.AuthenticatorID `json:"authenticatorId"`
	Credential      credential               `json:"credential"`
}

type credential struct {
	CredentialID         []byte  `json:"credentialId"`
	IsResidentCredential bool    `json:"isResidentCredential"`
	RpID                 string  `json:"rpId"`
	PrivateKey           []byte  `json:"privateKey"`
	UserHandle           []byte  `json:"userHandle"`
	SignCount            float64 `json:"signCount"`
	UserName             string  `json:"userName"`
}

// Tell runs an expression in the page and returns the text it comes to, or that its promise resolves to.
func (b *Browser) Tell(expression string) string {
	b.t.Helper()
	return ask(b, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
}
