package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

type serveFlags struct {
	nodeFlags
	logLevel string
	metrics  string
}

func newServeCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a node until it is told to stop",
		Long: `Run a node until SIGINT or SIGTERM tells it to stop; a second one ends it at once.

A node is a broker, a controller, or both. Without --voters, and on directories that
were not formatted with them, it is the only controller of a cluster of its own; with
them it is one of those that are named, or a broker that follows them.

` + settingsHelp,
		Example: `  klamm serve --data-dir data --listen 127.0.0.1:9092
  klamm serve --config server.properties --set log.retention.hours=24
  klamm serve --node-id 1 --data-dir data --listen 10.0.0.1:9092 --controller-listen 10.0.0.1:9093 \
    --voters 1@10.0.0.1:9093,2@10.0.0.2:9093,3@10.0.0.3:9093`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLogLevel(f.logLevel); err != nil {
				return err
			}
			pairs, err := f.pairs()
			if err != nil {
				return usage(err)
			}
			return f.serve(pairs, cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	f.register(cmd)
	f.registerPlace(cmd)
	flags.StringVar(&f.metrics, "metrics-listen", "", "where to tell metrics for Prometheus, `HOST:PORT`, under /metrics; nowhere if not set")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	return cmd
}

// serve runs a node until a signal ends it.
func (f *serveFlags) serve(pairs []config.Pair, out io.Writer) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	var told *exposition
	if f.metrics != "" {
		var err error
		if told, err = listenMetrics(f.metrics); err != nil {
			return err
		}
		defer told.close()
	}
	tellIfJoining(pairs, out)
	p, err := startProcess(pairs, out, f.logLevel)
	if err != nil {
		return err
	}
	defer p.logs.Close()
	if told != nil {
		told.serve(p)
		fmt.Fprintf(out, "klamm: metrics at %s\n", told.url())
	}
	fmt.Fprintf(out, "klamm: ready at %s\n", p.address())
	select {
	case err := <-p.failed():
		return err // at once: what was acknowledged is on the disk
	case sig := <-signals:
		fmt.Fprintf(out, "klamm: %v: stopping; once more to end at once\n", sig)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- p.stop() }()
	patient := time.After(oneSignalWithin)
	for {
		select {
		case err := <-stopped:
			return err
		case <-patient:
			patient = nil
		case <-signals:
			if patient == nil {
				return errInterrupted
			}
		}
	}
}

// oneSignalWithin is how long another signal counts as the same: timeout(1) and
// service managers tell the process and then its group.
const oneSignalWithin = 500 * time.Millisecond

// tellIfJoining says what a controller waits for that is not among the voters.
func tellIfJoining(pairs []config.Pair, out io.Writer) {
	settings, err := config.NewBroker(pairs)
	if err != nil || !config.IsController(settings) {
		return
	}
	voters, id := config.VotersIn(settings), kafka.NodeID(config.NodeID.In(settings))
	if len(voters) == 0 || slices.ContainsFunc(voters, func(v config.Voter) bool { return v.ID == id }) {
		return
	}
	fmt.Fprintf(out, "klamm: controller %d is not among the voters: it joins when 'klamm cluster voters add %d' says so\n", id, id)
}
