package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

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
	return c.Idempotent && (s.keepsAcked(c, faults) || !s.unclean && s.flush == "ack")
}

// A cell is what came of the runs of one setup and one column, by class.
type cell struct {
	seeds   int
	sends   []int
	lost    []example
	twice   []example
	stopped int // runs that came to nothing, or crashed
}

func newCell() *cell {
	return &cell{sends: make([]int, len(classes)), lost: make([]example, len(classes)), twice: make([]example, len(classes))}
}

// An example is the first run that shows something, and how much all of them do.
type example struct {
	total int
	seed  uint64
	text  string
}

func (w *example) add(n int, seed uint64, text string) {
	if n > 0 && (w.total == 0 || seed < w.seed) {
		w.seed, w.text = seed, text
	}
	w.total += n
}

type matrixFlags struct {
	seeds string
	jobs  int
	out   string
}

func newMatrixCommand() *cobra.Command {
	var f matrixFlags
	cmd := &cobra.Command{
		Use:   "matrix",
		Short: "Find out which settings keep what under which faults, and write a table of it",
		Long: `Run campaigns over every combination of log.flush, min.insync.replicas and
unclean.leader.election.enable, under each kind of faults, with producers of every kind,
and count what was lost and what was written twice. The table says of each: held, with
how many seeds and sends; broken as documented, with a seed that shows it; broken, which
is a defect; or never broken although nothing is promised: then the faults are too weak.

Exit codes: 0 nothing is broken that is promised; 1 something is.`,
		Example: `  klamm matrix --seeds 1+3
  klamm matrix --seeds 1+20 --out results/guarantees.md`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return judging(f.run(cmd)) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.seeds, "seeds", "1+10", "seeds A..B (B exclusive) or A+N of each combination")
	flags.IntVarP(&f.jobs, "jobs", "j", runtime.NumCPU(), "how many processes make runs side by side")
	flags.StringVar(&f.out, "out", "", "write the table to `FILE`; standard output if not set")
	return cmd
}

// A matrix is all cells.
type matrix struct {
	seeds seedRange
	cells map[string]*cell // by the settings and the column's name
}

func cellKey(s setup, c column) string { return strings.Join(s.settings(), " ") + " " + c.name }

func (f *matrixFlags) run(cmd *cobra.Command) error {
	seeds, err := parseSeeds(f.seeds)
	if err != nil {
		return usage(err)
	}
	if f.jobs < 1 || f.jobs > 1024 {
		return usage(fmt.Errorf("--jobs %d: want 1 to 1024", f.jobs))
	}
	m := &matrix{seeds: seeds, cells: map[string]*cell{}}
	ctx, stop := signal.NotifyContext(background(cmd), os.Interrupt, syscall.SIGTERM)
	defer stop()
	orders := make(chan order)
	keys := make(map[string]string) // by what names a run
	for _, s := range setups() {
		for _, c := range columns {
			m.cells[cellKey(s, c)] = newCell()
			keys[runKey(specOf(s, c, 0))] = cellKey(s, c)
		}
	}
	go m.issue(ctx, orders)
	var trouble error
	err = runPool(ctx, orders, f.jobs, 1, func(x finding) bool {
		if x.trouble() != "" {
			trouble = internalError{fmt.Errorf("%s: %s", x.replay(), x.trouble())}
			return false
		}
		m.cells[keys[runKey(x.Spec)]].take(x)
		return true
	})
	if err := errors.Join(trouble, err); err != nil {
		return err
	}
	return f.print(cmd.OutOrStdout(), m)
}

func specOf(s setup, c column, seed uint64) scenarios.Spec {
	set := s.settings()
	if c.families != "" {
		set = append(set, "run.families="+c.families)
	}
	return scenarios.Spec{Scenario: c.scenario, Seed: seed, Set: set}
}

func runKey(s scenarios.Spec) string { return s.Scenario + " " + strings.Join(s.Set, " ") }

// issue hands out runs.
func (m *matrix) issue(ctx context.Context, orders chan<- order) {
	defer close(orders)
	for i := range m.seeds.count {
		for _, s := range setups() {
			for _, c := range columns {
				select {
				case orders <- order{Spec: specOf(s, c, m.seeds.first+i), Tally: true}:
				case <-ctx.Done():
					return
				}
			}
		}
	}
}

// take adds a run.
func (c *cell) take(f finding) {
	c.seeds++
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

// print writes the table. It fails if something is broken that was promised.
func (f *matrixFlags) print(out io.Writer, m *matrix) error {
	text, broken := m.markdown()
	if f.out == "" {
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
	} else if err := os.WriteFile(f.out, []byte(text), 0o644); err != nil {
		return usage(err)
	}
	if broken > 0 {
		fmt.Fprintf(os.Stderr, "klamm: %d promises were broken\n", broken)
		return exitCode(exitViolated)
	}
	return nil
}

// markdown returns the matrix as a page, and how many promises are broken.
func (m *matrix) markdown() (text string, broken int) {
	var b strings.Builder
	fmt.Fprintf(&b, "# What settings keep under which faults\n\nMade by `klamm matrix --seeds %d+%d` of %s. Each cell is %d runs of a cluster; a\n",
		m.seeds.first, m.seeds.count, buildVersion().line(), m.seeds.count)
	b.WriteString("number is how many sends were acknowledged (with `acks=0`: made). *Broken as documented* names how many of them, and the first seed that\n" +
		"shows it; *never broken* is where nothing is promised, and no run showed why.\n\n")
	for _, t := range []struct {
		title, about string
		promised     func(setup, class, string) bool
		of           func(*cell) []example
	}{
		{"Acknowledged records that are lost", "An acknowledged record that nobody can read in the end.", setup.keepsAcked, func(c *cell) []example { return c.lost }},
		{"Records that are there twice", "A record of one send at two offsets.", setup.keepsSingle, func(c *cell) []example { return c.twice }},
	} {
		fmt.Fprintf(&b, "## %s\n\n%s\n\n| flush | min.insync.replicas | unclean election | acks | idempotent |", t.title, t.about)
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", c.name)
		}
		b.WriteString("\n|" + strings.Repeat("---|", 5+len(columns)) + "\n")
		for _, s := range setups() {
			for i, cl := range classes {
				fmt.Fprintf(&b, "| %s | %d | %t | %s | %t |", s.flush, s.minISR, s.unclean, cl.acks(), cl.Idempotent)
				for _, c := range columns {
					x := m.cells[cellKey(s, c)]
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

// tellCell tells one cell, and whether a promise is broken.
func tellCell(sends int, w example, promised bool) (told string, broken bool) {
	switch {
	case sends == 0:
		return "-", false
	case promised && w.total == 0:
		return fmt.Sprintf("held, %d", sends), false
	case promised:
		return fmt.Sprintf("**broken**: %d of %d, seed %d", w.total, sends, w.seed), true
	case w.total == 0:
		return fmt.Sprintf("never broken, %d", sends), false
	}
	return fmt.Sprintf("broken as documented: %d of %d, seed %d", w.total, sends, w.seed), false
}

// columnsAndWitnesses says what the columns are, which runs came to nothing, and
// of each setup one loss with the command that makes its run again.
func (m *matrix) columnsAndWitnesses(b *strings.Builder) {
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
			stopped += m.cells[cellKey(s, c)].stopped
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
func (m *matrix) firstLoss(s setup, c column) *example {
	x := m.cells[cellKey(s, c)]
	for i := range slices.Backward(classes) {
		if x.lost[i].total > 0 {
			return &x.lost[i]
		}
	}
	return nil
}
