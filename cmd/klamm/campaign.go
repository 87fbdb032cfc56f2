package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
	"golang.org/x/term"
)

// failuresShown bounds how many failures are printed; all are counted. The first
// of each scenario is printed with its evidence.
const failuresShown = 10

// A campaign gathers what came of many runs.
type campaign struct {
	flags    runFlags
	names    []string
	rows     map[string]*row
	failures []finding // in order of scenario and seed once printed
	failed   int
	ended    error // why it ended before all was done, or nil
	gate     *gate // what it is to pass, or nil
	progress *progress
	begun    time.Time
	had      cover
}

// A row is what came of one scenario.
type row struct {
	Scenario   string               `json:"scenario"`
	Seeds      int                  `json:"seeds"`
	Operations scenarios.Operations `json:"operations"`
	Virtual    time.Duration        `json:"virtual_ns"`
	Faults     map[string]uint64    `json:"faults_effective"`
	Verdicts   map[string]int       `json:"verdicts"`
	Repeated   int                  `json:"repeated_identically"`
	Took       time.Duration        `json:"-"` // of real time, by whichever process
	Chains     uint64               `json:"-"`
	Digest     string               `json:"chains_digest"` // of the chains of all runs, in any order

	Movements *scenarios.MovementSummary `json:"movements,omitempty"` // of runs with several nodes
	Cases     map[string]int             `json:"cases,omitempty"`     // runs of each, where the scenario has several
	moved     []*scenarios.Movements

	Deliveries []scenarios.DeliverySummary `json:"deliveries,omitempty"` // of groups, by mode
	delivered  []scenarios.Delivery
}

// digest makes one number of a run's seed and chain. Summed up they identify a
// campaign, whatever order its runs ended in.
func digest(f finding) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d %s", f.Spec.Scenario, f.Spec.Seed, f.Result.Chain)
	return h.Sum64()
}

func newCampaign(names []string, f runFlags) *campaign {
	c := &campaign{flags: f, names: names, rows: map[string]*row{}, begun: time.Now(), progress: newProgress(os.Stderr)}
	for _, name := range names {
		c.rows[name] = &row{Scenario: name, Faults: map[string]uint64{}, Verdicts: map[string]int{}}
	}
	c.had.expect(names)
	return c
}

// take adds a finding and reports whether to go on.
func (c *campaign) take(f finding) bool {
	r := c.rows[f.row()]
	r.Seeds++
	r.Took += f.Took
	r.Operations = r.Operations.Add(f.Result.Operations)
	r.Virtual += time.Duration(f.Result.VirtualNanos)
	r.Chains += digest(f)
	r.Digest = fmt.Sprintf("%016x", r.Chains)
	for _, fault := range f.Result.Faults {
		r.Faults[fault.Name] += fault.Times
	}
	if f.Result.Case != "" {
		if r.Cases == nil {
			r.Cases = map[string]int{}
		}
		r.Cases[f.Result.Case]++
	}
	if f.Result.Movements != nil {
		r.moved = append(r.moved, f.Result.Movements)
	}
	r.delivered = append(r.delivered, f.Result.Deliveries...)
	r.Verdicts[verdictOf(f)]++
	c.had.add(f)
	if f.Again != nil && f.diverged() == nil {
		r.Repeated++
	}
	if verdictOf(f) != string(scenarios.Held) {
		c.failures = append(c.failures, f)
		c.failed++
	}
	c.progress.show(c)
	return !c.enough()
}

// enough reports whether as many runs failed as are wanted.
func (c *campaign) enough() bool { return c.flags.failFast > 0 && c.failed >= c.flags.failFast }

// Verdicts of a finding that are not a run's.
const (
	verdictInternal = "internal-error"
	verdictDiverged = "not-deterministic"
)

func verdictOf(f finding) string {
	switch {
	case f.Result.Verdict == scenarios.Violated || f.Result.Verdict == scenarios.Crashed:
		return string(f.Result.Verdict)
	case f.Died != nil || f.Error != "":
		return verdictInternal
	case f.diverged() != nil:
		return verdictDiverged
	}
	return string(f.Result.Verdict)
}

// exitOf ranks verdicts: what breaks a promise outranks what breaks our tools.
var exitOf = []struct {
	verdict string
	code    int
}{
	{string(scenarios.Violated), exitViolated},
	{string(scenarios.Crashed), exitViolated},
	{verdictDiverged, exitNotDeterministic},
	{verdictInternal, exitInternal},
	{string(scenarios.Stuck), exitStuck},
	{string(scenarios.Inconclusive), exitInconclusive},
}

// exit returns the campaign's exit code as an error, nil if every run held. What
// was found before a campaign ended early counts.
func (c *campaign) exit() error {
	for _, e := range exitOf {
		for _, r := range c.rows { //klamm:unordered any row decides
			if r.Verdicts[e.verdict] > 0 {
				return exitCode(e.code)
			}
		}
	}
	if c.ended == nil && (len(c.missed()) > 0 || c.gateMissed() != "") {
		return exitCode(exitMissed)
	}
	if c.ended != nil && c.flags.output == "json" {
		return exitCode(codeOf(judging(c.ended))) // the object has told it
	}
	return judging(c.ended)
}

func (c *campaign) sortFailures() {
	slices.SortStableFunc(c.failures, func(a, b finding) int {
		if d := slices.Index(c.names, a.row()) - slices.Index(c.names, b.row()); d != 0 {
			return d
		}
		return cmp.Compare(a.Spec.Seed, b.Spec.Seed)
	})
}

// conclude makes what depends on all runs together.
func (c *campaign) conclude() {
	c.sortFailures()
	for _, r := range c.rows { //klamm:unordered each by itself
		if len(r.moved) > 0 {
			r.Movements = scenarios.SummaryOf(r.moved)
		}
		r.Deliveries = scenarios.SummaryOfDeliveries(r.delivered)
	}
}

func (c *campaign) print(out, errs io.Writer) error {
	c.conclude()
	buffered := bufio.NewWriter(out)
	if c.flags.output == "json" {
		if err := c.printJSON(buffered); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(errs, c.summary())
		c.printText(buffered, errs)
	}
	return buffered.Flush()
}

func (c *campaign) printText(out, errs io.Writer) {
	c.printTable(out)
	c.printMovements(out)
	c.printDeliveries(out)
	c.printCases(out)
	c.printCoverage(out)
	inFull := map[string]bool{}
	for i, f := range c.failures {
		if i == failuresShown {
			fmt.Fprintf(out, "\n… and %d more failures\n", len(c.failures)-i)
			break
		}
		if inFull[f.row()] {
			fmt.Fprintln(out, f.headline())
			continue
		}
		inFull[f.row()] = true
		fmt.Fprintln(out)
		if err := printFinding(out, f); err != nil {
			fmt.Fprintln(errs, "the divergence cannot be shown:", err)
		}
	}
	if len(c.failures) > 0 {
		fmt.Fprintf(out, "\nreplay: %s\n", c.worst().replay())
	}
	if c.ended != nil && len(c.failures) > 0 {
		fmt.Fprintf(errs, "klamm: not all was run: %v\n", c.ended)
	}
	if missed := c.gateMissed(); missed != "" {
		fmt.Fprintf(errs, "klamm: the gate is missed: %s\n", missed)
	}
}

// worst returns the first of the failures that decide the exit code.
func (c *campaign) worst() finding {
	for _, e := range exitOf {
		for _, f := range c.failures {
			if verdictOf(f) == e.verdict {
				return f
			}
		}
	}
	return c.failures[0]
}

func (f finding) replay() string {
	if f.File != "" {
		return scenarios.ReplayCommand(f.File, f.Given)
	}
	return replayOf(f.Spec)
}

func replayOf(s scenarios.Spec) string {
	return scenarios.Result{Scenario: s.Scenario, Seed: s.Seed, Set: s.Set}.Replay()
}

func (f finding) name() string { return fmt.Sprintf("%s seed %d", f.row(), f.Spec.Seed) }

// row names what a run counts for: its case file, or its scenario.
func (o order) row() string {
	if o.File != "" {
		return o.File
	}
	return o.Spec.Scenario
}

// headline tells a failure in one line.
func (f finding) headline() string {
	switch verdictOf(f) {
	case verdictInternal:
		line, _, _ := strings.Cut(f.trouble(), "\n")
		return fmt.Sprintf("INTERNAL %s: %s", f.name(), line)
	case verdictDiverged:
		return fmt.Sprintf("NOT DETERMINISTIC %s: chain %s, repeated %s", f.name(), f.Result.Chain, f.diverged().Chain)
	}
	return f.Result.Headline()
}

// trouble says what our own tooling failed with.
func (f finding) trouble() string {
	if f.Died != nil {
		return f.Died.Error()
	}
	return f.Error
}

// printFinding prints one failure in full.
func printFinding(out io.Writer, f finding) error {
	if f.Result.Verdict != "" {
		printResult(out, f.Result, 1)
	}
	if trouble := f.trouble(); trouble != "" {
		fmt.Fprintf(out, "INTERNAL %s: %s\n", f.name(), trouble)
	}
	if again := f.diverged(); again != nil {
		fmt.Fprintf(out, "NOT DETERMINISTIC %s: chain %s, repeated %s\n", f.name(), f.Result.Chain, again.Chain)
		return explainDivergence(out, f.Spec)
	}
	return nil
}

// printResult prints what went wrong in a run, or that nothing did: of each broken
// guarantee up to most violations with their evidence.
func printResult(out io.Writer, r scenarios.Result, most int) {
	if r.Verdict == scenarios.Held {
		fmt.Fprintf(out, "HELD %s seed %d: %d guarantees over %d operations\n", r.Scenario, r.Seed, len(r.Judged), r.Operations.Total)
		return
	}
	fmt.Fprintln(out, r.Headline())
	shown := map[string]int{}
	for _, v := range r.Violations {
		if shown[v.Guarantee]++; shown[v.Guarantee] > most {
			continue
		}
		fmt.Fprintf(out, "  %s: %s\n", v.Guarantee, v.Sentence)
		for _, e := range v.Events {
			fmt.Fprintf(out, "      %s\n", e)
		}
	}
	if more := len(r.Violations) - printed(shown, most); more > 0 {
		fmt.Fprintf(out, "  … and %d more like these\n", more)
	}
	for _, p := range r.Pending {
		fmt.Fprintf(out, "  pending: %s\n", p)
	}
}

func printed(shown map[string]int, most int) (n int) {
	for _, times := range shown { //klamm:unordered a sum
		n += min(times, most)
	}
	return n
}

func (c *campaign) printTable(out io.Writer) {
	lines := [][]string{{"SCENARIO", "SEEDS", "OPERATIONS", "VIRTUAL", "VERDICT", "CHAINS", "FAULTS THAT TOOK EFFECT"}}
	for _, name := range c.names {
		r := c.rows[name]
		lines = append(lines, []string{
			name, fmt.Sprint(r.Seeds), fmt.Sprint(r.Operations.Total),
			r.Virtual.Round(time.Second).String(), c.verdictCell(r), r.Digest, faultsCell(r.Faults),
		})
	}
	writeColumns(out, lines)
}

// printMovements prints what moved in the clusters, in the median of a run.
func (c *campaign) printMovements(out io.Writer) {
	lines := [][]string{{"MEDIAN OF A RUN", "ELECTIONS", "IN-SYNC CHANGES", "TRUNCATIONS", "CONTROLLER CHANGES", "WITHOUT A LEADER", "LONGEST"}}
	for _, name := range c.names {
		if m := c.rows[name].Movements; m != nil {
			lines = append(lines, []string{name, fmt.Sprint(m.Elections), fmt.Sprint(m.ISRChanges), fmt.Sprint(m.Truncations),
				fmt.Sprint(m.ControllerChanges), time.Duration(m.LeaderlessNanos).String(), time.Duration(m.LongestNanos).String()})
		}
	}
	if len(lines) > 1 {
		fmt.Fprintln(out)
		writeColumns(out, lines)
	}
}

// printCases prints how often each case of a scenario was run.
func (c *campaign) printCases(out io.Writer) {
	lines := [][]string{{"CASE", "SEEDS"}}
	for _, name := range c.names {
		cases := c.rows[name].Cases
		for _, of := range slices.Sorted(maps.Keys(cases)) {
			lines = append(lines, []string{name + ": " + of, fmt.Sprint(cases[of])})
		}
	}
	if len(lines) > 1 {
		fmt.Fprintln(out)
		writeColumns(out, lines)
	}
}

func (c *campaign) verdictCell(r *row) string {
	var cells []string
	for _, v := range []string{"held", "violated", "crashed", verdictDiverged, verdictInternal, "stuck", "inconclusive"} {
		if n := r.Verdicts[v]; n > 0 {
			if v == "held" && len(r.Verdicts) == 1 {
				cells = append(cells, v)
			} else {
				cells = append(cells, fmt.Sprintf("%s %d", v, n))
			}
		}
	}
	if c.flags.repeat > 1 && r.Seeds > 0 && (c.gate == nil || r.Repeated > 0) {
		cells = append(cells, fmt.Sprintf("identical %d", r.Repeated))
	}
	if len(cells) == 0 {
		return "not run"
	}
	return strings.Join(cells, ", ")
}

func faultsCell(faults map[string]uint64) string {
	var cells []string
	for name, n := range faults { //klamm:unordered sorted below
		cells = append(cells, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(cells)
	if len(cells) == 0 {
		return "-"
	}
	return strings.Join(cells, ", ")
}

// writeColumns prints lines of cells, each column as wide as its widest cell.
func writeColumns(out io.Writer, lines [][]string) error {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, line := range lines {
		var b strings.Builder
		for i, cell := range line {
			fmt.Fprintf(&b, "%-*s  ", widths[i], cell)
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

func (c *campaign) runs() (n int) {
	for _, r := range c.rows { //klamm:unordered a sum
		n += r.Seeds
	}
	return n
}

func (c *campaign) summary() string {
	took := time.Since(c.begun)
	failures := "failures"
	if c.failed == 1 {
		failures = "failure"
	}
	return fmt.Sprintf("%d runs in %s (%.1f a second), %d %s", c.runs(), took.Round(time.Millisecond),
		float64(c.runs())/took.Seconds(), c.failed, failures)
}

// A runReport is the JSON form of a campaign; see docs/json.md.
type runReport struct {
	Kind     string          `json:"_kind"`
	Version  int             `json:"_version"`
	Rows     []*row          `json:"scenarios"`
	Coverage *coverageReport `json:"coverage,omitempty"` // if it was asked for
	Failures []failureReport `json:"failures"`
	Gate     *gateReport     `json:"gate,omitempty"`
	Error    string          `json:"error,omitempty"` // why not all was run
	Exit     int             `json:"exit_code"`
}

type failureReport struct {
	Verdict string            `json:"verdict"`
	Replay  string            `json:"replay"`
	Error   string            `json:"error,omitempty"`
	Again   *sim.Chain        `json:"repeated_chain,omitempty"` // of the first repetition that differs
	Result  *scenarios.Result `json:"result,omitempty"`
}

// withoutNulls gives lists that nothing is in the form [].
func withoutNulls(r scenarios.Result) scenarios.Result {
	for _, list := range []*[]string{&r.Options, &r.Families, &r.Drawn, &r.Judged, &r.Switches} {
		if *list == nil {
			*list = []string{}
		}
	}
	if r.Sizes == nil {
		r.Sizes = []scenarios.Size{}
	}
	for _, list := range []*[]sim.Count{&r.Faults, &r.Probes, &r.Buggify} {
		if *list == nil {
			*list = []sim.Count{}
		}
	}
	return r
}

func (c *campaign) printJSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(c.report())
}

func (c *campaign) report() runReport {
	r := runReport{Kind: "klamm.run", Version: 1, Coverage: c.coverage(), Failures: []failureReport{}, Gate: c.gateReport(), Exit: codeOf(c.exit())}
	if c.ended != nil {
		r.Error = c.ended.Error()
	}
	for _, name := range c.names {
		r.Rows = append(r.Rows, c.rows[name])
	}
	for _, f := range c.failures {
		report := failureReport{Verdict: verdictOf(f), Replay: f.replay(), Error: f.trouble()}
		if again := f.diverged(); again != nil {
			report.Again = &again.Chain
		}
		if f.Result.Verdict != "" {
			r := withoutNulls(f.Result)
			report.Result = &r
		}
		r.Failures = append(r.Failures, report)
	}
	return r
}

// progress shows how far a campaign is: one line that is rewritten on a
// terminal, and a line every half minute elsewhere.
type progress struct {
	out      *os.File
	terminal bool
	last     time.Time
}

func newProgress(out *os.File) *progress {
	return &progress{out: out, terminal: term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb", last: time.Now()}
}

func (p *progress) show(c *campaign) {
	pace := 30 * time.Second
	if p.terminal {
		pace = 200 * time.Millisecond
	}
	if time.Since(p.last) < pace {
		return
	}
	p.last = time.Now()
	if p.terminal {
		fmt.Fprintf(p.out, "\r\033[K%s", c.summary())
	} else {
		fmt.Fprintln(p.out, c.summary())
	}
}

func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\033[K")
	}
}
