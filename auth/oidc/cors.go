package oidc

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/countersign-id/countersign/auth"
	"github.com/countersign-id/countersign/store"
)

// Scripts of other origins may read public documents, and the answers to an application's own requests from the origins
// of its redirect addresses. Cookies count for nothing at these endpoints, so credentials are never allowed (sec-P55).

// withCORS wraps the endpoints whose answers anybody's script may read.
func (p *Provider) withCORS(mode string, next http.Handler) http.Handler {
	if mode != "any" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		next.ServeHTTP(w, r)
	})
}

// allowOrigin lets a script of c's read the answer. Call it as soon as the client is known.
func allowOrigin(w http.ResponseWriter, r *http.Request, c auth.Client) {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !hasOrigin(c, origin) {
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate")
}

func hasOrigin(c auth.Client, origin string) bool {
	for _, uri := range c.RedirectURIs {
		if originOf(uri) == origin {
			return true
		}
	}
	return false
}

// originOf is the origin of an http(s) address as browsers write it (RFC 6454 §6.2); empty for any other.
func originOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" {
		return ""
	}
	port := u.Port()
	switch {
	case u.Scheme == "https" && port == "443", u.Scheme == "http" && port == "80":
		return u.Scheme + "://" + u.Host[:len(u.Host)-len(port)-1]
	case u.Scheme == "https", u.Scheme == "http":
		return u.Scheme + "://" + u.Host
	}
	return ""
}

// preflight answers whether a script may ask at all (Fetch §3.3.5). The client is not named in a preflight, so any
// enabled client's origin will do; what the script may read is decided again when the client is known.
func (p *Provider) preflight(mode string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		origin := r.Header.Get("Origin")
		switch {
		case mode == "any":
			h.Set("Access-Control-Allow-Origin", "*")
		case origin != "" && p.knowsOrigin(r, origin):
			h.Set("Access-Control-Allow-Origin", origin)
			h.Add("Vary", "Origin")
		default:
			h.Add("Vary", "Origin")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}

// origins remembers the origins of all enabled clients for a moment, so that preflights cost no query each.
type origins struct {
	mu    sync.Mutex
	until time.Time
	known map[string]bool
}

const (
	originsLife = 10 * time.Second
	clientPage  = 500
)

// knowsOrigin reports whether any enabled client has a redirect address of that origin.
func (p *Provider) knowsOrigin(r *http.Request, origin string) bool {
	o := p.origins
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := time.Now(); !now.Before(o.until) {
		known, err := p.readOrigins(r.Context())
		if err != nil {
			return false
		}
		o.known, o.until = known, now.Add(originsLife)
	}
	return o.known[origin]
}

func (p *Provider) readOrigins(ctx context.Context) (map[string]bool, error) {
	var known map[string]bool
	err := p.db.View(ctx, func(tx *store.Tx) error {
		known = map[string]bool{}
		for after := auth.ClientID(""); ; {
			page, err := tx.Clients(ctx, after, clientPage)
			if err != nil {
				return err
			}
			for _, c := range page {
				after = c.ID
				for _, uri := range c.RedirectURIs {
					if !c.Disabled {
						known[originOf(uri)] = true
					}
				}
			}
			if len(page) < clientPage {
				delete(known, "")
				return nil
			}
		}
	})
	return known, err
}
