package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

type produceFlags struct {
	remote
	separator   string
	partition   int32
	acks        string
	compression string
	headers     []string
}

func newProduceCommand() *cobra.Command {
	var f produceFlags
	cmd := &cobra.Command{
		Use:   "produce TOPIC",
		Short: "Send the lines of standard input as records",
		Long: `Send each line of standard input as a record, without its line end.

Exit code 0 says that every record was acknowledged. Else one line tells how many
were not, and how many of them may be in the log all the same.`,
		Example: `  echo hello | klamm produce orders
  klamm produce users --key-separator : < users.txt
  seq 1000 | klamm produce orders --partition 0 --compression zstd`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := f.config()
			if err != nil {
				return usage(err)
			}
			headers, err := parseHeaders(f.headers)
			if err != nil {
				return usage(err)
			}
			return f.do(cmd, func(c *call) error {
				if _, err := c.topic(args[0]); err != nil {
					return err
				}
				l := &lines{f: &f, c: c, topic: args[0], headers: headers,
					in: bufio.NewReader(cmd.InOrStdin()), out: bufio.NewWriter(cmd.OutOrStdout())}
				return l.run(config, cmd.ErrOrStderr())
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.separator, "key-separator", "K", "", "each line is a key, this, and a value")
	flags.Int32VarP(&f.partition, "partition", "p", -1, "the partition to send to; -1: by key, or any")
	flags.StringVar(&f.acks, "acks", "all", "0, 1 or all: how many replicas must hold a record before it is acknowledged")
	flags.StringVarP(&f.compression, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "a header of every record, `NAME=VALUE`; may be repeated")
	f.flags(cmd)
	return cmd
}

// config returns the producer's settings.
func (f *produceFlags) config() (client.ProducerConfig, error) {
	config, err := producerConfig(f.acks)
	if err != nil {
		return config, err
	}
	codec, err := record.ParseCodec(f.compression)
	if err != nil {
		return config, fmt.Errorf("--compression %q: want none, gzip, snappy, lz4 or zstd", f.compression)
	}
	config.Compression.Codec = codec
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

// lines sends lines until they end, and reports each record's result in their
// order.
type lines struct {
	f       *produceFlags
	c       *call
	topic   string
	headers []record.Header
	in      *bufio.Reader
	out     *bufio.Writer
	open    []*client.Delivery
	number  int

	acked, failed, unknown int
	first                  error // the first reason for a record without acknowledgement
}

// maxOpen bounds the results kept.
const maxOpen = 10000

// run sends every line. Blocks.
func (l *lines) run(config client.ProducerConfig, progress io.Writer) error {
	p, err := l.c.client.NewProducer(config)
	if err != nil {
		return err
	}
	sendErr := l.send(p)
	closeErr := p.Close(kafka.Never)
	for len(l.open) > 0 && closeErr == nil {
		closeErr = l.settle()
	}
	if err := l.out.Flush(); err != nil {
		return err
	}
	if sendErr == nil && closeErr == nil && l.failed+l.unknown == 0 && l.f.output != "json" {
		fmt.Fprintf(progress, "%d records sent to %s\n", l.acked, l.topic)
	}
	return errors.Join(l.verdict(), sendErr, closeErr)
}

// verdict tells of records that were not acknowledged.
func (l *lines) verdict() error {
	bad := l.failed + l.unknown
	if bad == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d records were not acknowledged, %d of them may be in the log; the first: %w",
		bad, bad+l.acked, l.unknown, l.first)
}

// send reads and sends lines until they end. Blocks.
func (l *lines) send(p *client.Producer) error {
	for {
		line, err := l.read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		r, err := l.record(line)
		if err != nil {
			return err
		}
		d, err := l.hand(p, r)
		if err != nil {
			return fmt.Errorf("line %d: %w", l.number, err)
		}
		l.open = append(l.open, d)
		for len(l.open) > 0 && (l.open[0].Done() || len(l.open) >= maxOpen) {
			if err := l.settle(); err != nil {
				return err
			}
		}
	}
}

func (l *lines) hand(p *client.Producer, r client.Record) (*client.Delivery, error) {
	if l.f.partition >= 0 {
		return p.SendTo(l.f.partition, r)
	}
	return p.Send(r)
}

// read returns the next line. Other tasks go on while it waits for one. Blocks.
func (l *lines) read() (line []byte, err error) {
	l.c.host.Outside(func() { line, err = l.in.ReadBytes('\n') })
	l.number++
	if err == io.EOF && len(line) > 0 {
		err = nil // the last line has no end
	}
	return bytes.TrimSuffix(line, []byte("\n")), err
}

func (l *lines) record(line []byte) (client.Record, error) {
	r := client.Record{Topic: l.topic, Value: line, Headers: l.headers}
	if l.f.separator == "" {
		return r, nil
	}
	key, value, ok := bytes.Cut(line, []byte(l.f.separator))
	if !ok {
		return r, fmt.Errorf("line %d has no %q: every line needs a key, or leave out --key-separator",
			l.number, l.f.separator)
	}
	r.Key, r.Value = key, value
	return r, nil
}

// producedJSON is the result of one record.
type producedJSON struct {
	Kind      string `json:"_kind"`
	Version   int    `json:"_version"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    *int64 `json:"offset"` // null if it is not known
	Outcome   string `json:"outcome"`
	Error     string `json:"error,omitempty"`
}

// settle reports the oldest record without a result. Blocks.
func (l *lines) settle() error {
	d := l.open[0]
	r, err := d.Wait(kafka.Never)
	if err != nil {
		return err
	}
	l.open = l.open[1:]
	switch r.Outcome {
	case client.Acked, client.Sent:
		l.acked++
	case client.Failed:
		l.failed++
	default:
		l.unknown++
	}
	if l.first == nil {
		l.first = r.Err
	}
	if l.f.output != "json" {
		return nil
	}
	j := producedJSON{Kind: "klamm.produced", Version: 1, Topic: r.Partition.Topic,
		Partition: r.Partition.Partition, Outcome: r.Outcome.String()}
	if r.Offset != kafka.NoOffset {
		o := int64(r.Offset)
		j.Offset = &o
	}
	if r.Err != nil {
		j.Error = r.Err.Error()
	}
	return printJSON(l.out, j)
}
