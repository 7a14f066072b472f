package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorm.io/gorm/schema"

	"github.com/countersign-id/countersign/internal/pgtest"
	"github.com/countersign-id/countersign/migrations"
)

var testKey = bytes.Repeat([]byte("k"), 32)

func sqliteConfig(t *testing.T) Config {
	return Config{Database: "sqlite:" + filepath.Join(t.TempDir(), "test.db"), MasterKeys: [][]byte{testKey}}
}

func opened(t *testing.T, cfg Config) *DB {
	t.Helper()
	if _, err := Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// rows are all row types. A table without one, or one without a table, fails the test below.
var rows = []any{
	subjectRow{}, accountRow{}, accountNameRow{}, passwordRow{}, setupRow{}, sessionRow{}, clientRow{}, consentRow{}, grantRow{}, tokenRow{},
	denialRow{}, assertionRow{}, flowRow{}, keyRow{}, limitRow{}, outboxRow{}, eventRow{}, hashRow{}, checkpointRow{}, leaseRow{},
	policyRow{}, policyItemRow{}, assignmentRow{}, membershipRow{}, delegationRow{}, exceptionRow{}, violationRow{}, caseRow{}, holdRow{}, secretRow{}, keysetRow{},
	holderRow{}, passkeyRow{}, totpRow{}, recoveryRow{}, trustRow{}, passRow{}, ceremonyRow{},
}

// Written by statements of their own, never as rows.
type (
	denialRow struct {
		JTI  string `gorm:"primaryKey"`
		Ends micros `gorm:"column:ends_at"`
	}
	assertionRow struct {
		ClientID string `gorm:"primaryKey"`
		JTI      string `gorm:"primaryKey"`
		Ends     micros `gorm:"column:ends_at"`
	}
)

type policyRow struct {
	One     int `gorm:"primaryKey;autoIncrement:false"`
	Epoch   int64
	SweptAt int64
	WholeAt int64
}

func (policyRow) TableName() string    { return "policy" }
func (denialRow) TableName() string    { return "denials" }
func (assertionRow) TableName() string { return "assertions" }

func TestRowsFitTheSchema(t *testing.T) {
	t.Parallel()
	have := tablesOf(t, opened(t, sqliteConfig(t)).writers, sqlite)
	for _, row := range rows {
		s, err := schema.Parse(row, &sync.Map{}, schema.NamingStrategy{})
		if err != nil {
			t.Fatal(err)
		}
		table, ok := have[s.Table]
		if !ok {
			t.Errorf("%T has no table %s", row, s.Table)
			continue
		}
		delete(have, s.Table)
		var want, got []string
		for _, c := range table.Columns {
			want = append(want, c.Name)
			if f := s.LookUpField(c.Name); f != nil && f.PrimaryKey != (c.Key > 0) {
				t.Errorf("%s.%s: the row says primary key %v", s.Table, c.Name, f.PrimaryKey)
			}
		}
		for _, f := range s.Fields {
			got = append(got, f.DBName)
			if f.AutoCreateTime != 0 || f.AutoUpdateTime != 0 || f.AutoIncrement {
				t.Errorf("%T.%s: GORM would fill it", row, f.Name)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%T and table %s differ:\n%s", row, s.Table, diff)
		}
	}
	for name := range have {
		t.Errorf("table %s has no row type", name)
	}
}

func TestBothDatabasesHaveOneSchema(t *testing.T) {
	t.Parallel()
	pg := Config{Database: pgtest.New(t), MasterKeys: [][]byte{testKey}}
	lite := tablesOf(t, opened(t, sqliteConfig(t)).writers, sqlite)
	full := tablesOf(t, opened(t, pg).writers, postgres)
	if len(lite) < 25 {
		t.Errorf("only %d tables were found", len(lite))
	}
	if diff := cmp.Diff(lite, full); diff != "" {
		t.Errorf("SQLite (-) and PostgreSQL (+) differ:\n%s", diff)
	}
	if diff := cmp.Diff(migrations.Versions("sqlite"), migrations.Versions("postgres")); diff != "" {
		t.Errorf("the migrations' numbers differ:\n%s", diff)
	}
}

// table is what the two databases must agree on.
type table struct {
	Columns []column
	Indexes []string // "unique (a, b) partial"
	Foreign []string // "a -> other.b"
}

type column struct {
	Name     string
	Type     string // text, integer or bytes
	Nullable bool
	Key      int // place in the primary key, from 1
}

func tablesOf(t *testing.T, db *sql.DB, d dialect) map[string]table {
	t.Helper()
	names := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'schema_%'"
	columns := `SELECT name, type, NOT "notnull", pk FROM pragma_table_info('%s')`
	indexes := `SELECT CASE l."unique" WHEN 1 THEN 'unique ' ELSE '' END || '(' || (SELECT group_concat(i.name, ', ') FROM pragma_index_info(l.name) i) || ')' ||
		CASE l.partial WHEN 1 THEN ' partial' ELSE '' END FROM pragma_index_list('%s') l WHERE l.origin <> 'pk'`
	foreign := `SELECT "from" || ' -> ' || "table" || '.' || "to" FROM pragma_foreign_key_list('%s')`
	if d == postgres {
		names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'schema_%'"
		columns = `SELECT c.column_name, c.data_type, c.is_nullable = 'YES', coalesce(array_position(x.indkey::int2[], a.attnum) + 1, 0)
			FROM information_schema.columns c
			JOIN pg_attribute a ON a.attrelid = ('%[1]s')::regclass AND a.attname = c.column_name
			LEFT JOIN pg_index x ON x.indrelid = a.attrelid AND x.indisprimary
			WHERE c.table_name = '%[1]s' AND c.table_schema = 'public' ORDER BY c.ordinal_position`
		indexes = `SELECT CASE WHEN x.indisunique THEN 'unique ' ELSE '' END || '(' ||
			(SELECT string_agg(a.attname, ', ' ORDER BY array_position(x.indkey::int2[], a.attnum)) FROM pg_attribute a WHERE a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey)) || ')' ||
			CASE WHEN x.indpred IS NULL THEN '' ELSE ' partial' END
			FROM pg_index x WHERE x.indrelid = ('%s')::regclass AND NOT x.indisprimary`
		foreign = `SELECT a.attname || ' -> ' || f.relname || '.' || b.attname FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid
			JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1]
			WHERE k.contype = 'f' AND k.conrelid = ('%s')::regclass`
	}
	tables := map[string]table{}
	for _, name := range texts(t, db, names) {
		var x table
		for _, c := range query(t, db, fmt.Sprintf(columns, name), func(r *sql.Rows) (c column, err error) {
			return c, r.Scan(&c.Name, &c.Type, &c.Nullable, &c.Key)
		}) {
			c.Type = class(c.Type)
			x.Columns = append(x.Columns, c)
		}
		x.Indexes, x.Foreign = texts(t, db, fmt.Sprintf(indexes, name)), texts(t, db, fmt.Sprintf(foreign, name))
		slices.Sort(x.Indexes)
		slices.Sort(x.Foreign)
		tables[name] = x
	}
	return tables
}

// class is what a column's type means here.
func class(columnType string) string {
	switch strings.ToLower(columnType) {
	case "integer", "bigint", "smallint":
		return "integer"
	case "blob", "bytea":
		return "bytes"
	}
	return strings.ToLower(columnType)
}

func texts(t *testing.T, db *sql.DB, q string) []string {
	t.Helper()
	return query(t, db, q, func(r *sql.Rows) (s string, err error) { return s, r.Scan(&s) })
}

func query[T any](t *testing.T, db *sql.DB, q string, scan func(*sql.Rows) (T, error)) (all []T) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), q)
	if err != nil {
		t.Fatalf("%v\n%s", err, q)
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheWritersPragmas(t *testing.T) {
	t.Parallel()
	db := opened(t, sqliteConfig(t))
	err := db.Update(t.Context(), func(tx *Tx) error {
		for pragma, want := range map[string]int{"synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000, "trusted_schema": 0} {
			var got int
			if err := tx.conn.raw.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: got %d, %v, want %d", pragma, got, err, want)
			}
		}
		var mode string
		err := tx.conn.raw.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode)
		if mode != "wal" {
			t.Errorf("journal mode %s, want wal", mode)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(t.Context(), func(tx *Tx) error {
		_, err := tx.conn.raw.ExecContext(t.Context(), "DELETE FROM clients") // past our own guard
		if err == nil {
			t.Error("a reading connection wrote")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAReaderSeesOneStateAndDoesNotWait(t *testing.T) {
	t.Parallel()
	db := opened(t, sqliteConfig(t))
	err := db.View(t.Context(), func(tx *Tx) error {
		before, err := tx.CountEvents(t.Context())
		if err != nil {
			return err
		}
		err = db.Update(context.WithoutCancel(t.Context()), func(tx *Tx) error {
			_, err := tx.exec(t.Context(), "DELETE FROM events")
			return err
		})
		if err != nil {
			return err
		}
		after, err := tx.CountEvents(t.Context())
		if before != len(migrations.Versions("sqlite")) || after != before {
			t.Errorf("counted %d and then %d, want one for each migration both times", before, after)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
