package audit

import (
	"sync"
	"time"
)

// Coalescer gathers refusals that reached no known account, so that strangers cannot fill the
// disk with them: alike ones become one entry with a count, and no minute begins more than Keys
// entries; what is beyond stands together in one entry of kind Overflowed. No refusal is lost
// from the counts. It is safe for concurrent use, and its memory is bounded by Keys.
type Coalescer struct {
	Keys int // entries a minute; with 0 all is overflow

	mu       sync.Mutex
	entries  map[alike]*Event
	order    []*Event // as begun
	overflow *Event
	began    time.Time // of the minute that used counts for
	used     int
}

// alike is what refusals must share to become one entry.
type alike struct {
	kind                          Kind
	outcome                       Outcome
	code                          string
	actor, subject, client, place string
}

// Add counts e, which must bear its time. An event that is itself a sum counts as its Count, so
// what Drain gave and could not be written can be given back by Add.
func (c *Coalescer) Add(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Kind == Overflowed {
		c.spill(e)
		return
	}
	key := alike{e.Kind, e.Outcome, e.Code, e.Actor, e.Subject, e.Client, e.Personal[Address]}
	if sum, ok := c.entries[key]; ok {
		merge(sum, e)
		return
	}
	if c.used >= c.Keys {
		c.spill(e)
		return
	}
	if c.entries == nil {
		c.entries = make(map[alike]*Event)
	}
	c.used++
	e.Count = max(e.Count, 1)
	e.Detail, e.Personal = shared(e.Detail, e.Detail), shared(e.Personal, e.Personal) // ours to change
	c.entries[key] = &e
	c.order = append(c.order, &e)
}

// Drain returns what was gathered, in the order it began, and forgets it. The server calls it
// once a minute and writes the events in one transaction of their own. Called sooner, it gives
// what there is, but the minute's number of new entries stays used.
func (c *Coalescer) Drain(now time.Time) []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A little less than a minute, or a ticker that is a hair early would close every other one.
	if age := now.Sub(c.began); age >= 59*time.Second || age < 0 {
		c.began, c.used = now, 0
	}
	events := make([]Event, 0, len(c.order)+1)
	for _, e := range c.order {
		events = append(events, *e)
	}
	if c.overflow != nil {
		events = append(events, *c.overflow)
	}
	c.entries, c.order, c.overflow = nil, nil, nil
	return events
}

// spill adds e to the overflow, which keeps nothing of it but the number: it is the entry of
// those who are too many to be told apart.
func (c *Coalescer) spill(e Event) {
	n := max(e.Count, 1)
	if c.overflow == nil {
		c.overflow = &Event{At: e.At, Kind: Overflowed, Outcome: Refused, Code: "too-many-kinds", Actor: "system"}
	}
	c.overflow.Count += n
	if e.At.Before(c.overflow.At) {
		c.overflow.At = e.At
	}
}

// merge counts e into sum, which keeps its first time and only what all its refusals share.
func merge(sum *Event, e Event) {
	sum.Count += max(e.Count, 1)
	if e.At.Before(sum.At) {
		sum.At = e.At
	}
	sum.Session = same(sum.Session, e.Session)
	sum.Grant = same(sum.Grant, e.Grant)
	sum.Request = same(sum.Request, e.Request)
	sum.Detail = shared(sum.Detail, e.Detail)
	sum.Personal = shared(sum.Personal, e.Personal)
}

func same(a, b string) string {
	if a == b {
		return a
	}
	return ""
}

// shared returns the pairs that are in both maps.
func shared(a, b map[string]string) map[string]string {
	both := make(map[string]string, len(a))
	for k, v := range a {
		if w, ok := b[k]; ok && w == v {
			both[k] = v
		}
	}
	return both
}
