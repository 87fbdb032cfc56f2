package quorum

import (
	"fmt"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/sim"
)

// A rig is a quorum on machines with one disk each, and a network between them
// that loses, delays and repeats.
type rig struct {
	t       testing.TB
	k       *sim.Kernel
	members []*member
	every   int64 // bytes between snapshots
	disks   disksim.Options

	// The network: of a thousand messages, how many are lost or come twice, and
	// how long they take at most. cut tells which links are dead.
	lost, twice uint64
	delay       time.Duration
	cut         map[[2]kafka.NodeID]bool
	onSend      func(from, to kafka.NodeID, message []byte)
}

// A member is one machine and, while it runs, the controller on it.
type member struct {
	r      *rig
	id     kafka.NodeID
	node   *sim.Node
	disk   *disksim.Disk
	w      *env.World
	voters []Voter // it is told to begin with
	dir    *commitlog.Dir
	q      *Quorum
	opened error
	failed error
}

const electionTimeout = time.Second

func newRig(t testing.TB, o sim.Options, n int) *rig { return newRigOn(t, o, n, disksim.Options{}) }

func newRigOn(t testing.TB, o sim.Options, n int, disks disksim.Options) *rig {
	r := &rig{t: t, k: sim.New(o), disks: disks, every: 1 << 20, delay: 5 * time.Millisecond, cut: map[[2]kafka.NodeID]bool{}}
	t.Cleanup(r.k.Close)
	var voters []Voter
	for i := range n {
		voters = append(voters, Voter{ID: kafka.NodeID(i), Address: fmt.Sprintf("c%d:9093", i)})
	}
	for _, v := range voters {
		r.add(v.ID, voters)
	}
	return r
}

// add adds a machine.
func (r *rig) add(id kafka.NodeID, voters []Voter) *member {
	name := fmt.Sprintf("c%d", id)
	m := &member{r: r, id: id, node: r.k.NewNode(name), disk: disksim.New(r.k, name+"/0", r.disks), voters: voters}
	n := m.node
	m.w = &env.World{Clock: n.Clock(), Tasks: n.Tasks(), Random: n.Random(), Secret: n.Secret(), Log: n.Log(), Sight: n.Sight(),
		LogDirs: []env.LogDir{{Name: "disk0", FS: m.disk.FS(n)}}}
	r.members = append(r.members, m)
	return m
}

// Send implements Transport.
func (m *member) Send(to kafka.NodeID, messages [][]byte) {
	r := m.r
	for _, b := range messages {
		if r.onSend != nil {
			r.onSend(m.id, to, b)
		}
		draw := r.k.Rand("network")
		if r.cut[[2]kafka.NodeID{m.id, to}] || draw.Uint64N(1000) < r.lost {
			continue
		}
		times := 1
		if draw.Uint64N(1000) < r.twice {
			times = 2
		}
		for range times {
			wait := time.Duration(draw.Int64N(int64(r.delay) + 1))
			r.k.After(wait, func() { r.deliver(m.id, to, b) })
		}
	}
}

func (r *rig) deliver(from, to kafka.NodeID, b []byte) {
	for _, m := range r.members {
		if m.id == to && m.q != nil && m.node.Alive() {
			m.node.Go("deliver", func() {
				if m.q != nil {
					_ = m.q.Step(from, b)
				}
			})
		}
	}
}

// isolate cuts a member off, or brings it back.
func (r *rig) isolate(m *member, cut bool) {
	for _, o := range r.members {
		r.cut[[2]kafka.NodeID{m.id, o.id}] = cut
		r.cut[[2]kafka.NodeID{o.id, m.id}] = cut
	}
}

// start has the machine open its controller.
func (m *member) start() {
	m.opened = nil
	m.node.Go("open", func() {
		d, err := commitlog.OpenDir(m.w, m.w.LogDirs[0], commitlog.DirOptions{OpenFiles: 10})
		if err != nil {
			m.opened = err
			return
		}
		m.dir = d
		q, err := Open(m.w, Options{ID: m.id, Voters: m.voters, Dir: d, FS: m.w.LogDirs[0].FS,
			ElectionTimeout: electionTimeout, Transport: m, SnapshotEvery: m.r.every})
		if err != nil {
			m.opened = err
			return
		}
		q.OnFail(func(err error) { m.failed = err })
		m.q = q
	})
}

// kill ends the process; what the page cache has stays.
func (m *member) kill() {
	m.node.Crash()
	m.q, m.dir, m.failed = nil, nil, nil
}

// unplug ends the process and loses some of what was not synced.
func (m *member) unplug(p media.Profile) {
	m.kill()
	m.disk.PowerLoss(p, 0)
}

// restart begins another life.
func (m *member) restart() {
	m.node.Restart()
	m.start()
}

func (r *rig) startAll() {
	for _, m := range r.members {
		m.start()
	}
}

// run lets time pass until done reports true, which it has to.
func (r *rig) run(within time.Duration, what string, done func() bool) {
	r.t.Helper()
	if !r.try(within, done) {
		for _, m := range r.members {
			if m.q != nil {
				r.t.Logf("%+v failed %v", m.q.View(), m.failed)
			} else {
				r.t.Logf("member %d is down: %v", m.id, m.opened)
			}
		}
		r.t.Fatalf("seed %d: not within %s: %s", r.k.Seed(), within, what)
	}
}

// try lets time pass until done reports true, and reports whether it did.
func (r *rig) try(within time.Duration, done func() bool) bool {
	r.t.Helper()
	ok := false
	end := r.k.Run(r.k.Now().Add(within), func() bool { ok = done(); return ok })
	if end == sim.Panicked {
		r.t.Fatalf("seed %d: %v", r.k.Seed(), r.k.Panics())
	}
	return ok
}

// do runs f as a task of a member to its end.
func (m *member) do(within time.Duration, f func()) {
	m.r.t.Helper()
	done := false
	m.node.Go("test", func() { f(); done = true })
	m.r.run(within, "a task ends", func() bool { return done })
}

// active returns the member that is the active controller, nil if none is.
func (r *rig) active() *member {
	for _, m := range r.members {
		if m.q != nil && m.node.Alive() && m.q.Active() {
			return m
		}
	}
	return nil
}

// other waits until another member than one is active.
func (r *rig) other(than *member) *member {
	r.t.Helper()
	var a *member
	r.run(10*time.Second, "another leads", func() bool {
		for _, m := range r.members {
			if m != than && m.q != nil && m.node.Alive() && m.q.Active() {
				a = m
			}
		}
		return a != nil
	})
	return a
}

func (r *rig) elect() *member {
	r.t.Helper()
	r.run(10*time.Second, "somebody leads", func() bool { return r.active() != nil })
	return r.active()
}

// set returns a decision that sets a setting of all brokers.
func set(name, value string) Decision {
	return func(*meta.Image) ([]meta.Record, error) {
		return []meta.Record{meta.BrokerConfig{Broker: meta.EveryBroker, Name: name, Value: &value}}, nil
	}
}

// get returns a setting of all brokers.
func get(m *meta.Image, name string) string {
	for _, p := range m.BrokerSettings(meta.EveryBroker) {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

func (r *rig) probed(name string) bool {
	for _, c := range r.k.Probes() {
		if c.Name == name {
			return true
		}
	}
	return false
}

// forget ends the process and loses everything that was not synced.
func (m *member) forget() {
	m.kill()
	m.disk.Replace(m.disk.Image())
}

// wipe puts an empty disk into a machine that does not run.
func (m *member) wipe() {
	m.disk.Replace(disksim.New(m.r.k, m.node.Name()+"/none", disksim.Options{}).Image())
}

// level waits until all members that run have applied the same.
func (r *rig) level() {
	r.t.Helper()
	r.run(20*time.Second, "all members are level", func() bool {
		a := r.active()
		for _, m := range r.members {
			if a == nil || m.q != nil && (m.q.applied != a.q.applied || m.q.View().Committed != a.q.applied || m.q.View().Last != a.q.applied) {
				return false
			}
		}
		return true
	})
}

// change makes a change on a member, which has to be acknowledged.
func (m *member) change(name, value string) {
	m.r.t.Helper()
	var err error
	m.do(10*time.Second, func() { err = m.q.Change(set(name, value)) })
	if err != nil {
		m.r.t.Fatalf("seed %d: %s: %v", m.r.k.Seed(), name, err)
	}
}

// pass lets time pass.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	r.try(d, func() bool { return false })
}

// messageIn returns raft's message in a frame.
func messageIn(b []byte) *pb.Message {
	f, err := decodeFrame(b)
	if err != nil {
		panic(err)
	}
	m := &pb.Message{}
	if err := proto.Unmarshal(f.message, m); err != nil {
		panic(err)
	}
	return m
}

// create returns a decision that makes a topic without partitions.
func create(name string, id byte) Decision {
	return func(*meta.Image) ([]meta.Record, error) {
		return []meta.Record{meta.TopicRecord{Name: name, ID: kafka.TopicID{id}}}, nil
	}
}

// remove returns a decision that removes a topic.
func remove(name string) Decision {
	return func(m *meta.Image) ([]meta.Record, error) {
		t, ok := m.Topic(name)
		if !ok {
			return nil, kafka.ErrUnknownTopicOrPartition
		}
		return []meta.Record{meta.RemoveTopic{ID: t.ID}}, nil
	}
}

// A source is what OnApply is called on.
type source interface {
	Image() *meta.Image
	OnApply(func([]meta.Record))
}

// follow keeps a set of topics by what records say.
func follow(q source) map[string]bool {
	topics, names := map[string]bool{}, map[kafka.TopicID]string{}
	note := func(records []meta.Record) {
		for _, r := range records {
			switch r := r.(type) {
			case meta.TopicRecord:
				topics[r.Name], names[r.ID] = true, r.Name
			case meta.RemoveTopic:
				delete(topics, names[r.ID])
			}
		}
	}
	note(q.Image().Dump())
	q.OnApply(note)
	return topics
}
