package outbound_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-id/countersign/internal/outbound"
)

const jwks = `{"keys":[]}`

// target is a real TLS server on loopback that counts who reaches it.
func target(t *testing.T, h http.HandlerFunc) (s *httptest.Server, roots *x509.CertPool, hits *atomic.Int32) {
	t.Helper()
	hits = new(atomic.Int32)
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		h(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s, roots, hits
}

func answer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte(jwks))
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func TestGetReachesNothingPrivate(t *testing.T) {
	t.Parallel()
	s, roots, hits := target(t, answer)
	port := s.Listener.Addr().(*net.TCPAddr).Port
	c := outbound.New(outbound.Config{Roots: roots})

	for _, host := range []string{
		"127.0.0.1", "127.1", "127.0.0.1.", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001",
		"127.255.255.254", "0.0.0.0", "0", "localhost", "localhost.", "LOCALHOST",
		"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
		"[fe80::1%25lo]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]", "[2001::1]",
		"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.169.254", "169.254.1.1",
		"192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
	} {
		for _, scheme := range []string{"https", "http"} {
			t.Run("sec-X01 "+scheme+" "+host, func(t *testing.T) {
				began := time.Now()
				_, err := c.Get(context.Background(), scheme+"://"+host+":"+strconv.Itoa(port)+"/jwks", "application/json")
				if !errors.Is(err, outbound.ErrRefused) {
					t.Errorf("got %v, want outbound-refused", err)
				}
				if d := time.Since(began); d > time.Second {
					t.Errorf("took %v, want at once: nothing may be dialled", d)
				}
			})
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("the private server was reached %d times, want 0", n)
	}
}

func TestGetRefusesWhatIsNoAddress(t *testing.T) {
	t.Parallel()
	c := outbound.New(outbound.Config{Allow: loopback})
	for _, u := range []string{
		"", "/jwks", "//example.org/jwks", "ftp://example.org/", "file:///etc/passwd", "gopher://example.org:70/", "unix:/run/x",
		"data:application/json,{}", "https:", "https://", "https:///jwks", "https://:443/", "https://u:p@example.org/", "https:example.org",
		"https://example.org/" + strings.Repeat("a", 3000), "https://exa mple.org/", "https://[::1/", "HTTPS://\x00/",
	} {
		if _, err := c.Get(context.Background(), u, "application/json"); !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("sec-X01 Get(%.40q) = %v, want outbound-refused", u, err)
		}
	}
}

func TestGetReachesWhatTheOperatorAllows(t *testing.T) {
	t.Parallel()
	s, roots, _ := target(t, answer)
	c := outbound.New(outbound.Config{Allow: loopback, Roots: roots})
	body, err := c.Get(context.Background(), s.URL+"/jwks", "application/jwk-set+json", "application/json")
	if err != nil || string(body) != jwks {
		t.Fatalf("Get = %q, %v, want the set", body, err)
	}

	plain := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(plain.Close)
	if _, err := c.Get(context.Background(), plain.URL, "application/json"); err != nil {
		t.Errorf("http to an allowed loopback address: %v, want the set", err)
	}
	// http is for loopback alone, whatever else is allowed.
	wide := outbound.New(outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for _, u := range []string{"http://10.0.0.1/jwks", "http://93.184.216.34/jwks", plain.URL} {
		if _, err := wide.Get(context.Background(), u, "application/json"); !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("Get(%s) = %v, want outbound-refused", u, err)
		}
	}
}

func TestGetTrustsCertificatesItKnows(t *testing.T) {
	t.Parallel()
	s, _, hits := target(t, answer)
	c := outbound.New(outbound.Config{Allow: loopback})
	if _, err := c.Get(context.Background(), s.URL, "application/json"); !errors.Is(err, outbound.ErrFailed) {
		t.Errorf("got %v, want outbound-failed", err)
	}
	if hits.Load() != 0 {
		t.Error("a request was sent to a server whose certificate nobody vouches for")
	}
}

func TestGetBounds(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	for _, tt := range []struct {
		name string
		h    http.HandlerFunc
		ok   bool
	}{
		{"exactly 1 MiB", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Write(bytes.Repeat([]byte{' '}, limit))
		}, true},
		{"a byte more than 1 MiB", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(bytes.Repeat([]byte{' '}, limit+1))
		}, false},
		{"a stream without end", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, false},
		{"headers without end", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("a", 200<<10))
			answer(w, nil)
		}, false},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, false},
		{"another content type", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte(jwks))
		}, false},
		{"no content type", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			w.Write([]byte(jwks))
		}, false},
		{"an error status", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
		}, false},
		{"a compressed body", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			z.Write(make([]byte, 10<<20))
			z.Close()
		}, false},
	} {
		t.Run("sec-X03 "+tt.name, func(t *testing.T) {
			t.Parallel()
			s, roots, hits := target(t, tt.h)
			c := outbound.New(outbound.Config{Allow: loopback, Roots: roots})
			_, err := c.Get(context.Background(), s.URL, "application/json")
			if tt.ok != (err == nil) {
				t.Errorf("got %v, want ok %t", err, tt.ok)
			}
			if err != nil && !errors.Is(err, outbound.ErrFailed) {
				t.Errorf("got %v, want outbound-failed", err)
			}
			if n := hits.Load(); n != 1 {
				t.Errorf("%d requests, want 1: no redirect is followed and nothing tried again", n)
			}
		})
	}
}

func TestGetWaitsFiveSecondsAtMost(t *testing.T) {
	if testing.Short() {
		t.Skip("short: waits five seconds")
	}
	t.Parallel()
	stop := make(chan struct{})
	s, roots, _ := target(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for { // a drop now and then, so that only a limit on the whole ends it
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
				w.Write([]byte(" "))
				w.(http.Flusher).Flush()
			}
		}
	})
	defer close(stop)
	c := outbound.New(outbound.Config{Allow: loopback, Roots: roots})
	began := time.Now()
	_, err := c.Get(context.Background(), s.URL, "application/json")
	if d := time.Since(began); !errors.Is(err, outbound.ErrFailed) || d > 6*time.Second {
		t.Errorf("sec-X03 got %v after %v, want outbound-failed within 5 s", err, d)
	}
}

func TestGetAsksNoProxyAndSendsNoCookie(t *testing.T) {
	proxied := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") }))
	defer proxied.Close()
	t.Setenv("HTTP_PROXY", proxied.URL)
	t.Setenv("HTTPS_PROXY", proxied.URL)
	s, roots, _ := target(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) > 0 {
			t.Errorf("got cookies %v, want none", r.Cookies())
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		answer(w, r)
	})
	c := outbound.New(outbound.Config{Allow: loopback, Roots: roots})
	for range 2 {
		if _, err := c.Get(context.Background(), s.URL, "application/json"); err != nil {
			t.Fatal(err)
		}
	}
}
