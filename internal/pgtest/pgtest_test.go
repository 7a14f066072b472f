package pgtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/countersign-id/countersign/internal/pgtest"
)

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func exec1(t *testing.T, dsn, sql string) {
	t.Helper()
	if _, err := connect(t, dsn).Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func query1[T any](t *testing.T, dsn, sql string, args ...any) (v T) {
	t.Helper()
	if err := connect(t, dsn).QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDatabasesAreApartAndDropped(t *testing.T) {
	t.Parallel()
	watcher := pgtest.New(t)

	var name string
	t.Run("two databases share nothing", func(t *testing.T) {
		one, other := pgtest.New(t), pgtest.New(t)
		exec1(t, one, "CREATE TABLE mine (id text)")
		if got := query1[int](t, other, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); got != 0 {
			t.Errorf("got %d tables in the other database, want none", got)
		}
		name = query1[string](t, one, "SELECT current_database()")
	})

	if got := query1[int](t, watcher, "SELECT count(*) FROM pg_database WHERE datname = $1", name); got != 0 {
		t.Errorf("%s was not dropped when its test ended", name)
	}
}

func TestTemplateIsMigratedOnce(t *testing.T) {
	t.Parallel()
	pgtest.New(t) // skips here, not in a goroutine
	var calls atomic.Int32
	migrate := func(dsn string) error {
		calls.Add(1)
		conn, err := pgx.Connect(context.Background(), dsn)
		if err != nil {
			return err
		}
		_, err = conn.Exec(context.Background(), "CREATE TABLE t (n int); INSERT INTO t VALUES (7)")
		return errors.Join(err, conn.Close(context.Background()))
	}

	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			dsn := pgtest.Template(t, "pgtest_once", migrate)
			if got := query1[int](t, dsn, "SELECT n FROM t"); got != 7 {
				t.Errorf("the copy holds %d, want 7", got)
			}
		})
	}
	wait.Wait()
	if got := calls.Load(); got != 1 {
		t.Errorf("migrated %d times, want 1", got)
	}
}

func TestServerComesBackAfterCrash(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("short: PostgreSQL is left to make test")
	}
	server := pgtest.Start(t, pgtest.Durable)
	dsn := server.New(t)
	if got := query1[string](t, dsn, "SHOW fsync"); got != "on" {
		t.Fatalf("a durable server has fsync %s", got)
	}
	exec1(t, dsn, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")

	server.Crash(t)
	if conn, err := pgx.Connect(t.Context(), dsn); err == nil {
		conn.Close(t.Context())
		t.Fatal("a crashed server answers")
	}

	server.Restart(t)
	if got := query1[int](t, dsn, "SELECT n FROM kept"); got != 1 {
		t.Errorf("got %d after the crash, want 1", got)
	}
}

// TestNothingOutlivesItsOwner kills a test binary that has started a server, without a warning.
func TestNothingOutlivesItsOwner(t *testing.T) {
	if os.Getenv("PGTEST_OWNER") != "" {
		own(t)
	}
	t.Parallel()
	if testing.Short() {
		t.Skip("short: PostgreSQL is left to make test")
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestNothingOutlivesItsOwner$", "-test.v")
	cmd.Env = append(os.Environ(), "PGTEST_OWNER=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var dir string
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "server "); ok {
			fmt.Sscan(rest, &pid, &dir)
		}
		if strings.Contains(lines.Text(), "SKIP") {
			t.Skip("PostgreSQL is not installed")
		}
	}
	if dir == "" {
		t.Fatalf("the owner started no server: %v", cmd.Wait())
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone := func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err) && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	}
	for deadline := time.Now().Add(20 * time.Second); !gone(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the server (process %d, folder %s) outlived its owner", pid, dir)
		}
	}
}

// own starts a server, says where, and waits to be killed.
func own(t *testing.T) {
	server := pgtest.Start(t, pgtest.Fast)
	cluster := query1[string](t, server.DSN(), "SHOW data_directory")
	file, err := os.ReadFile(cluster + "/postmaster.pid")
	if err != nil {
		t.Fatal(err)
	}
	pid, _, _ := strings.Cut(string(file), "\n")
	fmt.Println("server", pid, strings.TrimSuffix(cluster, "/cluster"))
	time.Sleep(time.Hour)
}

// BenchmarkNew shows what a database costs a test.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		pgtest.New(b)
	}
}
