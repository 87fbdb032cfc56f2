package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/scenarios"
)

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
	part  string
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

A second part is about groups: workers commit first and then process, process first and
then commit, or keep the highest processed offset with their output, under both protocols
and each kind of faults; what was never processed and what was processed again is counted.
As a control some write output and offset one after the other.

Exit codes: 0 nothing is broken that is promised; 1 something is.`,
		Example: `  klamm matrix --seeds 1+3
  klamm matrix --part groups --seeds 1+6
  klamm matrix --seeds 1+20 --out results/guarantees.md`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return judging(f.run(cmd)) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.seeds, "seeds", "1+10", "seeds A..B (B exclusive) or A+N of each combination")
	flags.IntVarP(&f.jobs, "jobs", "j", runtime.NumCPU(), "how many processes make runs side by side")
	flags.StringVar(&f.part, "part", "", "producers or groups; both if not set")
	flags.StringVar(&f.out, "out", "", "write the table to `FILE`; standard output if not set")
	return cmd
}

// A matrix is a page, in parts.
type matrix struct {
	seeds  seedRange
	parts  []matrixPart
	owners map[string]matrixPart // by what names a run but for its seed
}

// A matrixPart is some runs of each seed, and what they show.
type matrixPart interface {
	name() string
	orders(seed uint64) []order
	take(f finding) // what came of one of them

	// markdown returns the part, and how many promises are broken. madeBy says which
	// command made it.
	markdown(madeBy string) (text string, broken int)
}

// newMatrix returns an empty page with one part, or with all if no name is given.
func newMatrix(seeds seedRange, name string) (*matrix, error) {
	m := &matrix{seeds: seeds, owners: map[string]matrixPart{}}
	if name == "" || name == "producers" {
		m.parts = append(m.parts, newSendCells())
	}
	if name == "" || name == "groups" {
		m.parts = append(m.parts, newGroupCells())
	}
	if len(m.parts) == 0 {
		return nil, fmt.Errorf("--part %q: want producers or groups", name)
	}
	for _, p := range m.parts {
		for _, o := range p.orders(0) {
			m.owners[runKey(o.Spec)] = p
		}
	}
	return m, nil
}

func (f *matrixFlags) run(cmd *cobra.Command) error {
	seeds, err := parseSeeds(f.seeds)
	if err != nil {
		return usage(err)
	}
	if f.jobs < 1 || f.jobs > 1024 {
		return usage(fmt.Errorf("--jobs %d: want 1 to 1024", f.jobs))
	}
	m, err := newMatrix(seeds, f.part)
	if err != nil {
		return usage(err)
	}
	ctx, stop := signal.NotifyContext(background(cmd), os.Interrupt, syscall.SIGTERM)
	defer stop()
	orders := make(chan order)
	go m.issue(ctx, orders)
	var trouble error
	err = runPool(ctx, orders, f.jobs, 1, func(x finding) bool {
		if x.trouble() != "" {
			trouble = internalError{fmt.Errorf("%s: %s", x.replay(), x.trouble())}
			return false
		}
		m.owners[runKey(x.Spec)].take(x)
		return true
	})
	if err := errors.Join(trouble, err); err != nil {
		return err
	}
	return f.print(cmd.OutOrStdout(), m)
}

// runKey names a run but for its seed.
func runKey(s scenarios.Spec) string { return s.Scenario + " " + strings.Join(s.Set, " ") }

// issue hands out runs.
func (m *matrix) issue(ctx context.Context, orders chan<- order) {
	defer close(orders)
	for i := range m.seeds.count {
		for _, p := range m.parts {
			for _, o := range p.orders(m.seeds.first + i) {
				select {
				case orders <- o:
				case <-ctx.Done():
					return
				}
			}
		}
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

// markdown returns the page, and how many promises are broken.
func (m *matrix) markdown() (text string, broken int) {
	text = "# What settings keep under which faults\n"
	for _, p := range m.parts {
		t, n := p.markdown(fmt.Sprintf("Made by `klamm matrix --part %s --seeds %d+%d` of %s. Each cell is %d runs of a cluster",
			p.name(), m.seeds.first, m.seeds.count, buildVersion().line(), m.seeds.count))
		text, broken = text+"\n"+t, broken+n
	}
	return text, broken
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
