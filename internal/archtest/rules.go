package archtest

import (
	"go/ast"
	"go/token"
	"strings"
)

// Judge returns the offences of a module, and the excuses that were accepted.
func (m *Module) Judge(exceptions []Exception) (offences []Offence, excused []Excuse) {
	var all []Offence
	var given []*Excuse
	for _, p := range m.Packages {
		if len(p.Files) == 0 {
			continue // only tests
		}
		e := examiner{module: m, pkg: p}
		e.examine()
		all = append(all, e.found...)
		for i, file := range p.Files {
			given = append(given, excuses(m.Fset, p.Names[i], file)...)
		}
	}
	return judge(all, given, exceptions)
}

// An examiner looks for offences in one package.
type examiner struct {
	module *Module
	pkg    *Package
	found  []Offence

	function string // under examination
	sorted   map[ast.Node]bool
}

func (e *examiner) examine() {
	room := roomOf(e.pkg.Path)
	if room == nil {
		e.report(ImportRule, e.pkg.Files[0], "package "+e.pkg.Path+" is in no room", "add it to Rooms in internal/archtest")
		return
	}
	for i, file := range e.pkg.Files {
		e.examineImports(room, file)
		e.examineSize(e.pkg.Names[i], file)
		for _, d := range file.Decls {
			e.function = ""
			if f, ok := d.(*ast.FuncDecl); ok {
				e.function = functionName(f)
			}
			e.examineCode(d)
		}
	}
}

func (e *examiner) report(rule Rule, at ast.Node, what, advice string) {
	pos := e.module.Fset.Position(at.Pos())
	e.found = append(e.found, Offence{Rule: rule, Pos: pos, Func: e.function, What: what, Advice: advice})
}

// deterministic reports whether the package may not touch the real world.
func (e *examiner) deterministic() bool {
	return below(e.pkg.Path, Deterministic) && !below(e.pkg.Path, Real)
}

// ordered reports whether the package may not show the order of a map.
func (e *examiner) ordered() bool { return below(e.pkg.Path, Ordered) && !below(e.pkg.Path, Real) }

// below reports whether a path is one of the roots, or below one.
func below(path string, roots []string) bool {
	for _, root := range roots {
		if path == root || strings.HasPrefix(path, root+"/") {
			return true
		}
	}
	return false
}

// roomOf returns the innermost room of a package, or nil.
func roomOf(path string) *Room {
	var room *Room
	for i, r := range Rooms {
		if below(path, []string{r.Path}) && (room == nil || len(r.Path) > len(room.Path)) {
			room = &Rooms[i]
		}
	}
	return room
}

// examineSize measures a file and its functions.
func (e *examiner) examineSize(name string, file *ast.File) {
	e.function = ""
	if n := e.line(file.FileEnd); n > MaxFile {
		e.report(SizeRule, file.Name, name+" has "+itoa(n)+" lines, more than "+itoa(MaxFile),
			"it is two nouns: give each a file")
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := e.line(f.End()) - e.line(f.Pos()) + 1; n > MaxFunction {
			e.function = functionName(f)
			e.report(SizeRule, f, e.function+" has "+itoa(n)+" lines, more than "+itoa(MaxFunction),
				"give its parts names")
		}
	}
}

func (e *examiner) line(p token.Pos) int { return e.module.Fset.Position(p).Line }

// functionName returns "f" or "T.f".
func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	t := f.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + "." + f.Name.Name
		default:
			return f.Name.Name
		}
	}
}
