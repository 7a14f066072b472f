// Package audit holds what must not be forgotten: events, and the Merkle log they are put into.
//
// An event is written in the transaction of its effect, so no effect exists without one. A
// sequencer later gives each event a position in an append-only log whose head is signed; the
// package knows the log's mathematics and nothing of databases, keys at rest or clocks.
package audit

import (
	"context"
	"time"
)

// Kind names what happened, as `noun.verb`: "session.started", "grant.reused". Kinds are stable;
// docs/events.md lists them.
type Kind string

// Outcome says how it ended.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"
	Refused Outcome = "refused" // we said no: a rule, a wrong proof, a limit
	Failed  Outcome = "failed"  // it should have worked
)

// Event is one thing that happened. Every field but Personal holds opaque identifiers or words
// of ours, which stay in the log for ever. No field ever holds a secret.
type Event struct {
	ID      string // UUIDv7; given by the store when empty
	At      time.Time
	Kind    Kind
	Outcome Outcome
	Code    string // why, where the outcome is not OK: the fault's code

	Actor   string // who did it: "account:<id>", "client:<id>", "local:<os user>", "system"
	Subject string // to whom or what: "account:<id>", "client:<id>", "key:<kid>" …
	Client  string // the application it went through, if any
	Session string // sid, if any
	Grant   string // token family, if any
	Request string // request identifier, for finding the log line

	Detail map[string]string // words and numbers of ours; never personal, never secret
	Count  int               // how many like it this entry stands for; 0 and 1 mean one

	// Personal holds what erasure must be able to take back: source address, user agent, a
	// name that was typed. The log keeps a salted commitment to it.
	Personal map[string]string
}

// The keys of Personal, so that erasure, search and coalescing find what they look for.
const (
	Address = "address" // where a request came from
	Agent   = "agent"   // the user agent it named
	Typed   = "typed"   // a name that was typed and need not be anybody's
)

// Recorder is what a change needs of its transaction to be remembered. Only a transaction is a
// Recorder: that is why a change without its event cannot be written.
type Recorder interface {
	Record(ctx context.Context, e Event) error
}
