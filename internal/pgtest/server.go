package pgtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/countersign-id/countersign/internal/leash"
)

// Mode says what a server does to keep what was committed.
type Mode int

// The modes.
const (
	Fast    Mode = iota // nothing is forced to disk: a crash of the machine would lose data
	Durable             // as in production
)

// Server is a PostgreSQL of our own.
type Server struct {
	dsn       string // of its superuser, on the database postgres
	leash     *leash.Leash
	log       string
	crashed   bool
	templates sync.Map // name → func() error, which prepares it once
}

// errAbsent is the one fault for which a test may be left out.
var errAbsent = errors.New("no PostgreSQL is installed (initdb, pg_ctl and postgres, in PATH or under /usr/lib/postgresql)")

// keeper starts and crashes the server of folder $2 with the programs of $1, and answers with the
// exit status; at the end of its input it removes everything.
const keeper = `
control() { "$1/pg_ctl" -D "$2/cluster" -l "$2/log" -w -s $3 </dev/null >>"$2/log" 2>&1; }
while read -r word; do
	case $word in
	start) control "$1" "$2" start ;;
	crash) control "$1" "$2" "stop -m immediate" ;;
	*) false ;;
	esac
	echo $?
done
control "$1" "$2" "stop -m immediate"
rm -rf "$2"
`

// settings are what tests need; the rest stays as PostgreSQL ships it. Connections are many because
// packages are tested side by side, each test with pools of its own.
const settings = `
listen_addresses = '127.0.0.1'
port = %d
unix_socket_directories = ''
max_connections = 400
timezone = 'UTC'
jit = off
`

const fast = `
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
max_wal_size = '8GB'
`

func start(mode Mode) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	who, err := owner()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(folder(mode), "countersign-pg-")
	if err != nil {
		return nil, err
	}
	if who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			return nil, err
		}
	}
	l, err := leash.Start(who, keeper, bin, dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}

	s := &Server{leash: l, log: filepath.Join(dir, "log")}
	if err := s.initialise(bin, dir, who, mode); err != nil {
		return nil, errors.Join(err, l.Release())
	}
	return s, nil
}

// initialise makes the cluster and starts it, on another port where somebody was faster.
func (s *Server) initialise(bin, dir string, who *syscall.Credential, mode Mode) error {
	cluster, password := filepath.Join(dir, "cluster"), rand.Text()
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return err
	}
	if who != nil {
		if err := os.Chown(secret, int(who.Uid), int(who.Gid)); err != nil {
			return err
		}
	}

	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", cluster, "-U", "postgres", "--pwfile", secret,
		"--auth", "scram-sha-256", "--locale", "C", "--encoding", "UTF8", "--no-sync", "--no-instructions")
	initdb.Dir = "/"
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}

	var err error
	for range 3 {
		var port int
		if port, err = freePort(); err != nil {
			return err
		}
		text := fmt.Sprintf(settings, port)
		if mode == Fast {
			text += fast
		}
		if err = os.WriteFile(filepath.Join(cluster, "postgresql.auto.conf"), []byte(text), 0o600); err != nil {
			return err
		}
		dsn := url.URL{
			Scheme: "postgres", User: url.UserPassword("postgres", password),
			Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/postgres", RawQuery: "sslmode=disable",
		}
		s.dsn = dsn.String()
		if err = s.ask("start"); err == nil {
			return nil
		}
	}
	return err
}

// DSN returns the connection string of the server's superuser.
func (s *Server) DSN() string { return s.dsn }

// Crash ends the server at once, as a loss of power would: without a checkpoint and without a word
// to its clients.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	if err := s.ask("crash"); err != nil {
		t.Fatal(err)
	}
	s.crashed = true
}

// Restart starts a crashed server again, at the same address; it recovers first.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.ask("start"); err != nil {
		t.Fatal(err)
	}
	s.crashed = false
}

func (s *Server) ask(word string) error {
	status, err := s.leash.Ask(word)
	if err != nil {
		return err
	}
	if status != "0" {
		log, _ := os.ReadFile(s.log)
		return fmt.Errorf("%s PostgreSQL: status %s\n%s", word, status, log)
	}
	return nil
}

// at returns the connection string of the database name.
func (s *Server) at(name string) string {
	u, err := url.Parse(s.dsn)
	if err != nil {
		return s.dsn
	}
	u.Path = "/" + name
	return u.String()
}

// binaries finds the folder of the server's programs, the newest where there are several. Debian
// keeps them out of PATH.
func binaries() (string, error) {
	var found []string
	if path, err := exec.LookPath("pg_ctl"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			found = append(found, filepath.Dir(path))
		}
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin"} {
		dirs, _ := filepath.Glob(pattern)
		for i := len(dirs) - 1; i >= 0; i-- {
			found = append(found, dirs[i])
		}
	}
	for _, dir := range found {
		if complete(dir) {
			return dir, nil
		}
	}
	return "", errAbsent
}

func complete(dir string) bool {
	for _, name := range []string{"initdb", "pg_ctl", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// owner says as whom the server runs: PostgreSQL refuses to run as root.
func owner() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody")
}

// folder says where the files go: into memory where nothing has to survive and there is room, which
// makes a new database in 10 ms in place of 120.
func folder(mode Mode) string {
	const memory, room = "/dev/shm", 4 << 30
	var fs syscall.Statfs_t
	if mode == Fast && syscall.Statfs(memory, &fs) == nil && fs.Bavail*uint64(fs.Bsize) >= room {
		return memory
	}
	return os.TempDir()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
