package walls

import (
	"go/ast"
	"strings"
)

// banned lists functions and values that packages do without, tests apart.
var banned = []struct {
	path, name string
	only       kind // where it is banned; plain: everywhere
	why        string
}{
	{"net/http", "DefaultClient", plain, "it has no time limit and follows redirects: use internal/outbound"},
	{"net/http", "Get", plain, "it uses http.DefaultClient: use internal/outbound"},
	{"net/http", "Head", plain, "it uses http.DefaultClient: use internal/outbound"},
	{"net/http", "Post", plain, "it uses http.DefaultClient: use internal/outbound"},
	{"net/http", "PostForm", plain, "it uses http.DefaultClient: use internal/outbound"},
	{"net/http", "HandleFunc", plain, "routes are in a table of their door, not in the global mux"},
	{"net/http", "Handle", plain, "routes are in a table of their door, not in the global mux"},
	{"time", "Now", domain, "the only clock is tx.Now"},
	{"time", "Since", domain, "the only clock is tx.Now"},
	{"time", "Until", domain, "the only clock is tx.Now"},
}

// checkUses looks for what this house does not use. It knows names, not types; queries.go looks
// at SQL with both.
func (s *source) checkUses(here room) {
	if s.test {
		return
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			s.checkName(n, here)
		case *ast.CallExpr:
			s.checkCall(n, here)
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "InsecureSkipVerify" {
				s.breach(n.Pos(), "InsecureSkipVerify: name the certificate's host instead")
			}
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				s.breach(n.Pos(), "init(): say it where it is needed")
			}
		}
		return true
	})
}

func (s *source) checkName(n *ast.SelectorExpr, here room) {
	if n.Sel.Name == "InsecureSkipVerify" {
		s.breach(n.Pos(), "InsecureSkipVerify: name the certificate's host instead")
	}
	from, ok := n.X.(*ast.Ident)
	if !ok {
		return
	}
	for _, b := range banned {
		if b.name == n.Sel.Name && b.path == s.byName[from.Name] && (b.only == plain || b.only == here.kind) {
			s.breach(n.Pos(), "%s.%s: %s", from.Name, b.name, b.why)
		}
	}
}

func (s *source) checkCall(n *ast.CallExpr, here room) {
	f, ok := n.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	from, ok := f.X.(*ast.Ident)
	if !ok {
		return
	}
	if here.kind == door && from.Name == "tx" && (strings.HasPrefix(f.Sel.Name, "Put") || f.Sel.Name == "Record") && mayWrite[s.name] == "" {
		s.breach(n.Pos(), "a door calls tx.%s: writing is the domain's", f.Sel.Name)
	}
}
