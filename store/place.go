package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// place is where a database is.
type place struct {
	dialect dialect
	path    string          // SQLite's file
	pg      *pgx.ConnConfig // PostgreSQL's
	told    bool            // its address says how statements are to be sent
}

// locate reads a database's address. A faulty one is not repeated in the fault: it may hold a password.
func locate(database string) (place, error) {
	scheme, rest, _ := strings.Cut(database, ":")
	switch scheme {
	case "sqlite":
		path := strings.TrimPrefix(rest, "//")
		if path == "" || strings.HasPrefix(path, ":") {
			return place{}, errDatabase.Saying("The database must be a file: sqlite:PATH.")
		}
		abs, err := filepath.Abs(path)
		return place{dialect: sqlite, path: abs}, err
	case "postgres", "postgresql":
		cfg, err := pgx.ParseConfig(database)
		if err != nil {
			return place{}, errDatabase.Saying("The PostgreSQL address cannot be read.")
		}
		if cfg.RuntimeParams["application_name"] == "" {
			cfg.RuntimeParams["application_name"] = "countersign"
		}
		return place{dialect: postgres, pg: cfg, told: strings.Contains(database, "default_query_exec_mode")}, nil
	}
	return place{}, errDatabase
}

// pooled finds out whether a pooler such as PgBouncer stands before PostgreSQL: it makes up the process number that a client is told when
// it connects. In transaction mode the next statement may meet another server connection, which knows none of our prepared statements, so each is
// then sent whole, in one round trip. Without a pooler the server parses and plans a statement once a connection, which halves its work.
func (p place) pooled(ctx context.Context) (bool, error) {
	cfg := p.pg.Copy()
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return false, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var pid uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()::bigint").Scan(&pid); err != nil {
		return false, err
	}
	return pid != conn.PgConn().PID(), nil
}

// pools opens the connections for writing and for reading.
func (p place) pools(ctx context.Context, writers, readers int) (w, r *sql.DB, err error) {
	if p.dialect == postgres {
		if !p.told {
			pooled, err := p.pooled(ctx)
			if err != nil {
				return nil, nil, ErrUnavailable.Because(err)
			}
			if pooled {
				p.pg.DefaultQueryExecMode = pgx.QueryExecModeExec
			}
		}
		w, r = stdlib.OpenDB(*p.pg), stdlib.OpenDB(*p.pg)
		w.SetMaxOpenConns(writers)
		w.SetMaxIdleConns(writers)
		r.SetMaxOpenConns(readers)
		r.SetMaxIdleConns(readers)
		for _, pool := range []*sql.DB{w, r} {
			pool.SetConnMaxIdleTime(5 * time.Minute)
			pool.SetConnMaxLifetime(time.Hour) // so that a failover's new primary is found
		}
		return w, r, nil
	}

	if err := guardFile(p.path); err != nil {
		return nil, nil, err
	}
	if w, err = sql.Open("sqlite", p.dsn()); err != nil {
		return nil, nil, err
	}
	// One writer: SQLite has room for one, and the queue for it is better kept here, where waiting ends with the request.
	w.SetMaxOpenConns(1)
	if r, err = sql.Open("sqlite", p.dsn("query_only(1)")); err != nil {
		return nil, nil, errors.Join(err, w.Close())
	}
	r.SetMaxOpenConns(readers)
	r.SetMaxIdleConns(readers)
	return w, r, nil
}

// dsn is how SQLite's driver is told. FULL: an acknowledged write survives the loss of power.
func (p place) dsn(pragmas ...string) string {
	q := url.Values{"_pragma": append([]string{
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)", "trusted_schema(0)",
		"journal_size_limit(67108864)", // a log that one long reader made grow does not keep the disk
	}, pragmas...)}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(p.path), RawQuery: q.Encode()}).String()
}

// guardFile makes the database's file with mode 0600 if there is none, and refuses one that is open to everybody
// (sec-D14). SQLite gives its side files the same mode.
func guardFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return errDatabase.Saying(fmt.Sprintf("The database file %s cannot be opened.", path)).Because(err)
	}
	defer f.Close()
	if runtime.GOOS == "windows" {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return errFileMode.Saying(fmt.Sprintf("The database file %s is open to everybody. Run chmod 600 on it.", path))
	}
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	if dir.Mode().Perm()&0o002 != 0 && dir.Mode()&os.ModeSticky == 0 {
		return errFileMode.Saying(fmt.Sprintf("Everybody may replace files in %s, the database's too. Run chmod o-w on it.", filepath.Dir(path)))
	}
	return nil
}

var errBadConn = driver.ErrBadConn

// sound reports whether PostgreSQL would commit the transaction of a connection.
func sound(c *sql.Conn) error {
	return c.Raw(func(dc any) error {
		if pg, ok := dc.(*stdlib.Conn); ok && pg.Conn().PgConn().TxStatus() != 'T' {
			return errors.New("store: the transaction failed in the database")
		}
		return nil
	})
}
