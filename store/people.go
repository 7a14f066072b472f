package store

import (
	"context"
	"slices"

	"github.com/countersign-id/countersign/rbac"
)

// People implements rbac.Tx.
func (tx *Tx) People(ctx context.Context, ids []rbac.SubjectID) ([]any, error) {
	var out []any
	g := gathering{ctx: ctx, tx: tx}
	if len(ids) == 0 {
		return rowsOf(&g, caseRow.open, "subject_id = ''"), g.err
	}
	for part := range chunks(names(ids), batch) {
		people, held := g.people(part)
		out = slices.Concat(out, people,
			rowsOf(&g, exceptionRow.exception, "subject_id IN ?", part),
			rowsOf(&g, violationRow.violation, "subject_id IN ?", part),
			rowsOf(&g, caseRow.open, "subject_id IN ?", append([]string{""}, part...)),
			rowsOf(&g, holdRow.hold, "subject_id IN ?", part))
		for of := range chunks(held, batch) {
			out = slices.Concat(out,
				rowsOf(&g, assignmentRow.assignment, "account_id IN ?", of),
				rowsOf(&g, membershipRow.membership, "account_id IN ?", of),
				rowsOf(&g, delegationRow.delegation, "account_id IN ? OR giver_id IN ?", of, of))
		}
	}
	return out, g.err
}

// gathering reads rows until something goes wrong.
type gathering struct {
	ctx context.Context
	tx  *Tx
	err error
}

// people reads subjects with their accounts, and returns the ids of these too.
func (g *gathering) people(ids []string) (rows []any, accounts []string) {
	if g.err != nil {
		return nil, nil
	}
	type row struct {
		ID, Kind string
		OwnerID  *string
		Account  *string
	}
	var found []row
	found, g.err = find[row](g.tx.on(g.ctx).Raw(`SELECT s.id, s.kind, s.owner_id, a.id AS account FROM subjects s LEFT JOIN accounts a ON a.person_id = s.id
		WHERE s.id IN ?`, ids))
	for _, r := range found {
		s := subjectRow{ID: r.ID, Kind: r.Kind, OwnerID: r.OwnerID}.subject()
		rows = append(rows, s)
		if s.Kind == rbac.Workload { // it acts through one account, which bears its id
			r.Account = &r.ID
		}
		if r.Account != nil {
			rows = append(rows, rbac.Account{ID: rbac.AccountID(*r.Account), Subject: s.ID})
			accounts = append(accounts, *r.Account)
		}
	}
	return rows, accounts
}

func rowsOf[R, T any](g *gathering, as func(R) T, where string, args ...any) []any {
	if g.err != nil {
		return nil
	}
	var rows []R
	rows, g.err = find[R](g.tx.on(g.ctx).Where(where, args...))
	return mapped(rows, func(r R) any { return as(r) })
}

// HeldBy implements rbac.Reader: one statement for everything an account holds.
func (tx *Tx) HeldBy(ctx context.Context, id rbac.AccountID) ([]rbac.Grant, error) {
	type row struct {
		Kind, Name, Context, ID string
		FromAt, ToAt            int64
		Eligible                flag
	}
	rows, err := find[row](tx.on(ctx).Raw(`SELECT 'a' AS kind, role_id AS name, context, id, from_at, to_at, eligible FROM assignments WHERE account_id = ?
		UNION ALL SELECT 'm', group_id, '', '', from_at, to_at, 0 FROM memberships WHERE account_id = ?
		UNION ALL SELECT 'd', roles, '', id, from_at, to_at, 0 FROM delegations WHERE account_id = ?`, string(id), string(id), string(id)))
	if err != nil {
		return nil, err
	}
	var out []rbac.Grant
	for _, r := range rows {
		g := rbac.Grant{Account: id, Context: r.Context, During: window(r.FromAt, r.ToAt), Eligible: bool(r.Eligible)}
		switch r.Kind {
		case "a":
			g.Role, g.Assignment = rbac.RoleID(r.Name), rbac.AssignmentID(r.ID)
			out = append(out, g)
		case "m":
			g.Group = rbac.GroupID(r.Name)
			out = append(out, g)
		default:
			var roles list
			if err := roles.Scan(r.Name); err != nil {
				return nil, err
			}
			g.Delegation = rbac.DelegationID(r.ID)
			for _, role := range roles {
				g.Role = rbac.RoleID(role)
				out = append(out, g)
			}
		}
	}
	return out, nil
}
