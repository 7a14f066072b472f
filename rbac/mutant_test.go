package rbac

import (
	"bufio"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The evaluator's files. Every comparison, every "and" and "or", every max and min, every condition, every loop and
// every statement that changes something in them becomes a mutant.
var evaluator = []string{
	"bits.go", "window.go", "snapshot.go", "atoms.go", "holding.go", "check.go", "finding.go", "witness.go", "fix.go",
	"judge.go", "standing.go", "activate.go", "choose.go", "population.go",
}

// TestMutants changes the evaluator in one place at a time and asks the other tests to notice. It is a
// campaign of `make fault`: COUNTERSIGN_MUTANTS=all runs it, "check.go,bits.go" some files, and
// COUNTERSIGN_MUTANTS_RESULT names a file that keeps what is done, so that it can be taken up again.
// Survivors that mean the same as the original are listed, with the reason, in testdata/mutants.txt.
func TestMutants(t *testing.T) {
	which := os.Getenv("COUNTERSIGN_MUTANTS")
	if which == "" {
		t.Skip("a campaign of make fault: set COUNTERSIGN_MUTANTS")
	}
	if os.Getenv("RBAC_MUTANT") != "" {
		t.Skip("inside a mutant")
	}
	files := evaluator
	if which != "all" {
		files = strings.Split(which, ",")
	}
	binary, mutants := buildMutants(t, files)
	equal := equivalents(t)
	stages := mutantStages
	if n, err := strconv.Atoi(os.Getenv("COUNTERSIGN_MUTANTS_STAGES")); err == nil { // fewer, for a first look
		stages = stages[:n]
	}
	limits := make([]time.Duration, len(stages))
	for i, s := range stages {
		used, err := runMutant(binary, 0, s, time.Hour)
		if err != nil {
			t.Fatalf("the tests %q fail without a mutant: %v", s.run, err)
		}
		limits[i] = 5*time.Second + 10*used
	}
	done := doneMutants(t)
	if len(mutants) < 40 && which == "all" {
		t.Errorf("got %d mutants, want at least 40", len(mutants))
	}

	survivors, killed, before, same := 0, 0, 0, 0
	next := make(chan int)
	go func() {
		defer close(next)
		for i := range mutants {
			if done[mutants[i]] {
				before++
				continue
			}
			next <- i
		}
	}()
	var mu sync.Mutex
	var work sync.WaitGroup
	for range max(1, runtime.NumCPU()/2) {
		work.Go(func() {
			for i := range next {
				dead := false
				for at, s := range stages {
					if !dead {
						_, err := runMutant(binary, i+1, s, limits[at])
						dead = err != nil
					}
				}
				mu.Lock()
				switch reason, listed := equal[mutants[i]]; {
				case dead && listed:
					t.Errorf("listed as meaning the same, and killed: %s (%s)", mutants[i], reason)
				case dead:
					killed++
				case listed:
					same++
				default:
					survivors++
					t.Errorf("survives: %s", mutants[i])
				}
				if dead {
					keepDone(t, mutants[i])
				}
				mu.Unlock()
			}
		})
	}
	work.Wait()
	t.Logf("%d mutants: %d killed now, %d before, %d listed as meaning the same, %d survive", len(mutants), killed, before, same, survivors)
}

// The list of mutants that mean the same names only mutants there are: one whose code has changed since has to be
// thought about again.
func TestMutantsThatAreListedExist(t *testing.T) {
	t.Parallel()
	m := newMutator(t)
	for _, name := range evaluator {
		m.file(name)
	}
	for key, reason := range equivalents(t) {
		if !slices.Contains(m.names, key) || reason == "" {
			t.Errorf("testdata/mutants.txt: there is no such mutant, or no reason: %s", key)
		}
	}
}

type mutantStage struct {
	run, skip string
	checks    int
}

// mutantStages asks the quick tests first: most mutants do not live to see the others.
var mutantStages = []mutantStage{
	{".", "EverySmallWorld|CutShort|TooMany|Crowd|Hierarchy|Oracle", 1},
	{"Crowd|CutShort|Worse|Agrees|Choice|Fixes|Static|KeptUp", "^$", 60},
	{".", "^$", 150},
	{"Worse|Agrees|Choice|Fixes|Static|KeptUp|Time", "^$", 1500},
}

// runMutant runs a stage of the tests against mutant id, 0 for none: it returns the processor time that took, and an
// error if the tests notice. One that does not end within the limit is noticed too; so is one that wants all memory.
func runMutant(binary string, id int, stage mutantStage, limit time.Duration) (time.Duration, error) {
	cmd := exec.Command("sh", "-c", `ulimit -t "$0" -v 8000000 2>/dev/null || ulimit -t "$0"; exec "$@"`,
		strconv.Itoa(int(limit.Seconds())), binary, "-test.failfast", "-test.parallel=1", "-rapid.nofailfile", "-rapid.shrinktime=1ms",
		"-rapid.seed=1", "-test.run="+stage.run, "-rapid.checks="+strconv.Itoa(stage.checks), "-test.skip=Golden|TenThousand|Mutants|Ruleset|Standard|"+stage.skip)
	cmd.Env = append(os.Environ(), "RBAC_MUTANT="+strconv.Itoa(id))
	err := cmd.Run()
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), err
}

func equivalents(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	f, err := os.Open("testdata/mutants.txt")
	if err != nil {
		return out
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if key, reason, ok := strings.Cut(lines.Text(), " ;; "); ok && !strings.HasPrefix(key, "#") {
			out[key] = reason
		}
	}
	return out
}

func doneMutants(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	if b, err := os.ReadFile(os.Getenv("COUNTERSIGN_MUTANTS_RESULT")); err == nil {
		for _, line := range strings.Split(string(b), "\n") {
			out[line] = true
		}
	}
	return out
}

func keepDone(t *testing.T, key string) {
	path := os.Getenv("COUNTERSIGN_MUTANTS_RESULT")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	fmt.Fprintln(f, key)
}

// buildMutants compiles one test binary that holds every mutant; RBAC_MUTANT chooses which one lives. It
// returns the mutants' names; the first is number 1.
func buildMutants(t *testing.T, files []string) (binary string, names []string) {
	t.Helper()
	dir := t.TempDir()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	overlay := map[string]string{}
	add := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(here, name)] = path
	}
	m := newMutator(t)
	for _, name := range files {
		add(name, m.file(name))
	}
	add("mutant_switch.go", mutantSwitch)
	b, _ := json.Marshal(map[string]any{"Replace": overlay})
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "mutants.test")
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-o", binary, "-overlay", filepath.Join(dir, "overlay.json"), ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go test -c: %v\n%s", err, out)
	}
	return binary, m.names
}

const mutantSwitch = `package rbac

import (
	"cmp"
	"os"
	"strconv"
)

var mutant, _ = strconv.Atoi(os.Getenv("RBAC_MUTANT"))

func mutIs(id int) bool { return mutant == id }
func mutNot(id int, b bool) bool { return b != (mutant == id) }
func mutAnd(id int, a bool, b func() bool) bool {
	if mutant == id { return a || b() }
	return a && b()
}
func mutOr(id int, a bool, b func() bool) bool {
	if mutant == id { return a && b() }
	return a || b()
}
func mutLess[T cmp.Ordered](id int, a, b T) bool {
	if mutant == id { return a <= b }
	return a < b
}
func mutLessEqual[T cmp.Ordered](id int, a, b T) bool {
	if mutant == id { return a < b }
	return a <= b
}
func mutEqual[T comparable](id int, a, b T) bool { return (a == b) != (mutant == id) }
func mutMax[T cmp.Ordered](id int, a, b T) T {
	if mutant == id { return min(a, b) }
	return max(a, b)
}
func mutMin[T cmp.Ordered](id int, a, b T) T {
	if mutant == id { return max(a, b) }
	return min(a, b)
}
`

// mutator writes a file anew with every mutant in it, each behind its number.
type mutator struct {
	t     *testing.T
	src   []byte
	fset  *token.FileSet
	path  string
	where string
	names []string
	seen  map[string]int
}

func newMutator(t *testing.T) *mutator { return &mutator{t: t, seen: map[string]int{}} }

func (m *mutator) file(name string) string {
	src, err := os.ReadFile(name)
	if err != nil {
		m.t.Fatal(err)
	}
	m.src, m.fset, m.path = src, token.NewFileSet(), name
	f, err := parser.ParseFile(m.fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		m.t.Fatal(err)
	}
	out, at := "", 0
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		m.where = fn.Name.Name
		out += string(src[at:m.offset(fn.Body.Pos())]) + m.inside(fn.Body)
		at = m.offset(fn.Body.End())
	}
	return out + string(src[at:])
}

func (m *mutator) offset(p token.Pos) int { return m.fset.Position(p).Offset }

func (m *mutator) text(n ast.Node) string { return string(m.src[m.offset(n.Pos()):m.offset(n.End())]) }

// id numbers a mutant of n.
func (m *mutator) id(what string, n ast.Node) int {
	text := strings.Join(strings.Fields(m.text(n)), " ")
	if len(text) > 90 {
		text = text[:90]
	}
	name := fmt.Sprintf("%s %s: %s: %s", m.path, m.where, what, text)
	if m.seen[name]++; m.seen[name] > 1 {
		name += fmt.Sprintf(" #%d", m.seen[name])
	}
	m.names = append(m.names, name)
	return len(m.names)
}

// render writes n with its mutants.
func (m *mutator) render(n ast.Node) string {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if s, ok := m.binary(n); ok {
			return s
		}
	case *ast.IfStmt:
		id := m.id("if not", n.Cond)
		out := "if "
		if n.Init != nil {
			out += m.init(n.Init) + "; "
		}
		out += fmt.Sprintf("mutNot(%d, %s) ", id, m.render(n.Cond)) + m.inside(n.Body)
		if n.Else != nil {
			out += " else " + m.render(n.Else)
		}
		return out
	case *ast.ForStmt:
		return m.loop(n, n.Body)
	case *ast.RangeStmt:
		return m.loop(n, n.Body)
	case *ast.ReturnStmt:
		if len(n.Results) == 0 {
			return fmt.Sprintf("if !mutIs(%d) { return }", m.id("without", n))
		}
		if len(n.Results) == 1 {
			if b, ok := n.Results[0].(*ast.Ident); ok && (b.Name == "true" || b.Name == "false") {
				return fmt.Sprintf("return mutNot(%d, %s)", m.id("return not", n), b.Name)
			}
		}
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return fmt.Sprintf("if !mutIs(%d) { %s }", m.id("without", n), m.inside(n))
		}
	case *ast.BranchStmt:
		if n.Label == nil && (n.Tok == token.CONTINUE || n.Tok == token.BREAK) {
			return fmt.Sprintf("if !mutIs(%d) { %s }", m.id("without", n), n.Tok)
		}
	case *ast.ExprStmt, *ast.IncDecStmt:
		return fmt.Sprintf("if !mutIs(%d) { %s }", m.id("without", n), m.inside(n))
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && len(n.Args) == 2 && (f.Name == "max" || f.Name == "min") {
			other := map[string]string{"max": "mutMax", "min": "mutMin"}[f.Name]
			return fmt.Sprintf("%s(%d, %s, %s)", other, m.id("other "+f.Name, n), m.render(n.Args[0]), m.render(n.Args[1]))
		}
	}
	return m.inside(n)
}

// init writes the statement before a condition. What it changes, it may not.
func (m *mutator) init(n ast.Stmt) string {
	if a, ok := n.(*ast.AssignStmt); ok && a.Tok == token.DEFINE {
		return m.inside(n)
	}
	return "func() { " + m.render(n) + " }()"
}

// loop ends a loop after it has not even begun, and after its first round.
func (m *mutator) loop(n ast.Node, body *ast.BlockStmt) string {
	head := string(m.src[m.offset(n.Pos()):m.offset(body.Pos())])
	if f, ok := n.(*ast.ForStmt); ok && f.Cond != nil {
		head = "for "
		if f.Init != nil {
			head += m.init(f.Init)
		}
		head += "; " + m.render(f.Cond) + "; "
		if f.Post != nil {
			head += m.text(f.Post)
		}
		head += " "
	}
	never := m.id("never loops", n)
	if last := len(body.List) - 1; last >= 0 {
		if _, returns := body.List[last].(*ast.ReturnStmt); returns { // no round comes after one that gets there
			return fmt.Sprintf("%s{ if mutIs(%d) { break }; %s }", head, never, m.inside(body))
		}
	}
	once := m.id("loops once", n)
	return fmt.Sprintf("%s{ if mutIs(%d) { break }; %s\nif mutIs(%d) { break } }", head, never, m.inside(body), once)
}

func (m *mutator) binary(n *ast.BinaryExpr) (string, bool) {
	switch n.Op {
	case token.LAND, token.LOR, token.LSS, token.GTR, token.LEQ, token.GEQ, token.EQL, token.NEQ:
	default:
		return "", false
	}
	left, right := m.render(n.X), m.render(n.Y)
	id := m.id("other "+n.Op.String(), n)
	if isNil(n.Y) {
		return fmt.Sprintf("mutNot(%d, %s %s nil)", id, left, n.Op), true
	}
	switch n.Op {
	case token.LAND:
		return fmt.Sprintf("mutAnd(%d, %s, func() bool { return %s })", id, left, right), true
	case token.LOR:
		return fmt.Sprintf("mutOr(%d, %s, func() bool { return %s })", id, left, right), true
	case token.LSS:
		return fmt.Sprintf("mutLess(%d, %s, %s)", id, left, right), true
	case token.GTR:
		return fmt.Sprintf("mutLess(%d, %s, %s)", id, right, left), true
	case token.LEQ:
		return fmt.Sprintf("mutLessEqual(%d, %s, %s)", id, left, right), true
	case token.GEQ:
		return fmt.Sprintf("mutLessEqual(%d, %s, %s)", id, right, left), true
	case token.EQL:
		return fmt.Sprintf("mutEqual(%d, %s, %s)", id, left, right), true
	}
	return fmt.Sprintf("!mutEqual(%d, %s, %s)", id, left, right), true
}

func isNil(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "nil"
}

// inside copies n and renders the parts of it that have mutants.
func (m *mutator) inside(n ast.Node) string {
	var parts []ast.Node
	ast.Inspect(n, func(c ast.Node) bool {
		if c == nil || c == n {
			return true
		}
		switch c := c.(type) {
		case *ast.BinaryExpr, *ast.CallExpr, *ast.IfStmt, *ast.RangeStmt, *ast.ForStmt, *ast.ReturnStmt, *ast.AssignStmt, *ast.BranchStmt,
			*ast.IncDecStmt, *ast.ExprStmt:
			parts = append(parts, c)
			return false
		case *ast.GenDecl: // types and constants
			return false
		}
		return true
	})
	slices.SortFunc(parts, func(a, b ast.Node) int { return int(a.Pos() - b.Pos()) })
	out, at := "", m.offset(n.Pos())
	for _, p := range parts {
		if m.offset(p.Pos()) < at {
			continue
		}
		out += string(m.src[at:m.offset(p.Pos())]) + m.render(p)
		at = m.offset(p.End())
	}
	return out + string(m.src[at:m.offset(n.End())])
}
