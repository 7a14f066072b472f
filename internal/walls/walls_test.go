package walls

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/go/packages"
)

const root = "../.."

// TestHouseStands holds the whole tree to the tables.
func TestHouseStands(t *testing.T) {
	t.Parallel()
	found, err := breaches(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// TestBreachesAreFound shows that the check can fail: each of these sources breaks one wall.
func TestBreachesAreFound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file, source string
		want               string // "" where nothing is wrong
	}{
		{"the domain may import downhill", "auth/a.go", `import "github.com/countersign-id/countersign/rbac"`, ""},
		{"the domain may not import uphill", "rbac/a.go", `import "github.com/countersign-id/countersign/auth"`, "rbac may not import auth"},
		{"the store may not import a door", "store/a.go", `import "github.com/countersign-id/countersign/ui"`, "store may not import ui"},
		{"a test may look anywhere", "rbac/a_test.go", `import "github.com/countersign-id/countersign/store"`, ""},
		{"the demo's application is a stranger", "internal/demo/ledger/a.go", `import "github.com/countersign-id/countersign/internal/fault"`, "ledger may not import internal/fault"},
		{"what tests stand on is for tests", "ui/a.go", `import "github.com/countersign-id/countersign/internal/rig"`, "internal/rig is for tests only"},
		{"a new package is entered in the table", "utils/a.go", ``, "package utils is not listed"},
		{"an unknown package of ours is no import", "ui/a.go", `import "github.com/countersign-id/countersign/utils"`, "utils, which is not listed"},

		{"GORM is at home in the store", "store/a.go", `import "gorm.io/gorm/clause"`, ""},
		{"GORM leaves the store", "ui/a.go", `import "gorm.io/gorm"`, "ui may not import gorm.io/gorm"},
		{"not even a test brings GORM out", "ui/a_test.go", `import "gorm.io/gorm"`, "ui may not import gorm.io/gorm"},
		{"fosite leaves its home", "auth/a.go", `import "github.com/ory/fosite/compose"`, "auth may not import github.com/ory/fosite/compose"},
		{"a library without a home", "ui/a.go", `import "github.com/pkg/errors"`, "github.com/pkg/errors has no home"},
		{"the rival comes into the product", "rbac/a_test.go", `import "github.com/casbin/casbin/v2"`, "rbac may not import github.com/casbin/casbin/v2, whose home is test/casbin"},
		{"a prefix is not a parent", "store/a.go", `import "gorm.io/gormless"`, "gorm.io/gormless has no home"},
		{"a test's library in a test", "auth/a_test.go", `import "pgregory.net/rapid"`, ""},
		{"a test's library outside of tests", "auth/a.go", `import "pgregory.net/rapid"`, "pgregory.net/rapid has no home"},
		{"templates are drawn in ui", "auth/oidc/a.go", `import "html/template"`, "auth/oidc may not import html/template"},
		{"templates without escaping", "ui/a.go", `import "text/template"`, "text/template, whose home is nowhere"},
		{"guessable randomness", "auth/a.go", `import "math/rand"`, "math/rand, whose home is nowhere"},
		{"guessable randomness, newer", "auth/a.go", `import "math/rand/v2"`, "math/rand/v2, whose home is store"},

		{"the domain opens a file", "audit/a.go", `import "os"`, "the domain talks to nobody"},
		{"the domain calls somebody", "auth/a.go", `import "net/http"`, "the domain talks to nobody"},
		{"HTTP behind the doors", "store/a.go", `import "net/http"`, "store is not a door"},
		{"HTTP in a door", "ui/a.go", `import "net/http"`, ""},

		{"the domain looks at the clock", "rbac/a.go", `import "time"; var now = time.Now()`, "the only clock is tx.Now"},
		{"by another name", "rbac/a.go", `import clock "time"; var now = clock.Now`, "the only clock is tx.Now"},
		{"something else called time", "rbac/a.go", `var time struct{ Now int }; var now = time.Now`, ""},
		{"a door looks at the clock", "ui/a.go", `import "time"; var now = time.Now()`, ""},
		{"a client without limits", "ui/a.go", `import "net/http"; var c = http.DefaultClient`, "use internal/outbound"},
		{"a call without limits", "internal/web/a.go", `import "net/http"; func f() { http.Get("https://example.org") }`, "use internal/outbound"},
		{"a test calls its server", "ui/a_test.go", `import "net/http"; func f() { http.Get("http://127.0.0.1") }`, ""},
		{"certificates are checked", "internal/outbound/a.go", `import "crypto/tls"; var c = tls.Config{InsecureSkipVerify: true}`, "InsecureSkipVerify"},
		{"certificates are checked later on too", "internal/outbound/a.go", `import "crypto/tls"; func f(c *tls.Config) { c.InsecureSkipVerify = true }`, "InsecureSkipVerify"},
		{"a door writes", "ui/a.go", `func f(tx interface{ PutSession() }) { tx.PutSession() }`, "writing is the domain's"},
		{"a door records", "auth/oidc/a.go", `func f(tx interface{ Record() }) { tx.Record() }`, "writing is the domain's"},
		{"the domain records", "auth/a.go", `func f(tx interface{ Record() }) { tx.Record() }`, ""},
		{"something happens by itself", "store/a.go", `func init() {}`, "init()"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := "package a\n" + tt.source + "\n"
			found, err := breaches(fstest.MapFS{tt.file: {Data: []byte(text)}})
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(found, "\n")
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("%s\nfound %q, want %q", text, got, tt.want)
			}
		})
	}
}

// TestQueriesAreWrittenOut is the static half of sec-X05: what a person sends cannot become SQL.
func TestQueriesAreWrittenOut(t *testing.T) {
	t.Parallel()
	t.Run("sec-X05 in the store", func(t *testing.T) {
		t.Parallel()
		found, err := madeQueries(load(t, nil, "./store"), madeAtRunTime)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			t.Error(f)
		}
	})

	t.Run("sec-X05 what is made at run time is found", func(t *testing.T) {
		t.Parallel()
		file, err := filepath.Abs("testdata/queries.go.txt")
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sample, err := filepath.Abs(root + "/internal/walls/sample/sample.go")
		if err != nil {
			t.Fatal(err)
		}
		found, err := madeQueries(load(t, map[string][]byte{sample: text}, "./internal/walls/sample"), map[string]string{"sample.excused": "a test"})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, string(text), found)
	})
}

// compare holds what was found against the comments "want: …" of the sample, line by line.
func compare(t *testing.T, text string, found []string) {
	t.Helper()
	want := map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		if _, comment, ok := strings.Cut(line, "// want: "); ok {
			want[fmt.Sprint(i+1)] = comment
		}
	}
	at := regexp.MustCompile(`sample\.go:(\d+): (.*)`)
	for _, f := range found {
		m := at.FindStringSubmatch(f)
		if m == nil || want[m[1]] == "" || !strings.Contains(m[2], want[m[1]]) {
			t.Errorf("found %s, which the sample does not want", f)
			continue
		}
		delete(want, m[1])
	}
	for line, w := range want {
		t.Errorf("line %s: did not find %q", line, w)
	}
}

// load type-checks packages of ours, with files that are not on the disk laid over them.
func load(t *testing.T, overlay map[string][]byte, patterns ...string) []*packages.Package {
	t.Helper()
	pkgs, err := packages.Load(&packages.Config{
		Mode:    packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports | packages.NeedExportFile,
		Dir:     root,
		Overlay: overlay,
	}, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) != len(patterns) || slices.ContainsFunc(pkgs, func(p *packages.Package) bool { return len(p.Syntax) == 0 }) {
		t.Fatalf("loaded %v for %v", pkgs, patterns)
	}
	return pkgs
}
