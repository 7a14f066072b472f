package oidc

import (
	"sync"
	"time"
)

// tap bounds how many sign-ins a source may begin in a minute, so that strangers cannot fill the table of flows. It is
// memory of this process alone: a counter in the database would cost the very write it is to spare, and what has to
// survive a restart (guesses at passwords) is counted there by auth.
type tap struct {
	mu     sync.Mutex
	limit  int
	ends   time.Time
	counts map[string]int
}

const (
	defaultFlows = 600
	maxSources   = 10_000 // beyond this many sources in a minute the rest share one count
)

func newTap(perMinute int) *tap {
	if perMinute <= 0 {
		perMinute = defaultFlows
	}
	return &tap{limit: perMinute}
}

// pass counts one and reports whether it is still within the limit.
func (t *tap) pass(source string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !now.Before(t.ends) {
		t.counts = map[string]int{}
		t.ends = now.Add(time.Minute)
	}
	if _, ok := t.counts[source]; !ok && len(t.counts) >= maxSources {
		source = ""
	}
	if t.counts[source] >= t.limit {
		return false
	}
	t.counts[source]++
	return true
}

// MayBegin counts a sign-in that source is about to begin elsewhere, at our own pages, and reports whether it may.
func (p *Provider) MayBegin(source string) bool { return p.flows.pass(source, time.Now()) }
