//go:build linux

package store_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/countersign-id/countersign/internal/pgtest"
	"github.com/countersign-id/countersign/store"
	"github.com/countersign-id/countersign/store/storetest"
)

// Behind PgBouncer in transaction mode each transaction meets another server connection: no setting, lock or prepared statement of a
// session may be relied on. With two server connections for all of a test's, mistakes show.
func TestPostgresBehindPgBouncer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("short: PgBouncer is left to make test")
	}
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Skip("no pgbouncer is installed")
	}
	server := pgtest.Start(t, pgtest.Fast)
	address := bouncer(t, bin, server.DSN())
	storetest.RunWithoutRaces(t, func(t *testing.T, with ...func(*store.Config)) *store.DB {
		cfg := store.Config{Database: through(t, server.New(t), address), MasterKeys: [][]byte{storetest.MasterKey}, Writers: 8, Readers: 4}
		ctx := context.Background()
		if _, err := store.Migrate(ctx, cfg); err != nil {
			t.Fatal(err)
		}
		for _, w := range with {
			w(&cfg)
		}
		db, err := store.Open(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	})
}

// bouncer starts PgBouncer before the server of dsn and returns its address. It ends with t.
func bouncer(t *testing.T, bin, dsn string) string {
	t.Helper()
	server, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := server.User.Password()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()

	dir, err := os.MkdirTemp("", "pgbouncer") // not t.TempDir, whose parents are root's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := fmt.Sprintf("[databases]\n* = host=%s port=%s user=%s password=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\n"+
		"auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 1000\nmax_db_connections = 2\n",
		server.Hostname(), server.Port(), server.User.Username(), password, port)
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}

	cmd := exec.Command(bin, "-q", file)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: nobody(t)}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for range 200 {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return address
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("PgBouncer does not answer")
	return ""
}

// nobody is whom PgBouncer runs as where the tests run as root, which it refuses.
func nobody(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	who, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func through(t *testing.T, dsn, address string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = address
	return u.String()
}
