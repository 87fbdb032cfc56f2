package broker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/sim"
)

// A cluster is brokers on machines of their own, one simulated world, and a
// controller that is always there. Messages take a millisecond; a test has them lost
// or held back.
type cluster struct {
	t        testing.TB
	k        *sim.Kernel
	machines []*machine
	settings []config.Pair

	image *meta.Image // the controller's
	log   [][]meta.Record
	calls map[string]int // by what is asked, those that the controller got

	// lose tells whether a message is lost: "register", "beat", "alter", "fetch"
	// and their answers, "alter answer".
	lose func(from, to kafka.NodeID, what string) bool

	// onFetch looks at what a leader answers, and may change it.
	onFetch func(from, to kafka.NodeID, q *ReplicaFetch, a *ReplicaFetched)
}

const latency = time.Millisecond

// A machine is one broker's.
type machine struct {
	c      *cluster
	id     kafka.NodeID
	node   *sim.Node
	disk   *disksim.Disk
	w      *env.World
	dir    *commitlog.Dir
	b      *Broker
	image  *meta.Image
	at     int // of the controller's log
	apply  []func([]meta.Record)
	lags   bool // it hears nothing of the metadata
	failed error
	told   meta.Registration // the last

	sessions map[kafka.NodeID]map[meta.Replica]ReplicaItem
}

var testSettings = []config.Pair{
	{Name: "replica.lag.time.max.ms", Value: "1000"}, {Name: "replica.fetch.wait.max.ms", Value: "100"},
	{Name: "replica.fetch.backoff.ms", Value: "100"}, {Name: "replica.socket.timeout.ms", Value: "500"},
	{Name: "broker.heartbeat.interval.ms", Value: "100"}, {Name: "broker.session.timeout.ms", Value: "1000"},
}

func newCluster(t testing.TB, n int, more ...config.Pair) *cluster {
	c := &cluster{t: t, k: sim.New(sim.Options{Seed: 7}), image: meta.NewImage(), calls: map[string]int{},
		settings: append(slices.Clone(testSettings), more...)}
	t.Cleanup(c.k.Close)
	c.decide(func(*meta.Image) ([]meta.Record, error) { return meta.Format("test"), nil })
	for i := range n {
		c.add(kafka.NodeID(i + 1))
	}
	return c
}

func (c *cluster) add(id kafka.NodeID) {
	name := fmt.Sprintf("b%d", id)
	m := &machine{c: c, id: id, node: c.k.NewNode(name), disk: disksim.New(c.k, name+"/0", disksim.Options{})}
	n := m.node
	m.w = &env.World{Clock: n.Clock(), Tasks: n.Tasks(), Random: n.Random(), Secret: n.Secret(), Log: n.Log(), Sight: n.Sight(),
		LogDirs: []env.LogDir{{Name: "disk0", FS: m.disk.FS(n)}}}
	c.machines = append(c.machines, m)
}

// start starts brokers and waits until they serve.
func start(t testing.TB, n int, more ...config.Pair) *cluster {
	t.Helper()
	c := newCluster(t, n, more...)
	for _, m := range c.machines {
		m.start()
	}
	for _, m := range c.machines {
		c.until(fmt.Sprintf("broker %d serves", m.id), func() bool { return m.b != nil && m.b.serves() })
	}
	return c
}

func (c *cluster) view(id kafka.NodeID) *config.View {
	v, err := config.NewBroker(append(slices.Clone(c.settings), config.Pair{Name: "node.id", Value: fmt.Sprint(id)}))
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

// start starts a machine's broker.
func (m *machine) start() {
	m.image, m.at, m.apply, m.sessions, m.failed = meta.NewImage(), 0, nil, map[kafka.NodeID]map[meta.Replica]ReplicaItem{}, nil
	if !m.lags {
		m.hear()
	}
	m.node.Go("start", func() {
		d, err := commitlog.OpenDir(m.w, m.w.LogDirs[0], commitlog.DirOptions{})
		if err == nil {
			m.dir = d
			m.b, err = Open(m.w, Options{Config: m.c.view(m.id), Dirs: []LogDir{{Dir: d, FS: m.w.LogDirs[0].FS}},
				Source: m, Controllers: m, Peers: m,
				Endpoints: []meta.Endpoint{{Listener: "PLAINTEXT", Host: "b", Port: 1}}})
		}
		m.failed = err
	})
}

// crash ends a machine's process; powerLoss loses what was not synced, too.
func (m *machine) crash() {
	m.node.Crash()
	m.disk.ProcessCrash()
	m.b, m.dir = nil, nil
	m.node.Restart()
}

func (m *machine) powerLoss() {
	m.node.Crash()
	m.disk.PowerLoss(media.Posix, 0)
	m.b, m.dir = nil, nil
	m.node.Restart()
}

// stop ends a broker cleanly.
func (m *machine) stop() {
	m.c.t.Helper()
	m.c.must(m, func() error {
		err := errors.Join(m.b.Close(m.w.Now().Add(10*time.Second)), m.dir.Close())
		m.b, m.dir = nil, nil
		return err
	})
}

// The machine is its broker's Source.

func (m *machine) Image() *meta.Image                            { return m.image }
func (m *machine) OnApply(f func([]meta.Record))                 { m.apply = append(m.apply, f) }
func (m *machine) Applied() kafka.Offset                         { return kafka.Offset(m.at) }
func (m *machine) WaitApplied(kafka.Offset, kafka.Instant) error { return nil }
func (m *machine) Leader() (kafka.NodeID, kafka.LeaderEpoch)     { return 0, 0 }

// hear has a machine apply what the controller has decided.
func (m *machine) hear() {
	for ; m.at < len(m.c.log); m.at++ {
		for _, r := range m.c.log[m.at] {
			if err := m.image.Apply(r); err != nil {
				m.c.t.Fatal(err)
			}
		}
		for _, f := range m.apply {
			f(m.c.log[m.at])
		}
	}
}

// decide has the controller decide, and the brokers told.
func (c *cluster) decide(f func(*meta.Image) ([]meta.Record, error)) error {
	records, err := f(c.image)
	if err != nil || len(records) == 0 {
		return err
	}
	for _, r := range records {
		if err := c.image.Apply(r); err != nil {
			c.t.Fatal(err)
		}
	}
	c.log = append(c.log, records)
	for _, m := range c.machines {
		c.k.After(latency, func() { c.tell(m) })
	}
	return nil
}

func (c *cluster) tell(m *machine) {
	if m.b != nil && !m.lags && m.node.Alive() {
		m.node.Go("apply", func() {
			if !m.lags {
				m.hear()
			}
		})
	}
}

// ask carries a question to the controller, and its answer back.
func (m *machine) ask(what string, deadline kafka.Instant, f func()) error {
	c, done, changed := m.c, false, m.w.NewCond("ask")
	life := m.node.Incarnation()
	c.k.After(latency, func() {
		if c.lose != nil && c.lose(m.id, 0, what) {
			return
		}
		c.calls[what]++
		f()
		c.k.After(latency, func() {
			if c.lose != nil && c.lose(0, m.id, what+" answer") || m.node.Incarnation() != life || !m.node.Alive() {
				return
			}
			m.node.Go("answer", func() { done = true; changed.Broadcast() })
		})
	})
	for !done {
		if err := changed.Wait(deadline); err != nil {
			return fmt.Errorf("%s: %w: %w", what, err, kafka.ErrRequestTimedOut)
		}
	}
	return nil
}

// The machine is its broker's Controllers.

func (m *machine) Register(r meta.Registration, deadline kafka.Instant) (epoch int64, err error) {
	m.told = r
	lost := m.ask("register", deadline, func() {
		err = m.c.decide(func(i *meta.Image) (records []meta.Record, err error) {
			records, epoch, err = i.Register(r, i.Alive, m.c.view(0))
			return records, err
		})
	})
	return epoch, errors.Join(lost, err)
}

func (m *machine) Heartbeat(b meta.Beat, deadline kafka.Instant) (a meta.BeatAnswer, err error) {
	lost := m.ask("beat", deadline, func() {
		err = m.c.decide(func(i *meta.Image) (records []meta.Record, err error) {
			records, a, err = i.Heartbeat(b, 0, m.c.view(0))
			return records, err
		})
		a.Decided = kafka.Offset(len(m.c.log))
	})
	return a, errors.Join(lost, err)
}

func (m *machine) AlterPartitions(self meta.Member, items []meta.Alter, deadline kafka.Instant) (out []meta.Altered, err error) {
	lost := m.ask("alter", deadline, func() {
		err = m.c.decide(func(i *meta.Image) (records []meta.Record, err error) {
			records, out, err = i.AlterPartitions(self, items, m.c.view(0))
			return records, err
		})
	})
	return out, errors.Join(lost, err)
}

func (m *machine) AllocateProducerIDs(self meta.Member, deadline kafka.Instant) (b meta.Block, err error) {
	lost := m.ask("ids", deadline, func() {
		err = m.c.decide(func(i *meta.Image) (records []meta.Record, err error) {
			records, b, err = i.AllocateProducerIDs(self, 10)
			return records, err
		})
	})
	return b, errors.Join(lost, err)
}

func (m *machine) CreateTopic(meta.NewTopic, kafka.Instant) error { return kafka.ErrNotController }

// FetchFrom makes the machine its broker's Peers. Sessions are the simplest that
// there can be.
func (m *machine) FetchFrom(leader kafka.NodeID, q *ReplicaFetch, deadline kafka.Instant) (*ReplicaFetched, error) {
	c, l := m.c, m.c.machine(leader)
	var got *ReplicaFetched
	done, changed, life := false, m.w.NewCond("fetch"), m.node.Incarnation()
	answer := func(a *ReplicaFetched) {
		c.k.After(latency, func() {
			if m.node.Incarnation() == life && m.node.Alive() && (c.lose == nil || !c.lose(leader, m.id, "fetch answer")) {
				m.node.Go("answer", func() { got, done = a, true; changed.Broadcast() })
			}
		})
	}
	c.k.After(latency, func() {
		switch {
		case c.lose != nil && c.lose(m.id, leader, "fetch"):
		case !l.node.Alive() || l.b == nil:
			answer(&ReplicaFetched{Err: kafka.ErrNetworkException})
		default:
			l.node.Go("serve", func() {
				a := l.serve(m.id, q)
				if c.onFetch != nil {
					c.onFetch(m.id, leader, q, a)
				}
				answer(a)
			})
		}
	})
	for !done {
		if err := changed.Wait(deadline); err != nil {
			return nil, fmt.Errorf("fetch: %w: %w", err, kafka.ErrNetworkException)
		}
	}
	return got, nil
}

// serve answers a follower's fetch.
func (m *machine) serve(from kafka.NodeID, q *ReplicaFetch) *ReplicaFetched {
	items := m.sessions[from]
	switch {
	case q.SessionEpoch == 0:
		items = map[meta.Replica]ReplicaItem{}
		m.sessions[from] = items
	case items == nil:
		return &ReplicaFetched{Err: kafka.ErrFetchSessionIDNotFound}
	}
	for _, it := range q.Items {
		items[it.Replica] = it
	}
	for _, r := range q.Forgotten {
		delete(items, r)
	}
	f := &Fetch{Follower: &q.Self, Deadline: m.w.Now().Add(100 * time.Millisecond), MinBytes: int64(q.MinBytes), MaxBytes: int64(q.MaxBytes)}
	for _, it := range m.sorted(items) {
		f.Items = append(f.Items, FetchItem{TopicID: it.Topic, Partition: it.Partition, Offset: it.From, Held: it.Held, Start: it.LogStart,
			MaxBytes: int(it.MaxBytes), LeaderEpoch: it.LeaderEpoch, LastEpoch: it.LastEpoch})
	}
	if m.b.Fetch(f) != nil {
		return &ReplicaFetched{Err: kafka.ErrUnknownServerError}
	}
	a := &ReplicaFetched{SessionID: 1}
	for i := range f.Items {
		it := &f.Items[i]
		b := make([]byte, it.Chunk.Len())
		if it.Err == nil {
			it.Err = it.Chunk.Copy(b)
		}
		a.Items = append(a.Items, ReplicaFetchedItem{Replica: meta.Replica{Topic: it.TopicID, Partition: it.Partition}, Err: it.Err,
			HighWatermark: it.HighWatermark, LogStart: it.LogStart, Diverging: it.Diverging, Leader: it.Leader, CurrentEpoch: it.CurrentEpoch, Records: b, Bequest: it.Bequest})
	}
	f.Release()
	return a
}

func (m *machine) sorted(items map[meta.Replica]ReplicaItem) (out []ReplicaItem) {
	for _, t := range m.image.Topics() {
		for n := range t.Partitions {
			if it, ok := items[meta.Replica{Topic: t.ID, Partition: int32(n)}]; ok {
				out = append(out, it)
			}
		}
	}
	return out
}

func (c *cluster) machine(id kafka.NodeID) *machine { return c.machines[id-1] }

// until runs the world until something holds, and checks every invariant on the way.
func (c *cluster) until(what string, done func() bool) {
	c.t.Helper()
	steps := 0
	end := c.k.Run(c.k.Now().Add(time.Minute), func() bool {
		c.check()
		steps++
		return done() || steps > 200_000
	})
	if end != sim.Finished || steps > 200_000 {
		for _, m := range c.machines {
			if m.b != nil {
				for _, v := range m.b.Views() {
					c.t.Logf("broker %d: %+v", m.id, v)
				}
			}
		}
		c.t.Fatalf("%s: the run ended %s after %d steps: %v", what, end, steps, c.k.Panics())
	}
}

func (c *cluster) check() {
	for _, m := range c.machines {
		if m.failed != nil {
			c.t.Fatalf("broker %d: %v", m.id, m.failed)
		}
		if m.b != nil && m.node.Alive() {
			if err := m.b.Check(); err != nil {
				c.t.Fatalf("broker %d: %v", m.id, err)
			}
		}
	}
}

// sleep lets time pass.
func (c *cluster) sleep(d time.Duration) {
	c.t.Helper()
	end := c.k.Now().Add(d)
	c.k.After(d, func() {})
	c.until("time passes", func() bool { return c.k.Now() >= end })
}

// must runs f as a task of a machine.
func (c *cluster) must(m *machine, f func() error) {
	c.t.Helper()
	if err := c.try(m, f); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) try(m *machine, f func() error) error {
	c.t.Helper()
	var err error
	done := false
	m.node.Go("test", func() { err = f(); done = true })
	c.until("the task ends", func() bool { return done })
	return err
}

var orders = kafka.TopicID{1}

// create creates the topic orders with one partition.
func (c *cluster) create(replicas []kafka.NodeID, settings ...config.Pair) {
	c.t.Helper()
	c.createAs("orders", orders, replicas, settings...)
}

func (c *cluster) createAs(name string, id kafka.TopicID, replicas []kafka.NodeID, settings ...config.Pair) {
	c.t.Helper()
	err := c.decide(func(i *meta.Image) ([]meta.Record, error) {
		return i.CreateTopic(meta.NewTopic{Name: name, ID: id, Partitions: meta.Unset, Replicas: meta.Unset, Settings: settings,
			Assignment: []meta.Assigned{{Replicas: replicas}}}, meta.Defaults{})
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.until("the topic is there", func() bool { return c.machine(replicas[0]).p() != nil && c.machine(replicas[0]).p().Role() == Leading })
}

// p returns the machine's replica of orders-0.
func (m *machine) p() *Partition {
	if m.b == nil {
		return nil
	}
	p, err := m.b.Partition("orders", 0)
	if err != nil {
		return nil
	}
	return p
}

// state returns the controller's state of orders-0.
func (c *cluster) state() meta.PartitionState {
	t, _ := c.image.Topic("orders")
	return t.Partitions[0]
}

func batchOf(value string) []byte {
	var b record.Builder
	b.Append(record.Record{Timestamp: sim.WallStart, Value: []byte(value)})
	batch, err := b.Build(record.Spec{}, nil)
	if err != nil {
		panic(err)
	}
	return batch.Bytes()
}

// produce appends a value at a broker and returns how that ended.
func (m *machine) produce(acks kafka.Acks, value string, wait time.Duration) error {
	m.c.t.Helper()
	return m.c.try(m, func() error { return m.append(acks, value, wait) })
}

func (m *machine) append(acks kafka.Acks, value string, wait time.Duration) error {
	a := &Append{Acks: acks, Deadline: m.w.Now().Add(wait), Items: []AppendItem{{Topic: "orders", Records: batchOf(value)}}}
	m.b.Append(a)
	if err := m.b.AwaitAppend(a); err != nil {
		return err
	}
	return a.Items[0].Err
}

// values reads a broker's log, all of it: epoch and value of each record.
func (m *machine) values() string {
	m.c.t.Helper()
	var out []string
	m.c.must(m, func() error {
		return eachBatch(m.p().log, func(b record.Batch) error {
			records := b.Records(1 << 20)
			for records.Next() {
				out = append(out, fmt.Sprintf("%d:%s", b.LeaderEpoch(), records.Record().Value))
			}
			return records.Err()
		})
	})
	return strings.Join(out, " ")
}

// inSync waits until the controller's in-sync set has n members.
func (c *cluster) inSync(n int) {
	c.t.Helper()
	c.until(fmt.Sprintf("%d are in sync", n), func() bool { return len(c.state().ISR) == n })
}

// leader waits until a broker leads that the controller has elected, with everybody
// in sync.
func (c *cluster) leader() *machine {
	c.t.Helper()
	var leader *machine
	c.until("there is a leader", func() bool {
		for _, m := range c.machines {
			if p := m.p(); p != nil && p.Role() == Leading && c.state().Leader == m.id && len(p.leader.State().ISR) == len(c.state().Replicas) {
				leader = m
				return true
			}
		}
		return false
	})
	return leader
}

// fence has the controller find a broker's session ended.
func (c *cluster) fence(id kafka.NodeID) {
	c.t.Helper()
	if err := c.decide(func(i *meta.Image) ([]meta.Record, error) { return i.Fence([]kafka.NodeID{id}, c.view(0)), nil }); err != nil {
		c.t.Fatal(err)
	}
}

// same waits until all have the leader's log and high watermark.
func (c *cluster) same(want string) {
	c.t.Helper()
	c.until("all logs end alike", func() bool {
		end, n := kafka.NoOffset, 0
		for _, id := range c.state().Replicas {
			p := c.machine(id).p()
			if p == nil || p.log == nil || end >= 0 && p.log.End() != end || p.high != p.log.End() {
				return false
			}
			end, n = p.log.End(), n+1
		}
		return n == len(c.state().Replicas)
	})
	for _, id := range c.state().Replicas {
		if got := c.machine(id).values(); got != want {
			c.t.Errorf("broker %d has %q, want %q", id, got, want)
		}
	}
}

// eachBatch hands every batch of a log to f, in order, as far as it is held. A
// batch is valid during the call. Blocks.
func eachBatch(l *commitlog.Log, f func(record.Batch) error) error {
	const piece = 1 << 20
	var buf []byte
	for at := l.LogStart(); at < l.Held(); {
		c, err := l.Read(at, piece, l.Held(), commitlog.TakeOversize)
		if err != nil {
			return err
		}
		if c.Len() == 0 {
			return nil
		}
		if cap(buf) < c.Len() {
			buf = make([]byte, c.Len())
		}
		buf = buf[:c.Len()]
		err = c.Copy(buf)
		c.Release()
		if err != nil {
			return err
		}
		if at, err = eachIn(buf, at, f); err != nil {
			return err
		}
	}
	return nil
}

// eachIn hands the batches in b to f and returns where the last one ended.
func eachIn(b []byte, at kafka.Offset, f func(record.Batch) error) (kafka.Offset, error) {
	for batch, err := range record.All(b) {
		if err == nil {
			err = f(batch)
		}
		if err != nil {
			return at, err
		}
		at = batch.EndOffset()
	}
	return at, nil
}
