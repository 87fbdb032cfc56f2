package api

import (
	"fmt"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Fetch (key 1): reads record batches. 4 to 18.
//
// v5 answers with the log start offset, v7 has sessions (KIP-227): they are
// declined, session id 0, and every request names all its partitions; a request
// that goes on with a session is FETCH_SESSION_ID_NOT_FOUND. v9 adds the leader
// epoch, v11 the rack, which does not matter here, v12 is flexible and adds the
// epoch of the last record read and, in the answer, where logs diverge. From v13
// on topics are ids. v15, v17 and v18 concern followers. v16 tells who leads now
// when this node does not. Up to v5 KAFKA_STORAGE_ERROR is told as
// NOT_LEADER_OR_FOLLOWER, as in Kafka.
//
// It is answered once min bytes are there below the high watermark, or max wait is
// over, or a partition has an error. The first partition with records yields a
// batch even if that is larger than the limits. Without transactions both
// isolation levels see the same. Requests of followers are refused with
// NOT_LEADER_OR_FOLLOWER.
//
// Encoded by hand: records go from the file to the socket.

func beginFetch(s *Server, call *Call) (answer, error) {
	q := kmsg.NewPtrFetchRequest()
	if err := s.decode(q, call); err != nil {
		return nil, err
	}
	f := &fetched{s: s, request: q}
	f.fetch = broker.Fetch{
		Deadline: call.deadlineIn(max(q.MaxWaitMillis, 0)),
		MinBytes: int64(q.MinBytes),
		MaxBytes: int64(q.MaxBytes),
	}
	if q.SessionID != 0 && q.SessionEpoch > 0 {
		f.code = kafka.ErrFetchSessionIDNotFound
		return f, nil
	}
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			f.fetch.Items = append(f.fetch.Items, fetchItem(call.Version, t, p))
		}
	}
	if replica := replicaOf(q); replica >= 0 {
		f.refuse(fmt.Errorf("replica %d: %w", replica, kafka.ErrNotLeaderOrFollower))
	}
	return f, nil
}

func fetchItem(version int16, t kmsg.FetchRequestTopic, p kmsg.FetchRequestTopicPartition) broker.FetchItem {
	it := broker.FetchItem{
		Topic: t.Topic, TopicID: t.TopicID, Partition: p.Partition,
		Offset: kafka.Offset(p.FetchOffset), MaxBytes: int(p.PartitionMaxBytes),
		LeaderEpoch: kafka.NoLeaderEpoch, LastEpoch: kafka.NoLeaderEpoch,
	}
	if version >= 9 {
		it.LeaderEpoch = kafka.LeaderEpoch(p.CurrentLeaderEpoch)
	}
	if version >= 12 {
		it.LastEpoch = kafka.LeaderEpoch(p.LastFetchedEpoch)
	}
	return it
}

// replicaOf returns the follower that asks, or -1.
func replicaOf(q *kmsg.FetchRequest) int32 {
	if q.Version >= 15 {
		return q.ReplicaState.ID
	}
	return q.ReplicaID
}

// fetched is a fetch whose answer may have to wait.
type fetched struct {
	s       *Server
	request *kmsg.FetchRequest
	fetch   broker.Fetch
	code    kafka.Error // of the whole answer
	refused bool
}

func (f *fetched) refuse(err error) {
	f.refused = true
	for i := range f.fetch.Items {
		it := &f.fetch.Items[i]
		it.Err, it.HighWatermark, it.LogStart = err, kafka.NoOffset, kafka.NoOffset
	}
}

func (f *fetched) drop() { f.fetch.Release() }

func (f *fetched) send(c *conn, call *Call) error {
	if f.code == kafka.None && !f.refused {
		if err := f.s.broker.Fetch(&f.fetch); err != nil {
			return err
		}
	}
	defer f.fetch.Release()
	taken, err := c.takeForAnswer(f.memory())
	if err != nil {
		return err
	}
	defer c.giveForAnswer(taken)
	return c.sendParts(f.encode(newEncoder(call.appendHeader(c.out[:0]), call.Version, 12, f.s.image())))
}
