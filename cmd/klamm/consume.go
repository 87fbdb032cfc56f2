package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

type consumeFlags struct {
	remote
	offset     string
	partitions []int32
	count      int
	exitAtEnd  bool
	format     string
}

func newConsumeCommand() *cobra.Command {
	var f consumeFlags
	cmd := &cobra.Command{
		Use:   "consume TOPIC",
		Short: "Print records",
		Long: `Print the records of a topic, until it is interrupted, or --count or --exit-at-end
end it. The record format of -f:

` + formatHelp,
		Example: `  klamm consume orders --exit-at-end
  klamm consume orders --offset -10 -f '%p@%o %k: %s\n'
  klamm consume orders -o json --count 1`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := parseTemplate(f.format)
			if err != nil {
				return usage(err)
			}
			begin, err := parseBegin(f.offset)
			if err != nil {
				return usage(err)
			}
			if f.count < 0 {
				return usage(fmt.Errorf("--count %d: want 0, for all, or more", f.count))
			}
			return f.do(cmd, func(c *call) error {
				r := &reading{f: &f, c: c, format: format, out: bufio.NewWriter(cmd.OutOrStdout()), err: cmd.ErrOrStderr()}
				return r.run(args[0], begin)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.offset, "offset", "O", "beginning", "where to begin in each partition: beginning, end, an offset, or -N for the last N records")
	flags.Int32SliceVarP(&f.partitions, "partition", "p", nil, "the partitions to read; all by default")
	flags.IntVarP(&f.count, "count", "n", 0, "end after so many records")
	flags.BoolVarP(&f.exitAtEnd, "exit-at-end", "e", false, "end after the records that were there at the start")
	flags.StringVarP(&f.format, "format", "f", `%s\n`, "how to print a record as text")
	f.flags(cmd)
	return cmd
}

// A begin is where to begin in each partition: at a place, or so many records
// before the end.
type begin struct {
	place client.Start
	last  int64
}

func parseBegin(s string) (begin, error) {
	switch s {
	case "beginning", "start", "earliest":
		return begin{place: client.Earliest()}, nil
	case "end", "latest":
		return begin{place: client.Latest()}, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return begin{}, fmt.Errorf("--offset %q: want beginning, end, a number, or -N for the last N records", s)
	}
	if n < 0 {
		return begin{last: -n}, nil
	}
	return begin{place: client.At(kafka.Offset(n))}, nil
}

// A reading prints records.
type reading struct {
	f      *consumeFlags
	c      *call
	format template
	out    *bufio.Writer
	err    io.Writer
	cons   *client.Consumer
	tps    []kafka.TopicPartition
	ends   map[kafka.TopicPartition]kafka.Offset // with --exit-at-end: of the partitions not read to the end
	count  int
}

// run reads until the end. Blocks.
func (r *reading) run(topic string, from begin) error {
	t, err := r.c.topic(topic)
	if err != nil {
		return err
	}
	partitions := r.f.partitions
	if len(partitions) == 0 {
		for _, p := range t.Partitions {
			partitions = append(partitions, p.ID)
		}
	}
	for _, p := range partitions {
		if p < 0 || int(p) >= len(t.Partitions) {
			return usage(fmt.Errorf("--partition %d: topic %s has partitions 0 to %d", p, topic, len(t.Partitions)-1))
		}
		r.tps = append(r.tps, kafka.TopicPartition{Topic: topic, Partition: p})
	}
	places, err := r.places(from)
	if err != nil {
		return err
	}
	config := client.DefaultConsumer()
	config.Reset = client.ResetNone
	r.cons = r.c.client.NewConsumer(config)
	defer r.cons.Close(kafka.Never)
	r.cons.Assign(places...)
	err = r.loop()
	if flushErr := r.out.Flush(); err == nil {
		err = flushErr
	}
	return err
}

// places resolves where to begin and where to end. Blocks.
func (r *reading) places(from begin) ([]client.Place, error) {
	places := placesAt(r.tps, from.place)
	if from.last == 0 && !r.f.exitAtEnd {
		return places, nil
	}
	ends, err := r.c.client.Offsets(placesAt(r.tps, client.Latest()), r.c.deadline)
	if err != nil {
		return nil, err
	}
	starts, err := r.c.client.Offsets(placesAt(r.tps, client.Earliest()), r.c.deadline)
	if err != nil {
		return nil, err
	}
	if from.last > 0 {
		for i := range places {
			places[i].From = client.At(max(starts[i].Offset, ends[i].Offset-kafka.Offset(from.last)))
		}
	}
	if r.f.exitAtEnd {
		r.ends = make(map[kafka.TopicPartition]kafka.Offset)
		for i, e := range ends {
			if e.Offset > starts[i].Offset {
				r.ends[e.Partition] = e.Offset
			}
		}
	}
	return places, nil
}

func placesAt(tps []kafka.TopicPartition, at client.Start) []client.Place {
	var places []client.Place
	for _, tp := range tps {
		places = append(places, client.Place{Partition: tp, From: at})
	}
	return places
}

// loop prints what it polls. Blocks.
func (r *reading) loop() error {
	for !r.atEnd() {
		records, err := r.cons.Poll(r.c.w.Now().Add(100*time.Millisecond), 500)
		var trouble *client.PartitionError
		switch {
		case errors.As(err, &trouble) && client.OutcomeOf(err) != kafka.Definite:
			fmt.Fprintf(r.err, "klamm: %v\n", err) // the consumer goes on trying
		case errors.Is(err, kafka.ErrOffsetOutOfRange):
			return advised{fmt.Sprintf("%s holds no offset %d: choose another with --offset ('klamm topic describe %s' tells which there are)",
				trouble.Partition, trouble.Offset, trouble.Partition.Topic), err}
		case err != nil:
			return err
		}
		for _, rec := range records {
			if end, ok := r.ends[rec.At()]; r.ends != nil && (!ok || rec.Offset >= end) {
				continue // came after the start
			}
			if err := r.print(rec); err != nil {
				return err
			}
			if r.count++; r.count == r.f.count {
				return nil
			}
		}
		if err := r.out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// atEnd reports whether every partition was read as far as it went at the
// start.
func (r *reading) atEnd() bool {
	if r.ends == nil {
		return false
	}
	for _, tp := range r.tps {
		if at, err := r.cons.Position(tp); err == nil && at >= r.ends[tp] {
			delete(r.ends, tp)
		}
	}
	return len(r.ends) == 0
}

// recordJSON is what consume prints of a record. Bytes that are not UTF-8 are in
// the fields that end in _base64.
type recordJSON struct {
	Kind      string       `json:"_kind"`
	Version   int          `json:"_version"`
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
	Timestamp int64        `json:"timestamp"`
	Key       *string      `json:"key"`
	KeyBytes  []byte       `json:"key_base64,omitempty"`
	Value     *string      `json:"value"`
	ValBytes  []byte       `json:"value_base64,omitempty"`
	Headers   []headerJSON `json:"headers,omitempty"`
}

type headerJSON struct {
	Key      string  `json:"key"`
	Value    *string `json:"value"`
	ValBytes []byte  `json:"value_base64,omitempty"`
}

func (r *reading) print(rec client.Record) error {
	if r.f.output != "json" {
		_, err := r.out.Write(r.format.append(nil, rec))
		return err
	}
	j := recordJSON{Kind: "klamm.record", Version: 1, Topic: rec.Topic, Partition: rec.Partition,
		Offset: int64(rec.Offset), Timestamp: int64(rec.Timestamp)}
	j.Key, j.KeyBytes = textOrBytes(rec.Key)
	j.Value, j.ValBytes = textOrBytes(rec.Value)
	for _, h := range rec.Headers {
		hj := headerJSON{Key: h.Key}
		hj.Value, hj.ValBytes = textOrBytes(h.Value)
		j.Headers = append(j.Headers, hj)
	}
	return printJSON(r.out, j)
}

// textOrBytes returns b as text if it is, else as bytes; null is neither.
func textOrBytes(b []byte) (*string, []byte) {
	switch {
	case b == nil:
		return nil, nil
	case utf8.Valid(b):
		s := string(b)
		return &s, nil
	}
	return nil, b
}
