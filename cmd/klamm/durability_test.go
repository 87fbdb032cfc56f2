package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	durableTopic      = "durable"
	durablePartitions = 5
	durableKeys       = 64
)

// An end is how a node's process ends in the middle of producing.
type end struct {
	at     int64 // when so many records are acknowledged
	signal syscall.Signal
}

// A mortal is a node in a process of its own that is ended and started again.
type mortal struct {
	t       *testing.T
	dir     string
	address string
	mu      sync.Mutex // of process, which the producer's callbacks signal
	process *exec.Cmd
	told    bool     // to end
	ending  chan end // how it was told to
}

func (m *mortal) start() {
	m.t.Helper()
	listen := m.address
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	process, address := serving(m.t, "--data-dir", m.dir, "--listen", listen, "--log-level", "error")
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process, m.address, m.told = process, address, false
}

// maybeSignal ends the process as the next end that is due says, unless it has been
// told to end already: while it stops, it goes on acknowledging.
func (m *mortal) maybeSignal(due <-chan end) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.told {
		return
	}
	select {
	case e := <-due:
		m.told = true
		m.process.Process.Signal(e.signal)
		m.ending <- e
	default:
	}
}

func (m *mortal) signal(s syscall.Signal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process.Process.Signal(s)
}

// awaitEnd waits until the signalled process is gone.
func (m *mortal) awaitEnd(s syscall.Signal) {
	m.t.Helper()
	m.process.Wait()
	state := m.process.ProcessState
	if s == syscall.SIGTERM && state.ExitCode() != 0 {
		m.t.Errorf("stopped by SIGTERM, the node says %v, want exit code 0", state)
	}
	if status, _ := state.Sys().(syscall.WaitStatus); s == syscall.SIGKILL && !status.Signaled() {
		m.t.Errorf("killed, the node says %v: it ended before", state)
	}
}

// fates is what the producer was told of each record.
type fates struct {
	acked  atomic.Int64
	mu     sync.Mutex
	failed []error
	at     []int64 // by number of the record: its offset, -1 without acknowledgement
}

// produce sends records 0 to count-1, ends the node as ends say, from inside the
// callback of the acknowledgement that is due, and returns when each has its fate.
func (m *mortal) produce(count int, ends []end, opts ...kgo.Opt) *fates {
	f := &fates{at: make([]int64, count)}
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(m.address), kgo.DefaultProduceTopic(durableTopic),
		kgo.MaxBufferedRecords(2000), kgo.ProducerBatchMaxBytes(4 << 10),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(20 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		m.t.Fatal(err)
	}
	defer c.Close()
	due := make(chan end, len(ends))
	m.ending = make(chan end, 1)
	told := func(number int, offset int64, err error) {
		f.at[number] = offset
		if err != nil {
			f.at[number] = -1
			f.mu.Lock()
			f.failed = append(f.failed, err)
			f.mu.Unlock()
			return
		}
		acked := f.acked.Add(1)
		for _, e := range ends {
			if acked == e.at {
				due <- e
				m.maybeSignal(due)
			}
		}
	}
	produced := make(chan error, 1)
	go func() {
		for i := range count {
			c.Produce(context.Background(), durableRecord(i), func(r *kgo.Record, err error) { told(i, r.Offset, err) })
		}
		produced <- c.Flush(context.Background())
	}()
	for range ends {
		select {
		case e := <-m.ending:
			m.awaitEnd(e.signal)
			m.start()
			m.maybeSignal(due)
		case err := <-produced:
			m.t.Fatalf("everything was sent before the node's last end: flush %v, failed %v", err, f.failed)
		}
	}
	if err := <-produced; err != nil {
		m.t.Fatal(err)
	}
	return f
}

// durableRecord returns record number i: of key i mod durableKeys.
func durableRecord(i int) *kgo.Record {
	value := fmt.Sprintf("%d %s", i, strings.Repeat("x", 64))
	return &kgo.Record{Key: fmt.Appendf(nil, "key-%d", i%durableKeys), Value: []byte(value)}
}

// A sighting is where a record was read.
type sighting struct {
	number    int
	partition int32
	offset    int64
}

// consume reads every partition to its end.
func (m *mortal) consume() []sighting {
	ctx := m.t.Context()
	from := map[int32]kgo.Offset{}
	for p := range int32(durablePartitions) {
		from[p] = kgo.NewOffset().AtStart()
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(m.address), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{durableTopic: from}))
	if err != nil {
		m.t.Fatal(err)
	}
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx, durableTopic)
	if err != nil || ends.Error() != nil {
		m.t.Fatal(err, ends.Error())
	}
	var left int64
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	var seen []sighting
	for left > 0 {
		fetches := c.PollFetches(ctx)
		fetches.EachError(func(topic string, p int32, err error) { m.t.Fatalf("%s-%d: %v", topic, p, err) })
		fetches.EachRecord(func(r *kgo.Record) {
			text, _, _ := strings.Cut(string(r.Value), " ")
			number, err := strconv.Atoi(text)
			if want := durableRecord(number); err != nil || string(want.Key) != string(r.Key) || string(want.Value) != string(r.Value) {
				m.t.Fatalf("read a record nobody wrote: %q %q", r.Key, r.Value)
			}
			seen = append(seen, sighting{number, r.Partition, r.Offset})
			left--
		})
	}
	return seen
}

// judge returns the first broken promise among: nothing acknowledged is lost or
// elsewhere than told; each key's records were first written in their order; and,
// with once, nothing is there twice.
func judge(f *fates, seen []sighting, once multiplicity) error {
	where := map[int]sighting{}
	last := map[int]int{}
	for _, s := range seen {
		if first, again := where[s.number]; again {
			if once == exactlyOnce {
				return fmt.Errorf("record %d is at partition %d offset %d, and at partition %d offset %d again",
					s.number, first.partition, first.offset, s.partition, s.offset)
			}
			if s.offset == f.at[s.number] {
				where[s.number] = s
			}
			continue
		}
		where[s.number] = s
		key := s.number % durableKeys
		if before, ok := last[key]; ok && before > s.number {
			return fmt.Errorf("key %d: record %d was written behind record %d", key, s.number, before)
		}
		last[key] = s.number
	}
	for number, offset := range f.at {
		if s, ok := where[number]; offset >= 0 && !ok {
			return fmt.Errorf("record %d was acknowledged at offset %d, and is lost", number, offset)
		} else if offset >= 0 && s.offset != offset {
			return fmt.Errorf("record %d was acknowledged at offset %d, and is at %d", number, offset, s.offset)
		}
	}
	return nil
}

// multiplicity is how often a record may be in the log.
type multiplicity int

const (
	exactlyOnce multiplicity = iota
	atLeastOnce
)

// A foreign client produces, in several partitions, while the node is stopped and
// killed in its own process; then everything is read back, after another kill.
func TestAcknowledgedRecordsSurviveStopsAndKills(t *testing.T) {
	count := 100_000
	if testing.Short() {
		count = 10_000
	}
	for _, c := range []struct {
		name string
		once multiplicity
		opts []kgo.Opt
	}{
		{"idempotent acks=all", exactlyOnce, []kgo.Opt{kgo.RequiredAcks(kgo.AllISRAcks())}},
		{"acks=1", atLeastOnce, []kgo.Opt{kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &mortal{t: t, dir: filepath.Join(t.TempDir(), "data")}
			m.start()
			created := execute([]string{"topic", "create", durableTopic, "-p", fmt.Sprint(durablePartitions), "-b", m.address},
				streams{strings.NewReader(""), new(strings.Builder), os.Stderr})
			if created != 0 {
				t.Fatalf("topic create: exit code %d", created)
			}
			n := int64(count)
			f := m.produce(count, []end{{n / 5, syscall.SIGTERM}, {2 * n / 5, syscall.SIGKILL},
				{3 * n / 5, syscall.SIGTERM}, {4 * n / 5, syscall.SIGKILL}}, c.opts...)
			if len(f.failed) > 0 {
				t.Fatalf("%d records were not acknowledged, though the client may retry for ever: %v", len(f.failed), f.failed[0])
			}
			m.signal(syscall.SIGKILL)
			m.awaitEnd(syscall.SIGKILL)
			m.start()
			seen := m.consume()
			if err := judge(f, seen, c.once); err != nil {
				t.Error(err)
			}
			t.Logf("%d records acknowledged, %d read", f.acked.Load(), len(seen))
		})
	}
}

// The judge of the test above complains about what it is there for.
func TestDurabilityIsJudged(t *testing.T) {
	told := func() *fates { return &fates{at: []int64{0, 1, -1}} }
	good := []sighting{{0, 0, 0}, {1, 0, 1}}
	for _, c := range []struct {
		name string
		seen []sighting
		once multiplicity
		want string
	}{
		{"nothing wrong", good, exactlyOnce, ""},
		{"lost", good[:1], exactlyOnce, "lost"},
		{"twice", append(good[:2:2], sighting{0, 0, 2}), exactlyOnce, "again"},
		{"twice, allowed", append(good[:2:2], sighting{0, 0, 2}), atLeastOnce, ""},
		{"elsewhere", []sighting{{0, 0, 0}, {1, 0, 5}}, exactlyOnce, "is at 5"},
		{"only elsewhere, twice", []sighting{{0, 0, 0}, {1, 0, 5}, {1, 0, 6}}, atLeastOnce, "is at 5"},
		{"out of order", []sighting{{durableKeys, 0, 0}, {0, 0, 1}}, atLeastOnce, "behind"},
	} {
		err := judge(told(), c.seen, c.once)
		if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
