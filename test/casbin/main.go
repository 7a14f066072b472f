// Command casbin measures the engine of package rbac and, in the same run and on the same shapes, casbin v2.
//
// Each question is first put to both, on a sample: where their answers differ nothing is timed and the command
// fails. Then each engine is timed with the other out of memory, so that neither collects the other's garbage.
// Aims are printed beside our figures; a missed aim is a figure, not a failure.
//
// It is a module of its own, so that casbin is no dependency of the product.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime/pprof"
	"time"
)

func main() {
	only := flag.String("run", "", "`regexp` of the shapes to measure")
	limit := flag.Duration("for", time.Second, "how long each figure is measured, where one operation does not take longer")
	ours := flag.Bool("ours", false, "leave casbin out")
	profile := flag.String("cpuprofile", "", "`file` for a processor profile")
	flag.Parse()
	if err := run(*only, *limit, *ours, *profile); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(only string, limit time.Duration, ours bool, profile string) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("read -run: %w", err)
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return fmt.Errorf("keep a profile: %w", err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return fmt.Errorf("keep a profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}

	shapes, missing := all(full)
	t := newTable(os.Stdout)
	for _, s := range shapes {
		if !match.MatchString(s.name) {
			continue
		}
		if ours {
			s.theirs = nil
		}
		rows, err := s.measure(limit)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		t.write(s, rows)
	}
	t.close(missing)
	return nil
}
