package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// examine judges one source file as if it were a package of the repository.
func examine(t *testing.T, path, source string, exceptions ...Exception) (offences []string, excused []Excuse) {
	t.Helper()
	whole := loadRepository(t)
	m := *whole
	m.Packages, m.Broken = nil, nil
	p := &Package{Path: path}
	if err := m.parse(p, path+"/example.go", []byte("package example\n"+source)); err != nil {
		t.Fatal(err)
	}
	before := m.checked[m.Path+"/"+path]
	m.check(p)
	m.checked[m.Path+"/"+path] = before
	for _, err := range m.Broken {
		if text := err.Error(); !strings.Contains(text, "imported and not used") && !strings.Contains(text, "could not import") {
			t.Fatalf("the example does not compile: %v", err)
		}
	}
	m.Packages = []*Package{p}
	found, excused := m.Judge(exceptions)
	for _, o := range found {
		offences = append(offences, fmt.Sprintf("%d %s", o.Pos.Line, o.Rule))
	}
	return offences, excused
}

// Each example begins on line 2, behind its package clause.
func TestRules(t *testing.T) {
	for _, c := range []struct{ claim, path, source, want string }{
		{"node must not import the simulator", "node/broker", `import _ "github.com/klammlog/klamm/sim"`, "2 import"},
		{"node must not import the checker", "node/env", `import _ "github.com/klammlog/klamm/checker/history"`, "2 import"},
		{"the checker must not import node", "checker", `import _ "github.com/klammlog/klamm/node/kafka"`, "2 import"},
		{"pure packages must not import env", "node/txn", `import _ "github.com/klammlog/klamm/node/env"`, "2 import"},
		{"imports must not point up", "node/commitlog", `import _ "github.com/klammlog/klamm/node/broker"`, "2 import"},
		{"a world must not import the node", "node/osenv", `import _ "github.com/klammlog/klamm/node/broker"`, "2 import"},
		{"nobody imports commands", "scenarios", `import _ "github.com/klammlog/klamm/cmd/klamm"`, "2 import"},
		{"packages have a room", "util", `var x int`, "1 import"},
		{"other modules have their rooms", "node/broker", `import _ "github.com/spf13/cobra"`, "2 import"},
		{"unknown modules have none", "cmd/klamm", `import _ "example.org/left/pad"`, "2 import"},
		{"rooms below are free", "node/broker", `import _ "github.com/klammlog/klamm/node/commitlog"`, ""},
		{"rooms of the same room are free", "node/client", `import _ "github.com/klammlog/klamm/node/client/link"`, ""},

		{"no wall clock", "node/broker", "import \"time\"\nvar x = time.Now()", "3 world"},
		{"no sleep under another name", "sim", "import zeit \"time\"\nvar x = zeit.Sleep", "3 world"},
		{"no timers", "netsim", "import \"time\"\nvar x = time.NewTimer(1)\nvar y time.Ticker", "3 world,4 world"},
		{"durations are free", "netsim", "import \"time\"\nvar x = time.Second", ""},
		{"no files", "disksim", "import \"os\"\nvar x, _ = os.Open(\"f\")", "3 world"},
		{"no locks", "node/api", "import \"sync\"\nvar x sync.Mutex", "3 world"},
		{"no global random numbers", "scenarios", "import \"math/rand/v2\"\nvar x = rand.IntN(7)", "3 world"},
		{"random streams are free", "scenarios", "import \"math/rand/v2\"\nvar x *rand.Rand = rand.New(rand.NewPCG(1, 2))", ""},
		{"no standard output", "checker", "import \"fmt\"\nfunc f() { fmt.Println() }", "3 world"},
		{"no effects of imports", "node/broker", `import _ "os"`, "2 world"},
		{"osenv is real", "node/osenv", "import (\"os\"; \"sync\"; \"time\")\nvar x sync.Mutex\nvar y = time.Now()\nvar z = os.Args\nfunc f(c chan int) { go f(c) }", ""},
		{"commands are real", "cmd/klamm", "import \"time\"\nvar x = time.Now()", ""},

		{"no goroutines", "node/broker", "func f() {\ngo f()\n}", "3 concurrent"},
		{"no channels", "node/broker", "var x chan int", "2 concurrent"},
		{"no select", "node/broker", "func f() {\nselect {}\n}", "3 concurrent"},
		{"no sends and receives", "node/env", "type c = interface{}\nfunc f[C ~chan int](x C) {\nx <- 1\n<-x\n}", "3 concurrent,4 concurrent,5 concurrent"},
		{"no range over a channel", "node/env", "func f[C ~chan int](x C) { //klamm:concurrent example\nfor range x {\n}\n}", "3 concurrent"},

		{"no order of a map", "checker", "func f(m map[int]int) (x int) {\nfor x = range m {\n}\nreturn x\n}", "3 unordered"},
		{"no order of a map in what prints", "cmd/klamm", "func f(m map[int]int) (x int) {\nfor x = range m {\n}\nreturn x\n}", "3 unordered"},
		{"no order of a named map", "sim", "type t map[int]int\nfunc f(m t) (x int) {\nfor _, x = range m {\n}\nreturn x\n}", "4 unordered"},
		{"no order of any map", "sim", "func f[M ~map[int]int](m M) (x int) {\nfor x = range m {\n}\nreturn x\n}", "3 unordered"},
		{"no iterator over a map", "sim", "import \"maps\"\nvar x = maps.Keys(map[int]int{})", "3 unordered"},
		{"counting a map is free", "sim", "func f(m map[int]int) (n int) {\nfor range m {\nn++\n}\nreturn n\n}", ""},
		{"sorted keys are free", "sim", "import (\"maps\"; \"slices\")\nvar x = slices.Sorted(maps.Keys(map[int]int{}))", ""},
		{"slices are free", "sim", "func f(s []int) (x int) {\nfor _, x = range s {\n}\nreturn x\n}", ""},

		{"no addresses", "node/broker", "import \"fmt\"\nvar x = fmt.Sprintf(\"%v %p\", 1, &y)\nvar y int", "3 pointer"},
		{"percents are free", "node/broker", "import \"fmt\"\nvar x = fmt.Sprintf(\"100%%pure\")", ""},
		{"no recover", "node/broker", "func f() {\nrecover()\n}", "3 recover"},
		{"no recover in a world either", "node/osenv", "func f() {\nrecover()\n}", "3 recover"},
		{"a method called recover is free", "node/broker", "type l struct{}\nfunc (l) recover() {}\nfunc f() { l{}.recover() }", ""},

		{"functions have an end", "node/broker", "func f() {\n" + strings.Repeat("\n", 69) + "}", "2 size"},
		{"functions may be long", "node/broker", "func f() {\n" + strings.Repeat("\n", 68) + "}", ""},
		{"files have an end", "cmd/klamm", strings.Repeat("\n", 600), "1 size"},

		{"an excuse on the line counts", "node/broker", "var x chan int //klamm:concurrent example", ""},
		{"an excuse on the line above counts", "node/broker", "//klamm:concurrent example\nvar x chan int", ""},
		{"an excuse needs a reason", "node/broker", "var x chan int //klamm:concurrent", "2 concurrent,2 excuse"},
		{"an excuse is for one rule", "node/broker", "var x chan int //klamm:unordered example", "2 concurrent,2 excuse"},
		{"an excuse is for one line", "node/broker", "var x chan int //klamm:concurrent example\nvar y chan int", "3 concurrent"},
		{"an excuse must be needed", "node/broker", "var x int //klamm:world example", "2 excuse"},
		{"an excuse names a rule", "node/broker", "var x int //klamm:beauty example", "2 excuse"},
		{"sizes are not excused by comments", "node/broker", "//klamm:size example\nfunc f() {\n" + strings.Repeat("\n", 69) + "}", "2 excuse,3 size"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			got, _ := examine(t, c.path, c.source)
			if diff := cmp.Diff(c.want, strings.Join(got, ",")); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestExcusesAreTold(t *testing.T) {
	_, excused := examine(t, "node/broker", "var x chan int //klamm:concurrent the example needs it")
	if len(excused) != 1 || excused[0].String() != "node/broker/example.go:2: concurrent: the example needs it" {
		t.Fatalf("got %v", excused)
	}
}

func TestExceptions(t *testing.T) {
	long := "func (t *T[P]) f() {\n" + strings.Repeat("\n", 69) + "}\ntype T[P any] struct{}"
	for _, c := range []struct {
		claim string
		entry Exception
		want  []string
	}{
		{"a function is excepted", Exception{SizeRule, "node/api/example.go:T.f", "a table"}, nil},
		{"a file is excepted", Exception{SizeRule, "node/api/example.go", "a table"}, nil},
		{"another function is not", Exception{SizeRule, "node/api/example.go:T.g", "a table"}, []string{"2 size", "0 excuse"}},
		{"another rule is not", Exception{WorldRule, "node/api/example.go:T.f", "a table"}, []string{"0 excuse", "2 size"}},
		{"an entry needs a reason", Exception{SizeRule, "node/api/example.go:T.f", ""}, []string{"0 excuse"}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			got, _ := examine(t, "node/api", long, c.entry)
			slices.Sort(got)
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// An offender is told where, what and what to do instead.
func TestOffencesGiveAdvice(t *testing.T) {
	m := loadRepository(t)
	offences, _ := m.Judge([]Exception{{SizeRule, "no/such/file.go", "none"}})
	i := slices.IndexFunc(offences, func(o Offence) bool { return o.Pos.Filename == "no/such/file.go" })
	if i < 0 {
		t.Fatal("an exception for nothing is not told")
	}
	want := "no/such/file.go:0: excuse: an exception excuses nothing, or has no reason; take it off the list in internal/archtest"
	if got := offences[i].String(); got != want {
		t.Fatalf("got %q", got)
	}
}
