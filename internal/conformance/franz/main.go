// Command franz is franz-go (kgo, kadm) as a client program of the conformance
// driver: see package talk.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klammlog/klamm/internal/conformance/talk"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("franz: ")
	verb, bootstrap, rest := os.Args[1], os.Args[2], os.Args[3:]
	var err error
	switch verb {
	case "produce":
		err = produce(bootstrap, rest[0])
	case "consume":
		err = consume(bootstrap, rest)
	case "times":
		err = times(bootstrap)
	case "console":
		err = console(bootstrap, rest[0])
	case "group":
		err = group(bootstrap, rest[0], rest[1], rest[2], rest[3:])
	default:
		err = fmt.Errorf("no such verb: %s", verb)
	}
	if err != nil {
		log.Fatal(err)
	}
}

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// output is standard output, for one line of one goroutine at a time.
var output struct {
	sync.Mutex
	w *bufio.Writer
}

func init() { output.w = bufio.NewWriter(os.Stdout) }

func say(line fmt.Stringer) {
	output.Lock()
	defer output.Unlock()
	fmt.Fprintln(output.w, line)
	output.w.Flush()
}

func lines() *bufio.Scanner {
	s := bufio.NewScanner(os.Stdin)
	s.Buffer(nil, 16<<20)
	return s
}

// client returns one that tries again even if a broker is killed between taking a
// connection and its first answer: by itself it takes that for a listener that wants
// TLS, and gives up.
func client(bootstrap string, opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(opts, kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.AlwaysRetryEOF(),
		kgo.MetadataMinAge(20*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }))...)
}

func produce(bootstrap, codec string) error {
	c, err := client(bootstrap, kgo.ProducerBatchCompression(codecs[codec]), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		return err
	}
	defer c.Close()
	in := lines()
	for in.Scan() {
		s, err := talk.ParseSend(in.Text())
		if err != nil {
			return err
		}
		r := &kgo.Record{Topic: s.Topic, Partition: s.Partition, Key: s.Key, Value: s.Value, Timestamp: time.UnixMilli(s.Timestamp)}
		for _, h := range s.Headers {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
		}
		ack := talk.Ack{Number: s.Number, Invoked: talk.Now(), Offset: -1, Timestamp: -1}
		c.Produce(context.Background(), r, func(r *kgo.Record, err error) {
			ack.Completed = talk.Now()
			if err != nil {
				ack.Error = err.Error()
			} else {
				ack.Offset, ack.Timestamp = r.Offset, r.Timestamp.UnixMilli()
			}
			say(&ack)
		})
	}
	return errors.Join(in.Err(), c.Flush(context.Background()))
}

// A place is a partition that is read.
type place struct {
	topic     string
	partition int32
}

func consume(bootstrap string, topics []string) error {
	from := map[string]map[int32]kgo.Offset{}
	position := map[place]int64{}
	for _, t := range topics {
		name, count, _ := strings.Cut(t, "/")
		n, err := strconv.Atoi(count)
		if err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
		from[name] = map[int32]kgo.Offset{}
		for p := range int32(n) {
			from[name][p] = kgo.NewOffset().At(0)
			position[place{name, p}] = 0
		}
	}
	c, err := client(bootstrap, kgo.ConsumePartitions(from), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return err
	}
	defer c.Close()
	ends := make(chan talk.End)
	go listen(ends)
	until := map[place]int64{}
	for !passed(position, until) {
		select {
		case e := <-ends:
			until[place{e.Topic, e.Partition}] = e.Until
		default:
			pollOnce(c, position)
		}
	}
	return nil
}

func listen(ends chan<- talk.End) {
	in := lines()
	for in.Scan() {
		e, err := talk.ParseEnd(in.Text())
		if err != nil {
			log.Fatal(err)
		}
		ends <- e
	}
}

// passed reports whether every partition's end is known and reached.
func passed(position, until map[place]int64) bool {
	for p, at := range position {
		if end, ok := until[p]; !ok || at < end {
			return false
		}
	}
	return true
}

func pollOnce(c *kgo.Client, position map[place]int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	invoked := talk.Now()
	fetches := c.PollFetches(ctx)
	completed := talk.Now()
	fetches.EachError(func(t string, p int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) {
			log.Printf("%s-%d: %v", t, p, err) // it goes on by itself
		}
	})
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if len(f.Records) == 0 {
			return
		}
		at := place{f.Topic, f.Partition}
		poll := talk.Poll{Topic: f.Topic, Partition: f.Partition, Invoked: invoked, Completed: completed, Before: position[at]}
		for _, r := range f.Records {
			poll.Records = append(poll.Records, read(r))
		}
		poll.After = f.Records[len(f.Records)-1].Offset + 1
		position[at] = poll.After
		say(&poll)
	})
}

func read(r *kgo.Record) talk.Read {
	out := talk.Read{Offset: r.Offset, Record: talk.Record{Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value}}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, talk.Header{Name: h.Key, Value: h.Value})
	}
	return out
}

func times(bootstrap string) error {
	c, err := client(bootstrap)
	if err != nil {
		return err
	}
	defer c.Close()
	admin := kadm.NewClient(c)
	in := lines()
	for in.Scan() {
		l, err := talk.ParseLookup(in.Text())
		if err != nil {
			return err
		}
		l.Invoked = talk.Now()
		listed, err := admin.ListOffsetsAfterMilli(context.Background(), l.Asked, l.Topic)
		if err != nil {
			return err
		}
		l.Completed = talk.Now()
		found, _ := listed.Lookup(l.Topic, l.Partition)
		if found.Err != nil {
			return found.Err
		}
		l.Offset = found.Offset
		if found.Timestamp < 0 {
			l.Offset = -1 // then it tells the end of the log
		}
		say(&l)
	}
	return in.Err()
}
