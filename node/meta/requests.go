package meta

import "github.com/klammlog/klamm/node/kafka"

// An Incarnation names one life of a broker's process.
type Incarnation [16]byte

// A Registration is what a broker says of itself before it serves (KIP-500,
// KIP-631).
type Registration struct {
	ID          kafka.NodeID
	ClusterID   string // "" if the broker does not know it yet
	Incarnation Incarnation
	Endpoints   []Endpoint
	Directories []DirectoryID
	Rack        string // "" for none

	// Volatile says that what this life counts as held is not synced
	// (log.flush=os): after an unclean end it may be gone.
	Volatile bool

	// CleanAfter is the epoch of the broker's previous life if that ended
	// cleanly; NoEpoch if it did not, or if there was none.
	CleanAfter int64

	// MinLevel and MaxLevel are the metadata levels that it can follow.
	MinLevel, MaxLevel int16
}

// NoEpoch is the epoch of a broker that is not registered.
const NoEpoch int64 = -1

// A Beat is what a registered broker says now and then.
type Beat struct {
	ID                      kafka.NodeID
	Epoch                   int64
	Applied                 kafka.Offset // how far it has followed the metadata
	WantFence, WantShutdown bool

	// Offline are the partitions whose logs it cannot use.
	Offline []Replica
}

// A BeatAnswer is what the controller makes of a broker.
type BeatAnswer struct {
	CaughtUp    bool // with the metadata it needs to serve
	Fenced      bool
	MayShutDown bool

	// Decided is the end of the metadata log when it was answered: only who has applied
	// that knows what it leads.
	Decided kafka.Offset
}

// An Alter is a leader's wish to change the in-sync set of one partition
// (KIP-497).
type Alter struct {
	Replica
	LeaderEpoch kafka.LeaderEpoch
	Epoch       int32 // of the partition
	ISR         []Member
}

// A Member is a replica with the epoch of its broker as the leader saw it in its
// fetches (KIP-903); NoEpoch if the leader does not know it: itself, or one that
// stays.
type Member struct {
	ID    kafka.NodeID
	Epoch int64
}

// An Altered is the answer to an Alter: the state of the partition, whoever
// changed it, or why there is none.
type Altered struct {
	Err   error // carries a kafka.Error
	State PartitionState
}

// An ElectionKind says who may win an election that somebody asks for.
type ElectionKind int8

const (
	ElectPreferred ElectionKind = 0 // only the first of the replicas, if it is in sync
	ElectUnclean   ElectionKind = 1 // any replica, where nobody leads
)

// An Elected is what became of one election: nil if there is a new leader.
type Elected struct {
	Replica
	Err error // carries a kafka.Error
}

// A Reassignment is where the replicas of a partition shall be (KIP-455).
type Reassignment struct {
	Replica
	Replicas []kafka.NodeID // the preferred leader first; nil cancels what is under way

	// KeepFactor refuses another number of replicas than there are (KIP-860).
	KeepFactor bool
}

// A Reassigning is a reassignment that is under way.
type Reassigning struct {
	Replica
	Replicas, Adding, Removing []kafka.NodeID
}

// A Rebalancing is how far leaders may be from where they are preferred.
type Rebalancing struct {
	Percent int // a broker's share of partitions led elsewhere above which they move back
	Limit   int // at most so many partitions
}

// A FeatureUpdate is the level that a feature shall have.
type FeatureUpdate struct {
	Name  string
	Level int16 // 0 switches it off
	How   Upgrade
}

// An Upgrade says in which direction a feature may go, by Kafka's numbers.
type Upgrade int8

const (
	UpgradeOnly     Upgrade = 1
	SafeDowngrade   Upgrade = 2 // or upgrade, if nothing is lost
	UnsafeDowngrade Upgrade = 3 // or upgrade
)
