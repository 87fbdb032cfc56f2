package outbox_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/klammlog/klamm/node/client/outbox"
	"github.com/klammlog/klamm/node/kafka"
)

// TestScripts plays testdata/scripts: one command per line, and everything that
// followed. Times are milliseconds.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		var p player
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return p.play(t, d)
		})
	})
}

type player struct {
	o     *outbox.Outbox
	now   kafka.Instant
	taken map[uint64]*outbox.Batch
}

func (p *player) play(t *testing.T, d *datadriven.TestData) string {
	var out strings.Builder
	switch d.Cmd {
	case "outbox":
		p.o, p.now, p.taken = outbox.New(scriptConfig(t, d)), 0, make(map[uint64]*outbox.Batch)
	case "do":
		for line := range strings.Lines(d.Input) {
			words := strings.Fields(line)
			fmt.Fprintf(&out, "%s\n", strings.TrimSpace(line))
			p.command(t, d, &out, words[0], words[1:])
		}
	default:
		d.Fatalf(t, "unknown directive %q", d.Cmd)
	}
	if err := p.o.Check(); err != nil {
		d.Fatalf(t, "%v", err)
	}
	return out.String()
}

func scriptConfig(t *testing.T, d *datadriven.TestData) outbox.Config {
	c := outbox.Config{BatchSize: 1000, MaxInFlight: 5, DeliveryTimeout: time.Second, Retries: 1000, Memory: 10000}
	for _, arg := range d.CmdArgs {
		n := 0
		if len(arg.Vals) > 0 {
			var err error
			if n, err = strconv.Atoi(arg.Vals[0]); err != nil {
				d.Fatalf(t, "%v", err)
			}
		}
		switch arg.Key {
		case "idempotent":
			c.Idempotent = true
		case "linger":
			c.Linger = time.Duration(n) * time.Millisecond
		case "in-flight":
			c.MaxInFlight = n
		case "retries":
			c.Retries = n
		case "first":
			c.Start = kafka.Sequence(n)
		default:
			d.Fatalf(t, "unknown setting %q", arg.Key)
		}
	}
	return c
}

var codes = map[string]error{
	"out-of-order":  kafka.ErrOutOfOrderSequence,
	"duplicate":     kafka.ErrDuplicateSequence,
	"fenced":        kafka.ErrInvalidProducerEpoch,
	"not-leader":    kafka.ErrNotLeaderOrFollower,
	"too-large":     kafka.ErrMessageTooLarge,
	"no-connection": kafka.ErrNetworkException,
}

func (p *player) command(t *testing.T, d *datadriven.TestData, out *strings.Builder, cmd string, args []string) {
	number := func(i int) int {
		n, err := strconv.Atoi(args[i])
		if err != nil {
			d.Fatalf(t, "%s: %v", cmd, err)
		}
		return n
	}
	switch cmd {
	case "add": // add PARTITION SIZE
		b := p.o.Add(partition(args[0]), number(1), p.now)
		fmt.Fprintf(out, "\tbatch %d: %d records, %d bytes; used %d\n", b.Number, b.Count, b.Size, p.o.Used())
	case "flush":
		fmt.Fprintf(out, "\tmark %d, oldest %d\n", p.o.Flush(), p.o.Oldest())
	case "producer": // producer ID EPOCH
		p.o.SetProducer(outbox.Producer{ID: kafka.ProducerID(number(0)), Epoch: kafka.ProducerEpoch(number(1))})
	case "take": // take PARTITION
		p.take(out, partition(args[0]))
	case "ready":
		fmt.Fprintf(out, "\t%v, next %v, needs producer %v\n", p.o.Ready(p.now), p.o.Next(p.now), p.o.NeedsProducer())
	case "time": // time MILLISECONDS
		p.now = kafka.Instant(time.Duration(number(0)) * time.Millisecond)
		tell(out, p.o.Expire(p.now))
	case "acked": // acked BATCH BASE
		tell(out, p.o.Answer(p.taken[uint64(number(0))], outbox.Verdict{Fate: outbox.Appended,
			Base: kafka.Offset(number(1)), Timestamp: kafka.NoTimestamp}))
	case "refused", "fatal", "lost": // refused BATCH CODE
		v := outbox.Verdict{Fate: outbox.NotAppended, Err: codes[args[1]], RetryAt: p.now.Add(10 * time.Millisecond)}
		v.Final = cmd == "fatal"
		if cmd == "lost" {
			v.Fate = outbox.MaybeAppended
		}
		tell(out, p.o.Answer(p.taken[uint64(number(0))], v))
	case "split": // split BATCH RECORDS...: refused as too large, and split
		p.split(t, d, out, p.taken[uint64(number(0))], args[1:])
	case "abandon":
		tell(out, p.o.Abandon(outbox.ErrAbandoned))
	default:
		d.Fatalf(t, "unknown command %q", cmd)
	}
}

// split splits a batch into pieces of so many records, of 100 bytes each.
func (p *player) split(t *testing.T, d *datadriven.TestData, out *strings.Builder, b *outbox.Batch, counts []string) {
	v := outbox.Verdict{Fate: outbox.NotAppended, Err: codes["too-large"], Final: true}
	if !b.Splits(v) {
		fmt.Fprintf(out, "\tis not split\n")
		tell(out, p.o.Answer(b, v))
		return
	}
	var pieces []outbox.Piece
	for _, s := range counts {
		n, err := strconv.Atoi(s)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		pieces = append(pieces, outbox.Piece{Count: int32(n), Size: 100 * n})
	}
	for _, part := range p.o.Split(b, pieces) {
		fmt.Fprintf(out, "\t%d records", part.Count)
		if part.Assigned {
			fmt.Fprintf(out, ", as %v", part.Identity)
		}
		fmt.Fprintf(out, "; used %d\n", p.o.Used())
	}
}

func (p *player) take(out *strings.Builder, tp kafka.TopicPartition) {
	b := p.o.Take(tp, p.now)
	if b == nil {
		fmt.Fprintf(out, "\tnothing\n")
		return
	}
	p.taken[b.Number] = b
	fmt.Fprintf(out, "\tbatch %d, attempt %d", b.Number, b.Attempts)
	if b.Assigned {
		fmt.Fprintf(out, ", as %v", b.Identity)
	}
	fmt.Fprintln(out)
}

func tell(out *strings.Builder, ended []*outbox.Batch) {
	for _, b := range ended {
		fmt.Fprintf(out, "\tbatch %d: %v", b.Number, b.Result.Outcome)
		if b.Result.Outcome == outbox.Acked {
			fmt.Fprintf(out, " at %d", b.Result.Base)
		}
		if b.Result.Err != nil {
			fmt.Fprintf(out, " (%v)", b.Result.Err)
		}
		fmt.Fprintln(out)
	}
}

func partition(s string) kafka.TopicPartition {
	n, _ := strconv.Atoi(strings.TrimPrefix(s, "t-"))
	return kafka.TopicPartition{Topic: "t", Partition: int32(n)}
}
