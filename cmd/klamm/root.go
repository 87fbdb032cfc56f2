package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// streams are what a command reads and writes: results go to out, everything
// else to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// commands are all there are, in the order of the help.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newDevCommand(),
		newServeCommand(),
		newFormatCommand(),
		newHealthCommand(),
		newClusterCommand(),
		newDrainCommand(),
		newUndrainCommand(),
		newTopicCommand(),
		newGroupCommand(),
		newBrokerCommand(),
		newProduceCommand(),
		newConsumeCommand(),
		newRecordCommand(),
		newCheckCommand(),
		newInspectCommand(),
		newRunCommand(),
		newReplayCommand(),
		newShrinkCommand(),
		newHuntCommand(),
		newDiffCommand(),
		newWhyCommand(),
		newReportCommand(),
		newCampaignCommand(),
		newMatrixCommand(),
		newListCommand(),
		newVersionCommand(),
		newWorkerCommand(),
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "klamm",
		Short: "A Kafka-compatible replicated log that runs under a simulator and on real sockets",
		Example: `  klamm dev --topic orders:3                     a throw-away broker on free ports
  klamm dev -- go test ./...                     the same, for the time of one command
  klamm serve --data-dir data --listen :9092     a broker
  klamm run power-loss --seeds 0..100            a hundred simulated power losses`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(commands()...)
	root.AddCommand(&cobra.Command{Use: "exit-codes", Short: "What exit codes say", Long: exitCodesHelp})
	root.InitDefaultCompletionCmd("completion")
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.Args = oneOf("bash", "zsh", "fish", "powershell")
		c.RunE = func(*cobra.Command, []string) error { return nil } // of what cobra adds, only the sub-commands do something
	}
	root.Version = buildVersion().line()
	root.SetVersionTemplate("{{.Version}}\n")
	return root
}

// oneArgument wants exactly one argument, and says what it is.
func oneArgument(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%d arguments: want %s", len(args), what)
		}
		return nil
	}
}

// oneOf wants exactly one argument out of some.
func oneOf(choices ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 || !slices.Contains(choices, args[0]) {
			return fmt.Errorf("%q: want one of %s", strings.Join(args, " "), strings.Join(choices, ", "))
		}
		return nil
	}
}

// execute runs the command that args name and returns the process's exit code.
func execute(args []string, s streams) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	began := false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	cmd, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	if !began {
		err = usage(err) // cobra did not like the arguments
	}
	code := codeOf(err)
	tellError(cmd, err, code, s)
	return code
}

// tellError tells an error in one line, and on standard output too if the command
// was to print JSON.
func tellError(cmd *cobra.Command, err error, code int, s streams) {
	var told exitCode
	if errors.As(err, &told) {
		return
	}
	line := strings.ReplaceAll(err.Error(), "\n", "; ")
	if code == exitUsage {
		line += fmt.Sprintf(" (see '%s --help')", cmd.CommandPath())
	}
	fmt.Fprintf(s.err, "klamm: %s\n", line)
	if o := cmd.Flags().Lookup("output"); o != nil && o.Value.String() == "json" {
		outcome := client.OutcomeOf(err)
		if code == exitUsage {
			outcome = kafka.Definite // nothing was tried
		}
		printJSON(s.out, errorJSON{"klamm.error", 1, err.Error(), outcome.String(), code})
	}
}

// errorJSON is what a command that was to print JSON prints when it failed.
type errorJSON struct {
	Kind    string `json:"_kind"`
	Version int    `json:"_version"`
	Error   string `json:"error"`
	Outcome string `json:"outcome"`
	Code    int    `json:"exit_code"`
}

// printJSON prints one object on one line.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// outputFlag adds -o to a command.
func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "text", "text or json")
}

func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return usage(fmt.Errorf("--output %q: want text or json", output))
	}
	return nil
}

// interrupted turns the cancellation a signal caused into its exit code.
func interrupted(err error) error {
	if errors.Is(err, env.ErrCanceled) {
		return errInterrupted
	}
	return err
}
