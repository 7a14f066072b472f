// Package pgtest gives tests a PostgreSQL that is thrown away after them.
//
// One server serves a whole test binary, or the whole run where `make test` has started one and
// named it in COUNTERSIGN_TEST_POSTGRES; each test has databases of its own on it. A server is
// started from the binaries of an installed PostgreSQL, with its files in a temporary folder and on
// a free port of the loopback address, as another user where the tests run as root. A cluster that
// the system runs is never used.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Variable names the server to use, as a connection string of its superuser, in place of a new one.
const Variable = "COUNTERSIGN_TEST_POSTGRES"

// patience bounds everything a test waits for here.
const patience = time.Minute

var shared = sync.OnceValues(func() (*Server, error) {
	if dsn := os.Getenv(Variable); dsn != "" {
		return &Server{dsn: dsn}, nil
	}
	return start(Fast)
})

// New returns the connection string of a new, empty database that is dropped when t ends.
func New(t testing.TB) string {
	t.Helper()
	return common(t).New(t)
}

// Template returns the connection string of a copy of the database that migrate made, dropped when
// t ends. For one name migrate is called once a server, whichever test and package asks first; so
// the name must say what is in it. When migrate returns, its connections must be closed.
func Template(t testing.TB, name string, migrate func(dsn string) error) string {
	t.Helper()
	return common(t).Template(t, name, migrate)
}

// Start gives t a server of its own, to be crashed and restarted.
func Start(t testing.TB, mode Mode) *Server {
	t.Helper()
	s, err := start(mode)
	check(t, err)
	t.Cleanup(func() {
		if err := s.leash.Release(); err != nil {
			t.Errorf("stop PostgreSQL: %v", err)
		}
	})
	return s
}

// Serve starts a server for programs that run tests and returns the value of Variable for them.
// The server ends with this process.
func Serve() (string, error) {
	s, err := start(Fast)
	if err != nil {
		return "", err
	}
	return s.dsn, nil
}

func common(t testing.TB) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("short: PostgreSQL is left to make test")
	}
	s, err := shared()
	check(t, err)
	return s
}

// check ends t where a server could not be had: a machine without PostgreSQL is told so, but
// continuous integration must have one.
func check(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, errAbsent) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// New is New on this server.
func (s *Server) New(t testing.TB) string {
	t.Helper()
	return s.create(t, "template1")
}

// Template is Template on this server.
func (s *Server) Template(t testing.TB, name string, migrate func(dsn string) error) string {
	t.Helper()
	name = "template_" + name
	once, _ := s.templates.LoadOrStore(name, sync.OnceValue(func() error { return s.prepare(name, migrate) }))
	if err := once.(func() error)(); err != nil {
		t.Fatalf("prepare %s: %v", name, err)
	}
	return s.create(t, name)
}

// prepare makes the database name with migrate, unless another process has. One that was begun and
// not ended is made anew.
func (s *Server) prepare(name string, migrate func(dsn string) error) error {
	return s.admin(func(ctx context.Context, conn *pgx.Conn) error {
		// Held until the connection closes: packages are tested side by side.
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext($1))", name); err != nil {
			return err
		}
		var ended bool
		err := conn.QueryRow(ctx, "SELECT datistemplate FROM pg_database WHERE datname = $1", name).Scan(&ended)
		if ended || (err != nil && !errors.Is(err, pgx.ErrNoRows)) {
			return err
		}

		quoted := pgx.Identifier{name}.Sanitize()
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quoted+" WITH (FORCE)"); err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+quoted); err != nil {
			return err
		}
		if err := migrate(s.at(name)); err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "ALTER DATABASE "+quoted+" IS_TEMPLATE true")
		return err
	})
}

// create copies the database template for t.
func (s *Server) create(t testing.TB, template string) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text()[:12])
	err := s.admin(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+pgx.Identifier{template}.Sanitize()+strategy(conn))
		return err
	})
	if err != nil {
		t.Fatalf("new database: %v", err)
	}
	t.Cleanup(func() {
		if s.crashed {
			return
		}
		err := s.admin(func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
			return err
		})
		if err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	return s.at(name)
}

// strategy asks for the copy that is quick where nothing is forced to disk. Before version 15 there
// was no other.
func strategy(conn *pgx.Conn) string {
	if major, _ := strconv.Atoi(strings.SplitN(conn.PgConn().ParameterStatus("server_version"), ".", 2)[0]); major < 15 {
		return ""
	}
	return " STRATEGY file_copy"
}

// admin runs f on a connection of the superuser.
func (s *Server) admin(f func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.dsn)
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	return errors.Join(f(ctx, conn), conn.Close(ctx))
}
