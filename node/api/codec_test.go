package api

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// image has two brokers, and a topic led by the second.
func image(t *testing.T) *meta.Image {
	m := meta.NewImage()
	records := meta.Format("c")
	for id := range kafka.NodeID(2) {
		at := meta.Endpoint{Listener: "PLAINTEXT", Host: fmt.Sprint("host", id), Port: 9092}
		records = append(records, meta.Broker{ID: id, Epoch: int64(id) + 1, Endpoints: []meta.Endpoint{at}})
	}
	for _, r := range records {
		if err := m.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
	created, err := m.CreateTopic(meta.NewTopic{Name: "led", ID: kafka.TopicID{7}, Partitions: 1, Replicas: 2, First: 1}, meta.Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range created {
		if err := m.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// plainEncoder encodes the body alone, for a client of that listener.
func plainEncoder(version, flexibleFrom int16, m *meta.Image) *encoder {
	return &encoder{version: version, flexible: version >= flexibleFrom, image: m, listener: "PLAINTEXT"}
}

func TestProduceAnswersAreWhatTheGeneratedEncoderWrites(t *testing.T) {
	message := "compacted topic needs a key"
	items := []broker.AppendItem{
		{Topic: "a", Partition: 0, Base: 10, AppendTime: 99, LogStart: 3},
		{Topic: "a", Partition: 7, Base: 5, LogStart: 3, AppendTime: -1, Err: fmt.Errorf("a-7: %w", kafka.ErrInvalidRecord),
			Refused: []record.RecordError{{Index: 2, Message: message}}},
		{Topic: "led", Partition: 0, Err: fmt.Errorf("led-0: %w", kafka.ErrNotLeaderOrFollower)},
		{Topic: "led", Partition: 1, Err: errors.New("disk on fire")},
	}
	p := &produced{
		s: &Server{},
		request: &produceRequest{topics: []produceTopic{
			{name: "a", id: kafka.TopicID{1}, first: 0, end: 2}, {name: "led", id: kafka.TopicID{2}, first: 2, end: 4}, {name: "none", first: 4, end: 4}}},
		append: broker.Append{Items: items},
	}
	m := image(t)
	for version := int16(3); version <= 13; version++ {
		got := plainEncoder(version, 9, m)
		p.encode(got)
		if diff := cmp.Diff(generatedProduce(version, items).AppendTo(nil), got.b); diff != "" {
			t.Errorf("version %d: %s", version, diff)
		}
	}
}

func generatedProduce(version int16, items []broker.AppendItem) *kmsg.ProduceResponse {
	r := kmsg.NewPtrProduceResponse()
	r.SetVersion(version)
	for i, name := range []string{"a", "led", "none"} {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic = name
		if i < 2 {
			topic.TopicID[0] = byte(i + 1)
		}
		for _, it := range items {
			if it.Topic == name {
				topic.Partitions = append(topic.Partitions, generatedItem(version, it))
			}
		}
		r.Topics = append(r.Topics, topic)
	}
	if version >= 10 {
		b := kmsg.NewProduceResponseBroker()
		b.NodeID, b.Host, b.Port = 1, "host1", 9092
		r.Brokers = append(r.Brokers, b)
	}
	return r
}

func generatedItem(version int16, it broker.AppendItem) kmsg.ProduceResponseTopicPartition {
	r := kmsg.NewProduceResponseTopicPartition()
	r.Partition, r.ErrorCode = it.Partition, kafka.Code(it.Err)
	r.BaseOffset, r.LogAppendTime, r.LogStartOffset = int64(it.Base), int64(it.AppendTime), int64(it.LogStart)
	if it.Err != nil {
		r.BaseOffset, r.LogAppendTime, r.LogStartOffset = -1, -1, -1
		text := it.Err.Error()
		r.ErrorMessage = &text
	}
	for _, refused := range it.Refused {
		e := kmsg.NewProduceResponseTopicPartitionErrorRecord()
		e.RelativeOffset, e.ErrorMessage = refused.Index, &refused.Message
		r.ErrorRecords = append(r.ErrorRecords, e)
	}
	if version >= 10 && errors.Is(it.Err, kafka.ErrNotLeaderOrFollower) {
		r.CurrentLeader.LeaderID, r.CurrentLeader.LeaderEpoch = 1, 0
	}
	return r
}

// With records in it an answer lies partly in files; a test of the node reads
// those.
func TestFetchAnswersAreWhatTheGeneratedEncoderWrites(t *testing.T) {
	topics := []kmsg.FetchRequestTopic{
		{Topic: "a", TopicID: [16]byte{1}, Partitions: make([]kmsg.FetchRequestTopicPartition, 2)},
		{Topic: "led", TopicID: [16]byte{7}, Partitions: make([]kmsg.FetchRequestTopicPartition, 2)},
	}
	items := []broker.FetchItem{
		{Partition: 0, HighWatermark: 9, LogStart: 1},
		{Partition: 1, HighWatermark: 9, LogStart: 1, Diverging: &broker.Diverging{Epoch: 3, End: 8}},
		{Partition: 0, HighWatermark: -1, LogStart: -1, Leader: 1, CurrentEpoch: 0, Err: kafka.ErrNotLeaderOrFollower},
		{Partition: 3, HighWatermark: -1, LogStart: -1, Leader: -1, Err: kafka.ErrStorageError},
	}
	for i := range items {
		items[i].Preferred = kafka.NodeID(i - 1) // none for the first
		items[i].Topic, items[i].TopicID = topics[i/2].Topic, topics[i/2].TopicID
	}
	m := image(t)
	for _, isolation := range []int8{0, 1} {
		for version := int16(4); version <= 18; version++ {
			f := &fetched{s: &Server{}, committed: isolation == 1, items: []int32{0, 1, 2, 3}}
			f.fetch.Items = items
			want := generatedFetch(version, isolation, topics, items).AppendTo(nil)
			if diff := cmp.Diff(want, f.encode(plainEncoder(version, 12, m)).b); diff != "" {
				t.Errorf("version %d isolation %d: %s", version, isolation, diff)
			}
		}
	}
}

func generatedFetch(version int16, isolation int8, topics []kmsg.FetchRequestTopic, items []broker.FetchItem) *kmsg.FetchResponse {
	r := kmsg.NewPtrFetchResponse()
	r.SetVersion(version)
	for _, q := range topics {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID = q.Topic, q.TopicID
		for range q.Partitions {
			topic.Partitions = append(topic.Partitions, generatedFetchItem(version, isolation, items[0]))
			items = items[1:]
		}
		r.Topics = append(r.Topics, topic)
	}
	if version >= 16 {
		b := kmsg.NewFetchResponseBroker()
		b.NodeID, b.Host, b.Port = 1, "host1", 9092
		r.Brokers = append(r.Brokers, b)
	}
	return r
}

func generatedFetchItem(version int16, isolation int8, it broker.FetchItem) kmsg.FetchResponseTopicPartition {
	p := kmsg.NewFetchResponseTopicPartition()
	p.Partition, p.ErrorCode = it.Partition, kafka.Code(it.Err)
	if version <= 5 && errors.Is(it.Err, kafka.ErrStorageError) {
		p.ErrorCode = int16(kafka.ErrNotLeaderOrFollower)
	}
	p.HighWatermark, p.LastStableOffset, p.LogStartOffset = int64(it.HighWatermark), int64(it.HighWatermark), int64(it.LogStart)
	if isolation == 1 {
		p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
	}
	p.RecordBatches, p.PreferredReadReplica = []byte{}, int32(it.Preferred)
	if it.Diverging != nil {
		p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = int32(it.Diverging.Epoch), int64(it.Diverging.End)
	}
	if version >= 16 && errors.Is(it.Err, kafka.ErrNotLeaderOrFollower) {
		p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = int32(it.Leader), int32(it.CurrentEpoch)
	}
	return p
}

// Our decoder takes from a request what the generated one does, and nothing
// from what that refuses.
func FuzzDecodeProduce(f *testing.F) {
	for version := int16(3); version <= 13; version++ {
		q := kmsg.NewPtrProduceRequest()
		q.SetVersion(version)
		id := "t"
		q.TransactionID = &id
		q.Acks, q.TimeoutMillis = -1, 1000
		q.Topics = []kmsg.ProduceRequestTopic{{Topic: "a", TopicID: [16]byte{1}, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: 1, Records: []byte("x")}, {Partition: 2}}}}
		f.Add(version, q.AppendTo(nil))
		q.TransactionID = nil
		f.Add(version, q.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		if version < 3 || version > 13 || len(body) > 1<<16 {
			return
		}
		want := kmsg.NewPtrProduceRequest()
		wantErr := decode(want, version, body)
		got, err := decodeProduce(body, version)
		if err == nil != (wantErr == nil) {
			t.Fatalf("ours %v, generated %v", err, wantErr)
		}
		if err != nil {
			return
		}
		compareProduce(t, want, got)
	})
}

func compareProduce(t *testing.T, want *kmsg.ProduceRequest, got *produceRequest) {
	if got.transactional != (want.TransactionID != nil) || int16(got.acks) != want.Acks || got.timeout != want.TimeoutMillis || len(got.topics) != len(want.Topics) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	for i, topic := range want.Topics {
		ours := got.topics[i]
		if ours.name != topic.Topic || ours.id != topic.TopicID || ours.end-ours.first != len(topic.Partitions) {
			t.Fatalf("topic %d: %+v, want %+v", i, ours, topic)
		}
		for j, p := range topic.Partitions {
			it := got.items[ours.first+j]
			if it.Topic != topic.Topic || it.TopicID != topic.TopicID || it.Partition != p.Partition || !bytes.Equal(it.Records, p.Records) {
				t.Fatalf("topic %d partition %d: %+v, want %+v", i, j, it, p)
			}
		}
	}
}
