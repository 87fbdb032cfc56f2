package client

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// ConsumerConfig says how records are read. DefaultConsumer fills in Kafka's
// defaults. Records are read as far as the high watermark, whatever becomes of
// their transactions (isolation.level=read_uncommitted).
type ConsumerConfig struct {
	MinBytes          int           // fetch.min.bytes
	MaxBytes          int           // fetch.max.bytes: of one answer, and of what is fetched ahead in all
	MaxPartitionBytes int           // max.partition.fetch.bytes: of one answer, and of what is fetched ahead of a partition
	MaxWait           time.Duration // fetch.max.wait.ms
	MaxPollRecords    int           // max.poll.records: of a Poll that sets no limit
	Reset             ResetPolicy   // auto.offset.reset
	ResetDuration     time.Duration // auto.offset.reset=by_duration: how far to go back
	Rack              string        // client.rack: a replica in this rack is read, if the leader names one (KIP-392)
	SkipCRCs          bool          // check.crcs=false: do not look at the batches' checksums
	MaxUnpacked       int           // bytes a batch may have uncompressed
}

// Check returns what is wrong with the settings, if anything.
func (c ConsumerConfig) Check() error {
	switch {
	case c.MinBytes < 0, c.MaxBytes < 1, c.MaxPartitionBytes < 1, c.MaxPollRecords < 1, c.MaxUnpacked < 1:
		return fmt.Errorf("fetch.min.bytes=%d, fetch.max.bytes=%d, max.partition.fetch.bytes=%d, max.poll.records=%d: not that little",
			c.MinBytes, c.MaxBytes, c.MaxPartitionBytes, c.MaxPollRecords)
	case c.MinBytes > math.MaxInt32, c.MaxBytes > math.MaxInt32, c.MaxPartitionBytes > math.MaxInt32:
		return fmt.Errorf("fetch.min.bytes=%d, fetch.max.bytes=%d, max.partition.fetch.bytes=%d: below 2 GiB",
			c.MinBytes, c.MaxBytes, c.MaxPartitionBytes)
	case c.MaxWait < 0:
		return fmt.Errorf("fetch.max.wait.ms=%d: not negative", c.MaxWait.Milliseconds())
	case c.Reset > ResetByDuration:
		return fmt.Errorf("auto.offset.reset: no policy %d", c.Reset)
	case c.Reset == ResetByDuration && c.ResetDuration < 0:
		return fmt.Errorf("auto.offset.reset=by_duration:%v: not negative", c.ResetDuration)
	}
	return nil
}

// A ResetPolicy says where to go on when the position is outside the log.
type ResetPolicy uint8

// The policies of auto.offset.reset.
const (
	ResetLatest ResetPolicy = iota
	ResetEarliest
	ResetNone       // tell the application
	ResetByDuration // the first record that is not older than ConsumerConfig.ResetDuration (KIP-1106)
)

// startOver returns where the policy begins; ResetNone has nothing to offer.
func (c *Consumer) startOver() Start {
	switch c.c.Reset {
	case ResetEarliest:
		return Earliest()
	case ResetByDuration:
		return AtTime(max(c.w.Wall()-kafka.Timestamp(c.c.ResetDuration.Milliseconds()), 0))
	}
	return Latest()
}

// DefaultConsumer returns Kafka's defaults.
func DefaultConsumer() ConsumerConfig {
	return ConsumerConfig{
		MinBytes:          1,
		MaxBytes:          50 << 20,
		MaxPartitionBytes: 1 << 20,
		MaxWait:           500 * time.Millisecond,
		MaxPollRecords:    500,
		Reset:             ResetLatest,
		MaxUnpacked:       128 << 20,
	}
}

// A PartitionError is what keeps a consumer from reading a partition. The
// consumer goes on trying.
type PartitionError struct {
	Partition kafka.TopicPartition
	Offset    kafka.Offset // where it wanted to read
	Err       error
}

func (e *PartitionError) Error() string {
	return fmt.Sprintf("read %s at offset %d: %v", e.Partition, e.Offset, e.Err)
}

func (e *PartitionError) Unwrap() error { return e.Err }

// A Reset tells that a consumer's position was lost and chosen anew by its
// policy: records between From and To were skipped, or are read twice.
type Reset struct {
	Partition kafka.TopicPartition
	From, To  kafka.Offset
	Reason    error
}

// maxResets bounds the resets kept for somebody who does not ask.
const maxResets = 1000

// A Consumer reads records of the partitions assigned to it. It fetches ahead
// with one task per broker; its positions move only with what Poll returns.
type Consumer struct {
	w        *env.World
	client   *Client
	c        ConsumerConfig
	cursors  []*cursor // in the order in which Poll looks at them
	byName   map[kafka.TopicPartition]*cursor
	links    *pool
	tasks    *env.Group
	fetchers map[kafka.NodeID]*fetcher
	resets   []Reset
	wake     env.Cond // something may be to do for a task of the consumer
	news     env.Cond // something may be there for Poll
	closed   bool

	// urgent, if there is one, reports that Poll is to return without records.
	urgent func() bool
}

// NewConsumer returns a consumer without partitions, and starts its tasks. The
// settings are such that Check finds nothing wrong with them.
func (c *Client) NewConsumer(config ConsumerConfig) *Consumer {
	assert.NoError(config.Check())
	cons := &Consumer{
		w: c.w, client: c, c: config,
		byName:   make(map[kafka.TopicPartition]*cursor),
		links:    c.newPool(),
		tasks:    env.NewGroup(c.w, "consumer"),
		fetchers: make(map[kafka.NodeID]*fetcher),
		wake:     c.w.NewCond("consumer"),
		news:     c.w.NewCond("consumer records"),
	}
	c.meta.listen(cons.wake)
	cons.tasks.Go("consumer", cons.run)
	return cons
}

// Assign makes places the partitions to read, and begins there. It replaces
// what was assigned. It does not block.
func (c *Consumer) Assign(places ...Place) {
	for _, cur := range c.cursors {
		cur.generation++ // answers about it are of no use any more
	}
	c.cursors = nil
	clear(c.byName)
	c.Add(places...)
}

// Add makes more places partitions to read, and begins there. What is assigned
// already stays where it is. It does not block.
func (c *Consumer) Add(places ...Place) {
	for _, p := range places {
		if c.byName[p.Partition] != nil {
			continue
		}
		cur := &cursor{tp: p.Partition, highWater: kafka.NoOffset}
		cur.restart(p.From, nil)
		c.cursors = append(c.cursors, cur)
		c.byName[p.Partition] = cur
		c.client.want(p.Partition.Topic)
	}
	c.wake.Broadcast()
}

// Drop takes partitions out of what is assigned, with what was fetched ahead of
// them. It does not block.
func (c *Consumer) Drop(tps ...kafka.TopicPartition) {
	for _, tp := range tps {
		cur := c.byName[tp]
		if cur == nil {
			continue
		}
		cur.generation++ // answers about it are of no use any more
		delete(c.byName, tp)
		c.cursors = slices.DeleteFunc(c.cursors, func(other *cursor) bool { return other == cur })
	}
	c.wake.Broadcast()
}

// Seek goes on elsewhere in an assigned partition. It does not block.
func (c *Consumer) Seek(tp kafka.TopicPartition, to Start) error {
	cur, err := c.cursor(tp)
	if err != nil {
		return err
	}
	cur.restart(to, nil)
	c.wake.Broadcast()
	return nil
}

// Position returns the offset of the record that Poll returns next, or of a later
// one if that offset holds none. It fails with ErrNotAssigned, or ErrNoPosition
// until Earliest, Latest or a time is resolved.
func (c *Consumer) Position(tp kafka.TopicPartition) (kafka.Offset, error) {
	cur, err := c.cursor(tp)
	if err != nil {
		return kafka.NoOffset, err
	}
	if !cur.known {
		return kafka.NoOffset, fmt.Errorf("%s: %w", tp, ErrNoPosition)
	}
	return cur.position, nil
}

// HighWatermark returns the partition's high watermark as the last fetch told
// it; kafka.NoOffset before.
func (c *Consumer) HighWatermark(tp kafka.TopicPartition) (kafka.Offset, error) {
	cur, err := c.cursor(tp)
	if err != nil {
		return kafka.NoOffset, err
	}
	return cur.highWater, nil
}

// Pause keeps Poll from returning records of the partitions until Resume.
func (c *Consumer) Pause(tps ...kafka.TopicPartition) error {
	return c.each(tps, func(cur *cursor) { cur.paused = true })
}

// Resume ends Pause.
func (c *Consumer) Resume(tps ...kafka.TopicPartition) error {
	return c.each(tps, func(cur *cursor) { cur.paused = false })
}

func (c *Consumer) each(tps []kafka.TopicPartition, f func(*cursor)) error {
	for _, tp := range tps {
		cur, err := c.cursor(tp)
		if err != nil {
			return err
		}
		f(cur)
	}
	c.wake.Broadcast()
	c.news.Broadcast()
	return nil
}

func (c *Consumer) cursor(tp kafka.TopicPartition) (*cursor, error) {
	if cur := c.byName[tp]; cur != nil {
		return cur, nil
	}
	return nil, fmt.Errorf("%s: %w", tp, ErrNotAssigned)
}

// Resets returns the resets since it was last called, the latest thousand.
func (c *Consumer) Resets() []Reset {
	r := c.resets
	c.resets = nil
	return r
}

// Poll returns up to limit records, in order for each partition; 0 is
// max.poll.records. It waits until there is one, or an error about a partition (a *PartitionError; others go on),
// and returns nothing when the deadline passes. Keys and values share memory with
// other records that were fetched together. Blocks.
func (c *Consumer) Poll(deadline kafka.Instant, limit int) ([]Record, error) {
	if limit <= 0 {
		limit = c.c.MaxPollRecords
	}
	for !c.closed {
		if c.urgent != nil && c.urgent() {
			return nil, nil
		}
		if limit > 1 && c.w.Buggify("a poll returns one record only") {
			limit = 1
		}
		if records := c.take(limit); len(records) > 0 {
			c.wake.Broadcast() // there is room to fetch ahead
			return records, nil
		}
		if err := c.takeError(); err != nil {
			return nil, err
		}
		if err := c.news.Wait(deadline); err != nil {
			if isDeadline(err) {
				return nil, nil
			}
			return nil, err
		}
	}
	return nil, fmt.Errorf("consumer: %w", ErrClosed)
}

// take returns records of the partitions in turn. Whoever gave some goes to the
// end of the queue.
func (c *Consumer) take(limit int) []Record {
	var out []Record
	var gave []*cursor
	for _, cur := range c.cursors {
		if cur.paused || len(out) >= limit {
			continue
		}
		if records := cur.take(limit - len(out)); len(records) > 0 {
			if out == nil {
				out = records
			} else {
				out = append(out, records...)
			}
			gave = append(gave, cur)
		}
	}
	for _, cur := range gave {
		i := slices.Index(c.cursors, cur)
		c.cursors = append(slices.Delete(c.cursors, i, i+1), cur)
	}
	return out
}

func (c *Consumer) takeError() error {
	for _, cur := range c.cursors {
		if cur.paused || cur.err == nil && cur.lost == nil {
			continue
		}
		err := cur.err
		if cur.err = nil; err == nil {
			err = cur.lost
		}
		return &PartitionError{Partition: cur.tp, Offset: cur.next, Err: err}
	}
	return nil
}

// Close ends the consumer's tasks and connections. Blocks.
func (c *Consumer) Close(deadline kafka.Instant) error {
	c.closed = true
	c.client.meta.unlisten(c.wake)
	c.news.Broadcast()
	c.tasks.Cancel()
	if err := c.links.close(deadline); err != nil {
		return err
	}
	return c.tasks.Wait(deadline)
}

// Check returns the first broken invariant.
func (c *Consumer) Check() error {
	for _, cur := range c.cursors {
		if err := cur.check(); err != nil {
			return fmt.Errorf("consumer: %w", err)
		}
	}
	return c.links.check()
}

// run finds out where to begin, and starts fetchers for the brokers that lead
// what is assigned.
func (c *Consumer) run() {
	for !c.closed {
		next, now := kafka.Never, c.w.Now()
		for _, cur := range slices.Clone(c.cursors) {
			next = min(next, c.attend(cur, now))
		}
		if err := c.wake.Wait(next); err != nil && !isDeadline(err) {
			return
		}
	}
}

// attend does what one cursor needs, and returns when to look again.
func (c *Consumer) attend(cur *cursor, now kafka.Instant) kafka.Instant {
	c.client.want(cur.tp.Topic)
	c.noticeRecreation(cur)
	if now < cur.notUntil {
		return cur.notUntil
	}
	from, epoch := c.source(cur, now)
	switch {
	case from == cluster.NoNode:
		c.noLeader(cur)
	case cur.busy, cur.lost != nil:
	case !cur.known:
		cur.busy = true
		c.tasks.Go("offset of "+cur.tp.String(), func() { c.findStart(cur) })
	case cur.unsure(epoch):
		cur.busy = true
		c.tasks.Go("validation of "+cur.tp.String(), func() { c.validate(cur) })
	case c.fetchers[from] == nil:
		f := &fetcher{c: c, node: from}
		c.fetchers[from] = f
		c.tasks.Go(fmt.Sprintf("fetcher from broker %d", from), f.run)
	}
	if cur.notUntil > now {
		return cur.notUntil
	}
	return kafka.Never
}

// source returns which broker a partition is read from: the replica that its leader
// named last, as long as that is one and the leader the same, or else the leader
// itself. From time to time the leader is asked again, who may know a better one.
func (c *Consumer) source(cur *cursor, now kafka.Instant) (kafka.NodeID, kafka.LeaderEpoch) {
	leader, epoch, ok := c.client.meta.view.Leader(cur.tp)
	if !ok {
		return cluster.NoNode, epoch
	}
	if cur.replica.until <= now || cur.replica.epoch != epoch {
		return leader.ID, epoch
	}
	if _, known := c.client.meta.view.Broker(cur.replica.id); !known {
		return leader.ID, epoch
	}
	return cur.replica.id, epoch
}

// noLeader asks for newer metadata, and tells Poll if the topic does not exist.
func (c *Consumer) noLeader(cur *cursor) {
	c.client.needUpdate()
	t, ok := c.client.meta.view.Topic(cur.tp.Topic)
	_, exists := c.client.meta.view.Partition(cur.tp)
	switch {
	case !ok || exists || t.Err == kafka.ErrLeaderNotAvailable: // it may pass
	case t.Err != kafka.None:
		c.fail(cur, fmt.Errorf("topic %s: %w", cur.tp.Topic, t.Err))
	default:
		c.fail(cur, c.client.whyNoLeader(cur.tp))
	}
}

// fail has Poll tell an error, and lets the partition rest.
func (c *Consumer) fail(cur *cursor, err error) {
	cur.err = err
	c.rest(cur)
	c.news.Broadcast()
}

func (c *Consumer) rest(cur *cursor) {
	cur.failures++
	cur.notUntil = c.w.Now().Add(c.client.backOff(cur.failures))
	c.wake.Broadcast()
}
