package walls

import (
	"fmt"
	"go/ast"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// sinks lists, by package, the functions and methods whose first string is SQL, or a name that goes
// into SQL as it is. Every string among the arguments of those marked all is.
var sinks = map[string]map[string]sink{
	"gorm.io/gorm": {
		"Where": {}, "Not": {}, "Or": {}, "Having": {}, "Order": {}, "Group": {}, "Joins": {}, "InnerJoins": {}, "Raw": {}, "Exec": {},
		"Table": {}, "Update": {}, "UpdateColumn": {}, "Pluck": {}, "Expr": {}, "Preload": {}, "Assign": {}, "Attrs": {},
		"Select": {all: true}, "Omit": {all: true}, "Distinct": {all: true}, "MapColumns": {all: true},
		// What follows the destination of these is a condition: raw SQL where it is a string.
		"First": {inline: true}, "Take": {inline: true}, "Last": {inline: true}, "Find": {inline: true}, "Delete": {inline: true},
		"FirstOrInit": {inline: true}, "FirstOrCreate": {inline: true},
	},
	"database/sql": {
		"Exec": {}, "ExecContext": {}, "Query": {}, "QueryContext": {}, "QueryRow": {}, "QueryRowContext": {}, "Prepare": {}, "PrepareContext": {},
	},
	"github.com/jackc/pgx/v5":         {"Exec": {}, "Query": {}, "QueryRow": {}, "Prepare": {}, "Queue": {}},
	"github.com/jackc/pgx/v5/pgconn":  {"Exec": {}, "ExecParams": {}, "Prepare": {}},
	"github.com/jackc/pgx/v5/pgxpool": {"Exec": {}, "Query": {}, "QueryRow": {}},
}

type sink struct {
	all    bool // all strings, not the first alone
	inline bool // no condition may be given
}

// rawFields are fields of composite literals that are SQL.
var rawFields = map[string]string{"gorm.io/gorm/clause.Expr": "SQL", "gorm.io/gorm/clause.NamedExpr": "SQL", "gorm.io/gorm/clause.Column": "Raw"}

// querying checks one package: every string that becomes SQL must be written out in its source, so
// that nothing a person sends can be in it.
type querying struct {
	pkg     *packages.Package
	flow    *flow
	found   map[string]bool
	allowed map[string]string
}

// madeQueries lists the places of the packages where something that is not written out becomes SQL.
// A function may pass on a parameter of its own; then its callers are held to the rule, and it must
// not be exported. Exceptions are named in allowed by package and function, with the reason.
func madeQueries(pkgs []*packages.Package, allowed map[string]string) ([]string, error) {
	var found []string
	for _, pkg := range pkgs {
		if len(pkg.Errors) > 0 {
			return nil, fmt.Errorf("%s: %w", pkg.PkgPath, pkg.Errors[0])
		}
		q := &querying{pkg: pkg, flow: newFlow(pkg), found: map[string]bool{}, allowed: allowed}
		for again := true; again; {
			before := q.flow.passes()
			q.walk()
			again = q.flow.passes() > before
		}
		for f := range q.found {
			found = append(found, f)
		}
	}
	slices.Sort(found)
	return found, nil
}

func (q *querying) walk() {
	for _, file := range q.pkg.Syntax {
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil || q.allowed[q.pkg.Name+"."+fn.Name.Name] != "" {
				continue
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					q.call(n)
				case *ast.CompositeLit:
					q.literal(n)
				}
				return true
			})
		}
	}
}

// call holds the arguments of one call to the rule.
func (q *querying) call(call *ast.CallExpr) {
	callee := q.flow.callee(call)
	for i := range q.flow.passed[callee] {
		if i < len(call.Args) {
			q.check(call.Args[i])
		}
	}
	if callee == nil || callee.Pkg() == nil {
		return
	}
	s, ok := sinks[callee.Pkg().Path()][callee.Name()]
	if !ok {
		return
	}

	args := slices.DeleteFunc(slices.Clone(call.Args), func(a ast.Expr) bool {
		return types.TypeString(q.pkg.TypesInfo.TypeOf(a), nil) == "context.Context"
	})
	if s.inline {
		if len(args) > 1 {
			q.breach(call, "%s with a condition: use Where", callee.Name())
		}
		return
	}
	for i, arg := range args {
		if i > 0 && !s.all {
			return
		}
		if q.isString(arg) {
			q.check(arg)
		}
	}
}

func (q *querying) literal(lit *ast.CompositeLit) {
	field := rawFields[types.TypeString(q.pkg.TypesInfo.TypeOf(lit), nil)]
	if field == "" {
		return
	}
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			q.check(e)
			continue
		}
		if key, ok := kv.Key.(*ast.Ident); !ok || key.Name != field {
			continue
		}
		if field == "Raw" {
			q.breach(kv, "a raw column: leave the quoting to GORM")
			continue
		}
		q.check(kv.Value)
	}
}

func (q *querying) check(arg ast.Expr) {
	switch exported, ok := q.flow.written(arg); {
	case exported != "":
		q.breach(arg, "the exported %s takes SQL from its callers", exported)
	case !ok:
		q.breach(arg, "SQL that is not written out: bind values")
	}
}

func (q *querying) isString(e ast.Expr) bool {
	t := q.pkg.TypesInfo.TypeOf(e)
	if t == nil {
		return false
	}
	if s, ok := t.Underlying().(*types.Slice); ok { // names... passed on
		t = s.Elem()
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsString != 0
}

func (q *querying) breach(at ast.Node, format string, args ...any) {
	pos := q.pkg.Fset.Position(at.Pos())
	file := pos.Filename
	if i := strings.LastIndex(file, "/"+q.pkg.Name+"/"); i >= 0 {
		file = file[i+1:]
	}
	q.found[fmt.Sprintf("%s:%d: %s", file, pos.Line, fmt.Sprintf(format, args...))] = true
}
