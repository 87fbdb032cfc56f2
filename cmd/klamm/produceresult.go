package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A sending sends records until its input ends, and tells what became of them: of
// each in JSON, in the order of the input, or else of those that were not
// acknowledged.
type sending struct {
	f       *produceFlags
	c       *call
	topic   string
	out     *bufio.Writer
	errs    io.Writer
	meter   *meter
	waiting []*produced // with -o json: without a line yet, in order

	number                 int // of the last record read, from 1
	acked, failed, unknown int
	told                   int
	first                  error // the first reason for a record without acknowledgement
}

// The most records that may wait for their line, and that are told one by one.
const (
	maxOpen = 10000
	maxTold = 20
)

func newSending(f *produceFlags, c *call, topic string) *sending {
	return &sending{f: f, c: c, topic: topic}
}

func (s *sending) open(cmd *cobra.Command) {
	s.out, s.errs = bufio.NewWriter(cmd.OutOrStdout()), cmd.ErrOrStderr()
	s.meter = newMeter(io.Discard, s.errs)
	if stdin, ok := cmd.InOrStdin().(io.Writer); ok && isTerminal(stdin) {
		s.meter.live = false // somebody types there
	}
}

// A produced record is on its way.
type produced struct {
	s      *sending
	number int
	result *client.Result // with -o json: nil before it has one
}

// Delivered implements client.Listener.
func (p *produced) Delivered(d *client.Delivery) { p.end(d.Result()) }

// end takes in a record's result.
func (p *produced) end(r client.Result) {
	s := p.s
	if s.f.output == "json" {
		p.result = &r
	}
	switch r.Outcome {
	case client.Acked, client.Sent:
		s.acked++
		return
	case client.Failed:
		s.failed++
	default:
		s.unknown++
	}
	if s.first == nil {
		s.first = r.Err
	}
	if s.f.output == "json" {
		return
	}
	if s.told++; s.told <= maxTold {
		s.meter.clear()
		fmt.Fprintf(s.errs, "klamm: record %d: %s: %v\n", p.number, r.Outcome, r.Err)
	}
}

// run sends everything. Blocks.
func (s *sending) run(config client.ProducerConfig, in *input, composer *composer) error {
	defer close(in.stop)
	p, err := s.c.client.NewProducer(config)
	if err != nil {
		return err
	}
	sendErr := s.send(p, in, composer)
	closeErr := p.Close(kafka.Never)
	if errors.Is(sendErr, errInterrupted) && errors.Is(closeErr, env.ErrCanceled) {
		closeErr = nil // the second signal; what it left without result is told
	}
	if err := s.print(); err != nil {
		return err
	}
	if err := s.out.Flush(); err != nil {
		return err
	}
	s.meter.clear()
	err = errors.Join(s.verdict(), sendErr, closeErr)
	if err == nil || errors.Is(err, errInterrupted) {
		s.tell()
	}
	return err
}

// tell says what was sent, and how fast if it was much or somebody watches.
func (s *sending) tell() {
	if s.f.output == "json" {
		return
	}
	line := fmt.Sprintf("%d records sent to %s", s.acked, s.topic)
	if s.meter.live || s.acked >= 10_000 {
		line += ", " + s.meter.rates()
	}
	fmt.Fprintln(s.errs, line)
}

// verdict tells of records that were not acknowledged.
func (s *sending) verdict() error {
	bad := s.failed + s.unknown
	if bad == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d records were not acknowledged, %d of them may be in the log; the first: %w",
		bad, bad+s.acked, s.unknown, s.first)
}

// send reads and sends records until they end, or a signal comes. Blocks.
func (s *sending) send(p *client.Producer, in *input, c *composer) error {
	for {
		var piece []byte
		var more bool
		s.c.host.Outside(func() {
			select {
			case piece, more = <-in.pieces:
			case <-s.c.signaled:
			}
		})
		if s.c.told() {
			return errInterrupted
		}
		if !more {
			if in.err == io.EOF {
				return nil
			}
			return fmt.Errorf("after %d records: %w", s.number, in.err)
		}
		for first := true; first || len(piece) > 0; first = false {
			var one []byte
			one, piece = in.next(piece)
			if err := s.sendOne(p, c, one); err != nil {
				return err
			}
		}
	}
}

// sendOne sends one record. An error ends the sending. Blocks.
func (s *sending) sendOne(p *client.Producer, c *composer, piece []byte) error {
	s.number++
	r, partition, err := c.compose(piece)
	if err != nil {
		return fmt.Errorf("record %d: %w", s.number, err)
	}
	var d *client.Delivery
	if partition >= 0 {
		d, err = p.SendTo(partition, r)
	} else {
		d, err = p.Send(r)
	}
	one := &produced{s: s, number: s.number}
	if s.f.output == "json" {
		s.waiting = append(s.waiting, one)
	}
	switch {
	case err == nil:
		d.Listen(one)
		s.meter.add(1, int64(len(r.Key)+len(r.Value)), "sent")
	case errors.Is(err, client.ErrTooLarge), errors.Is(err, client.ErrNoPartition):
		at := kafka.TopicPartition{Topic: s.topic, Partition: partition}
		one.end(client.Result{Outcome: client.Failed, Partition: at, Offset: kafka.NoOffset, Err: err})
	default:
		return fmt.Errorf("record %d: %w", s.number, err)
	}
	if len(s.waiting) >= maxOpen/2 {
		if err := s.print(); err != nil {
			return err
		}
	}
	if len(s.waiting) >= maxOpen {
		return p.Flush(kafka.Never) // their results are printed with the next
	}
	return nil
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

// print prints the results that there are, in order. A record that was never taken
// has none.
func (s *sending) print() error {
	for len(s.waiting) > 0 && s.waiting[0].result != nil {
		r := s.waiting[0].result
		s.waiting = s.waiting[1:]
		j := producedJSON{Kind: "klamm.produced", Version: 1, Topic: r.Partition.Topic,
			Partition: r.Partition.Partition, Outcome: r.Outcome.String()}
		if r.Offset != kafka.NoOffset {
			o := int64(r.Offset)
			j.Offset = &o
		}
		if r.Err != nil {
			j.Error = r.Err.Error()
		}
		if err := printJSON(s.out, j); err != nil {
			return err
		}
	}
	return nil
}
