package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/countersign-id/countersign/internal/fault"
	"github.com/countersign-id/countersign/rbac"
)

var errTime = fault.New(fault.Invalid, "time-invalid", "A time is RFC 3339, a date, now, or from now on such as +8h, +30d or +2w.")

// parseTime reads a moment as people type it. A bare date is its first moment, UTC, or where last is set the end of that day: what lasts
// until a day lasts all of it.
func parseTime(s string, now time.Time, last bool) (rbac.Instant, error) {
	if s == "now" {
		return rbac.At(now), nil
	}
	if span, ok := strings.CutPrefix(s, "+"); ok {
		d, err := parseSpan(span)
		if err != nil {
			return 0, errTime
		}
		return rbac.At(now.Add(d)), nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err == nil && last {
		t = t.AddDate(0, 0, 1)
	}
	if err != nil {
		t, err = time.Parse(time.RFC3339Nano, s)
	}
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return 0, errTime
	}
	return rbac.At(t), nil
}

// parseSpan reads a length of time: what Go writes, or days and weeks.
func parseSpan(s string) (time.Duration, error) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			count, err := strconv.Atoi(n)
			if err != nil || count < 1 || count > 36_500 {
				return 0, errTime
			}
			return time.Duration(count) * length, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, errTime
	}
	return d, nil
}

// spell writes a window.
func spell(w rbac.Window) string {
	from, to := "…", "…"
	if w.From != 0 {
		from = spellTime(w.From)
	}
	if w.To != 0 {
		to = spellTime(w.To)
	}
	return from + " – " + to
}

func spellTime(t rbac.Instant) string { return t.Time().Format("2006-01-02T15:04:05Z") }
