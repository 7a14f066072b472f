package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

const module = "github.com/countersign-id/countersign/"

// pack is what is known of a package while it is tested.
type pack struct {
	passed, failed, skipped int
	output                  map[string]*strings.Builder // by test; "" is the package's own
}

func (p *pack) out(test string) *strings.Builder {
	if p.output[test] == nil {
		p.output[test] = new(strings.Builder)
	}
	return p.output[test]
}

// readEvents counts the tests that r tells of, and prints a line for each package and the output of
// each failed test.
func readEvents(r io.Reader, sum *summary) {
	packs := map[string]*pack{}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var e event
		if json.Unmarshal(line, &e) != nil {
			sum.out.Write(line) // a message of the go command itself
			continue
		}
		if strings.HasPrefix(e.Action, "build-") {
			fmt.Fprint(sum.out, e.Output)
			continue
		}
		p := packs[e.Package]
		if p == nil {
			p = &pack{output: map[string]*strings.Builder{}}
			packs[e.Package] = p
		}
		count(p, e, sum)
	}
}

func count(p *pack, e event, sum *summary) {
	name := strings.TrimPrefix(e.Package, module)
	switch e.Action {
	case "output":
		p.out(e.Test).WriteString(e.Output)
		return
	case "pass", "fail", "skip":
	default:
		return
	}
	if e.Test == "" {
		closePackage(name, p, e, sum)
		return
	}
	switch e.Action {
	case "pass":
		p.passed++
		sum.pass()
	case "fail":
		p.failed++
		sum.fail(name+" "+e.Test, "")
		fmt.Fprintf(sum.out, "\n%s %s\n%s", name, e.Test, p.out(e.Test))
	case "skip":
		p.skipped++
		sum.notRun(name+" "+e.Test, reason(p.out(e.Test).String()))
	}
	delete(p.output, e.Test)
}

// closePackage prints the line of a package. One that fails with no failed test did not build, or
// died: then the tests that were running are named by what they printed.
func closePackage(name string, p *pack, e event, sum *summary) {
	verdict := map[string]string{"pass": "ok", "fail": "FAIL", "skip": "-"}[e.Action]
	if e.Action == "fail" && p.failed == 0 {
		var all strings.Builder
		for test, out := range p.output {
			if test != "" {
				fmt.Fprintf(&all, "running: %s\n", test)
			}
			all.WriteString(out.String())
		}
		fmt.Fprintf(sum.out, "\n%s\n%s", name, all.String())
		sum.fail(name, "")
	}
	if e.Action == "skip" {
		return // no test files
	}
	fmt.Fprintf(sum.out, "%-5s %-28s %4d tests %6.1f s", verdict, name, p.passed+p.failed+p.skipped, e.Elapsed)
	if p.skipped > 0 {
		fmt.Fprintf(sum.out, ", %d not run", p.skipped)
	}
	fmt.Fprintln(sum.out)
}

var place = regexp.MustCompile(`^\s*\S+\.go:\d+: `)

// reason finds what a skipped test said last: the text of t.Skip.
func reason(output string) string {
	var said []string
	for line := range strings.Lines(output) {
		if place.MatchString(line) {
			said = nil
		}
		line = strings.TrimSpace(place.ReplaceAllString(line, ""))
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		said = append(said, line)
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}
