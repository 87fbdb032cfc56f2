package scenarios

import (
	"slices"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A ClusterState is what a cluster is at one instant, all nodes seen at the same moment,
// which nobody in the cluster can. Its JSON form is a contract; see docs/json.md.
type ClusterState struct {
	At         kafka.Instant    `json:"at_ns"`
	Events     uint64           `json:"events"` // of the hash chain until then
	Phase      string           `json:"phase"`
	Nodes      []NodeState      `json:"nodes"`
	Partitions []PartitionState `json:"partitions"` // as the newest metadata of a running broker has them
	Groups     []GroupState     `json:"groups"`     // as the newest of their coordinators has them
	Faults     []string         `json:"faults"`     // that have begun and are not over
	Pending    []string         `json:"pending"`    // what has not finished, a sentence each
}

// A NodeState is one node.
type NodeState struct {
	Name       string       `json:"name"`
	ID         kafka.NodeID `json:"id"`
	Broker     bool         `json:"broker"`
	Running    bool         `json:"running"`
	Doing      string       `json:"doing"` // in words
	Starts     int          `json:"starts"`
	Tasks      int          `json:"tasks"`
	ClockAhead int64        `json:"clock_ahead_ms"` // its wall clock's, of the true time
	Applied    kafka.Offset `json:"applied"`        // of the metadata, -1 if it does not run
	Controller *VoterState  `json:"controller"`     // null if it does not run as one
}

// A VoterState is a controller.
type VoterState struct {
	Active    bool         `json:"active"` // it believes that it is the active one
	Role      string       `json:"role"`
	Term      uint64       `json:"term"`
	Leader    kafka.NodeID `json:"leader"` // -1 for none
	Committed uint64       `json:"committed"`
}

// A PartitionState is one partition, with its replicas on nodes that run.
type PartitionState struct {
	Partition   string            `json:"partition"`
	Leader      kafka.NodeID      `json:"leader"` // -1 for none
	LeaderEpoch kafka.LeaderEpoch `json:"leader_epoch"`
	Epoch       int32             `json:"partition_epoch"`
	Replicas    []kafka.NodeID    `json:"replicas"`
	InSync      []kafka.NodeID    `json:"in_sync"`
	Eligible    []kafka.NodeID    `json:"eligible,omitempty"`
	Copies      []CopyState       `json:"copies"`
}

// A CopyState is one replica as its node has it.
type CopyState struct {
	Node          kafka.NodeID      `json:"node"`
	Role          string            `json:"role"`
	LeaderEpoch   kafka.LeaderEpoch `json:"leader_epoch"`
	LogStart      kafka.Offset      `json:"log_start"`
	HighWatermark kafka.Offset      `json:"high_watermark"`
	Durable       kafka.Offset      `json:"durable"`
	LogEnd        kafka.Offset      `json:"log_end"`
	Broken        string            `json:"broken,omitempty"` // why it is not served; then the offsets are 0
}

// A GroupState is one group of consumers.
type GroupState struct {
	Group   string        `json:"group"`
	State   string        `json:"state"`
	Epoch   int32         `json:"epoch"` // or generation
	Members []MemberState `json:"members"`
}

// A MemberState is one member of it.
type MemberState struct {
	Member   string   `json:"member"`
	Epoch    int32    `json:"epoch"`
	Has      []string `json:"has"` // partitions
	Releases []string `json:"releases,omitempty"`
	Goal     []string `json:"goal,omitempty"` // what it shall have, if that is something else
}

// clusterState looks at everything. It changes nothing.
func (r *run) clusterState() ClusterState {
	s := ClusterState{At: r.k.Now(), Events: r.k.Chain().Events, Phase: r.phase, Groups: []GroupState{}, Faults: []string{}, Pending: []string{}}
	for _, b := range r.nodes {
		s.Nodes = append(s.Nodes, r.nodeState(b))
	}
	s.Partitions = r.partitionStates()
	if r.observer.groups != nil {
		s.Groups = r.groupStates()
	}
	for _, f := range r.schedule {
		if !r.healed && f.lastsAt(r.k.Now()) {
			s.Faults = append(s.Faults, f.String())
		}
	}
	s.Pending = append(s.Pending, r.pending()...)
	return s
}

// lastsAt reports whether the fault has begun and is not over.
func (f Fault) lastsAt(now kafka.Instant) bool {
	var lasts time.Duration
	switch {
	case f.Net != nil && f.Net.For == 0:
		return f.at() <= now // until the heal
	case f.Net != nil:
		lasts = f.Net.For
	case f.Disk != nil:
		lasts = f.Disk.For
	default:
		lasts = f.Process.For
	}
	return f.at() <= now && now < f.at().Add(lasts)
}

func (r *run) nodeState(b *brokerHost) NodeState {
	s := NodeState{Name: b.seat.name, ID: kafka.NodeID(b.seat.id), Broker: b.seat.isBroker(), Running: b.running != nil,
		Starts: b.starts, Tasks: len(b.node.LiveTasks()), Applied: kafka.NoOffset,
		ClockAhead: int64(b.node.WallTime() - wallAt(r.k.Now()))}
	switch {
	case b.absent:
		s.Doing = "is not of the cluster"
	case b.running == nil:
		s.Doing = b.pending()
	case b.stopping:
		s.Doing = "stops"
	default:
		s.Doing = "runs"
	}
	if b.running != nil {
		s.Applied = b.running.Applied()
		if v, ok := b.running.Quorum(); ok {
			s.Controller = &VoterState{Active: b.running.Active(), Role: string(v.Role), Term: v.Term, Leader: v.Leader, Committed: v.Committed}
		}
	}
	return s
}

// newestTopics returns the topics of the newest image that a running broker has.
func (r *run) newestTopics() []*meta.Topic {
	newest := kafka.NoOffset
	var topics []*meta.Topic
	for _, b := range r.brokers {
		if b.running != nil && b.running.Applied() > newest {
			newest, topics = b.running.Applied(), b.running.Image().Topics()
		}
	}
	return topics
}

func (r *run) partitionStates() []PartitionState {
	out := []PartitionState{}
	for _, t := range r.newestTopics() {
		for i, p := range t.Partitions {
			tp := kafka.TopicPartition{Topic: t.Name, Partition: int32(i)}
			s := PartitionState{Partition: tp.String(), Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, Epoch: p.Epoch,
				Replicas: p.Replicas, InSync: p.ISR, Eligible: p.ELR, Copies: []CopyState{}}
			if s.InSync == nil {
				s.InSync = []kafka.NodeID{}
			}
			for _, id := range p.Replicas {
				v, ok := r.viewOf(id, t.ID, tp)
				if !ok {
					continue
				}
				c := CopyState{Node: id, Role: v.Role.String(), LeaderEpoch: v.LeaderEpoch, LogStart: v.LogStart,
					HighWatermark: v.HighWatermark, Durable: v.Durable, LogEnd: v.LogEnd}
				if v.Broken != nil {
					c.Broken = v.Broken.Error()
				}
				s.Copies = append(s.Copies, c)
			}
			out = append(out, s)
		}
	}
	return out
}

func (r *run) groupStates() []GroupState {
	out := []GroupState{}
	for _, g := range r.groups {
		v, there := r.observer.groups.newest(g.name)
		if !there {
			continue
		}
		s := GroupState{Group: v.Name, State: v.State, Epoch: v.Epoch, Members: []MemberState{}}
		for i := range v.Members {
			m := &v.Members[i]
			is := MemberState{Member: m.who(), Epoch: m.Epoch, Has: namesOf(m.Has), Releases: namesOf(m.Releases)}
			if goal := namesOf(m.Goal); !slices.Equal(goal, is.Has) {
				is.Goal = goal
			}
			s.Members = append(s.Members, is)
		}
		out = append(out, s)
	}
	return out
}

// namesOf names partitions, sorted.
func namesOf(of []kafka.TopicPartition) []string {
	out := []string{}
	for _, tp := range of {
		out = append(out, tp.String())
	}
	slices.Sort(out)
	return out
}
