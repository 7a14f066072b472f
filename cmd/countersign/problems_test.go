package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/countersign-id/countersign/internal/fault"
)

//go:generate go test . -run "TestTheReference|TestEveryProblem|TestTheManual" -update

// problem is a fault as the code declares it.
type problem struct{ code, kind, text string }

var kebab = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Every code that any door can show is in docs/problems.md, with its status and its sentence; a code means one kind of thing.
func TestEveryProblemIsDocumented(t *testing.T) {
	t.Parallel()
	found := problemsIn(t, "../..")
	if len(found) < 20 {
		t.Fatalf("found %d problems: the walk is broken", len(found))
	}
	var b bytes.Buffer
	b.WriteString(problemsHead)
	for i, p := range found {
		if !kebab.MatchString(p.code) {
			t.Errorf("code %q is not kebab-case", p.code)
		}
		if i > 0 && found[i-1].code == p.code {
			if found[i-1].kind != p.kind {
				t.Errorf("code %q is %s here and %s there", p.code, found[i-1].kind, p.kind)
			}
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %d | %s |\n", p.code, kindNamed(t, p.kind).Status(), p.text)
	}
	golden(t, "../../docs/problems.md", b.Bytes())
}

const problemsHead = `# Problems

Generated from the code by ` + "`make docs`" + `. Every refusal has a stable code: it stands on error pages beside the request's identifier, in the log, in the
audit log's events, and in what the command line prints in brackets. Exit codes are in ` + "`countersign help exit-codes`" + `.

Protocol endpoints answer with the OAuth 2.0 error codes of their RFCs (invalid_request, invalid_client, invalid_grant, invalid_scope, invalid_target,
unauthorized_client, unsupported_grant_type, unsupported_response_type, access_denied, login_required, consent_required, interaction_required,
unmet_authentication_requirements, request_not_supported, request_uri_not_supported, temporarily_unavailable, server_error), and log one of the codes below.

| code | status | what it says |
|---|---|---|
`

// problemsIn finds every fault.New(kind, code, text) with literal arguments below root.
func problemsIn(t *testing.T, root string) []problem {
	t.Helper()
	var found []problem
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && path != root || d.Name() == "node_modules" || d.Name() == "data") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "test/") {
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		inFault := file.Name.Name == "fault"
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 3 || !callsNew(call.Fun, inFault) {
				return true
			}
			p := problem{code: literal(call.Args[1]), kind: lastName(call.Args[0]), text: literal(call.Args[2])}
			if p.code != "" && p.kind != "" {
				if p.text == "" {
					p.text = "says the setting, the problem and the fix"
				}
				found = append(found, p)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(found, func(a, b problem) int { return strings.Compare(a.code+a.kind+a.text, b.code+b.kind+b.text) })
	return found
}

func callsNew(fun ast.Expr, inFault bool) bool {
	switch f := fun.(type) {
	case *ast.SelectorExpr:
		x, ok := f.X.(*ast.Ident)
		return ok && x.Name == "fault" && f.Sel.Name == "New"
	case *ast.Ident:
		return inFault && f.Name == "New"
	}
	return false
}

func literal(e ast.Expr) string {
	switch l := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(l.Value)
		return s
	case *ast.BinaryExpr: // a long sentence in two pieces
		return literal(l.X) + literal(l.Y)
	}
	return ""
}

func lastName(e ast.Expr) string {
	switch n := e.(type) {
	case *ast.SelectorExpr:
		return n.Sel.Name
	case *ast.Ident:
		return n.Name
	}
	return ""
}

func kindNamed(t *testing.T, name string) fault.Kind {
	t.Helper()
	for _, k := range fault.Kinds() {
		if strings.EqualFold(strings.ReplaceAll(k.String(), "-", ""), name) {
			return k
		}
	}
	t.Errorf("no kind %s", name)
	return fault.Internal
}
