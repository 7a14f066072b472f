package audit_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/countersign-id/countersign/audit"
)

var noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

func refusal(code, address string) audit.Event {
	return audit.Event{
		At: noon, Kind: audit.SessionRefused, Outcome: audit.Refused, Code: code, Client: "ledger",
		Personal: map[string]string{audit.Address: address},
	}
}

func TestCoalescerSumsWhatIsAlike(t *testing.T) {
	t.Parallel()
	c := &audit.Coalescer{Keys: 10}
	first := refusal("no-account", "192.0.2.1")
	first.At, first.Request, first.Detail = noon.Add(time.Second), "r1", map[string]string{"step": "password", "try": "1"}
	first.Personal[audit.Agent], first.Personal[audit.Typed] = "Browser", "ann"
	second := refusal("no-account", "192.0.2.1")
	second.Request, second.Detail = "r2", map[string]string{"step": "password", "try": "2"}
	second.Personal[audit.Agent], second.Personal[audit.Typed] = "Browser", "bob"
	c.Add(first)
	c.Add(refusal("no-account", "192.0.2.2"))
	c.Add(second)

	sum := refusal("no-account", "192.0.2.1") // at the earlier time, with what both share
	sum.Count, sum.Detail = 2, map[string]string{"step": "password"}
	sum.Personal[audit.Agent] = "Browser"
	alone := refusal("no-account", "192.0.2.2")
	alone.Count = 1
	if diff := cmp.Diff([]audit.Event{sum, alone}, c.Drain(noon), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if first.Personal[audit.Typed] != "ann" || first.Detail["try"] != "1" {
		t.Error("the caller's own maps were changed")
	}
	if left := c.Drain(noon.Add(time.Hour)); len(left) != 0 {
		t.Errorf("drained again: %v", left)
	}
}

func TestCoalescerKeepsUnlikeRefusalsApart(t *testing.T) {
	t.Parallel()
	c := &audit.Coalescer{Keys: 100}
	changes := []func(*audit.Event){
		func(*audit.Event) {},
		func(e *audit.Event) { e.Kind = audit.ClientRefused },
		func(e *audit.Event) { e.Outcome = audit.Failed },
		func(e *audit.Event) { e.Code = "other" },
		func(e *audit.Event) { e.Actor = "client:x" },
		func(e *audit.Event) { e.Subject = "client:x" },
		func(e *audit.Event) { e.Client = "x" },
		func(e *audit.Event) { e.Personal = map[string]string{audit.Address: "192.0.2.9"} },
		func(e *audit.Event) { e.Personal = nil },
	}
	for _, change := range changes {
		e := refusal("no-account", "192.0.2.1")
		change(&e)
		c.Add(e)
	}
	if got := len(c.Drain(noon)); got != len(changes) {
		t.Errorf("got %d entries, want %d", got, len(changes))
	}
}

func TestCoalescerPutsTheRestIntoOneOverflow(t *testing.T) {
	t.Parallel()
	c := &audit.Coalescer{Keys: 2}
	for i := range 50 {
		c.Add(refusal("no-account", fmt.Sprintf("192.0.2.%d", i)))
	}
	got := c.Drain(noon)
	if len(got) != 3 || got[2].Kind != audit.Overflowed || got[2].Count != 48 || !got[2].At.Equal(noon) {
		t.Fatalf("got %+v, want two entries and an overflow of 48", got)
	}
	if got[2].Personal != nil || got[2].Client != "" {
		t.Errorf("the overflow names one of many: %+v", got[2])
	}
	for _, e := range []audit.Event{got[2], got[0], got[1]} { // what could not be written is given back
		c.Add(e)
	}
	c.Add(refusal("no-account", "198.51.100.1"))
	got[2].Count++
	if diff := cmp.Diff(got, c.Drain(noon.Add(time.Minute)), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("given back and drained again:\n%s", diff)
	}
}

// Draining often must not make more entries: the number is for a minute, not for a draining.
func TestCoalescerCountsKeysByTheMinute(t *testing.T) {
	t.Parallel()
	c := &audit.Coalescer{Keys: 2}
	address := 0
	entries := func(now time.Time) (keyed int) {
		c.Add(refusal("no-account", fmt.Sprint(address)))
		address++
		for _, e := range c.Drain(now) {
			if e.Kind != audit.Overflowed {
				keyed++
			}
		}
		return keyed
	}
	c.Drain(noon)
	total := 0
	for s := range 59 {
		total += entries(noon.Add(time.Duration(s) * time.Second))
	}
	if total != 2 {
		t.Errorf("%d entries within a minute, want 2", total)
	}
	c.Drain(noon.Add(time.Minute))
	if got := entries(noon.Add(61 * time.Second)); got != 1 {
		t.Errorf("the next minute gave %d entries, want 1", got)
	}
	entries(noon.Add(62 * time.Second))
	c.Drain(noon.Add(-time.Hour)) // a clock set back must not close it for an hour
	if got := entries(noon.Add(-time.Hour + time.Second)); got != 1 {
		t.Errorf("after the clock was set back: %d entries, want 1", got)
	}
}

// Within any minute at most Keys entries begin, and every refusal is in exactly one count, also
// where a flush failed and its events were given back.
func TestCoalescerBoundsKeysAndLosesNoCount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 5).Draw(t, "keys")
		c := &audit.Coalescer{Keys: limit}
		now, added, written := noon, 0, 0
		flush := func(failed bool) {
			events := c.Drain(now)
			keyed := 0
			for _, e := range events {
				if e.Kind != audit.Overflowed {
					keyed++
				}
				if failed {
					c.Add(e)
				} else {
					written += e.Count
				}
			}
			if keyed > limit || len(events) > limit+1 {
				t.Fatalf("%d entries, %d of them keyed, with a limit of %d", len(events), keyed, limit)
			}
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				now = now.Add(time.Minute)
				flush(false)
			case 1:
				now = now.Add(time.Minute)
				flush(true)
			case 2:
				flush(rapid.Bool().Draw(t, "failed"))
			default:
				e := refusal(rapid.StringN(0, 1, 1).Draw(t, "code"), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "address"))
				e.Count = rapid.IntRange(0, 3).Draw(t, "count")
				added += max(e.Count, 1)
				c.Add(e)
			}
		}
		flush(false)
		if written != added {
			t.Fatalf("%d refusals came, %d were written", added, written)
		}
	})
}

func TestCoalescerIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	c := &audit.Coalescer{Keys: 8}
	var all sync.WaitGroup
	total := make(chan int, 100)
	for worker := range 8 {
		all.Go(func() {
			for i := range 500 {
				c.Add(refusal(fmt.Sprint(i%5), fmt.Sprint(worker)))
				if i%100 == 99 {
					n := 0
					for _, e := range c.Drain(noon.Add(time.Duration(i) * time.Second)) {
						n += e.Count
					}
					total <- n
				}
			}
		})
	}
	all.Wait()
	close(total)
	sum := 0
	for n := range total {
		sum += n
	}
	for _, e := range c.Drain(noon) {
		sum += e.Count
	}
	if sum != 4000 {
		t.Errorf("%d refusals were counted, want 4000", sum)
	}
}
