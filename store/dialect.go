package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"
)

// dialect is a database as GORM needs to know it: how it quotes and how it counts parameters. GORM's own
// dialects bring a second SQLite in C, a migrator and error translators, none of which we use.
type dialect string

const (
	sqlite   dialect = "sqlite"
	postgres dialect = "postgres"
)

// begin returns the statement that opens a transaction for writing.
//
// SQLite takes the one writer's place at once: a transaction that begins by reading and wants to write later is
// told "busy" without any waiting. PostgreSQL gets its time limits in the same message and for the transaction only:
// behind PgBouncer a setting of the session would be somebody else's.
func (d dialect) begin(limit time.Duration) string {
	if d == sqlite {
		return "BEGIN IMMEDIATE"
	}
	ms := limit.Milliseconds()
	return fmt.Sprintf("BEGIN; SET LOCAL statement_timeout = %d; SET LOCAL lock_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = %d", ms, ms, 2*ms)
}

// beginView returns the statement that opens a transaction for reading, empty for none. At READ COMMITTED every statement has a
// snapshot of its own, so BEGIN and COMMIT around reads would cost two round trips and buy nothing.
func (d dialect) beginView() string {
	if d == sqlite {
		return "BEGIN"
	}
	return ""
}

// lock returns the clause that holds rows until the transaction ends. NO KEY: rows that only reference it may still be added.
func (d dialect) lock() string {
	if d == sqlite {
		return ""
	}
	return " FOR NO KEY UPDATE"
}

func (d dialect) Name() string { return string(d) }

func (d dialect) Initialize(db *gorm.DB) error {
	callbacks.RegisterDefaultCallbacks(db, &callbacks.Config{
		CreateClauses: []string{"INSERT", "VALUES", "ON CONFLICT"},
		QueryClauses:  []string{"SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "FOR"},
		UpdateClauses: []string{"UPDATE", "SET", "WHERE"},
		DeleteClauses: []string{"DELETE", "FROM", "WHERE"},
	})
	return nil
}

func (d dialect) BindVarTo(w clause.Writer, stmt *gorm.Statement, _ any) {
	if d == sqlite {
		w.WriteByte('?')
		return
	}
	w.WriteByte('$')
	w.WriteString(strconv.Itoa(len(stmt.Vars)))
}

func (d dialect) QuoteTo(w clause.Writer, name string) {
	for i, part := range strings.Split(name, ".") {
		if i > 0 {
			w.WriteByte('.')
		}
		if part == "*" {
			w.WriteString(part)
			continue
		}
		w.WriteString(`"` + strings.ReplaceAll(part, `"`, `""`) + `"`)
	}
}

func (d dialect) DefaultValueOf(*schema.Field) clause.Expression { return clause.Expr{SQL: "DEFAULT"} }

// Explain would put values into SQL for a log. They are secrets more often than not.
func (d dialect) Explain(sql string, _ ...any) string { return sql }

// The schema is the migrations' and nobody else's.
func (d dialect) Migrator(*gorm.DB) gorm.Migrator { panic("store: GORM does not migrate") }
func (d dialect) DataTypeOf(*schema.Field) string { panic("store: GORM does not migrate") }

// silent is GORM's logger. The one it comes with prints failing statements with their values: a hash, a token, a name.
type silent struct{}

func (s silent) LogMode(logger.LogLevel) logger.Interface { return s }

func (silent) Info(context.Context, string, ...any)                            {}
func (silent) Warn(context.Context, string, ...any)                            {}
func (silent) Error(context.Context, string, ...any)                           {}
func (silent) Trace(context.Context, time.Time, func() (string, int64), error) {}
