package scenarios

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// nearestReplica is the scenario of consumers that read from followers (KIP-392).
var nearestReplica = &Scenario{
	Name:  "nearest-replica",
	About: "consumers read from followers in their rack, which are slow, fall behind, die and are elected",
	Cluster: func(c *Cluster, r *rand.Rand) {
		safeCluster(c, r)
		c.LagMax = pick(r, 200*time.Millisecond, 500*time.Millisecond, time.Second)
	},
	Always:    []Family{nearestReads},
	Must:      []Family{nearestReads},
	Sometimes: []Family{"crash", "power-loss", "graceful-stop", "pause", "slow-node", "disk-slow", "disk-stall", "latency", "clog", "isolate", "client-crash"},
	OneOf:     []Family{"crash", "pause", "disk-stall", "isolate"},
	AtLeast:   2,
	AtMost:    5,
	Aims: map[Family][]target{
		"crash": {aFollower, aFollower, theLeader}, "pause": {aFollower, aFollower, theLeader}, "slow-node": {aFollower},
	},
	Guests:  []Family{replicaMoves},
	Reaches: []string{"a consumer was sent to a replica near it"},
}

// nearestReads is the family of reading from followers.
const nearestReads Family = "nearest-reads"

// selector is the replica.selector.class that there is.
const selector = "org.apache.kafka.common.replica.RackAwareReplicaSelector"

// inviteNear draws how many hosts ask any replica, and racks if there are none yet.
func (o *Options) inviteNear(r *rand.Rand) {
	if o.Replicas < 2 {
		return
	}
	o.Near = 1 + r.IntN(2)
	if racks := 2 + r.IntN(2); o.Racks == 0 {
		o.Racks = racks
	}
}

// rackOf draws the rack that a consumer is in, "" where none reads from followers.
func (r *run) rackOf(consumer string) string {
	if r.options.Near == 0 {
		return ""
	}
	return fmt.Sprintf("rack%d", 1+r.k.Rand("options/rack/"+consumer).IntN(r.options.Racks))
}

// A nearReader asks leaders how far their logs are committed, and then any replica for
// what is there, in frames of its own making: no client takes a wrong answer for
// something that passes. It names the leader epoch in which it was told, so that
// who answers agrees with it on who leads.
type nearReader struct {
	caller
	draws *rand.Rand
	told  []toldEnd // by partition
	doing string
	done  bool
}

// A toldEnd is a high watermark that a leader told, in a leader epoch.
type toldEnd struct {
	at       kafka.Offset
	epoch    kafka.LeaderEpoch
	replicas []int32
}

func (r *run) newNearReader(name string) *nearReader {
	n := &nearReader{caller: r.newCaller(nearPatience), draws: r.k.Rand("workload/" + name), doing: "nothing yet"}
	n.told = make([]toldEnd, r.options.Partitions)
	for i := range n.told {
		n.told[i].at = kafka.NoOffset
	}
	n.machine = r.newMachine(name, n.main)
	return n
}

// unfinished says what it is at, or "".
func (n *nearReader) unfinished() string {
	if n.done {
		return ""
	}
	return n.node.Name() + " is " + n.doing
}

// nearPatience is how long it waits for one broker: there are others.
const nearPatience = 500 * time.Millisecond

// nearPause is how long it rests at most between two requests.
const nearPause = 20 * time.Millisecond

func (n *nearReader) main() {
	for !n.r.healed {
		p := n.draws.Int32N(n.r.options.Partitions)
		if n.told[p].at == kafka.NoOffset || n.draws.IntN(3) == 0 {
			n.hear(p)
		} else {
			n.read(p, n.draws.IntN(len(n.conns)), n.drawOffset(n.told[p].at))
		}
		n.world.Sleep(time.Duration(n.draws.Int64N(int64(nearPause))))
	}
	for p := range n.r.options.Partitions {
		n.readEverywhere(p)
	}
	n.hangUpAll()
	n.done = true
}

// drawOffset draws where to read: where the log was said to end, as often as not.
func (n *nearReader) drawOffset(end kafka.Offset) kafka.Offset {
	return max(0, end-kafka.Offset(pick(n.draws, 0, 0, n.draws.IntN(100))))
}

// readEverywhere insists, when the faults are over, that each replica has what the
// leader told. Where no replica has served anything yet, the last of it is read, too. Blocks.
func (n *nearReader) readEverywhere(p int32) {
	left := map[int32]bool{}
	for first := true; !n.r.givenUp(p) && (first || len(left) > 0); {
		n.doing = fmt.Sprintf("waiting for replicas of %s-%d to serve what is below offset %d", topicName, p, n.told[p].at)
		if !n.hear(p) {
			n.world.Sleep(nearPause)
			continue
		}
		if first {
			for i := range n.conns {
				left[int32(i)] = true
			}
		}
		first = false
		for i := range n.conns {
			id := int32(n.r.brokers[i].seat.id)
			if !contains(n.told[p].replicas, id) || left[int32(i)] && n.readEnd(p, i) {
				delete(left, int32(i))
			}
		}
		n.world.Sleep(nearPause)
	}
}

// readEnd reports whether a broker knows that a partition is committed as far as a leader
// has told. That lies behind the last record, and soon nobody appends any more: if all came
// late, with the topic, no replica would be asked for anything that it has. Blocks.
func (n *nearReader) readEnd(p int32, broker int) bool {
	end := n.told[p].at
	known := n.read(p, broker, end)
	switch {
	case !known || n.r.effects[nearestReads] > 0:
		return known
	case end > 0:
		n.read(p, broker, end-1)
	}
	return end > 0 || !slices.ContainsFunc(n.r.producers, func(p *producerClient) bool { return !p.done })
}

func contains(ids []int32, id int32) bool {
	for _, other := range ids {
		if other == id {
			return true
		}
	}
	return false
}

// hear asks some broker who leads a partition, and that one how far it is committed.
// Blocks.
func (n *nearReader) hear(p int32) bool {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 9
	name := topicName
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	resp := n.ask(n.draws.IntN(len(n.conns)), req)
	if resp == nil {
		return false
	}
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		for _, part := range t.Partitions {
			if part.Partition == p && part.Leader >= 0 {
				return n.hearFrom(part)
			}
		}
	}
	return false
}

// hearFrom asks a leader, in the epoch in which it leads. Blocks.
func (n *nearReader) hearFrom(part kmsg.MetadataResponseTopicPartition) bool {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 6, -1
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topicName,
		Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Partition: part.Partition, CurrentLeaderEpoch: part.LeaderEpoch, Timestamp: -1}}}}
	for i, b := range n.r.brokers[:len(n.conns)] {
		if int32(b.seat.id) != part.Leader {
			continue
		}
		resp := n.ask(i, req)
		if resp == nil {
			return false
		}
		got := resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
		if kafka.Error(got.ErrorCode) != kafka.None {
			return false
		}
		n.told[part.Partition] = toldEnd{at: kafka.Offset(got.Offset), epoch: kafka.LeaderEpoch(part.LeaderEpoch), replicas: part.Replicas}
		return true
	}
	return false
}

// read asks a broker for what is at an offset that a leader has told of, and reports
// whether the broker knows that it is committed. Blocks.
func (n *nearReader) read(p int32, broker int, at kafka.Offset) bool {
	told := n.told[p]
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.SessionEpoch, req.Rack = 12, -1, -1, "near"
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(n.draws.IntN(50)), 1, 1<<20
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.CurrentLeaderEpoch, part.FetchOffset, part.PartitionMaxBytes = p, int32(told.epoch), int64(at), 1<<16
	part.LastFetchedEpoch, part.LogStartOffset = -1, -1
	req.Topics = []kmsg.FetchRequestTopic{{Topic: topicName, Partitions: []kmsg.FetchRequestTopicPartition{part}}}
	resp := n.ask(broker, req)
	if resp == nil || len(resp.(*kmsg.FetchResponse).Topics) == 0 {
		return false
	}
	got := &resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
	tp := kafka.TopicPartition{Topic: topicName, Partition: p}
	switch code := kafka.Error(got.ErrorCode); {
	case code == kafka.ErrOffsetOutOfRange && n.r.begins(tp) <= at && n.r.observer.keeps():
		n.r.observer.complain(followersWait, fmt.Sprintf("%s at %s: %s: offset %d is out of range, says broker %s in leader epoch %d, and the leader had told that the log is committed up to %d",
			n.node.Name(), n.r.k.Now(), tp, at, n.r.brokers[broker].seat.name, told.epoch, told.at))
		return false
	case code == kafka.ErrOffsetOutOfRange:
		return true // deleted meanwhile
	case code != kafka.None: // OFFSET_NOT_AVAILABLE among them: it waits
		return false
	}
	n.took(tp, broker, got.RecordBatches)
	return kafka.Offset(got.HighWatermark) >= at
}

// took looks at what a replica has served: all of it is committed.
func (n *nearReader) took(tp kafka.TopicPartition, broker int, batches []byte) {
	end := kafka.Offset(0)
	for b, err := range record.All(batches) {
		if err == nil {
			end = b.EndOffset()
		}
	}
	if end == 0 {
		return
	}
	n.r.observer.read(int(tp.Partition), history.Offset(end))
	if b := n.r.brokers[broker]; b.running != nil {
		v, ok := b.running.Partition(tp)
		n.r.took(nearestReads, ok && !leads(v))
	}
}

// begins returns where the latest log of a partition begins.
func (r *run) begins(tp kafka.TopicPartition) (start kafka.Offset) {
	for _, b := range r.brokers {
		if b.running != nil {
			if v, ok := b.running.Partition(tp); ok {
				start = max(start, v.LogStart)
			}
		}
	}
	return start
}
