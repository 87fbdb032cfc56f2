package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/history"
)

type checkFlags struct {
	demandFlags
	acks       string
	idempotent bool
	output     string
}

func newCheckCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "Judge histories of what clients did and saw, of any Kafka cluster",
		Long: `Read histories, as 'klamm record' and other programs write them (docs/history.md), and
judge them: is every acknowledged record still there, once, in order, where it was said
to be, and did every group get it as often as promised? - is standard input. What a run was promised stands in the head of its history;
flags change it.

Exit codes: 0 every guarantee held; 1 one was broken; 2 usage, or a file that is no
history; 4 the history shows nothing either way. Of several files the worst decides.`,
		Example: `  klamm check run.jsonl
  klamm record orders --for 10s | klamm check -
  klamm check run.jsonl --retention -o json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return judging(f.run(cmd, args))
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().StringVar(&f.acks, "acks", "", "of sends that tell none: all, 1 or 0")
	cmd.Flags().BoolVar(&f.idempotent, "idempotent", false, "sends that do not tell their delivery are of an idempotent producer")
	outputFlag(cmd, &f.output)
	return cmd
}

// run judges the files.
func (f *checkFlags) run(cmd *cobra.Command, files []string) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	sends, err := f.sends(cmd)
	if err != nil {
		return usage(err)
	}
	worst := 0
	for _, file := range files {
		read, err := readHistory(file, cmd.InOrStdin(), sends)
		if err != nil {
			return usage(err)
		}
		j, err := f.judge(file, read)
		if err != nil {
			return usage(fmt.Errorf("%s: %w", file, err))
		}
		if err := f.print(cmd.OutOrStdout(), j); err != nil {
			return err
		}
		if severity(j.Code) > severity(worst) {
			worst = j.Code
		}
	}
	if worst != 0 {
		return exitCode(worst)
	}
	return nil
}

func severity(code int) int { return slices.Index([]int{0, exitInconclusive, exitViolated}, code) }

// sends says what holds for sends that do not tell.
func (f *checkFlags) sends(cmd *cobra.Command) (d history.SendDefaults, err error) {
	if f.acks != "" {
		d.Acks = new(history.Acks)
		text := f.acks
		if text == "all" {
			text = `"all"`
		}
		if err := json.Unmarshal([]byte(text), d.Acks); err != nil {
			return d, fmt.Errorf("--acks %q: want all, 1 or 0", f.acks)
		}
	}
	if cmd.Flags().Changed("idempotent") {
		d.Delivery = new(history.Delivery)
		if f.idempotent {
			*d.Delivery = history.Idempotent
		}
	}
	return d, nil
}

func readHistory(file string, stdin io.Reader, sends history.SendDefaults) (*history.File, error) {
	in := stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer opened.Close()
		in = opened
	}
	read, err := history.DecodeFile(in, history.DefaultLimits, sends)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return read, nil
}

// checkJSON is what is said of one history.
type checkJSON struct {
	Kind       string          `json:"_kind"`
	Version    int             `json:"_version"`
	File       string          `json:"file"`
	Note       string          `json:"note,omitempty"`
	Verdict    checker.Status  `json:"verdict"`
	Reason     string          `json:"reason,omitempty"`
	Operations int             `json:"operations"`
	Clients    int             `json:"clients"`
	Partitions int             `json:"partitions"`
	Demands    checker.Demands `json:"demands"`
	checker.Report
	Groups *checkedGroups `json:"groups,omitempty"`
	Code   int            `json:"exit_code"`
}

func (f *checkFlags) judge(file string, read *history.File) (*checkJSON, error) {
	demands, err := readDemands(read.Demands)
	if err == nil {
		err = f.apply(&demands)
	}
	if err != nil {
		return nil, err
	}
	h := read.History
	j := &checkJSON{
		Kind: "klamm.check", Version: 1, File: file, Note: read.Note, Demands: demands,
		Operations: h.Operations(), Clients: len(h.Clients), Partitions: len(h.Partitions),
		Report: checker.Judge(h, demands), Groups: judgeGroups(read),
	}
	if read.CutOff > 0 {
		j.Skipped = append(j.Skipped, fmt.Sprintf("line %d is cut off: whoever wrote it ended in the middle", read.CutOff))
	}
	reason, code := conclusion(&j.Report)
	j.Verdict, j.Reason, j.Code = j.Groups.conclude(j.Report.Status(), reason, code)
	return j, nil
}

// conclusion returns why a report is not one of a run that held, and the exit code.
func conclusion(r *checker.Report) (reason string, code int) {
	switch r.Status() {
	case checker.Held:
		return "", 0
	case checker.Violated:
		v := r.Violations()[0]
		if lost := r.Verdict(checker.NoLostAck).Violations; len(lost) > 0 {
			v = lost[0] // what was lost is what people ask about first
		}
		return v.String(), exitViolated
	}
	if r.Counts.Acked == 0 {
		return "nothing was acknowledged", exitInconclusive
	}
	for _, v := range r.Verdicts {
		if v.Status == checker.Inconclusive {
			return fmt.Sprintf("%s: %s", v.Guarantee, v.Reason), exitInconclusive
		}
	}
	return "", exitInconclusive
}

func (f *checkFlags) print(out io.Writer, j *checkJSON) error {
	if f.output == "json" {
		return printJSON(out, j)
	}
	demands, err := json.Marshal(j.Demands)
	if err != nil {
		return err
	}
	headline := map[checker.Status]string{
		checker.Held: "HELD", checker.Violated: "VIOLATED", checker.Inconclusive: "INCONCLUSIVE",
	}[j.Verdict] + " " + j.File
	if j.Reason != "" {
		headline += ": " + j.Reason
	}
	fmt.Fprintf(out, "%s: %d operations of %d clients in %d partitions; demands %s\n%s",
		j.File, j.Operations, j.Clients, j.Partitions, demands, &j.Report)
	if j.Groups != nil {
		j.Groups.print(out)
	}
	_, err = fmt.Fprintln(out, headline)
	return err
}
