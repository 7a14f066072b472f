// Package web is the frame the doors hang in: handlers that return errors, request identifiers and the request log,
// the headers every answer carries, where a request really comes from, and the cookies of a deployment.
package web

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
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

// Frame wraps a deployment's whole handler: request identifier, request log, common headers, body limit, panics.
func Frame(log *slog.Logger, https bool, sources Sources, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		id := newRequestID()
		ctx := context.WithValue(r.Context(), requestKey{}, id)
		from, err := sources.Of(r)
		ctx = context.WithValue(ctx, sourceKey{}, from)
		r = r.WithContext(ctx)

		h := w.Header()
		h.Set("X-Request-Id", id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("Cache-Control", "no-store")
		if https {
			h.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
		}

		sw := &statusWriter{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				log.ErrorContext(ctx, "panic", "request", id, "route", r.Pattern, "panic", p)
				if sw.status == 0 {
					http.Error(sw, "Something went wrong on our side. Request "+id, http.StatusInternalServerError)
				}
			}
			log.InfoContext(ctx, "request", "request", id, "method", r.Method, "route", r.Pattern, "status", sw.status,
				"bytes", sw.bytes, "ms", time.Since(began).Milliseconds(), "source", from.Network)
		}()
		if err != nil {
			http.Error(sw, "This address is not served directly.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(sw, r)
	})
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
