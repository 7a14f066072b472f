package storetest

import (
	"sync"
	"time"

	"github.com/countersign-id/countersign/store"
)

// Clock is a clock that stands still until a test moves it.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock returns a clock that shows at.
func NewClock(at time.Time) *Clock { return &Clock{at: at} }

func newClock() *Clock { return NewClock(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)) }

// Now is what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Use makes a store go by the clock.
func (c *Clock) Use(cfg *store.Config) { cfg.Clock = c.Now }
