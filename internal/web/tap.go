package web

import (
	"sync"
	"time"
)

// Tap bounds how often a source may do something in a minute that costs a row, so that strangers cannot fill a table. It
// is memory of this process alone: a counter in the database would cost the very write it is to spare, and what has to
// survive a restart (guesses at passwords) is counted there by auth. It is safe for concurrent use.
type Tap struct {
	PerMinute int

	mu     sync.Mutex
	ends   time.Time
	counts map[string]int
}

const maxSources = 10_000 // beyond this many sources in a minute the rest share one count

// Pass counts one and reports whether it is still within the limit.
func (t *Tap) Pass(source string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !now.Before(t.ends) {
		t.counts = map[string]int{}
		t.ends = now.Add(time.Minute)
	}
	if _, ok := t.counts[source]; !ok && len(t.counts) >= maxSources {
		source = ""
	}
	if t.counts[source] >= t.PerMinute {
		return false
	}
	t.counts[source]++
	return true
}
