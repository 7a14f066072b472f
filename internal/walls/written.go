package walls

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/go/types/typeutil"
)

// flow knows where the values of a package's variables, fields and results come from.
type flow struct {
	info    *types.Info
	origins map[types.Object][]ast.Expr // what is assigned to a variable or field, anywhere
	opaque  map[types.Object]bool       // assigned in a way that is not followed
	params  map[types.Object]bool       // of closures, which must have an owner to be followed
	owners  map[types.Object]parameter
	results map[types.Object][][]ast.Expr // by function, what each return gives
	passed  map[types.Object]map[int]bool // parameters that must be written out by the callers
}

// parameter is a place in the list of a function, or of a closure that a variable holds.
type parameter struct {
	of types.Object
	at int
}

func newFlow(pkg *packages.Package) *flow {
	f := &flow{
		info:    pkg.TypesInfo,
		origins: map[types.Object][]ast.Expr{}, opaque: map[types.Object]bool{}, params: map[types.Object]bool{}, owners: map[types.Object]parameter{},
		results: map[types.Object][][]ast.Expr{}, passed: map[types.Object]map[int]bool{},
	}
	for _, file := range pkg.Syntax {
		ast.Inspect(file, func(n ast.Node) bool {
			f.note(n)
			return true
		})
	}
	return f
}

// note takes down what n assigns or declares.
func (f *flow) note(n ast.Node) {
	switch n := n.(type) {
	case *ast.FuncDecl:
		f.function(f.info.Defs[n.Name], n.Type, n.Body)
	case *ast.AssignStmt:
		f.assign(n.Lhs, n.Rhs)
	case *ast.ValueSpec:
		lhs := make([]ast.Expr, len(n.Names))
		for i, name := range n.Names {
			lhs[i] = name
		}
		if len(n.Values) > 0 {
			f.assign(lhs, n.Values)
		}
	case *ast.RangeStmt:
		if n.Value != nil {
			f.assign([]ast.Expr{n.Value}, []ast.Expr{n.X}) // an element is as good as its list
		}
		if n.Key != nil {
			f.opaque[f.object(n.Key)] = true
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			f.opaque[f.object(n.X)] = true
		}
	case *ast.CompositeLit:
		f.fields(n)
	case *ast.CaseClause: // of a type switch: a variable of its own
		f.opaque[f.info.Implicits[n]] = true
	case *ast.FuncLit:
		for _, field := range n.Type.Params.List {
			for _, name := range field.Names {
				f.params[f.info.Defs[name]] = true
			}
		}
	}
}

func (f *flow) assign(lhs, rhs []ast.Expr) {
	for i, l := range lhs {
		if element, ok := l.(*ast.IndexExpr); ok {
			l = element.X
		}
		o := f.object(l)
		switch {
		case o == nil:
		case len(lhs) != len(rhs): // the results of a call
			f.opaque[o] = true
		default:
			if lit, ok := rhs[i].(*ast.FuncLit); ok {
				f.function(o, lit.Type, lit.Body)
			}
			f.origins[o] = append(f.origins[o], rhs[i])
		}
	}
}

// fields takes down what a literal of a struct puts into its fields.
func (f *flow) fields(lit *ast.CompositeLit) {
	t, ok := f.info.TypeOf(lit).Underlying().(*types.Struct)
	if !ok {
		return
	}
	for i, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			f.assign([]ast.Expr{kv.Key}, []ast.Expr{kv.Value})
			continue
		}
		f.origins[t.Field(i).Origin()] = append(f.origins[t.Field(i).Origin()], e)
	}
}

func (f *flow) function(o types.Object, typ *ast.FuncType, body *ast.BlockStmt) {
	if o == nil || body == nil {
		return
	}
	at := 0
	for _, field := range typ.Params.List {
		for _, name := range field.Names {
			f.owners[f.info.Defs[name]] = parameter{o, at}
			at++
		}
		at += max(0, 1-len(field.Names))
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			f.results[o] = append(f.results[o], n.Results)
		}
		return true
	})
}

// object returns what an identifier or a selector stands for.
func (f *flow) object(e ast.Expr) types.Object {
	var o types.Object
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		o = f.info.ObjectOf(e)
	case *ast.SelectorExpr:
		o = f.info.ObjectOf(e.Sel)
	}
	if v, ok := o.(*types.Var); ok {
		return v.Origin()
	}
	return o
}

// callee returns the function, method or closure that is called, if it is known.
func (f *flow) callee(call *ast.CallExpr) types.Object {
	switch c := typeutil.Callee(f.info, call).(type) {
	case *types.Func:
		return c.Origin()
	case *types.Var:
		return c.Origin()
	case *types.Builtin:
		return c
	}
	return nil
}

func (f *flow) passes() (n int) {
	for _, at := range f.passed {
		n += len(at)
	}
	return n
}

// written reports whether all that e can be is written out in the source of the package. Where it
// comes from a parameter the callers are held to it; exported names the function that lets others in.
func (f *flow) written(e ast.Expr) (exported string, ok bool) {
	w := &writing{flow: f, seen: map[types.Object]bool{}}
	ok = w.out(e)
	return w.exported, ok && w.exported == ""
}

type writing struct {
	*flow
	seen     map[types.Object]bool
	exported string
}

func (w *writing) out(e ast.Expr) bool {
	if w.info.Types[e].Value != nil {
		return true
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.BinaryExpr:
		return w.out(e.X) && w.out(e.Y)
	case *ast.IndexExpr:
		return w.out(e.X)
	case *ast.CompositeLit:
		return !slices.ContainsFunc(e.Elts, func(x ast.Expr) bool {
			if kv, ok := x.(*ast.KeyValueExpr); ok {
				x = kv.Value
			}
			return !w.out(x)
		})
	case *ast.CallExpr:
		return w.call(e)
	case *ast.Ident, *ast.SelectorExpr:
		return w.variable(e)
	}
	return false
}

// variable follows a variable or field to everything that is assigned to it.
func (w *writing) variable(e ast.Expr) bool {
	v, ok := w.object(e).(*types.Var)
	if !ok {
		_, isNil := w.object(e).(*types.Nil)
		return isNil
	}
	if w.opaque[v] || (v.IsField() && v.Exported()) { // reflection or another package may set it
		return false
	}
	if w.seen[v] {
		return true
	}
	w.seen[v] = true
	for _, o := range w.origins[v] {
		if !w.out(o) {
			return false
		}
	}
	if p, ok := w.owners[v]; ok {
		w.pass(p)
		return true
	}
	return !w.params[v]
}

// pass holds the callers of p's function to p being written out.
func (w *writing) pass(p parameter) {
	if fn, ok := p.of.(*types.Func); ok && fn.Exported() {
		w.exported = fn.Name()
	}
	if w.passed[p.of] == nil {
		w.passed[p.of] = map[int]bool{}
	}
	w.passed[p.of][p.at] = true
}

// call follows a call to what it returns. Of other packages only what puts strings together is known.
func (w *writing) call(e *ast.CallExpr) bool {
	if w.info.Types[e.Fun].IsType() { // a conversion
		return w.out(e.Args[0])
	}
	callee := w.callee(e)
	if callee == nil {
		return false
	}
	name := callee.Name()
	if callee.Pkg() != nil {
		name = callee.Pkg().Name() + "." + name
	}
	switch name {
	case "append", "strings.Join", "strings.Repeat", "strings.TrimSuffix", "strings.TrimPrefix", "fmt.Sprintf":
		return !slices.ContainsFunc(e.Args, func(a ast.Expr) bool { return !w.number(a) && !w.out(a) })
	}

	results := w.results[callee]
	if w.seen[callee] {
		return true
	}
	w.seen[callee] = true
	return len(results) > 0 && !slices.ContainsFunc(results, func(r []ast.Expr) bool { return len(r) != 1 || !w.out(r[0]) })
}

// number reports whether e is a number: no SQL fits into one.
func (w *writing) number(e ast.Expr) bool {
	t := w.info.TypeOf(e)
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsNumeric != 0
}
