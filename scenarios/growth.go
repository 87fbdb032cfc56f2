package scenarios

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// growAndShrink is the scenario of clusters whose nodes come and go for good.
var growAndShrink = &Scenario{
	Name:  "grow-and-shrink",
	About: "brokers and controllers join, get replicas and votes, and others hand over what they have and leave, while some die",
	Cluster: func(c *Cluster, r *rand.Rand) {
		safeCluster(c, r)
		c.Brokers, c.Spares, c.Replicas, c.MinISR = 3, 1+r.IntN(2), 3, 2
		c.Controllers, c.Voters, c.SpareControllers = 3, 3, 1+r.IntN(2)
	},
	Always:    []Family{replicaMoves},
	Must:      []Family{replicaMoves},
	Sometimes: []Family{"crash", "power-loss", "pause", "isolate", "latency", "slow-node"},
	OneOf:     []Family{"crash", "pause", "isolate", "power-loss"},
	AtLeast:   2,
	AtMost:    4,
	Reaches:   []string{"a replica was removed by a reassignment", "a learner of the quorum became a voter", "a leader of the quorum was removed from it"},
}

// join has a spare broker take part from now on.
func (b *brokerHost) join() {
	b.absent = false
	if b.node.Alive() {
		b.start()
		return
	}
	b.bringUp()
}

// leave has a broker end for good.
func (b *brokerHost) leave() {
	b.absent = true
	switch {
	case b.stopping:
	case b.running != nil:
		b.stop(0)
	case b.node.Alive(): // it starts
		b.down()
	}
}

// resize has spares join and as many others leave, one after the other. Each step is
// finished before the next begins, and none but the first begins when the faults are over:
// where the topic came late, a cluster that is well is resized rather than none.
func (s *steward) resize(cl *client.Client) {
	var steps []func()
	for _, b := range s.r.nodes {
		switch {
		case !b.seat.late:
		case b.seat.isBroker():
			steps = append(steps, func() { s.replaceBroker(cl, b) })
		default:
			steps = append(steps, func() { s.replaceVoter(cl, b) })
		}
	}
	s.draws.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	for i, step := range steps {
		if s.r.healed && i > 0 {
			return
		}
		s.rest()
		step()
	}
}

// replaceBroker has a broker join, and another leave.
func (s *steward) replaceBroker(cl *client.Client, spare *brokerHost) {
	s.doing = "letting " + spare.seat.name + " join"
	spare.join()
	s.r.took(replicaMoves, true)
	s.rest()
	var staying []*brokerHost
	for _, b := range s.r.brokers {
		if !b.absent && b != spare {
			staying = append(staying, b)
		}
	}
	s.retire(cl, pick(s.draws, staying...))
}

func (s *steward) rest() {
	s.world.Sleep(time.Duration(s.draws.Int64N(int64(s.r.options.Safety) / 6)))
}

// retire moves everything away from a broker, stops it and has the cluster forget it.
func (s *steward) retire(cl *client.Client, b *brokerHost) {
	s.drain(cl, b)
	b.leave()
	s.doing = "unregistering " + b.seat.name
	for {
		// What was created meanwhile may lie on it.
		s.drain(cl, b)
		err := cl.UnregisterBroker(kafka.NodeID(b.seat.id), s.soon())
		if err == nil || kafka.ErrorOf(err) == kafka.ErrBrokerIDNotRegistered {
			return
		}
		s.world.Sleep(100 * time.Millisecond)
	}
}

// drain moves replicas away from a broker until it has none. Blocks.
func (s *steward) drain(cl *client.Client, b *brokerHost) {
	for {
		on, known := s.r.placedOn(kafka.NodeID(b.seat.id))
		if !known { // nobody runs who could tell
			s.world.Sleep(100 * time.Millisecond)
			continue
		}
		if len(on) == 0 {
			return
		}
		s.doing = fmt.Sprintf("moving %s and %d others away from %s", on[0], len(on)-1, b.seat.name)
		var want []client.Reassignment
		for _, tp := range on {
			want = append(want, client.Reassignment{Partition: tp, Replicas: s.replicasWithout(b)})
		}
		_, _ = cl.AlterPartitionReassignments(want, s.soon()) // the next look tells
		for range 20 {
			if on, known := s.r.placedOn(kafka.NodeID(b.seat.id)); known && len(on) == 0 {
				return
			}
			s.world.Sleep(100 * time.Millisecond)
		}
	}
}

func (s *steward) replicasWithout(b *brokerHost) []kafka.NodeID {
	ids := s.members()
	ids = slices.DeleteFunc(ids, func(id kafka.NodeID) bool { return id == kafka.NodeID(b.seat.id) })
	s.draws.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:min(len(ids), s.r.options.Replicas)]
}

// placedOn lists the partitions that have a replica on a broker, or are to have one.
// It is not known while no broker runs.
func (r *run) placedOn(id kafka.NodeID) (out []kafka.TopicPartition, known bool) {
	for _, b := range r.brokers {
		if b.running == nil {
			continue
		}
		known = true
		for _, t := range b.running.Image().Topics() {
			for i := range t.Partitions {
				tp := kafka.TopicPartition{Topic: t.Name, Partition: int32(i)}
				if s, ok := r.newestState(tp); ok && slices.Contains(s.Replicas, id) && !slices.Contains(out, tp) {
					out = append(out, tp)
				}
			}
		}
	}
	return out, known
}
