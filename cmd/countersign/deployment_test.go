package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/countersign-id/countersign/internal/pgtest"
)

// deployment is a database with its settings, and the program run over it: as commands in this process, as a server in one of its own.
type deployment struct {
	t      testing.TB
	dir    string
	issuer string
	env    []string
}

// eachDatabase runs test on a deployment of its own over either database.
func eachDatabase(t *testing.T, test func(t *testing.T, d *deployment)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newDeployment(t, "sqlite"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newDeployment(t, "postgres"))
	})
}

// template is a migrated database with signing keys, made once: RSA keys of 3072 bits take their time.
var template = sync.OnceValues(func() (dir string, err error) {
	dir, err = os.MkdirTemp("", "countersign-template-")
	if err != nil {
		return "", err
	}
	shared = dir
	if err := os.WriteFile(filepath.Join(dir, "master.key"), []byte(testMaster+"\n"), 0o600); err != nil {
		return "", err
	}
	return dir, prepare("sqlite:" + filepath.Join(dir, "countersign.db"))
})

// shared is template's folder, once there is one.
var shared string

// testMaster seals every test deployment, so that databases can be copied.
var testMaster = newMasterKey()

func prepare(database string) error {
	for _, args := range [][]string{{"migrate", "up"}, {"keys", "list"}, {"keys", "rotate", "--alg", "ES256"}} {
		var out bytes.Buffer
		env := []string{"COUNTERSIGN_ISSUER=http://localhost:1", "COUNTERSIGN_LISTEN=127.0.0.1:1", "COUNTERSIGN_DATABASE=" + database, "COUNTERSIGN_MASTER_KEY=" + testMaster}
		if code := run(context.Background(), args, env, strings.NewReader(""), &out, &out); code != 0 {
			return fmt.Errorf("%v: exit %d: %s", args, code, &out)
		}
	}
	return nil
}

// newDeployment returns a deployment on a free port, with cheap passwords so that tests are quick. Nothing runs yet.
func newDeployment(t testing.TB, database string) *deployment {
	t.Helper()
	dir := t.TempDir()
	port := freePort(t)
	d := &deployment{t: t, dir: dir, issuer: "http://localhost:" + port}
	switch database {
	case "sqlite":
		from, err := template()
		if err != nil {
			t.Fatal(err)
		}
		database = "sqlite:" + filepath.Join(dir, "countersign.db")
		copyFile(t, filepath.Join(from, "countersign.db"), filepath.Join(dir, "countersign.db"))
	case "postgres":
		database = pgtest.Template(t, "countersign-cmd-"+testMaster[len(testMaster)-12:], prepare)
	}
	d.env = []string{
		"COUNTERSIGN_ISSUER=" + d.issuer, "COUNTERSIGN_LISTEN=127.0.0.1:" + port, "COUNTERSIGN_DATABASE=" + database,
		"COUNTERSIGN_MASTER_KEY=" + testMaster, "USER=tester",
		// A test signs in far more often from one address than any person does.
		"COUNTERSIGN_THROTTLE_SOURCE=100000", "COUNTERSIGN_THROTTLE_GLOBAL=100000",
	}
	return d
}

// set overrides settings, as KEY=value without the prefix.
func (d *deployment) set(settings ...string) *deployment {
	for _, s := range settings {
		name, _, _ := strings.Cut("COUNTERSIGN_"+s, "=")
		kept := d.env[:0:0]
		for _, e := range d.env {
			if !strings.HasPrefix(e, name+"=") {
				kept = append(kept, e)
			}
		}
		d.env = append(kept, "COUNTERSIGN_"+s)
	}
	return d
}

// unset takes settings back, by name without the prefix.
func (d *deployment) unset(names ...string) {
	for _, name := range names {
		d.env = slices.DeleteFunc(d.env, func(e string) bool { return strings.HasPrefix(e, "COUNTERSIGN_"+name+"=") })
	}
}

// run runs a command and returns what it printed. It must succeed.
func (d *deployment) run(stdin string, args ...string) string {
	d.t.Helper()
	out, errs, code := d.try(stdin, args...)
	if code != 0 {
		d.t.Fatalf("countersign %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// try runs a command and returns what it printed and its exit code.
func (d *deployment) try(stdin string, args ...string) (out, errs string, code int) {
	var o, e bytes.Buffer
	code = run(context.Background(), args, d.env, strings.NewReader(stdin), &o, &e)
	return o.String(), e.String(), code
}

const testPassword = "a long enough passphrase"

// addUser adds an account with testPassword and returns its id.
func (d *deployment) addUser(name string) string {
	d.t.Helper()
	out := d.run(testPassword, "user", "add", "--username", name, "--email", name+"@example.org", "--name", strings.ToUpper(name[:1])+name[1:]+" Example", "--password-stdin", "--json")
	var v struct{ ID string }
	d.decode(out, &v)
	return v.ID
}

// addClient registers an application and returns its secret.
func (d *deployment) addClient(id string, flags ...string) string {
	d.t.Helper()
	out := d.run("", append([]string{"client", "add", "--json", "--id", id, "--name", "The " + id}, flags...)...)
	var v struct {
		Secret string `json:"client_secret"`
	}
	d.decode(out, &v)
	return v.Secret
}

func (d *deployment) decode(text string, v any) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		d.t.Fatalf("%v in %q", err, text)
	}
}

// process is a server in a process of its own.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	logs *lockedBuffer
	done chan error
}

// serve starts the server and waits until it is ready. It is killed when the test ends, if it still runs.
func (d *deployment) serve(args ...string) *process {
	d.t.Helper()
	p := d.start(append([]string{"serve"}, args...)...)
	p.waitReady(d.issuer)
	return p
}

// start starts the program in a process of its own.
func (d *deployment) start(args ...string) *process {
	d.t.Helper()
	p := &process{t: d.t, logs: &lockedBuffer{}, done: make(chan error, 1)}
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Env = append([]string{asProgram + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "TMPDIR=" + os.TempDir()}, d.env...)
	p.cmd.Dir = d.dir
	p.cmd.Stdout, p.cmd.Stderr = p.logs, p.logs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	d.t.Cleanup(func() {
		p.kill()
		if d.t.Failed() {
			d.t.Logf("the server's log ends:\n%s", tail(p.logs.String(), 4000))
		}
	})
	return p
}

func (p *process) waitReady(address string) {
	p.t.Helper()
	client := http.Client{Timeout: time.Second}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := client.Get(address + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-p.done:
			p.done <- err
			p.t.Fatalf("the server ended: %v\n%s", err, p.logs)
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the server did not get ready\n%s", p.logs)
		}
	}
}

// kill ends the process as a power cut would, and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	p.done <- <-p.done
}

// stop asks the process to end and returns how long that took and how it ended.
func (p *process) stop() (time.Duration, error) {
	began := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	err := <-p.done
	p.done <- err
	return time.Since(began), err
}

// lockedBuffer is a buffer that a process writes to while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
}
