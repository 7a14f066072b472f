package auth

import "log/slog"

// Secret is bytes that must not be shown: it prints as dots wherever it is formatted or logged.
type Secret []byte

const dots = "•••"

func (Secret) String() string               { return dots }
func (Secret) GoString() string             { return dots }
func (Secret) LogValue() slog.Value         { return slog.StringValue(dots) }
func (Secret) MarshalText() ([]byte, error) { return []byte(dots), nil }
