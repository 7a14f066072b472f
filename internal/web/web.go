// Package web is the frame the doors hang in: handlers that return errors, request identifiers and the request log,
// the headers every answer carries, where a request really comes from, and the cookies of a deployment.
package web

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/countersign-id/countersign/internal/fault"
)

// Func handles a request or says why it could not. It writes a response or returns an error, never both.
type Func func(w http.ResponseWriter, r *http.Request) error

// Show tells whoever is at the door what went wrong.
type Show func(w http.ResponseWriter, r *http.Request, f *fault.Error)

// Handler runs f and gives its error, if any, to show. It logs a refusal once, here and nowhere else.
func Handler(log *slog.Logger, f Func, show Show) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := f(w, r)
		if err == nil {
			return
		}
		e := fault.From(err)
		level := slog.LevelInfo
		if e.Kind == fault.Internal {
			level = slog.LevelError
		}
		log.Log(r.Context(), level, "refused", "route", r.Pattern, "code", e.Code, "request", RequestID(r.Context()), "err", err)
		if e.Wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(e.Wait))
		}
		show(w, r, e)
	})
}

type requestKey struct{}

// RequestID returns the identifier of the request ctx belongs to: ours, never one that came with it.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// newRequestID returns 96 random bits, base64url.
func newRequestID() string {
	var b [12]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Frame is what hangs around a deployment's whole handler: request identifier, request log, common headers, panics, metrics.
type Frame struct {
	Log     *slog.Logger
	HTTPS   bool // the issuer is https
	Sources Sources
	Metrics *Metrics // may be nil
}

// Handler wraps next.
func (f Frame) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		from, direct := f.Sources.Of(r)
		id := newRequestID()
		ctx := context.WithValue(r.Context(), requestKey{}, id)
		ctx = context.WithValue(ctx, sourceKey{}, from)
		r = r.WithContext(ctx)
		sw := &statusWriter{ResponseWriter: w}
		f.headers(sw.Header(), id)

		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				f.Log.ErrorContext(ctx, "panic", "request", id, "route", r.Pattern, "panic", p, "stack", string(debug.Stack()))
				if sw.status == 0 {
					http.Error(sw, "Something went wrong on our side. Request "+id, http.StatusInternalServerError)
				}
			}
			took := time.Since(began)
			f.Metrics.observe(r, sw.status, took)
			f.Log.InfoContext(ctx, "request", "request", id, "method", r.Method, "route", r.Pattern, "status", sw.status,
				"bytes", sw.bytes, "ms", took.Milliseconds(), "source", from.Network)
		}()
		if direct != nil {
			http.Error(sw, "This address is not served directly.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(sw, r)
	})
}

// headers sets what every answer carries; a page widens the policy for itself (R05).
func (f Frame) headers(h http.Header, id string) {
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Cache-Control", "no-store")
	if f.HTTPS {
		h.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
	}
}

type statusWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *statusWriter) WriteHeader(code int) {
	if w.status == 0 {
		w.status = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
