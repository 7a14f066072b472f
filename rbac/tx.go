package rbac

import (
	"context"
	"time"

	"github.com/countersign-id/countersign/audit"
)

// Reader is what a decision about a token or a page needs to read.
type Reader interface {
	// Structure returns the policy that stands in the database, compiled. It is the same for the whole transaction.
	Structure(ctx context.Context) (*Structure, error)
	// HeldBy returns what an account, or a workload by its id, holds, ended and future things too.
	HeldBy(ctx context.Context, id AccountID) ([]Grant, error)
}

// Tx is what applying a changeset needs of a transaction: lock, then read, then judge, then write. Nothing that decides is
// read before its lock is held.
type Tx interface {
	audit.Recorder
	Reader
	// Now is the instant of the transaction. It is never before what whoever held a lock until it was given here has done.
	Now() time.Time
	NewID() string

	// LockPolicy holds the policy until the transaction ends: exclusively for a change of the policy, else
	// only against such changes. Without it an assignment and an inheritance, each lawful alone, could
	// break a rule together.
	LockPolicy(ctx context.Context, exclusive bool) error
	// SubjectsOf returns, sorted, whom w names, with the deputies of whoever delegates, the owners of workloads and the workloads
	// of persons.
	SubjectsOf(ctx context.Context, w Whom) ([]SubjectID, error)
	// LockSubjects is SubjectsOf, and holds off every other change to them until the transaction ends. Without it two
	// assignments, each lawful alone, could break a rule together.
	LockSubjects(ctx context.Context, w Whom) ([]SubjectID, error)
	// LockRoles holds off every other change to who holds these roles. Without it the last two holders of a role
	// that needs one could go at once.
	LockRoles(ctx context.Context, ids []RoleID) error
	// People returns every row about subjects: themselves, their accounts, what those hold, delegate and were delegated,
	// exceptions, violations, cases and holds. Cases of rules come with the subject "".
	People(ctx context.Context, ids []SubjectID) ([]any, error)
	// Store writes rows, and the policy if next is not nil. Two that take the same slot of a Hold are told to run again.
	Store(ctx context.Context, next *Structure, writes []Write) error
}

// Whom picks subjects: everybody that any of its fields names.
type Whom struct {
	Accounts    []AccountID
	Subjects    []SubjectID
	Assignments []AssignmentID
	Delegations []DelegationID
	Exceptions  []ExceptionID
	Roles       []RoleID    // who was ever assigned or delegated them
	Groups      []GroupID   // their own members
	Rules       []RuleID    // who has a violation, a case or an exception under them
	Controls    []ControlID // who has an exception that rests on them
	Delegating  bool        // who delegates, and their deputies
	Everybody   bool
}
