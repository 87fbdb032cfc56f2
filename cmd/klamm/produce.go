package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/partitioner"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

type produceFlags struct {
	remote
	inputFlags
	partition   int32
	partitioner string
	acks        string
	idempotent  bool
	compression string
	headers     []string
	timestamp   string
	batchSize   int
	linger      time.Duration
}

func newProduceCommand() *cobra.Command {
	var f produceFlags
	cmd := &cobra.Command{
		Use:   "produce TOPIC [FILE...]",
		Short: "Send lines, files or JSON objects as records",
		Long: `Send each line of standard input as a record, without its line end; or each FILE as
one record; or with --input json each line as the record that its JSON object
describes: key, value, headers, partition, timestamp, as 'klamm consume -o json' prints
them; key_base64 and value_base64 for bytes; a value that is no string is sent as JSON.

A tombstone is a record with a key whose value is null: --null says which text stands
for null, in keys and in values, and in JSON it is null.

Exit code 0 says that every record was acknowledged (with --acks 0: sent). Else the
records that were not are told, and whether they may be in the log all the same. SIGINT
ends the reading; what was read is still sent.`,
		Example: `  echo hello | klamm produce orders
  klamm produce users --key-separator : < users.txt
  echo user-7: | klamm produce users -K : --null ''
  seq 1000 | klamm produce orders --partition 0 --compression zstd
  klamm produce pictures --key logo logo.png
  klamm consume orders -e -o json | klamm produce copies --input json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.hasNull, f.hasKey = cmd.Flags().Changed("null"), cmd.Flags().Changed("key")
			config, err := f.config()
			if err != nil {
				return usage(err)
			}
			composer, err := f.composer(args[0])
			if err != nil {
				return usage(err)
			}
			in, err := f.open(cmd.InOrStdin(), args[1:])
			if err != nil {
				return usage(err)
			}
			return f.talk(cmd, finishFirst, func(c *call) error {
				if _, err := c.topic(args[0]); err != nil {
					return err
				}
				return newSending(cmd, &f, c).run(config, in, composer)
			})
		},
	}
	flags := cmd.Flags()
	f.inputFlags.add(flags)
	flags.Int32VarP(&f.partition, "partition", "p", -1, "the partition to send to; -1: the partitioner chooses")
	flags.StringVar(&f.partitioner, "partitioner", "default", "default (by key as Java does, else sticky), sticky or round-robin")
	flags.StringVar(&f.acks, "acks", "all", "0, 1 or all: how many replicas must hold a record before it is acknowledged")
	flags.BoolVar(&f.idempotent, "idempotent", true, "with --acks all: retries neither duplicate nor reorder")
	flags.StringVarP(&f.compression, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "a header of every record, `NAME=VALUE`; may be repeated")
	flags.StringVar(&f.timestamp, "timestamp", "", "of every record: milliseconds since 1970, or as RFC 3339; now by default")
	flags.IntVar(&f.batchSize, "batch-size", 256<<10, "bytes of a batch")
	flags.DurationVar(&f.linger, "linger", 5*time.Millisecond, "how long a batch waits for more records")
	f.flags(cmd)
	return cmd
}

// config returns the producer's settings.
func (f *produceFlags) config() (client.ProducerConfig, error) {
	config, err := producerConfig(f.acks)
	if err != nil {
		return config, err
	}
	config.Idempotent = config.Idempotent && f.idempotent
	codec, err := record.ParseCodec(f.compression)
	if err != nil {
		return config, fmt.Errorf("--compression %q: want none, gzip, snappy, lz4 or zstd", f.compression)
	}
	config.Compression.Codec = codec
	switch f.partitioner {
	case "default":
	case "sticky":
		config.Partitioner = partitioner.Sticky(f.batchSize)
	case "round-robin":
		config.Partitioner = partitioner.RoundRobin()
	default:
		return config, fmt.Errorf("--partitioner %q: want default, sticky or round-robin", f.partitioner)
	}
	if f.batchSize < 1 || f.batchSize > config.MaxRequestSize || f.linger < 0 || f.linger >= f.timeout {
		return config, fmt.Errorf("--batch-size %d: want 1 to %d; --linger %v: want less than --timeout",
			f.batchSize, config.MaxRequestSize, f.linger)
	}
	config.BatchSize, config.Linger = f.batchSize, f.linger
	config.MaxBlock, config.DeliveryTimeout = f.timeout, f.timeout
	return config, nil
}

// producerConfig returns the settings of a producer that asks for so many
// acknowledgements.
func producerConfig(acks string) (client.ProducerConfig, error) {
	config := client.DefaultProducer()
	switch acks {
	case "all", "-1":
	case "1":
		config.Acks, config.Idempotent = kafka.AcksLeader, false
	case "0":
		config.Acks, config.Idempotent = kafka.AcksNone, false
	default:
		return config, fmt.Errorf("--acks %q: want 0, 1 or all", acks)
	}
	return config, nil
}

func parseHeaders(args []string) ([]record.Header, error) {
	var out []record.Header
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("--header %q: want NAME=VALUE", arg)
		}
		out = append(out, record.Header{Key: name, Value: []byte(value)})
	}
	return out, nil
}
