package main

import (
	"strings"
	"testing"
	"time"
)

// tiny has every shape, so small that a test can measure it.
var tiny = size{people: 300, technical: 40, business: 30, permissions: 200, rules: 20, roles: 1000, levels: 5}

func TestTheEnginesAgree(t *testing.T) {
	t.Parallel()
	shapes, missing := all(tiny)
	for _, m := range missing {
		t.Log("not compared: ", m)
	}
	compared := 0
	for _, s := range shapes {
		if s.theirs == nil {
			continue
		}
		n, err := agree(s.ours(), s.theirs())
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		compared += n
	}
	if compared == 0 {
		t.Error("got no answers to compare, want some")
	}
}

// Two that always say no agree as well. Every question that is compared has more than one answer.
func TestWhatIsComparedVaries(t *testing.T) {
	t.Parallel()
	w := made(tiny)
	for _, s := range []*shape{w.overPermissions(), w.ofRoles(), casbinOwn("large", tiny.roles), tree(tiny.levels, 300)} {
		theirs := s.theirs()
		for name, q := range s.ours() {
			if theirs[name].say == nil || q.say == nil || name == "its published request, refused" {
				continue
			}
			answers := map[string]bool{}
			for i := range samples {
				answers[q.say(i)] = true
			}
			if len(answers) < 2 {
				t.Errorf("%s, %s: got %v for all of %d questions, want different answers", s.name, name, answers, samples)
			}
		}
	}
}

func TestEveryRowIsMeasured(t *testing.T) {
	t.Parallel()
	shapes, _ := all(tiny)
	var out strings.Builder
	table := newTable(&out)
	for _, s := range shapes {
		rows, err := s.measure(time.Millisecond)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		for _, r := range rows {
			if r.ours == nil {
				t.Errorf("%s: got no figure for %q, want one", s.name, r.name)
			}
		}
		table.write(s, rows)
	}
	table.close(nil)
	if !strings.Contains(out.String(), "Aims: ") {
		t.Errorf("got %s, want a count of aims", out.String())
	}
}

func TestEnginesThatDifferAreNotTimed(t *testing.T) {
	t.Parallel()
	yes := func() engine { return engine{"q": ask(func(int) bool { return true })} }
	no := func() engine { return engine{"q": ask(func(i int) bool { return i != 3 })} }
	s := &shape{ours: yes, theirs: no, rows: []row{{name: "q"}}}
	if _, err := s.measure(time.Millisecond); err == nil || !strings.Contains(err.Error(), "question 3") {
		t.Errorf("got %v, want that question 3 is answered differently", err)
	}
}

func TestAMissedAimIsAFigure(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	table := newTable(&out)
	table.write(&shape{name: "s"}, []result{{row{"slow", deltaAim, ""}, &figure{wall: 20_000, cpu: 20_000}, nil}})
	table.close([]string{"something"})
	for _, want := range []string{"20 µs", "≤ 10 µs", "MISSED", "Aims: 0 of 1 met", "Not run: something"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %s, want %q in it", out.String(), want)
		}
	}
}

func TestFiguresHaveThreeDigits(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0.5: "0.5 ns", 17.32: "17.3 ns", 8925: "8.93 µs", 349e6: "349 ms", 2.9e9: "2.9 s", 295e9: "4.92 min"} {
		if got := nanoseconds(v); got != want {
			t.Errorf("nanoseconds(%v): got %s, want %s", v, got, want)
		}
	}
	if got := digits(5_541_234); got != "5540000" {
		t.Errorf("digits: got %s, want 5540000", got)
	}
}
