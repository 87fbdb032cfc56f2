package broker

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/node/replica"
)

// An Append is what one request wants appended, and what came of it.
type Append struct {
	Acks     kafka.Acks
	Deadline kafka.Instant
	Items    []AppendItem

	// Done is called once, when no log needs the bytes of the records any more.
	// It must not block.
	Done func(Bytes)

	// Landed is called once with AcksAll, when the high watermarks are there or never
	// will be, and the logs have the bytes; not after Release. It must not block.
	Landed func()

	// Grown is how many bytes the records that were compressed anew have more
	// than those that came. It is told when Append returns.
	Grown int64

	most int64 // of Grown

	held      wait // until this machine holds the records: then no log needs their bytes; AcksAll has it for Done
	committed wait // AcksAll: until the high watermarks are there
}

// Bytes says what is known of bytes that a log was given.
type Bytes uint8

const (
	BytesFree    Bytes = iota // nobody reads them any more
	BytesInDoubt              // a log failed and may read them for ever
)

// An AppendItem is the records for one partition, and what came of them.
type AppendItem struct {
	Topic     string        // filled in if it is ""
	TopicID   kafka.TopicID // used if Topic is ""
	Partition int32
	Records   []byte // their offsets are written into them; replaced if the topic demands a codec of its own

	// Within, if not nil, is the only leader epoch in which they are appended.
	Within *kafka.LeaderEpoch

	Err        error        // carries a kafka.Error; one that is set before refuses the item
	Base       kafka.Offset // of the first record
	AppendTime kafka.Timestamp
	LogStart   kafka.Offset
	Refused    []record.RecordError // single records at fault, if that is known

	p      *Partition
	leader *replica.Leader // the leadership in which it was appended
	log    *commitlog.Log  // to which it was
	batch  record.Batch
	limits record.Limits
	repack *record.Compression // nil: the batch stays as it came
	at     commitlog.AppendResult
}

// maxUnpacked bounds what the records of one batch decompress to when they have
// to be looked at.
const maxUnpacked = 256 << 20

// offloadAbove is the size of batches that are worth letting other tasks run
// while they are checked.
const offloadAbove = 64 << 10

// Append checks the batches and queues them with their partitions, in the order
// of the items and of the calls. When it returns, offsets are assigned and
// nothing is promised: AwaitAppend tells. It blocks only to check large or
// compressed batches. Blocks.
func (b *Broker) Append(a *Append) {
	if a.Acks != kafka.AcksAll && a.Acks != kafka.AcksLeader && a.Acks != kafka.AcksNone {
		for i := range a.Items {
			a.Items[i].Err = fmt.Errorf("acks=%d: %w", a.Acks, kafka.ErrInvalidRequiredAcks)
		}
		a.finish(0)
		return
	}
	size, deep := 0, false
	for i := range a.Items {
		it := &a.Items[i]
		b.admit(it, a.Acks)
		if it.Err == nil {
			size += len(it.Records)
			deep = deep || it.repack != nil || it.batch.NeedsDeep(it.limits)
		}
	}
	a.most = config.SocketRequestMaxBytes.In(b.config)
	switch {
	case deep:
		codecs := b.codecs.Take()
		b.w.Offload(func() { a.check(codecs) })
		b.codecs.Give(codecs)
	case size > offloadAbove:
		b.w.Offload(func() { a.check(nil) })
	default:
		a.check(nil)
	}
	a.held.grow(len(a.Items))
	if a.Acks == kafka.AcksAll {
		a.committed.grow(len(a.Items))
	}
	need := int64(0)
	for i := range a.Items {
		if b.append(a, &a.Items[i]) {
			need++
		}
	}
	a.finish(need)
}

// finish says how many partitions the request waits for. If it is none, nobody
// needs the bytes.
//
// The bytes are let go of when this machine holds them, whether or not followers do:
// what they ask has to be read, and may be waiting for the room of these bytes.
func (a *Append) finish(need int64) {
	a.held.need, a.committed.need = need, need
	a.held.done = func() {
		switch {
		case a.Done == nil:
		case a.held.lost:
			a.Done(BytesInDoubt)
		default:
			a.Done(BytesFree)
		}
	}
	a.committed.done = a.Landed
	a.held.finish()
	a.committed.finish()
}

// awaited returns what the answer waits for.
func (a *Append) awaited() *wait {
	if a.Acks == kafka.AcksAll {
		return &a.committed
	}
	return &a.held
}

// Release says that nobody waits for the answer any more. What the logs have the
// bytes for goes on. It does not block.
func (a *Append) Release() { a.committed.leave() }

// admit finds the partition of an item and what its topic allows. An item that the
// caller has refused stays refused.
func (b *Broker) admit(it *AppendItem, acks kafka.Acks) {
	it.Base, it.AppendTime, it.LogStart = kafka.NoOffset, kafka.NoTimestamp, kafka.NoOffset
	if it.Err != nil {
		return
	}
	p, err := b.partitionOf(it)
	if err == nil {
		_, err = p.leading(it.within())
	}
	if err == nil {
		err = p.checkInSync(acks)
	}
	if err == nil && it.Within == nil && p.name.Topic == OffsetsTopic {
		err = fmt.Errorf("%s: only coordinators append to it: %w", p.name, kafka.ErrInvalidTopic)
	}
	if err != nil {
		it.Err = err
		return
	}
	it.p, it.limits = p, p.limits()
	it.batch, err = record.Single(it.Records)
	it.Err = p.recordsError(it, err)
	if how := p.topic.repack; it.Err == nil && how != nil && how.Codec != it.batch.Compression() {
		p.b.w.Probe("a batch was compressed anew")
		it.repack = how
	}
}

// within returns the leader epoch in which an item may be appended.
func (it *AppendItem) within() kafka.LeaderEpoch {
	if it.Within == nil {
		return kafka.NoLeaderEpoch
	}
	return *it.Within
}

// partitionOf finds the partition of an item by its topic's name or id.
func (b *Broker) partitionOf(it *AppendItem) (*Partition, error) {
	if it.Topic != "" || it.TopicID == (kafka.TopicID{}) {
		return b.Partition(it.Topic, it.Partition)
	}
	if t, ok := b.image.TopicByID(it.TopicID); ok {
		it.Topic = t.Name
	}
	return b.PartitionByID(it.TopicID, it.Partition)
}

// checkInSync refuses an append that could not be acknowledged.
func (p *Partition) checkInSync(acks kafka.Acks) error {
	if acks != kafka.AcksAll {
		return nil
	}
	least, isr := p.topic.leastInSync, p.leader.State().ISR
	if len(isr) < least {
		return fmt.Errorf("%s: %d replicas in sync, min.insync.replicas=%d: %w", p.name, len(isr), least, kafka.ErrNotEnoughReplicas)
	}
	return nil
}

// limits returns what the partition's topic allows now.
func (p *Partition) limits() record.Limits {
	l := p.topic.limits
	l.Now = p.b.w.Wall()
	return l
}

// check looks at the batches that were admitted, and compresses anew those whose
// topic demands it; only these, and those that NeedsDeep, need codecs. It is pure.
func (a *Append) check(codecs *record.Codecs) {
	for i := range a.Items {
		if it := &a.Items[i]; it.Err == nil {
			came := len(it.Records)
			it.Err = it.p.recordsError(it, it.check(codecs, a.most-a.Grown))
			a.Grown += int64(max(len(it.Records)-came, 0))
		}
	}
}

// check looks at one batch, which may grow while there is room.
func (it *AppendItem) check(codecs *record.Codecs, room int64) error {
	var err error
	if it.repack != nil {
		err = it.batch.Validate(it.limits)
	} else {
		err = it.batch.Accept(it.limits)
	}
	switch {
	case err != nil:
		return err
	case it.batch.Transactional():
		return fmt.Errorf("a batch of a transaction: %w", kafka.ErrInvalidTxnState)
	case it.repack != nil && room <= 0:
		return fmt.Errorf("a request may grow by socket.request.max.bytes when it is compressed anew: %w", record.ErrTooLarge)
	case it.repack != nil:
		return it.compress(codecs)
	case it.batch.NeedsDeep(it.limits):
		return it.batch.ValidateDeep(it.limits, codecs)
	}
	return nil
}

func (it *AppendItem) compress(codecs *record.Codecs) error {
	packed, err := it.batch.Repack(*it.repack, it.limits, codecs)
	if err == nil {
		it.batch, it.Records = packed, packed.Bytes()
	}
	return err
}

// append gives one batch to its log, and reports whether the request now waits
// for the partition.
func (b *Broker) append(a *Append, it *AppendItem) bool {
	if it.Err != nil && !it.recognised() {
		b.stats.RefusedBatches++
		return false
	}
	// Second look: the batches may have been checked while other tasks ran.
	l, err := it.p.leading(it.within())
	if err == nil {
		err = it.p.checkInSync(a.Acks)
	}
	if err != nil {
		it.Err = err
		return false
	}
	r, err := l.Append(it.Records, it.p.leader.Epoch())
	if err != nil {
		b.stats.RefusedBatches++
		it.Err = it.p.clientError(err)
		return false
	}
	it.at, it.Base, it.AppendTime, it.LogStart = r, r.Base, r.LogAppendTime, l.LogStart()
	it.leader, it.log = it.p.leader, l
	b.stats.Appends++
	b.stats.AppendedBytes += uint64(len(it.Records))
	b.stats.AppendedRecords += uint64(it.batch.Count())
	if !r.Duplicate {
		it.p.sizes = append(it.p.sizes, sized{end: r.End, bytes: int64(len(it.Records))})
	}
	if a.Acks != kafka.AcksAll || a.Done != nil {
		a.held.add(&it.p.held, r)
	}
	if a.Acks == kafka.AcksAll {
		a.committed.add(&it.p.committed, r)
	}
	it.p.advance() // a duplicate may be held already
	return true
}

// recognised clears the error of a batch that the topic's settings refuse, if it
// was appended under earlier ones: who sends it again has not heard the answer.
func (it *AppendItem) recognised() bool {
	bySettings := errors.Is(it.Err, record.ErrTooLarge) || errors.Is(it.Err, record.ErrTimestamp) || errors.Is(it.Err, record.ErrInvalid)
	if !bySettings || len(it.batch.Bytes()) == 0 || it.p.log == nil || it.batch.CheckCRC() != nil || !it.p.log.Recognises(it.batch) {
		return false
	}
	it.p.b.w.Probe("a batch that was appended before is refused by settings of now")
	it.Err, it.Refused = nil, nil
	return true
}

// AwaitAppend waits until every append is held as its acks demand, or failed, or
// the deadline has passed, and fills in the errors. Blocks.
func (b *Broker) AwaitAppend(a *Append) error {
	defer a.Release()
	if w := a.awaited(); !w.satisfied() {
		b.stats.AppendWaits++
		b.waiting.produce++
		err := w.await(b.w, a.Deadline)
		b.waiting.produce--
		if err != nil {
			return err
		}
		if !w.satisfied() {
			b.w.Probe("an append was not held in time")
		}
		w.cond = nil // marks of held stay: the logs still have the bytes
	}
	for i := range a.Items {
		if it := &a.Items[i]; it.Err == nil {
			it.Err = it.judge(a.Acks)
		}
	}
	return nil
}

// judge looks at what has become of an append: of unknown outcome is whatever is
// neither held nor known never to be. What another leadership has put at its offsets
// says nothing about it. (Kafka answers NOT_LEADER_OR_FOLLOWER then, as to what it has
// not appended; kafka.Error.Outcome tells why this broker does not.)
func (it *AppendItem) judge(acks kafka.Acks) error {
	p := it.p
	if err := it.log.Lost(it.at); err != nil {
		return p.clientError(err)
	}
	if !p.leads(it.leader) {
		p.b.w.Probe("an append waited when leadership moved")
		return fmt.Errorf("%s: offset %d: leadership has moved: %w", p.name, it.Base, kafka.ErrRequestTimedOut)
	}
	reached := p.high
	if acks != kafka.AcksAll {
		reached = it.log.Held()
	}
	switch {
	case reached >= it.at.End:
	case acks == kafka.AcksAll && len(it.leader.State().ISR) < p.topic.leastInSync:
		p.b.w.Probe("too few were in sync after an append")
		return fmt.Errorf("%s: offset %d: %d replicas in sync, min.insync.replicas=%d: %w", p.name, it.Base,
			len(it.leader.State().ISR), p.topic.leastInSync, kafka.ErrNotEnoughReplicasAfterAppend)
	default:
		return fmt.Errorf("%s: offset %d: held below %d: %w", p.name, it.Base, reached, kafka.ErrRequestTimedOut)
	}
	it.LogStart = it.log.LogStart()
	return nil
}

// recordsError turns what is wrong with records into what the client is told.
func (p *Partition) recordsError(it *AppendItem, err error) error {
	var code kafka.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &code):
	case errors.Is(err, record.ErrTooLarge):
		code = kafka.ErrMessageTooLarge
	case errors.Is(err, record.ErrTimestamp):
		code = kafka.ErrInvalidTimestamp
	case errors.Is(err, record.ErrInvalid):
		code = kafka.ErrInvalidRecord
	case errors.Is(err, record.ErrMagic):
		code = kafka.ErrUnsupportedForMessageFormat
	case errors.Is(err, record.ErrCodec):
		code = kafka.ErrUnsupportedCompressionType
	default: // cut short, or corrupt
		code = kafka.ErrCorruptMessage
	}
	var records *record.RecordsError
	if errors.As(err, &records) {
		it.Refused = records.Records
	}
	return fmt.Errorf("%s: %w: %w", p.name, err, code)
}
