package ui

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template/parse"

	"github.com/BurntSushi/toml"
)

// texts reads a message file: id to the texts of its plural forms.
func texts(t *testing.T, lang string) map[string]map[string]string {
	t.Helper()
	raw := map[string]any{}
	b, err := localeFiles.ReadFile("locales/active." + lang + ".toml")
	if err != nil {
		t.Fatal(err)
	}
	if err := toml.Unmarshal(b, &raw); err != nil {
		t.Fatal(err)
	}
	m := map[string]map[string]string{}
	for id, v := range raw {
		switch v := v.(type) {
		case string:
			m[id] = map[string]string{"other": v}
		case map[string]any:
			m[id] = map[string]string{}
			for form, s := range v {
				m[id][form] = s.(string)
			}
		}
	}
	return m
}

var blank = regexp.MustCompile(`\{\{\.(\w+)\}\}`)

func blanks(s string) []string {
	var out []string
	for _, m := range blank.FindAllStringSubmatch(s, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestEveryTextStandsInEveryLanguageWithTheSameBlanks(t *testing.T) {
	t.Parallel()
	en := texts(t, "en")
	for _, lang := range languages[1:] {
		other := texts(t, lang)
		for id, forms := range en {
			if other[id] == nil {
				t.Errorf("%s lacks %q", lang, id)
				continue
			}
			if got, want := blanks(other[id]["other"]), blanks(forms["other"]); !slices.Equal(got, want) {
				t.Errorf("%s %q has the blanks %q, want %q", lang, id, got, want)
			}
		}
		for id := range other {
			if en[id] == nil && !strings.HasPrefix(id, "problem.") { // English is in the faults themselves
				t.Errorf("%s has %q, which English has not", lang, id)
			}
		}
	}
	for _, lang := range languages {
		for id, forms := range texts(t, lang) {
			for form, s := range forms {
				if bare := strings.NewReplacer("<b>", "", "</b>", "").Replace(s); strings.ContainsAny(bare, "<>&") || strings.Contains(s, "!") || strings.TrimSpace(s) != s || s == "" {
					t.Errorf("%s %q (%s) has markup, an exclamation mark or stray blanks: %q", lang, id, form, s)
				}
			}
		}
	}
}

// used collects the message ids that templates pass to T and Rich, and those that stand as string literals in Go files.
func used(t *testing.T) (inTemplates, inGo map[string]bool) {
	t.Helper()
	inTemplates, inGo = map[string]bool{}, map[string]bool{}
	err := fs.WalkDir(templateFiles, "templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := templateFiles.ReadFile(path)
		if err != nil {
			return err
		}
		stub := map[string]any{"icon": 0, "asset": 0, "initials": 0, "hue": 0, "calm": 0, "eq": 0, "gt": 0, "len": 0, "or": 0, "and": 0, "not": 0}
		trees, err := parse.Parse(path, string(b), "", "", stub)
		if err != nil {
			return err
		}
		for _, tree := range trees {
			walk(tree.Root, func(args []parse.Node) {
				if name := args[0].String(); len(args) > 1 && (strings.HasSuffix(name, ".T") || strings.HasSuffix(name, ".Rich")) {
					if s, ok := args[1].(*parse.StringNode); ok {
						inTemplates[s.Text] = true
					}
				}
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if s, err := strconv.Unquote(l.Value); err == nil {
					inGo[s] = true
				}
			}
			return true
		})
	}
	return inTemplates, inGo
}

func walk(n parse.Node, call func(args []parse.Node)) {
	pipe := func(p *parse.PipeNode) {
		if p == nil {
			return
		}
		for _, c := range p.Cmds {
			call(c.Args)
			for _, a := range c.Args {
				walk(a, call)
			}
		}
	}
	list := func(l *parse.ListNode) {
		if l != nil {
			for _, n := range l.Nodes {
				walk(n, call)
			}
		}
	}
	branch := func(b *parse.BranchNode) { pipe(b.Pipe); list(b.List); list(b.ElseList) }
	switch n := n.(type) {
	case *parse.ListNode:
		list(n)
	case *parse.ActionNode:
		pipe(n.Pipe)
	case *parse.PipeNode:
		pipe(n)
	case *parse.TemplateNode:
		pipe(n.Pipe)
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	}
}

// Ids that are put together: fault.<kind>.title and .text, problem.<code>, scope.<name>.
var composed = regexp.MustCompile(`^(fault\.[a-z-]+\.(title|text)|problem\.[a-z-]+|scope\.[a-z_]+(\.detail)?)$`)

func TestNoTextIsMissingAndNoneIsIdle(t *testing.T) {
	t.Parallel()
	en := texts(t, "en")
	inTemplates, inGo := used(t)
	if len(inTemplates) < 50 {
		t.Fatalf("found %d ids in templates: the walk is broken", len(inTemplates))
	}
	for id := range inTemplates {
		if en[id] == nil {
			t.Errorf("a template asks for %q, which is no text", id)
		}
	}
	areas := map[string]bool{}
	for id := range en {
		areas[strings.SplitN(id, ".", 2)[0]] = true
		if !inTemplates[id] && !inGo[id] && !composed.MatchString(id) {
			t.Errorf("nothing uses the text %q", id)
		}
	}
	file := regexp.MustCompile(`^[a-z]+(\.[a-z-]+)+$`)
	for s := range inGo {
		if area := strings.SplitN(s, ".", 2)[0]; file.MatchString(s) && areas[area] && en[s] == nil {
			t.Errorf("a Go file names %q, which is no text", s)
		}
	}
}

// codes collects the codes of the faults that stand in a folder's Go files.
func codes(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	all, declared := map[string]bool{}, regexp.MustCompile(`fault\.New\(fault\.\w+, "([a-z-]+)"`)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		for _, m := range declared.FindAllStringSubmatch(string(b), -1) {
			all[m[1]] = true
		}
	}
	return all
}

func TestFaultsPeopleMeetAreTranslated(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, folder := range []string{".", "../auth", "../auth/oidc", "../auth/password"} {
		for code := range codes(t, folder) {
			known[code] = true
		}
	}
	for _, lang := range languages[1:] {
		other := texts(t, lang)
		for _, folder := range []string{".", "../auth/password"} {
			for code := range codes(t, folder) {
				if other["problem."+code] == nil && code != "internal" {
					t.Errorf("%s does not know the fault %q of %s", lang, code, folder)
				}
			}
		}
		for id := range other {
			if code, ok := strings.CutPrefix(id, "problem."); ok && !known[code] {
				t.Errorf("%s translates the fault %q, which nobody has", lang, code)
			}
		}
	}
}

// OpenID Connect Core §3.1.2.1 ui_locales; design: cookie, ui_locales, Accept-Language, English.
func TestTheLanguageIsTheReadersThenTheApplicationsThenTheBrowsers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, cookie, ui, accept, want string }{
		{"nothing said is English", "", "", "", "en"},
		{"the browser's", "", "", "zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"},
		{"the browser's second choice", "", "", "fr-FR,zh;q=0.5", "zh-Hans"},
		{"the application's over the browser's", "", "zh-CN en", "en-US", "zh-Hans"},
		{"the application's first that we have", "", "fr-CA fr en", "zh", "en"},
		{"the reader's own over both", "en", "zh", "zh", "en"},
		{"a cookie that is no language of ours", "xx><script>", "", "zh", "zh-Hans"},
		{"rubbish", "", ";;;;", "\xff;q=9", "en"},
		{"very long rubbish", "", "", strings.Repeat("a-b,", 5000), "en"},
		{"a language we have not", "", "tlh", "fr", "en"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			if tt.cookie != "" {
				r.AddCookie(&http.Cookie{Name: "lang", Value: tt.cookie})
			}
			r.Header.Set("Accept-Language", tt.accept)
			if got := choose(r, tt.ui).Lang; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTextsFillTheirBlanks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lang, id string
		pairs    []any
		want     string
	}{
		{"en", "fault.wait", []any{"Count", 1}, "Try again in 1 second."},
		{"en", "fault.wait", []any{"Count", 1200}, "Try again in 1,200 seconds."},
		{"zh-Hans", "fault.wait", []any{"Count", 1}, "请在 1 秒后重试。"},
		{"zh-Hans", "signin.lead", []any{"App", "<b>\u202eX"}, "以继续访问 <b>X"},
		{"en", "no.such.id", nil, "⟦no.such.id⟧"},
	} {
		if got := locales()[tt.lang].T(tt.id, tt.pairs...); got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.lang, tt.id, got, tt.want)
		}
	}
	if got, want := string(locales()["en"].Rich("consent.return", "Host", "<i>&x")), "After you allow, you return to <b>&lt;i&gt;&amp;x</b>."; got != want {
		t.Errorf("Rich = %q, want %q", got, want)
	}
}
