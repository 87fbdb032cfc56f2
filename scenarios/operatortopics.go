package scenarios

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// An incarnation is a topic between its creation and its deletion, by its id: what
// is written to it is read from it and from no other of its name. In the history it
// has a name of its own; of the workload's topic it is what was added.
type incarnation struct {
	name       string // among topics
	title      string // in the history
	id         kafka.TopicID
	first      int32 // partition that is the operators'
	partitions int32 // that somebody was told of
	polls      int32
}

// seen notes that a topic exists, or existed. The first partitions of the workload's
// own are not the operators'.
func (o *operator) seen(name, id string, partitions int32) *incarnation {
	for _, in := range o.sides {
		if in.id.String() == id {
			in.partitions = max(in.partitions, partitions)
			return in
		}
	}
	parsed, err := kafka.ParseTopicID(id)
	if err != nil {
		o.senseless(fmt.Sprintf("topic %s has the id %q: %v", name, id, err))
		return nil
	}
	in := &incarnation{name: name, title: name + "/" + id[:8], id: parsed, partitions: partitions}
	if name == topicName {
		in.title, in.first = topicName, o.r.options.Partitions
	}
	o.sides = append(o.sides, in)
	return in
}

// partition names a partition in the history.
func (o *operator) partition(in *incarnation, p int32) history.PartitionID {
	return o.r.history.Partition(in.title, p)
}

// drawPartition draws a partition that operators may write to.
func (o *operator) drawPartition() (*incarnation, int32, bool) {
	in := o.known(pick(o.draws, topicName, o.drawSide(), o.drawSide()))
	if in == nil || in.partitions <= in.first {
		return nil, 0, false
	}
	return in, in.first + o.draws.Int32N(in.partitions-in.first), true
}

// writeSide sends one batch to a topic by its id. Blocks.
func (o *operator) writeSide() {
	in, partition, ok := o.drawPartition()
	if !ok {
		return
	}
	b := o.batchFor(in, partition)
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 13, int16(kafka.AcksAll), int32(o.r.requestTimeout.Milliseconds())
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = partition, b.bytes
	req.Topics = []kmsg.ProduceRequestTopic{{TopicID: in.id, Partitions: []kmsg.ProduceRequestTopicPartition{part}}}
	b.copies++
	resp, sent := o.ask(req)
	switch {
	case resp != nil:
		topics := resp.(*kmsg.ProduceResponse).Topics
		if len(topics) != 1 || len(topics[0].Partitions) != 1 || topics[0].Partitions[0].Partition != partition {
			o.senseless(fmt.Sprintf("one batch for %s-%d is answered with %+v", in.name, partition, topics))
			b.lose()
			break
		}
		a := topics[0].Partitions[0]
		b.hear(kafka.Error(a.ErrorCode), kafka.Offset(a.BaseOffset), kafka.Timestamp(a.LogAppendTime))
		o.elsewhere(kafka.Error(a.ErrorCode))
	case sent:
		b.lose()
	default:
		b.copies--
		b.refused = fmt.Errorf("not sent")
	}
	if !b.settled {
		b.conclude()
	}
}

// elsewhere leaves a broker that does not lead what it was asked about: the next
// one may.
func (o *operator) elsewhere(code kafka.Error) {
	if movedAway(code) {
		o.hangUp()
	}
}

// batchFor composes a batch and records its sends.
func (o *operator) batchFor(in *incarnation, partition int32) *rawBatch {
	b := &rawBatch{partition: partition, stamp: o.world.Wall()}
	var w record.Builder
	for range 1 + o.draws.IntN(3) {
		id := o.r.history.NextRecord()
		value := history.AppendIdentity(nil, id)
		for n := o.draws.IntN(200); len(value) < n; {
			value = append(value, byte('a'+len(value)%7))
		}
		key := fmt.Appendf(nil, "%s-%d", o.node.Name(), o.draws.IntN(10))
		w.Append(record.Record{Timestamp: b.stamp, Key: key, Value: value})
		b.sends = append(b.sends, o.r.history.Send(history.Send{
			Client: o.id, Incarnation: o.incarnation, Partition: o.partition(in, partition), Seq: o.nextSeq(partition), Record: id,
			Key: history.KeyDigest(key), Digest: history.DigestOf(key, value, nil),
			Acks: history.Acks(kafka.AcksAll), Delivery: history.Plain,
		}))
	}
	codec := pick(o.draws, record.None, record.Gzip, record.Lz4, record.Zstd)
	built, err := w.Build(record.Spec{LeaderEpoch: kafka.NoLeaderEpoch, Compression: record.Compression{Codec: codec}}, &record.Codecs{})
	assert.NoError(err)
	b.bytes = built.Bytes()
	return b
}

// cutSide deletes the oldest records of a partition, by the topic's name: whatever
// has that name then loses them. Blocks.
func (o *operator) cutSide() {
	name := o.drawSide()
	at := kafka.TopicPartition{Topic: name}
	to := history.Offset(1 + o.draws.IntN(12))
	o.cut[at] = max(o.cut[at], to)
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version, req.TimeoutMillis = 2, o.timeout()
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Offset = int64(to)
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: name, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{p}}}
	resp, _ := o.ask(req)
	if resp == nil {
		return
	}
	topics := resp.(*kmsg.DeleteRecordsResponse).Topics
	if len(topics) != 1 || len(topics[0].Partitions) != 1 {
		o.senseless(fmt.Sprintf("records of one partition were to be deleted, and %d topics are told of", len(topics)))
		return
	}
	if a := topics[0].Partitions[0]; kafka.Error(a.ErrorCode) == kafka.None && history.Offset(a.LowWatermark) < to {
		o.senseless(fmt.Sprintf("records of %s-0 below offset %d were deleted, and it begins at %d", name, to, a.LowWatermark))
	}
}

// readSide reads something of a topic by its id. Blocks.
func (o *operator) readSide() {
	if in, partition, ok := o.drawPartition(); ok {
		in.polls++
		o.fetch(in, partition, history.Poll{Generation: in.polls, Before: history.Offset(o.draws.IntN(8))})
	}
}

// A fetchedSide is what one fetch of one partition told.
type fetchedSide struct {
	code  kafka.Error
	after history.Offset // of the last record, or what was asked for
	start history.Offset // of the log
	high  history.Offset
}

// fetch reads a partition from an offset on and records the poll. Blocks.
func (o *operator) fetch(in *incarnation, partition int32, poll history.Poll) (f fetchedSide, answered bool) {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.SessionEpoch = 13, -1, -1
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 100, 1, 1<<20
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.CurrentLeaderEpoch, p.PartitionMaxBytes = partition, int64(poll.Before), -1, int32(pick(o.draws, 300, 1<<20))
	req.Topics = []kmsg.FetchRequestTopic{{TopicID: in.id, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	poll.Client, poll.Incarnation, poll.Partition = o.id, o.incarnation, o.partition(in, partition)
	h := o.r.history.Poll(poll)
	resp, _ := o.ask(req)
	if resp == nil {
		h.Failed("no answer")
		return f, false
	}
	topics := resp.(*kmsg.FetchResponse).Topics
	if len(topics) != 1 || len(topics[0].Partitions) != 1 || topics[0].TopicID != in.id || topics[0].Partitions[0].Partition != partition {
		o.senseless(fmt.Sprintf("a fetch of %s-%d is answered with %+v", in.title, partition, topics))
		h.Failed("another partition")
		return f, false
	}
	a := topics[0].Partitions[0]
	f = fetchedSide{code: kafka.Error(a.ErrorCode), start: history.Offset(a.LogStartOffset), high: history.Offset(a.HighWatermark)}
	reads, after, err := o.decode(a.RecordBatches, poll.Before)
	f.after = after
	switch {
	case f.code != kafka.None:
		h.Failed(f.code.Name())
		o.elsewhere(f.code)
	case err != nil:
		o.senseless(fmt.Sprintf("what was fetched from %s-%d cannot be read: %v", in.title, partition, err))
		h.Failed(err.Error())
	case len(reads) == 0:
		h.Failed("nothing there")
	default:
		h.Returned(reads, after, history.NoOffset)
	}
	return f, true
}

// decode turns fetched bytes into reads from an offset on.
func (o *operator) decode(b []byte, from history.Offset) (reads []history.Read, after history.Offset, err error) {
	after = from
	var codecs record.Codecs
	for batch, err := range record.All(b) {
		if err != nil {
			return nil, from, err
		}
		if err := batch.CheckCRC(); err != nil {
			return nil, from, err
		}
		payload, err := codecs.Unpack(batch, 1<<20)
		if err != nil {
			return nil, from, err
		}
		it := batch.RecordsFrom(payload)
		for it.Next() {
			r := it.Record()
			if history.Offset(r.Offset) < after {
				continue
			}
			reads = append(reads, history.Read{Offset: history.Offset(r.Offset), Record: history.IdentityOf(r.Value),
				Digest: history.DigestOf(r.Key, r.Value, nil), Epoch: int32(batch.LeaderEpoch())})
			after = history.Offset(r.Offset) + 1
		}
		if err := it.Err(); err != nil {
			return nil, from, err
		}
	}
	return reads, after, nil
}

// followTime is how long brokers that are well may take to follow the metadata.
const followTime = 5 * time.Second

// takeStock looks at everything once more, until it is answered, and reads back
// what is there; of what is not there any more only little can be demanded. Blocks.
func (o *operator) takeStock() {
	if o.r.options.clustered() {
		o.world.Sleep(followTime)
	}
	o.stocktaking = true
	kinds := []string{topicName}
	for i := range o.r.options.SideTopics {
		kinds = append(kinds, fmt.Sprintf("side-%d", i+1))
	}
	for _, name := range kinds {
		o.insist(func() bool { _, ok := o.lookAt(name); return ok })
		o.insist(func() bool { _, ok := o.readAt(kmsg.ConfigResourceTypeTopic, name); return ok })
	}
	for _, name := range []string{"", "1"} {
		o.insist(func() bool {
			_, ok := o.readAt(kmsg.ConfigResourceTypeBroker, name)
			if !ok && o.r.options.clustered() {
				o.hangUp() // a broker tells of itself alone, and this may be another
			}
			return ok
		})
	}
	for _, in := range o.sides {
		for p := in.first; p < in.partitions; p++ {
			o.mark(history.PrefixMayGo, in, p, o.cutAt(in.name, p))
			if !o.readWhole(in, p) {
				o.mark(history.TopicDeleted, in, p, history.NoOffset)
			}
		}
	}
}

func (o *operator) mark(kind history.MarkKind, in *incarnation, p int32, at history.Offset) {
	o.r.history.Mark(history.Mark{Kind: kind, Partition: o.partition(in, p), Offset: at})
}

// insist tries until it is done. Blocks.
func (o *operator) insist(try func() bool) {
	for !try() {
		o.world.Sleep(50 * time.Millisecond)
	}
}

// readWhole reads a partition from its start to its end, and reports whether it is
// still there. Blocks.
func (o *operator) readWhole(in *incarnation, partition int32) bool {
	back := o.r.history.ReadBack(o.id, o.partition(in, partition))
	in.polls++
	var start, at history.Offset
	for {
		f, ok := o.fetch(in, partition, history.Poll{Generation: in.polls, Final: true, Before: at})
		switch {
		case ok && f.code == kafka.None && f.after >= f.high && o.atEnd(in, partition, f.after):
			back.Done(start, f.after)
			return true
		case ok && f.code == kafka.None && f.after == at:
			o.world.Sleep(50 * time.Millisecond)
		case ok && f.code == kafka.None:
			at = f.after
		case ok && f.code == kafka.ErrUnknownTopicID:
			back.Failed("the topic is gone")
			return false
		case ok && f.code == kafka.ErrOffsetOutOfRange && f.start > at:
			in.polls++
			start, at = f.start, f.start
		default:
			o.world.Sleep(50 * time.Millisecond)
		}
	}
}

// atEnd reports whether a partition is known to end at an offset. What a fetch tells as
// high watermark is no end: a leader may have begun with a lower one than all knew, and
// tells where the log ends when it has caught up (KIP-207). Blocks.
func (o *operator) atEnd(in *incarnation, partition int32, at history.Offset) bool {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 7, -1
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: in.name,
		Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Partition: partition, CurrentLeaderEpoch: -1, Timestamp: -1}}}}
	resp, _ := o.ask(req)
	if resp == nil {
		return false
	}
	topics := resp.(*kmsg.ListOffsetsResponse).Topics
	if len(topics) != 1 || len(topics[0].Partitions) != 1 {
		o.senseless(fmt.Sprintf("where %s-%d ends is answered with %+v", in.title, partition, topics))
		return false
	}
	a := topics[0].Partitions[0]
	if code := kafka.Error(a.ErrorCode); code != kafka.None {
		o.elsewhere(code)
		return false
	}
	return history.Offset(a.Offset) <= at
}

// cutAt returns below which offset records of a partition may be gone, of any topic
// that had the name.
func (m *ministry) cutAt(name string, partition int32) history.Offset {
	return m.cut[kafka.TopicPartition{Topic: name, Partition: partition}]
}
