package walls

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// source is one file of a package of ours.
type source struct {
	name   string // its path in the module
	dir    string // its package's path in the module
	test   bool   // _test.go, or part of a package that exists for tests
	file   *ast.File
	fset   *token.FileSet
	found  []string
	byName map[string]string // imported path by the name it has in the file
}

func (s *source) breach(at token.Pos, format string, args ...any) {
	line := s.fset.Position(at).Line
	s.found = append(s.found, fmt.Sprintf("%s:%d: %s", s.name, line, fmt.Sprintf(format, args...)))
}

// breaches reads all Go files of fsys, the root of the module, and lists what breaks the tables and
// the bans.
func breaches(fsys fs.FS) ([]string, error) {
	var found []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			base := path.Base(name)
			if name != "." && (strings.HasPrefix(base, ".") || slices.Contains([]string{"third_party", "testdata", "node_modules", "bin", "data"}, base)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		s, err := read(fsys, name)
		if err != nil {
			return err
		}
		s.check()
		found = append(found, s.found...)
		return nil
	})
	return found, err
}

func read(fsys fs.FS, name string) (*source, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	s := &source{name: name, dir: path.Dir(name), fset: token.NewFileSet(), byName: map[string]string{}}
	if s.file, err = parser.ParseFile(s.fset, name, text, parser.SkipObjectResolution); err != nil {
		return nil, err
	}
	s.test = strings.HasSuffix(name, "_test.go") || rooms[s.dir].kind == proof
	for _, spec := range s.file.Imports {
		imported := unquote(spec)
		local := path.Base(imported)
		if strings.HasPrefix(local, "v") && len(local) == 2 {
			local = path.Base(path.Dir(imported))
		}
		if spec.Name != nil {
			local = spec.Name.Name
		}
		s.byName[local] = imported
	}
	return s, nil
}

func (s *source) check() {
	here, listed := rooms[s.dir]
	if !listed {
		s.breach(s.file.Package, "package %s is not listed in internal/walls/rooms.go", s.dir)
		return
	}
	for _, spec := range s.file.Imports {
		imported := unquote(spec)
		if ours, ok := strings.CutPrefix(imported, module); ok {
			s.checkOurs(spec, here, ours)
			continue
		}
		s.checkLibrary(spec, here, imported)
	}
	s.checkUses(here)
}

// checkOurs holds an import of one of our packages to the arrows.
func (s *source) checkOurs(spec *ast.ImportSpec, here room, ours string) {
	there, listed := rooms[ours]
	switch {
	case !listed:
		s.breach(spec.Pos(), "imports %s, which is not listed in internal/walls/rooms.go", ours)
	case strings.HasSuffix(s.name, "_test.go") || slices.Contains(here.ours, ours) || slices.Equal(here.ours, everything):
	case there.kind == proof:
		s.breach(spec.Pos(), "%s is for tests only", ours)
	default:
		s.breach(spec.Pos(), "%s may not import %s: imports run downhill", s.dir, ours)
	}
}

// checkLibrary holds an import of somebody else's package to its home.
func (s *source) checkLibrary(spec *ast.ImportSpec, here room, imported string) {
	if s.test && within(imported, testLibraries) {
		return
	}
	if here.kind == domain && slices.Contains(talks, imported) && !s.test {
		s.breach(spec.Pos(), "%s imports %s: the domain talks to nobody", s.dir, imported)
		return
	}
	if imported == "net/http" && here.kind != door && here.kind != http {
		s.breach(spec.Pos(), "%s is not a door: it may not import net/http", s.dir)
		return
	}

	home, known := homeOf(imported)
	switch {
	case !known && standard(imported):
	case !known:
		s.breach(spec.Pos(), "library %s has no home in internal/walls/rooms.go", imported)
	case !slices.Contains(home, s.dir):
		s.breach(spec.Pos(), "%s may not import %s, whose home is %s", s.dir, imported, or(home))
	}
}

// homeOf finds the packages that may import a library.
func homeOf(imported string) (home []string, known bool) {
	longest := -1
	for library, h := range homes {
		if within(imported, []string{library}) && len(library) > longest {
			longest, home, known = len(library), h, true
		}
	}
	return home, known
}

// within reports whether imported is one of libraries or a package under it.
func within(imported string, libraries []string) bool {
	return slices.ContainsFunc(libraries, func(library string) bool {
		if !standard(imported) || strings.HasSuffix(library, "/") {
			return strings.HasPrefix(imported+"/", strings.TrimSuffix(library, "/")+"/")
		}
		return imported == library || library == "database/sql" && imported == "database/sql/driver"
	})
}

// standard reports whether a path is the standard library's: its first element has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

func or(home []string) string {
	if len(home) == 0 {
		return "nowhere"
	}
	return strings.Join(home, " or ")
}

func unquote(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return p
}
