package packaging_test

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const patience = 30 * time.Second

// program builds the binary as the Dockerfile does; -trimpath, which would compile everything a second
// time, is in the GOFLAGS that make sets. TestMain removes it.
var program = sync.OnceValues(func() (string, error) {
	file := filepath.Join(scratch, "countersign")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w -X main.version=packaged", "-o", file, "./cmd/countersign")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return file, nil
})

// scratch holds the program.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "countersign-packaging-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

func built(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("short: the packaged program is left to make test")
	}
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestProgramIsStatic(t *testing.T) {
	t.Parallel()
	f, err := elf.Open(built(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	if len(libraries) > 0 {
		t.Errorf("the program needs %v, which the image lacks", libraries)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program needs a dynamic loader, which the image lacks")
		}
	}
}

// jail is what the image is to the program: a read-only root with nothing but it in it, a folder that
// is its own, and a user who is nobody.
type jail struct {
	t          *testing.T
	root, data string
}

const user = 65532

// confine enters $1 as the image's user: a mount namespace of its own, the root read-only, /data and
// /tmp apart. It ends as the program, so that signals reach it.
const confine = `set -e
root=$1 data=$2; shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$data" "$root/data"
mount -t tmpfs -o size=16m,mode=1777,noexec,nosuid,nodev tmpfs "$root/tmp"
mount -o remount,bind,ro "$root"
exec chroot --userspec=65532:65532 "$root" /countersign "$@"`

func newJail(t *testing.T) *jail {
	t.Helper()
	file := built(t)
	if err := exec.Command("unshare", "--mount", "true").Run(); err != nil {
		const why = "only root can give the program a root of its own"
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s: %v", why, err)
		}
		t.Skip(why)
	}
	j := &jail{t: t, root: filepath.Join(t.TempDir(), "root"), data: filepath.Join(t.TempDir(), "data")}
	for _, dir := range []string{j.root, j.root + "/data", j.root + "/tmp", j.data} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(j.data, user, user); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(j.root+"/countersign", text, 0o755); err != nil {
		t.Fatal(err)
	}
	return j
}

// command is the program in the jail; it is killed when the test ends.
func (j *jail) command(env []string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	ctx, cancel := context.WithCancel(context.Background())
	j.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "sh", "-c", confine, "jail", j.root, j.data}, args...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

// start runs the program until the test ends, and waits until it says that it is ready.
func (j *jail) start(port string, env []string, args ...string) *exec.Cmd {
	j.t.Helper()
	cmd, out := j.command(env, args...)
	if err := cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	j.t.Cleanup(func() { j.stop(cmd, ended, out) })

	for deadline := time.Now().Add(patience); !ready(port); time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			j.t.Fatalf("%v ended: %v\n%s", args, err, out)
		default:
		}
		if time.Now().After(deadline) {
			j.t.Fatalf("%v is not ready\n%s", args, out)
		}
	}
	return cmd
}

// stop asks the program to end, as an engine does.
func (j *jail) stop(cmd *exec.Cmd, ended chan error, out *bytes.Buffer) {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		j.t.Errorf("stop: %v", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			j.t.Errorf("after SIGTERM: %v\n%s", err, out)
		}
	case <-time.After(patience):
		j.t.Errorf("it goes on after SIGTERM\n%s", out)
	}
}

func ready(port string) bool {
	client := http.Client{Timeout: time.Second}
	resp, err := client.Get("http://127.0.0.1:" + port + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// confined checks that the process is what the jail says.
func (j *jail) confined(cmd *exec.Cmd) {
	j.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		j.t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65532\t65532\t65532\t65532", "Gid:\t65532\t65532\t65532\t65532", "CapEff:\t0000000000000000"} {
		if !strings.Contains(string(status), want) {
			j.t.Errorf("the process has not %q", want)
		}
	}
	err = os.WriteFile(fmt.Sprintf("/proc/%d/root/written", cmd.Process.Pid), nil, 0o600)
	if err == nil || !strings.Contains(err.Error(), "read-only file system") {
		j.t.Errorf("writing to its root gives %v, want a read-only file system", err)
	}
}

// TestDemoRunsInTheJail is the compose file's demo, but for the engine.
func TestDemoRunsInTheJail(t *testing.T) {
	t.Parallel()
	j := newJail(t)
	port, ledger := freePort(t), freePort(t)
	args := []string{"demo", "--bind-all-for-container", "--data", "/data/demo", "--port", port, "--ledger-port", ledger}
	j.confined(j.start(port, nil, args...))

	// The health check of the image.
	for _, tt := range []struct {
		port string
		well bool
	}{{port, true}, {freePort(t), false}} {
		cmd, out := j.command(nil, "doctor", "--ready", "http://127.0.0.1:"+tt.port)
		if err := cmd.Run(); (err == nil) != tt.well {
			t.Errorf("doctor --ready on port %s: %v\n%s", tt.port, err, out)
		}
	}
}

// TestServeRunsInTheJail is a deployment on the embedded database, its master key a file.
func TestServeRunsInTheJail(t *testing.T) {
	t.Parallel()
	j := newJail(t)
	cmd, key := j.command(nil, "keygen")
	if err := cmd.Run(); err != nil {
		t.Fatalf("keygen: %v\n%s", err, key)
	}
	file := filepath.Join(j.data, "master.key")
	if err := os.WriteFile(file, key.Bytes(), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, user, user); err != nil {
		t.Fatal(err)
	}

	port := freePort(t)
	j.confined(j.start(port, []string{
		"COUNTERSIGN_ISSUER=http://localhost:" + port,
		"COUNTERSIGN_LISTEN=127.0.0.1:" + port,
		"COUNTERSIGN_DATABASE=sqlite:/data/countersign.db",
		"COUNTERSIGN_MASTER_KEY_FILE=/data/master.key",
	}, "serve"))
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
