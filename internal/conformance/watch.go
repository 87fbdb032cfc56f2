package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A watch asks every broker over and over what it leads, and so knows for how long
// nobody led a partition. A partition is led while a broker says so of itself, in
// the newest leader epoch that anybody has told; what it says counts from when it
// was asked. So a gap is never told too short, and too long by a round of questions
// at most.
type watch struct {
	every   time.Duration
	brokers []*node
	cancel  context.CancelFunc
	asking  sync.WaitGroup

	mu    sync.Mutex
	leads map[partition]*lead
}

// A partition is one of a topic's.
type partition struct {
	topic  string
	number int32
}

// A lead is what is known of one partition's leadership.
type lead struct {
	leader, epoch int32
	last          time.Time // when it surely was led
	gap           time.Duration
	before        int32 // who led it at the last call of begin
}

// watchFleet watches the brokers of a fleet, each asked again after so long.
func watchFleet(f *fleet, every time.Duration) (*watch, error) {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{every: every, brokers: f.brokers(), cancel: cancel, leads: map[partition]*lead{}}
	for i, n := range w.brokers {
		c, err := kgo.NewClient(kgo.SeedBrokers(n.address), kgo.DialTimeout(time.Second))
		if err != nil {
			w.stop()
			return nil, err
		}
		w.asking.Go(func() {
			defer c.Close()
			w.ask(ctx, c.SeedBrokers()[0], int32(i+1))
		})
	}
	return w, nil
}

func (w *watch) stop() {
	w.cancel()
	w.asking.Wait()
}

// ask asks one broker until it is told to stop. One that does not answer, or is not
// there, leads nothing.
func (w *watch) ask(ctx context.Context, b *kgo.Broker, id int32) {
	for ctx.Err() == nil {
		q := kmsg.NewPtrMetadataRequest() // of all topics
		asked := time.Now()
		patient, done := context.WithTimeout(ctx, 5*time.Second)
		answer, err := b.Request(patient, q)
		done()
		if err == nil {
			w.note(answer.(*kmsg.MetadataResponse), id, asked)
		}
		select {
		case <-time.After(w.every):
		case <-ctx.Done():
		}
	}
}

// note takes what a broker said.
func (w *watch) note(said *kmsg.MetadataResponse, id int32, asked time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for i := range said.Topics {
		t := &said.Topics[i]
		for j := range t.Partitions {
			if p := &t.Partitions[j]; p.Leader == id {
				w.led(partition{*t.Topic, p.Partition}, p, asked, now)
			}
		}
	}
}

func (w *watch) led(name partition, p *kmsg.MetadataResponseTopicPartition, asked, now time.Time) {
	l := w.leads[name]
	if l == nil {
		l = &lead{last: asked, before: p.Leader}
		w.leads[name] = l
	}
	if p.LeaderEpoch < l.epoch {
		return // it has not heard yet that another leads
	}
	l.leader, l.epoch = p.Leader, p.LeaderEpoch
	l.gap = max(l.gap, now.Sub(l.last))
	if asked.After(l.last) {
		l.last = asked
	}
}

// count returns how many partitions were ever led.
func (w *watch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.leads)
}

// begin forgets the gaps so far.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.leads {
		l.gap, l.before = 0, l.leader
	}
}

// gaps are how long partitions were without a leader since begin, sorted: those that
// a node led then, and the others.
type gaps struct{ lost, others []time.Duration }

// end returns them; id is the node's.
func (w *watch) end(id int) (g gaps) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, l := range w.leads {
		gap := l.gap
		if open := now.Sub(l.last); open > 2*w.every+time.Second {
			gap = max(gap, open) // nobody leads it still
		}
		if int(l.before) == id {
			g.lost = append(g.lost, gap)
		} else {
			g.others = append(g.others, gap)
		}
	}
	slices.Sort(g.lost)
	slices.Sort(g.others)
	return g
}

func (g gaps) String() string {
	return fmt.Sprintf("%d partitions lost their leader: %s; the other %d: %s", len(g.lost), spread(g.lost), len(g.others), spread(g.others))
}

// spread says what sorted durations are like.
func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "none"
	}
	return fmt.Sprintf("median %v, longest %v", rounded(d[len(d)/2]), rounded(d[len(d)-1]))
}

func rounded(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
