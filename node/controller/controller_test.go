package controller

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/quorum"
	"github.com/klammlog/klamm/sim"
	"github.com/klammlog/klamm/sim/world"
)

// A lone quorum agrees with itself at once, and is active when it is told so.
type lone struct {
	image   *meta.Image
	applied kafka.Offset
	active  bool
	deposed bool // and does not know it: others have elected another
	term    kafka.LeaderEpoch
	follow  []func([]meta.Record)
	asked   int // decisions, those without effect too
}

func (q *lone) Image() *meta.Image            { return q.image }
func (q *lone) Applied() kafka.Offset         { return q.applied }
func (q *lone) OnApply(f func([]meta.Record)) { q.follow = append(q.follow, f) }
func (q *lone) Active() bool                  { return q.active }

func (q *lone) Leader() (kafka.NodeID, kafka.LeaderEpoch) { return 1, q.term }

func (q *lone) Change(decide quorum.Decision) error {
	q.asked++
	if !q.active || q.deposed {
		return kafka.ErrNotController
	}
	records, err := decide(q.image)
	if err != nil {
		return err
	}
	return q.apply(records)
}

func (q *lone) apply(records []meta.Record) error {
	for _, r := range records {
		if err := q.image.Apply(r); err != nil {
			return err
		}
	}
	if len(records) > 0 {
		q.applied++
	}
	for _, f := range q.follow {
		f(records)
	}
	return nil
}

// lead makes the quorum's member the leader of a new term.
func (q *lone) lead() {
	q.active, q.term = true, q.term+1
	q.applied++
	for _, f := range q.follow {
		f(nil)
	}
}

// A desk is a controller in a simulated world, with sessions of three seconds.
type desk struct {
	t *testing.T
	w *env.World
	q *lone
	c *Controller

	// stop holds the controller's process for a while, from now on.
	stop func(time.Duration)
}

func at(t *testing.T, f func(d *desk), set ...config.Pair) {
	t.Helper()
	settings, err := config.NewBroker(append([]config.Pair{
		{Name: "broker.session.timeout.ms", Value: "3000"}, {Name: "broker.heartbeat.interval.ms", Value: "1000"},
	}, set...))
	if err != nil {
		t.Fatal(err)
	}
	k := sim.New(sim.Options{Seed: 1})
	defer k.Close()
	n := k.NewNode("controller")
	w := world.New(netsim.New(k, netsim.Options{}), n)
	finished := false
	n.Go("test", func() {
		q := &lone{image: meta.NewImage()}
		if err := q.apply(meta.Format("cluster")); err != nil {
			t.Error(err)
		}
		d := &desk{t: t, w: w, q: q, c: Open(w, Options{Config: settings, Quorum: q})}
		d.stop = func(held time.Duration) {
			k.After(0, func() { n.Pause(held) })
			d.sleep(time.Nanosecond)
		}
		f(d)
		if err := d.c.Close(kafka.Never); err != nil {
			t.Errorf("close: %v", err)
		}
		finished = true
	})
	if end := k.Run(kafka.Instant(time.Hour), func() bool { return finished }); end != sim.Finished {
		t.Fatalf("the run ended %s: %v", end, k.Panics())
	}
}

func (d *desk) sleep(t time.Duration) { d.must(d.w.Sleep(t)) }

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Error(err)
	}
}

func (d *desk) wants(what string, err error, want kafka.Error) {
	d.t.Helper()
	if !errors.Is(err, want) {
		d.t.Errorf("%s: %v, want %s", what, err, want.Name())
	}
}

func registration(id kafka.NodeID, life byte) meta.Registration {
	return meta.Registration{
		ID: id, Incarnation: meta.Incarnation{byte(id), life}, MinLevel: 1, MaxLevel: meta.Level, CleanAfter: meta.NoEpoch,
		Endpoints:   []meta.Endpoint{{Listener: "PLAINTEXT", Host: fmt.Sprint("n", id), Port: 9092}},
		Directories: []meta.DirectoryID{{byte(id), life}},
	}
}

// serve registers brokers and has them serve; it returns their epochs.
func (d *desk) serve(ids ...kafka.NodeID) map[kafka.NodeID]int64 {
	d.t.Helper()
	epochs := map[kafka.NodeID]int64{}
	for _, id := range ids {
		epoch, err := d.c.Register(registration(id, 1), kafka.Never)
		d.must(err)
		epochs[id] = epoch
		d.beat(id, epoch)
	}
	return epochs
}

func (d *desk) beat(id kafka.NodeID, epoch int64) meta.BeatAnswer {
	d.t.Helper()
	a, err := d.c.Heartbeat(meta.Beat{ID: id, Epoch: epoch, Applied: d.q.Applied()}, kafka.Never)
	d.must(err)
	return a
}

func (d *desk) fenced(id kafka.NodeID) bool { return !d.q.image.Alive(id) }

func (d *desk) create(name string, replicas ...kafka.NodeID) meta.Replica {
	d.t.Helper()
	id, err := d.c.CreateTopic(meta.NewTopic{Name: name, Partitions: meta.Unset, Replicas: meta.Unset,
		Assignment: []meta.Assigned{{Partition: 0, Replicas: replicas}}}, kafka.Never)
	d.must(err)
	return meta.Replica{Topic: id}
}

func (d *desk) leader(r meta.Replica) kafka.NodeID {
	s, ok := d.q.image.Partition(r)
	if !ok {
		d.t.Errorf("there is no partition %v", r)
	}
	return s.Leader
}

func TestABrokerIsFencedWhenItsSessionHasEnded(t *testing.T) {
	at(t, func(d *desk) {
		d.q.lead()
		epochs := d.serve(1, 2)
		r := d.create("orders", 1, 2)
		for range 4 {
			d.sleep(2500 * time.Millisecond)
			d.beat(1, epochs[1])
			d.beat(2, epochs[2])
		}
		if d.fenced(1) || d.fenced(2) {
			t.Fatal("a broker that beats is fenced")
		}
		d.sleep(2500 * time.Millisecond)
		d.beat(2, epochs[2])
		if d.sleep(400 * time.Millisecond); d.fenced(1) {
			t.Error("fenced before its session ended")
		}
		if d.sleep(200 * time.Millisecond); !d.fenced(1) || d.fenced(2) || d.leader(r) != 2 {
			t.Errorf("after its session ended: 1 fenced %t, 2 fenced %t, leader %d", d.fenced(1), d.fenced(2), d.leader(r))
		}
		if a := d.beat(1, epochs[1]); a.Fenced || d.fenced(1) {
			t.Error("a broker that came back in time for its registration stays fenced")
		}
	})
}

func TestANewControllerGivesEveryBrokerAFullSession(t *testing.T) {
	at(t, func(d *desk) {
		d.q.lead()
		d.serve(1)
		d.sleep(2900 * time.Millisecond)
		d.q.active = false
		if d.sleep(10 * time.Second); d.fenced(1) {
			t.Fatal("a controller that is not active fenced a broker")
		}
		d.q.lead()
		if d.sleep(2900 * time.Millisecond); d.fenced(1) {
			t.Error("the new controller did not wait for a full session")
		}
		if d.sleep(200 * time.Millisecond); !d.fenced(1) {
			t.Error("the new controller has not fenced a silent broker")
		}
	})
}

func TestAControllerThatWasStoppedFencesNobodyForIt(t *testing.T) {
	at(t, func(d *desk) {
		d.q.lead()
		epochs := d.serve(1, 2)
		r := d.create("orders", 1, 2)
		for range 2 {
			d.sleep(time.Second)
			d.beat(1, epochs[1])
		}
		before := d.w.Now()
		d.stop(time.Minute) // 2 has one second left, 1 has three
		if d.w.Now().Sub(before) < time.Minute {
			t.Fatal("the process was not stopped")
		}
		if d.sleep(600 * time.Millisecond); d.fenced(1) || d.fenced(2) {
			t.Fatalf("fenced for what nobody heard: 1 %t, 2 %t", d.fenced(1), d.fenced(2))
		}
		d.beat(1, epochs[1])
		if d.sleep(time.Second); d.fenced(1) || !d.fenced(2) || d.leader(r) != 1 {
			t.Errorf("a broker that was silent before and after: 1 fenced %t, 2 fenced %t, leader %d", d.fenced(1), d.fenced(2), d.leader(r))
		}
	})
}

func TestASecondBrokerIsRefusedAfterAPauseToo(t *testing.T) {
	at(t, func(d *desk) {
		d.q.lead()
		d.serve(1)
		d.stop(time.Minute)
		_, err := d.c.Register(registration(1, 2), kafka.Never)
		d.wants("a second life on other disks, after the controller was stopped", err, kafka.ErrDuplicateBrokerRegistration)
	})
}

func TestABrokerThatDiesBeforeItServesLosesItsSeats(t *testing.T) {
	at(t, func(d *desk) {
		d.q.lead()
		epochs := d.serve(1, 2)
		r := d.create("orders", 1, 2)
		again := registration(2, 2)
		again.Directories = registration(2, 1).Directories
		_, err := d.c.Register(again, kafka.Never)
		d.must(err)
		inSync := func() bool {
			s, _ := d.q.image.Partition(r)
			return slices.Contains(s.ISR, 2)
		}
		for range 5 {
			if !inSync() {
				t.Fatal("a broker that registered anew lost its seat within its session")
			}
			d.sleep(500 * time.Millisecond)
			d.beat(1, epochs[1])
		}
		if d.sleep(600 * time.Millisecond); inSync() {
			t.Error("a broker that was not heard of since it registered is in sync after its session")
		}
		asked := d.q.asked
		for range 10 {
			d.sleep(time.Second)
			d.beat(1, epochs[1])
		}
		if n := d.q.asked - asked - 10; n != 0 {
			t.Errorf("%d decisions about a session that is over, besides the beats", n)
		}
	})
}

func TestAControllerThatIsNotActiveDecidesNothing(t *testing.T) {
	at(t, func(d *desk) {
		_, err := d.c.Register(registration(1, 1), kafka.Never)
		d.wants("Register", err, kafka.ErrNotController)
		_, err = d.c.Heartbeat(meta.Beat{ID: 1}, kafka.Never)
		d.wants("Heartbeat", err, kafka.ErrNotController)
		_, err = d.c.AlterPartitions(meta.Member{ID: 1}, nil, kafka.Never)
		d.wants("AlterPartitions", err, kafka.ErrNotController)
		_, err = d.c.AllocateProducerIDs(meta.Member{ID: 1}, kafka.Never)
		d.wants("AllocateProducerIDs", err, kafka.ErrNotController)
		_, err = d.c.CreateTopic(meta.NewTopic{Name: "x"}, kafka.Never)
		d.wants("CreateTopic", err, kafka.ErrNotController)
		d.wants("CheckTopic", d.c.CheckTopic(meta.NewTopic{Name: "x"}), kafka.ErrNotController)
		_, err = d.c.DeleteTopic(meta.TopicRef{Name: "x"}, kafka.Never)
		d.wants("DeleteTopic", err, kafka.ErrNotController)
		_, err = d.c.ElectLeaders(meta.ElectPreferred, nil)
		d.wants("ElectLeaders", err, kafka.ErrNotController)
		_, err = d.c.Reassignments(nil)
		d.wants("Reassignments", err, kafka.ErrNotController)
		d.wants("Unregister", d.c.Unregister(1), kafka.ErrNotController)
	})
}

func TestASecondLiveBrokerIsRefusedUntilTheFirstIsGone(t *testing.T) {
	at(t, func(d *desk) {
		d.q.lead()
		d.serve(1)
		_, err := d.c.Register(registration(1, 2), kafka.Never)
		d.wants("a second life on other disks", err, kafka.ErrDuplicateBrokerRegistration)
		d.sleep(3100 * time.Millisecond)
		epoch, err := d.c.Register(registration(1, 2), kafka.Never)
		d.must(err)
		if a := d.beat(1, epoch); a.Fenced {
			t.Error("the second is not let serve")
		}
		_, err = d.c.Heartbeat(meta.Beat{ID: 1, Epoch: epoch - 1}, kafka.Never)
		d.wants("a beat of the first", err, kafka.ErrStaleBrokerEpoch)
	})
}

func TestABrokerServesWhenItHasFollowedTheMetadataToItsRegistration(t *testing.T) {
	at(t, func(d *desk) {
		d.q.lead()
		d.serve(1)
		epoch, err := d.c.Register(registration(2, 1), kafka.Never)
		d.must(err)
		needed := d.q.Applied()
		a, err := d.c.Heartbeat(meta.Beat{ID: 2, Epoch: epoch, Applied: needed - 1}, kafka.Never)
		if d.must(err); a.CaughtUp || !a.Fenced {
			t.Errorf("behind its registration: %+v", a)
		}
		d.create("later", 1)
		a, err = d.c.Heartbeat(meta.Beat{ID: 2, Epoch: epoch, Applied: needed}, kafka.Never)
		if d.must(err); !a.CaughtUp || a.Fenced {
			t.Errorf("at its registration: %+v", a)
		}
	})
}

// A broker relies on the answer to a beat: it is of a controller that others have not
// replaced, and says how much was decided.
func TestABeatThatChangesNothingIsAnsweredOnceThatIsSure(t *testing.T) {
	at(t, func(d *desk) {
		d.q.lead()
		epochs := d.serve(1)
		before := d.q.applied
		if a := d.beat(1, epochs[1]); a.Fenced || a.Decided != before || d.q.applied != before {
			t.Errorf("%+v, of %d decisions; now there are %d", a, before, d.q.applied)
		}
		d.q.deposed = true
		a, err := d.c.Heartbeat(meta.Beat{ID: 1, Epoch: epochs[1], Applied: before}, kafka.Never)
		if !errors.Is(err, kafka.ErrNotController) {
			t.Errorf("a controller that was replaced answered %+v, %v", a, err)
		}
	})
}

func TestPreferredLeadersComeBack(t *testing.T) {
	for _, enabled := range []string{"true", "false"} {
		at(t, func(d *desk) {
			d.q.lead()
			epochs := d.serve(1, 2)
			r := d.create("orders", 1, 2)
			_, err := d.c.Heartbeat(meta.Beat{ID: 1, Epoch: epochs[1], Applied: d.q.Applied(), WantFence: true}, kafka.Never)
			d.must(err)
			d.beat(1, epochs[1])
			s, _ := d.q.image.Partition(r)
			_, err = d.c.AlterPartitions(meta.Member{ID: 2, Epoch: epochs[2]}, []meta.Alter{{
				Replica: r, LeaderEpoch: s.LeaderEpoch, Epoch: s.Epoch, ISR: []meta.Member{{ID: 2, Epoch: epochs[2]}, {ID: 1, Epoch: epochs[1]}},
			}}, kafka.Never)
			if d.must(err); d.leader(r) != 2 {
				t.Fatalf("%d leads, want 2", d.leader(r))
			}
			for range 11 {
				d.sleep(time.Second)
				d.beat(1, epochs[1])
				d.beat(2, epochs[2])
			}
			if back := d.leader(r) == 1; back != (enabled == "true") {
				t.Errorf("auto.leader.rebalance.enable=%s: %d leads", enabled, d.leader(r))
			}
		}, config.Pair{Name: "leader.imbalance.check.interval.seconds", Value: "10"}, config.Pair{Name: "auto.leader.rebalance.enable", Value: enabled})
	}
}

func TestATopicThatAllowsUncleanElectionsGetsALeader(t *testing.T) {
	at(t, func(d *desk) {
		d.q.lead()
		epochs := d.serve(1, 2)
		r := d.create("orders", 1, 2)
		d.sleep(2 * time.Second)
		d.beat(1, epochs[1])
		d.sleep(2 * time.Second) // 2 is gone, and out of sync
		for d.fenced(2) && !d.fenced(1) {
			d.sleep(time.Second)
		}
		if d.leader(r) != meta.NoLeader {
			t.Fatalf("%d leads, though both are gone", d.leader(r))
		}
		s, _ := d.q.image.Partition(r)
		if d.beat(2, epochs[2]); d.leader(r) != meta.NoLeader && len(s.ELR) == 0 {
			t.Fatalf("a replica that was not in sync leads: %+v", s)
		}
		value := "true"
		d.must(d.c.AlterTopic("orders", config.Changing(config.Topic, []config.Change{{Name: "unclean.leader.election.enable", Value: &value}})))
		d.sleep(100 * time.Millisecond)
		if d.leader(r) != 2 {
			t.Errorf("%d leads, want 2, the only one alive", d.leader(r))
		}
	})
}

// Which topic is meant is decided with its deletion, by its name or by its id.
func TestATopicIsDeletedByNameOrID(t *testing.T) {
	at(t, func(d *desk) {
		d.q.lead()
		d.serve(1)
		for _, by := range []string{"name", "id"} {
			id, err := d.c.CreateTopic(meta.NewTopic{Name: "orders", Partitions: 1, Replicas: 1}, kafka.Never)
			d.must(err)
			which := meta.TopicRef{Name: "orders"}
			if by == "id" {
				which = meta.TopicRef{ID: id}
			}
			gone, err := d.c.DeleteTopic(which, kafka.Never)
			d.must(err)
			if _, there := d.q.image.TopicByID(id); there || gone != (meta.TopicRef{Name: "orders", ID: id}) {
				t.Errorf("by its %s %+v was deleted, still there: %t", by, gone, there)
			}
		}
		_, err := d.c.DeleteTopic(meta.TopicRef{Name: "orders"}, kafka.Never)
		d.wants("deleted by name again", err, kafka.ErrUnknownTopicOrPartition)
		_, err = d.c.DeleteTopic(meta.TopicRef{ID: kafka.TopicID{9}}, kafka.Never)
		d.wants("deleted by an id that nobody has", err, kafka.ErrUnknownTopicID)
	})
}

func TestWhatIsOnlyCheckedIsNotDone(t *testing.T) {
	at(t, func(d *desk) {
		d.q.lead()
		d.serve(1)
		n := meta.NewTopic{Name: "orders", Partitions: 1, Replicas: 1}
		d.must(d.c.CheckTopic(n))
		if _, ok := d.q.image.Topic("orders"); ok {
			t.Error("a topic that was only checked exists")
		}
		id, err := d.c.CreateTopic(n, kafka.Never)
		d.must(err)
		d.wants("a second time", d.c.CheckTopic(n), kafka.ErrTopicAlreadyExists)
		d.must(d.c.CheckPartitions(meta.Growth{Topic: "orders", Partitions: 3}))
		if topic, _ := d.q.image.TopicByID(id); len(topic.Partitions) != 1 {
			t.Errorf("%d partitions", len(topic.Partitions))
		}
	})
	at(t, func(d *desk) {
		d.q.lead()
		_, err := d.c.DeleteTopic(meta.TopicRef{ID: kafka.TopicID{1}}, kafka.Never)
		d.wants("delete.topic.enable=false", err, kafka.ErrTopicDeletionDisabled)
	}, config.Pair{Name: "delete.topic.enable", Value: "false"})
}
