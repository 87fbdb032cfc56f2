package scenarios

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/klammlog/klamm/internal/report"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describe says in a line what a request asks for, whom it concerns, and whether it only
// says that somebody is there.
func (x *wire) describe(m *report.Message, q kmsg.Request) {
	t := messageText{x: x, m: m}
	switch q := q.(type) {
	case *kmsg.ProduceRequest:
		t.say("acks=%d", q.Acks)
		for _, topic := range q.Topics {
			for _, p := range topic.Partitions {
				t.of(topic.Topic, topic.TopicID, p.Partition, "%s", batchesIn(p.Records).sent())
			}
		}
	case *kmsg.FetchRequest:
		t.fetch(q)
	case *kmsg.ListOffsetsRequest:
		for _, topic := range q.Topics {
			for _, p := range topic.Partitions {
				t.of(topic.Topic, kafka.TopicID{}, p.Partition, "at %d", p.Timestamp)
			}
		}
	case *kmsg.OffsetForLeaderEpochRequest:
		for _, topic := range q.Topics {
			for _, p := range topic.Partitions {
				t.of(topic.Topic, kafka.TopicID{}, p.Partition, "where does epoch %d end?", p.LeaderEpoch)
			}
		}
	case *kmsg.AlterPartitionRequest:
		for _, topic := range q.Topics {
			for _, p := range topic.Partitions {
				t.of(topic.Topic, topic.TopicID, p.Partition, "in sync shall be %v, leader epoch %d, partition epoch %d", newISR(p), p.LeaderEpoch, p.PartitionEpoch)
			}
		}
	case *kmsg.OffsetCommitRequest:
		t.say("group %s, member %s, generation %d", q.Group, q.MemberID, q.Generation)
		for _, topic := range q.Topics {
			for _, p := range topic.Partitions {
				t.of(topic.Topic, topic.TopicID, p.Partition, "at offset %d", p.Offset)
			}
		}
	case *kmsg.OffsetFetchRequest:
		t.say("group %s", q.Group)
		for _, g := range q.Groups {
			t.say("group %s", g.Group)
		}
	case *kmsg.BrokerHeartbeatRequest:
		m.Idle = !q.WantShutdown && !q.WantFence
		t.say("broker %d in epoch %d, metadata up to %d", q.BrokerID, q.BrokerEpoch, q.CurrentMetadataOffset)
		if q.WantShutdown {
			t.say("wants to shut down")
		}
	case *peer.RaftStep:
		t.raft(q)
	case *peer.ReadMetadata:
		m.Idle = true
		t.say("metadata from %d on", q.From)
	case *peer.Forward:
		m.Name = "Forward " + peer.NameForKey(q.APIKey)
		t.say("of %s", q.ClientID)
	case *kmsg.ApiVersionsRequest, *kmsg.MetadataRequest:
		m.Idle = true
	default:
		t.member(q)
	}
	t.done()
}

// member says what a member asks of its group's coordinator.
func (t *messageText) member(q kmsg.Request) {
	switch q := q.(type) {
	case *kmsg.HeartbeatRequest:
		t.m.Idle = true
		t.say("group %s, member %s, generation %d", q.Group, q.MemberID, q.Generation)
	case *kmsg.ConsumerGroupHeartbeatRequest:
		t.m.Idle = q.MemberEpoch > 0
		t.say("group %s, member %s in epoch %d", q.Group, q.MemberID, q.MemberEpoch)
	case *kmsg.JoinGroupRequest:
		t.say("group %s, member %q", q.Group, q.MemberID)
	case *kmsg.SyncGroupRequest:
		t.say("group %s, member %s, generation %d", q.Group, q.MemberID, q.Generation)
	case *kmsg.LeaveGroupRequest:
		t.say("group %s", q.Group)
	}
}

// describeAnswer does so with an answer.
func (x *wire) describeAnswer(m *report.Message, a kmsg.Response, c *call) {
	t := messageText{x: x, m: m}
	if e := reflect.ValueOf(a).Elem().FieldByName("ErrorCode"); e.IsValid() && e.Int() != 0 {
		t.say("%s", kafka.Error(e.Int()).Name())
	}
	switch a := a.(type) {
	case *kmsg.ProduceResponse:
		for _, topic := range a.Topics {
			for _, p := range topic.Partitions {
				t.of(topic.Topic, topic.TopicID, p.Partition, "%s", orError(p.ErrorCode, "at offset %d", p.BaseOffset))
			}
		}
	case *kmsg.FetchResponse:
		t.fetched(a)
	case *kmsg.ListOffsetsResponse:
		for _, topic := range a.Topics {
			for _, p := range topic.Partitions {
				t.of(topic.Topic, kafka.TopicID{}, p.Partition, "%s", orError(p.ErrorCode, "offset %d", p.Offset))
			}
		}
	case *kmsg.OffsetForLeaderEpochResponse:
		for _, topic := range a.Topics {
			for _, p := range topic.Partitions {
				t.of(topic.Topic, kafka.TopicID{}, p.Partition, "%s", orError(p.ErrorCode, "epoch %d ends at %d", p.LeaderEpoch, p.EndOffset))
			}
		}
	case *kmsg.AlterPartitionResponse:
		for _, topic := range a.Topics {
			for _, p := range topic.Partitions {
				t.of(topic.Topic, topic.TopidID, p.Partition, "%s", orError(p.ErrorCode, "in sync are %v, leader %d in epoch %d, partition epoch %d", p.ISR, p.LeaderID, p.LeaderEpoch, p.PartitionEpoch))
			}
		}
	case *kmsg.OffsetCommitResponse:
		for _, topic := range a.Topics {
			for _, p := range topic.Partitions {
				t.of(topic.Topic, topic.TopicID, p.Partition, "%s", orError(p.ErrorCode, "committed"))
			}
		}
	case *kmsg.OffsetFetchResponse:
		t.offsets(a)
	case *kmsg.BrokerHeartbeatResponse:
		m.Idle = a.ErrorCode == 0 && !a.IsFenced && !a.ShouldShutdown
		if a.IsFenced {
			t.say("fenced")
		}
	case *kmsg.HeartbeatResponse:
		m.Idle = a.ErrorCode == 0
	case *kmsg.ConsumerGroupHeartbeatResponse:
		m.Idle = a.ErrorCode == 0 && a.Assignment == nil
		t.say("epoch %d", a.MemberEpoch)
	case *kmsg.JoinGroupResponse:
		t.say("generation %d, leader %s, %d members", a.Generation, a.LeaderID, len(a.Members))
	case *peer.RaftStepped:
		m.Idle, m.Name = a.ErrorCode == 0, "Raft"
	case *peer.MetadataRead:
		m.Idle = a.ErrorCode == 0 && len(a.Page) < emptyPage
	case *kmsg.ApiVersionsResponse, *kmsg.MetadataResponse:
		m.Idle = true
	}
	t.done()
}

// emptyPage bounds a page of metadata that says nothing.
const emptyPage = 64

// A messageText is put together of parts.
type messageText struct {
	x     *wire
	m     *report.Message
	parts []string
}

func (t *messageText) say(format string, args ...any) {
	t.parts = append(t.parts, fmt.Sprintf(format, args...))
}

// mostParts is how many partitions the text of one message tells of.
const mostParts = 8

// of says something of a partition. In newer versions topics have ids only.
func (t *messageText) of(topic string, id kafka.TopicID, partition int32, format string, args ...any) {
	if topic == "" {
		topic = t.x.w.state.topicOf(id)
	}
	tp := kafka.TopicPartition{Topic: topic, Partition: partition}
	t.m.Partitions = append(t.m.Partitions, t.x.w.partition(tp))
	switch n := len(t.m.Partitions); {
	case n <= mostParts:
		t.say("%s "+format, append([]any{tp}, args...)...)
	case n == mostParts+1:
		t.say("…")
	}
}

func (t *messageText) done() {
	if len(t.parts) > 0 {
		t.m.Text = strings.Join(t.parts, "; ")
	}
	slices.Sort(t.m.Partitions)
	t.m.Partitions = slices.Compact(t.m.Partitions)
}

// orError names an error, or says what went well.
func orError(code int16, format string, args ...any) string {
	if code != 0 {
		return kafka.Error(code).Name()
	}
	return fmt.Sprintf(format, args...)
}

func newISR(p kmsg.AlterPartitionRequestTopicPartition) (out []int32) {
	if len(p.NewISR) > 0 {
		return p.NewISR
	}
	for _, m := range p.NewEpochISR {
		out = append(out, m.BrokerID)
	}
	return out
}

// fetch says from where on somebody fetches. A session asks for what it asked before.
func (t *messageText) fetch(q *kmsg.FetchRequest) {
	replica := q.ReplicaID
	if q.Version >= 15 {
		replica = q.ReplicaState.ID
	}
	if replica >= 0 {
		t.m.Name = "Fetch (replica)"
	}
	for _, topic := range q.Topics {
		for _, p := range topic.Partitions {
			t.of(topic.Topic, topic.TopicID, p.Partition, "from %d", p.FetchOffset)
		}
	}
	if len(q.Topics) == 0 {
		t.say("as before")
	}
}

// fetched says what was found. A fetch that found nothing is idle.
func (t *messageText) fetched(a *kmsg.FetchResponse) {
	t.m.Idle = a.ErrorCode == 0
	for _, topic := range a.Topics {
		for _, p := range topic.Partitions {
			found := batchesIn(p.RecordBatches)
			text := orError(p.ErrorCode, "%s, high watermark %d", found, p.HighWatermark)
			if e := p.DivergingEpoch; e.Epoch >= 0 && e.EndOffset >= 0 {
				text += fmt.Sprintf(", diverges: epoch %d ends at %d", e.Epoch, e.EndOffset)
				t.m.Idle = false
			}
			t.m.Idle = t.m.Idle && p.ErrorCode == 0 && found.records == 0
			t.of(topic.Topic, topic.TopicID, p.Partition, "%s", text)
		}
	}
	if len(a.Topics) == 0 && a.ErrorCode == 0 {
		t.say("nothing new")
	}
}

// batches are what a log's bytes hold.
type batches struct {
	records    int
	first, end int64
	sequence   int32 // of the first record, -1 without
}

func (b batches) String() string {
	if b.records == 0 {
		return "no records"
	}
	return fmt.Sprintf("%s %d..%d", b.count(), b.first, b.end-1)
}

// sent says what a producer sends: its log gives offsets, and the producer sequences.
func (b batches) sent() string {
	if b.records == 0 || b.sequence < 0 {
		return b.count()
	}
	return fmt.Sprintf("%s from sequence %d on", b.count(), b.sequence)
}

func (b batches) count() string {
	if b.records == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", b.records)
}

// Where a batch says what it holds.
const (
	batchHeader = 61
	batchSize   = 8
	lastOffset  = 23
	batchFirst  = 53 // sequence
	batchCount  = 57
)

// batchesIn reads the heads of batches. The last may be cut off.
func batchesIn(b []byte) (out batches) {
	for len(b) >= batchHeader {
		first, size := int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint32(b[batchSize:]))+12
		if out.records == 0 {
			out.first, out.sequence = first, int32(binary.BigEndian.Uint32(b[batchFirst:]))
		}
		out.end = first + int64(binary.BigEndian.Uint32(b[lastOffset:])) + 1
		out.records += int(int32(binary.BigEndian.Uint32(b[batchCount:])))
		if size < batchHeader || size > int64(len(b)) {
			break
		}
		b = b[size:]
	}
	return out
}

// Raft's messages begin with their type: these are heartbeats and what answers them.
var raftNames = []string{"hup", "beat", "propose", "append", "appended", "vote", "voted", "snapshot", "heartbeat", "heartbeat answered",
	"unreachable", "snapshot status", "check quorum", "transfer", "time out now", "read index", "read index answered", "pre-vote", "pre-voted"}

// raft names the messages of a step.
func (t *messageText) raft(q *peer.RaftStep) {
	t.m.Idle = true
	t.m.Name = "Raft"
	for i, b := range q.Messages {
		name := raftName(b)
		t.m.Idle = t.m.Idle && (strings.HasPrefix(name, "heartbeat") || strings.HasPrefix(name, "read index"))
		if i < mostParts {
			t.say("%s", name)
		}
	}
}

// What node/quorum puts before a message of raft: a version, two directories and the
// fingerprint of the voters, then the sender's address.
const (
	raftVersion = 2
	raftAddress = 1 + 16 + 16 + 8
)

// raftName names a message of raft, whose first field is its type.
func raftName(b []byte) string {
	if len(b) < raftAddress+2 || b[0] != raftVersion {
		return "message"
	}
	b = b[raftAddress:]
	if n := 2 + int(binary.BigEndian.Uint16(b)); len(b) >= n+2 && b[n] == 8 && int(b[n+1]) < len(raftNames) {
		return raftNames[b[n+1]]
	}
	return "message"
}

// offsets says which committed offsets a group was told.
func (t *messageText) offsets(a *kmsg.OffsetFetchResponse) {
	for _, topic := range a.Topics {
		for _, p := range topic.Partitions {
			t.of(topic.Topic, kafka.TopicID{}, p.Partition, "%s", orError(p.ErrorCode, "committed offset %d", p.Offset))
		}
	}
	for _, g := range a.Groups {
		t.say("group %s", g.Group)
		if g.ErrorCode != 0 {
			t.say("%s", kafka.Error(g.ErrorCode).Name())
		}
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				t.of(topic.Topic, topic.TopicID, p.Partition, "%s", orError(p.ErrorCode, "committed offset %d", p.Offset))
			}
		}
	}
}
