package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/record"
)

type recordFlags struct {
	remote
	demandFlags
	duration    time.Duration
	sends       int
	rate        float64
	producers   int
	consumers   int
	partitions  int32
	valueSize   int
	keys        int
	acks        string
	idempotent  bool
	compression string
	delivery    time.Duration
	out         string
	note        string
}

func newRecordCommand() *cobra.Command {
	var f recordFlags
	cmd := &cobra.Command{
		Use:   "record TOPIC",
		Short: "Produce and consume for a while, and write down what was seen, for klamm check",
		Long: `Run producers and consumers against any cluster, read everything back at the end, and
write the history (docs/history.md) to standard output. The topic is created if there
is none. Stop, kill or partition brokers meanwhile as you like: what matters is that
they are back at the end.

What the run was promised it finds out from the cluster: several brokers elect leaders,
and the topic's cleanup.policy, retention and unclean election say what may go. Flags
win. Nobody else may write to the topic meanwhile.

SIGINT ends the sending, and what was sent is still read back; a second one ends it
at once.`,
		Example: `  klamm record orders --for 30s > run.jsonl && klamm check run.jsonl
  klamm record orders --records 100000 --rate 0 --producers 5 --acks 1 | klamm check -
  klamm record users --keys 100 --compacted --out run.jsonl`,
		Args: oneArgument("the topic"),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := f.config()
			if err != nil {
				return usage(err)
			}
			return f.run(cmd, args[0], config)
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&f.duration, "for", 10*time.Second, "how long to send")
	flags.IntVarP(&f.sends, "records", "n", 0, "send so many records, however long it takes; 0: as --for says")
	flags.Float64Var(&f.rate, "rate", 1000, "records a second, all producers together; 0: as fast as they go")
	flags.IntVar(&f.producers, "producers", 3, "how many send")
	flags.IntVar(&f.consumers, "consumers", 2, "how many read along, every one everything")
	flags.Int32Var(&f.partitions, "partitions", -1, "of the topic, if it is created; -1: what the cluster is set to")
	flags.IntVar(&f.valueSize, "value-size", 100, "bytes of a value, at least 32")
	flags.IntVar(&f.keys, "keys", 50, "how many different keys each producer uses; 0: no keys")
	flags.StringVar(&f.acks, "acks", "all", "0, 1 or all")
	flags.BoolVar(&f.idempotent, "idempotent", true, "with acks=all: sequence numbers, so that retries neither duplicate nor reorder")
	flags.StringVarP(&f.compression, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	flags.DurationVar(&f.delivery, "delivery-timeout", time.Minute, "how long a producer tries, and how long the reading at the end may take")
	flags.StringVar(&f.out, "out", "-", "the `FILE` to write; - is standard output")
	flags.StringVar(&f.note, "note", "", "a text to find in the verdict")
	f.add(flags)
	f.connectFlags(cmd)
	return cmd
}

// config returns how the producers send.
func (f *recordFlags) config() (client.ProducerConfig, error) {
	config, err := producerConfig(f.acks)
	if err != nil {
		return config, err
	}
	config.Idempotent = config.Idempotent && f.idempotent
	if config.Compression.Codec, err = record.ParseCodec(f.compression); err != nil {
		return config, fmt.Errorf("--compression %q: want none, gzip, snappy, lz4 or zstd", f.compression)
	}
	config.DeliveryTimeout, config.MaxBlock = f.delivery, f.delivery
	switch {
	case f.producers < 1 || f.producers > 1000 || f.consumers < 0 || f.consumers > 1000:
		err = fmt.Errorf("--producers %d --consumers %d: want 1 to 1000, and up to 1000", f.producers, f.consumers)
	case f.sends < 0 || f.duration <= 0 || f.rate < 0 || f.keys < 0 || f.delivery < time.Second:
		err = fmt.Errorf("--records, --for, --rate, --keys: not negative; --delivery-timeout: a second at least")
	case f.valueSize < minValue || f.valueSize > 1<<19:
		err = fmt.Errorf("--value-size %d: want %d to %d", f.valueSize, minValue, 1<<19)
	}
	return config, err
}

// run records.
func (f *recordFlags) run(cmd *cobra.Command, topic string, config client.ProducerConfig) error {
	if err := f.apply(new(checker.Demands)); err != nil {
		return usage(err)
	}
	out, closeOut := cmd.OutOrStdout(), func() error { return nil }
	if f.out != "-" {
		file, err := os.Create(f.out)
		if err != nil {
			return usage(err)
		}
		out, closeOut = file, file.Close
	}
	err := f.talk(cmd, finishFirst, func(c *call) error {
		w := &workload{f: f, c: c, topic: topic, config: config, journal: newJournal(c, out),
			meter: newMeter(io.Discard, cmd.ErrOrStderr()), errs: cmd.ErrOrStderr()}
		return w.run()
	})
	if closeErr := closeOut(); err == nil {
		err = closeErr
	}
	return err
}
