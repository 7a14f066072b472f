package rbac

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Instant is a moment in microseconds since 1970, UTC: the grain of everything that has a time here.
type Instant int64

// Forever is after every instant.
const Forever Instant = math.MaxInt64

// Day is the length of a day.
const Day = Instant(24 * time.Hour / time.Microsecond)

// At returns the instant of t.
func At(t time.Time) Instant { return Instant(t.UnixMicro()) }

// Time returns i as a time in UTC.
func (i Instant) Time() time.Time { return time.UnixMicro(int64(i)).UTC() }

// MarshalText writes i by RFC 3339, with a fraction where it has one.
func (i Instant) MarshalText() ([]byte, error) { return i.Time().MarshalText() }

// UnmarshalText reads RFC 3339; what is finer than a microsecond is cut off.
func (i *Instant) UnmarshalText(b []byte) error {
	var t time.Time
	if err := t.UnmarshalText(b); err != nil {
		return err
	}
	*i = At(t)
	return nil
}

// Window is the half-open interval [From, To). A zero To has no end, so the zero Window is always.
// Two windows that only touch have no instant in common.
type Window struct {
	From Instant `json:"from,omitempty"`
	To   Instant `json:"to,omitempty"`
}

// End returns the first instant after w, Forever if there is none.
func (w Window) End() Instant {
	if w.To == 0 {
		return Forever
	}
	return w.To
}

// Valid reports whether w holds any instant.
func (w Window) Valid() bool { return w.From < w.End() }

// Holds reports whether t is in w.
func (w Window) Holds(t Instant) bool { return w.From <= t && t < w.End() }

// Overlaps reports whether w and v have an instant in common.
func (w Window) Overlaps(v Window) bool { return w.From < v.End() && v.From < w.End() }

// window returns [from, to), with Forever as no end.
func window(from, to Instant) Window {
	if to == Forever {
		to = 0
	}
	return Window{from, to}
}

// meet returns what a and b, each sorted and without overlaps, have in common.
func meet(a, b []Window) []Window {
	var out []Window
	for i, j := 0, 0; i < len(a) && j < len(b); {
		from, to := max(a[i].From, b[j].From), min(a[i].End(), b[j].End())
		if from < to {
			out = append(out, window(from, to))
		}
		if a[i].End() < b[j].End() {
			i++
		} else {
			j++
		}
	}
	return out
}

// minus returns what of a, sorted and without overlaps, no window of b covers.
func minus(a, b []Window) []Window {
	b = union(b)
	var out []Window
	for _, w := range a {
		from := w.From
		for _, v := range b {
			if v.From > from && v.From < w.End() {
				out = append(out, window(from, v.From))
			}
			if v.From < w.End() {
				from = max(from, v.End())
			}
		}
		if from < w.End() {
			out = append(out, window(from, w.End()))
		}
	}
	return out
}

// union sorts windows and joins those that overlap or touch. It leaves its argument as it was.
func union(in []Window) []Window {
	if len(in) < 2 {
		return in
	}
	ws := slices.Clone(in)
	slices.SortFunc(ws, func(a, b Window) int { return cmp.Compare(a.From, b.From) })
	out := ws[:1]
	for _, w := range ws[1:] {
		last := &out[len(out)-1]
		if w.From > last.End() {
			out = append(out, w)
			continue
		}
		*last = window(last.From, max(last.End(), w.End()))
	}
	return out
}
