package broker

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// Controllers is how a broker reaches the active controller, wherever that is.
// Its methods look for the controller until the deadline. What they fail with
// carries a kafka.Error, whose kind says whether something may have happened.
// They block.
type Controllers interface {
	Register(r meta.Registration, deadline kafka.Instant) (epoch int64, err error)
	Heartbeat(b meta.Beat, deadline kafka.Instant) (meta.BeatAnswer, error)

	// AlterPartitions returns an Altered for each item, in their order.
	AlterPartitions(self meta.Member, items []meta.Alter, deadline kafka.Instant) ([]meta.Altered, error)

	AllocateProducerIDs(self meta.Member, deadline kafka.Instant) (meta.Block, error)

	// CreateTopic creates a topic without an assignment, for a client that asked
	// for its metadata or for the coordinator that keeps its records there.
	CreateTopic(n meta.NewTopic, deadline kafka.Instant) error
}

// Peers is how a broker fetches from the leaders of its partitions. Blocks.
type Peers interface {
	FetchFrom(leader kafka.NodeID, q *ReplicaFetch, deadline kafka.Instant) (*ReplicaFetched, error)
}

// A ReplicaFetch is what a follower asks one leader for. With a session only
// what has changed since the last one is in it (KIP-227).
type ReplicaFetch struct {
	Self         meta.Member // who asks
	SessionID    int32
	SessionEpoch int32
	MinBytes     int32
	MaxBytes     int32
	MaxWait      kafka.Instant // the leader answers by then, on the clock of who asks
	Items        []ReplicaItem
	Forgotten    []meta.Replica // no longer of the session
}

// A ReplicaItem is where a follower is in one partition.
type ReplicaItem struct {
	meta.Replica
	LeaderEpoch kafka.LeaderEpoch // as the follower knows it
	LastEpoch   kafka.LeaderEpoch // of the last record that it has; NoLeaderEpoch if it has none
	From        kafka.Offset      // its log end
	Held        kafka.Offset      // what it holds in the sense of log.flush: only this counts
	LogStart    kafka.Offset
	MaxBytes    int32
}

// ReplicaFetched is the leader's answer: only partitions about which there is
// something to say.
type ReplicaFetched struct {
	Err       error // of the session as a whole: then it is begun anew
	SessionID int32
	Items     []ReplicaFetchedItem

	// Release, if not nil, gives the records' memory back.
	Release func()
}

// A ReplicaFetchedItem is what a leader answers about one partition.
type ReplicaFetchedItem struct {
	meta.Replica
	Err           error // carries a kafka.Error
	HighWatermark kafka.Offset
	LogStart      kafka.Offset
	Diverging     *Diverging
	Leader        kafka.NodeID // with an Err about leadership
	CurrentEpoch  kafka.LeaderEpoch
	Records       []byte // whole batches as the leader has them; the follower validates them
	Bequest       []byte // with Records, of a follower without any: what producers did before them (commitlog.Log.Inherit)
}
