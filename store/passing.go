package store

import (
	"context"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/rbac"
)

var _ rbac.Passing = (*Tx)(nil)

type marksRow struct{ SweptAt, WholeAt int64 }

// Marks implements rbac.Passing.
func (tx *Tx) Marks(ctx context.Context) (rbac.Marks, error) {
	rows, err := find[marksRow](tx.on(ctx).Raw("SELECT swept_at, whole_at FROM policy"))
	if err != nil || len(rows) == 0 {
		return rbac.Marks{}, err
	}
	return rbac.Marks{Swept: rbac.Instant(rows[0].SweptAt), Whole: rbac.Instant(rows[0].WholeAt)}, nil
}

// MoveSwept implements rbac.Passing.
func (tx *Tx) MoveSwept(ctx context.Context, from, to rbac.Instant) (bool, error) {
	return tx.wrote(ctx, "UPDATE policy SET swept_at = ? WHERE swept_at = ?", int64(to), int64(from))
}

// MoveWhole implements rbac.Passing.
func (tx *Tx) MoveWhole(ctx context.Context, from, to rbac.Instant) (bool, error) {
	return tx.wrote(ctx, "UPDATE policy SET whole_at = ? WHERE whole_at = ?", int64(to), int64(from))
}

// Crossed implements rbac.Passing.
func (tx *Tx) Crossed(ctx context.Context, after, until rbac.Instant, most int) ([]rbac.SubjectID, rbac.Instant, error) {
	span := func(to rbac.Instant, times int) (args []any) {
		for range times {
			args = append(args, int64(after), int64(to))
		}
		return args
	}
	last, err := tx.ints(ctx, `SELECT at FROM (
		SELECT from_at AS at FROM assignments WHERE from_at > ? AND from_at <= ? UNION ALL SELECT to_at FROM assignments WHERE to_at > ? AND to_at <= ?
		UNION ALL SELECT from_at FROM memberships WHERE from_at > ? AND from_at <= ? UNION ALL SELECT to_at FROM memberships WHERE to_at > ? AND to_at <= ?
		UNION ALL SELECT from_at FROM delegations WHERE from_at > ? AND from_at <= ? UNION ALL SELECT to_at FROM delegations WHERE to_at > ? AND to_at <= ?
		UNION ALL SELECT from_at FROM exceptions WHERE from_at > ? AND from_at <= ? UNION ALL SELECT to_at FROM exceptions WHERE to_at > ? AND to_at <= ?) moments
		ORDER BY at LIMIT 1 OFFSET ?`, append(span(until, 8), max(most-1, 0))...)
	if err != nil {
		return nil, 0, err
	}
	if len(last) > 0 {
		until = rbac.Instant(last[0])
	}
	ids, err := tx.texts(ctx, `SELECT coalesce(a.person_id, x.account_id) AS id FROM (
			SELECT account_id FROM assignments WHERE from_at > ? AND from_at <= ? UNION ALL SELECT account_id FROM assignments WHERE to_at > ? AND to_at <= ?
			UNION ALL SELECT account_id FROM memberships WHERE from_at > ? AND from_at <= ? UNION ALL SELECT account_id FROM memberships WHERE to_at > ? AND to_at <= ?
			UNION ALL SELECT account_id FROM delegations WHERE from_at > ? AND from_at <= ? UNION ALL SELECT account_id FROM delegations WHERE to_at > ? AND to_at <= ?) x
		LEFT JOIN accounts a ON a.id = x.account_id
		UNION SELECT subject_id FROM exceptions WHERE from_at > ? AND from_at <= ? UNION SELECT subject_id FROM exceptions WHERE to_at > ? AND to_at <= ?
		ORDER BY id`, span(until, 8)...)
	return typed[rbac.SubjectID](ids), until, err
}

// SubjectsAfter implements rbac.Passing.
func (tx *Tx) SubjectsAfter(ctx context.Context, after rbac.SubjectID, most int) ([]rbac.SubjectID, error) {
	ids, err := tx.texts(ctx, "SELECT id FROM subjects WHERE id > ? ORDER BY id LIMIT ?", string(after), most)
	return typed[rbac.SubjectID](ids), err
}

// ConflictFilter picks violations, cases and exceptions. Empty fields match all.
type ConflictFilter struct {
	Rules   []rbac.RuleID
	Subject rbac.SubjectID
	States  []rbac.CaseState // of cases
	After   rbac.CaseKey     // pages begin after it
}

// conflicts reads rows about a rule and a subject, in the order of both.
func conflicts[R any](ctx context.Context, tx *Tx, f ConflictFilter, max int) ([]R, error) {
	q := tx.on(ctx).Where("rule_id > ? OR rule_id = ? AND subject_id > ?", string(f.After.Rule), string(f.After.Rule), string(f.After.Subject))
	if f.Rules != nil {
		q = q.Where("rule_id IN ?", names(f.Rules))
	}
	if f.Subject != "" {
		q = q.Where("subject_id = ?", string(f.Subject))
	}
	if f.States != nil {
		q = q.Where("state IN ?", names(f.States))
	}
	return find[R](q.Order("rule_id, subject_id").Limit(max))
}

// Violations returns up to max violations as they were last seen.
func (tx *Tx) Violations(ctx context.Context, f ConflictFilter, max int) ([]rbac.Violation, error) {
	rows, err := conflicts[violationRow](ctx, tx, f, max)
	return mapped(rows, violationRow.violation), err
}

// Cases returns up to max cases.
func (tx *Tx) Cases(ctx context.Context, f ConflictFilter, max int) ([]rbac.Case, error) {
	rows, err := conflicts[caseRow](ctx, tx, f, max)
	return mapped(rows, caseRow.open), err
}

// Exceptions returns up to max exceptions, ended ones too. Pages of one person's for one rule hold all of those.
func (tx *Tx) Exceptions(ctx context.Context, f ConflictFilter, max int) ([]rbac.Exception, error) {
	rows, err := conflicts[exceptionRow](ctx, tx, f, max)
	return mapped(rows, exceptionRow.exception), err
}

// CountViolations returns how many violations there are.
func (tx *Tx) CountViolations(ctx context.Context) (int, error) {
	return tx.number(ctx, "SELECT count(*) FROM violations")
}

// AccountsOf returns the accounts of people, by identifier.
func (tx *Tx) AccountsOf(ctx context.Context, people []rbac.SubjectID) ([]auth.Account, error) {
	var out []auth.Account
	for part := range chunks(names(people), batch) {
		rows, err := find[accountRow](tx.on(ctx).Where("person_id IN ?", part).Order("id"))
		if err != nil {
			return nil, err
		}
		out = append(out, mapped(rows, accountRow.account)...)
	}
	return out, nil
}
