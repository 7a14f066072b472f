package rbac

import "github.com/countersign-id/countersign/internal/fault"

// Why a change is refused, or waits. They are outcomes: a Result carries one, and it is remembered.
// Their codes are stable.
var (
	ErrSoDViolation       = fault.New(fault.Conflict, "sod-violation", "This conflicts with access already held.")
	ErrApprovalRequired   = fault.New(fault.Conflict, "approval-required", "This waits for the owner of a rule to approve it.")
	ErrExistingViolations = fault.New(fault.Conflict, "existing-violations", "People hold today what this rule forbids.")
	ErrWouldCycle         = fault.New(fault.Conflict, "hierarchy-cycle", "A role or group would contain itself.")
	ErrRoleSelfConflict   = fault.New(fault.Conflict, "role-self-conflict", "This role would by itself break a rule.")
	ErrCardinalityMax     = fault.New(fault.Conflict, "cardinality-exceeded", "More people would hold this role than it allows.")
	ErrCardinalityMin     = fault.New(fault.Conflict, "cardinality-underflow", "Fewer people would hold this role than it needs.")
	ErrPrerequisite       = fault.New(fault.Conflict, "prerequisite-missing", "This role needs another one first.")
	ErrSelfAction         = fault.New(fault.Denied, "self-action-forbidden", "You cannot do this for yourself.")
	ErrEscalation         = fault.New(fault.Denied, "privilege-escalation", "This would give you more than you hold.")
	ErrNotFound           = fault.New(fault.NotFound, "not-found", "There is no such thing.")
	ErrExists             = fault.New(fault.Conflict, "already-exists", "There is one already.")
	ErrStale              = fault.New(fault.Stale, "stale-revision", "Somebody changed this meanwhile.")
	ErrReferencedByRule   = fault.New(fault.Conflict, "referenced-by-rule", "A rule speaks of this.")
	ErrReferenced         = fault.New(fault.Conflict, "still-referenced", "Something else still needs this.")
	ErrRuleInvalid        = fault.New(fault.Invalid, "rule-invalid", "This rule cannot mean anything.")
	ErrInvalid            = fault.New(fault.Invalid, "change-invalid", "This change cannot mean anything.")
	ErrWindowInvalid      = fault.New(fault.Invalid, "window-invalid", "This ends before it starts.")
	ErrNotAssignable      = fault.New(fault.Conflict, "role-not-assignable", "This role cannot be assigned.")
	ErrExceptionTooLong   = fault.New(fault.Invalid, "exception-too-long", "The exception lasts longer than the rule allows.")
	ErrExceptionInvalid   = fault.New(fault.Invalid, "exception-invalid", "The exception lacks an approver or a control the rule asks for.")
	ErrNotActivatable     = fault.New(fault.Denied, "role-not-activatable", "You cannot activate this role.")
	ErrDSDConflict        = fault.New(fault.Conflict, "dsd-conflict", "These roles cannot be active together.")
	ErrStepUpRequired     = fault.New(fault.Denied, "step-up-required", "Confirm that it is you to activate this role.")
	ErrRetryable          = fault.New(fault.Unavailable, "serialization-failure", "Somebody else changed the same thing at the same time. Try again.")
	ErrFrozen             = fault.New(fault.Locked, "policy-frozen", "Changes to the policy are closed for now.")
)
