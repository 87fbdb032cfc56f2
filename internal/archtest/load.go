package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Package is one package of the module, without its tests.
type Package struct {
	Path    string // relative to the module; "." is its root
	Files   []*ast.File
	Names   []string // of the files, relative to the module
	Imports []string
	Info    *types.Info
}

// A Module is all that is judged.
type Module struct {
	Path     string
	Fset     *token.FileSet
	Packages []*Package // whoever is imported comes first
	Broken   []error    // what does not compile, and is judged as far as it is understood

	exports map[string]string // compiled packages of others, by import path
	checked map[string]*types.Package
	gc      types.Importer
}

// listed is what go list tells of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles, Imports        []string
	Module                  *struct {
		Path, Dir string
		Main      bool
	}
}

func goList(dir string, args ...string) ([]listed, error) {
	cmd := exec.Command("go", append([]string{"list", "-e"}, args...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.String())
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
}

// Load reads the module around dir. Its own packages are type-checked from their
// sources; what others they import, from what the compiler has left in its cache.
func Load(dir string) (*Module, error) {
	all, err := goList(dir, "-deps", "-json=ImportPath,Dir,GoFiles,Imports,Module", "./...")
	if err != nil {
		return nil, err
	}
	m := &Module{Fset: token.NewFileSet(), exports: make(map[string]string), checked: make(map[string]*types.Package)}
	own := slices.DeleteFunc(slices.Clone(all), func(l listed) bool { return l.Module == nil || !l.Module.Main })
	if len(own) == 0 {
		return nil, fmt.Errorf("no package at %s", dir)
	}
	m.Path = own[0].Module.Path
	if err := m.findExports(dir, own); err != nil {
		return nil, err
	}
	for _, l := range own {
		if err := m.add(l); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// findExports finds the compiled packages that own imports, and a few for the
// examples of the tests.
func (m *Module) findExports(dir string, own []listed) error {
	want := map[string]bool{"fmt": true, "maps": true, "math/rand/v2": true, "os": true, "slices": true, "sync": true, "time": true}
	for _, l := range own {
		for _, path := range l.Imports {
			if !m.owns(path) && path != "C" {
				want[path] = true
			}
		}
	}
	args := []string{"-export", "-deps", "-json=ImportPath,Export"}
	for path := range want {
		args = append(args, path)
	}
	found, err := goList(dir, args...)
	if err != nil {
		return err
	}
	for _, l := range found {
		m.exports[l.ImportPath] = l.Export
	}
	m.gc = importer.ForCompiler(m.Fset, "gc", func(path string) (io.ReadCloser, error) {
		if m.exports[path] == "" {
			return nil, fmt.Errorf("package %s is not compiled", path)
		}
		return os.Open(m.exports[path])
	})
	return nil
}

func (m *Module) owns(path string) bool {
	return path == m.Path || strings.HasPrefix(path, m.Path+"/")
}

// relative turns an import path into a path of this module.
func (m *Module) relative(path string) string {
	if path == m.Path {
		return "."
	}
	return strings.TrimPrefix(path, m.Path+"/")
}

func (m *Module) add(l listed) error {
	p := &Package{Path: m.relative(l.ImportPath), Imports: l.Imports}
	for _, name := range l.GoFiles {
		text, err := os.ReadFile(filepath.Join(l.Dir, name))
		if err != nil {
			return err
		}
		if err := m.parse(p, p.Path+"/"+name, text); err != nil {
			m.Broken = append(m.Broken, err)
		}
	}
	m.check(p)
	m.Packages = append(m.Packages, p)
	return nil
}

func (m *Module) parse(p *Package, name string, text []byte) error {
	file, err := parser.ParseFile(m.Fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if file != nil {
		p.Files = append(p.Files, file)
		p.Names = append(p.Names, name)
	}
	return err
}

// check finds the types of a package.
func (m *Module) check(p *Package) {
	p.Info = &types.Info{
		Types: make(map[ast.Expr]types.TypeAndValue),
		Uses:  make(map[*ast.Ident]types.Object),
	}
	config := types.Config{
		Importer: m,
		Error:    func(err error) { m.Broken = append(m.Broken, err) },
	}
	path := m.Path + "/" + p.Path
	pkg, _ := config.Check(path, m.Fset, p.Files, p.Info) // its errors went to Error
	m.checked[path] = pkg
}

// Import implements types.Importer.
func (m *Module) Import(path string) (*types.Package, error) {
	if pkg := m.checked[path]; pkg != nil {
		return pkg, nil
	}
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	return m.gc.Import(path)
}
