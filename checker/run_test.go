package checker

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/checker/history"
)

// A testRun makes the history of a correct log: clients that act in a random
// order on a log that does what it promises. Answers are lost, requests arrive
// late or never, records are removed where that is permitted.
type testRun struct {
	rng *rand.Rand
	now history.Instant
	s   sketch
	d   Demands

	logs      []testLog
	producers []*testProducer
	consumers []*testConsumer
	listers   []*testLister
	records   history.RecordID
}

type testLog struct {
	start, end history.Offset
	entries    []testEntry // by offset
	epoch      int32
}

type testEntry struct {
	history.Read
	key  history.Digest
	tomb bool
	at   history.Instant // when it was appended
}

// A runSize says how large a run to make.
type runSize struct {
	partitions, producers, consumers, steps int
	delivery                                []history.Delivery
	demands                                 Demands
}

func smallRun(rng *rand.Rand) runSize {
	z := runSize{
		partitions: 1 + rng.IntN(2), producers: 1 + rng.IntN(3), consumers: 1 + rng.IntN(2), steps: 20 + rng.IntN(120),
		delivery: []history.Delivery{history.Plain, history.OneInFlight, history.Idempotent, history.Idempotent},
	}
	z.demands.Retention = rng.IntN(4) == 0
	z.demands.Compaction = rng.IntN(5) < 2
	if z.demands.Compaction {
		z.demands.DeleteRetention = time.Duration(rng.IntN(3) * rng.IntN(40))
	}
	if rng.IntN(8) == 0 {
		z.demands.Unclean, z.demands.Leaders, z.demands.Marked = true, true, true
	}
	return z
}

// goodRun returns a history that keeps every promise, and what was promised.
func goodRun(rng *rand.Rand, z runSize) (*sketch, Demands) {
	r := &testRun{rng: rng, d: z.demands, logs: make([]testLog, z.partitions)}
	r.s.partitions = int32(z.partitions)
	for i := range z.producers {
		d := z.delivery[rng.IntN(len(z.delivery))]
		r.producers = append(r.producers, &testProducer{id: history.ClientID(i), delivery: d, seq: make([]int64, z.partitions)})
	}
	for i := range z.consumers {
		id := history.ClientID(z.producers + i)
		r.consumers = append(r.consumers, &testConsumer{id: id, partition: history.PartitionID(i % z.partitions), open: -1})
		r.listers = append(r.listers, &testLister{id: id + history.ClientID(z.consumers), partition: history.PartitionID(rng.IntN(z.partitions)), open: -1})
	}
	for range z.steps {
		r.step()
	}
	r.finish()
	return &r.s, r.d
}

func (r *testRun) step() {
	r.now += history.Instant(r.rng.IntN(3))
	if r.d.Unclean && r.rng.IntN(40) == 0 {
		r.electUnclean(r.rng.IntN(len(r.logs)))
	}
	switch n := r.rng.IntN(20); {
	case n < 11:
		r.producers[r.rng.IntN(len(r.producers))].step(r)
	case n < 16:
		r.consumers[r.rng.IntN(len(r.consumers))].step(r)
	case n < 18:
		r.listers[r.rng.IntN(len(r.listers))].step(r)
	case n < 19 && r.d.Retention:
		l := &r.logs[r.rng.IntN(len(r.logs))]
		l.removePrefix(l.start + history.Offset(r.rng.IntN(3)))
	case r.d.Compaction:
		r.logs[r.rng.IntN(len(r.logs))].compact(r.rng, r.now-history.Instant(r.d.DeleteRetention))
	}
}

// electUnclean elects a leader that lacks a suffix of the log.
func (r *testRun) electUnclean(i int) {
	l := &r.logs[i]
	mark := history.Mark{Kind: history.Election, At: r.now, Partition: history.PartitionID(i), Offset: history.NoOffset}
	r.s.marks = append(r.s.marks, mark)
	l.end -= history.Offset(r.rng.Int64N(min(int64(l.end-l.start), 5) + 1))
	l.entries = slices.DeleteFunc(l.entries, func(e testEntry) bool { return e.Offset >= l.end })
	l.epoch++
	r.now++
	mark.Kind, mark.At, mark.Offset = history.UncleanLeader, r.now, l.end
	r.s.marks = append(r.s.marks, mark)
}

func (l *testLog) removePrefix(to history.Offset) {
	l.start = min(to, l.end)
	l.entries = slices.DeleteFunc(l.entries, func(e testEntry) bool { return e.Offset < l.start })
}

// compact removes some records that later ones make superfluous, and tombstones
// from before a time that are all that is left of their keys.
func (l *testLog) compact(rng *rand.Rand, old history.Instant) {
	last := map[history.Digest]history.Offset{}
	for _, e := range l.entries {
		last[e.key] = e.Offset
	}
	left := map[history.Digest]bool{}
	l.entries = slices.DeleteFunc(l.entries, func(e testEntry) bool {
		gone := (last[e.key] > e.Offset || e.tomb && !left[e.key] && e.at < old) && rng.IntN(2) == 0
		left[e.key] = left[e.key] || !gone
		return gone
	})
}

// read returns up to limit records from an offset on, and the position after.
func (l *testLog) read(from history.Offset, limit int) (records []history.Read, after history.Offset) {
	for _, e := range l.entries {
		if e.Offset < from {
			continue
		}
		if len(records) == limit {
			return records, records[limit-1].Offset + 1
		}
		records = append(records, e.Read)
	}
	return records, l.end
}

// A testProducer has sends on their way, in order.
type testProducer struct {
	id       history.ClientID
	delivery history.Delivery
	seq      []int64
	way      []*testSend
}

type testSend struct {
	index   int // in sketch.sends
	applied history.Offset
	gone    bool // it will not be applied any more
	told    bool // its client was answered
}

func (p *testProducer) step(r *testRun) {
	switch n := r.rng.IntN(9); {
	case n < 3:
		p.send(r)
	case n < 6:
		p.apply(r)
	default:
		p.answer(r)
	}
}

func (p *testProducer) send(r *testRun) {
	open := 0
	for _, w := range p.way {
		if !w.told {
			open++
		}
	}
	if open == 5 || (p.delivery == history.OneInFlight && open == 1) {
		return
	}
	r.records++
	at := history.PartitionID(r.rng.IntN(len(r.logs)))
	s := history.Send{
		Client: p.id, Partition: at, Seq: p.seq[at], Record: r.records, Key: history.Digest(r.rng.IntN(4)),
		Digest: history.Digest(1000 + r.records), Acks: history.AcksAll, Delivery: p.delivery, Tombstone: r.rng.IntN(8) == 0,
		Invoked: r.now, Completed: history.Never, Offset: history.NoOffset,
	}
	if n := r.rng.IntN(8); n < 2 {
		s.Acks = history.Acks(n)
	}
	p.seq[at]++
	p.way = append(p.way, &testSend{index: len(r.s.sends), applied: history.NoOffset})
	r.s.sends = append(r.s.sends, s)
}

// apply lets a send arrive: the first on its way if the producer is in order.
// Those of other producers may arrive twice.
func (p *testProducer) apply(r *testRun) {
	for _, w := range p.way {
		if w.gone {
			continue
		}
		if w.applied >= 0 && p.delivery == history.Idempotent {
			continue
		}
		if p.delivery == history.Plain && r.rng.IntN(2) == 0 {
			continue
		}
		if p.delivery == history.OneInFlight && w.applied >= 0 && w.told {
			continue
		}
		if w.applied < 0 && r.rng.IntN(8) == 0 {
			w.gone = true
			return
		}
		s := &r.s.sends[w.index]
		l := &r.logs[s.Partition]
		w.applied = l.end
		l.entries = append(l.entries, testEntry{history.Read{Offset: l.end, Record: s.Record, Digest: s.Digest, Epoch: 1 + l.epoch}, s.Key, s.Tombstone, r.now})
		l.end++
		return
	}
}

// answer tells a client what became of a send.
func (p *testProducer) answer(r *testRun) {
	p.way = slices.DeleteFunc(p.way, func(w *testSend) bool {
		return w.told && (w.gone || (w.applied >= 0 && (p.delivery == history.Idempotent || r.rng.IntN(20) == 0)))
	})
	open := 0
	for _, w := range p.way {
		open += count(!w.told)
	}
	if open == 0 {
		return
	}
	nth := r.rng.IntN(open)
	w := p.way[slices.IndexFunc(p.way, func(w *testSend) bool {
		nth -= count(!w.told)
		return nth < 0
	})]
	s := &r.s.sends[w.index]
	switch {
	case w.applied >= 0 && r.rng.IntN(6) > 0:
		s.Outcome, s.Offset, s.Timestamp = history.OK, w.applied, history.Timestamp(w.applied/2)
		w.gone = true
	case w.gone && w.applied < 0 && r.rng.IntN(2) == 0:
		s.Outcome = history.Failed
	case w.applied < 0 && !w.gone && r.rng.IntN(4) > 0:
		return
	default:
		s.Outcome = history.Unknown
	}
	if s.Acks == history.AcksNone && s.Outcome == history.OK {
		s.Offset = history.NoOffset
	}
	s.Completed, w.told = r.now, true
}

// A testConsumer polls one partition, one poll after the other.
type testConsumer struct {
	id         history.ClientID
	partition  history.PartitionID
	generation int32
	position   history.Offset
	open       int // in sketch.polls, or -1
	fetched    bool
}

func (c *testConsumer) step(r *testRun) {
	l := &r.logs[c.partition]
	switch {
	case c.open < 0:
		if c.position < l.start || c.position > l.end || r.rng.IntN(20) == 0 {
			c.generation++
			c.position = l.start + history.Offset(r.rng.Int64N(int64(l.end-l.start)+1))
		}
		c.open = len(r.s.polls)
		p := history.Poll{Client: c.id, Generation: c.generation, Partition: c.partition, Invoked: r.now, Completed: history.Never, Before: c.position, After: c.position, End: history.NoOffset}
		r.s.polls = append(r.s.polls, polled{Poll: p})
		c.fetched = false
	case !c.fetched && c.position >= l.start && c.position <= l.end:
		p := &r.s.polls[c.open]
		p.records, p.After = l.read(c.position, 1+r.rng.IntN(4))
		if r.rng.IntN(2) == 0 {
			p.End = l.end
		}
		c.fetched = true
	default:
		p := &r.s.polls[c.open]
		p.Completed, p.Outcome = r.now, history.OK
		if !c.fetched || r.rng.IntN(8) == 0 {
			p.Outcome, p.records, p.After = history.Failed, nil, p.Before
		}
		c.position, c.open = p.After, -1
	}
}

// A testLister asks for offsets, one after the other.
type testLister struct {
	id        history.ClientID
	partition history.PartitionID
	open      int // in sketch.lists, or -1
	fetched   bool
}

func (c *testLister) step(r *testRun) {
	l := &r.logs[c.partition]
	switch {
	case c.open < 0:
		c.open, c.fetched = len(r.s.lists), false
		r.s.lists = append(r.s.lists, history.ListOffsets{Client: c.id, Partition: c.partition, Query: history.Query(r.rng.IntN(3)),
			Asked: history.Timestamp(r.rng.IntN(3)), Invoked: r.now, Completed: history.Never, Outcome: history.OK})
	case !c.fetched:
		r.s.lists[c.open].Offset = c.look(l, &r.s.lists[c.open])
		c.fetched = true
	default:
		r.s.lists[c.open].Completed = r.now
		c.open = -1
	}
}

// look answers a lookup; the timestamp of a record is half its offset.
func (c *testLister) look(l *testLog, x *history.ListOffsets) history.Offset {
	switch x.Query {
	case history.Earliest:
		return l.start
	case history.Latest:
		return l.end
	}
	for _, e := range l.entries {
		if history.Timestamp(e.Offset/2) >= x.Asked {
			return e.Offset
		}
	}
	return history.NoOffset
}

// finish lets what is on its way arrive or not, then reads everything back.
func (r *testRun) finish() {
	for range 4 * len(r.s.sends) {
		p := r.producers[r.rng.IntN(len(r.producers))]
		p.apply(r)
		p.answer(r)
	}
	for _, p := range r.producers {
		for _, w := range p.way {
			w.gone = true
		}
	}
	for _, c := range r.consumers {
		for c.open >= 0 {
			c.step(r)
		}
	}
	r.s.lists = slices.DeleteFunc(r.s.lists, func(l history.ListOffsets) bool { return l.Completed == history.Never })
	reader := history.ClientID(len(r.producers) + 2*len(r.consumers))
	for i := range r.logs {
		r.now += 2
		l := &r.logs[i]
		b := history.ReadBack{Client: reader, Partition: history.PartitionID(i), Outcome: history.OK, Invoked: r.now, LogStart: l.start, LogEnd: l.end}
		for at := l.start; at < l.end; {
			r.now++
			p := history.Poll{Client: reader, Partition: b.Partition, Final: true, Outcome: history.OK, Invoked: r.now, Completed: r.now + 1, Before: at, End: history.NoOffset}
			q := polled{Poll: p}
			q.records, q.After = l.read(at, 5)
			at = q.After
			r.s.polls = append(r.s.polls, q)
			r.now++
		}
		r.now++
		b.Completed = r.now
		r.s.backs = append(r.s.backs, b)
	}
}
