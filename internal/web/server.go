package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Server is an HTTP server with the bounds of this house (I22): slow, endless and oversized requests cost little and end.
func Server(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Serve serves s on l until ctx ends, then lets requests in progress finish within grace (F21).
func Serve(ctx context.Context, s *http.Server, l net.Listener, grace time.Duration) error {
	return serve(ctx, s, l, grace, s.Serve)
}

// ServeTLS is Serve over TLS, with the certificate of s.TLSConfig.
func ServeTLS(ctx context.Context, s *http.Server, l net.Listener, grace time.Duration) error {
	return serve(ctx, s, l, grace, func(l net.Listener) error { return s.ServeTLS(l, "", "") })
}

func serve(ctx context.Context, s *http.Server, l net.Listener, grace time.Duration, run func(net.Listener) error) error {
	failed := make(chan error, 1)
	go func() { failed <- run(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := s.Shutdown(bounded); err != nil && !errors.Is(err, http.ErrServerClosed) {
		_ = s.Close()
		return fmt.Errorf("requests in progress did not end within %s: %w", grace, err)
	}
	return nil
}
