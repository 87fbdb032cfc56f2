package scenarios

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A rawProducer sends batches in frames of its own making and believes every code
// that it is answered: no client stands between the broker and the history. What
// it sends, it sends once; unless it is of those that repeat, which send all
// batches without an acknowledgement again, in order, on a new connection, while
// the old requests may still be on their way.
type rawProducer struct {
	machine
	rawStyle
	draws  *rand.Rand
	codecs record.Codecs
	left   int // records still to be sent
	kept   int // of them, those kept until the faults have ended
	pause  time.Duration

	as      *record.Producer // nil: to be asked for, or none is needed
	first   kafka.Sequence   // where sequences begin
	next    map[int32]kafka.Sequence
	pending []*rawBatch // without an outcome, in send order
	conn    *rawPipe    // in use; nil: none
	pipes   []*rawPipe  // all that are open
	home    int32       // of several brokers each leads its partitions: the one partition it writes to
	again   bool        // a batch was lost or refused: what is pending is sent again
	rounds  int         // of that; nothing new is sent before all is acknowledged or given up
	changed env.Cond
	done    bool
}

// A rawStyle is how a raw producer sends.
type rawStyle struct {
	idempotent  bool
	acks        kafka.Acks
	repeats     int           // how often what is pending is sent again before it is given up
	maxInFlight int           // requests
	version     int16         // of Produce
	timeout     time.Duration // that the broker may take; 0: as long as the producer waits
	codec       record.Codec
}

// A rawPipe is a connection with the requests that it has not answered, in order.
type rawPipe struct {
	*rawConn
	requests []rawRequest
}

type rawRequest struct {
	correlation int32
	due         kafka.Instant // when its sender stops waiting
	batches     []*rawBatch
}

// drawRaw draws how a raw producer sends. A producer id allows five batches in
// flight, as Kafka remembers five.
func drawRaw(draws *rand.Rand) rawStyle {
	s := rawStyle{acks: kafka.AcksAll, maxInFlight: 1 + draws.IntN(5)}
	s.version = int16(3 + draws.IntN(9))
	s.codec = pick(draws, record.None, record.None, record.Gzip, record.Snappy, record.Zstd)
	s.timeout = pick(draws, 0, 0, 5*time.Millisecond, 100*time.Millisecond, time.Second)
	switch draws.IntN(8) {
	case 0:
		s.acks = kafka.AcksNone
	case 1:
		s.acks = kafka.AcksLeader
	case 2:
		s.maxInFlight = 1
	case 3:
		s.idempotent = true
	default:
		s.idempotent, s.repeats = true, 2+draws.IntN(6)
	}
	return s
}

// rawSends is how many records each raw producer sends.
const rawSends = 300

func (r *run) newRaw(name string) *rawProducer {
	draws := r.k.Rand("workload/" + name)
	p := &rawProducer{rawStyle: drawRaw(draws), draws: draws, left: rawSends, kept: rawSends / 10}
	p.pause = 2 * r.options.Safety * meanRawBatch / rawSends
	p.first = firstSequence(draws)
	if r.options.clustered() {
		p.home = draws.Int32N(r.options.Partitions)
	}
	p.machine = r.newMachine(name, p.main)
	p.changed = p.world.NewCond("raw")
	return p
}

// meanRawBatch is how many records a raw batch has on average.
const meanRawBatch = 2

// unfinished says why the producer has not finished, or "".
func (p *rawProducer) unfinished() string {
	if p.done {
		return ""
	}
	return fmt.Sprintf("%s has %d records left to send and %d batches without an outcome", p.node.Name(), p.left, len(p.pending))
}

// died gives what is pending the only outcome there is.
func (p *rawProducer) died() {
	for _, b := range p.pending {
		b.doubt = true
		b.conclude()
	}
	p.pending, p.pipes, p.conn = nil, nil, nil
	p.renew()
}

// renew has the producer begin as another, with another id.
func (p *rawProducer) renew() {
	p.as, p.again, p.rounds = nil, false, 0
}

// main is the life of one incarnation.
func (p *rawProducer) main() {
	p.next = map[int32]kafka.Sequence{}
	for p.left > 0 || len(p.pending) > 0 {
		switch {
		case p.r.allGivenUp(), p.r.options.clustered() && p.r.givenUp(p.home):
			for _, c := range slices.Clone(p.pipes) {
				_ = c.net.Close()
			}
			p.died() // nobody will ever answer
			p.left = 0
		case p.conn == nil:
			p.connect()
		case p.again:
			p.sendAgain()
		case p.idempotent && p.as == nil:
			p.begin()
		case p.mayGo():
			p.sendNew()
			p.world.Sleep(time.Duration(p.draws.Int64N(int64(p.pause))))
		default:
			p.await()
		}
	}
	for _, c := range slices.Clone(p.pipes) {
		_ = c.net.Close()
	}
	p.done = true
}

// mayGo reports whether something new may be sent now.
func (p *rawProducer) mayGo() bool {
	return p.left > 0 && (p.left > p.kept || p.r.healed) && p.rounds == 0 && len(p.conn.requests) < p.maxInFlight
}

// await waits for an answer, or until one is overdue: then the connection is
// given up. Blocks.
func (p *rawProducer) await() {
	p.closeSilent()
	c := p.conn
	if c == nil || len(c.requests) == 0 {
		p.world.Sleep(10 * time.Millisecond)
		return
	}
	err := p.changed.Wait(c.requests[0].due)
	if errors.Is(err, env.ErrDeadline) && len(c.requests) > 0 && c.requests[0].due <= p.world.Now() {
		p.leave(c)
	}
}

// closeSilent closes connections that were left open and still do not answer.
func (p *rawProducer) closeSilent() {
	for _, c := range slices.Clone(p.pipes) {
		if c != p.conn && len(c.requests) > 0 && c.requests[0].due.Add(p.r.requestTimeout) < p.world.Now() {
			_ = c.net.Close()
		}
	}
}

// leave gives up waiting on a connection. Those who repeat leave it open at times:
// its requests are still on their way.
func (p *rawProducer) leave(c *rawPipe) {
	if p.conn == c {
		p.conn = nil
	}
	p.again = p.again || p.repeats > 0
	if p.repeats == 0 || p.draws.IntN(3) == 0 {
		_ = c.net.Close()
	}
}

// connect opens a connection, and a task that reads its answers. Blocks.
func (p *rawProducer) connect() {
	raw, err := p.dialLeader(kafka.TopicPartition{Topic: topicName, Partition: p.home})
	if err != nil {
		p.world.Sleep(50 * time.Millisecond)
		return
	}
	c := &rawPipe{rawConn: raw}
	p.conn = c
	p.pipes = append(p.pipes, c)
	p.world.Go("read answers", func() { p.read(c) })
}

// begin gets a producer id, on a connection of its own. Blocks.
func (p *rawProducer) begin() {
	c, err := p.dialRaw()
	if err != nil {
		p.world.Sleep(50 * time.Millisecond)
		return
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version, req.TransactionTimeoutMillis = 4, 60000
	resp, err := c.ask(req, p.world.Now().Add(p.r.requestTimeout))
	_ = c.net.Close()
	if err != nil || kafka.Error(resp.(*kmsg.InitProducerIDResponse).ErrorCode) != kafka.None {
		p.world.Sleep(50 * time.Millisecond)
		return
	}
	q := resp.(*kmsg.InitProducerIDResponse)
	p.as = &record.Producer{ID: kafka.ProducerID(q.ProducerID), Epoch: kafka.ProducerEpoch(q.ProducerEpoch)}
	clear(p.next)
	p.incarnation++
	p.sequence = map[int32]int64{}
}

// sendNew sends a new batch, or two of two partitions in one request. Blocks.
func (p *rawProducer) sendNew() {
	partitions := p.r.options.Partitions
	first := p.home
	if !p.r.options.clustered() {
		first = p.draws.Int32N(partitions)
	}
	batches := []*rawBatch{p.newBatch(first)}
	if partitions > 1 && !p.r.options.clustered() && p.left > 0 && p.draws.IntN(6) == 0 {
		batches = append(batches, p.newBatch((first+1)%partitions))
	}
	p.pending = append(p.pending, batches...)
	p.put(batches)
	if p.repeats > 0 && p.draws.IntN(40) == 0 && p.conn != nil {
		p.leave(p.conn) // impatient: the answer may be on its way
	}
}

// sendAgain sends all that is pending once more, in order, when nothing is under
// way on the connection in use any more; or gives it up. Blocks.
func (p *rawProducer) sendAgain() {
	if p.drop(); !p.again {
		return // all had been acknowledged when its sender lost patience
	}
	c := p.conn
	if len(c.requests) > 0 {
		p.await()
		return
	}
	if p.rounds++; p.rounds > p.repeats {
		p.giveUp()
		return
	}
	p.again = false
	if p.rounds > 1 {
		p.world.Sleep(time.Duration(p.draws.Int64N(int64(100 * time.Millisecond))))
	}
	for _, b := range slices.Clone(p.pending) {
		for p.conn == c && len(c.requests) >= p.maxInFlight {
			p.await()
		}
		if p.conn != c || p.again {
			p.again = true
			return
		}
		if !b.settled {
			p.put([]*rawBatch{b})
		}
	}
}

// giveUp settles what is pending, and goes on as another producer.
func (p *rawProducer) giveUp() {
	for _, b := range p.pending {
		b.conclude()
	}
	p.pending = nil
	p.renew()
}

// put writes one request. Blocks.
func (p *rawProducer) put(batches []*rawBatch) {
	c, now := p.conn, p.world.Now()
	due := now.Add(p.r.requestTimeout)
	req := p.request(batches)
	for _, b := range batches {
		b.copies++
	}
	if p.acks == kafka.AcksNone {
		p.putBlindly(c, req, batches)
		return
	}
	c.requests = append(c.requests, rawRequest{c.correlation + 1, due, batches})
	if err := c.send(req, due); err != nil {
		_ = c.net.Close() // its reader finds out what is lost
	}
}

// putBlindly writes a request that has no answer. Blocks.
func (p *rawProducer) putBlindly(c *rawPipe, req kmsg.Request, batches []*rawBatch) {
	err := c.send(req, p.world.Now().Add(p.r.requestTimeout))
	for _, b := range batches {
		if b.copies--; err == nil {
			b.acked(kafka.NoOffset)
		} else {
			b.doubt = true
			b.conclude()
		}
	}
	p.drop()
	if err != nil {
		p.leave(c)
	}
}

func (p *rawProducer) request(batches []*rawBatch) kmsg.Request {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks = p.version, int16(p.acks)
	req.TimeoutMillis = int32(p.r.requestTimeout / time.Millisecond)
	if p.timeout > 0 {
		req.TimeoutMillis = int32(p.timeout / time.Millisecond)
	}
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topicName
	for _, b := range batches {
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition, part.Records = b.partition, b.bytes
		t.Partitions = append(t.Partitions, part)
	}
	req.Topics = append(req.Topics, t)
	return req
}

// read hears the answers of a connection until it ends. Blocks.
func (p *rawProducer) read(c *rawPipe) {
	for {
		answer, err := c.receive(kafka.Never)
		if err == nil {
			err = p.hear(c, answer)
		}
		if err != nil {
			p.lose(c, err)
			return
		}
		p.changed.Broadcast()
	}
}

// hear takes an answer for the oldest request that has none.
func (p *rawProducer) hear(c *rawPipe, answer []byte) error {
	if len(c.requests) == 0 {
		return fmt.Errorf("an answer to nothing: %w", errNoAnswer)
	}
	q := c.requests[0]
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = p.version
	if err := decodeRaw(answer, q.correlation, resp); err != nil {
		return err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != len(q.batches) {
		return fmt.Errorf("%d topics: %w", len(resp.Topics), errNoAnswer)
	}
	c.requests = c.requests[1:]
	for i, part := range resp.Topics[0].Partitions {
		if part.Partition != q.batches[i].partition {
			return fmt.Errorf("partition %d, want %d: %w", part.Partition, q.batches[i].partition, errNoAnswer)
		}
		code := kafka.Error(part.ErrorCode)
		q.batches[i].hear(code, kafka.Offset(part.BaseOffset), kafka.Timestamp(part.LogAppendTime))
		p.heard(q.batches[i])
		if movedAway(code) && p.conn == c {
			p.leave(c) // another broker leads
		}
	}
	p.drop()
	return nil
}

// movedAway reports whether a code says that this broker does not lead.
func movedAway(code kafka.Error) bool {
	return code == kafka.ErrNotLeaderOrFollower || code == kafka.ErrFencedLeaderEpoch
}

// heard decides what a batch without an acknowledgement needs.
func (p *rawProducer) heard(b *rawBatch) {
	if b.settled || b.copies > 0 {
		return
	}
	if p.repeats > 0 {
		p.again = true
		return
	}
	b.conclude()
	p.renewAfter(b)
}

// renewAfter begins anew as another producer if the batch has left a gap in the
// sequences of this one.
func (p *rawProducer) renewAfter(b *rawBatch) {
	if p.as != nil && b.producer.ID == p.as.ID {
		p.renew()
	}
}

// drop forgets batches that have an outcome.
func (p *rawProducer) drop() {
	p.pending = slices.DeleteFunc(p.pending, func(b *rawBatch) bool { return b.settled })
	if len(p.pending) == 0 {
		p.again, p.rounds = false, 0
	}
}

// lose ends a connection: what it has not answered, it will not.
func (p *rawProducer) lose(c *rawPipe, why error) {
	if errors.Is(why, errNoAnswer) {
		p.r.observer.complain(answersInOrder, fmt.Sprintf("%s at %s: %v", p.node.Name(), p.r.k.Now(), why))
	}
	_ = c.net.Close()
	requests := c.requests
	c.requests = nil
	if p.conn == c {
		p.conn = nil
	}
	if i := slices.Index(p.pipes, c); i >= 0 {
		p.pipes = slices.Delete(p.pipes, i, i+1)
	}
	for _, q := range requests {
		for _, b := range q.batches {
			b.lose()
			p.heard(b)
		}
	}
	p.drop()
	p.changed.Broadcast()
}

// newBatch composes a batch and records its sends.
func (p *rawProducer) newBatch(partition int32) *rawBatch {
	n := min(1+p.draws.IntN(2*meanRawBatch-1), p.left)
	p.left -= n
	b := &rawBatch{partition: partition, stamp: p.world.Wall()}
	var w record.Builder
	for range n {
		rec, send := p.compose(partition)
		rec.Timestamp = b.stamp
		w.Append(rec)
		b.sends = append(b.sends, p.r.history.Send(send))
	}
	spec := record.Spec{LeaderEpoch: kafka.NoLeaderEpoch, Compression: record.Compression{Codec: p.codec}}
	if p.idempotent {
		b.producer = *p.as
		b.producer.Sequence = p.nextSequence(partition, int32(n))
		spec.Producer = &b.producer
	}
	built, err := w.Build(spec, &p.codecs)
	if err != nil {
		panic(err)
	}
	b.bytes = built.Bytes()
	return b
}

// nextSequence takes n sequences of a partition and returns the first.
func (p *rawProducer) nextSequence(partition, n int32) kafka.Sequence {
	s, ok := p.next[partition]
	if !ok {
		s = p.first
	}
	p.next[partition] = s.Add(n)
	return s
}

// compose makes a record that carries its identity.
func (p *rawProducer) compose(partition int32) (record.Record, history.Send) {
	id := p.r.history.NextRecord()
	value := history.AppendIdentity(nil, id)
	for n := p.draws.IntN(p.r.options.ValueMax + 1); len(value) < n; {
		value = append(value, byte('A'+len(value)%23))
	}
	key := fmt.Appendf(nil, "%s-%d", p.node.Name(), p.draws.IntN(50))
	s := history.Send{
		Client: p.id, Incarnation: p.incarnation, Partition: p.r.history.Partition(topicName, partition),
		Seq: p.nextSeq(partition), Record: id, Key: history.KeyDigest(key), Digest: history.DigestOf(key, value, nil),
		Acks: history.Acks(p.acks), Delivery: p.delivery(),
	}
	return record.Record{Key: key, Value: value}, s
}

func (p *rawProducer) delivery() history.Delivery {
	switch {
	case p.idempotent:
		return history.Idempotent
	case p.maxInFlight == 1 && p.acks != kafka.AcksNone:
		return history.OneInFlight
	}
	return history.Plain
}
