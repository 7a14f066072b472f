package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// residentMiB is the memory a process holds now.
func (p *process) residentMiB() int {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				p.t.Fatal(err)
			}
			return kb >> 10
		}
	}
	p.t.Fatal("no VmRSS")
	return 0
}

// sec-F22: clients that send their headers a byte at a time cost the others nothing, and end.
func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "sqlite")
	p := d.serve()
	address := strings.TrimPrefix(d.issuer, "http://")
	const slow = 500 // each takes a descriptor here and there; more would test this machine's limits
	var conns []net.Conn
	for range slow {
		c, err := net.Dial("tcp", strings.Replace(address, "localhost", "127.0.0.1", 1))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "POST /oauth2/token HTTP/1.1\r\nHost: "+address+"\r\nX-"); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	began := time.Now()
	for range 50 {
		if resp, err := http.Get(d.issuer + "/.well-known/openid-configuration"); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("sec-F22 an honest request: %v", err)
		} else {
			resp.Body.Close()
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("sec-F22 fifty honest requests took %s beside %d slow ones", took, slow)
	}
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(15 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Fatalf("sec-F22 a slow client was not cut off: %v", err)
		}
	}
	if rss := p.residentMiB(); rss > 120 {
		t.Errorf("sec-F22 the server holds %d MiB", rss)
	}
}

// sec-F23: bodies that are too long, have too many fields, or are not forms are refused early and cost no memory.
func TestOversizedBodiesAreRefusedEarly(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "sqlite")
	p := d.serve()
	before := p.residentMiB()
	paths := []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/userinfo", "/oauth2/authorize", "/oauth2/logout", "/login/identify", "/login/password", "/login/consent", "/setup"}
	var many strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&many, "f%d=1&", i)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(make([]byte, 8<<20))
	_ = z.Close()
	for _, path := range paths {
		for _, tt := range []struct {
			name, kind, encoding string
			body                 io.Reader
		}{
			{"a body of 256 MiB", "application/x-www-form-urlencoded", "", io.LimitReader(endless{}, 256<<20)},
			{"ten thousand fields", "application/x-www-form-urlencoded", "", strings.NewReader(many.String())},
			{"a compressed form", "application/x-www-form-urlencoded", "gzip", bytes.NewReader(zipped.Bytes())},
			{"a multipart form", "multipart/form-data; boundary=x", "", strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"f\"\r\n\r\n" + strings.Repeat("a", 1<<20) + "\r\n--x--\r\n")},
			{"JSON", "application/json", "", strings.NewReader(`{"grant_type":"client_credentials"}`)},
		} {
			req, err := http.NewRequest(http.MethodPost, d.issuer+path, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", tt.kind)
			if tt.encoding != "" {
				req.Header.Set("Content-Encoding", tt.encoding)
			}
			// A redirect would be followed to a page: what counts is what this request answers.
			client := http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			resp, err := client.Do(req)
			if err != nil {
				continue // the connection was closed in the middle of the body: as early as it gets
			}
			resp.Body.Close()
			if resp.StatusCode < 400 || resp.StatusCode >= 500 {
				t.Errorf("sec-F23 %s at %s: %d, want a refusal", tt.name, path, resp.StatusCode)
			}
		}
	}
	if after := p.residentMiB(); after > before+32 {
		t.Errorf("sec-F23 the server grew from %d to %d MiB", before, after)
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// sec-F24: far more sign-ins at once than the machine can hash are answered with "busy", and everything else goes on.
func TestAFloodOfSignInsLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "sqlite")
	d.addUser("probe")
	p := d.serve()
	const people = 300
	statuses := make(chan int, people)
	var all sync.WaitGroup
	for range people {
		all.Go(func() { statuses <- oneSignIn(t, d.issuer) })
	}
	worst := time.Duration(0)
	for range 20 {
		began := time.Now()
		resp, err := http.Get(d.issuer + "/oauth2/jwks")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		worst = max(worst, time.Since(began))
		time.Sleep(20 * time.Millisecond)
	}
	all.Wait()
	close(statuses)
	count := map[int]int{}
	for s := range statuses {
		count[s]++
	}
	for status := range count {
		if !slices.Contains([]int{http.StatusSeeOther, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable}, status) {
			t.Errorf("sec-F24 %d answers of %d", count[status], status)
		}
	}
	if worst > 5*time.Second {
		t.Errorf("sec-F24 the keys took %s", worst)
	}
	if rss := p.residentMiB(); rss > 512 {
		t.Errorf("sec-F24 the server holds %d MiB", rss)
	}
	t.Logf("answers %v, keys within %s", count, worst)
}

// oneSignIn posts one wrong password and returns the status of the answer.
func oneSignIn(t *testing.T, issuer string) int {
	p := newPerson(t, "probe")
	at, body := p.get(issuer + "/account")
	f, _ := p.read(at, body)
	if f == nil {
		return http.StatusServiceUnavailable
	}
	at, body = p.post(f)
	f, _ = p.read(at, body)
	if f == nil {
		return http.StatusServiceUnavailable
	}
	f.fields.Set("password", "a wrong one, and long enough")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.action, strings.NewReader(url.Values(f.fields).Encode()))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := p.http.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}
