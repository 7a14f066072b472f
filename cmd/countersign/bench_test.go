package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The server in a process of its own, asked over loopback by sixteen connections. What counts is the processor time of the
// server and of PostgreSQL per 1000 requests: it moves little with the machine's noise, where wall time moves by factors.
func BenchmarkServer(b *testing.B) {
	for _, database := range []string{"sqlite", "postgres"} {
		b.Run(database, func(b *testing.B) {
			d := newDeployment(b, database).set("LOG_LEVEL=warn")
			s := newStage(b, d)
			for _, bm := range []struct {
				name string
				do   func(w *worker) error
			}{
				{"client_credentials-jwt", s.clientCredentials(s.jwt)},
				{"client_credentials-opaque", s.clientCredentials(s.opaque)},
				{"code-flow", s.codeFlow},
				{"refresh", s.refresh},
				{"introspection-jwt", s.introspect(s.jwt)},
				{"introspection-opaque", s.introspect(s.opaque)},
				{"userinfo", s.userinfo},
				{"discovery", s.get("/.well-known/openid-configuration")},
				{"jwks", s.get("/oauth2/jwks")},
			} {
				b.Run(bm.name, func(b *testing.B) { s.measure(b, bm.do) })
			}
		})
	}
}

// stage is a served deployment with a signed-in person and two applications.
type stage struct {
	d           *deployment
	server      *process
	jwt, opaque *app
	probe       *person
	access      map[*app]string
}

// worker is one connection's state.
type worker struct {
	n       int
	refresh string
}

func newStage(b *testing.B, d *deployment) *stage {
	b.Helper()
	d.addUser("probe")
	flags := []string{"--kind", "web", "--redirect-uri", rpCallback, "--scope", "openid profile email offline_access", "--grant", "client_credentials", "--first-party", "--id-token-alg", "ES256", "--access-token-life", "1h"}
	s := &stage{
		d: d, jwt: newApp(d.issuer, "jwt", d.addClient("jwt", flags...)),
		opaque: newApp(d.issuer, "opaque", d.addClient("opaque", append(flags, "--access-token", "opaque")...)),
		probe:  newPerson(b, "probe"), access: map[*app]string{},
	}
	s.server = d.serve()
	wide := &http.Transport{MaxIdleConnsPerHost: 64}
	s.jwt.http.Transport, s.opaque.http.Transport, s.probe.http.Transport = wide, wide, wide
	for _, a := range []*app{s.jwt, s.opaque} {
		s.access[a] = a.signIn(b, s.probe, "openid profile email").Access
	}
	return s
}

// measure runs do from sixteen goroutines and reports what it cost.
func (s *stage) measure(b *testing.B, do func(w *worker) error) {
	b.SetParallelism(8) // times two processors
	var mu sync.Mutex
	var took []time.Duration
	server, postgres := processorTime(s.server.cmd.Process.Pid), postgresTime()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		w := &worker{}
		var own []time.Duration
		for pb.Next() {
			began := time.Now()
			if err := do(w); err != nil {
				b.Error(err)
				return
			}
			own = append(own, time.Since(began))
			w.n++
		}
		mu.Lock()
		took = append(took, own...)
		mu.Unlock()
	})
	b.StopTimer()
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	per := func(d time.Duration) float64 { return d.Seconds() / float64(b.N) * 1000 }
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(per(processorTime(s.server.cmd.Process.Pid)-server), "cpu-s/1000")
	b.ReportMetric(per(postgresTime()-postgres), "pg-cpu-s/1000")
	b.ReportMetric(0, "ns/op") // one of sixteen at once: says nothing
}

func (s *stage) clientCredentials(a *app) func(*worker) error {
	return func(*worker) error {
		got, err := a.token(context.Background(), "grant_type", "client_credentials")
		return wantOK(got, err)
	}
}

func wantOK(got tokens, err error) error {
	if err == nil && got.Status != http.StatusOK {
		err = fmt.Errorf("%d %s", got.Status, got.Error)
	}
	return err
}

// codeFlow is a silent sign-in of a signed-in person: authorize, then the token endpoint; ID token and refresh token.
func (s *stage) codeFlow(w *worker) error {
	got, err := s.signInSilently()
	w.refresh = got.Refresh
	return wantOK(got, err)
}

func (s *stage) signInSilently() (tokens, error) {
	resp, err := s.probe.http.Get(s.jwt.authorize("openid profile email offline_access", "prompt", "none"))
	if err != nil {
		return tokens{}, err
	}
	resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		return tokens{}, err
	}
	return s.jwt.token(context.Background(), "grant_type", "authorization_code", "code", back.Query().Get("code"), "redirect_uri", rpCallback, "code_verifier", verifier)
}

func (s *stage) refresh(w *worker) error {
	if w.refresh == "" { // once for each connection
		got, err := s.signInSilently()
		if err := wantOK(got, err); err != nil {
			return err
		}
		w.refresh = got.Refresh
	}
	got, err := s.jwt.token(context.Background(), "grant_type", "refresh_token", "refresh_token", w.refresh)
	w.refresh = got.Refresh
	return wantOK(got, err)
}

func (s *stage) introspect(a *app) func(*worker) error {
	return func(*worker) error {
		status, body, err := a.post(context.Background(), "/oauth2/introspect", "token", s.access[a])
		if err == nil && (status != http.StatusOK || !bytes.Contains(body, []byte(`"active":true`))) {
			err = fmt.Errorf("introspection: %d %s", status, body)
		}
		return err
	}
}

func (s *stage) userinfo(*worker) error {
	req, err := http.NewRequest(http.MethodGet, s.d.issuer+"/oauth2/userinfo", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.access[s.jwt])
	return s.ask(req)
}

func (s *stage) get(path string) func(*worker) error {
	return func(*worker) error {
		req, err := http.NewRequest(http.MethodGet, s.d.issuer+path, nil)
		if err != nil {
			return err
		}
		return s.ask(req)
	}
}

func (s *stage) ask(req *http.Request) error {
	resp, err := s.jwt.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := new(bytes.Buffer).ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %d", req.URL, resp.StatusCode)
	}
	return nil
}

// processorTime is what a process has used so far.
func processorTime(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	return ticksOf(string(b), 11, 13)
}

// ticksOf sums fields of a stat line, counted after the name. The kernel's clock ticks a hundred times a second.
func ticksOf(stat string, from, to int) (sum time.Duration) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	for _, f := range fields[from:min(to, len(fields))] {
		n, _ := strconv.Atoi(f)
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum
}

// postgresTime is what every PostgreSQL process of this machine has used so far, those that ended and were waited for included.
func postgresTime() (sum time.Duration) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err == nil && bytes.Contains(b, []byte("(postgres)")) {
			sum += ticksOf(string(b), 11, 15)
		}
	}
	return sum
}
