package scenarios

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
)

// The values of this file are what the observer of a cluster is fed with: what a
// broker or a controller is at one moment, copied out of it. Nothing in them points
// into a node.

// A replicaRole is what a broker does with a replica.
type replicaRole uint8

const (
	offlineReplica replicaRole = iota // its log cannot be used, or is not open yet
	followingReplica
	leadingReplica
)

// A replicaView is one replica as its broker has it.
type replicaView struct {
	place
	Role        replicaRole
	LeaderEpoch kafka.LeaderEpoch
	Epoch       int32          // of the partition, as a leader knows it
	ISR         []kafka.NodeID // that a leader acts on: the largest the controllers may have

	LogStart, HighWatermark, Durable, LogEnd kafka.Offset

	Exposed exposure // by the last leadership of this node that committed something; it may be over
}

// An exposure is how far a leadership showed records to be committed.
type exposure struct {
	End         kafka.Offset
	LeaderEpoch kafka.LeaderEpoch
	Epoch       int32 // of the partition, as the leader knew it
}

// open reports whether its log can be used.
func (v replicaView) open() bool { return v.Role != offlineReplica }

// A closeup is a replica with what else the observer needs of it.
type closeup struct {
	replicaView
	epochAt func(kafka.Offset) kafka.LeaderEpoch // that wrote the record, kafka.NoLeaderEpoch if nobody knows
	counted []counted                            // by a leader
}

// A counted is what a leader believes of a follower.
type counted struct {
	ID    kafka.NodeID
	Epoch int64        // of its broker, in which it said so
	Held  kafka.Offset // kafka.NoOffset if it has not said anything yet
}

// A raftView is what one controller thinks of the quorum. Offsets are ends: so many
// entries are committed, applied.
type raftView struct {
	Term            uint64
	DurableTerm     uint64
	Vote            kafka.NodeID // durable, in the durable term; meta.NoLeader for none
	Leads           bool
	Commit, Applied kafka.Offset
	Chain           uint64 // hash of all entries applied
	Electorate      electorate

	Led     uint64 // election time-outs that it has led, by its own clock
	Decided decided
	Asked   uint64 // questions for the newest that it has put
	Sure    sure
}

// A decided is the last decision that a controller made.
type decided struct {
	Index, Term uint64
	Leads       bool // when it did
	Unseen      int  // decisions before it that it did not know
}

// A sure is the last answer that a controller got to a question for the newest: all
// that was committed when it was put is below an index.
type sure struct {
	Number uint64
	Index  kafka.Offset
}

// An electorate is who decides: a majority of the voters, and while a change of
// them is half made one of those before it too.
type electorate struct {
	Voters, Outgoing []kafka.NodeID
}

func (e electorate) equal(other electorate) bool {
	return slices.Equal(e.Voters, other.Voters) && slices.Equal(e.Outgoing, other.Outgoing)
}

func (e electorate) String() string {
	if len(e.Outgoing) > 0 {
		return fmt.Sprintf("%v and before %v", e.Voters, e.Outgoing)
	}
	return fmt.Sprint(e.Voters)
}

// A decision is what the controllers have decided about one partition.
type decision struct {
	place
	Leader             kafka.NodeID // meta.NoLeader if there is none
	LeaderEpoch        kafka.LeaderEpoch
	Epoch              int32 // of the partition
	Replicas, ISR, ELR []kafka.NodeID
}

// A brokerSeat is a registered broker.
type brokerSeat struct {
	ID                   kafka.NodeID
	Epoch                int64
	Fenced, ShuttingDown bool
}

// An imageView is what the controllers have decided up to an offset of their log.
type imageView struct {
	Partitions []decision
	Brokers    []brokerSeat // by id
}

// seat finds a registered broker.
func (m *imageView) seat(id kafka.NodeID) (brokerSeat, bool) {
	for _, b := range m.Brokers {
		if b.ID == id {
			return b, true
		}
	}
	return brokerSeat{}, false
}

// A batch is what tells one batch on one replica's disk from any other.
type batch struct {
	base, end kafka.Offset
	epoch     kafka.LeaderEpoch
	check     uint32 // its checksum
	length    int32
	sum       uint64 // of what must be the same on every replica

	producer      kafka.ProducerID
	producerEpoch kafka.ProducerEpoch

	segment  kafka.Offset // base of the file it lies in
	position int64        // in the file
}

// A logCopy is what one replica has on its disk: all batches from start on.
type logCopy struct {
	start   kafka.Offset // no batch before it is looked for
	batches []batch
}

// end returns the offset behind the last batch.
func (c *logCopy) end() kafka.Offset {
	if len(c.batches) == 0 {
		return c.start
	}
	return c.batches[len(c.batches)-1].end
}
