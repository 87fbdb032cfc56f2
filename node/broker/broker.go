// Package broker waits: it carries decisions to disks, and answers to those who
// wait for them.
//
// A Broker holds this node's partitions and follows the cluster's metadata: what
// the image says it opens, closes and removes. It appends, fetches and lists
// offsets for whoever serves a protocol on top. Decisions are made elsewhere, in
// packages meta, txn, record and commitlog.
//
// The one rule for callers: everything that a method returned about a partition
// may be false after the next call that blocks.
package broker

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/record"
)

// Options says what a broker is made of.
type Options struct {
	Config *config.View
	Dirs   []LogDir // in order; the first also holds the metadata
	Source Source

	// Controllers is how the active controller is reached, Peers how the leaders
	// of other nodes' partitions are.
	Controllers Controllers
	Peers       Peers

	Endpoints   []meta.Endpoint  // where clients and other brokers reach this one
	Incarnation meta.Incarnation // names this life; drawn if it is zero

	// Missing tells of a log directory that this node had and does not have
	// now: a partition that is nowhere may lie there, and is not made anew.
	Missing error

	// Lost are the configured log directories that could not be taken into use.
	Lost []LostDir
}

// A LogDir is a log directory in use, and the disk it is on.
type LogDir struct {
	Dir *commitlog.Dir
	FS  env.FS
}

// A Broker is one node's part in the cluster.
type Broker struct {
	w      *env.World
	id     kafka.NodeID
	dirs   []*logDir
	places map[kafka.TopicPartition]*logDir

	doubtful []doubt // places that nobody can read
	missing  error   // a log directory that was there at an earlier start
	lost     []LostDir
	starting bool

	source Source
	image  *meta.Image // the source's

	first       LogDir // the first of the log directories
	controllers Controllers
	peers       Peers
	endpoints   []meta.Endpoint
	epoch       int64 // of the registration of this life; meta.NoEpoch before
	life        life
	swept       bool // what the log directories hold is known
	removals    int  // of partitions' files, since the start

	fetchers map[fetchSource]*fetcher
	fetching *env.Group
	altering []*Partition // that want another in-sync set
	alter    env.Cond     // somebody does, or all are to be looked at
	recheck  bool

	topics map[kafka.TopicID]*topic
	todo   []kafka.TopicID // topics whose metadata changed and that are not reconciled

	unopened []unopened // partitions whose logs are to be opened again
	busy     bool       // topics are being reconciled
	changed  env.Cond   // something to reconcile, or a topic was reconciled
	loop     *env.Group // the task that reconciles; it is never canceled
	tasks    *env.Group
	closing  bool
	hurrying bool // fetches do not wait
	producer producerIDs
	throttle commitlog.Throttle // of compaction
	scrubs   commitlog.Throttle // of reading logs again
	sending  throttle           // of what followers are sent
	copying  throttle           // of what is fetched from leaders
	codecs   record.Pool
	stats    Stats
	changes  uint64 // of roles, in-sync sets and high watermarks, for observers
	waiting  waiting

	configured *config.View // the node's own configuration
	config     *config.View // what is in force: more may be set while the node runs
	plain      rules        // of topics that set nothing
	onConfig   []func(*config.View)
	onLead     []func(kafka.TopicPartition, kafka.LeaderEpoch)
}

// A topic is this node's part of one incarnation of a topic.
type topic struct {
	id   kafka.TopicID
	name string
	rules
	partitions []*Partition // by number; nil where this node has no replica
	settled    int          // so many of them were opened, or are known to be broken
}

// Stats are counts since the start, and what is there now.
type Stats struct {
	Appends, AppendedBytes  uint64 // batches given to logs
	AppendedRecords         uint64
	RefusedBatches          uint64
	Fetches, FetchedBytes   uint64
	FetchWaits, AppendWaits uint64 // times that a request had to wait
	TopicsRemoved           uint64
	RecordDeletions         uint64 // partitions whose log start DeleteRecords moved, or found moved
	RetainRuns, CompactRuns uint64
	ScrubRuns               uint64 // rounds through all logs that ended
	Damages                 uint64 // parts of logs that were found not to be what was written
	ProducerIDs, Blocks     uint64 // given out, and taken from the cluster
	Partitions, Offline     int

	Elections, Resignations uint64 // partitions that this node began and ceased to lead
	Shrinks, Expands        uint64 // of in-sync sets
	Truncations, Resets     uint64 // of followers' logs, to where they part and to the leader's log start
	FetchFailures           uint64 // of followers
	ReplicatedBytes         uint64 // appended by followers
	Sending, Copying        ThrottleStats
	Replaced                uint64 // replicas that were set aside, to be fetched anew

	Leading, Following int
	UnderReplicated    int   // partitions led here with fewer in sync than there are replicas
	UnderMinISR        int   // and with fewer than min.insync.replicas
	FollowerLag        int64 // committed records that this node's followers lack
}

// waiting counts the requests that wait now.
type waiting struct{ produce, fetch int64 }

// Open returns a broker that will serve what the image says. It registers with the
// controllers and opens its logs in the background: AwaitServing tells when it
// serves. Blocks.
func Open(w *env.World, o Options) (*Broker, error) {
	b := &Broker{
		w:       w,
		id:      kafka.NodeID(config.NodeID.In(o.Config)),
		places:  map[kafka.TopicPartition]*logDir{},
		source:  o.Source,
		image:   o.Source.Image(),
		missing: o.Missing, lost: o.Lost, starting: true,
		topics:   map[kafka.TopicID]*topic{},
		changed:  w.NewCond("broker/changed"),
		loop:     env.NewGroup(w, "broker/loop"),
		tasks:    env.NewGroup(w, "broker/tasks"),
		fetching: env.NewGroup(w, "broker/fetching"),
		fetchers: map[fetchSource]*fetcher{},
		alter:    w.NewCond("broker/alter"),

		first: o.Dirs[0], controllers: o.Controllers, peers: o.Peers, endpoints: o.Endpoints, epoch: meta.NoEpoch,
		configured: o.Config,
	}
	for _, d := range o.Dirs {
		b.dirs = append(b.dirs, &logDir{Dir: d.Dir, fs: d.FS})
	}
	b.throttle.Rate = func() int64 { return config.LogCleanerIOMax.In(b.config) }
	b.scrubs.Rate = func() int64 { return config.LogScrubIOMax.In(b.config) }
	b.producer.turn = env.NewTurn(w, "broker/producer-ids")
	if err := b.begin(o.Incarnation); err != nil {
		return nil, err
	}
	b.configure()
	b.source.OnApply(b.follow)
	b.loop.Go("broker/reconcile", b.reconcileLoop)
	b.tasks.Go("broker/life", b.live)
	b.tasks.Go("broker/insync", b.insyncLoop)
	b.tasks.Go("broker/tick", b.tickLoop)
	b.tasks.Go("broker/clean", b.cleanLoop)
	b.tasks.Go("broker/scrub", b.scrubLoop)
	return b, nil
}

// waitReconciled waits until nothing is left to reconcile. Blocks.
func (b *Broker) waitReconciled() error {
	return b.waitUntil(kafka.Never, func() bool { return len(b.todo) == 0 && !b.busy })
}

// Image returns the metadata as this node has it.
func (b *Broker) Image() *meta.Image { return b.image }

// ID returns the node's number.
func (b *Broker) ID() kafka.NodeID { return b.id }

// Stats returns the counts.
func (b *Broker) Stats() Stats {
	s := b.stats
	s.Sending, s.Copying = b.sending.stats, b.copying.stats
	for _, p := range b.all() {
		s.Partitions++
		s.count(p)
	}
	return s
}

func (s *Stats) count(p *Partition) {
	if p.broken != nil {
		s.Offline++
	}
	switch p.Role() {
	case Leading:
		s.Leading++
		if isr := len(p.leader.State().ISR); isr < len(p.state.Replicas) {
			s.UnderReplicated++
			if isr < p.topic.leastInSync {
				s.UnderMinISR++
			}
		}
	case Following:
		s.Following++
		s.FollowerLag += p.lag()
	}
}

// waitUntil waits for something that changes with b.changed. Blocks.
func (b *Broker) waitUntil(deadline kafka.Instant, done func() bool) error {
	for !done() {
		if err := b.changed.Wait(deadline); err != nil {
			return err
		}
	}
	return nil
}

// Partition finds a partition of this node by its name, or tells what a client
// is told.
func (b *Broker) Partition(name string, number int32) (*Partition, error) {
	if t, ok := b.image.Topic(name); ok {
		return b.replica(t, number)
	}
	return nil, fmt.Errorf("topic %.249s: %w", name, kafka.ErrUnknownTopicOrPartition)
}

// PartitionByID finds a partition of this node by its topic's id.
func (b *Broker) PartitionByID(id kafka.TopicID, number int32) (*Partition, error) {
	if t, ok := b.image.TopicByID(id); ok {
		return b.replica(t, number)
	}
	return nil, fmt.Errorf("topic id %s: %w", id, kafka.ErrUnknownTopicID)
}

func (b *Broker) replica(t *meta.Topic, number int32) (*Partition, error) {
	if number < 0 || int(number) >= len(t.Partitions) {
		return nil, fmt.Errorf("%s-%d: %w", t.Name, number, kafka.ErrUnknownTopicOrPartition)
	}
	local := b.topics[t.ID]
	if local == nil || int(number) >= len(local.partitions) {
		return nil, fmt.Errorf("%s-%d: not open yet: %w", t.Name, number, kafka.ErrLeaderNotAvailable)
	}
	p := local.partitions[number]
	if p == nil {
		return nil, fmt.Errorf("%s-%d: node %d leads: %w", t.Name, number, t.Partitions[number].Leader, kafka.ErrNotLeaderOrFollower)
	}
	return p, nil
}

// all returns this node's partitions in the order of their names.
func (b *Broker) all() []*Partition {
	var out []*Partition
	for _, t := range b.image.Topics() {
		if local := b.topics[t.ID]; local != nil {
			for _, p := range local.partitions {
				if p != nil {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// Views returns what observers see, in the order of the partitions' names.
func (b *Broker) Views() []View {
	var out []View
	for _, p := range b.all() {
		out = append(out, p.View())
	}
	return out
}

// Changes counts the changes of roles, in-sync sets, log starts and high watermarks:
// an observer that finds it as it was need not look at Views.
func (b *Broker) Changes() uint64 { return b.changes }

// Check returns the first broken invariant of this node.
func (b *Broker) Check() error {
	if err := b.image.Check(); err != nil {
		return err
	}
	for _, p := range b.all() {
		if err := p.Check(); err != nil {
			return err
		}
	}
	return nil
}

// Close hands over what the broker leads, ends its tasks and closes its logs, cleanly
// where that is possible. The directories and the source stay the caller's. Blocks.
func (b *Broker) Close(deadline kafka.Instant) error {
	if err := b.HandOver(b.halfWay(deadline)); err != nil {
		b.w.Log.Warn("leadership was not handed over", "err", err)
	}
	b.closing = true
	b.tasks.Cancel()
	b.fetching.Cancel()
	b.changed.Broadcast()
	err := errors.Join(b.tasks.Wait(deadline), b.fetching.Wait(deadline), b.loop.Wait(deadline))
	closing := env.NewGroup(b.w, "broker/close")
	var errs []error
	for _, p := range b.all() {
		p.detach(fmt.Errorf("%s: node is stopping: %w", p.name, kafka.ErrNotLeaderOrFollower))
		l := p.last
		if l == nil {
			continue
		}
		closing.Go("broker/close "+p.name.String(), func() {
			if err := l.Close(); err != nil {
				errs = append(errs, err)
			}
		})
	}
	err = errors.Join(err, closing.Wait(deadline))
	if err = errors.Join(err, errors.Join(errs...)); err != nil {
		return err
	}
	return b.leaveClean()
}

// halfWay leaves what follows half of the time.
func (b *Broker) halfWay(deadline kafka.Instant) kafka.Instant {
	if deadline == kafka.Never {
		return deadline
	}
	now := b.w.Now()
	return now.Add(deadline.Sub(now) / 2)
}
