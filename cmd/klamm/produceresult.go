package main

import (
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
	f     *produceFlags
	c     *call
	topic string
	lines *resultLines // with -o json
	out   io.Writer
	errs  io.Writer
	meter *meter

	number                 int // of the last record read, from 1
	acked, failed, unknown int
	told                   int
	first                  error // the first reason for a record without acknowledgement
}

// maxTold is how many records without acknowledgement are told one by one.
const maxTold = 20

func newSending(cmd *cobra.Command, f *produceFlags, c *call) *sending {
	s := &sending{f: f, c: c, topic: cmd.Flags().Arg(0), out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr()}
	s.meter = newMeter(io.Discard, s.errs)
	if stdin, ok := cmd.InOrStdin().(io.Writer); ok && isTerminal(stdin) {
		s.meter.live = false // somebody types there
	}
	return s
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
	if s.lines != nil {
		p.result = &r
		s.lines.changed.Broadcast()
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
	if s.lines != nil {
		return
	}
	switch s.told++; {
	case s.told <= maxTold:
		s.meter.clear()
		fmt.Fprintf(s.errs, "klamm: record %d: %s: %v\n", p.number, r.Outcome, r.Err)
	case s.told == maxTold+1:
		fmt.Fprintln(s.errs, "klamm: and more, which are counted; -o json tells each")
	}
}

// run sends everything. Blocks.
func (s *sending) run(config client.ProducerConfig, in *input, composer *composer) error {
	defer close(in.stop)
	p, err := s.c.client.NewProducer(config)
	if err != nil {
		return err
	}
	if s.f.output == "json" {
		s.lines = newResultLines(s.c, s.out)
	}
	in.start()
	sendErr := s.send(p, in, composer)
	closeErr := p.Close(kafka.Never)
	if errors.Is(sendErr, errInterrupted) && errors.Is(closeErr, env.ErrCanceled) {
		closeErr = nil // the second signal; what it left without result is told
	}
	if s.lines != nil {
		if err := s.lines.close(); err != nil {
			return err
		}
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
	if s.lines != nil {
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
	return advised{fmt.Sprintf("%d of %d records were not acknowledged, %d of them may be in the log; the first: %v",
		bad, bad+s.acked, s.unknown, s.first), s.first}
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
	if s.lines != nil {
		if err := s.lines.add(one); err != nil {
			return err
		}
	}
	switch {
	case err == nil:
		d.Listen(one)
		s.meter.add(1, int64(len(r.Key)+len(r.Value)), "sent")
	case errors.Is(err, client.ErrTooLarge), errors.Is(err, client.ErrNoPartition):
		at := kafka.TopicPartition{Topic: s.topic, Partition: partition}
		one.end(client.Result{Outcome: client.Failed, Partition: at, Offset: kafka.NoOffset, Err: err})
	default:
		return advised{fmt.Sprintf("record %d was not sent: %v", s.number, err), err}
	}
	return nil
}
