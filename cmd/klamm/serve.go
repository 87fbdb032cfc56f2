package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/config"
)

type serveFlags struct {
	file     string
	set      []string
	dataDir  string
	listen   string
	logLevel string
	metrics  string
}

func newServeCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a node until it is told to stop",
		Long: `Run a node until SIGINT or SIGTERM tells it to stop; a second one ends it at once.

Settings have Kafka's names. They come from --config, a properties file, then from
--data-dir and --listen, then from --set; the later wins. 'klamm list configs' tells
which there are.`,
		Example: `  klamm serve --data-dir data --listen 127.0.0.1:9092
  klamm serve --config server.properties --set log.retention.hours=24`,
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
	flags.StringVar(&f.file, "config", "", "a properties `FILE` as Kafka's")
	flags.StringArrayVar(&f.set, "set", nil, "a setting, `NAME=VALUE`; may be repeated")
	flags.StringVar(&f.dataDir, "data-dir", "", "the directory of the logs (log.dirs)")
	flags.StringVar(&f.listen, "listen", "", "where to take connections, `HOST:PORT` (listeners)")
	flags.StringVar(&f.metrics, "metrics-listen", "", "where to tell metrics for Prometheus, `HOST:PORT`, under /metrics; nowhere if not set")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	return cmd
}

// pairs returns what is set, the later winning.
func (f *serveFlags) pairs() ([]config.Pair, error) {
	if f.file == "" && f.dataDir == "" {
		return nil, errors.New("nothing says where the data is: use --data-dir DIR, or --config FILE")
	}
	var pairs []config.Pair
	if f.file != "" {
		b, err := os.ReadFile(f.file)
		if err != nil {
			return nil, err
		}
		if pairs, err = config.ParseProperties(b); err != nil {
			return nil, fmt.Errorf("%s: %w", f.file, err)
		}
	}
	if f.dataDir != "" {
		pairs = append(pairs, config.Pair{Name: "log.dirs", Value: f.dataDir})
	}
	if f.listen != "" {
		pairs = append(pairs, config.Pair{Name: "listeners", Value: "PLAINTEXT://" + f.listen})
	}
	set, err := parseSettings(f.set)
	return append(pairs, set...), err
}

// parseSettings reads NAME=VALUE, in order.
func parseSettings(args []string) ([]config.Pair, error) {
	var pairs []config.Pair
	for _, arg := range args {
		p, err := parseSetting("--set", arg)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// parseSetting reads the NAME=VALUE of a flag.
func parseSetting(flag, arg string) (config.Pair, error) {
	name, value, ok := strings.Cut(arg, "=")
	if !ok || name == "" {
		return config.Pair{}, fmt.Errorf("%s %q: want NAME=VALUE", flag, arg)
	}
	return config.Pair{Name: name, Value: value}, nil
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
