package scenarios

import (
	"strconv"
	"time"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// throttleHolds is the guarantee that a throttleWatch judges.
const throttleHolds = "throttle-holds"

// throttledFetch is replica.fetch.max.bytes where replication is throttled.
const throttledFetch = 4096

// throttledSettings are what a steward sets on the workload's topic and all brokers.
var throttledSettings = []*config.Setting{
	config.LeaderThrottledReplicas.Setting, config.FollowerThrottledReplicas.Setting,
	config.LeaderThrottledRate.Setting, config.FollowerThrottledRate.Setting,
}

// throttle has the copying of replicas that are not in sync bounded, if the run is of
// that kind. Blocks.
func (s *steward) throttle(cl *client.Client) {
	if rate := s.r.options.Throttle; rate > 0 {
		s.doing = "throttling replication"
		s.alterThrottle(cl, func(of *config.Setting) config.Change {
			if of.Scope == config.Topic {
				return client.SetConfig(of.Name, "*")
			}
			return client.SetConfig(of.Name, strconv.FormatInt(rate, 10))
		})
		if !s.r.healed {
			s.r.newThrottleWatch(rate).start()
		}
	}
}

// unthrottle takes it back: a cluster is to converge within its bound. Blocks.
func (s *steward) unthrottle(cl *client.Client) {
	if s.r.options.Throttle > 0 {
		s.doing = "taking a throttle away"
		s.alterThrottle(cl, func(of *config.Setting) config.Change { return client.DeleteConfig(of.Name) })
	}
}

// alterThrottle changes the settings, and asks again until that is done. Blocks.
func (s *steward) alterThrottle(cl *client.Client, change func(*config.Setting) config.Change) {
	var topic, brokers []config.Change
	for _, of := range throttledSettings {
		if of.Scope == config.Topic {
			topic = append(topic, change(of))
		} else {
			brokers = append(brokers, change(of))
		}
	}
	for _, a := range []client.Alteration{
		{Resource: client.EveryBroker, Changes: brokers}, {Resource: client.TopicSettings(topicName), Changes: topic},
	} {
		for {
			results, err := cl.IncrementalAlterConfigs([]client.Alteration{a}, client.CarryOut, s.soon())
			if err == nil && results[0].Err == nil {
				break
			}
			s.world.Sleep(50 * time.Millisecond)
		}
	}
}

// A throttleWatch looks how fast replicas are copied that are not in sync, until the
// faults end. What it believes it sees in the logs, not in what brokers say of their
// quotas.
type throttleWatch struct {
	r      *run
	meters map[throttledPair]*throttleMeter
	seen   map[copyKey]copySeen
	burst  int64
}

// A throttledPair is who copies from whom, in one life of each.
type throttledPair struct {
	leader, follower kafka.NodeID
	lives            [2]int
}

// A copyKey is a replica that a node has.
type copyKey struct {
	follower kafka.NodeID
	place
}

// A copySeen is a replica when it was last looked at.
type copySeen struct {
	leader   kafka.NodeID
	epoch    kafka.LeaderEpoch
	lives    [2]int // of the leader and the follower
	size     int64
	out      bool // of the in-sync set
	hadFirst bool // it has got something since it left: what it asked for while it was in
}

// largestBatch is more than what producers of a run put into one batch.
const largestBatch = 16384 + 4096

func (r *run) newThrottleWatch(rate int64) *throttleWatch {
	return &throttleWatch{r: r, meters: map[throttledPair]*throttleMeter{}, seen: map[copyKey]copySeen{},
		burst: max(rate, largestBatch)}
}

func (w *throttleWatch) start() {
	if w.r.healed {
		return
	}
	w.look()
	w.r.k.After(movementPause, w.start)
}

// look compares every replica with what it was the last time.
func (w *throttleWatch) look() {
	for _, b := range w.r.brokers {
		if b.running == nil || !w.inForce(b) {
			continue
		}
		for _, v := range b.running.Partitions() {
			if v.Role == broker.Following && v.Partition.Topic == topicName {
				w.lookAtCopy(b, v)
			}
		}
	}
}

// inForce reports whether a node has heard of the throttle.
func (w *throttleWatch) inForce(b *brokerHost) bool {
	m := b.running.Image()
	t, ok := m.Topic(topicName)
	return ok && len(t.Settings) > 0 && hasSetting(t.Settings, config.LeaderThrottledReplicas.Setting) &&
		hasSetting(m.Overlay(kafka.NodeID(b.seat.id)).Every, config.LeaderThrottledRate.Setting)
}

func hasSetting(pairs []config.Pair, s *config.Setting) bool {
	for _, p := range pairs {
		if p.Name == s.Name {
			return true
		}
	}
	return false
}

// lookAtCopy measures one replica that follows.
func (w *throttleWatch) lookAtCopy(b *brokerHost, v broker.View) {
	key := copyKey{kafka.NodeID(b.seat.id), place{v.Topic, v.Partition}}
	before, known := w.seen[key]
	now := copySeen{leader: v.Leader, epoch: v.LeaderEpoch, size: v.Size, lives: [2]int{0, b.starts}}
	if l := w.r.brokerWith(v.Leader); l != nil && l.running != nil && w.inForce(l) {
		now.lives[0] = l.starts
		for _, lv := range l.running.Partitions() {
			if lv.Topic == v.Topic && lv.Partition == v.Partition && lv.Role == broker.Leading && lv.LeaderEpoch == v.LeaderEpoch {
				now.out = !has(lv.ISR, key.follower)
			}
		}
	}
	if known && now.out && before.out && now.leader == before.leader && now.epoch == before.epoch && now.lives == before.lives {
		now.hadFirst = before.hadFirst
		if grown := now.size - before.size; grown > 0 {
			if before.hadFirst {
				w.copied(throttledPair{v.Leader, key.follower, now.lives}, grown)
			}
			now.hadFirst = true
		}
	}
	w.seen[key] = now
}

// copied notes what a replica that is not in sync got from its leader.
func (w *throttleWatch) copied(p throttledPair, bytes int64) {
	m := w.meters[p]
	if m == nil {
		m = &throttleMeter{rate: w.r.options.Throttle, burst: w.burst}
		w.meters[p] = m
	}
	if over := m.add(w.r.k.Now(), bytes); over != "" {
		w.r.observer.complain(throttleHolds, p.String()+": "+over+" at "+w.r.k.Now().String())
	}
}

func (p throttledPair) String() string {
	return strconv.Itoa(int(p.follower)) + " copies from " + strconv.Itoa(int(p.leader))
}
