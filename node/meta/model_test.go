package meta

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"pgregory.net/rapid"
)

// A model is a cluster whose controller is the code under test, and whose brokers
// are the simplest there can be: a log is a list of numbers, a disk keeps all or
// what was synced. Everybody knows the metadata as of some moment, leaders move
// the high watermark by the rules of node/replica, and answers may be lost.
//
// After each decision: the image keeps its invariants, its records through their
// bytes make an equal one elsewhere, so does its dump; epochs grow; nobody who may
// not lead does; nobody is added to an in-sync set who may not be; nobody waits
// for a leader who could have one. And what was ever committed is with everybody
// who is in sync or eligible, and with every leader that was elected cleanly.
type model struct {
	*rapid.T
	image, copied *Image
	brokers       []*process
	parts         map[Replica]*partition
	drawn         byte  // topics
	records       int32 // numbers of records
	unclean       bool  // the decision at hand was asked for an unclean election

	// asked is the in-sync set that the decision at hand was asked for.
	asked []kafka.NodeID
}

// A process is a broker.
type process struct {
	id        kafka.NodeID
	epoch     int64 // of its registration
	lives     byte
	disks     byte
	running   bool
	volatile  bool
	endedWell bool
	lost      bool // records, since it registered
	logs      map[Replica][]int32
	synced    map[Replica]int
	views     map[Replica]*view
}

// A view is what a broker knows of a partition, and what it knows as its leader.
type view struct {
	state   PartitionState
	min     int
	began   int                     // where its log ended when it began to lead
	ends    map[kafka.NodeID]int    // of followers that fetched in this leader epoch
	epochs  map[kafka.NodeID]int64  // their brokers'
	pending map[kafka.NodeID]Member // added to the in-sync set by a request of unknown outcome
}

// A partition is what was committed, in any leader epoch since the last election
// that may have lost some of it.
type partition struct {
	committed []int32
	since     kafka.LeaderEpoch
}

const brokersInModel = 4

func TestDecisionsLoseNothingThatWasCommitted(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{T: rt, image: NewImage(), copied: NewImage(), parts: map[Replica]*partition{}}
		m.decided(Format("c"), nil)
		for i := range brokersInModel {
			b := &process{id: kafka.NodeID(i + 1), disks: byte(i + 1), logs: map[Replica][]int32{}, synced: map[Replica]int{}}
			b.volatile = rapid.Bool().Draw(rt, "volatile")
			m.brokers = append(m.brokers, b)
			m.start(b)
			m.beat(b, Beat{})
		}
		m.create()
		for range rapid.IntRange(20, 200).Draw(rt, "steps") {
			m.step()
		}
		checkDump(rt, m.image)
		checkEqual(rt, m.image, m.copied)
	})
}

func (m *model) pick(what string, n int) int { return rapid.IntRange(0, n-1).Draw(m.T, what) }

func (m *model) broker() *process { return m.brokers[m.pick("broker", len(m.brokers))] }

// some draws a partition, in the order of topics and numbers.
func (m *model) some() (Replica, PartitionState, bool) {
	var all []Replica
	for _, t := range m.image.Topics() {
		for i := range t.Partitions {
			all = append(all, Replica{t.ID, int32(i)})
		}
	}
	if len(all) == 0 {
		return Replica{}, PartitionState{}, false
	}
	r := all[m.pick("partition", len(all))]
	s, _ := m.image.Partition(r)
	return r, s, true
}

// step does one thing: mostly what brokers do, or what the controllers decide.
func (m *model) step() {
	switch n := m.pick("step", 30); {
	case n < 8:
		m.work()
	case n < 12:
		for _, b := range m.brokers {
			if m.pick("learns", 4) > 0 {
				b.learn(m)
			}
		}
	case n < 17:
		m.alter()
	case n < 18:
		m.stop(m.broker())
	case n < 20:
		m.start(m.broker())
	case n < 23:
		m.beat(m.broker(), Beat{})
	default:
		m.decide(n - 23)
	}
}

// decide is what the controllers do without a leader's wish.
func (m *model) decide(n int) {
	switch n {
	case 0:
		var gone []kafka.NodeID
		for _, b := range m.brokers {
			if !b.running && m.pick("gone", 2) == 0 || m.pick("cut off", 8) == 0 {
				gone = append(gone, b.id)
			}
		}
		m.decided(m.image.Fence(gone, nil), nil)
	case 1:
		m.beat(m.broker(), m.wishes())
	case 2:
		m.elect()
	case 3:
		m.reassign()
	case 4:
		m.configure()
	case 5:
		m.create()
	case 6:
		m.administer()
	}
}

func (m *model) create() {
	m.drawn++
	n := NewTopic{Name: fmt.Sprint("t", m.drawn), ID: kafka.TopicID{m.drawn}, First: m.pick("first", 10)}
	n.Partitions, n.Replicas = int32(m.pick("partitions", 2)+1), int16(m.pick("replicas", brokersInModel)+1)
	n.Settings = append(n.Settings, config.Pair{Name: "min.insync.replicas", Value: fmt.Sprint(m.pick("min", 3) + 1)})
	if m.pick("unclean", 4) == 0 {
		n.Settings = append(n.Settings, config.Pair{Name: "unclean.leader.election.enable", Value: "true"})
	}
	if len(m.image.Topics()) == 3 {
		return
	}
	records, err := m.image.CreateTopic(n, Defaults{})
	if !errors.Is(err, kafka.ErrInvalidReplicationFactor) {
		m.decided(records, err)
	}
}

// stop ends a process: well, or not, or with its disk.
func (m *model) stop(b *process) {
	if !b.running {
		return
	}
	b.running, b.views = false, nil
	switch n := m.pick("end", 6); {
	case n < 2:
		b.endedWell = true
	case n == 2:
		b.disks += brokersInModel
		b.logs, b.synced, b.lost = map[Replica][]int32{}, map[Replica]int{}, true
	case b.volatile:
		for r, log := range b.logs { //klamm:unordered each is cut alone
			b.logs[r] = log[:b.synced[r]]
		}
		b.lost = true
	}
}

// start begins a life of a process, which registers. One that was running ends.
func (m *model) start(b *process) {
	if b.running && m.pick("again", 4) > 0 {
		return
	}
	m.stop(b)
	b.lives++
	r := Registration{
		ID: b.id, Incarnation: Incarnation{byte(b.id), b.lives}, Directories: []DirectoryID{{b.disks}},
		Volatile: b.volatile, CleanAfter: NoEpoch, MinLevel: 1, MaxLevel: Level,
	}
	if b.endedWell {
		r.CleanAfter = b.epoch
	}
	records, epoch, err := m.image.Register(r, func(kafka.NodeID) bool { return false }, nil)
	b.epoch, b.running, b.endedWell, b.lost = epoch, true, false, false
	m.decided(records, err)
	for r := range b.logs { //klamm:unordered each is set alone
		b.synced[r] = len(b.logs[r])
	}
	b.learn(m)
}

func (m *model) wishes() Beat {
	beat := Beat{WantShutdown: m.pick("shutdown", 5) == 0, WantFence: m.pick("fence", 9) == 0}
	if r, _, ok := m.some(); ok && m.pick("offline", 5) == 0 {
		beat.Offline = append(beat.Offline, r)
	}
	return beat
}

func (m *model) beat(b *process, beat Beat) {
	if !b.running {
		return
	}
	beat.ID, beat.Epoch = b.id, b.epoch
	records, _, err := m.image.Heartbeat(beat, 0, nil)
	if !errors.Is(err, kafka.ErrBrokerIDNotRegistered) {
		m.decided(records, err)
	}
}

func (m *model) elect() {
	kind := ElectionKind(m.pick("kind", 2))
	r, _, ok := m.some()
	switch n := m.pick("election", 6); {
	case n == 0:
		m.decided(m.image.Rebalance(Rebalancing{Percent: 10, Limit: 2}, nil), nil)
	case n == 1:
		m.decided(m.image.ElectWaiting(nil), nil)
	case ok && kind == ElectPreferred:
		records, _, err := m.image.ElectLeaders(kind, []Replica{r}, nil)
		m.decided(records, err)
	case ok && n == 2:
		m.unclean = true
		records, _, err := m.image.ElectLeaders(kind, nil, nil)
		m.decided(records, err)
	}
}

func (m *model) reassign() {
	var want []Reassignment
	r, s, ok := m.some()
	if !ok {
		return
	}
	to := Reassignment{Replica: r}
	if m.pick("cancel", 4) > 0 {
		to.Replicas = rapid.SliceOfNDistinct(rapid.SampledFrom(ids(1, 2, 3, 4)), 1, 4, rapid.ID[kafka.NodeID]).Draw(m.T, "to")
	}
	want = append(want, to)
	records, errs := m.image.Reassign(want, nil)
	target := to.Replicas
	if target == nil {
		target = s.before()
	}
	if errs[0] == nil && len(records) == 0 && !slices.Equal(s.Target(), target) {
		m.Fatalf("%v to %v: nothing changes", s, target)
	}
	m.decided(records, nil)
}

// configure changes what decides about partitions.
func (m *model) configure() {
	set := func(name, value string) config.Edit {
		return config.Changing(config.Topic, []config.Change{{Name: name, Value: &value}})
	}
	own, _ := config.NewBroker(nil)
	topics := m.image.Topics()
	least := fmt.Sprint(m.pick("min", 3) + 1)
	switch n := m.pick("setting", 6); {
	case n == 0 && len(topics) > 0:
		t := topics[m.pick("topic", len(topics))]
		m.decided(m.image.AlterTopic(t.Name, set("unclean.leader.election.enable", fmt.Sprint(m.pick("unclean", 2) == 0)), own))
	case n < 3 && len(topics) > 0:
		t := topics[m.pick("topic", len(topics))]
		edit := set("min.insync.replicas", least)
		if m.pick("remove", 3) == 0 {
			edit = config.Changing(config.Topic, []config.Change{{Name: "min.insync.replicas", Operation: config.Delete}})
		}
		m.decided(m.image.AlterTopic(t.Name, edit, own))
	default:
		edit := config.Changing(config.Broker, []config.Change{{Name: "min.insync.replicas", Value: &least}})
		m.decided(m.image.AlterBroker(EveryBroker, edit, own))
	}
}

// administer does what has little to do with partitions.
func (m *model) administer() {
	b := m.broker()
	topics := m.image.Topics()
	switch n := m.pick("administration", 8); {
	case n == 0:
		records, err := m.image.Unregister(b.id)
		if err == nil {
			m.decided(records, nil)
		}
	case n == 1 && len(topics) > 1:
		m.decided(m.image.DeleteTopic(topics[0].ID))
	case n == 2 && len(topics) > 0:
		records, err := m.image.CreatePartitions(Growth{Topic: topics[0].Name, Partitions: int32(len(topics[0].Partitions)) + 1})
		if err == nil {
			m.decided(records, nil)
		}
	case n == 3:
		records, _, err := m.image.AllocateProducerIDs(Member{b.id, b.epoch}, 10)
		if err == nil {
			m.decided(records, nil)
		}
	case n == 4:
		checkDump(m.T, m.image)
	}
}
