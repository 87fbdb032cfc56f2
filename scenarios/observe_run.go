package scenarios

import (
	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/quorum"
)

// A clusterWatch shows the nodes of a run to the observer of clusters.
type clusterWatch struct {
	*clusterObserver
	r     *run
	steps int
	next  int // when to look at everything
	hosts []watchedHost
}

// A watchedHost is a node and what was seen of it.
type watchedHost struct {
	*brokerHost
	id      kafka.NodeID
	starts  int
	changes uint64
	applied kafka.Offset
	emptied int // times that its disk was found empty
	strikes int // of faults of its disk, as last looked at
}

// newClusterWatch lets the observer look into every node of the run; nil if there
// is one node only.
func (r *run) newClusterWatch() *clusterWatch {
	if !r.options.clustered() {
		return nil
	}
	d := r.demands()
	loses := r.drawn.Unrestricted || d.Flush == checker.FlushOS && d.PowerLoss == checker.AnyPowerLoss
	w := &clusterWatch{r: r}
	w.clusterObserver = newClusterObserver(clusterPromise{Unclean: d.Unclean, Loses: loses, Compacts: d.Compaction, KeepsKeys: r.drawn.keepsKeys()}, r.k.Now, r.observer.complain)
	w.mark = r.markElection
	for _, b := range r.nodes {
		w.hosts = append(w.hosts, watchedHost{brokerHost: b, id: kafka.NodeID(b.seat.id), applied: kafka.NoOffset})
		w.watch(r.windowInto(b))
	}
	return w
}

// windowInto returns how to look into a node. What its disk must have is what the
// seed's log.flush promises, whatever was set by hand.
func (r *run) windowInto(b *brokerHost) window {
	disk := newDiskReader(r.drawn.Flush, b.disk)
	disk.compacts = r.drawn.compacts()
	w := window{
		id: kafka.NodeID(b.seat.id), name: b.seat.name, refresh: disk.refresh, forget: disk.forget,
		copyOf:   disk.logOf,
		keptIn:   disk.keptIn,
		snapshot: func() kafka.Offset { return disk.snapshot },
		starting: func() bool { return b.running == nil && b.node.Alive() },
	}
	if b.seat.isBroker() {
		w.replicas, w.closeup = b.replicas, b.closeup
	}
	if b.seat.isVoter() {
		w.raft = b.raft
	}
	return w
}

// replicas returns what the observer sees of a node's replicas.
func (b *brokerHost) replicas() []replicaView {
	if b.running == nil {
		return nil
	}
	views := b.running.Partitions()
	out := make([]replicaView, len(views))
	for i := range views {
		out[i] = replicaOf(&views[i])
	}
	return out
}

// closeup returns what the observer sees of one replica besides.
func (b *brokerHost) closeup(p place) (closeup, bool) {
	if b.running == nil {
		return closeup{}, false
	}
	v, ok := b.running.Closeup(p.topic, p.partition.Partition)
	if !ok || v.Epochs == nil {
		return closeup{}, false
	}
	c := closeup{replicaView: replicaOf(&v.View), epochAt: v.Epochs.EpochAt}
	for _, f := range v.Followers {
		c.counted = append(c.counted, counted{ID: f.ID, Epoch: f.BrokerEpoch, Held: f.Held})
	}
	return c, true
}

func replicaOf(v *broker.View) replicaView {
	out := replicaView{place: place{v.Topic, v.Partition}, LeaderEpoch: v.LeaderEpoch, Epoch: v.PartitionEpoch, ISR: v.ISR,
		LogStart: v.LogStart, HighWatermark: v.HighWatermark, Durable: v.Held, LogEnd: v.LogEnd,
		Exposed: exposure{v.Exposed.End, v.Exposed.LeaderEpoch, v.Exposed.PartitionEpoch}}
	switch {
	case v.Broken != nil:
	case v.Role == broker.Leading:
		out.Role = leadingReplica
	case v.Role == broker.Following:
		out.Role = followingReplica
	}
	return out
}

// raft returns what the observer sees of a node's part in the quorum.
func (b *brokerHost) raft() (raftView, bool) {
	if b.running == nil {
		return raftView{}, false
	}
	v, ok := b.running.Quorum()
	if !ok {
		return raftView{}, false
	}
	return raftView{Term: v.Term, DurableTerm: v.DurableTerm, Vote: v.DurableVote, Leads: v.Role == quorum.Leader,
		Commit: kafka.Offset(v.Committed), Applied: kafka.Offset(v.Applied), Chain: v.Chain, Electorate: electorate{v.Voters, v.Outgoing},
		Led: v.Led, Decided: decided(v.Decided), Asked: v.Asked, Sure: sure{v.Sure.Number, kafka.Offset(v.Sure.Index)}}, true
}

// imageOf copies what the observer needs of an image.
func imageOf(m *meta.Image) imageView {
	var out imageView
	for _, b := range m.Brokers() {
		out.Brokers = append(out.Brokers, brokerSeat{ID: b.ID, Epoch: b.Epoch, Fenced: b.Fenced, ShuttingDown: b.ShuttingDown})
	}
	for _, t := range m.Topics() {
		for i, s := range t.Partitions {
			out.Partitions = append(out.Partitions, decision{
				place:  place{t.ID, kafka.TopicPartition{Topic: t.Name, Partition: int32(i)}},
				Leader: s.Leader, LeaderEpoch: s.LeaderEpoch, Epoch: s.Epoch, Replicas: s.Replicas, ISR: s.ISR, ELR: s.ELR,
			})
		}
	}
	return out
}

// Looks at everything are a few thousand steps apart, drawn so that they do not
// fall in with anything.
const leastLook, mostLook = 2000, 10_000

// stepped looks at what the last step has changed.
func (w *clusterWatch) stepped() {
	w.steps++
	if node := w.r.k.Stepped(); node != nil {
		for i := range w.hosts {
			if h := &w.hosts[i]; h.node == node && h.running != nil {
				w.compare(h)
			}
		}
	}
	w.step()
	if w.steps >= w.next {
		w.next = w.steps + leastLook + w.r.k.Rand("observer").IntN(mostLook-leastLook)
		w.all()
	}
}

// compare looks whether a node has changed in its step. Nobody else changes it, but
// for its end.
func (w *clusterWatch) compare(h *watchedHost) {
	if h.starts != h.brokerHost.starts {
		h.begins(w)
	}
	if n := h.disk.Strikes(); n != h.strikes {
		h.strikes = n
		w.losses() // what the node does about it is not held against it
	}
	if at := h.running.Applied(); at != h.applied {
		h.applied = at
		m := h.running.Image()
		w.applies(h.id, at, m.Digest(), func() imageView { return imageOf(m) })
		w.changed(h.id)
		w.r.noteIssued(h.running)
	}
	if n := h.running.Changes(); n != h.changes {
		h.changes = n
		w.changed(h.id)
		w.r.noteIssued(h.running)
	}
}

// begins notes another life of a node.
func (h *watchedHost) begins(w *clusterWatch) {
	h.starts, h.changes, h.applied = h.brokerHost.starts, 0, kafka.NoOffset
	w.started(h.id)
	w.losses()
}

// all looks at everything.
func (w *clusterWatch) all() {
	w.losses()
	w.everything()
}

// consumed looks at what a consumer was given of a partition, up to an offset: some
// leader had it below its high watermark.
func (w *clusterWatch) consumed(tp kafka.TopicPartition, end kafka.Offset) {
	if w.told > 0 || w.promised.Loses || w.promised.Unclean {
		return
	}
	exposed := kafka.Offset(0)
	for _, s := range w.order {
		if s.partition == tp {
			exposed = max(exposed, s.exposed)
		}
	}
	if end > exposed {
		w.complain(string(checker.ReadCommittedOnly), "%s: a consumer was given records up to offset %d, and no leader's high watermark was above %d", tp, end, exposed)
	}
}

// losses finds out which disks are not any more what they were.
func (w *clusterWatch) losses() {
	for i := range w.hosts {
		h := &w.hosts[i]
		for _, c := range h.disk.Struck() {
			switch {
			case c.Kind == disksim.FaultEmpty:
				if n := int(c.N); n != h.emptied {
					h.emptied = n
					w.replaced(h.id)
				}
			case c.Kind.Destroys(), c.Kind == disksim.FaultSyncRevert && w.r.drawn.Flush == "os":
				w.damaged(h.id)
			}
		}
		w.noteHurt(h)
	}
}

// lostPower says that a node's page cache is gone.
func (w *clusterWatch) lostPower(b *brokerHost) {
	if w.r.drawn.Flush == "os" {
		w.lost(kafka.NodeID(b.seat.id))
	}
}

// markElection notes an election in the history, if the workload's topic is
// concerned.
func (r *run) markElection(kind history.MarkKind, p place, at kafka.Offset, leader kafka.NodeID) {
	if p.partition.Topic != topicName {
		return
	}
	m := history.Mark{Kind: kind, Partition: r.history.Partition(topicName, p.partition.Partition), Offset: history.NoOffset}
	if kind == history.UncleanLeader {
		m.Offset = history.Offset(at)
	}
	if b := r.brokerWith(leader); b != nil {
		m.Target = b.seat.name
	}
	r.history.Mark(m)
}
