package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// summary collects what the steps found.
type summary struct {
	out    io.Writer
	strict bool // what is missing is a failure
	quick  bool // what takes long is left out on purpose

	passed, failed int
	failures       []string
	missing        []missing // not run, by reason
	times          []string
}

// missing is a reason why something was not run, and what was not run for it.
type missing struct {
	reason string
	what   []string
}

func (s *summary) pass() { s.passed++ }

// fail counts what as failed and prints why, if something was said.
func (s *summary) fail(what, why string) {
	s.failed++
	s.failures = append(s.failures, what)
	if why != "" {
		fmt.Fprintf(s.out, "\n%s\n%s\n", what, strings.TrimRight(why, "\n"))
	}
}

// excused are the beginnings of reasons that continuous integration accepts: what is not part of the
// repository, what a quick run leaves out, and what has a target of its own.
var excused = []string{"optional: ", "short: ", "a campaign of make fault"}

// notRun remembers that what was left out, and counts it as failed where nothing may be missing.
func (s *summary) notRun(what, reason string) {
	if strings.HasPrefix(reason, "short: ") {
		if !s.quick {
			return // the race detector's run, which comes after a whole one
		}
		what = ""
	}
	i := slices.IndexFunc(s.missing, func(m missing) bool { return m.reason == reason })
	if i < 0 {
		i = len(s.missing)
		s.missing = append(s.missing, missing{reason: reason})
	}
	if what == "" || !slices.Contains(s.missing[i].what, what) {
		s.missing[i].what = append(s.missing[i].what, what)
	}
	if s.strict && !slices.ContainsFunc(excused, func(prefix string) bool { return strings.HasPrefix(reason, prefix) }) {
		s.fail(what, "not run: "+reason)
	}
}

// readNotes takes over what scripts/need could not install.
func (s *summary) readNotes(file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read notes: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		what, why, _ := strings.Cut(strings.TrimSpace(line), ": ")
		s.notRun(what, why)
	}
	return nil
}

func (s *summary) took(step string, d time.Duration) {
	s.times = append(s.times, fmt.Sprintf("%s %.1f s", step, d.Seconds()))
}

// write prints the closing summary. Its last line is for programs that read it.
func (s *summary) write() {
	w := s.out
	fmt.Fprintf(w, "\nTime: %s\n", strings.Join(s.times, ", "))
	if len(s.failures) > 0 {
		fmt.Fprintln(w, "\nFailed:")
		for _, f := range s.failures {
			fmt.Fprintln(w, " ", f)
		}
	}
	if len(s.missing) > 0 {
		fmt.Fprintln(w, "\nNot run:")
		for _, m := range s.missing {
			m.write(w)
		}
	}
	fmt.Fprintf(w, "\n%d passed, %d failed\n", s.passed, s.failed)
}

func (m missing) write(w io.Writer) {
	named := slices.DeleteFunc(slices.Clone(m.what), func(s string) bool { return s == "" })
	if len(named) == 0 {
		fmt.Fprintf(w, "  %s (%d tests)\n", m.reason, len(m.what))
		return
	}
	fmt.Fprintf(w, "  %s\n", m.reason)
	for _, what := range named {
		fmt.Fprintf(w, "    %s\n", what)
	}
}
