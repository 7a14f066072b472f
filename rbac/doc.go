// Package rbac decides who may hold what, and what together.
//
// It knows subjects, not users: a person, with every account that is theirs, or a workload. Roles
// carry permissions and inherit from one another; a duty is a threshold over what a person holds;
// a rule names duties that must stay apart. Every change is a Changeset, judged as a whole against
// what held before, over all time from now on, and refused only if it makes something worse.
//
// The package holds rules and plain types. It talks to no database, no clock and no network: a
// State is what was read, a Snapshot is one policy compiled for speed, and both are values.
package rbac
