package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// shortWait is how long a fetch may wait that leaves out a partition because
// enough of it is fetched: soon there will be room for it.
const shortWait = 20 * time.Millisecond

// A fetcher fetches from one broker, one request at a time, everything that is to
// be read there, most of it because the broker leads it, and that the consumer has
// room for.
type fetcher struct {
	c       *Consumer
	node    kafka.NodeID
	codecs  record.Codecs
	errands []errand // of the present request
}

// An errand is a cursor as it was when it was asked for.
type errand struct {
	cur        *cursor
	generation uint64
	from       kafka.Offset
	epoch      kafka.LeaderEpoch
}

// run fetches until the consumer closes.
func (f *fetcher) run() {
	for !f.c.closed {
		now := f.c.w.Now() // one for both: whose rest is not over is waited for
		errands, wait := f.collect(now)
		if len(errands) == 0 {
			if err := f.c.wake.Wait(f.nextRest(now)); err != nil && !isDeadline(err) {
				return
			}
			continue
		}
		f.fetch(errands, wait)
	}
}

// collect returns what to fetch, and how long the broker may wait for it.
func (f *fetcher) collect(now kafka.Instant) ([]errand, time.Duration) {
	errands := f.errands[:0]
	wait := f.c.c.MaxWait
	full := f.c.ahead() >= f.c.c.MaxBytes
	for _, cur := range f.c.cursors {
		from, epoch := f.c.source(cur, now)
		if from != f.node || !cur.fetchable(now) || cur.unsure(epoch) {
			continue
		}
		if cur.bytes >= f.c.c.MaxPartitionBytes || full && cur.bytes > 0 {
			wait = min(wait, shortWait)
			continue
		}
		cur.checked = epoch
		errands = append(errands, errand{cur, cur.generation, cur.next, epoch})
	}
	f.errands = errands
	return errands, wait
}

// ahead returns how many bytes are fetched ahead of partitions that Poll returns
// records of.
func (c *Consumer) ahead() int {
	n := 0
	for _, cur := range c.cursors {
		if !cur.paused {
			n += cur.bytes
		}
	}
	return n
}

// nextRest returns when the next partition may be asked for again.
func (f *fetcher) nextRest(now kafka.Instant) kafka.Instant {
	next := kafka.Never
	for _, cur := range f.c.cursors {
		if cur.notUntil > now {
			next = min(next, cur.notUntil)
		}
	}
	return next
}

// fetch carries out one request. Blocks.
func (f *fetcher) fetch(errands []errand, wait time.Duration) {
	c := f.c
	broker, ok := c.client.meta.view.Broker(f.node)
	if !ok {
		f.retry(errands, kafka.ErrBrokerNotAvailable)
		return
	}
	for _, e := range errands {
		e.cur.busy = true // until its part of the answer is handled
		e.cur.replica.asked(f.node, c.w.Now(), c.client.c.MetadataMaxAge)
	}
	defer func() {
		for _, e := range errands {
			e.cur.busy = false
		}
		c.wake.Broadcast()
	}()
	req, o := f.request(errands, wait)
	resp, err := c.links.get(broker.Address).Do(req, o, kafka.Never)
	if err != nil {
		f.retry(errands, err)
		return
	}
	f.take(errands, resp.(*kmsg.FetchResponse))
}

// retry lets the partitions of a request that failed rest.
func (f *fetcher) retry(errands []errand, err error) {
	f.c.client.needUpdate()
	for _, e := range errands {
		if e.cur.generation == e.generation {
			e.cur.replica = replica{}
			f.c.rest(e.cur)
		}
	}
	if errors.Is(err, kafka.ErrUnsupportedVersion) {
		f.c.fail(errands[0].cur, err)
	}
}

func (f *fetcher) request(errands []errand, wait time.Duration) (kmsg.Request, link.Options) {
	c := f.c.c
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID = -1
	req.MaxWaitMillis = int32(wait.Milliseconds())
	req.MinBytes, req.MaxBytes = int32(c.MinBytes), int32(c.MaxBytes)
	req.SessionID, req.SessionEpoch = 0, -1 // no fetch session (KIP-227)
	req.Rack = c.Rack
	o := link.Options{MinVersion: 4, Patience: wait}
	at := make(map[string]int)
	for _, e := range errands {
		tp := e.cur.tp
		i, ok := at[tp.Topic]
		if !ok {
			i = len(req.Topics)
			at[tp.Topic] = i
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = tp.Topic, e.cur.topicID
			req.Topics = append(req.Topics, t)
		}
		if (e.cur.topicID == kafka.TopicID{}) {
			o.MaxVersion = 12 // the last that names topics
		}
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition = tp.Partition
		part.CurrentLeaderEpoch = int32(e.epoch)
		part.FetchOffset = int64(e.from)
		part.LastFetchedEpoch = -1
		part.LogStartOffset = -1
		part.PartitionMaxBytes = int32(c.MaxPartitionBytes)
		if f.c.w.Buggify("a fetch asks for as little as it can") {
			part.PartitionMaxBytes = 1
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, part)
	}
	return req, o
}

// take hands each partition's part of an answer to its cursor. Blocks.
func (f *fetcher) take(errands []errand, resp *kmsg.FetchResponse) {
	if code := kafka.Error(resp.ErrorCode); code != kafka.None {
		f.retry(errands, code)
		return
	}
	parts := make(map[kafka.TopicPartition]*kmsg.FetchResponseTopicPartition)
	for i := range resp.Topics {
		t := &resp.Topics[i]
		name := t.Topic
		if resp.Version >= 13 {
			name = nameOf(errands, t.TopicID)
		}
		for j := range t.Partitions {
			parts[kafka.TopicPartition{Topic: name, Partition: t.Partitions[j].Partition}] = &t.Partitions[j]
		}
	}
	for _, e := range errands {
		e.cur.named = resp.Version < 13
		part := parts[e.cur.tp]
		switch {
		case e.cur.generation != e.generation:
			// Second look: somebody seeked while the fetch was under way.
			f.c.w.Probe("a fetch came back after a seek")
		case part == nil:
			f.c.rest(e.cur) // nothing was said of it
		case part.ErrorCode != 0:
			f.refused(e, part)
		case part.PreferredReadReplica >= 0 && kafka.NodeID(part.PreferredReadReplica) != f.node && len(part.RecordBatches) == 0:
			f.redirect(e, kafka.NodeID(part.PreferredReadReplica))
		default:
			f.accept(e, part)
		}
	}
}

// redirect reads a partition from the replica that the leader names, for as long as
// metadata are believed. One that they do not have yet is asked for: the leader would name
// it again at once.
func (f *fetcher) redirect(e errand, to kafka.NodeID) {
	if _, known := f.c.client.meta.view.Broker(to); !known {
		f.c.w.Probe("a consumer was sent to a broker that it did not know")
		f.c.client.needUpdate()
		f.c.rest(e.cur)
		return
	}
	e.cur.replica = replica{id: to, epoch: e.epoch, until: kafka.Never}
}

func nameOf(errands []errand, id kafka.TopicID) string {
	for _, e := range errands {
		if e.cur.topicID == id {
			return e.cur.tp.Topic
		}
	}
	return ""
}

// accept decodes what was fetched. Blocks.
func (f *fetcher) accept(e errand, part *kmsg.FetchResponseTopicPartition) {
	cur := e.cur
	var ch chunk
	var err error
	d := decoder{codecs: &f.codecs, tp: e.cur.tp, limit: f.c.c.MaxUnpacked, check: checks(!f.c.c.SkipCRCs)}
	damaged := d.check == checkCRCs && len(part.RecordBatches) > record.CRCFrom && f.c.w.Buggify("records are damaged on their way to a consumer")
	if damaged {
		part.RecordBatches = env.Damaged(part.RecordBatches, record.CRCFrom)
	}
	f.c.w.Offload(func() { ch, err = d.decode(part.RecordBatches, e.from) })
	if cur.generation != e.generation {
		return // second look
	}
	assert.That(cur.next == e.from, "%s: next fetch at %d, answer from %d", cur.tp, cur.next, e.from)
	cur.highWater = kafka.Offset(part.HighWatermark)
	if ch.end == e.from && err != nil {
		f.c.w.Probe("a consumer fetched records it could not decode")
		if tell := f.c.client.c.OnCorrupt; tell != nil && !damaged && errors.Is(err, record.ErrCorrupt) {
			tell(f.node, cur.tp, err)
		}
		f.c.fail(cur, err)
		return
	}
	if ch.end > e.from {
		cur.deliver(ch)
		f.c.news.Broadcast()
	}
	cur.failures = 0
}

// refused handles an error code about one partition.
func (f *fetcher) refused(e errand, part *kmsg.FetchResponseTopicPartition) {
	code := kafka.Error(part.ErrorCode)
	err := fmt.Errorf("fetch from broker %d: %w", f.node, code)
	if e.cur.replica.until > 0 && e.cur.replica.id == f.node {
		// A follower may not be there yet, or any more: its leader decides.
		e.cur.replica = replica{}
		f.c.rest(e.cur)
		return
	}
	switch {
	case code == kafka.ErrOffsetOutOfRange:
		f.c.lose(e.cur, err)
	case code == kafka.ErrUnknownTopicID, code == kafka.ErrInconsistentTopicID:
		f.suspect(e.cur)
		f.c.client.needUpdate()
		f.c.rest(e.cur)
	case code.Outcome() == kafka.Definite, code == kafka.ErrCorruptMessage, code == kafka.ErrUnknownServerError:
		f.c.fail(e.cur, err)
	case f.c.client.learn(e.cur.tp, part.CurrentLeader.LeaderID, part.CurrentLeader.LeaderEpoch):
		// Its fetcher takes over at once.
	default:
		f.c.client.needUpdate()
		f.c.rest(e.cur)
	}
}

// suspect notes which topic stands in the place of a cursor's, whose id this broker does
// not know: the one that it leads. What others lead by older metadata may be older.
func (f *fetcher) suspect(cur *cursor) {
	view := &f.c.client.meta.view
	if leader, _, ok := view.Leader(cur.tp); ok && leader.ID == f.node {
		cur.successor = view.Look(cur.tp.Topic).ID
	}
}
