package store

import (
	"context"
	"crypto/subtle"

	"github.com/countersign-id/countersign/auth"
)

// flowRow keeps a flow whole, as JSON. Nothing asks for a part of it, and it is gone within minutes, so a field that is added or
// dropped needs no migration.
type flowRow struct {
	ID          string `gorm:"primaryKey"`
	BrowserHash []byte
	Created     micros `gorm:"column:created_at"`
	Ends        micros `gorm:"column:ends_at"`
	Body        doc[auth.Flow]
}

func (flowRow) TableName() string { return "flows" }

func flowOf(f auth.Flow) flowRow {
	r := flowRow{ID: string(f.ID), BrowserHash: f.BrowserHash, Created: stamp(f.CreatedAt), Ends: stamp(f.Ends)}
	f.Typed, f.Hint, f.Locales, f.Display = legible(f.Typed), legible(f.Hint), legible(f.Locales), legible(f.Display)
	r.Body.v = f
	return r
}

func (r flowRow) flow() auth.Flow {
	f := r.Body.v
	f.ID, f.BrowserHash, f.CreatedAt, f.Ends = auth.FlowID(r.ID), r.BrowserHash, r.Created.time(), r.Ends.time()
	return f
}

// AddFlow implements auth.FlowTx.
func (tx *Tx) AddFlow(ctx context.Context, f auth.Flow) error {
	return insert(ctx, tx, flowOf(f))
}

// Flow implements auth.FlowTx. Another browser is told what it would be told if there were no such flow.
func (tx *Tx) Flow(ctx context.Context, id auth.FlowID, browserHash []byte) (auth.Flow, error) {
	r, err := take[flowRow](ctx, tx, "id = ? AND ends_at > ?", string(id), stamp(tx.now))
	if err != nil {
		return auth.Flow{}, missing(err, errFlowMissing)
	}
	if len(browserHash) == 0 || subtle.ConstantTimeCompare(r.BrowserHash, browserHash) != 1 {
		return auth.Flow{}, errFlowMissing
	}
	return r.flow(), nil
}

// UpdateFlow implements auth.FlowTx. The browser it is bound to and its end stay.
func (tx *Tx) UpdateFlow(ctx context.Context, f auth.Flow) (bool, error) {
	r := flowOf(f)
	return tx.wrote(ctx, "UPDATE flows SET body = ? WHERE id = ? AND ends_at > ?", r.Body, r.ID, stamp(tx.now))
}

// SpendFlow implements auth.FlowTx. An expired flow is nobody's to spend.
func (tx *Tx) SpendFlow(ctx context.Context, id auth.FlowID) (bool, error) {
	return tx.wrote(ctx, "DELETE FROM flows WHERE id = ? AND ends_at > ?", string(id), stamp(tx.now))
}
