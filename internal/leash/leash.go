// Package leash keeps the helper processes of tests, a database server or a browser, from
// outliving the process that needs them.
//
// A helper is started by a small shell script that reads a pipe whose other end only this process
// holds. When this process ends, however it ends (kill -9 too), the pipe closes, and the script
// stops the helper and removes what it left. Nothing has to be called for that, so a test binary
// needs no TestMain.
package leash

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// Leash is a script that lives no longer than the process that started it.
type Leash struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// held keeps every leash reachable: when the collector frees one its pipe closes, and the helper of
// a caller who merely dropped the leash would end.
var held sync.Map

// Start runs script with sh, in a session of its own so that no Ctrl-C reaches it, and as the user
// who names where it is not nil. The script finds args in $1, $2 … and reads words, one a line,
// answering each with one line; at the end of its input it must stop what it started and end.
func Start(who *syscall.Credential, script string, args ...string) (*Leash, error) {
	cmd := exec.Command("sh", append([]string{"-c", script, "leash"}, args...)...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: who}

	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start helper: %w", err)
	}
	l := &Leash{cmd: cmd, in: in, out: bufio.NewReader(out)}
	held.Store(l, nil)
	return l, nil
}

// Ask gives the script a word and returns its answer. It must not be called from two goroutines
// at once.
func (l *Leash) Ask(word string) (string, error) {
	if _, err := fmt.Fprintln(l.in, word); err != nil {
		return "", fmt.Errorf("ask helper to %s: %w", word, err)
	}
	answer, err := l.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("helper's answer to %s: %w", word, err)
	}
	return strings.TrimSuffix(answer, "\n"), nil
}

// Release lets the script end and waits until it has cleaned up.
func (l *Leash) Release() error {
	held.Delete(l)
	if err := l.in.Close(); err != nil {
		return err
	}
	return l.cmd.Wait()
}
