package rbac

import (
	"context"
	"time"

	"github.com/countersign-id/countersign/audit"
)

// Tx is what applying a changeset needs of a transaction: lock, then read, then judge, then write. What
// is read goes into a State by Load; Result.Writes is what goes back. The order of the methods is the
// order they are called in, and nothing that decides is read before its lock is held.
type Tx interface {
	audit.Recorder
	Now() time.Time

	// LockPolicy holds the policy until the transaction ends: exclusively for a change of the policy, else
	// only against such changes. Without it an assignment and an inheritance, each lawful alone, could
	// break a rule together.
	LockPolicy(ctx context.Context, exclusive bool) error
	// Policy returns the policy and its epoch, as they are under the lock.
	Policy(ctx context.Context) (Policy, uint64, error)

	// SubjectsOf returns whom a changeset touches: the subjects named and those behind the accounts,
	// with the owners of workloads, the workloads of persons, and the deputies of whoever delegates.
	SubjectsOf(ctx context.Context, accounts []AccountID, subjects []SubjectID) ([]SubjectID, error)
	// LockSubjects holds off every other change to these subjects, in the order of their ids. Without it
	// two assignments, each lawful alone, could break a rule together.
	LockSubjects(ctx context.Context, ids []SubjectID) error
	// People returns every row about subjects: themselves, their accounts, what those hold, delegate and
	// were delegated, exceptions, violations and cases.
	People(ctx context.Context, ids []SubjectID) ([]any, error)
	// HoldersOf returns, with their accounts, the assignments of roles and the memberships of groups
	// that have not ended: what counting the people of a limited role takes.
	HoldersOf(ctx context.Context, roles []RoleID, groups []GroupID) ([]any, error)

	// Store writes rows in order and the policy's epoch.
	Store(ctx context.Context, epoch uint64, writes []Write) error
}
