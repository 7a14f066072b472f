package auth

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/countersign-id/countersign/internal/fault"
)

const maxURL = 2048

// MatchRedirect reports whether uri is one of the client's, byte for byte; for native clients a registered
// http://127.0.0.1 or http://[::1] address may come with any port (RFC 8252 §7.3).
func (c Client) MatchRedirect(uri string) bool {
	if uri == "" {
		return false
	}
	if slices.Contains(c.RedirectURIs, uri) {
		return true
	}
	return c.Kind == Native && slices.ContainsFunc(c.RedirectURIs, func(own string) bool { return equalButPort(own, uri) })
}

// equalButPort reports whether two loopback addresses differ in nothing but their port. It compares bytes: a parser's opinion
// on what else may be the same is what near misses live on.
func equalButPort(own, uri string) bool {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]"} {
		a, okA := strings.CutPrefix(own, host)
		b, okB := strings.CutPrefix(uri, host)
		if okA && okB {
			a, okA = dropPort(a)
			b, okB = dropPort(b)
			return okA && okB && a == b
		}
	}
	return false
}

// dropPort takes a leading :port off what follows a host. What is left has to begin a path or a query, or be nothing.
func dropPort(s string) (rest string, ok bool) {
	if port, found := strings.CutPrefix(s, ":"); found {
		n := 0
		for n < len(port) && '0' <= port[n] && port[n] <= '9' {
			n++
		}
		p, err := strconv.ParseUint(port[:n], 10, 16)
		if err != nil || p == 0 || port[0] == '0' {
			return "", false
		}
		s = port[n:]
	}
	return s, s == "" || s[0] == '/' || s[0] == '?'
}

var errURL = fault.New(fault.Invalid, "address-invalid", "")

// checkURL refuses what is no absolute address with one of the schemes: anything but plain printable ASCII, a backslash or
// other character that browsers and parsers read differently, user information, a fragment (sec-P14).
func checkURL(raw string, schemes ...string) error {
	u, err := parseURL(raw)
	if err != nil {
		return err
	}
	if !slices.Contains(schemes, u.Scheme) {
		return errURL.Saying("The address " + quote(raw) + " must begin with " + strings.Join(schemes, ":// or ") + "://.")
	}
	return nil
}

func parseURL(raw string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, errURL.Saying("The address is longer than 2048 characters.")
	}
	if i := strings.IndexFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\\\"<>^`{|}", r) }); i >= 0 {
		return nil, errURL.Saying("The address " + quote(raw) + " holds a character that may not stand in one; encode it.")
	}
	if strings.Contains(raw, "#") {
		return nil, errURL.Saying("The address " + quote(raw) + " has a fragment; leave it out (RFC 6749 §3.1.2).")
	}
	scheme, rest, _ := strings.Cut(raw, ":")
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme == "" || u.Scheme != scheme: // the second: capitals in the scheme
		return nil, errURL.Saying("The address " + quote(raw) + " is not an absolute one with a scheme in lower case.")
	case u.User != nil:
		return nil, errURL.Saying("The address " + quote(raw) + " names a user; leave that out.")
	case (scheme == "http" || scheme == "https") && (u.Hostname() == "" || !strings.HasPrefix(rest, "//") || u.Host != strings.ToLower(u.Host)):
		return nil, errURL.Saying("The address " + quote(raw) + " needs a host name in lower case.")
	case strings.HasSuffix(u.Host, ":") || u.Port() != "" && !validPort(u.Port()):
		return nil, errURL.Saying("The address " + quote(raw) + " has a port that cannot be.")
	case hasDots(u.Path):
		return nil, errURL.Saying("The address " + quote(raw) + " has . or .. in its path.")
	}
	return u, nil
}

func validPort(s string) bool {
	p, err := strconv.ParseUint(s, 10, 16)
	return err == nil && p > 0
}

func hasDots(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." })
}

func quote(s string) string { return strconv.QuoteToASCII(clip(s, 100)) }

// checkRedirect refuses an address that a client of this kind may not have people sent to.
func (k ClientKind) checkRedirect(raw string) error {
	u, err := parseURL(raw)
	if err != nil {
		return err
	}
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopbackHost(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return errURL.Saying("The address " + quote(raw) + " must be https; http is for loopback hosts.")
	case k == Native && strings.Contains(u.Scheme, "."):
		return nil // a private-use scheme in reverse domain order (RFC 8252 §7.1); no scheme that browsers run has a dot
	case k == Native:
		return errURL.Saying("The address " + quote(raw) + " needs a scheme like com.example.app (RFC 8252 §7.1), https, or http on loopback.")
	}
	return errURL.Saying("The address " + quote(raw) + " must be https.")
}

func loopbackHost(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Zone() == "" && a.IsLoopback()
}
