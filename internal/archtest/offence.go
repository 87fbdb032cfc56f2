package archtest

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// A Rule is a kind of offence, and the word that excuses it: //klamm:rule reason.
type Rule string

// The rules.
const (
	ImportRule     Rule = "import"     // a room that may not be entered from here
	WorldRule      Rule = "world"      // a clock, file, socket, lock or random number not of the World
	ConcurrentRule Rule = "concurrent" // go, select, channels
	UnorderedRule  Rule = "unordered"  // the order of a map
	PointerRule    Rule = "pointer"    // %p
	RecoverRule    Rule = "recover"    // recover
	SizeRule       Rule = "size"       // too long: excused by Exceptions only
	ExcuseRule     Rule = "excuse"     // an excuse that is none: cannot be excused
)

var excusable = []Rule{ImportRule, WorldRule, ConcurrentRule, UnorderedRule, PointerRule, RecoverRule}

// An Offence is one place where the code breaks a rule.
type Offence struct {
	Rule   Rule
	Pos    token.Position // its file name is relative to the module
	Func   string         // in which function, if in one
	What   string
	Advice string
}

func (o Offence) String() string {
	return fmt.Sprintf("%s:%d: %s: %s; %s", o.Pos.Filename, o.Pos.Line, o.Rule, o.What, o.Advice)
}

// An Excuse is a reason that was given for an offence.
type Excuse struct {
	Rule  Rule
	Where string
	Why   string
	line  int
	file  string
	own   bool // alone on its line, so it speaks of the next
	used  bool
}

func (e Excuse) String() string { return fmt.Sprintf("%s: %s: %s", e.Where, e.Rule, e.Why) }

const excusePrefix = "//klamm:"

// excuses returns the excuses in a file's comments.
func excuses(fset *token.FileSet, name string, file *ast.File) []*Excuse {
	code := make(map[int]bool) // lines on which something other than a comment stands
	ast.Inspect(file, func(n ast.Node) bool {
		switch n.(type) {
		case nil, *ast.File, *ast.Comment, *ast.CommentGroup:
		default:
			code[fset.Position(n.Pos()).Line] = true
			code[fset.Position(n.End()-1).Line] = true
		}
		return true
	})
	var found []*Excuse
	for _, group := range file.Comments {
		for _, c := range group.List {
			text, ok := strings.CutPrefix(c.Text, excusePrefix)
			if !ok {
				continue
			}
			rule, why, _ := strings.Cut(text, " ")
			line := fset.Position(c.Pos()).Line
			found = append(found, &Excuse{
				Rule: Rule(rule), Why: strings.TrimSpace(why), Where: fmt.Sprintf("%s:%d", name, line),
				line: line, file: name, own: !code[line],
			})
		}
	}
	return found
}

// covers reports whether e excuses o.
func (e *Excuse) covers(o Offence) bool {
	if e.file != o.Pos.Filename || e.Rule != o.Rule || !slices.Contains(excusable, o.Rule) {
		return false
	}
	return e.line == o.Pos.Line || (e.own && e.line+1 == o.Pos.Line)
}

// judge takes away the offences that are excused, and adds those of bad excuses.
func judge(offences []Offence, given []*Excuse, exceptions []Exception) (left []Offence, excused []Excuse) {
	used := make([]bool, len(exceptions))
	for _, o := range offences {
		ok := false
		for _, e := range given {
			if e.covers(o) && e.Why != "" {
				e.used, ok = true, true
			}
		}
		for i, e := range exceptions {
			if e.Rule == o.Rule && (e.Place == o.Pos.Filename || e.Place == o.Pos.Filename+":"+o.Func) {
				used[i], ok = true, true
			}
		}
		if !ok {
			left = append(left, o)
		}
	}
	for _, e := range given {
		if e.used {
			excused = append(excused, *e)
		} else {
			left = append(left, e.offence())
		}
	}
	for i, e := range exceptions {
		if used[i] && e.Why != "" {
			excused = append(excused, Excuse{Rule: e.Rule, Where: e.Place, Why: e.Why})
			continue
		}
		left = append(left, Offence{
			Rule: ExcuseRule, Pos: token.Position{Filename: e.Place},
			What:   "an exception excuses nothing, or has no reason",
			Advice: "take it off the list in internal/archtest",
		})
	}
	slices.SortStableFunc(left, func(a, b Offence) int {
		return cmp.Or(cmp.Compare(a.Pos.Filename, b.Pos.Filename), cmp.Compare(a.Pos.Line, b.Pos.Line))
	})
	return left, excused
}

// offence says what is wrong with an excuse that was not used.
func (e *Excuse) offence() Offence {
	o := Offence{Rule: ExcuseRule, Pos: token.Position{Filename: e.file, Line: e.line}}
	switch {
	case !slices.Contains(excusable, e.Rule):
		o.What, o.Advice = fmt.Sprintf("there is no rule %q", e.Rule), fmt.Sprintf("the rules are %q", excusable)
	case e.Why == "":
		o.What, o.Advice = "an excuse without a reason", "give one on the line"
	default:
		o.What, o.Advice = fmt.Sprintf("%q excuses nothing", excusePrefix+string(e.Rule)), "take it away"
	}
	return o
}
