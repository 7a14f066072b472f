package store

import (
	"context"
	"slices"

	"github.com/countersign-id/countersign/rbac"
)

// LockRoles implements rbac.Tx.
func (tx *Tx) LockRoles(ctx context.Context, ids []rbac.RoleID) error {
	return tx.lockRows(ctx, "SELECT id FROM policy_items WHERE kind = 'role' AND id IN ? ORDER BY id FOR NO KEY UPDATE", names(ids))
}

// LockSubjects implements rbac.Tx. Whose an account is may change until its people are locked, so it is looked at again then.
func (tx *Tx) LockSubjects(ctx context.Context, w rbac.Whom) ([]rbac.SubjectID, error) {
	var locked []rbac.SubjectID
	for {
		found, err := tx.SubjectsOf(ctx, w)
		if err != nil || tx.store.dialect == sqlite {
			return found, err
		}
		fresh := slices.DeleteFunc(slices.Clone(found), func(id rbac.SubjectID) bool { return slices.Contains(locked, id) })
		if len(fresh) == 0 {
			return found, nil
		}
		if err := tx.lockRows(ctx, "SELECT id FROM subjects WHERE id IN ? ORDER BY id FOR NO KEY UPDATE", names(fresh)); err != nil {
			return nil, err
		}
		locked = append(locked, fresh...)
	}
}

// lockRows locks rows by id, always in the same order, so that two who lock the same do not wait for each other.
func (tx *Tx) lockRows(ctx context.Context, query string, ids []string) error {
	if tx.store.dialect == sqlite {
		return nil
	}
	slices.Sort(ids)
	for part := range chunks(ids, batch) {
		if _, err := tx.texts(ctx, query, part); err != nil {
			return err
		}
	}
	tx.moveOn()
	return nil
}

// SubjectsOf implements rbac.Tx.
func (tx *Tx) SubjectsOf(ctx context.Context, w rbac.Whom) ([]rbac.SubjectID, error) {
	if w.Everybody {
		ids, err := tx.texts(ctx, "SELECT id FROM subjects ORDER BY id")
		return typed[rbac.SubjectID](ids), err
	}
	named, err := tx.named(ctx, w)
	if err != nil {
		return nil, err
	}
	var all []string
	for part := range chunks(named, batch) {
		ids, err := tx.texts(ctx, `WITH seed AS (SELECT id FROM subjects WHERE id IN ?),
			near AS (SELECT id FROM seed
				UNION SELECT coalesce(a.person_id, d.account_id) FROM delegations d LEFT JOIN accounts a ON a.id = d.account_id
				WHERE d.giver_id IN (SELECT id FROM accounts WHERE person_id IN (SELECT id FROM seed) UNION ALL SELECT id FROM seed)),
			owning AS (SELECT id FROM near
				UNION SELECT s.owner_id FROM subjects s WHERE s.id IN (SELECT id FROM near) AND s.owner_id IS NOT NULL)
			SELECT id FROM owning UNION SELECT s.id FROM subjects s WHERE s.owner_id IN (SELECT id FROM owning)`, part)
		if err != nil {
			return nil, err
		}
		all = append(all, ids...)
	}
	slices.Sort(all)
	return typed[rbac.SubjectID](slices.Compact(all)), nil
}

// named returns the subjects that w names by itself.
func (tx *Tx) named(ctx context.Context, w rbac.Whom) ([]string, error) {
	f := finding{ctx: ctx, tx: tx, found: names(w.Subjects)}
	f.accounts(names(w.Accounts))
	f.add("SELECT coalesce(a.person_id, x.account_id) FROM assignments x LEFT JOIN accounts a ON a.id = x.account_id WHERE x.id IN ?", names(w.Assignments))
	f.add("SELECT coalesce(a.person_id, x.account_id) FROM delegations x LEFT JOIN accounts a ON a.id = x.account_id WHERE x.id IN ?", names(w.Delegations))
	f.add("SELECT coalesce(a.person_id, x.giver_id) FROM delegations x LEFT JOIN accounts a ON a.id = x.giver_id WHERE x.id IN ?", names(w.Delegations))
	f.add("SELECT subject_id FROM exceptions WHERE id IN ?", names(w.Exceptions))
	f.add("SELECT DISTINCT coalesce(a.person_id, x.account_id) FROM assignments x LEFT JOIN accounts a ON a.id = x.account_id WHERE x.role_id IN ?", names(w.Roles))
	f.add("SELECT DISTINCT coalesce(a.person_id, x.account_id) FROM memberships x LEFT JOIN accounts a ON a.id = x.account_id WHERE x.group_id IN ?", names(w.Groups))
	f.add("SELECT subject_id FROM violations WHERE rule_id IN ?", names(w.Rules))
	f.add("SELECT subject_id FROM cases WHERE rule_id IN ?", names(w.Rules))
	f.add("SELECT subject_id FROM exceptions WHERE rule_id IN ?", names(w.Rules))
	if f.err == nil && (len(w.Roles) > 0 || w.Delegating) {
		f.delegated(w)
	}
	if f.err == nil && len(w.Controls) > 0 {
		f.excused(w.Controls)
	}
	slices.Sort(f.found)
	return slices.Compact(f.found), f.err
}

// finding collects subjects until something goes wrong.
type finding struct {
	ctx   context.Context
	tx    *Tx
	found []string
	err   error
}

func (f *finding) add(query string, ids []string) {
	for part := range chunks(ids, batch) {
		if f.err != nil {
			return
		}
		var more []string
		more, f.err = f.tx.texts(f.ctx, query, part)
		f.found = append(f.found, more...)
	}
}

// delegated adds who delegates or was delegated roles of w. Delegations are few, and which roles they hold only their rows say.
func (f *finding) delegated(w rbac.Whom) {
	var rows []delegationRow
	if rows, f.err = find[delegationRow](f.tx.on(f.ctx)); f.err != nil {
		return
	}
	var accounts []string
	for _, r := range rows {
		if w.Delegating || slices.ContainsFunc(r.Roles, func(role string) bool { return slices.Contains(w.Roles, rbac.RoleID(role)) }) {
			accounts = append(accounts, r.GiverID, r.AccountID)
		}
	}
	f.accounts(accounts)
}

// accounts adds whose accounts are. A workload acts through one account, which bears its id.
func (f *finding) accounts(ids []string) {
	for part := range chunks(ids, batch) {
		if f.err != nil {
			return
		}
		var more []string
		more, f.err = f.tx.texts(f.ctx, `SELECT person_id FROM accounts WHERE id IN ?
			UNION ALL SELECT id FROM subjects WHERE kind = 'workload' AND id IN ?`, part, part)
		f.found = append(f.found, more...)
	}
}

// excused adds who has an exception that rests on one of the controls.
func (f *finding) excused(controls []rbac.ControlID) {
	var rows []exceptionRow
	if rows, f.err = find[exceptionRow](f.tx.on(f.ctx)); f.err != nil {
		return
	}
	for _, r := range rows {
		if slices.ContainsFunc(r.Controls, func(c string) bool { return slices.Contains(controls, rbac.ControlID(c)) }) {
			f.found = append(f.found, r.SubjectID)
		}
	}
}
