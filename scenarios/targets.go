package scenarios

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A target is whom a fault of processes strikes: the name of a node, several with
// commas between them, or a word for whoever it is when the fault strikes.
type target = string

// Words for targets. Of a leader and a follower, n= of the fault is the partition.
const (
	theLeader     target = "@leader"
	aFollower     target = "@follower"
	theController target = "@controller"
	everyNode     target = "@all"
	theBrokers    target = "@brokers"
	theLoser      target = "@loser" // who may lose what it acknowledged
	theOthers     target = "@all-but-leader"
	aRack         target = "@rack"     // the brokers of one rack, the n-th
	inTurn        target = "@in-turn"  // every node, the next when the last is back
	theAhead      target = "@ahead"    // a leader with records that no follower in sync has; after a while any leader
	theOtherNodes target = "@others"   // in cuts of the network: all nodes that are not on the other side
	theHeirs      target = "@heirs"    // a leader, then who leads next, as soon as it has written something
	theReturned   target = "@returned" // a follower, and again whenever it is back, a few times
	theJoining    target = "@joining"  // a follower that its leader has asked to be let into the in-sync set, and was not answered for a while
	theWisher     target = "@wisher"   // in cuts of the network: a leader with a follower that lives and is not in sync yet

	// Drawn with the schedule: one node, and more than one.
	aNode     target = "@node"
	someNodes target = "@some"
	aWorker   target = "@worker" // of a group

	// All brokers but one, which is drawn when the fault strikes.
	allButOne       target = "@all-but-one"
	allButOneInTurn target = "@all-but-one-in-turn" // one by one, without coming back
)

// ofAPartition are the words that n= says more of.
var ofAPartition = []target{theLeader, theAhead, aFollower, theOthers, theHeirs, theReturned}

// drawTarget draws whom a fault of a kind strikes, in a cluster.
func (c cast) drawTarget(kind Family, r *rand.Rand) target {
	if c.options.loses(kind) {
		return c.options.Loser
	}
	if len(c.nodes) == 1 {
		return c.nodes[0]
	}
	if aims := c.scenario.Aims[kind]; len(aims) > 0 {
		return c.named(pick(r, aims...), r)
	}
	one := c.victim(r)
	switch kind {
	case "crash", "pause", "power-loss":
		return pick(r, one, one, one, theLeader, theLeader, theController, c.several(r), everyNode)
	case "graceful-stop":
		return pick(r, one, one, theLeader, theController, inTurn)
	}
	return one
}

// named replaces words that mean the same for the whole of a run.
func (c cast) named(t target, r *rand.Rand) target {
	switch {
	case t == theLoser && c.options.Loser != "":
		return c.options.Loser
	case t == aNode:
		return c.victim(r)
	case t == someNodes:
		return c.several(r)
	case t == aWorker && len(c.workers) > 0:
		return pick(r, c.workers...)
	}
	return t
}

// several draws some of the nodes.
func (c cast) several(r *rand.Rand) target {
	some := slices.Clone(c.nodes)
	r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	return strings.Join(some[:2+r.IntN(len(some)-1)], ",")
}

// resolve finds the nodes that a fault strikes now.
func (r *run) resolve(f *sim.Fault) []*brokerHost {
	switch t := f.Node; t {
	case theLeader:
		if b := r.leader(r.partition(f.N)); b != nil && b.running != nil {
			return found(b)
		}
		return nil
	case theAhead:
		return found(r.ahead(leadAgainst(Family(f.Kind)), f.At, r.partition(f.N)))
	case theController:
		return found(r.controller())
	case aFollower:
		return found(r.follower(r.partition(f.N)))
	case aRack:
		return r.inRack(f.N)
	case everyNode, inTurn:
		return r.nodes
	case theBrokers:
		return r.brokers
	case theJoining:
		_, b := r.joining(longJoining)
		return found(b)
	case theReturned:
		return found(r.follower(r.partition(f.N)))
	case theOthers:
		leader := r.leader(r.partition(f.N))
		return slices.DeleteFunc(slices.Clone(r.brokers), func(b *brokerHost) bool { return b == leader })
	default:
		var out []*brokerHost
		for _, name := range strings.Split(t, ",") {
			out = append(out, found(r.nodeNamed(name))...)
		}
		return out
	}
}

// inRack returns the brokers of a rack, by a number that may be too large.
func (r *run) inRack(n int64) []*brokerHost {
	rack := rackOf(int(n % int64(max(r.options.Racks, 1))))
	return slices.DeleteFunc(slices.Clone(r.brokers), func(b *brokerHost) bool { return b.seat.rack != rack })
}

func found(b *brokerHost) []*brokerHost {
	if b == nil {
		return nil
	}
	return []*brokerHost{b}
}

// partition returns a partition of the workload's topic, by a number that may be
// too large.
func (r *run) partition(n int64) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: topicName, Partition: int32(n % int64(r.options.Partitions))}
}

// Nobody leads at the moment, or is ahead: a fault waits for who comes.
const (
	victimPause = 200 * time.Millisecond // before it looks again for a victim
	aheadPause  = 500 * time.Microsecond // before it looks again for one that is ahead
	aheadWait   = time.Second            // until any leader will do

	joiningPause = 2 * time.Millisecond // before it looks again for one that is to be let in
)

func pauseFor(t target) time.Duration {
	switch t {
	case theAhead:
		return aheadPause
	case theJoining:
		return joiningPause
	}
	return victimPause
}

// strikeNodes has a fault of processes happen to all that it is for.
func (r *run) strikeNodes(f Fault) {
	if f.Process.Node == allButOne || f.Process.Node == allButOneInTurn {
		r.strikeAllButOne(f)
		return
	}
	if f.Process.Node == theHeirs {
		r.strikeHeirs(f)
		return
	}
	victims := r.resolve(f.Process)
	if len(victims) == 0 && strings.HasPrefix(f.Process.Node, "@") {
		r.k.After(pauseFor(f.Process.Node), func() {
			if !r.healed {
				r.strikeNodes(f)
			}
		})
		return
	}
	if spared := r.options.spared(); spared != "" && deadly(f.Family) {
		victims = slices.DeleteFunc(slices.Clone(victims), func(b *brokerHost) bool { return b.seat.name == spared })
	}
	if len(victims) > 1 {
		r.mark(history.Fault, "", fmt.Sprintf("%s strikes %d nodes", f.Family, len(victims)))
	}
	if f.Process.Node == inTurn {
		r.strikeInTurn(f, victims)
		return
	}
	if f.Process.Node == theReturned && len(victims) > 0 {
		r.strikeReturned(f, victims[0], returns)
		return
	}
	for i, b := range victims {
		one := f
		p := *f.Process
		p.For += r.stagger(i)
		one.Process = &p
		r.strikeNode(one, b)
	}
}

// stagger draws how much later the i-th of several nodes comes back.
func (r *run) stagger(i int) time.Duration {
	if i == 0 {
		return 0
	}
	return time.Duration(r.k.Rand("faults/return").Int64N(int64(time.Second)))
}

// strikeInTurn strikes one node after the other, each when the one before is back.
func (r *run) strikeInTurn(f Fault, victims []*brokerHost) {
	if len(victims) == 0 || r.healed {
		return
	}
	b := victims[0]
	r.strikeNode(f, b)
	starts := b.starts
	var wait func()
	wait = func() {
		switch {
		case r.healed:
		case b.starts > starts && b.running != nil && !b.stopping:
			r.strikeInTurn(f, victims[1:])
		default:
			r.k.After(50*time.Millisecond, wait)
		}
	}
	r.k.After(f.Process.For, wait)
}
