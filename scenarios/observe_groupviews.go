package scenarios

import (
	"slices"
	"time"

	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/group"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A groupWatch shows the coordinators of a run to the observer of groups.
type groupWatch struct {
	*groupObserver
	r     *run
	hosts []groupHost
}

// A groupHost is a broker, and how far its coordinators were looked at.
type groupHost struct {
	*brokerHost
	of      *node.Node // the life that it was
	changes uint64
	moves   map[kafka.TopicPartition]coordinatorMoves
}

// A coordinatorMoves is how far a coordinator had come.
type coordinatorMoves struct {
	epoch kafka.LeaderEpoch
	moves uint64
}

// newGroupWatch lets the observer look into every broker of the run; nil if there are
// no groups.
func (r *run) newGroupWatch() *groupWatch {
	if !r.options.grouped() {
		return nil
	}
	w := &groupWatch{r: r}
	w.groupObserver = newGroupObserver(func(guarantee, sentence string) {
		if len(r.observer.violations) < complaintsKept {
			r.observer.complain(guarantee, sentence+" at "+r.k.Now().String())
		}
	}, w.partitionsOf)
	for _, b := range r.brokers {
		w.hosts = append(w.hosts, groupHost{brokerHost: b})
	}
	return w
}

// partitionsOf returns how many partitions a topic has, as any running broker knows.
func (w *groupWatch) partitionsOf(topic string) int32 {
	most := 0
	for i := range w.hosts {
		if n := w.hosts[i].running; n != nil {
			if t, ok := n.Image().Topic(topic); ok {
				most = max(most, len(t.Partitions))
			}
		}
	}
	return int32(most)
}

// stepped looks at what the last step may have changed.
func (w *groupWatch) stepped() {
	stepped := w.r.k.Stepped()
	if stepped == nil {
		return
	}
	for i := range w.hosts {
		h := &w.hosts[i]
		if h.node != stepped || h.running == nil {
			continue
		}
		if h.of != h.running {
			h.of, h.changes, h.moves = h.running, 0, map[kafka.TopicPartition]coordinatorMoves{}
		}
		if n := h.running.GroupChanges(); n != h.changes {
			h.changes = n
			w.compare(h)
		}
	}
}

// compare looks at the coordinators of a broker that have come further.
func (w *groupWatch) compare(h *groupHost) {
	h.running.Groups(func(p kafka.TopicPartition, epoch kafka.LeaderEpoch, m *group.Shard) {
		if now := (coordinatorMoves{epoch, m.Moves()}); h.moves[p] != now {
			h.moves[p] = now
			for _, v := range m.Views() {
				w.look(viewOfGroup(h.running, epoch, v))
			}
		}
	})
}

// syncSlack is how much later than its time-out a rebalance may end once the faults
// have ended: what is appended meanwhile may wait for followers.
const syncSlack = 10 * time.Second

// looked looks at who coordinates on a broker. A leadership that ended takes the
// coordinator with it in the same step.
func (w *groupWatch) looked(b *brokerHost) {
	b.running.Groups(func(p kafka.TopicPartition, epoch kafka.LeaderEpoch, m *group.Shard) {
		c := coordinating{broker: b.seat.name, partition: p, epoch: epoch, leader: kafka.NoLeaderEpoch}
		if v, ok := b.running.Partition(p); ok && v.Role == broker.Leading {
			c.leader = v.LeaderEpoch
		}
		w.checkLed(c)
		if w.r.healed {
			for _, v := range m.Views() {
				w.checkSynced(viewOfGroup(b.running, epoch, v), w.r.k.Now(), w.r.options.MaxPoll+syncSlack)
			}
		}
	})
}

// newest returns a group as the newest of its coordinators has it.
func (w *groupWatch) newest(name string) (out groupView, there bool) {
	for i := range w.hosts {
		n := w.hosts[i].running
		if n == nil {
			continue
		}
		n.Groups(func(_ kafka.TopicPartition, epoch kafka.LeaderEpoch, m *group.Shard) {
			for _, v := range m.Views() {
				if v.ID == name && (!there || epoch > out.Coordinator) {
					out, there = viewOfGroup(n, epoch, v), true
				}
			}
		})
	}
	return out, there
}

// viewOfGroup names the partitions of a group, as the coordinator's node knows them.
func viewOfGroup(n *node.Node, epoch kafka.LeaderEpoch, v group.View) groupView {
	out := groupView{Name: v.ID, Coordinator: epoch, Modern: v.Consumer, State: v.State, Epoch: v.Epoch, Target: v.Target, Assignor: v.Protocol}
	for _, m := range v.Members {
		seen := groupMember{ID: m.ID, Instance: m.Instance, Epoch: m.Epoch}
		if v.Consumer {
			seen.Reads, seen.Has, seen.Releases, seen.Goal = m.Reads, named(n, m.Assigned), named(n, m.Revoking), named(n, m.Goal)
		} else {
			seen.Has = assignmentIn(m.Assignment)
			seen.Goal, seen.Unsynced = seen.Has, m.Unsynced
			seen.Asks, seen.Claims, seen.Claimed = saidIn(m.Subscription)
		}
		out.Members = append(out.Members, seen)
	}
	return out
}

// named names partitions. Those of topics that are not there any more are nobody's.
func named(n *node.Node, of []group.Assigned) (out []kafka.TopicPartition) {
	for _, p := range of {
		if t, ok := n.Image().TopicByID(p.Topic); ok {
			out = append(out, kafka.TopicPartition{Topic: t.Name, Partition: p.Partition})
		}
	}
	return out
}

// assignmentIn reads what the leader of a classic group gave a member.
func assignmentIn(b []byte) (out []kafka.TopicPartition) {
	var a kmsg.ConsumerMemberAssignment
	if len(b) == 0 || a.ReadFrom(b) != nil {
		return nil
	}
	for _, t := range a.Topics {
		for _, p := range t.Partitions {
			out = append(out, kafka.TopicPartition{Topic: t.Topic, Partition: p})
		}
	}
	slices.SortFunc(out, func(a, b kafka.TopicPartition) int { return int(a.Partition - b.Partition) })
	return out
}

// saidIn reads what a classic member said when it joined: what it subscribes to, what it
// owned, and of which generation.
func saidIn(b []byte) (asks []string, owned []kafka.TopicPartition, generation int32) {
	m := kmsg.NewConsumerMemberMetadata()
	if len(b) == 0 || m.ReadFrom(b) != nil {
		return nil, nil, -1
	}
	for _, t := range m.OwnedPartitions {
		for _, p := range t.Partitions {
			owned = append(owned, kafka.TopicPartition{Topic: t.Topic, Partition: p})
		}
	}
	return slices.Sorted(slices.Values(m.Topics)), owned, m.Generation
}
