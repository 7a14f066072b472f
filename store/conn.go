package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// conn is the one connection of a transaction, as GORM sees it. A statement that fails dooms the transaction on
// both databases alike: PostgreSQL would refuse the next one, SQLite would go on with half a change.
type conn struct {
	raw    *sql.Conn
	count  *atomic.Uint64
	reads  bool // a View's: nothing is written
	failed error
	ended  bool
}

var (
	errEnded     = errors.New("store: the transaction has ended")
	errReadsOnly = errors.New("store: a View does not write")
	errNoTx      = errors.New("store: outside of a transaction")
	errText      = errors.New("store: text that is not UTF-8 or holds a NUL")
)

func (c *conn) PrepareContext(context.Context, string) (*sql.Stmt, error) {
	return nil, errors.New("store: statements are not prepared")
}

func (c *conn) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if c.reads {
		return nil, c.doom(errReadsOnly)
	}
	values, err := c.admit(args)
	if err != nil {
		return nil, err
	}
	res, err := c.raw.ExecContext(ctx, query, values...)
	return res, c.doom(err)
}

func (c *conn) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if c.reads && !strings.HasPrefix(query, "SELECT") && !strings.HasPrefix(query, "WITH") {
		return nil, c.doom(errReadsOnly)
	}
	values, err := c.admit(args)
	if err != nil {
		return nil, err
	}
	rows, err := c.raw.QueryContext(ctx, query, values...)
	return rows, c.doom(err)
}

// QueryRowContext is there for GORM's interface; nothing here asks for a bare row.
func (c *conn) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	c.doom(errors.New("store: bare rows are not read"))
	return c.raw.QueryRowContext(ctx, "SELECT 1 WHERE 1 = 0")
}

// admit counts a statement and turns its arguments into what both drivers take in the same way.
func (c *conn) admit(args []any) ([]any, error) {
	if c.ended {
		return nil, errEnded
	}
	if c.failed != nil {
		return nil, c.failed
	}
	c.count.Add(1)
	values := make([]any, len(args))
	for i, a := range args {
		v, err := plain(a)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

func (c *conn) doom(err error) error {
	if err != nil && c.failed == nil {
		c.failed = err
	}
	return err
}

// plain returns the driver's value of an argument. Text that PostgreSQL cannot hold is refused on SQLite too.
func plain(a any) (driver.Value, error) {
	v, err := driver.DefaultParameterConverter.ConvertValue(a)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case string:
		if !storable(v) {
			return nil, errText
		}
	case []byte:
		if v == nil {
			return nil, nil
		}
	}
	return v, nil
}

func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// legible replaces what cannot be stored, for text that is kept only to be shown or remembered.
func legible(s string) string {
	if storable(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// nowhere is what GORM holds outside of transactions: no statement runs there.
type nowhere struct{}

func (nowhere) PrepareContext(context.Context, string) (*sql.Stmt, error)       { return nil, errNoTx }
func (nowhere) ExecContext(context.Context, string, ...any) (sql.Result, error) { return nil, errNoTx }
func (nowhere) QueryContext(context.Context, string, ...any) (*sql.Rows, error) { return nil, errNoTx }
func (nowhere) QueryRowContext(context.Context, string, ...any) *sql.Row        { return nil }
