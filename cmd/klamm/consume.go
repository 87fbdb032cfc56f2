package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

type consumeFlags struct {
	remote
	rack       string
	from       string
	to         string
	partitions []int32
	count      int
	exitAtEnd  bool
	format     string
	member     memberFlags
}

func newConsumeCommand() *cobra.Command {
	var f consumeFlags
	cmd := &cobra.Command{
		Use:   "consume TOPIC...",
		Short: "Print records, alone or as a member of a group",
		Long: `Print the records of a topic, until it is interrupted, or --to, --count or --exit-at-end
end it.

With --group it reads one topic or several, or those that match --pattern, as a member
of that group: what was printed is committed now and then and at the end, and the
group is left. Partitions of which the group has committed nothing begin at
--from: beginning, end, @ and how long ago, or none to refuse them. With --to or
--exit-at-end it ends when the group is through what was asked for.

A PLACE is beginning, end, an offset, -N for N records before the end of each
partition, or @TIME: the first record that is not older. TIME is milliseconds since 1970,
RFC 3339, or how long ago: @2026-05-04T10:00:00Z, @1777888800000, @15m. Where --to is, is
found out when reading begins; the record there is not printed any more.

The record format of -f:

` + formatHelp,
		Example: `  klamm consume orders --exit-at-end
  klamm consume orders --from -10 -f '%p@%o %k: %s\n'
  klamm consume orders --from @1h --to @30m -o json
  klamm consume orders --partition 0 --from 100 --to 200 -f '%o %D %h\n'
  klamm consume orders users --group billing --exit-at-end
  klamm consume --pattern 'order.*' --group audit --group-protocol consumer -n 10`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r := &reading{f: &f}
			if err := f.checkMember(cmd, args); err != nil {
				return usage(err)
			}
			if err := r.parse(); err != nil {
				return usage(err)
			}
			if f.member.group != "" {
				return f.join(cmd, r, args)
			}
			return f.do(cmd, func(c *call) error {
				r.c, r.out, r.errs = c, cmd.OutOrStdout(), cmd.ErrOrStderr()
				r.meter = newMeter(r.out, r.errs)
				return r.run(args[0])
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.from, "from", "O", "beginning", "the `PLACE` where to begin in each partition")
	flags.StringVar(&f.to, "to", "", "the `PLACE` where to end in each partition")
	flags.Int32SliceVarP(&f.partitions, "partition", "p", nil, "the partitions to read; all by default")
	flags.IntVarP(&f.count, "count", "n", 0, "end after so many records")
	flags.BoolVarP(&f.exitAtEnd, "exit-at-end", "e", false, "end after the records that were there at the start: --to end")
	flags.StringVar(&f.rack, "rack", "", "the `RACK` to read in, from followers too if the brokers allow it (client.rack)")
	flags.StringVarP(&f.format, "format", "f", `%s\n`, "how to print a record as text")
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "offset" {
			name = "from" // as it was called, and is elsewhere
		}
		return pflag.NormalizedName(name)
	})
	f.member.flags(flags)
	f.flags(cmd)
	return cmd
}

// A reading prints records.
type reading struct {
	f        *consumeFlags
	c        *call
	format   template
	from, to spot
	out      io.Writer
	errs     io.Writer
	meter    *meter
	text     []byte // to be printed
	cons     *client.Consumer
	tps      []kafka.TopicPartition
	ends     map[kafka.TopicPartition]kafka.Offset // with an end: of the partitions not read to theirs
	count    int
}

// parse reads the flags.
func (r *reading) parse() (err error) {
	f := r.f
	if r.format, err = parseTemplate(f.format); err != nil {
		return err
	}
	if f.member.group == "" {
		r.from, err = parseSpot("--from", f.from)
	} else {
		f.member.reset, f.member.ago, err = parseReset(f.from)
	}
	if err != nil {
		return err
	}
	switch {
	case f.exitAtEnd && f.to != "":
		return errors.New("--exit-at-end and --to exclude each other")
	case f.exitAtEnd:
		f.to = "end"
	}
	if f.to != "" {
		if r.to, err = parseSpot("--to", f.to); err != nil {
			return err
		}
	}
	if f.count < 0 {
		return fmt.Errorf("--count %d: want 0, for all, or more", f.count)
	}
	return nil
}

// run reads until the end. Blocks.
func (r *reading) run(topic string) error {
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
	places, err := r.places()
	if err != nil {
		return err
	}
	config := client.DefaultConsumer()
	config.Reset, config.Rack = client.ResetNone, r.f.rack
	r.cons = r.c.client.NewConsumer(config)
	defer r.cons.Close(kafka.Never)
	r.cons.Assign(places...)
	err = r.loop()
	if flushErr := r.flush(); err == nil {
		err = flushErr
	}
	r.sumUp(topic)
	return err
}

// sumUp tells whoever looks on how much was read.
func (r *reading) sumUp(what string) {
	r.meter.clear()
	if r.meter.live || isTerminal(r.errs) {
		fmt.Fprintf(r.errs, "%d records read from %s, %s\n", r.count, what, r.meter.rates())
	}
}

// pollRecords is how many records are printed at once.
const pollRecords = 2000

// loop prints what it polls. Blocks.
func (r *reading) loop() error {
	for !r.atEnd() {
		records, err := r.cons.Poll(r.c.w.Now().Add(100*time.Millisecond), pollRecords)
		var trouble *client.PartitionError
		switch {
		case errors.As(err, &trouble) && client.OutcomeOf(err) != kafka.Definite:
			fmt.Fprintf(r.errs, "klamm: %v\n", err) // the consumer goes on trying
		case errors.Is(err, kafka.ErrOffsetOutOfRange):
			return advised{fmt.Sprintf("%s holds no offset %d: choose another with --from ('klamm topic describe %s' tells which there are)",
				trouble.Partition, trouble.Offset, trouble.Partition.Topic), err}
		case err != nil:
			return err
		}
		for _, rec := range records {
			if end, ok := r.ends[rec.At()]; r.ends != nil && (!ok || rec.Offset >= end) {
				continue // behind the end
			}
			if err := r.print(rec); err != nil {
				return err
			}
			r.meter.add(1, int64(len(rec.Key)+len(rec.Value)), "read")
			if r.count++; r.count == r.f.count {
				return nil
			}
		}
		if err := r.flush(); err != nil {
			return err
		}
	}
	return nil
}

// atEnd reports whether every partition was read to its end.
func (r *reading) atEnd() bool {
	if r.ends == nil {
		return false
	}
	for _, tp := range r.tps {
		if end, ok := r.ends[tp]; ok {
			if at, err := r.cons.Position(tp); err == nil && at >= end {
				delete(r.ends, tp)
				r.cons.Pause(tp) // it is assigned
			}
		}
	}
	return len(r.ends) == 0
}

// flush writes what is to be printed. Other tasks go on while it waits for whoever
// reads. Blocks.
func (r *reading) flush() (err error) {
	if len(r.text) > 0 {
		r.c.host.Outside(func() { _, err = r.out.Write(r.text) })
		r.text = r.text[:0]
	}
	return err
}
