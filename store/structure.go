package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm/clause"

	"github.com/countersign-id/countersign/rbac"
)

// policyItemRow is one document of the policy. epoch says when it was last changed.
type policyItemRow struct {
	Kind    string `gorm:"primaryKey"`
	ID      string `gorm:"primaryKey"`
	Body    string
	Epoch   int64
	Changed int64 `gorm:"column:changed_at"`
}

func (policyItemRow) TableName() string { return "policy_items" }

// section is one kind of document: what it is called in the table, and how it is told from the others and read back.
type section struct {
	kind string
	id   func(row any) (string, bool)
	into func(p rbac.Policy, id string, body []byte) error
}

// sections are all kinds of document that a policy has.
var sections = []section{
	sectionOf("server", func(r rbac.ResourceServer) rbac.ServerID { return r.ID }, func(p rbac.Policy) map[rbac.ServerID]rbac.ResourceServer { return p.Servers }),
	sectionOf("permission", func(r rbac.PermissionDef) rbac.Permission { return r.ID }, func(p rbac.Policy) map[rbac.Permission]rbac.PermissionDef { return p.Permissions }),
	sectionOf("scope", func(r rbac.Scope) rbac.ScopeID { return r.ID }, func(p rbac.Policy) map[rbac.ScopeID]rbac.Scope { return p.Scopes }),
	sectionOf("role", func(r rbac.Role) rbac.RoleID { return r.ID }, func(p rbac.Policy) map[rbac.RoleID]rbac.Role { return p.Roles }),
	sectionOf("group", func(r rbac.Group) rbac.GroupID { return r.ID }, func(p rbac.Policy) map[rbac.GroupID]rbac.Group { return p.Groups }),
	sectionOf("duty", func(r rbac.Duty) rbac.DutyID { return r.ID }, func(p rbac.Policy) map[rbac.DutyID]rbac.Duty { return p.Duties }),
	sectionOf("rule", func(r rbac.Rule) rbac.RuleID { return r.ID }, func(p rbac.Policy) map[rbac.RuleID]rbac.Rule { return p.Rules }),
	sectionOf("control", func(r rbac.Control) rbac.ControlID { return r.ID }, func(p rbac.Policy) map[rbac.ControlID]rbac.Control { return p.Controls }),
}

func sectionOf[K ~string, R any](kind string, id func(R) K, of func(rbac.Policy) map[K]R) section {
	return section{
		kind: kind,
		id: func(row any) (string, bool) {
			r, ok := row.(R)
			if !ok {
				return "", false
			}
			return string(id(r)), true
		},
		into: func(p rbac.Policy, key string, body []byte) error {
			var r R
			if err := json.Unmarshal(body, &r); err != nil {
				return fmt.Errorf("store: read %s %s of the policy: %w", kind, key, err)
			}
			of(p)[K(key)] = r
			return nil
		},
	}
}

// item says which document a row of the policy is; false for a row that is none.
func item(row any) (kind, id string, ok bool) {
	for _, s := range sections {
		if id, ok := s.id(row); ok {
			return s.kind, id, true
		}
	}
	return "", "", false
}

// into reads the document into p.
func (r policyItemRow) into(p rbac.Policy) error {
	i := slices.IndexFunc(sections, func(s section) bool { return s.kind == r.Kind })
	if i < 0 {
		return fmt.Errorf("store: a policy has no %q", r.Kind)
	}
	return sections[i].into(p, r.ID, []byte(r.Body))
}

// Structure implements rbac.Reader. What this process holds is used while it is of the epoch in the database; else the policy
// is read and compiled anew.
func (tx *Tx) Structure(ctx context.Context) (*rbac.Structure, error) {
	if tx.made != nil { // nobody else knows it yet, and nobody else can have changed it since
		return tx.made, nil
	}
	if tx.structure != nil {
		return tx.structure, nil
	}
	epoch, err := tx.number(ctx, "SELECT epoch FROM policy")
	for err == nil {
		if st := tx.store.structure.Load(); st != nil && st.Epoch == uint64(epoch) {
			tx.structure = st
			return st, nil
		}
		var st *rbac.Structure
		if st, err = tx.compile(ctx, uint64(epoch)); err != nil {
			break
		}
		// Each statement of a View sees what was committed when it began. If nothing was in between, it was one state.
		var again int
		if again, err = tx.number(ctx, "SELECT epoch FROM policy"); err == nil && again == epoch {
			tx.store.keep(st)
			tx.structure = st
			return st, nil
		}
		epoch = again
	}
	return nil, err
}

func (tx *Tx) compile(ctx context.Context, epoch uint64) (*rbac.Structure, error) {
	rows, err := find[policyItemRow](tx.on(ctx))
	if err != nil {
		return nil, err
	}
	p := rbac.NewPolicy()
	for _, r := range rows {
		if err := r.into(p); err != nil {
			return nil, err
		}
	}
	return rbac.NewStructure(p, epoch)
}

// keep holds st for the transactions that follow, unless a newer one is held.
func (db *DB) keep(st *rbac.Structure) {
	for {
		old := db.structure.Load()
		if old != nil && old.Epoch >= st.Epoch || db.structure.CompareAndSwap(old, st) {
			return
		}
	}
}

// policyLock is the key of the lock that every change of who may hold what takes. It is an advisory lock of the transaction,
// which works behind a pooler too.
const policyLock = 0x0c0ffee5

// LockPolicy implements rbac.Tx. On SQLite whoever writes is alone.
func (tx *Tx) LockPolicy(ctx context.Context, exclusive bool) error {
	var err error
	switch {
	case tx.store.dialect == sqlite:
	case exclusive:
		_, err = tx.exec(ctx, "SELECT pg_advisory_xact_lock(?)", policyLock)
	default:
		_, err = tx.exec(ctx, "SELECT pg_advisory_xact_lock_shared(?)", policyLock)
	}
	if err == nil {
		tx.structure = nil // what was read before the lock is not what is decided by
		tx.moveOn()
	}
	return err
}

// storePolicy writes the documents that changed and the epoch.
func (tx *Tx) storePolicy(ctx context.Context, next *rbac.Structure, writes []rbac.Write) error {
	n, err := tx.exec(ctx, "UPDATE policy SET epoch = ? WHERE epoch < ?", int64(next.Epoch), int64(next.Epoch))
	if err != nil {
		return err
	}
	if n != 1 {
		return tx.conn.doom(errAgain)
	}
	gone := map[string][]string{}
	var put []policyItemRow
	for _, w := range writes {
		if kind, id, ok := item(w.New); ok {
			body, err := json.Marshal(w.New)
			if err != nil {
				return err
			}
			put = append(put, policyItemRow{kind, id, string(body), int64(next.Epoch), tx.now.UnixMicro()})
		} else if kind, id, ok := item(w.Old); ok && w.New == nil {
			gone[kind] = append(gone[kind], id)
		}
	}
	for kind, ids := range gone {
		for part := range chunks(ids, batch) {
			if _, err := tx.exec(ctx, "DELETE FROM policy_items WHERE kind = ? AND id IN ?", kind, part); err != nil {
				return err
			}
		}
	}
	if err := upsert(ctx, tx, put); err != nil {
		return err
	}
	tx.made = next
	return nil
}

// batch is how many rows a statement writes or names.
const batch = 500

// upsert writes rows, in place of those with their keys.
func upsert[R any](ctx context.Context, tx *Tx, rows []R) error {
	for part := range chunks(rows, batch) {
		if err := tx.on(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&part).Error; err != nil {
			return err
		}
	}
	return nil
}

// errAgain says that somebody else was in the way, as the database itself would: the transaction runs again.
var errAgain = errors.New("store: somebody else was first")
