// Package outbound is the one way out: every HTTP call the server makes for somebody else, such as fetching a client's
// jwks_uri, goes through its Client (I8). Addresses are checked when the connection is dialled, after the name was
// resolved, so that no DNS answer leads to a place that the address was not checked for.
package outbound

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/countersign-id/countersign/internal/fault"
)

// The bounds of a call.
const (
	MaxBody    = 1 << 20         // bytes of an answer
	MaxTime    = 5 * time.Second // from the first packet to the last
	maxHeaders = 64 << 10
	maxURL     = 2048
)

// What can come of a call. ErrRefused says that we did not make it; ErrFailed that it gave nothing we can use. Neither
// tells which address a name has: what is behind our network is none of the business of whoever registered the URL.
var (
	ErrRefused = fault.New(fault.Denied, "outbound-refused", "That address is not one this server calls.")
	ErrFailed  = fault.New(fault.Unavailable, "outbound-failed", "The address did not give a usable answer.")
)

// Config says what the client may reach beyond public addresses.
type Config struct {
	Allow []netip.Prefix // the operator's own private addresses; http is spoken only to loopback ones of these
	Roots *x509.CertPool // nil: the system's
	// For what is known to be large, such as the FIDO metadata. Zero: MaxBody and MaxTime.
	Bytes int64
	Time  time.Duration
}

// Client makes calls. It follows no redirects, keeps no cookies or connections, asks no proxy and never tries again.
type Client struct {
	secure, plain *http.Client
	bytes         int64
	time          time.Duration
}

// New returns a client for c.
func New(c Config) *Client {
	loopback := slices.DeleteFunc(slices.Clone(c.Allow), func(p netip.Prefix) bool { return !p.Addr().IsLoopback() })
	bytes, within := cmp.Or(c.Bytes, MaxBody), cmp.Or(c.Time, MaxTime)
	return &Client{secure: client(guard(c.Allow), c.Roots, within), plain: client(only(loopback), nil, within), bytes: bytes, time: within}
}

type control = func(network, address string, _ syscall.RawConn) error

// guard lets connections through to public addresses and to those of allow.
func guard(allow []netip.Prefix) control {
	var v4, v6 []netip.Prefix
	for _, p := range allow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)).Safe
}

// only lets connections through to the addresses of allow and nowhere else.
func only(allow []netip.Prefix) control {
	return func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return ssrf.ErrInvalidHostPort
		}
		if !slices.ContainsFunc(allow, func(p netip.Prefix) bool { return p.Contains(ap.Addr()) }) {
			return ssrf.ErrProhibitedIP
		}
		return nil
	}
}

func client(check control, roots *x509.CertPool, within time.Duration) *http.Client {
	dialer := &net.Dialer{Timeout: MaxTime, Control: check}
	return &http.Client{
		Timeout:       within,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // not from the environment either: a proxy would dial where our check does not see
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			TLSHandshakeTimeout:    MaxTime,
			ResponseHeaderTimeout:  MaxTime,
			MaxResponseHeaderBytes: maxHeaders,
			DisableKeepAlives:      true, // each call is dialled, so each is checked
			DisableCompression:     true, // what is counted is what was sent
		},
	}
}

// Get fetches rawURL and returns its body if the answer is 200, of one of the accepted media types, and within the
// bounds. Errors are ErrRefused, before anything was sent, or ErrFailed, with causes that are for the log alone.
func (c *Client) Get(ctx context.Context, rawURL string, accept ...string) ([]byte, error) {
	u, err := parse(rawURL)
	if err != nil {
		return nil, ErrRefused.Because(err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.time)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, ErrRefused.Because(err)
	}
	req.Header.Set("Accept", strings.Join(accept, ", "))
	req.Header.Set("User-Agent", "countersign")

	via := c.secure
	if u.Scheme == "http" {
		via = c.plain
	}
	res, err := via.Do(req)
	if blocked(err) {
		return nil, ErrRefused.Because(err)
	}
	if err != nil {
		return nil, ErrFailed.Because(err)
	}
	defer res.Body.Close()
	body, err := read(res, accept, c.bytes)
	if err != nil {
		return nil, ErrFailed.Because(err)
	}
	return body, nil
}

// parse accepts absolute http and https addresses without credentials.
func parse(rawURL string) (*url.URL, error) {
	if len(rawURL) > maxURL {
		return nil, errors.New("address is too long")
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("scheme is neither https nor http")
	case u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("address has no host")
	case u.User != nil:
		return nil, errors.New("address holds credentials")
	case disguised(u.Hostname()):
		return nil, errors.New("host is a number in disguise")
	}
	// "localhost." means localhost; without its dot the name is looked up the same way everywhere, and fits certificates.
	u.Host = strings.Replace(u.Host, u.Hostname(), strings.TrimSuffix(u.Hostname(), "."), 1)
	return u, nil
}

// disguised reports whether host ends in a number without being an address as everybody writes it: 2130706433, 0x7f.1 and
// 127.1 are 127.0.0.1 to some resolvers and a name to others (WHATWG URL, "ends in a number").
func disguised(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	last := strings.ToLower(labels[len(labels)-1])
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

func blocked(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) ||
		errors.Is(err, ssrf.ErrProhibitedPort) || errors.Is(err, ssrf.ErrInvalidHostPort)
}

func read(res *http.Response, accept []string, max int64) ([]byte, error) {
	if res.StatusCode != http.StatusOK {
		return nil, errors.New("answered " + res.Status)
	}
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(accept, kind) {
		return nil, errors.New("answered with content type " + res.Header.Get("Content-Type"))
	}
	if res.Header.Get("Content-Encoding") != "" {
		return nil, errors.New("answered with a content encoding")
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > max {
		return nil, fmt.Errorf("answered with more than %d bytes", max)
	}
	return body, nil
}
