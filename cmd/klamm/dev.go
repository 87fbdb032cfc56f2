package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/config"
)

type devFlags struct {
	brokers  int
	listen   string
	topics   []string
	set      []string
	logLevel string
	output   string
}

func newDevCommand() *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev [-- COMMAND ARGS...]",
		Short: "Run a throw-away broker, or several, alone or for the time of one command",
		Long: `Run brokers whose data are in a temporary directory that is removed at the end. With
several, up to three are controllers too, and topics have up to three replicas.

Alone, it prints the addresses to connect to and runs until SIGINT or SIGTERM. With a
command it runs until the command ends, and exits with its code; the command finds
the addresses in KAFKA_BOOTSTRAP_SERVERS and KLAMM_BOOTSTRAP.`,
		Example: `  klamm dev --topic orders:3
  klamm dev --brokers 3 --topic orders:6:3
  klamm dev --topic orders -- go test ./...`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(f.output); err != nil {
				return err
			}
			if err := checkLogLevel(f.logLevel); err != nil {
				return err
			}
			if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
				return usage(fmt.Errorf("%q: a command stands behind --", args[0]))
			}
			if f.brokers < 1 || f.brokers > maxFleet {
				return usage(fmt.Errorf("--brokers %d: want 1 to %d", f.brokers, maxFleet))
			}
			topics, err := parseTopics(f.topics)
			if err != nil {
				return usage(err)
			}
			return f.run(cmd, topics, args)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.brokers, "brokers", 1, "how many")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:0", "where to take connections, `HOST:PORT`; port 0 picks a free one; several brokers take this and the next")
	flags.StringArrayVarP(&f.topics, "topic", "t", nil, "a topic to create, `NAME[:PARTITIONS[:REPLICAS]]`; may be repeated")
	flags.StringArrayVar(&f.set, "set", nil, "a setting of the brokers, `NAME=VALUE`; may be repeated")
	flags.StringVar(&f.logLevel, "log-level", "warn", "debug, info, warn or error")
	outputFlag(cmd, &f.output)
	return cmd
}

// parseTopics reads NAME, NAME:PARTITIONS or NAME:PARTITIONS:REPLICAS.
func parseTopics(args []string) ([]client.NewTopic, error) {
	var topics []client.NewTopic
	for _, arg := range args {
		parts := strings.Split(arg, ":")
		t := client.NewTopic{Name: parts[0], Partitions: 1, Replicas: -1}
		wrong := len(parts) > 3
		if len(parts) > 1 {
			n, err := strconv.ParseInt(parts[1], 10, 32)
			t.Partitions, wrong = int32(n), wrong || err != nil || n < 1
		}
		if len(parts) > 2 {
			n, err := strconv.ParseInt(parts[2], 10, 16)
			t.Replicas, wrong = int16(n), wrong || err != nil || n < 1
		}
		if wrong {
			return nil, fmt.Errorf("--topic %q: want NAME, NAME:PARTITIONS or NAME:PARTITIONS:REPLICAS", arg)
		}
		topics = append(topics, t)
	}
	return topics, nil
}

// devJSON is what dev prints when it is ready.
type devJSON struct {
	Kind      string `json:"_kind"`
	Version   int    `json:"_version"`
	Bootstrap string `json:"bootstrap"`
}

// run runs the broker and, if there is one, the command.
func (f *devFlags) run(cmd *cobra.Command, topics []client.NewTopic, args []string) (err error) {
	set, err := parseSettings(f.set)
	if err != nil {
		return usage(err)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	dir, err := os.MkdirTemp("", "klamm-dev-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	nodes, err := f.start(cmd, dir, set)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nodes.stop()) }()
	if err := createTopics(nodes, topics); err != nil {
		return err
	}
	if len(args) > 0 {
		return runCommand(cmd, args, nodes.bootstrap(), signals)
	}
	if err := f.announce(cmd, nodes.bootstrap()); err != nil {
		return err
	}
	select {
	case err := <-nodes.failed():
		return err
	case <-signals:
		return nil
	}
}

// start starts one node that is alone, or several.
func (f *devFlags) start(cmd *cobra.Command, dir string, set []config.Pair) (*fleet, error) {
	if f.brokers > 1 {
		pairs, err := fleetPairs(f.brokers, dir, f.listen, set)
		if err != nil {
			return nil, err
		}
		return startFleet(pairs, cmd.ErrOrStderr(), f.logLevel)
	}
	p, err := startProcess(append([]config.Pair{
		{Name: "log.dirs", Value: dir},
		{Name: "listeners", Value: "PLAINTEXT://" + f.listen},
		{Name: "log.flush", Value: "os"},                       // nobody wants these data after a power loss
		{Name: "group.initial.rebalance.delay.ms", Value: "0"}, // nor to wait for members who do not come
	}, set...), cmd.ErrOrStderr(), f.logLevel)
	return &fleet{nodes: []*process{p}}, err
}

func (f *devFlags) announce(cmd *cobra.Command, address string) error {
	what := "a throw-away broker is ready; its data go when it ends"
	if f.brokers > 1 {
		what = fmt.Sprintf("%d throw-away brokers are ready; their data go when they end", f.brokers)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "klamm: "+what+" (Ctrl-C)")
	if f.output == "json" {
		return printJSON(cmd.OutOrStdout(), devJSON{"klamm.dev", 1, address})
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), address)
	return err
}

func createTopics(nodes *fleet, topics []client.NewTopic) error {
	if len(topics) == 0 {
		return nil
	}
	return nodes.do(func(c *call) error {
		results, err := c.client.CreateTopics(topics, c.deadline)
		for _, r := range results {
			err = errors.Join(err, r.Err)
		}
		return err
	})
}

// runCommand runs a command against the broker and returns its exit code as an
// error. Signals are passed on to it.
func runCommand(cmd *cobra.Command, args []string, address string, signals <-chan os.Signal) error {
	child := exec.Command(args[0], args[1:]...)
	child.Stdin, child.Stdout, child.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	child.Env = append(os.Environ(), "KAFKA_BOOTSTRAP_SERVERS="+address, "KLAMM_BOOTSTRAP="+address)
	if err := child.Start(); err != nil {
		return usage(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	for {
		select {
		case sig := <-signals:
			child.Process.Signal(sig)
		case err := <-ended:
			return codeOfChild(child, err)
		}
	}
}

// codeOfChild returns the code to exit with, as an error: the child's, or 128
// and the number of the signal that killed it.
func codeOfChild(child *exec.Cmd, err error) error {
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitCode(128 + int(status.Signal()))
	}
	return exitCode(exit.ExitCode())
}
