package store

import (
	"context"
	"fmt"

	"github.com/countersign-id/countersign/rbac"
)

// Store implements rbac.Tx.
func (tx *Tx) Store(ctx context.Context, next *rbac.Structure, writes []rbac.Write) error {
	if next != nil {
		if err := tx.storePolicy(ctx, next, writes); err != nil {
			return err
		}
	}
	b, err := sorted(writes)
	if err != nil {
		return tx.conn.doom(err)
	}
	if err := b.delete(ctx, tx); err != nil {
		return err
	}
	if err := b.put(ctx, tx); err != nil {
		return err
	}
	var left []string
	for _, row := range b.gone {
		if s, ok := row.(rbac.Subject); ok {
			left = append(left, string(s.ID))
		}
	}
	return tx.drop(ctx, "DELETE FROM subjects WHERE id IN ?", left)
}

// book is what a change writes about people, by table.
type book struct {
	subjects    []rbac.Write
	accounts    []rbac.Account
	assignments puts[assignmentRow]
	memberships puts[membershipRow]
	delegations puts[delegationRow]
	exceptions  puts[exceptionRow]
	violations  puts[violationRow]
	cases       puts[caseRow]
	holds       puts[holdRow]
	gone        []any
}

// puts is what of one table is new, and what is there and changes.
type puts[R any] struct{ fresh, changed []R }

func (p *puts[R]) add(w rbac.Write, row R) {
	if w.Old == nil {
		p.fresh = append(p.fresh, row)
		return
	}
	p.changed = append(p.changed, row)
}

// put writes them. If somebody else made a row with the key of a new one meanwhile, the transaction begins again.
func (p puts[R]) put(ctx context.Context, tx *Tx) error {
	for part := range chunks(p.fresh, batch) {
		if err := tx.on(ctx).Create(&part).Error; duplicate(err) {
			return fmt.Errorf("%w: %w", errAgain, err)
		} else if err != nil {
			return err
		}
	}
	return upsert(ctx, tx, p.changed)
}

func sorted(writes []rbac.Write) (book, error) {
	var b book
	for _, w := range writes {
		if _, _, policy := item(w.Old); w.New == nil {
			if !policy {
				b.gone = append(b.gone, w.Old)
			}
			continue
		}
		switch r := w.New.(type) {
		case rbac.Subject:
			b.subjects = append(b.subjects, w)
		case rbac.Account:
			if w.Old == nil {
				return b, fmt.Errorf("store: account %s is not known", r.ID)
			}
			b.accounts = append(b.accounts, r)
		case rbac.Assignment:
			b.assignments.add(w, assignmentOf(r))
		case rbac.Membership:
			b.memberships.add(w, membershipOf(r))
		case rbac.Delegation:
			b.delegations.add(w, delegationOf(r))
		case rbac.Exception:
			b.exceptions.add(w, exceptionOf(r))
		case rbac.Violation:
			b.violations.add(w, violationOf(r))
		case rbac.Case:
			b.cases.add(w, caseOf(r))
		case rbac.Hold:
			b.holds.add(w, holdOf(r))
		}
	}
	return b, nil
}

// put writes what is new or other than before.
func (b book) put(ctx context.Context, tx *Tx) error {
	if err := tx.putSubjects(ctx, b.subjects, b.accounts); err != nil {
		return err
	}
	for _, p := range []interface {
		put(ctx context.Context, tx *Tx) error
	}{b.assignments, b.memberships, b.delegations, b.exceptions, b.violations, b.cases, b.holds} {
		if err := p.put(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) putSubjects(ctx context.Context, subjects []rbac.Write, accounts []rbac.Account) error {
	for _, w := range subjects {
		s := w.New.(rbac.Subject)
		var owner *string
		if s.Owner != "" {
			owner = (*string)(&s.Owner)
		}
		var err error
		if w.Old == nil {
			err = insert(ctx, tx, subjectRow{ID: string(s.ID), Name: string(s.ID), Created: stamp(tx.now), Kind: string(s.Kind), OwnerID: owner})
		} else {
			_, err = tx.exec(ctx, "UPDATE subjects SET owner_id = ? WHERE id = ?", owner, string(s.ID))
		}
		if err != nil {
			return err
		}
	}
	for _, a := range accounts {
		if _, err := tx.exec(ctx, "UPDATE accounts SET person_id = ?, version = version + 1 WHERE id = ?", string(a.Subject), string(a.ID)); err != nil {
			return err
		}
	}
	return nil
}

// delete removes what is gone, but for subjects.
func (b book) delete(ctx context.Context, tx *Tx) error {
	var assignments, delegations, exceptions []string
	for _, row := range b.gone {
		var err error
		switch r := row.(type) {
		case rbac.Subject: // after accounts and workloads have left it
		case rbac.Assignment:
			assignments = append(assignments, string(r.ID))
		case rbac.Delegation:
			delegations = append(delegations, string(r.ID))
		case rbac.Exception:
			exceptions = append(exceptions, string(r.ID))
		case rbac.Membership:
			_, err = tx.exec(ctx, "DELETE FROM memberships WHERE group_id = ? AND account_id = ?", string(r.Group), string(r.Account))
		case rbac.Violation:
			_, err = tx.exec(ctx, "DELETE FROM violations WHERE rule_id = ? AND subject_id = ?", string(r.Rule), string(r.Subject))
		case rbac.Case:
			_, err = tx.exec(ctx, "DELETE FROM cases WHERE rule_id = ? AND subject_id = ?", string(r.Rule), string(r.Subject))
		case rbac.Hold:
			_, err = tx.exec(ctx, "DELETE FROM holds WHERE rule_id = ? AND subject_id = ? AND slot = ?", string(r.Rule), string(r.Subject), r.Slot)
		default:
			err = tx.conn.doom(fmt.Errorf("store: a change does not delete a %T", row))
		}
		if err != nil {
			return err
		}
	}
	if err := tx.drop(ctx, "DELETE FROM assignments WHERE id IN ?", assignments); err != nil {
		return err
	}
	if err := tx.drop(ctx, "DELETE FROM delegations WHERE id IN ?", delegations); err != nil {
		return err
	}
	return tx.drop(ctx, "DELETE FROM exceptions WHERE id IN ?", exceptions)
}

func (tx *Tx) drop(ctx context.Context, query string, ids []string) error {
	for part := range chunks(ids, batch) {
		if _, err := tx.exec(ctx, query, part); err != nil {
			return err
		}
	}
	return nil
}
