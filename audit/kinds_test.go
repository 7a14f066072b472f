package audit_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write generated files anew")

// docs/events.md is generated from kinds.go: a kind nobody described cannot be added.
func TestEventsPageListsEveryKind(t *testing.T) {
	t.Parallel()
	const file = "../docs/events.md"
	want := eventsPage(t)
	if *update {
		if err := os.MkdirAll("../docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/events.md is stale: make docs")
	}
}

const eventsHead = `# Events

Every change and every refusal is an event, written in the transaction of its effect, and is put
into the audit log within a second. This page lists the kinds. It is made from audit/kinds.go:
change it there and run ` + "`make docs`" + `.

A kind is stable: it is never renamed and never used for something else. An event's outcome is
` + "`ok`, `refused` or `failed`" + `; where it is not ` + "`ok`" + `, its code is that of problems.md.
`

func eventsPage(t *testing.T) []byte {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "kinds.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	page := bytes.NewBufferString(eventsHead)
	form := regexp.MustCompile(`^[a-z]+\.[a-z]+(-[a-z]+)*$`)
	seen := map[string]bool{}
	for _, d := range file.Decls {
		group := d.(*ast.GenDecl)
		fmt.Fprintf(page, "\n## %s\n\n| kind | what happened |\n|---|---|\n", title(group.Doc.Text()))
		for _, s := range group.Specs {
			spec := s.(*ast.ValueSpec)
			kind, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			says := strings.TrimSpace(spec.Comment.Text())
			if !form.MatchString(kind) || seen[kind] || !strings.HasSuffix(says, ".") || strings.Contains(says, "|") {
				t.Errorf("kind %q must be noun.verb, once, and have a sentence; it says %q", kind, says)
			}
			if ident, ok := spec.Type.(*ast.Ident); !ok || ident.Name != "Kind" {
				t.Errorf("kind %q must be a Kind", kind)
			}
			seen[kind] = true
			fmt.Fprintf(page, "| `%s` | %s |\n", kind, says)
		}
	}
	if len(seen) < 40 {
		t.Errorf("found %d kinds: is kinds.go still read?", len(seen))
	}
	return page.Bytes()
}

// title is a group's comment up to its first full stop or colon.
func title(doc string) string {
	doc = strings.TrimSpace(strings.ReplaceAll(doc, "\n", " "))
	if i := strings.IndexAny(doc, ".:"); i > 0 {
		return doc[:i]
	}
	return doc
}
