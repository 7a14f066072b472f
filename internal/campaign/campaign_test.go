package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCountsAddUpWhileTheCodeIsTheSame(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "reliability.md")
	for _, r := range []row{
		{"kill", "a server is killed", 100, "held", "aaaa", "c1", "2026-01-01"},
		{"races", "many spend", 1, "held", "aaaa", "c1", "2026-01-01"},
		{"kill", "a server is killed", 50, "held", "aaaa", "c2", "2026-01-02"},
		{"kill", "a server is killed", 7, "held", "bbbb", "c3", "2026-01-03"},
		{"kill", "a server is killed", 3, "failed", "bbbb", "c3", "2026-01-04"},
	} {
		if err := note(file, r, false); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(string(text), heading)
	want := strings.Join([]string{
		"| kill | a server is killed | 150 | held | `aaaa` | `c2` | 2026-01-02 |",
		"| races | many spend | 1 | held | `aaaa` | `c1` | 2026-01-01 |",
		"| kill | a server is killed | 7 | held | `bbbb` | `c3` | 2026-01-03 |",
		"| kill | a server is killed | 3 | failed | `bbbb` | `c3` | 2026-01-04 |",
		"",
	}, "\n")
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestWholeCountTakesThePlaceOfTheOld(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "reliability.md")
	for range 2 {
		if err := note(file, row{campaign: "mutants", tries: 300, verdict: "held", code: "aaaa"}, true); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "| 300 | held |") {
		t.Errorf("got\n%s", text)
	}
}

func TestWordsAroundTheTableStay(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "reliability.md")
	if err := os.WriteFile(file, []byte("# Before\n\n"+heading+"\nAfter.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := note(file, row{campaign: "kill", tries: 1}, false); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(text); !strings.HasPrefix(got, "# Before\n\n|") || !strings.HasSuffix(got, "|\n\nAfter.\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestTriesAreReadFromTheOutput(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		campaign, output string
		want             int
	}{
		{"kill", "    fault_test.go:60: 20 kills, 812 acknowledged refreshes\n    fault_test.go:60: 20 kills, 900 acknowledged refreshes\n", 40},
		{"mutants", "    mutant_test.go:94: 300 mutants: 12 killed now, 280 before, 8 listed as meaning the same, 0 survive\n", 300},
		{"races", "ok  \tgithub.com/countersign-id/countersign/store\t48.1s\n", 1},
		{"schedules", "    schedules_test.go:93: sqlite: 1000 schedules, 90 a second\n    schedules_test.go:93: postgres: 1000 schedules, 60 a second\n", 1000},
		{"races", "FAIL\tgithub.com/countersign-id/countersign/store\t48.1s\n", 0},
	} {
		for _, c := range campaigns {
			if c.name != tt.campaign {
				continue
			}
			if got := c.count(tt.output); got != tt.want {
				t.Errorf("%s: got %d tries, want %d in %q", c.name, got, tt.want, tt.output)
			}
		}
	}
}
