package audit

//go:generate go test . -run TestEventsPage -update

// Kinds are written by exactly the rooms whose effects they tell of. The first sentence of each
// comment is the entry in docs/events.md, which a test keeps in step (make docs).

// Sessions: a person's browser and the server's memory of it.
const (
	SessionStarted    Kind = "session.started"    // A person signed in; detail names the factors and the level reached.
	SessionRefused    Kind = "session.refused"    // A sign-in was refused; the code says why, the subject is absent where no account was reached.
	SessionEnded      Kind = "session.ended"      // A session ended: by sign-out, by an administrator, or with the account.
	SessionSuperseded Kind = "session.superseded" // A session gave way to its successor with a new identifier, as at each rise in privilege.
)

// Passwords.
const (
	PasswordChanged Kind = "password.changed" // A password was set or changed; detail says by which way.
	PasswordRefused Kind = "password.refused" // A change of password was refused: a wrong present password, or a new one that is too weak.
)

// Factors: what a person proves themselves with besides a password.
const (
	FactorAdded      Kind = "factor.added"      // A passkey or an authenticator app was added; detail says which, and what ended with the change.
	FactorRenamed    Kind = "factor.renamed"    // A passkey got another name.
	FactorRemoved    Kind = "factor.removed"    // A passkey or an authenticator app was removed; detail says which, and what ended with the change.
	FactorRefused    Kind = "factor.refused"    // A change of factors was refused; the code says why.
	FactorClosed     Kind = "factor.closed"     // An authenticator app was closed after too many wrong codes.
	FactorSuspected  Kind = "factor.suspected"  // A passkey's signature counter went back: it may have been copied, and is refused.
	RecoveryMade     Kind = "recovery.made"     // Recovery codes were made; those before are void.
	RecoveryUsed     Kind = "recovery.used"     // A recovery code was used; detail says how many are left. Trusted browsers ended with it.
	PassIssued       Kind = "pass.issued"       // A temporary pass was issued, by which a person may enrol a factor once.
	PassUsed         Kind = "pass.used"         // A temporary pass was used.
	BrowserTrusted   Kind = "browser.trusted"   // A browser was trusted to go without the second factor for a while.
	BrowserForgotten Kind = "browser.forgotten" // A browser is trusted no more; the code says why.
	EnrolmentPutOff  Kind = "enrolment.put-off" // A person put off enrolling a factor that policy asks for; detail says until when they may.
)

// Accounts.
const (
	AccountAdded    Kind = "account.added"    // An account was added.
	AccountDisabled Kind = "account.disabled" // An account was disabled; its sessions and grants ended with it.
	AccountEnabled  Kind = "account.enabled"  // A disabled account was enabled again.
)

// Clients: applications that delegate their sign-in to us.
const (
	ClientAdded         Kind = "client.added"          // A client was registered.
	ClientChanged       Kind = "client.changed"        // A client's registration was changed; detail names the fields.
	ClientDisabled      Kind = "client.disabled"       // A client was disabled; its grants ended with it.
	ClientEnabled       Kind = "client.enabled"        // A disabled client was enabled again.
	ClientSecretRotated Kind = "client.secret-rotated" // A client got a new secret.
	ClientRefused       Kind = "client.refused"        // A client failed to authenticate; detail names the method, never what was sent.
)

// Consents.
const (
	ConsentGiven     Kind = "consent.given"     // A person allowed a client the scopes in detail.
	ConsentRefused   Kind = "consent.refused"   // A person said no to a client.
	ConsentWithdrawn Kind = "consent.withdrawn" // A person took a consent back; the grants that stood on it ended.
)

// Grants: token families, from the code to the last refresh token.
const (
	GrantStarted   Kind = "grant.started"   // An authorization code was issued.
	GrantRedeemed  Kind = "grant.redeemed"  // A code was exchanged for tokens.
	GrantRefreshed Kind = "grant.refreshed" // A refresh token was exchanged for new tokens.
	GrantReused    Kind = "grant.reused"    // A spent code or refresh token was presented again; its family was revoked.
	GrantRevoked   Kind = "grant.revoked"   // A family was revoked: by its client, its owner, an administrator, or with what it stood on.
	GrantRefused   Kind = "grant.refused"   // The token endpoint refused a code, a refresh token or a request for one; the code says why.
	TokenRevoked   Kind = "token.revoked"   // One access token was revoked before its expiry.
)

// Requests that reached no grant.
const (
	AuthorizeRefused Kind = "authorize.refused" // An authorization request was refused; the code says why.
	LogoutRefused    Kind = "logout.refused"    // A logout request was refused: a false hint, or an address not registered.
	RequestRefused   Kind = "request.refused"   // A request was refused before its meaning was looked at: malformed, too large, of another origin, without permission.
	ThrottleClosed   Kind = "throttle.closed"   // A limit was reached and attempts are refused until it opens; detail names the limit.
	OutboundRefused  Kind = "outbound.refused"  // A call of ours to an address not allowed was refused, as for a client's jwks_uri.
)

// Signing keys.
const (
	KeyCreated   Kind = "key.created"   // A signing key was created and published.
	KeyActivated Kind = "key.activated" // A published key began to sign.
	KeyRetired   Kind = "key.retired"   // A key stopped signing; it still verifies.
	KeyRevoked   Kind = "key.revoked"   // A key was revoked: it neither signs nor verifies.
)

// Setting up and running.
const (
	SetupOffered     Kind = "setup.offered"     // A single-use set-up link for the first administrator was made.
	SetupCompleted   Kind = "setup.completed"   // The first administrator was set up; the link is spent.
	SetupRefused     Kind = "setup.refused"     // A set-up link was refused: unknown, spent or expired.
	MigrationApplied Kind = "migration.applied" // The schema moved to the version in detail.
	ConfigStarted    Kind = "config.started"    // A server started; detail holds a digest of its configuration, never a secret.
)

// Policy.
const (
	RoleAdded     Kind = "role.added"     // A role was added; detail names its permissions.
	RoleAssigned  Kind = "role.assigned"  // A role was assigned to a subject.
	RoleWithdrawn Kind = "role.withdrawn" // A role was withdrawn from a subject.
	ResourceAdded Kind = "resource.added" // A resource server was added with its scopes.
)

// The log itself.
const (
	Pruned     Kind = "audit.pruned"     // Bodies of old entries were removed by retention; detail names the range, hashes and positions stay.
	Overflowed Kind = "audit.overflowed" // More kinds of refusal than are kept apart came within a minute; count says how many stand here.
)
