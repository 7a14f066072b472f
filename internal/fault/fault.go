// Package fault says what went wrong in a way every door can show.
//
// A fault has a kind, a code and a message that are safe to print anywhere, and
// a cause that is only ever logged. Rooms with doors (ui, api, auth/oidc, cmd) turn a
// kind into a page, a problem document, an OAuth error or an exit code; nothing else does.
package fault

import "errors"

// Kind is the small set of things that can go wrong, as a caller cares about it.
// The zero Kind is Internal, so an error nobody classified tells nobody anything.
type Kind uint8

// The kinds, with the HTTP status each door answers.
const (
	Internal        Kind = iota // 500: our defect or a broken dependency
	Malformed                   // 400: the request cannot be read
	Invalid                     // 422: readable, but it cannot mean anything
	Unauthenticated             // 401: we do not know who is asking
	Denied                      // 403: we know, and the answer is no
	NotFound                    // 404: no such thing, or not one the caller may see
	Conflict                    // 409: true in itself, but not together with what already holds
	Expired                     // 410: it was true once
	Stale                       // 412: the caller saw an older version
	Locked                      // 423: closed until somebody opens it again
	Throttled                   // 429: not now
	Unavailable                 // 503: something we depend on does not answer
)

// Kinds lists every kind, for the tests that walk a door's table.
func Kinds() []Kind {
	return []Kind{Internal, Malformed, Invalid, Unauthenticated, Denied, NotFound, Conflict, Expired, Stale, Locked, Throttled, Unavailable}
}

var status = [...]int{
	Internal: 500, Malformed: 400, Invalid: 422, Unauthenticated: 401, Denied: 403, NotFound: 404,
	Conflict: 409, Expired: 410, Stale: 412, Locked: 423, Throttled: 429, Unavailable: 503,
}

// Status is the HTTP status of k.
func (k Kind) Status() int {
	if int(k) >= len(status) {
		return 500
	}
	return status[k]
}

var names = [...]string{
	Internal: "internal", Malformed: "malformed", Invalid: "invalid", Unauthenticated: "unauthenticated",
	Denied: "denied", NotFound: "not-found", Conflict: "conflict", Expired: "expired", Stale: "stale",
	Locked: "locked", Throttled: "throttled", Unavailable: "unavailable",
}

func (k Kind) String() string {
	if int(k) >= len(names) {
		return names[Internal]
	}
	return names[k]
}

// Error is a fault with a stable code and a message for the person asking.
type Error struct {
	Kind  Kind
	Code  string // kebab-case, stable, never reused; listed in docs/problems.md
	Text  string // one sentence, shown as is
	Field string // the field at fault, if one is
	Wait  int    // seconds until it is worth trying again; 0 if unknown
	Err   error  // the cause; logged, never shown
}

// New returns a fault without a cause.
func New(kind Kind, code, text string) *Error { return &Error{Kind: kind, Code: code, Text: text} }

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Code + ": " + e.Text + ": " + e.Err.Error()
	}
	return e.Code + ": " + e.Text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is a fault with the same code, so that errors.Is
// finds a fault whatever its cause.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Because returns a copy of e that remembers its cause.
func (e *Error) Because(err error) *Error { c := *e; c.Err = err; return &c }

// At returns a copy of e that names the field at fault.
func (e *Error) At(field string) *Error { c := *e; c.Field = field; return &c }

// Saying returns a copy of e with another sentence; the code stays.
func (e *Error) Saying(text string) *Error { c := *e; c.Text = text; return &c }

var internal = New(Internal, "internal", "Something went wrong on our side. Nothing was changed.")

// From finds the fault in err. An error that is not a fault is Internal.
func From(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return internal.Because(err)
}

// Of returns the kind of err. It must not be called with nil.
func Of(err error) Kind { return From(err).Kind }

// Is reports whether err is a fault of kind k.
func Is(err error, k Kind) bool { return err != nil && Of(err) == k }
