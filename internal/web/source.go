package web

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
)

// Source says where a request comes from.
type Source struct {
	Address string // the address itself: personal
	Network string // IPv4 /24 or IPv6 /64: what throttles count by
}

type sourceKey struct{}

// SourceOf returns where the request that ctx belongs to came from.
func SourceOf(ctx context.Context) Source {
	s, _ := ctx.Value(sourceKey{}).(Source)
	return s
}

// Sources decides where requests come from. Forwarded headers count only from Trusted (I21).
type Sources struct {
	Trusted []netip.Prefix
	// ProxyOnly refuses requests that come neither from loopback nor from Trusted, except /livez and /readyz: set
	// where TLS ends at a proxy and the listener is plain.
	ProxyOnly bool
}

var errDirect = errors.New("request did not come through a trusted proxy")

// Of returns the source of r. X-Forwarded-For is read from the right, past trusted proxies.
func (s Sources) Of(r *http.Request) (Source, error) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return Source{Address: r.RemoteAddr, Network: r.RemoteAddr}, nil
	}
	addr := ap.Addr().Unmap()
	if !s.trusts(addr) {
		if s.ProxyOnly && !addr.IsLoopback() && r.URL.Path != "/livez" && r.URL.Path != "/readyz" {
			return Source{Address: addr.String(), Network: network(addr)}, errDirect
		}
		return Source{Address: addr.String(), Network: network(addr)}, nil
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break // what stands left of an unreadable hop is anybody's word
		}
		addr = hop.Unmap()
		if !s.trusts(addr) {
			break
		}
	}
	return Source{Address: addr.String(), Network: network(addr)}, nil
}

func (s Sources) trusts(a netip.Addr) bool {
	for _, p := range s.Trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func network(a netip.Addr) string {
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return a.String()
	}
	return p.String()
}
