package scenarios

import (
	"fmt"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/sim"
)

// convergeBound is how much virtual time a cluster has, once nobody writes any
// more, until every replica of every partition is in sync and has the same log.
const convergeBound = time.Minute

// convergePause is how often a run looks.
const convergePause = 20 * time.Millisecond

// converge waits until the cluster is as it should be, and complains if it never
// is.
func (r *run) converge() sim.Ending {
	looked := kafka.Instant(-1)
	why := ""
	ending := r.k.Run(r.k.Now().Add(convergeBound), func() bool {
		r.observer.step()
		if looked >= 0 && r.k.Now().Sub(looked) < convergePause {
			return false
		}
		looked = r.k.Now()
		why = r.unconverged()
		return why == ""
	})
	if ending == sim.TimeUp || ending == sim.Idle {
		r.observer.complain(converges, fmt.Sprintf("%s after everybody had finished, at %s: %s", convergeBound, r.k.Now(), why))
		return sim.Finished
	}
	r.observer.cluster.whole()
	return ending
}

// unconverged says what is not yet as it should be, or "".
func (r *run) unconverged() string {
	if r.drawn.Unrestricted {
		return r.openlyUnconverged()
	}
	for _, b := range r.nodes {
		if b.running == nil && !b.absent {
			return b.pending()
		}
	}
	at := slices.IndexFunc(r.brokers, func(b *brokerHost) bool { return !b.absent })
	for _, t := range r.brokers[at].running.Image().Topics() {
		for i := range t.Partitions {
			if why := r.apart(t, int32(i)); why != "" {
				return why
			}
		}
	}
	return r.unscrubbed()
}

// apart says how the replicas of a partition differ, or "".
func (r *run) apart(t *meta.Topic, partition int32) string {
	s := t.Partitions[partition]
	tp := kafka.TopicPartition{Topic: t.Name, Partition: partition}
	if s.Leader == meta.NoLeader {
		return fmt.Sprintf("%s has no leader", tp)
	}
	if len(s.ISR) != len(s.Replicas) {
		return fmt.Sprintf("of the replicas %v of %s only %v are in sync", s.Replicas, tp, s.ISR)
	}
	leading, ok := r.viewOf(s.Leader, t.ID, tp)
	if !ok {
		return fmt.Sprintf("%s has the leader %d, which does not have it", tp, s.Leader)
	}
	for _, id := range s.Replicas {
		v, ok := r.viewOf(id, t.ID, tp)
		switch {
		case !ok:
			return fmt.Sprintf("%s: broker %d has no replica", tp, id)
		case v.Broken != nil:
			return fmt.Sprintf("%s: the replica of broker %d is out of service: %v", tp, id, v.Broken)
		case v.LeaderEpoch != s.LeaderEpoch:
			return fmt.Sprintf("%s: broker %d knows leader epoch %d, the cluster has %d", tp, id, v.LeaderEpoch, s.LeaderEpoch)
		case v.LogEnd != leading.LogEnd || v.HighWatermark != leading.LogEnd:
			return fmt.Sprintf("%s: broker %d has a log up to %d, high watermark %d; the leader %d has %d, high watermark %d",
				tp, id, v.LogEnd, v.HighWatermark, s.Leader, leading.LogEnd, leading.HighWatermark)
		}
		if why := r.drawn.startsApart(leading.LogStart, v.LogStart, tp); why != "" {
			return fmt.Sprintf("%s: the leader is %d, and on broker %d %s", tp, s.Leader, id, why)
		}
	}
	return ""
}

// startsApart says how a replica's log start is not what its leader's makes it, or "". A
// follower takes over a later one with its next fetch. It may be ahead where records
// are deleted: each replica does so by what its own segments are, and one that led may
// have died before the others had heard.
func (o *Options) startsApart(leaders, own kafka.Offset, tp kafka.TopicPartition) string {
	deletes := o.deletes() || tp.Topic != topicName
	if own < leaders || own > leaders && !deletes {
		return fmt.Sprintf("the log starts at %d, and the leader's at %d", own, leaders)
	}
	return ""
}

// viewOf returns what a running broker has of a partition.
func (r *run) viewOf(id kafka.NodeID, topic kafka.TopicID, tp kafka.TopicPartition) (broker.View, bool) {
	if b := r.brokerWith(id); b != nil && b.running != nil {
		if v, ok := b.running.Partition(tp); ok && v.Topic == topic {
			return v, true
		}
	}
	return broker.View{}, false
}
