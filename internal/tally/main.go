// Command tally runs the project's checks and ends with what passed, what failed and what was not
// run, so that nothing is left out in silence. `make test` and `make check` are this command.
//
// A test that cannot run on a machine skips itself and says why; the closing summary repeats it.
// Where CI=true nothing may be missing: such a test counts as failed, unless its reason begins with
// "optional: ", as for data sets that are not part of the repository, or it is "a campaign of make fault".
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/countersign-id/countersign/internal/pgtest"
)

// raced are the rooms where goroutines share what matters; the race detector makes tests several
// times slower.
var raced = []string{"./store", "./rbac", "./auth", "./internal/web"}

// race returns which of packages the race detector is for.
func race(packages []string) []string {
	var kept []string
	for _, room := range raced {
		for _, p := range packages {
			switch {
			case p == "./...":
				kept = append(kept, room+"/...")
			case p == room || strings.HasPrefix(p, room+"/"):
				kept = append(kept, p)
			}
		}
	}
	return kept
}

// step is one check: it tells sum what it found.
type step struct {
	name string
	run  func(ctx context.Context, sum *summary)
}

func main() {
	quick := flag.Bool("quick", false, "leave out what takes long: PostgreSQL, the browser, the race detector, staticcheck")
	notes := flag.String("notes", "", "`file` with one line for each thing that could not be installed")
	flag.Parse()
	packages := flag.Args()
	if len(packages) == 0 {
		packages = []string{"./..."}
	}

	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin") // pgbouncer is there
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	sum := &summary{out: os.Stdout, strict: os.Getenv("CI") == "true", quick: *quick}
	if err := sum.readNotes(*notes); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for _, s := range steps(*quick, packages) {
		if ctx.Err() != nil {
			sum.fail(s.name, "interrupted")
			continue
		}
		began := time.Now()
		s.run(ctx, sum)
		sum.took(s.name, time.Since(began))
	}
	sum.write()
	if sum.failed > 0 {
		os.Exit(1)
	}
}

func steps(quick bool, packages []string) []step {
	always := []step{
		{"gofmt", gofmt},
		{"vet", tool("vet", "go", append([]string{"vet"}, packages...)...)},
	}
	if slices.Equal(packages, []string{"./..."}) {
		always = append(always, apart...)
	}
	if quick {
		return append(always, step{"tests", goTest(append([]string{"-short"}, packages...)...)})
	}
	return append(always,
		step{"staticcheck", tool("staticcheck", "go", append([]string{"tool", "staticcheck"}, packages...)...)},
		step{"PostgreSQL", postgres},
		step{"tests", goTest(append([]string{"-count=1"}, packages...)...)},
		step{"race detector", detectRaces(race(packages))},
	)
}

// apart are the checks of the module that is not the product's: ./... does not reach it. They keep what make bench measures
// compiling, and both engines giving the same answers.
var apart = []step{
	{"vet of test/casbin", tool("vet of test/casbin", "go", "-C", "test/casbin", "vet", "./...")},
	{"tests of test/casbin", goTestIn("test/casbin", "./...")},
}

// gofmt names the files that are not formatted.
func gofmt(ctx context.Context, sum *summary) {
	out, err := exec.CommandContext(ctx, "gofmt", "-l", ".").Output()
	if err != nil {
		sum.fail("gofmt", err.Error())
		return
	}
	if len(out) > 0 {
		sum.fail("gofmt", "not formatted:\n"+string(out))
		return
	}
	sum.pass()
}

// tool runs a command whose silence means that all is well.
func tool(name, program string, args ...string) func(context.Context, *summary) {
	return func(ctx context.Context, sum *summary) {
		out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
		if err != nil {
			sum.fail(name, string(out)+err.Error())
			return
		}
		sum.pass()
	}
}

// postgres starts the one server that all packages use. Where there is none the tests say so
// themselves.
func postgres(_ context.Context, sum *summary) {
	if os.Getenv(pgtest.Variable) != "" {
		return
	}
	dsn, err := pgtest.Serve()
	if err != nil {
		sum.notRun("PostgreSQL", err.Error())
		return
	}
	os.Setenv(pgtest.Variable, dsn)
}

// detectRaces runs the rooms again under the race detector: no report is acceptable (sec-F29). It watches goroutines of ours,
// not the database, so fewer rounds on SQLite will do; 'make fault CAMPAIGN=races' runs them all, on both.
func detectRaces(packages []string) func(context.Context, *summary) {
	return func(ctx context.Context, sum *summary) {
		if len(packages) == 0 {
			return
		}
		if _, err := exec.LookPath("gcc"); err != nil {
			sum.notRun("race detector", "no C compiler (gcc)")
			return
		}
		before := os.Getenv("CGO_ENABLED")
		os.Setenv("CGO_ENABLED", "1")
		defer os.Setenv("CGO_ENABLED", before)
		goTest(append([]string{"-count=1", "-short", "-race"}, packages...)...)(ctx, sum)
	}
}

// goTest runs go test and counts its tests. Packages are tested two at a time: more only wait for
// each other.
func goTest(args ...string) func(context.Context, *summary) { return goTestIn(".", args...) }

// goTestIn is goTest for the module in dir.
func goTestIn(dir string, args ...string) func(context.Context, *summary) {
	return func(ctx context.Context, sum *summary) {
		cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-p=2", "-timeout=10m"}, args...)...)
		cmd.Dir, cmd.Env = dir, environment(os.Environ())
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			sum.fail("go test", err.Error())
			return
		}
		if err := cmd.Start(); err != nil {
			sum.fail("go test", err.Error())
			return
		}
		before := sum.failed
		readEvents(out, sum)
		if err := cmd.Wait(); err != nil && sum.failed == before {
			sum.fail("go test", stderr.String()+err.Error())
		}
	}
}

// environment leaves out settings of a Countersign that the developer runs: a test names its own.
func environment(all []string) []string {
	var kept []string
	for _, v := range all {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "COUNTERSIGN_") && name != pgtest.Variable && name != "COUNTERSIGN_SCREENSHOTS" {
			continue
		}
		kept = append(kept, v)
	}
	return kept
}
