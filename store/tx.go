package store

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/countersign-id/countersign/audit"
	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/rbac"
)

var (
	_ auth.Tx  = (*Tx)(nil)
	_ rbac.Tx  = (*Tx)(nil)
	_ audit.Tx = (*Tx)(nil)
)

// Tx is a transaction: one connection, one instant, and the events to be written with it. It lives inside the closure
// it was given to and is used by one goroutine at a time.
type Tx struct {
	store  *DB
	conn   *conn
	db     *gorm.DB
	now    time.Time
	events []audit.Event

	structure *rbac.Structure // of the policy, once read
	made      *rbac.Structure // by this transaction: for all others once it has committed
}

func (db *DB) tx(c *conn) *Tx {
	// With a context GORM copies the statement. Without one all sessions share it, and a transaction would run on
	// the connection of whichever began last.
	session := db.gorm.Session(&gorm.Session{NewDB: true, Context: context.Background()})
	session.Statement.ConnPool = c
	tx := &Tx{store: db, conn: c, db: session}
	tx.moveOn()
	return tx
}

// Now is the transaction's instant, in UTC and whole microseconds. All of a transaction happens at it; where it waits for who may
// hold what, that is when the lock was given.
func (tx *Tx) Now() time.Time { return tx.now }

// moveOn makes now the transaction's instant. Whoever held a lock until now did things at instants that would else be to come: what
// was ended would still be held.
func (tx *Tx) moveOn() {
	if now := tx.store.clock().UTC().Truncate(time.Microsecond); now.After(tx.now) {
		tx.now = now
	}
}

// NewID returns a fresh UUIDv7.
func (tx *Tx) NewID() string { return uuid.Must(uuid.NewV7()).String() }

// on is the transaction as GORM takes it. Its generic interface (gorm.G) is not used: each row type would instantiate all of
// it, and compiling this package took twenty-five seconds of processor time instead of one.
func (tx *Tx) on(ctx context.Context) *gorm.DB { return tx.db.WithContext(ctx) }

// find reads the rows that q picks.
func find[R any](q *gorm.DB) ([]R, error) {
	var rows []R
	err := q.Find(&rows).Error
	return rows, err
}

// exec runs a statement that writes and returns how many rows it wrote. That number is the verdict of a conditional one.
func (tx *Tx) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	res := tx.on(ctx).Exec(sql, whole(args)...)
	return res.RowsAffected, res.Error
}

// wrote runs a conditional write and reports whether it wrote.
func (tx *Tx) wrote(ctx context.Context, sql string, args ...any) (bool, error) {
	n, err := tx.exec(ctx, sql, args...)
	return n > 0, err
}

// ints and texts run a statement that returns one column.
func (tx *Tx) ints(ctx context.Context, sql string, args ...any) ([]int64, error) {
	return find[int64](tx.on(ctx).Raw(sql, whole(args)...))
}

func (tx *Tx) texts(ctx context.Context, sql string, args ...any) ([]string, error) {
	return find[string](tx.on(ctx).Raw(sql, whole(args)...))
}

// number runs a statement that returns one number.
func (tx *Tx) number(ctx context.Context, sql string, args ...any) (int, error) {
	n, err := tx.ints(ctx, sql, args...)
	if err != nil || len(n) == 0 {
		return 0, err
	}
	return int(n[0]), nil
}

// blob is bytes as one value. GORM takes a bare []byte behind a parenthesis for a list of numbers.
type blob []byte

// Value is the column's value.
func (b blob) Value() (driver.Value, error) { return []byte(b), nil }

func whole(args []any) []any {
	for i, a := range args {
		if b, ok := a.([]byte); ok {
			args[i] = blob(b)
		}
	}
	return args
}

// take reads the one row that fits.
func take[R any](ctx context.Context, tx *Tx, where string, args ...any) (R, error) {
	var row R
	err := tx.on(ctx).Where(where, args...).Take(&row).Error
	return row, err
}

// insert adds a row.
func insert[R any](ctx context.Context, tx *Tx, row R) error {
	return tx.on(ctx).Create(&row).Error
}

// overwrite writes all columns of a row over the one that fits, but those left out, and reports whether one did.
func overwrite[R any](ctx context.Context, tx *Tx, row R, omit []string, where string, args ...any) (bool, error) {
	res := tx.on(ctx).Model(new(R)).Where(where, args...).Select("*").Omit(omit...).Updates(&row)
	return res.RowsAffected > 0, res.Error
}
