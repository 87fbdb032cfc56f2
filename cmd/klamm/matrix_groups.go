package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/scenarios"
)

// A groupColumn is a kind of faults. The output's machine is apart from those of the
// brokers: how often it dies is said for itself.
type groupColumn struct {
	column
	outputDies int
}

// groupColumns are the kinds, the mildest first.
var groupColumns = []groupColumn{
	{column{"none", "coordinator-failover", "none"}, 0},
	{column{"processes", "zombie-member", "client-crash,pause,crash,graceful-stop,task-stall,slow-node"}, 3},
	{column{"power", "coordinator-failover", "power-loss"}, 3},
	{column{"network", "coordinator-failover", "isolate,split,one-way,bridge,clog,reset,half-open,latency,loss"}, 0},
	{column{"disks", "coordinator-failover", "disk-slow,disk-stall,disk-full,disk-write-error,disk-sync-error,crash"}, 0},
	{column{"all of them", "zombie-member", "client-crash,pause,crash,power-loss,isolate,one-way,reset,half-open,latency,disk-stall,slow-node"}, 3},
}

// A groupRow is a way to process records in a group.
type groupRow struct {
	protocol string
	mode     delivery.Mode
	apart    bool // output and offset are written one after the other
}

func groupRows() (out []groupRow) {
	for _, protocol := range []string{"classic", "consumer"} {
		for _, mode := range delivery.Modes() {
			out = append(out, groupRow{protocol: protocol, mode: mode})
		}
		out = append(out, groupRow{protocol, delivery.WithOutput, true})
	}
	return out
}

// about says what the row's workers do, and what comes of it.
func (r groupRow) about() string {
	if r.apart {
		return "output, then offset | nothing"
	}
	return map[delivery.Mode]string{
		delivery.CommitFirst:  "commit, then process | at most once",
		delivery.ProcessFirst: "process, then commit | at least once",
		delivery.WithOutput:   "offset with the output | exactly once",
	}[r.mode]
}

// missesNone reports whether it is promised that every record is processed.
func (r groupRow) missesNone() bool { return !r.apart && r.mode != delivery.CommitFirst }

// repeatsNone reports whether it is promised that none is processed twice.
func (r groupRow) repeatsNone() bool { return !r.apart && r.mode != delivery.ProcessFirst }

// spec is the run that a row has with a seed in a column. One run has a group of each
// mode; the groups that keep output and offset apart have one to themselves.
func (r groupRow) spec(c groupColumn, seed uint64) scenarios.Spec {
	set := []string{"run.group.protocol=" + r.protocol, "run.families=" + c.families, fmt.Sprint("run.sink.crashes=", c.outputDies)}
	if r.apart {
		return scenarios.Spec{Scenario: c.scenario, Seed: seed, Set: append(set, "run.groups=with-output", "run.split=true")}
	}
	return scenarios.Spec{Scenario: c.scenario, Seed: seed, Set: append(set, "run.groups=commit-first,process-first,with-output")}
}

// A groupCell is what came of the runs of one row and one column.
type groupCell struct {
	records          int
	missed, repeated example
}

// groupCells are the part of the page about what groups make of records.
type groupCells struct {
	cells   map[string]*groupCell // by what names the run, and the mode
	others  []string              // promises that were broken besides
	stopped int                   // runs that came to no end that could be counted
}

func newGroupCells() *groupCells {
	m := &groupCells{cells: map[string]*groupCell{}}
	for _, r := range groupRows() {
		for _, c := range groupColumns {
			m.cells[groupKey(r.spec(c, 0), r.mode.String())] = &groupCell{}
		}
	}
	return m
}

func groupKey(s scenarios.Spec, mode string) string { return runKey(s) + " " + mode }

func (m *groupCells) name() string { return "groups" }

func (m *groupCells) cell(r groupRow, c groupColumn) *groupCell {
	return m.cells[groupKey(r.spec(c, 0), r.mode.String())]
}

func (m *groupCells) orders(seed uint64) (out []order) {
	seen := map[string]bool{}
	for _, r := range groupRows() {
		for _, c := range groupColumns {
			o := order{Spec: r.spec(c, seed)}
			if key := runKey(o.Spec); !seen[key] {
				seen[key] = true
				out = append(out, o)
			}
		}
	}
	return out
}

// counted are the promises that cells tell of.
var counted = []string{string(delivery.AtMostOnce), string(delivery.AtLeastOnce), string(delivery.ExactlyOnce)}

func (m *groupCells) take(f finding) {
	for i := range f.Result.Deliveries {
		d := &f.Result.Deliveries[i]
		c := m.cells[groupKey(f.Spec, d.Mode)]
		c.records += d.Records
		c.missed.add(d.Missed, f.Spec.Seed, d.Miss)
		c.repeated.add(d.Repeated, f.Spec.Seed, d.Repeat)
	}
	if len(f.Result.Deliveries) == 0 {
		m.stopped++
	}
	for _, v := range f.Result.Violations {
		if !slices.Contains(counted, v.Guarantee) {
			m.others = append(m.others, fmt.Sprintf("%s: %s\n  `%s`", v.Guarantee, v.Sentence, replayOf(f.Spec)))
		}
	}
}

// groupTables are what is counted.
var groupTables = []struct {
	title    string
	promised func(groupRow) bool
	of       func(*groupCell) *example
}{
	{"Groups: records that were never processed", groupRow.missesNone, func(c *groupCell) *example { return &c.missed }},
	{"Groups: records that were processed again", groupRow.repeatsNone, func(c *groupCell) *example { return &c.repeated }},
}

func (m *groupCells) markdown(madeBy string) (text string, broken int) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; a number is how many records its groups were to process.\n", madeBy)
	b.WriteString("*Broken as documented* names how many of them, and the first seed that shows it; *never broken* is where nothing is promised, and no run showed why.\n\n")
	for _, t := range groupTables {
		fmt.Fprintf(&b, "## %s\n\n| protocol | workers | promise |", t.title)
		for _, c := range groupColumns {
			fmt.Fprintf(&b, " %s |", c.name)
		}
		b.WriteString("\n|" + strings.Repeat("---|", 3+len(groupColumns)) + "\n")
		for _, r := range groupRows() {
			fmt.Fprintf(&b, "| %s | %s |", r.protocol, r.about())
			for _, c := range groupColumns {
				x := m.cell(r, c)
				told, bad := tellCell(x.records, *t.of(x), t.promised(r))
				if bad {
					broken++
				}
				fmt.Fprintf(&b, " %s |", told)
			}
			b.WriteByte('\n')
		}
		b.WriteByte('\n')
	}
	m.faults(&b)
	m.witnesses(&b)
	return b.String(), broken + len(m.others)
}

// faults says what the columns are.
func (m *groupCells) faults(b *strings.Builder) {
	b.WriteString("## Groups: the faults\n\nMembers leave and join again besides, as seeds draw it.\n\n")
	for _, c := range groupColumns {
		fmt.Fprintf(b, "* %s: `%s`, %s", c.name, c.scenario, strings.ReplaceAll(c.families, ",", ", "))
		if c.outputDies > 0 {
			fmt.Fprintf(b, "; the output's machine dies %d times", c.outputDies)
		}
		b.WriteByte('\n')
	}
}

// witnesses tells of each row the first run that shows what it does not promise, what
// else is broken, and which runs came to nothing.
func (m *groupCells) witnesses(b *strings.Builder) {
	b.WriteString("\n## Groups: witnesses\n\nOf each row the first of what it may do; the command makes the run again.\n\n")
	for _, r := range groupRows() {
		for _, t := range groupTables {
			at := slices.IndexFunc(groupColumns, func(c groupColumn) bool { return t.of(m.cell(r, c)).total > 0 })
			if at >= 0 {
				w := t.of(m.cell(r, groupColumns[at]))
				fmt.Fprintf(b, "* %s, %s: %s\n  `%s`\n", r.protocol, strings.SplitN(r.about(), " |", 2)[0], w.text, replayOf(r.spec(groupColumns[at], w.seed)))
			}
		}
	}
	if len(m.others) > 0 {
		fmt.Fprintf(b, "\n**Other promises were broken:**\n\n* %s\n", strings.Join(m.others, "\n* "))
	}
	if m.stopped > 0 {
		fmt.Fprintf(b, "\n%d runs came to no end that could be counted.\n", m.stopped)
	}
}
