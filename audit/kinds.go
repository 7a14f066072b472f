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

// Who may hold what. Every changeset is one event; each row that it changed, also where one change brought another with it, is
// one more, which names the change it belongs to.
const (
	ChangeApplied Kind = "change.applied" // A changeset was applied; detail tells the policy's epoch before and after, how many rows it wrote, how many people it was judged for, and the conflicts.
	ChangeRefused Kind = "change.refused" // A changeset was refused or has to wait, and nothing was changed; the code says why, detail names the conflicts.

	RoleAssigned      Kind = "role.assigned"      // A role was assigned to an account, or an assignment was changed.
	RoleWithdrawn     Kind = "role.withdrawn"     // An assignment was ended, or deleted before it began.
	MemberAdded       Kind = "member.added"       // An account was put into a group.
	MemberRemoved     Kind = "member.removed"     // An account was taken out of a group.
	DelegationGranted Kind = "delegation.granted" // Somebody became a deputy in roles, or for other roles than before.
	DelegationEnded   Kind = "delegation.ended"   // A delegation ended: taken back, or because what was delegated is not held any more.
	ExceptionGranted  Kind = "exception.granted"  // An exception from a rule was granted, or passed on to a person merged into.
	ExceptionRevoked  Kind = "exception.revoked"  // An exception was revoked, or went with its rule.
	ViolationFound    Kind = "violation.found"    // Somebody is in conflict with a rule, or for another reason than before.
	ViolationResolved Kind = "violation.resolved" // A conflict is there no more.
	CaseMoved         Kind = "case.moved"         // A case was opened, or stands somewhere else than before; detail says where.
	PersonLinked      Kind = "person.linked"      // An account turned out to be somebody else's than was thought.
	SubjectAdded      Kind = "subject.added"      // A person or workload became known to the rules.
	SubjectChanged    Kind = "subject.changed"    // A workload got another owner.
	SubjectRemoved    Kind = "subject.removed"    // A person or workload without accounts was removed, or merged into another.
)

// The policy: roles, groups, duties, rules and what they speak of.
const (
	ResourceAdded     Kind = "resource.added"     // A resource server was added.
	ResourceChanged   Kind = "resource.changed"   // A resource server was changed.
	ResourceRemoved   Kind = "resource.removed"   // A resource server was removed.
	PermissionAdded   Kind = "permission.added"   // A permission became known.
	PermissionChanged Kind = "permission.changed" // A permission was described anew.
	PermissionRemoved Kind = "permission.removed" // A permission was dropped.
	ScopeAdded        Kind = "scope.added"        // A scope was added; detail names its permissions.
	ScopeChanged      Kind = "scope.changed"      // A scope maps to something else; detail names its permissions.
	ScopeRemoved      Kind = "scope.removed"      // A scope was removed.
	RoleAdded         Kind = "role.added"         // A role was added; detail tells what it carries.
	RoleChanged       Kind = "role.changed"       // A role was changed; detail tells what it gained and lost.
	RoleRemoved       Kind = "role.removed"       // A role was removed.
	GroupAdded        Kind = "group.added"        // A group was added.
	GroupChanged      Kind = "group.changed"      // A group has other roles or groups in it; detail tells which.
	GroupRemoved      Kind = "group.removed"      // A group was removed.
	DutyAdded         Kind = "duty.added"         // A duty was defined.
	DutyChanged       Kind = "duty.changed"       // A duty means something else.
	DutyRemoved       Kind = "duty.removed"       // A duty was removed.
	RuleAdded         Kind = "rule.added"         // A rule was added; detail tells its mode.
	RuleChanged       Kind = "rule.changed"       // A rule was changed; detail tells its mode and version.
	RuleRemoved       Kind = "rule.removed"       // A rule was removed.
	ControlAdded      Kind = "control.added"      // A mitigating control was added.
	ControlChanged    Kind = "control.changed"    // A mitigating control was changed.
	ControlRemoved    Kind = "control.removed"    // A mitigating control was removed.
)

// The log itself.
const (
	Pruned     Kind = "audit.pruned"     // Bodies of old entries were removed by retention; detail names the range, hashes and positions stay.
	Overflowed Kind = "audit.overflowed" // More kinds of refusal than are kept apart came within a minute; count says how many stand here.
)
