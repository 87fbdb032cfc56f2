package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/scenarios"
)

// A column is a kind of faults.
type column struct {
	name     string
	scenario string
	families string // "": those of the scenario
}

// columns are the kinds, the mildest first. All scenarios have clusters with three
// replicas.
var columns = []column{
	{"none", "cluster", ""},
	{"processes", "leader-crash", "crash,graceful-stop,pause,task-stall,slow-node,client-crash"},
	{"power", "leader-crash", "power-loss"},
	{"network", "leader-crash", "isolate,split,one-way,bridge,clog,reset,half-open,latency,loss"},
	{"disks", "leader-crash", "disk-slow,disk-stall,disk-full,disk-write-error,disk-sync-error,crash"},
	{"all of them", "leader-crash", "crash,pause,power-loss,isolate,one-way,reset,half-open,latency,disk-stall,slow-node"},
}

// A setup is how brokers and topic are set.
type setup struct {
	flush   string
	minISR  int
	unclean bool
}

// setups are the rows of the matrix, each with a line for each class.
func setups() []setup {
	var out []setup
	for _, flush := range []string{"ack", "os"} {
		for _, minISR := range []int{1, 2} {
			for _, unclean := range []bool{false, true} {
				out = append(out, setup{flush, minISR, unclean})
			}
		}
	}
	return out
}

func (s setup) settings() []string {
	return []string{"log.flush=" + s.flush, fmt.Sprint("min.insync.replicas=", s.minISR), fmt.Sprint("unclean.leader.election.enable=", s.unclean)}
}

// keepsAcked reports whether it is promised that no acknowledged record is lost:
// with acks=all while only replicas in sync are elected, and while what they hold
// stays: on the disk, or in the page cache of machines that do not lose power and
// disks that do not fail. With acks=1 only while no other leader is elected.
func (s setup) keepsAcked(c class, faults string) bool {
	switch {
	case c.Acks == 0:
		return false
	case faults == "none":
		return true
	case c.Acks == 1 || s.unclean:
		return false
	}
	return s.flush == "ack" || faults == "processes" || faults == "network"
}

// keepsSingle reports whether it is promised that no record is written twice.
func (s setup) keepsSingle(c class, faults string) bool {
	return c.Delivery == history.Idempotent && (s.keepsAcked(c, faults) || !s.unclean && s.flush == "ack")
}

// A cell is what came of the runs of one setup and one column, by class.
type cell struct {
	sends   []int
	lost    []example
	twice   []example
	stopped int // runs that came to nothing, or crashed
}

func newCell() *cell {
	return &cell{sends: make([]int, len(classes)), lost: make([]example, len(classes)), twice: make([]example, len(classes))}
}

// take adds a run.
func (c *cell) take(f finding) {
	if len(f.Fates) == 0 {
		c.stopped++
		return
	}
	for i, fate := range f.Fates {
		c.sends[i] += fate.Sends
		c.lost[i].add(fate.Lost, f.Spec.Seed, fate.Lose)
		c.twice[i].add(fate.Twice, f.Spec.Seed, fate.Dup)
	}
}

// sendCells are the part of the page about what becomes of what producers send.
type sendCells struct {
	cells map[string]*cell // by what names its runs
}

func newSendCells() *sendCells {
	m := &sendCells{cells: map[string]*cell{}}
	for _, o := range m.orders(0) {
		m.cells[runKey(o.Spec)] = newCell()
	}
	return m
}

func (m *sendCells) name() string { return "producers" }

func (m *sendCells) cell(s setup, c column) *cell { return m.cells[runKey(specOf(s, c, 0))] }

func (m *sendCells) take(f finding) { m.cells[runKey(f.Spec)].take(f) }

// specOf is a run of a cell. One of its producers is a plain one that tries again:
// seeds draw none that waits for all replicas.
func specOf(s setup, c column, seed uint64) scenarios.Spec {
	set := append(s.settings(), "run.plain=1")
	if c.families != "" {
		set = append(set, "run.families="+c.families)
	}
	return scenarios.Spec{Scenario: c.scenario, Seed: seed, Set: set}
}

func (m *sendCells) orders(seed uint64) (out []order) {
	for _, s := range setups() {
		for _, c := range columns {
			out = append(out, order{Spec: specOf(s, c, seed), Tally: true})
		}
	}
	return out
}

func (m *sendCells) markdown(madeBy string) (text string, broken int) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; a number is how many sends were acknowledged (with `acks=0`: made).\n", madeBy)
	b.WriteString("*Broken as documented* names how many of them, and the first seed that shows it; *never broken* is where nothing is promised, and no run showed why.\n" +
		"Producers are *plain*, may have several requests under way, and try again what is not answered (with `acks=0` nothing is, and those that send raw frames\n" +
		"never do); have *one in flight*, and try nothing again; or are *idempotent*.\n\n")
	for _, t := range []struct {
		title, about string
		promised     func(setup, class, string) bool
		of           func(*cell) []example
	}{
		{"Acknowledged records that are lost", "An acknowledged record that nobody can read in the end.", setup.keepsAcked, func(c *cell) []example { return c.lost }},
		{"Records that are there twice", "A record of one send at two offsets.", setup.keepsSingle, func(c *cell) []example { return c.twice }},
	} {
		fmt.Fprintf(&b, "## %s\n\n%s\n\n| flush | min.insync.replicas | unclean election | acks | producer |", t.title, t.about)
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", c.name)
		}
		b.WriteString("\n|" + strings.Repeat("---|", 5+len(columns)) + "\n")
		for _, s := range setups() {
			for i, cl := range classes {
				fmt.Fprintf(&b, "| %s | %d | %t | %s | %s |", s.flush, s.minISR, s.unclean, cl.acks(), cl.Delivery)
				for _, c := range columns {
					x := m.cell(s, c)
					told, bad := tellCell(x.sends[i], t.of(x)[i], t.promised(s, cl, c.name))
					if bad {
						broken++
					}
					fmt.Fprintf(&b, " %s |", told)
				}
				b.WriteByte('\n')
			}
		}
		b.WriteByte('\n')
	}
	m.columnsAndWitnesses(&b)
	return b.String(), broken
}

// columnsAndWitnesses says what the columns are, which runs came to nothing, and
// of each setup one loss with the command that makes its run again.
func (m *sendCells) columnsAndWitnesses(b *strings.Builder) {
	b.WriteString("## The faults\n\n")
	for _, c := range columns {
		families := c.families
		if families == "" {
			families = "none"
		}
		fmt.Fprintf(b, "* %s: `%s`, %s\n", c.name, c.scenario, strings.ReplaceAll(families, ",", ", "))
	}
	b.WriteString("\n## Witnesses\n\nThe first loss of each line of settings; the command makes the run again.\n\n")
	stopped := 0
	for _, s := range setups() {
		for _, c := range columns {
			stopped += m.cell(s, c).stopped
		}
		at := slices.IndexFunc(columns, func(c column) bool { return m.firstLoss(s, c) != nil })
		if at < 0 {
			continue
		}
		w := m.firstLoss(s, columns[at])
		fmt.Fprintf(b, "* %s: %s\n  `%s`\n", strings.Join(s.settings(), ", "), w.text, replayOf(specOf(s, columns[at], w.seed)))
	}
	if stopped > 0 {
		fmt.Fprintf(b, "\n%d runs came to no end that could be counted.\n", stopped)
	}
}

// firstLoss returns a loss of the strongest class that shows one.
func (m *sendCells) firstLoss(s setup, c column) *example {
	x := m.cell(s, c)
	for i := range slices.Backward(classes) {
		if x.lost[i].total > 0 {
			return &x.lost[i]
		}
	}
	return nil
}
