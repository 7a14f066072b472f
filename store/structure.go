package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

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

// item makes the document of a row of the policy; false for a row that is none.
func item(row any) (kind, id string, ok bool) {
	switch r := row.(type) {
	case rbac.ResourceServer:
		return "server", string(r.ID), true
	case rbac.PermissionDef:
		return "permission", string(r.ID), true
	case rbac.Scope:
		return "scope", string(r.ID), true
	case rbac.Role:
		return "role", string(r.ID), true
	case rbac.Group:
		return "group", string(r.ID), true
	case rbac.Duty:
		return "duty", string(r.ID), true
	case rbac.Rule:
		return "rule", string(r.ID), true
	case rbac.Control:
		return "control", string(r.ID), true
	}
	return "", "", false
}

// into reads the document into p.
func (r policyItemRow) into(p rbac.Policy) error {
	body := []byte(r.Body)
	switch r.Kind {
	case "server":
		return entry(body, p.Servers, rbac.ServerID(r.ID))
	case "permission":
		return entry(body, p.Permissions, rbac.Permission(r.ID))
	case "scope":
		return entry(body, p.Scopes, rbac.ScopeID(r.ID))
	case "role":
		return entry(body, p.Roles, rbac.RoleID(r.ID))
	case "group":
		return entry(body, p.Groups, rbac.GroupID(r.ID))
	case "duty":
		return entry(body, p.Duties, rbac.DutyID(r.ID))
	case "rule":
		return entry(body, p.Rules, rbac.RuleID(r.ID))
	case "control":
		return entry(body, p.Controls, rbac.ControlID(r.ID))
	}
	return fmt.Errorf("store: a policy has no %q", r.Kind)
}

func entry[K comparable, V any](body []byte, m map[K]V, k K) error {
	var v V
	if err := json.Unmarshal(body, &v); err != nil {
		return fmt.Errorf("store: read %v of the policy: %w", k, err)
	}
	m[k] = v
	return nil
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
