package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/countersign-id/countersign/rbac"
)

type subjectRow struct {
	ID      string `gorm:"primaryKey"`
	Name    string
	Created micros `gorm:"column:created_at"`
	Kind    string
	OwnerID *string
}

func (subjectRow) TableName() string { return "subjects" }

func (r subjectRow) subject() rbac.Subject {
	s := rbac.Subject{ID: rbac.SubjectID(r.ID), Kind: rbac.SubjectKind(r.Kind)}
	if r.OwnerID != nil {
		s.Owner = rbac.SubjectID(*r.OwnerID)
	}
	return s
}

type assignmentRow struct {
	ID          string `gorm:"primaryKey"`
	AccountID   string
	RoleID      string
	Context     string
	FromAt      int64
	ToAt        int64
	Eligible    flag
	Source      string
	ExceptionID string
	Why         string
}

func (assignmentRow) TableName() string { return "assignments" }

func assignmentOf(a rbac.Assignment) assignmentRow {
	return assignmentRow{
		ID: string(a.ID), AccountID: string(a.Account), RoleID: string(a.Role), Context: a.Context, FromAt: int64(a.During.From),
		ToAt: int64(a.During.End()), Eligible: flag(a.Eligible), Source: string(a.Source), ExceptionID: string(a.Exception), Why: a.Why,
	}
}

func (r assignmentRow) assignment() rbac.Assignment {
	return rbac.Assignment{
		ID: rbac.AssignmentID(r.ID), Account: rbac.AccountID(r.AccountID), Role: rbac.RoleID(r.RoleID), Context: r.Context,
		During: window(r.FromAt, r.ToAt), Eligible: bool(r.Eligible), Source: rbac.Source(r.Source), Exception: rbac.ExceptionID(r.ExceptionID), Why: r.Why,
	}
}

func window(from, to int64) rbac.Window {
	w := rbac.Window{From: rbac.Instant(from), To: rbac.Instant(to)}
	if w.To == rbac.Forever {
		w.To = 0
	}
	return w
}

type membershipRow struct {
	GroupID   string `gorm:"primaryKey"`
	AccountID string `gorm:"primaryKey"`
	FromAt    int64
	ToAt      int64
}

func (membershipRow) TableName() string { return "memberships" }

func membershipOf(m rbac.Membership) membershipRow {
	return membershipRow{string(m.Group), string(m.Account), int64(m.During.From), int64(m.During.End())}
}

func (r membershipRow) membership() rbac.Membership {
	return rbac.Membership{Group: rbac.GroupID(r.GroupID), Account: rbac.AccountID(r.AccountID), During: window(r.FromAt, r.ToAt)}
}

type delegationRow struct {
	ID        string `gorm:"primaryKey"`
	GiverID   string
	AccountID string
	Roles     list
	FromAt    int64
	ToAt      int64
}

func (delegationRow) TableName() string { return "delegations" }

func delegationOf(d rbac.Delegation) delegationRow {
	return delegationRow{string(d.ID), string(d.From), string(d.To), names(d.Roles), int64(d.During.From), int64(d.During.End())}
}

func (r delegationRow) delegation() rbac.Delegation {
	return rbac.Delegation{
		ID: rbac.DelegationID(r.ID), From: rbac.AccountID(r.GiverID), To: rbac.AccountID(r.AccountID), Roles: typed[rbac.RoleID](r.Roles),
		During: window(r.FromAt, r.ToAt),
	}
}

type exceptionRow struct {
	ID          string `gorm:"primaryKey"`
	RuleID      string
	RuleVersion int
	SubjectID   string
	Controls    list
	Requester   string
	Approvers   list
	FromAt      int64
	ToAt        int64
	Why         string
}

func (exceptionRow) TableName() string { return "exceptions" }

func exceptionOf(x rbac.Exception) exceptionRow {
	return exceptionRow{
		string(x.ID), string(x.Rule), x.Version, string(x.Subject), names(x.Controls), string(x.Requester), names(x.Approvers),
		int64(x.During.From), int64(x.During.End()), x.Why,
	}
}

func (r exceptionRow) exception() rbac.Exception {
	return rbac.Exception{
		ID: rbac.ExceptionID(r.ID), Rule: rbac.RuleID(r.RuleID), Version: r.RuleVersion, Subject: rbac.SubjectID(r.SubjectID),
		Controls: typed[rbac.ControlID](r.Controls), Requester: rbac.SubjectID(r.Requester), Approvers: typed[rbac.SubjectID](r.Approvers),
		During: window(r.FromAt, r.ToAt), Why: r.Why,
	}
}

type violationRow struct {
	RuleID      string `gorm:"primaryKey"`
	SubjectID   string `gorm:"primaryKey"`
	RuleVersion int
	During      doc[[]rbac.Window]
	Uncovered   doc[[]rbac.Window]
	Witness     string
	FirstSeen   int64
	LastSeen    int64
	FoundBy     string
}

func (violationRow) TableName() string { return "violations" }

func violationOf(v rbac.Violation) violationRow {
	return violationRow{
		string(v.Rule), string(v.Subject), v.Version, doc[[]rbac.Window]{v.During}, doc[[]rbac.Window]{v.Uncovered}, v.Witness,
		int64(v.FirstSeen), int64(v.LastSeen), string(v.By),
	}
}

func (r violationRow) violation() rbac.Violation {
	return rbac.Violation{
		Rule: rbac.RuleID(r.RuleID), Version: r.RuleVersion, Subject: rbac.SubjectID(r.SubjectID), During: r.During.v, Uncovered: r.Uncovered.v,
		Witness: r.Witness, FirstSeen: rbac.Instant(r.FirstSeen), LastSeen: rbac.Instant(r.LastSeen), By: rbac.Detection(r.FoundBy),
	}
}

type caseRow struct {
	RuleID    string `gorm:"primaryKey"`
	SubjectID string `gorm:"primaryKey"`
	State     string
	Origin    string
	Witness   string
	Opened    int64  `gorm:"column:opened_at"`
	Due       micros `gorm:"column:due_at"`
	Reopened  int
	Assignee  string
}

func (caseRow) TableName() string { return "cases" }

func caseOf(c rbac.Case) caseRow {
	return caseRow{
		string(c.Rule), string(c.Subject), string(c.State), string(c.Origin), c.Witness, int64(c.Opened), micros(c.Due), c.Reopened, string(c.Assignee),
	}
}

func (r caseRow) open() rbac.Case {
	return rbac.Case{
		Rule: rbac.RuleID(r.RuleID), Subject: rbac.SubjectID(r.SubjectID), State: rbac.CaseState(r.State), Origin: rbac.CaseOrigin(r.Origin),
		Witness: r.Witness, Opened: rbac.Instant(r.Opened), Due: rbac.Instant(r.Due), Reopened: r.Reopened, Assignee: rbac.SubjectID(r.Assignee),
	}
}

type holdRow struct {
	RuleID    string `gorm:"primaryKey"`
	SubjectID string `gorm:"primaryKey"`
	Slot      int    `gorm:"primaryKey;autoIncrement:false"`
	DutyID    string
}

func (holdRow) TableName() string { return "holds" }

func holdOf(h rbac.Hold) holdRow {
	return holdRow{string(h.Rule), string(h.Subject), h.Slot, string(h.Duty)}
}

func (r holdRow) hold() rbac.Hold {
	return rbac.Hold{Rule: rbac.RuleID(r.RuleID), Subject: rbac.SubjectID(r.SubjectID), Slot: r.Slot, Duty: rbac.DutyID(r.DutyID)}
}

func names[T ~string](ids []T) []string {
	return mapped(ids, func(id T) string { return string(id) })
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
