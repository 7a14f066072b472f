package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"time"
)

// table prints results as they come, in the form that the documentation takes over.
type table struct {
	w     io.Writer
	notes []string
	met   int
	aims  int
}

func newTable(w io.Writer) *table {
	fmt.Fprintf(w, "%s, %s/%s, GOMAXPROCS %d. A figure is the median of %d rounds. Processor time is of the whole process, garbage collection included; aims are held against it.\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), rounds)
	return &table{w: w}
}

func (t *table) write(s *shape, rows []result) {
	fmt.Fprintf(t.w, "\n%s\n\n", s.name)
	head := []string{"", "Countersign: time", "CPU", "B/op", "allocs/op", "aim", "", "casbin: time", "CPU", "B/op", "allocs/op", "CPU, × ours"}
	lines := [][]string{head}
	for _, r := range rows {
		line := []string{r.name + t.footnote(r.note)}
		line = append(line, r.ours.cells()...)
		line = append(line, t.judge(r)...)
		line = append(line, r.theirs.cells()...)
		lines = append(lines, append(line, ratio(r)))
	}
	print(t.w, lines)
}

// footnote keeps a remark and returns its mark.
func (t *table) footnote(note string) string {
	if note == "" {
		return ""
	}
	for i, n := range t.notes {
		if n == note {
			return fmt.Sprintf(" [%d]", i+1)
		}
	}
	t.notes = append(t.notes, note)
	return fmt.Sprintf(" [%d]", len(t.notes))
}

// judge holds our figure against its aim. Of times it is the processor's that counts: each of these questions is answered on
// one thread and waits for nothing, and a machine with neighbours makes it wait.
func (t *table) judge(r result) []string {
	if r.aim == (aim{}) || r.ours == nil {
		return []string{"", ""}
	}
	text, met := "≤ "+nanoseconds(float64(r.aim.time)), r.ours.cpu <= float64(r.aim.time)
	if r.aim.bytes > 0 {
		text, met = "≤ "+number(r.aim.bytes)+" B", r.ours.bytes <= r.aim.bytes
	}
	t.aims++
	if !met {
		return []string{text, "MISSED"}
	}
	t.met++
	return []string{text, "met"}
}

func (t *table) close(missing []string) {
	fmt.Fprintln(t.w)
	for i, n := range t.notes {
		fmt.Fprintf(t.w, "[%d] %s\n", i+1, n)
	}
	for _, m := range missing {
		fmt.Fprintf(t.w, "Not run: %s\n", m)
	}
	fmt.Fprintf(t.w, "Aims: %d of %d met.\n", t.met, t.aims)
}

func (f *figure) cells() []string {
	switch {
	case f == nil:
		return []string{"–", "–", "–", "–"}
	case f.kept:
		return []string{"", "", number(f.bytes), ""}
	}
	cells := []string{nanoseconds(f.wall), nanoseconds(f.cpu), number(f.bytes), number(f.allocs)}
	if f.scaled {
		for i, c := range cells {
			cells[i] = "~ " + c
		}
	}
	return cells
}

func ratio(r result) string {
	switch {
	case r.ours == nil || r.theirs == nil:
		return ""
	case r.ours.kept:
		return digits(r.theirs.bytes/r.ours.bytes) + " (memory)"
	case r.theirs.scaled:
		return "~ " + digits(r.theirs.cpu/r.ours.cpu)
	}
	return digits(r.theirs.cpu / r.ours.cpu)
}

// nanoseconds writes a time with three digits.
func nanoseconds(ns float64) string {
	for _, u := range []struct {
		name string
		of   float64
	}{{"min", float64(time.Minute)}, {"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		if ns >= u.of {
			return digits(ns/u.of) + " " + u.name
		}
	}
	return digits(ns) + " ns"
}

func number(v float64) string {
	switch {
	case v >= 1e9:
		return digits(v/1e9) + " G"
	case v >= 1e6:
		return digits(v/1e6) + " M"
	case v >= 1e4:
		return digits(v/1e3) + " k"
	case v < 0.01:
		return "0"
	}
	return digits(v)
}

// digits writes three digits that count.
func digits(v float64) string {
	switch {
	case v >= 1000:
		unit := math.Pow(10, math.Floor(math.Log10(v))-2)
		return fmt.Sprintf("%.0f", math.Round(v/unit)*unit)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}

// print writes a table of Markdown with straight columns.
func print(w io.Writer, lines [][]string) {
	width := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for n, line := range lines {
		var b strings.Builder
		for i, cell := range line {
			b.WriteString("| " + cell + strings.Repeat(" ", width[i]-len([]rune(cell))) + " ")
		}
		fmt.Fprintln(w, b.String()+"|")
		if n == 0 {
			for _, n := range width {
				fmt.Fprint(w, "|", strings.Repeat("-", n+2))
			}
			fmt.Fprintln(w, "|")
		}
	}
}
