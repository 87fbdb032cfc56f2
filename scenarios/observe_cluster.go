package scenarios

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A clusterObserver looks at what the nodes of a cluster are, all of them at the same
// moment, which nobody in the cluster can (section "The cluster" of
// docs/GUARANTEES.md). After every step it looks at the nodes in which something may
// have changed; at everything, logs on disks included, when it is asked to.
//
// The one rule for callers: changed, applied, started, lost and damaged are called
// when it happens, not later.
type clusterObserver struct {
	promised clusterPromise
	now      func() kafka.Instant
	tell     func(guarantee, sentence string)
	mark     func(kind history.MarkKind, p place, at kafka.Offset, leader kafka.NodeID) // an election; may be nil
	told     int

	windows  []*window
	changes  bool // of some window, not looked at yet
	subjects map[place]*subject
	order    []*subject // as they were first seen

	image    imageView               // the newest that any node has applied
	imageAt  kafka.Offset            // up to where
	digests  map[kafka.Offset]digest // of the images that were seen
	quorum   quorumBook
	lawless  bool                   // a voter's disk was hurt: what controllers decide is certain no more
	forgiven []string               // guarantees that were broken since, the first of them
	excused  map[kafka.NodeID]int64 // lost what they held in that life, and have not registered since
	looks    int                    // at everything
}

// A clusterPromise is what the cluster of a run was promised to be.
type clusterPromise struct {
	Unclean  bool // a replica outside the in-sync set may be elected: what it does not have is gone
	Loses    bool // faults may destroy every copy
	Compacts bool // batches may be rewritten, and offsets be missing

	// KeepsKeys: the topic is compacted, and no tombstone goes before the run is over.
	KeepsKeys bool
}

// A digest is of the image that some node had.
type digest struct {
	sum uint64
	by  kafka.NodeID
}

// complaintsKept is how many violations the observer tells; then it has seen enough.
const complaintsKept = 4

// A window is how the observer looks into one machine. Its functions take no time
// and change nothing.
type window struct {
	id       kafka.NodeID
	name     string               // of its machine, as everything else calls it
	replicas func() []replicaView // nil while there is no broker
	closeup  func(place) (closeup, bool)
	snapshot func() kafka.Offset     // on its disk: it stands for the metadata up to there
	starting func() bool             // it may do anything, and cannot be seen
	raft     func() (raftView, bool) // false while there is no controller
	refresh  func()                  // looks at the disk again
	forget   func()                  // what was read of it
	copyOf   func(place) *logCopy    // on its disk, as of the last refresh; nil if there is none
	keptIn   func(place) *keptKeys   // on its disk, of a compacted topic

	changed bool
	lives   map[place]replicaView                  // of this life of the node, as last seen
	known   []place                                // that it ever had, as they were first seen
	owners  map[kafka.TopicPartition]kafka.TopicID // whose its logs are: topics come back under their names
	read    map[place]*reading
	applied kafka.Offset
	damaged bool

	term, durableTerm uint64
	commit            kafka.Offset // of the metadata log, in this life
	electorate        electorate   // as it takes it, while it runs
	reign             reign
}

// A subject is one partition, and what is known of it from all its replicas.
type subject struct {
	place
	leaders   map[kafka.LeaderEpoch]kafka.NodeID
	decided   decision
	exists    bool // the newest image has it
	exposed   kafka.Offset
	exposedBy kafka.NodeID
	exposedIn kafka.LeaderEpoch // wrote the last record of it
	exposedAt int32             // partition epoch, as the leader knew it
	since     kafka.LeaderEpoch // of the last unclean election
	led       kafka.NodeID      // who was elected last
	partings  []parting
	chronicle map[batchKey]batchFacts
	tip       batchKey     // the batch that ends what was exposed
	tipAt     kafka.Offset // when it was, 0 if that is not known
}

func newClusterObserver(p clusterPromise, now func() kafka.Instant, tell func(guarantee, sentence string)) *clusterObserver {
	return &clusterObserver{promised: p, now: now, tell: tell, subjects: map[place]*subject{}, imageAt: kafka.NoOffset,
		digests: map[kafka.Offset]digest{}, quorum: newQuorumBook(), excused: map[kafka.NodeID]int64{}}
}

// watch adds a machine.
func (o *clusterObserver) watch(w window) {
	w.owners = map[kafka.TopicPartition]kafka.TopicID{metadataPlace.partition: metadataPlace.topic}
	w.lives, w.read, w.applied, w.commit = map[place]replicaView{}, map[place]*reading{}, kafka.NoOffset, kafka.NoOffset
	o.windows = append(o.windows, &w)
}

// copy returns what lies on a node's disk of a partition: nothing, if it never got a
// record.
func (w *window) copy(p place) *logCopy {
	if w.owners[p.partition] == p.topic {
		if c := w.copyOf(p); c != nil {
			return c
		}
	}
	return &logCopy{}
}

func (o *clusterObserver) window(id kafka.NodeID) *window {
	for _, w := range o.windows {
		if w.id == id {
			return w
		}
	}
	return nil
}

func (o *clusterObserver) subject(p place) *subject {
	s := o.subjects[p]
	if s == nil {
		s = &subject{place: p, led: meta.NoLeader, leaders: map[kafka.LeaderEpoch]kafka.NodeID{}, chronicle: map[batchKey]batchFacts{}}
		o.subjects[p] = s
		o.order = append(o.order, s)
	}
	return s
}

// complain tells of a broken invariant. Nodes are called by their names, whatever verb the
// format has for them: faults and logs speak of n4 or q1, and not of 4 or 101.
func (o *clusterObserver) complain(guarantee, format string, args ...any) {
	if o.lawless && !slices.Contains(ofOneNode, guarantee) {
		if len(o.forgiven) < complaintsKept {
			o.forgiven = append(o.forgiven, guarantee)
		}
		return
	}
	if o.told++; o.told > complaintsKept {
		return
	}
	for i, a := range args {
		switch a := a.(type) {
		case kafka.NodeID:
			args[i] = o.called(a)
		case []kafka.NodeID:
			names := make([]nodeName, len(a))
			for j, id := range a {
				names[j] = o.called(id)
			}
			args[i] = names
		}
	}
	o.tell(guarantee, fmt.Sprintf(format, args...)+" at "+o.now().String())
}

// called returns what a node is called: its number, if nobody knows its name.
func (o *clusterObserver) called(id kafka.NodeID) nodeName {
	if w := o.window(id); w != nil && w.name != "" {
		return nodeName(w.name)
	}
	return nodeName(strconv.Itoa(int(id)))
}

// A nodeName is written as it is with every verb.
type nodeName string

func (n nodeName) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, string(n)) }

// changed says that something of a node may have changed.
func (o *clusterObserver) changed(id kafka.NodeID) {
	if w := o.window(id); w != nil {
		w.changed, o.changes = true, true
	}
}

// started says that a node begins another life: it may know less than in the last
// one, but holds what it held.
func (o *clusterObserver) started(id kafka.NodeID) {
	if w := o.window(id); w != nil {
		clear(w.lives)
		w.commit, w.applied, w.term = kafka.NoOffset, kafka.NoOffset, 0
		w.changed, o.changes = true, true
		w.reign = reign{}
	}
}

// lost says that a node has lost, at the end of a life, some of what it held: its
// disk, or its page cache where log.flush=os. Until it has registered again, nothing
// is demanded of its copies.
func (o *clusterObserver) lost(id kafka.NodeID) {
	if w := o.window(id); w != nil {
		for _, r := range w.read { //klamm:unordered each by itself
			r.last = replicaView{}
		}
	}
	o.excused[id] = meta.NoEpoch
	if b, ok := o.image.seat(id); ok {
		o.excused[id] = b.Epoch
	}
}

// replaced says that a node has another disk: besides what it held, its votes are
// gone. It is another voter, if it is one.
func (o *clusterObserver) replaced(id kafka.NodeID) {
	for b := range o.quorum.votes { //klamm:unordered each by itself
		if b.by == id {
			delete(o.quorum.votes, b)
		}
	}
	o.lost(id)
}

// damaged says that what lies on a node's disks is not what was written any more.
// Nothing is demanded of its copies before it is mended, if it ever is.
func (o *clusterObserver) damaged(id kafka.NodeID) {
	if w := o.window(id); w != nil {
		w.damaged = true
	}
}

// mended says that what lies on a node's disks is what it should be again, though it
// was damaged. All of it is read anew: what was read before may have rotted since.
func (o *clusterObserver) mended(id kafka.NodeID) {
	w := o.window(id)
	if w == nil || !w.damaged {
		return
	}
	w.damaged = false
	w.forget()
	for _, r := range w.read { //klamm:unordered each by itself
		r.told, r.epoch = nil, nil
	}
}

// isExcused reports whether a node's copies prove nothing.
func (o *clusterObserver) isExcused(w *window) bool {
	_, ok := o.excused[w.id]
	return w.damaged || ok
}

// step looks at the nodes in which something may have changed. It goes on after a
// complaint: who judges the history needs to know of every election.
func (o *clusterObserver) step() {
	if !o.changes {
		return
	}
	o.changes = false
	for _, w := range o.windows {
		if w.changed {
			o.look(w)
		}
	}
}

// everything looks at all nodes and at what lies on their disks.
func (o *clusterObserver) everything() {
	if o.told > 0 {
		return
	}
	o.looks++
	for _, w := range o.windows {
		o.look(w)
		if w.refresh != nil {
			w.refresh()
		}
	}
	for _, w := range o.windows {
		o.readLogs(w)
	}
	for _, s := range o.order {
		o.checkCommitted(s)
	}
	o.checkQuorum()
}

// look looks at one node's replicas, and at its part in the quorum.
func (o *clusterObserver) look(w *window) {
	w.changed = false
	if w.raft != nil {
		if v, ok := w.raft(); ok {
			o.lookAtRaft(w, v)
		} else {
			w.electorate = electorate{}
		}
	}
	if w.replicas == nil {
		return
	}
	for _, v := range w.replicas() {
		o.lookAtReplica(w, v)
	}
}

// has reports whether the ids contain one.
func has(ids []kafka.NodeID, id kafka.NodeID) bool { return slices.Contains(ids, id) }
