package archtest

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// examineImports compares a file's imports with Rooms and Externals. Tests are
// not looked at: they may borrow from anywhere.
func (e *examiner) examineImports(room *Room, file *ast.File) {
	e.function = ""
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the compiler will tell
		}
		if ban := banOf(path, "its side effects"); ban != nil && isBlank(spec) && e.deterministic() {
			e.report(WorldRule, spec, "import _ "+spec.Path.Value, ban.Advice)
		}
		if e.module.owns(path) {
			e.examineRoom(room, e.module.relative(path), spec)
		} else if strings.Contains(strings.Split(path, "/")[0], ".") {
			e.examineExternal(room, path, spec)
		}
	}
}

func isBlank(spec *ast.ImportSpec) bool { return spec.Name != nil && spec.Name.Name == "_" }

func (e *examiner) examineRoom(room *Room, path string, spec *ast.ImportSpec) {
	target := roomOf(path)
	if target == nil || target == room || room.mayEnter(target) {
		return // a room that is missing is told of where it is
	}
	e.report(ImportRule, spec, e.pkg.Path+" imports "+path, room.Why)
}

// mayEnter reports whether r's packages may import target's.
func (r *Room) mayEnter(target *Room) bool {
	if r.May == everything {
		return slices.IndexFunc(Rooms, target.is) < slices.IndexFunc(Rooms, r.is)
	}
	return slices.Contains(strings.Fields(r.May), target.Path)
}

func (r *Room) is(other Room) bool { return r.Path == other.Path }

func (e *examiner) examineExternal(room *Room, path string, spec *ast.ImportSpec) {
	for _, x := range Externals {
		if !below(path, []string{x.Path}) {
			continue
		}
		if !below(e.pkg.Path, strings.Fields(x.Rooms)) {
			e.report(ImportRule, spec, e.pkg.Path+" imports "+path, x.Why)
		}
		return
	}
	e.report(ImportRule, spec, e.pkg.Path+" imports "+path+", which no room may yet",
		"say in Externals of internal/archtest who needs it, and why")
}
