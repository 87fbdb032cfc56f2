package client

import (
	"time"

	"cmp"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// A cursor is where a consumer stands in one partition: what it has returned,
// and what it has fetched ahead. It is pure.
//
// Invariants, checked by check:
//
//  1. position <= every buffered record's offset < next, in rising order
//  2. position moves only in restart and in take, and take moves it past what it
//     returns (and past offsets that hold nothing for an application)
//  3. generation changes whenever next moves other than by deliver, so that an
//     answer to a request of before is recognized
type cursor struct {
	tp         kafka.TopicPartition
	from       Start // where to begin while position is not known
	known      bool  // position is known
	position   kafka.Offset
	next       kafka.Offset      // where the next fetch begins
	epoch      kafka.LeaderEpoch // of the last batch before next that was fetched; none: not known
	checked    kafka.LeaderEpoch // of the leader whose log has what comes before next, as far as is known
	generation uint64
	chunks     []chunk
	bytes      int // of the chunks

	replica   replica // to read from instead of the leader
	topicID   kafka.TopicID
	successor kafka.TopicID // the topic of that name whose leader does not know topicID
	named     bool          // the leader takes topics by name, so it cannot tell
	paused    bool
	busy      bool // a request about it is under way
	highWater kafka.Offset
	failures  int
	notUntil  kafka.Instant
	err       error // to be told by Poll, once
	lost      error // to be told by each Poll: there is no position, until restart
	reason    error // why the position is to be chosen anew
}

// A replica is one that the leader of an epoch sent a consumer to, and how long that
// holds: kafka.Never until it was asked for the first time.
type replica struct {
	id    kafka.NodeID
	epoch kafka.LeaderEpoch
	until kafka.Instant
}

// asked notes that a broker is asked. If it is the replica, the time for which it is to
// be read begins: its fetcher may have waited for records of other partitions meanwhile,
// and a time that was over then would leave it one answer each time.
func (r *replica) asked(broker kafka.NodeID, now kafka.Instant, lease time.Duration) {
	if r.id == broker && r.until == kafka.Never {
		r.until = now.Add(lease)
	}
}

// A chunk is what one fetch brought of a partition.
type chunk struct {
	records []Record
	end     kafka.Offset      // after the last offset the fetch covered
	epoch   kafka.LeaderEpoch // of its last batch
	bytes   int
}

// restart forgets everything that was fetched, and begins elsewhere.
func (c *cursor) restart(from Start, reason error) {
	c.from, c.reason, c.known = from, reason, from.kind == startOffset
	c.position, c.next = from.offset, from.offset
	c.epoch, c.checked = kafka.NoLeaderEpoch, kafka.NoLeaderEpoch
	c.generation++
	c.chunks, c.bytes = nil, 0
	c.err, c.lost, c.failures, c.notUntil = nil, nil, 0, 0
}

// fetchable reports whether more of the partition can be asked for.
func (c *cursor) fetchable(now kafka.Instant) bool {
	return c.known && c.lost == nil && !c.busy && !c.paused && now >= c.notUntil
}

// unsure reports whether a leader of a later epoch has to be asked first whether
// it has what was fetched from its predecessors (KIP-320).
func (c *cursor) unsure(leader kafka.LeaderEpoch) bool {
	return c.known && c.lost == nil && c.epoch != kafka.NoLeaderEpoch && leader > c.checked
}

// truncate drops what was fetched from an offset on, because the log no longer has
// it, and reports whether something of it was returned already.
func (c *cursor) truncate(at kafka.Offset, epoch kafka.LeaderEpoch) (returned bool) {
	var kept []chunk
	c.bytes = 0
	for _, ch := range c.chunks {
		n, _ := slices.BinarySearchFunc(ch.records, at, func(r Record, at kafka.Offset) int {
			return cmp.Compare(r.Offset, at)
		})
		ch.records, ch.end = ch.records[:n], min(ch.end, at)
		if n > 0 {
			kept = append(kept, ch)
			c.bytes += ch.bytes
		}
	}
	c.chunks = kept
	c.next, c.epoch = max(min(c.next, at), 0), epoch
	returned = c.position > c.next
	c.position = min(c.position, c.next)
	c.generation++
	return returned
}

// resolve sets the position that restart left open.
func (c *cursor) resolve(at kafka.Offset) {
	c.known = true
	c.position, c.next = at, at
}

// deliver takes in what a fetch from next brought.
func (c *cursor) deliver(ch chunk) {
	c.next, c.epoch = max(c.next, ch.end), ch.epoch
	c.failures, c.notUntil, c.err = 0, 0, nil
	c.chunks = append(c.chunks, ch)
	c.bytes += ch.bytes
	c.skipEmpty()
}

// take returns up to n records and moves the position past them.
func (c *cursor) take(n int) []Record {
	var out []Record
	for len(out) < n && len(c.chunks) > 0 {
		ch := &c.chunks[0]
		k := min(n-len(out), len(ch.records))
		if out == nil {
			out = ch.records[:k:k] // nobody else needs them any more
		} else {
			out = append(out, ch.records[:k]...)
		}
		ch.records = ch.records[k:]
		c.position = out[len(out)-1].Offset + 1
		c.skipEmpty()
	}
	return out
}

// skipEmpty drops chunks without records left, and moves the position past what
// they covered.
func (c *cursor) skipEmpty() {
	for len(c.chunks) > 0 && len(c.chunks[0].records) == 0 {
		c.position = c.chunks[0].end
		c.bytes -= c.chunks[0].bytes
		c.chunks = c.chunks[1:]
	}
}

func (c *cursor) check() error {
	last := c.position - 1
	for _, ch := range c.chunks {
		for _, r := range ch.records {
			if r.Offset <= last || r.Offset >= ch.end {
				return fmt.Errorf("%s: record at %d after %d, fetched up to %d", c.tp, r.Offset, last, ch.end)
			}
			last = r.Offset
		}
	}
	if c.known && (c.position > c.next || last >= c.next) {
		return fmt.Errorf("%s: position %d, last record %d, next fetch at %d", c.tp, c.position, last, c.next)
	}
	return nil
}
