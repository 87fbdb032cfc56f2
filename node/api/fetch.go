package api

import (
	"github.com/klammlog/klamm/node/api/session"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Fetch (key 1): reads record batches. 4 to 18.
//
// v5 answers with the log start offset, v7 has sessions (KIP-227), for consumers and
// followers alike: see package session. v9 adds the leader epoch, v11 the consumer's
// rack (KIP-392): the leader may name a replica that is nearer, by
// replica.selector.class, and who names a rack is served by followers. v12 is flexible and adds the epoch of the last record
// read and, in the answer, where logs diverge. From v13 on topics are ids, and so
// sessions speak of one incarnation of a topic. v15 says which follower asks, with
// the epoch of its broker; what it holds is in a tagged field of ours
// (peer.PrivateTag), and without one it holds nothing. v16 tells who leads now when this node does not. v17 and
// v18 add what followers know. Up to v5 KAFKA_STORAGE_ERROR is told as
// NOT_LEADER_OR_FOLLOWER, as in Kafka.
//
// It is answered once min bytes are there below the high watermark, or max wait is
// over, or a partition has an error. The first partition with records yields a
// batch even if that is larger than the limits. Without transactions both
// isolation levels see the same.
//
// Followers are served what is not committed yet, too; it is copied and not sent
// from the file, whose end may be written anew while it is under way.
//
// Deviations: all sessions together have at most maxSessionPartitions partitions;
// who asks for more has none, or loses it. Consumers that name no rack are served
// by the leader only.
//
// Encoded by hand: records go from the file to the socket.

// What all fetch sessions hold together at most.
const (
	maxSessionPartitions = 1 << 18
	maxSessionBytes      = 128 << 20
)

func newSessions(w *env.World, v *config.View) *session.Cache {
	return session.NewCache(session.Limits{
		Sessions: int(config.FetchSessionSlots.In(v)), Partitions: maxSessionPartitions, Bytes: maxSessionBytes,
	}, func() int32 { return int32(w.Rand("api/fetch-session").Uint32()) })
}

func beginFetch(s *Server, call *Call) (answer, error) {
	q := kmsg.NewPtrFetchRequest()
	if err := s.decode(q, call); err != nil {
		return nil, err
	}
	f := &fetched{s: s, committed: q.IsolationLevel == readCommitted}
	f.fetch = broker.Fetch{
		Deadline: call.deadlineIn(max(q.MaxWaitMillis, 0)),
		MinBytes: int64(q.MinBytes),
		MaxBytes: int64(q.MaxBytes),
		Follower: followerOf(q), AnyReplica: q.Rack != "", Rack: q.Rack,
	}
	f.session, f.code = s.sessions.Begin(sessionRequest(q), s.w.Now())
	if f.code != kafka.None {
		return f, nil
	}
	f.fetch.Items = make([]broker.FetchItem, f.session.Len())
	for i := range f.fetch.Items {
		f.fetch.Items[i] = fetchItem(f.session.At(i))
	}
	if f.fetch.Follower != nil {
		f.session.Watch = func(i int, s session.Sleeper) session.Watched { return f.fetch.Items[i].Watch(s) }
		if f.session.Sleeping() {
			f.fetch.Rest = rest{f.session}
		}
	}
	return f, nil
}

// A rest is the partitions of a follower's session of which there was nothing new.
type rest struct{ *session.Fetch }

// More returns those of which there may be by now.
func (r rest) More() []broker.FetchItem {
	n := r.Len()
	r.Fetch.More()
	var more []broker.FetchItem
	for i := n; i < r.Len(); i++ {
		more = append(more, fetchItem(r.At(i)))
	}
	return more
}

// followerOf returns the follower that asks, nil for consumers. Before v15 it does
// not say in which life.
func followerOf(q *kmsg.FetchRequest) *meta.Member {
	id, epoch := q.ReplicaID, meta.NoEpoch
	if q.Version >= 15 {
		id, epoch = q.ReplicaState.ID, q.ReplicaState.Epoch
	}
	if id < 0 {
		return nil
	}
	return &meta.Member{ID: kafka.NodeID(id), Epoch: epoch}
}

// sessionRequest returns what a request says of partitions and its session.
func sessionRequest(q *kmsg.FetchRequest) session.Request {
	r := session.Request{ID: q.SessionID, Epoch: q.SessionEpoch, ByID: q.Version >= 13, Sessions: q.Version >= 7}
	if !r.Sessions {
		r.ID, r.Epoch = 0, 0
	}
	if followerOf(q) != nil {
		r.Kind = session.Follower
	}
	n := 0
	for i := range q.Topics {
		n += len(q.Topics[i].Partitions)
	}
	r.Partitions = make([]session.Partition, 0, n)
	for i := range q.Topics {
		t := &q.Topics[i]
		for j := range t.Partitions {
			r.Partitions = append(r.Partitions, sessionPartition(q.Version, t, &t.Partitions[j]))
		}
	}
	for _, t := range q.ForgottenTopics {
		for _, p := range t.Partitions {
			r.Forgotten = append(r.Forgotten, session.Place{Topic: t.TopicID, Name: t.Topic, Partition: p})
		}
	}
	return r
}

func sessionPartition(version int16, t *kmsg.FetchRequestTopic, p *kmsg.FetchRequestTopicPartition) session.Partition {
	out := session.Partition{
		Place:  session.Place{Topic: t.TopicID, Name: t.Topic, Partition: p.Partition},
		Offset: kafka.Offset(p.FetchOffset), MaxBytes: p.PartitionMaxBytes,
		LeaderEpoch: kafka.NoLeaderEpoch, LastEpoch: kafka.NoLeaderEpoch,
	}
	if version >= 5 {
		out.LogStart = kafka.Offset(p.LogStartOffset)
	}
	if version >= 9 {
		out.LeaderEpoch = kafka.LeaderEpoch(p.CurrentLeaderEpoch)
	}
	if version >= 12 {
		out.LastEpoch = kafka.LeaderEpoch(p.LastFetchedEpoch)
		if held, ok := peer.HeldOf(&p.UnknownTags); ok {
			out.Held = held
		}
	}
	return out
}

func fetchItem(p session.Partition) broker.FetchItem {
	return broker.FetchItem{
		Topic: p.Name, TopicID: p.Topic, Partition: p.Partition, Offset: p.Offset, MaxBytes: int(p.MaxBytes),
		LeaderEpoch: p.LeaderEpoch, LastEpoch: p.LastEpoch, Held: p.Held, Start: p.LogStart, Preferred: broker.NoReplica,
	}
}

// readCommitted is the isolation level of who wants no records of open
// transactions.
const readCommitted = 1

// fetched is a fetch whose answer may have to wait.
type fetched struct {
	s         *Server
	committed bool // it wants to know of aborted transactions
	session   *session.Fetch
	fetch     broker.Fetch

	// What is told.
	code  kafka.Error // of the whole answer
	id    int32       // of the session
	items []int32     // the places of the partitions that are answered for
}

func (f *fetched) drop() { f.fetch.Release() }

func (f *fetched) send(c *conn, call *Call) error {
	if f.code == kafka.None {
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
	f.finish()
	parts := f.encode(call.encoder(c.out[:0], f.s))
	if f.fetch.Follower != nil {
		parts.copied = true
	}
	return c.sendParts(parts)
}

// finish decides what is told.
func (f *fetched) finish() {
	if f.code != kafka.None {
		return
	}
	f.items = make([]int32, 0, len(f.fetch.Items))
	found := func(i int) session.Found {
		it := &f.fetch.Items[i]
		return session.Found{
			Code: kafka.ErrorOf(it.Err), HighWatermark: it.HighWatermark, LogStart: it.LogStart,
			Urgent: it.Diverging != nil || it.Preferred != broker.NoReplica, Records: it.Chunk.Len() > 0,
			Settled: f.fetch.Follower != nil && it.Settled(),
		}
	}
	f.id, f.code = f.session.Finish(found, func(i int) { f.items = append(f.items, int32(i)) }, f.s.w.Now())
}
