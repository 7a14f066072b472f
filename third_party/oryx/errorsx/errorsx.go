// Package errorsx stands in for what fosite uses of github.com/ory/x/errorsx.
package errorsx

// WithStack returns err as it is: one line is logged per refusal, and nothing reads a stack from an error.
func WithStack(err error) error { return err }

// Cause returns err: its one caller hands it to errors.As, which walks the chain itself.
func Cause(err error) error { return err }

// The carriers are what fosite asks an error for when it turns one into an RFC 6749 error.
type (
	// StatusCodeCarrier knows an HTTP status.
	StatusCodeCarrier interface{ StatusCode() int }
	// RequestIDCarrier knows the request it came from.
	RequestIDCarrier interface{ RequestID() string }
	// ReasonCarrier knows a reason to show.
	ReasonCarrier interface{ Reason() string }
	// DebugCarrier knows a reason for the log alone.
	DebugCarrier interface{ Debug() string }
	// StatusCarrier knows an HTTP status text.
	StatusCarrier interface{ Status() string }
)
