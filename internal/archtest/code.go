package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// examineCode looks for what a declaration may not contain.
func (e *examiner) examineCode(d ast.Decl) {
	e.sorted = make(map[ast.Node]bool)
	ast.Inspect(d, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && e.isBuiltin(call, "recover") {
			e.report(RecoverRule, call, "it recovers", "only the root of a task does, and the guard around a pure decoder of foreign bytes")
		}
		if e.ordered() {
			e.examineOrder(n)
		}
		if e.deterministic() {
			e.examineText(n)
			e.examineConcurrency(n)
			e.examineSymbol(n)
		}
		return true
	})
}

const concurrencyAdvice = "use World.Go, World.NewCond, env.Mailbox, env.Group"

func (e *examiner) examineConcurrency(n ast.Node) {
	switch x := n.(type) {
	case *ast.GoStmt:
		e.report(ConcurrentRule, n, "a goroutine", concurrencyAdvice)
	case *ast.SelectStmt:
		e.report(ConcurrentRule, n, "a select", concurrencyAdvice)
	case *ast.ChanType:
		e.report(ConcurrentRule, n, "a channel", concurrencyAdvice)
	case *ast.SendStmt:
		e.report(ConcurrentRule, n, "a send", concurrencyAdvice)
	case *ast.UnaryExpr:
		if x.Op == token.ARROW {
			e.report(ConcurrentRule, n, "a receive", concurrencyAdvice)
		}
	case *ast.RangeStmt:
		if _, ok := e.underlying(x.X).(*types.Chan); ok {
			e.report(ConcurrentRule, n, "a range over a channel", concurrencyAdvice)
		}
	}
}

const orderAdvice = "sort the keys, or keep a slice beside the map"

// examineOrder looks for the order of maps. A range without variables shows
// nothing of it.
func (e *examiner) examineOrder(n ast.Node) {
	switch x := n.(type) {
	case *ast.RangeStmt:
		if x.Key != nil && e.isMap(x.X) {
			e.report(UnorderedRule, n, "a range over a map", orderAdvice)
		}
	case *ast.CallExpr:
		if _, ok := e.packageFunc(x, "slices", sorters); ok {
			for _, arg := range x.Args {
				e.sorted[arg] = true
			}
		}
		if name, ok := e.packageFunc(x, "maps", mapOrder); ok && !e.sorted[x] {
			e.report(UnorderedRule, n, "maps."+name+" outside of slices.Sorted", orderAdvice)
		}
	}
}

// packageFunc reports whether a function of pkg is called that is among names, and
// which.
func (e *examiner) packageFunc(call *ast.CallExpr, pkg string, names []string) (string, bool) {
	fun := call.Fun
	if index, ok := fun.(*ast.IndexExpr); ok {
		fun = index.X
	}
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	obj := e.pkg.Info.Uses[sel.Sel]
	if obj == nil || obj.Pkg() == nil || obj.Pkg().Path() != pkg {
		return "", false
	}
	return obj.Name(), slices.Contains(names, obj.Name())
}

func (e *examiner) isMap(x ast.Expr) bool {
	_, ok := e.underlying(x).(*types.Map)
	return ok
}

// underlying returns the type under an expression's; of a type parameter, the
// type that all its types share.
func (e *examiner) underlying(x ast.Expr) types.Type {
	t := e.pkg.Info.TypeOf(x)
	if t == nil {
		return nil
	}
	param, ok := t.(*types.TypeParam)
	if !ok {
		return t.Underlying()
	}
	if u, ok := param.Constraint().Underlying().(*types.Interface); ok && u.NumEmbeddeds() > 0 {
		if union, ok := u.EmbeddedType(0).(*types.Union); ok && union.Len() > 0 {
			return union.Term(0).Type().Underlying()
		}
		return u.EmbeddedType(0).Underlying()
	}
	return t.Underlying()
}

func (e *examiner) isBuiltin(call *ast.CallExpr, name string) bool {
	id, ok := ast.Unparen(call.Fun).(*ast.Ident)
	if !ok || id.Name != name {
		return false
	}
	_, ok = e.pkg.Info.Uses[id].(*types.Builtin)
	return ok
}

var pointerVerb = regexp.MustCompile(`%[-+# 0-9.*\[\]]*p`)

// examineText looks for the verb that prints addresses.
func (e *examiner) examineText(n ast.Node) {
	lit, ok := n.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return
	}
	text, err := strconv.Unquote(lit.Value)
	if err == nil && pointerVerb.MatchString(strings.ReplaceAll(text, "%%", "")) {
		e.report(PointerRule, n, "%p", "addresses differ from run to run: give the thing a name or a number")
	}
}

// examineSymbol looks for uses of what is banned.
func (e *examiner) examineSymbol(n ast.Node) {
	id, ok := n.(*ast.Ident)
	if !ok {
		return
	}
	obj := e.pkg.Info.Uses[id]
	if obj == nil || obj.Pkg() == nil || obj.Parent() != obj.Pkg().Scope() {
		return // methods and fields come with a value that came from somewhere
	}
	if ban := banOf(obj.Pkg().Path(), obj.Name()); ban != nil {
		e.report(WorldRule, n, obj.Pkg().Name()+"."+obj.Name(), ban.Advice)
	}
}

// banOf returns the ban on a name of a package, or nil.
func banOf(path, name string) *Ban {
	for i := range Bans {
		b := &Bans[i]
		if !below(path, []string{b.Package}) {
			continue
		}
		if slices.Contains(b.Except, name) || (b.Names != nil && !slices.Contains(b.Names, name)) {
			return nil
		}
		return b
	}
	return nil
}
