package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tally writes a module of one package whose tests are source, and counts them.
func tally(t *testing.T, sum *summary, source string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module " + module + "sample\n\ngo 1.26\n",
		"a_test.go": "package sample\n\n" + source,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	sum.out = &out
	cmd := exec.Command("go", "test", "-json", ".")
	cmd.Dir = dir
	events, _ := cmd.Output() // its status is what the events say
	readEvents(strings.NewReader(string(events)), sum)
	sum.write()
	return out.String()
}

const mixed = `
import "testing"

func TestGood(t *testing.T) { t.Run("part", func(t *testing.T) {}) }
func TestBad(t *testing.T)  { t.Errorf("got 1, want 2") }
func TestLeft(t *testing.T) { t.Log("looked"); t.Skip("no such thing here") }
func TestData(t *testing.T) { t.Skip("optional: ../shared is not beside the checkout") }
`

func TestSummaryCountsAndNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		sum        summary
		source     string
		says       []string
		last       string
		neverSaid  string
		wantFailed int
	}{
		{"passes, failures and what was not run are told apart", summary{}, mixed,
			[]string{"FAIL  sample", "got 1, want 2", "sample TestBad", "no such thing here\n    sample TestLeft"}, "2 passed, 1 failed", "TestGood/part\n", 1},
		{"in continuous integration nothing may be missing, but for optional data", summary{strict: true}, mixed,
			[]string{"not run: no such thing here"}, "2 passed, 2 failed", "not run: optional", 2},
		{"what a quick run leaves out is counted, not named", summary{quick: true}, `
import "testing"

func TestSlow(t *testing.T)   { t.Skip("short: left to make test") }
func TestSlower(t *testing.T) { t.Skip("short: left to make test") }
`, []string{"short: left to make test (2 tests)"}, "0 passed, 0 failed", "TestSlow", 0},
		{"a package that does not build has failed", summary{}, "func broken() { undefined() }\n",
			[]string{"undefined: undefined", "FAIL  sample"}, "0 passed, 1 failed", "", 1},
		{"a package that dies has failed", summary{}, "import (\n\"os\"\n\"testing\"\n)\nfunc TestDies(t *testing.T) { os.Exit(3) }\n",
			[]string{"FAIL  sample", "TestDies"}, "0 passed, 1 failed", "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tally(t, &tt.sum, tt.source)
			for _, want := range tt.says {
				if !strings.Contains(got, want) {
					t.Errorf("the summary does not say %q:\n%s", want, got)
				}
			}
			if tt.neverSaid != "" && strings.Contains(got, tt.neverSaid) {
				t.Errorf("the summary says %q:\n%s", tt.neverSaid, got)
			}
			lines := strings.Split(strings.TrimSpace(got), "\n")
			if last := lines[len(lines)-1]; last != tt.last {
				t.Errorf("it ends with %q, want %q", last, tt.last)
			}
			if tt.sum.failed != tt.wantFailed {
				t.Errorf("got %d failed, want %d", tt.sum.failed, tt.wantFailed)
			}
		})
	}
}

func TestNotesOfWhatCouldNotBeInstalled(t *testing.T) {
	t.Parallel()
	notes := filepath.Join(t.TempDir(), "notes")
	if err := os.WriteFile(notes, []byte("chromium: may not install it\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, strict := range []bool{false, true} {
		var out strings.Builder
		sum := &summary{out: &out, strict: strict}
		if err := sum.readNotes(notes); err != nil {
			t.Fatal(err)
		}
		sum.write()
		if !strings.Contains(out.String(), "may not install it\n    chromium") {
			t.Errorf("strict %v: chromium is not named:\n%s", strict, out.String())
		}
		if got := sum.failed == 1; got != strict {
			t.Errorf("strict %v: %d failed", strict, sum.failed)
		}
	}
}

func TestRacesAreLookedForWhereTheyMatter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ given, want []string }{
		{[]string{"./..."}, []string{"./store/...", "./rbac/...", "./auth/...", "./internal/web/..."}},
		{[]string{"./ui", "./auth/oidc"}, []string{"./auth/oidc"}},
		{[]string{"./storeroom"}, nil},
	} {
		if got := race(tt.given); !slices.Equal(got, tt.want) {
			t.Errorf("race(%v) = %v, want %v", tt.given, got, tt.want)
		}
	}
}

func TestTheModuleApartIsCheckedWithTheWholeTree(t *testing.T) {
	t.Parallel()
	for _, quick := range []bool{true, false} {
		for packages, want := range map[string]bool{"./...": true, "./store": false} {
			got := slices.ContainsFunc(steps(quick, []string{packages}), func(s step) bool { return s.name == "tests of test/casbin" })
			if got != want {
				t.Errorf("quick %v, %s: got %v, want %v", quick, packages, got, want)
			}
		}
	}
}

func TestDevelopersSettingsStayOutside(t *testing.T) {
	t.Parallel()
	got := environment([]string{"PATH=/bin", "COUNTERSIGN_ISSUER=https://mine", "COUNTERSIGN_TEST_POSTGRES=x", "COUNTERSIGN_SCREENSHOTS=y"})
	want := []string{"PATH=/bin", "COUNTERSIGN_TEST_POSTGRES=x", "COUNTERSIGN_SCREENSHOTS=y"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", fmt.Sprint(got), want)
	}
}
