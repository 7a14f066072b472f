// Command campaign runs a fault campaign: a test that is repeated for as long as one cares to wait.
// `make fault` is this command. What it counted is kept in docs/reliability.md, with the commit and
// the date; the counts of several runs add up while the code that the campaign tests is unchanged.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// campaign is a test, how often one run of it tries, and where its code is.
type campaign struct {
	name, what string
	pack, run  string            // go test -run run ./pack
	env        map[string]string // {state} is a file of the campaign's own, kept between runs
	counted    *regexp.Regexp    // finds how often it tried, in the output of the test
	race       bool              // under the race detector
	once       bool              // one run is all of it, taken up where it stopped; its count is the whole
	covers     []string          // the code whose change lets the counts begin anew
}

var serving = []string{"auth", "store", "migrations", "internal/web", "cmd/countersign"}

var campaigns = []campaign{
	{
		name: "kill", what: "the server is killed under load; no acknowledged write is lost",
		pack: "cmd/countersign", run: "^TestKillLosesNoAcknowledgedWrite$",
		env: map[string]string{"COUNTERSIGN_TEST_KILLS": "50"}, counted: regexp.MustCompile(`(\d+) kills`), covers: serving,
	},
	{
		name: "mutants", what: "the evaluator is changed in one place; the tests notice",
		pack: "rbac", run: "^TestMutants$", once: true,
		env:     map[string]string{"COUNTERSIGN_MUTANTS": "all", "COUNTERSIGN_MUTANTS_RESULT": "{state}"},
		counted: regexp.MustCompile(`(\d+) mutants:`), covers: []string{"rbac"},
	},
	{
		name: "races", what: "twenty spend one thing at once, watched by the race detector; one does (each try is the whole suite)",
		pack: "store", run: "^Test(SQLite|Postgres)", race: true,
		counted: regexp.MustCompile(`(?m)^ok\s.*/(store)\s`), covers: []string{"store", "migrations"},
	},
	{
		name: "schedules", what: "random changes of who may hold what come between each other; they come to what some order of them does (tries on each database)",
		pack: "rbac", run: "^TestRandomSchedules$",
		env:     map[string]string{"COUNTERSIGN_SCHEDULES": "1000", "COUNTERSIGN_SCHEDULES_NEXT": "{state}"},
		counted: regexp.MustCompile(`postgres: (\d+) schedules`), covers: []string{"rbac", "store", "migrations"},
	},
}

func main() {
	limit := flag.Duration("for", 30*time.Minute, "how long to go on; the run that is under way is ended")
	flag.Parse()
	i := slices.IndexFunc(campaigns, func(c campaign) bool { return c.name == flag.Arg(0) })
	if i < 0 {
		fmt.Println("Campaigns, each as make fault CAMPAIGN=…:")
		for _, c := range campaigns {
			fmt.Printf("  %-10s %s\n", c.name, c.what)
		}
		if flag.NArg() > 0 {
			os.Exit(2)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := carryOut(ctx, campaigns[i], *limit); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// carryOut repeats c until the time is over or it fails, and writes down what it counted.
func carryOut(ctx context.Context, c campaign, limit time.Duration) error {
	code, commit, err := standing(c.covers)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	state := filepath.Join("data", "campaigns", c.name+"-"+code)
	if err := os.MkdirAll(filepath.Dir(state), 0o755); err != nil {
		return err
	}
	if state, err = filepath.Abs(state); err != nil {
		return err
	}

	tries, failed := 0, error(nil)
	for failed == nil && ctx.Err() == nil {
		output, err := c.round(ctx, state)
		n := c.count(output)
		tries += n
		switch {
		case ctx.Err() != nil:
		case err != nil:
			failed = fmt.Errorf("%s: %w\n%s", c.name, err, output)
		default:
			fmt.Printf("%s %s: %d, %d in all\n", time.Now().Format("15:04:05"), c.name, n, tries)
		}
		if c.once {
			break
		}
	}
	verdict := "held"
	if failed != nil {
		verdict = "failed"
	}
	if tries == 0 && failed == nil {
		return nil // the time was over before the first run; a run of mutants goes on next time
	}
	today := time.Now().UTC().Format(time.DateOnly)
	return errors.Join(failed, note("docs/reliability.md", row{c.name, c.what, tries, verdict, code, commit, today}, c.once))
}

// round runs the test once.
func (c campaign) round(ctx context.Context, state string) (string, error) {
	args := []string{"test", "-count=1", "-v", "-timeout=2h", "-run", c.run}
	env := os.Environ()
	if c.race {
		args, env = append(args, "-race"), append(env, "CGO_ENABLED=1")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+c.pack)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	cmd.Env = env
	for k, v := range c.env {
		cmd.Env = append(cmd.Env, k+"="+strings.ReplaceAll(v, "{state}", state))
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// count adds up how often the test says that it tried. What is no number counts as one.
func (c campaign) count(output string) (n int) {
	for _, m := range c.counted.FindAllStringSubmatch(output, -1) {
		k, err := strconv.Atoi(m[1])
		if err != nil {
			k = 1
		}
		n += k
	}
	return n
}

// standing names the state of the code by its content, and the commit. Changes that are not committed
// would make the record untrue.
func standing(covers []string) (code, commit string, err error) {
	dirty, err := git(append([]string{"status", "--porcelain", "--"}, covers...)...)
	if err != nil {
		return "", "", err
	}
	if dirty != "" {
		return "", "", fmt.Errorf("the code of this campaign has changes that are not committed:\n%s", dirty)
	}
	tree, err := git(append([]string{"ls-tree", "HEAD", "--"}, covers...)...)
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256([]byte(tree))
	commit, err = git("rev-parse", "--short=12", "HEAD")
	return hex.EncodeToString(sum[:4]), commit, err
}

func git(args ...string) (string, error) {
	out, err := exec.Command("git", args...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
