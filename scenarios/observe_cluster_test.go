package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/kafka"
)

// A handmade cluster has three brokers, which are controllers too, and one partition
// of which 1 leads in epoch 5: four batches are committed, and a fifth is on its way.
type handmade struct {
	o         *clusterObserver
	views     map[kafka.NodeID]*replicaView
	copies    map[kafka.NodeID]*logCopy
	counted   []counted // by the leader
	rafts     map[kafka.NodeID]*raftView
	logs      map[kafka.NodeID]*logCopy // of the controllers
	snapshots map[kafka.NodeID]kafka.Offset
	image     imageView
	at        kafka.Offset
	said      []string
	sentence  string
}

var handmadePlace = place{kafka.TopicID{7}, kafka.TopicPartition{Topic: "orders", Partition: 0}}

func newHandmade(p clusterPromise) *handmade {
	h := &handmade{views: map[kafka.NodeID]*replicaView{}, copies: map[kafka.NodeID]*logCopy{}, rafts: map[kafka.NodeID]*raftView{}, logs: map[kafka.NodeID]*logCopy{}, snapshots: map[kafka.NodeID]kafka.Offset{}}
	h.o = newClusterObserver(p, func() kafka.Instant { return 0 }, func(guarantee, sentence string) {
		h.said, h.sentence = append(h.said, guarantee), sentence
	})
	for id := kafka.NodeID(1); id <= 3; id++ {
		h.views[id] = &replicaView{place: handmadePlace, Role: followingReplica, LeaderEpoch: 5, HighWatermark: 40, Durable: 50, LogEnd: 50}
		h.copies[id] = &logCopy{batches: handmadeBatches()}
		h.rafts[id] = &raftView{Term: 3, DurableTerm: 3, Vote: 2, Commit: 9, Applied: 9, Chain: 77, Electorate: electorate{Voters: []kafka.NodeID{1, 2, 3}}}
		h.logs[id] = handmadeEntries()
		h.o.watch(window{
			id: id, replicas: func() []replicaView { return []replicaView{*h.views[id]} },
			closeup: func(place) (closeup, bool) { return h.closeup(id) },
			raft:    func() (raftView, bool) { return *h.rafts[id], true },
			refresh: func() {}, forget: func() {}, copyOf: h.copyOf(id), starting: func() bool { return false },
			snapshot: func() kafka.Offset { return h.snapshots[id] },
		})
		h.image.Brokers = append(h.image.Brokers, brokerSeat{ID: id, Epoch: 10 + int64(id)})
	}
	h.views[1].Role, h.views[1].ISR, h.views[1].Exposed = leadingReplica, []kafka.NodeID{1, 2, 3}, exposure{40, 5, 8}
	h.rafts[2].Leads = true
	h.image.Partitions = []decision{{place: handmadePlace, Leader: 1, LeaderEpoch: 5, Epoch: 8,
		Replicas: []kafka.NodeID{1, 2, 3}, ISR: []kafka.NodeID{1, 2, 3}}}
	h.decide()
	return h
}

func (h *handmade) closeup(id kafka.NodeID) (closeup, bool) {
	c := closeup{replicaView: *h.views[id], epochAt: func(at kafka.Offset) kafka.LeaderEpoch {
		if b := h.copies[id].at(at); b != nil {
			return b.epoch
		}
		return kafka.NoLeaderEpoch
	}}
	if c.Role == leadingReplica {
		c.counted = h.counted
	}
	return c, h.copies[id] != nil
}

// counts has the leader count what a follower says, and commit another batch.
func (h *handmade) counts(c counted) {
	h.counted = []counted{c}
	h.views[1].HighWatermark, h.views[1].Epoch = 50, h.image.Partitions[0].Epoch
}

func (h *handmade) copyOf(id kafka.NodeID) func(place) *logCopy {
	return func(p place) *logCopy {
		if p == metadataPlace {
			return h.logs[id]
		}
		return h.copies[id]
	}
}

// handmadeEntries are ten, in the terms 2 and 3. Nine are committed.
func handmadeEntries() *logCopy {
	c := &logCopy{}
	for i := range kafka.Offset(10) {
		c.batches = append(c.batches, batch{base: i, end: i + 1, epoch: 2 + kafka.LeaderEpoch(i/5), sum: uint64(50 + i), producer: kafka.NoProducerID, position: int64(i)})
	}
	return c
}

// handmadeBatches are five, of ten records each, in the epochs 3, 3, 4, 5 and 5.
func handmadeBatches() []batch {
	var out []batch
	for i, epoch := range []kafka.LeaderEpoch{3, 3, 4, 5, 5} {
		base := kafka.Offset(10 * i)
		out = append(out, batch{base: base, end: base + 10, epoch: epoch, sum: 1000 + uint64(i), producer: 70, position: int64(1000 * i)})
	}
	return out
}

// decide applies the image as it is on all nodes.
func (h *handmade) decide() {
	h.at++
	m := imageView{Brokers: slices.Clone(h.image.Brokers)}
	for _, d := range h.image.Partitions {
		d.Replicas, d.ISR = slices.Clone(d.Replicas), slices.Clone(d.ISR)
		m.Partitions = append(m.Partitions, d)
	}
	for id := kafka.NodeID(1); id <= 3; id++ {
		h.o.applies(id, h.at, uint64(h.at), func() imageView { return m })
	}
}

func (h *handmade) isr(ids ...kafka.NodeID) { h.image.Partitions[0].ISR = ids }

// look lets the observer look at everything.
func (h *handmade) look() {
	for id := range h.views {
		h.o.changed(id)
	}
	h.o.step()
	h.o.everything()
}

// move makes 2 the leader of epoch 6.
func (h *handmade) move() {
	d := &h.image.Partitions[0]
	d.Leader, d.LeaderEpoch, d.Epoch = 2, 6, d.Epoch+1
	h.decide()
	for _, v := range h.views {
		v.LeaderEpoch, v.Role, v.ISR = 6, followingReplica, nil
	}
	h.views[2].Role, h.views[2].ISR = leadingReplica, []kafka.NodeID{1, 2, 3}
}

// replace puts another batch in the place of one.
func (h *handmade) replace(id kafka.NodeID, i int, f func(*batch)) {
	h.copies[id].batches = slices.Clone(h.copies[id].batches)
	f(&h.copies[id].batches[i])
	if r := h.o.window(id).read[handmadePlace]; r != nil {
		r.told = nil // a log that is only appended to and cut is read again from where it differs
	}
}

func (h *handmade) cut(id kafka.NodeID, n int) {
	h.copies[id].batches = h.copies[id].batches[:n]
	end := h.copies[id].end()
	h.views[id].LogEnd, h.views[id].Durable = end, min(h.views[id].Durable, end)
}

// keeps has every replica keep the last record of two keys, a tombstone the second.
func (h *handmade) keeps() map[kafka.NodeID]*keptKeys {
	all := map[kafka.NodeID]*keptKeys{}
	for _, w := range h.o.windows {
		k := &keptKeys{order: []string{"a", "b"}, last: map[string]kept{"a": {offset: 40, sum: 1}, "b": {offset: 30, tombstone: true}}}
		all[w.id] = k
		w.keptIn = func(place) *keptKeys { return k }
	}
	return all
}

func TestReplicasOfACompactedTopicKeepTheSame(t *testing.T) {
	for _, c := range []struct {
		claim  string
		change func(*handmade, *keptKeys)
		want   string
	}{
		{"all keep the same", func(*handmade, *keptKeys) {}, ""},
		{"a tombstone is gone here before it is there", func(_ *handmade, k *keptKeys) { delete(k.last, "b"); k.order = k.order[:1] }, ""},
		{"a deleted key has its last record", func(_ *handmade, k *keptKeys) { k.last["b"] = kept{offset: 20, sum: 7} }, compactedAlike},
		{"a key is lost", func(_ *handmade, k *keptKeys) { delete(k.last, "a"); k.order = k.order[1:] }, compactedAlike},
		{"a key has an earlier record", func(_ *handmade, k *keptKeys) { k.last["a"] = kept{offset: 39, sum: 1} }, compactedAlike},
		{"a key has another value", func(_ *handmade, k *keptKeys) { k.last["a"] = kept{offset: 40, sum: 2} }, compactedAlike},
		{"a batch cannot be looked into", func(_ *handmade, k *keptKeys) { k.err = errEnded }, compactedAlike},
		{"what is lost had been deleted elsewhere", func(h *handmade, k *keptKeys) {
			delete(k.last, "b")
			k.order = k.order[:1]
			h.views[1].LogStart = 31
		}, ""},
	} {
		h := newHandmade(clusterPromise{Compacts: true, KeepsKeys: true})
		kept := h.keeps()
		h.look()
		c.change(h, kept[3])
		h.look()
		h.o.ended()
		if got := strings.Join(h.said, " "); got != c.want {
			t.Errorf("%s: %q: %s", c.claim, got, h.sentence)
		}
	}
}

// What may happen, and what may not: after a first look something changes, and the
// observer looks again.
var handmadeCases = []struct {
	claim  string
	change func(*handmade)
	want   string
}{
	{"nothing happens", func(h *handmade) {}, ""},
	{"leadership moves", (*handmade).move, ""},
	{"a broker leads in another's epoch", func(h *handmade) {
		h.views[2].Role, h.views[2].ISR = leadingReplica, []kafka.NodeID{2}
	}, oneLeaderPerEpoch},
	{"one leads whom nobody elected", func(h *handmade) {
		h.image.Partitions[0].Leader, h.image.Partitions[0].LeaderEpoch = 2, 6
		h.decide()
		h.views[3].Role, h.views[3].ISR, h.views[3].LeaderEpoch = leadingReplica, []kafka.NodeID{3}, 6
	}, oneLeaderPerEpoch},
	{"a leader epoch goes back", func(h *handmade) { h.views[3].LeaderEpoch = 4 }, epochsForward},
	{"a leader epoch goes back with a restart", func(h *handmade) { h.views[3].LeaderEpoch = 4; h.o.started(3) }, ""},
	{"the decided leader epoch goes back", func(h *handmade) { h.image.Partitions[0].LeaderEpoch = 4; h.decide() }, epochsForward},
	{"the partition epoch goes back", func(h *handmade) { h.image.Partitions[0].Epoch = 7; h.decide() }, epochsForward},
	{"a broker epoch goes back", func(h *handmade) { h.image.Brokers[1].Epoch = 3; h.decide() }, epochsForward},
	{"a producer's epoch goes back", func(h *handmade) {
		for id := range h.copies {
			h.replace(id, 2, func(b *batch) { b.producerEpoch = 1; b.sum++ })
		}
		h.o.subjects[handmadePlace].chronicle = map[batchKey]batchFacts{}
	}, epochsForward},
	{"a high watermark goes back", func(h *handmade) { h.views[2].HighWatermark = 30 }, hwForward},
	{"a high watermark goes back with a restart", func(h *handmade) { h.views[2].HighWatermark = 0; h.o.started(2) }, ""},
	{"what is not committed is cut off", func(h *handmade) { h.move(); h.cut(3, 4) }, ""},
	{"what is committed is cut off", func(h *handmade) {
		h.move()
		h.cut(3, 3)
		h.views[3].HighWatermark = 30
	}, hwForward},
	{"a leader is not in its set", func(h *handmade) { h.views[1].ISR = []kafka.NodeID{2, 3} }, leaderInISR},
	{"a leader is elected from outside the set", func(h *handmade) { h.isr(2, 3); h.decide() }, leaderInISR},
	{"a replica leaves the set", func(h *handmade) { h.isr(1, 2); h.decide() }, ""},
	{"a leader acts on less than was decided", func(h *handmade) { h.views[1].ISR = []kafka.NodeID{1, 2} }, isrAgreement},
	{"a leader was answered what nobody has applied yet", func(h *handmade) { h.views[1].ISR, h.views[1].Epoch = []kafka.NodeID{1, 2}, 9 }, ""},
	{"a replica joins while it is fenced", func(h *handmade) {
		h.isr(1, 2)
		h.decide()
		h.image.Brokers[2].Fenced = true
		h.isr(1, 2, 3)
		h.decide()
	}, isrAlive},
	{"a replica joins while it shuts down", func(h *handmade) {
		h.isr(1, 2)
		h.decide()
		h.image.Brokers[2].ShuttingDown = true
		h.isr(1, 2, 3)
		h.decide()
	}, isrAlive},
	{"a replica joins for what an earlier life of its broker held", func(h *handmade) {
		h.isr(1, 2)
		h.decide()
		h.counted = []counted{{ID: 3, Epoch: 13, Held: 50}}
		h.image.Brokers[2].Epoch = 19
		h.isr(1, 2, 3)
		h.decide()
	}, isrAlive},
	{"a replica joins that has not said anything in its present life", func(h *handmade) {
		h.isr(1, 2)
		h.decide()
		h.image.Brokers[2].Epoch = 19
		h.counted = []counted{{ID: 3, Epoch: 19, Held: kafka.NoOffset}}
		h.isr(1, 2, 3)
		h.decide()
	}, isrAlive},
	{"a replica joins in its present life", func(h *handmade) {
		h.isr(1, 2)
		h.decide()
		h.image.Brokers[2].Epoch = 19
		h.counted = []counted{{ID: 3, Epoch: 19, Held: 50}}
		h.isr(1, 2, 3)
		h.decide()
	}, ""},
	{"who is eligible leads and is in sync, as the leader goes", func(h *handmade) {
		h.isr(1, 2)
		h.decide()
		h.image.Brokers[2].Epoch = 19
		h.counted = []counted{{ID: 3, Epoch: 13, Held: 50}}
		h.isr(3)
		d := &h.image.Partitions[0]
		d.Leader, d.LeaderEpoch, d.Epoch = 3, 6, d.Epoch+1
		h.decide()
	}, ""},
	{"a replica joins again", func(h *handmade) { h.isr(1, 2); h.decide(); h.isr(1, 2, 3); h.decide() }, ""},
	{"a replica that was fenced after it had joined, in an entry behind", func(h *handmade) {
		h.isr(1, 2)
		h.decide()
		h.image.Brokers[2].Fenced = true
		h.isr(1, 2, 3)
		h.at++
		h.decide()
	}, ""},
	{"a fenced replica stays in the set", func(h *handmade) { h.image.Brokers[0].Fenced = true; h.decide() }, ""},
	{"the log ends before the high watermark", func(h *handmade) { h.views[3].LogEnd, h.views[3].Durable = 35, 35 }, offsetsDense},
	{"the log starts behind the high watermark", func(h *handmade) { h.views[3].LogStart = 41 }, offsetsDense},
	{"more is durable than there is", func(h *handmade) { h.views[3].Durable = 51 }, offsetsDense},
	{"offsets are missing on a disk", func(h *handmade) {
		h.copies[3].batches = slices.Delete(slices.Clone(h.copies[3].batches), 1, 2)
	}, offsetsDense},
	{"a batch differs that does not count yet", func(h *handmade) {
		h.views[3].Durable = 40
		h.replace(3, 4, func(b *batch) { b.sum++ })
	}, ""},
	{"a batch differs", func(h *handmade) { h.replace(3, 4, func(b *batch) { b.sum++ }) }, logMatching},
	{"a batch ends elsewhere", func(h *handmade) {
		h.views[3].Durable, h.views[3].LogEnd = 51, 51
		h.replace(3, 4, func(b *batch) { b.end++ })
	}, logMatching},
	{"another batch is before one that both have", func(h *handmade) { h.replace(3, 2, func(b *batch) { b.epoch = 3 }) }, logMatching},
	{"what is not committed is written again in another epoch", func(h *handmade) {
		h.move()
		for id := range h.copies {
			h.replace(id, 4, func(b *batch) { b.epoch, b.sum = 6, 77 })
		}
	}, ""},
	{"one epoch gives an offset twice", func(h *handmade) {
		for id := range h.copies {
			h.replace(id, 4, func(b *batch) { b.sum = 77 })
		}
	}, logMatching},
	{"an in-sync replica's disk lacks what was exposed", func(h *handmade) { h.copies[3].batches = h.copies[3].batches[:3] }, committedDurable},
	{"an in-sync replica has no log", func(h *handmade) { h.copies[3] = nil }, committedDurable},
	{"another replica has no log", func(h *handmade) { h.isr(1, 2); h.decide(); h.copies[3] = nil }, ""},
	{"an in-sync replica has something else below what was exposed", func(h *handmade) {
		h.replace(3, 3, func(b *batch) { b.epoch = 4 })
		h.copies[3].batches = h.copies[3].batches[:4]
	}, committedDurable},
	{"everybody has something else below what was exposed", func(h *handmade) {
		h.move()
		for id := range h.copies {
			h.replace(id, 3, func(b *batch) { b.epoch, b.sum = 6, 99 })
			h.copies[id].batches = h.copies[id].batches[:4]
		}
	}, committedDurable},
	{"a disk is lost", func(h *handmade) { h.o.lost(3); h.copies[3] = nil }, ""},
	{"who lost a disk registers, and keeps a seat", func(h *handmade) {
		h.o.lost(3)
		h.copies[3] = nil
		h.image.Brokers[2].Epoch = 99
		h.decide()
	}, committedDurable},
	{"what rotted is whole again", func(h *handmade) {
		h.o.damaged(3)
		h.replace(3, 1, func(b *batch) { b.sum = 9 })
		h.o.everything()
		h.replace(3, 1, func(b *batch) { b.sum = 1001 })
		h.o.mended(3)
	}, ""},
	{"what rotted is taken for whole", func(h *handmade) {
		h.o.damaged(3)
		h.replace(3, 1, func(b *batch) { b.sum = 9 })
		h.o.mended(3)
	}, logMatching},
	{"a restart loses what was committed", func(h *handmade) {
		h.cut(1, 3)
		h.views[1].HighWatermark = 30
		h.o.started(1)
	}, recoversAcked},
	{"a replica moves away and comes back with nothing", func(h *handmade) {
		d := &h.image.Partitions[0]
		d.Replicas, d.ISR, d.Epoch = []kafka.NodeID{1, 2}, []kafka.NodeID{1, 2}, 9
		h.decide()
		d.Replicas, d.Epoch = []kafka.NodeID{1, 2, 3}, 10
		h.decide()
		h.copies[3].batches = nil
		v := h.views[3]
		v.HighWatermark, v.Durable, v.LogEnd = 0, 0, 0
	}, ""},
	{"a restart loses what a follower held uncommitted", func(h *handmade) { h.cut(3, 4); h.o.started(3) }, ""},
	{"more is committed", func(h *handmade) { h.views[1].HighWatermark = 50 }, ""},
	{"more is committed than an in-sync replica has", func(h *handmade) { h.cut(3, 4); h.views[1].HighWatermark = 50 }, committedDurable},
	{"more is committed than a replica has that is not in sync", func(h *handmade) {
		h.isr(1, 2)
		h.views[1].ISR = []kafka.NodeID{1, 2}
		h.decide()
		h.cut(3, 4)
		h.views[1].HighWatermark = 50
	}, ""},
	{"more is committed by a set that nobody has applied yet", func(h *handmade) {
		h.views[1].ISR, h.views[1].Epoch = []kafka.NodeID{1, 2}, 9
		h.cut(3, 4)
		h.views[1].HighWatermark = 50
	}, ""},
	{"something else is committed than an in-sync replica has", func(h *handmade) {
		h.replace(3, 4, func(b *batch) { b.epoch, b.sum = 4, 77 })
		h.views[3].Durable = 40
		h.views[1].HighWatermark = 50
	}, committedDurable},
	{"a replica joins that lacks what was exposed", func(h *handmade) {
		h.isr(1, 2)
		h.decide()
		h.cut(3, 3)
		h.views[3].HighWatermark = 30
		h.o.started(3)
		h.o.window(3).read[handmadePlace].last = replicaView{}
		h.isr(1, 2, 3)
		h.decide()
	}, committedDurable},
	{"a leader counts what a follower has", func(h *handmade) { h.counts(counted{ID: 3, Epoch: 13, Held: 50}) }, ""},
	{"a leader counts more than a follower has", func(h *handmade) {
		h.isr(1, 2)
		h.views[1].ISR = []kafka.NodeID{1, 2}
		h.decide()
		h.cut(3, 4)
		h.counts(counted{ID: 3, Epoch: 13, Held: 50})
	}, countsTruly},
	{"a leader counts what it has deleted, of a follower that begins anew with a batch before", func(h *handmade) {
		h.isr(1, 2)
		h.views[1].ISR, h.views[1].LogStart = []kafka.NodeID{1, 2}, 45
		h.decide()
		h.cut(3, 4)
		h.counts(counted{ID: 3, Epoch: 13, Held: 45})
	}, ""},
	{"a leader counts more than it has deleted, of a follower that begins anew with a batch before", func(h *handmade) {
		h.isr(1, 2)
		h.views[1].ISR, h.views[1].LogStart = []kafka.NodeID{1, 2}, 45
		h.decide()
		h.cut(3, 4)
		h.counts(counted{ID: 3, Epoch: 13, Held: 46})
	}, countsTruly},
	{"a leader knows what a follower had before its log rotted and was begun anew", func(h *handmade) {
		h.isr(1, 2)
		h.views[1].ISR = []kafka.NodeID{1, 2}
		h.decide()
		h.o.damaged(3)
		h.cut(3, 0)
		h.views[3].HighWatermark = 0
		h.counts(counted{ID: 3, Epoch: 13, Held: 50})
	}, ""},
	{"a leader asks for a follower for what it had before its log rotted and was begun anew", func(h *handmade) {
		h.isr(1, 2)
		h.decide()
		h.o.damaged(3)
		h.cut(3, 0)
		h.views[3].HighWatermark = 0
		h.counts(counted{ID: 3, Epoch: 13, Held: 50})
	}, countsTruly},
	{"a leader counts what differs from its own because it rotted", func(h *handmade) {
		h.isr(1, 2)
		h.views[1].ISR = []kafka.NodeID{1, 2}
		h.decide()
		h.o.damaged(3)
		h.replace(3, 4, func(b *batch) { b.epoch, b.sum = 4, 77 })
		h.views[3].Durable = 40
		h.counts(counted{ID: 3, Epoch: 13, Held: 50})
	}, ""},
	{"a leader counts what a follower had in an earlier life", func(h *handmade) {
		h.isr(1, 2)
		h.views[1].ISR = []kafka.NodeID{1, 2}
		h.decide()
		h.cut(3, 4)
		h.counts(counted{ID: 3, Epoch: 12, Held: 50})
	}, ""},
	{"a leader counts what differs from its own", func(h *handmade) {
		h.isr(1, 2)
		h.views[1].ISR = []kafka.NodeID{1, 2}
		h.decide()
		h.replace(3, 4, func(b *batch) { b.epoch, b.sum = 4, 77 })
		h.views[3].Durable = 40
		h.counts(counted{ID: 3, Epoch: 13, Held: 50})
	}, countsTruly},
	{"a leader counts who knows of no such epoch", func(h *handmade) {
		h.image.Partitions[0].LeaderEpoch, h.views[1].LeaderEpoch = 6, 6
		h.decide()
		h.counts(counted{ID: 3, Epoch: 13, Held: 50})
	}, countsTruly},
	{"a second controller leads in a term", func(h *handmade) { h.rafts[1].Leads = true }, oneRaftLeaderPerTerm},
	{"another controller leads in the next term", func(h *handmade) { h.rafts[1].Leads, h.rafts[1].Term = true, 4 }, ""},
	{"a term goes back", func(h *handmade) { h.rafts[3].Term = 2 }, epochsForward},
	{"a term that was not durable goes back with a restart", func(h *handmade) {
		h.rafts[3].Term = 4
		h.look()
		h.rafts[3].Term = 3
		h.o.started(3)
	}, ""},
	{"a durable term goes back with a restart", func(h *handmade) { h.rafts[3].Term, h.rafts[3].DurableTerm = 2, 2; h.o.started(3) }, epochsForward},
	{"a vote changes", func(h *handmade) { h.rafts[3].Vote = 1 }, oneRaftLeaderPerTerm},
	{"a vote in the next term", func(h *handmade) { h.rafts[3].Vote, h.rafts[3].Term, h.rafts[3].DurableTerm = 1, 4, 4 }, ""},
	{"two apply different entries", func(h *handmade) { h.rafts[3].Chain = 78 }, raftLogMatching},
	{"a controller has another entry of a term", func(h *handmade) {
		h.logs[3].batches = nil
		h.look()
		h.logs[3] = handmadeEntries()
		h.logs[3].batches[8].sum++
	}, raftLogMatching},
	{"a minority lacks what is committed", func(h *handmade) { h.logs[3].batches = h.logs[3].batches[:7] }, ""},
	{"a majority lacks what is committed", func(h *handmade) {
		h.logs[3].batches = h.logs[3].batches[:7]
		h.logs[2].batches = h.logs[2].batches[:8]
	}, raftLogMatching},
	{"voters leave, and who is left lacks what is committed", func(h *handmade) {
		for _, r := range h.rafts { //klamm:unordered all alike
			r.Electorate.Voters = []kafka.NodeID{1, 2}
		}
		h.look()
		for _, r := range h.rafts { //klamm:unordered all alike
			r.Commit, r.Applied = 10, 10
		}
		h.logs[2].batches = h.logs[2].batches[:9]
	}, raftLogMatching},
	{"voters leave, and one that left lacks what is committed", func(h *handmade) {
		for _, r := range h.rafts { //klamm:unordered all alike
			r.Electorate.Voters = []kafka.NodeID{1, 2}
		}
		h.look()
		for _, r := range h.rafts { //klamm:unordered all alike
			r.Commit, r.Applied = 10, 10
		}
		h.logs[3].batches = h.logs[3].batches[:9]
	}, ""},
	{"voters change, and of those before most lack what is committed", func(h *handmade) {
		for _, r := range h.rafts { //klamm:unordered all alike
			r.Electorate = electorate{Voters: []kafka.NodeID{1}, Outgoing: []kafka.NodeID{1, 2, 3}}
		}
		h.look()
		for _, r := range h.rafts { //klamm:unordered all alike
			r.Commit, r.Applied = 10, 10
		}
		h.logs[2].batches, h.logs[3].batches = h.logs[2].batches[:9], h.logs[3].batches[:9]
	}, raftLogMatching},
	{"a majority has something else than what was committed", func(h *handmade) {
		for _, id := range []kafka.NodeID{2, 3} {
			h.logs[id].batches = h.logs[id].batches[:9]
			h.logs[id].batches[8].epoch = 4
		}
	}, raftLogMatching},
	{"what is committed is compacted", func(h *handmade) {
		for id, c := range h.logs {
			c.start, c.batches, h.snapshots[id] = 9, c.batches[9:], 9
		}
	}, ""},
	{"what is committed is compacted without a snapshot", func(h *handmade) {
		for _, c := range h.logs {
			c.start, c.batches = 9, c.batches[9:]
		}
	}, raftLogMatching},
	{"what is committed goes back", func(h *handmade) { h.rafts[3].Commit = 8 }, hwForward},
	{"a controller decides", func(h *handmade) { h.rafts[2].Decided = decided{Index: 11, Term: 3, Leads: true} }, ""},
	{"a controller decides that does not lead", func(h *handmade) { h.rafts[1].Decided = decided{Index: 11, Term: 3} }, decidesOnNewest},
	{"a controller decides without knowing all", func(h *handmade) {
		h.rafts[2].Decided = decided{Index: 11, Term: 3, Leads: true, Unseen: 1}
	}, decidesOnNewest},
	{"a controller is sure of the newest", func(h *handmade) { h.rafts[2].Asked, h.rafts[2].Sure = 1, sure{1, 9} }, ""},
	{"a controller is sure of what is old", func(h *handmade) { h.rafts[2].Asked, h.rafts[2].Sure = 1, sure{1, 8} }, decidesOnNewest},
	{"an overtaken controller leads for a while", func(h *handmade) {
		h.rafts[1].Leads, h.rafts[1].Term = true, 4
		h.look()
		h.rafts[2].Led = reignBound
	}, ""},
	{"an overtaken controller goes on leading", func(h *handmade) {
		h.rafts[1].Leads, h.rafts[1].Term = true, 4
		h.look()
		h.rafts[2].Led = reignBound + 1
	}, leaderResigns},
	{"two images differ", func(h *handmade) {
		h.o.applies(1, 50, 111, func() imageView { return h.image })
		h.o.applies(2, 50, 112, func() imageView { return h.image })
	}, imageAgreement},
	{"the topic is deleted", func(h *handmade) { h.image.Partitions = nil; h.decide(); clear(h.copies) }, ""},
}

func TestTheObserverOfAClusterComplainsOfWhatCannotBe(t *testing.T) {
	for _, c := range handmadeCases {
		h := newHandmade(clusterPromise{})
		if h.look(); len(h.said) > 0 {
			t.Fatalf("a cluster that is well: %s: %s", h.said, h.sentence)
		}
		c.change(h)
		h.look()
		got := ""
		if len(h.said) > 0 {
			got = h.said[0]
		}
		if got != c.want {
			t.Errorf("%s: %q (%s), want %q", c.claim, got, h.sentence, c.want)
		}
	}
}

// A follower without a record may begin with a batch in which its leader's log start
// lies, and have a lower high watermark then.
func TestAHighWatermarkMayGoBackWithoutARecord(t *testing.T) {
	for _, c := range []struct {
		claim string
		role  replicaRole
		start kafka.Offset // of the log, before
		want  []string
	}{
		{"a follower without a record", followingReplica, 42, nil},
		{"a follower with records", followingReplica, 41, []string{hwForward}},
		{"a leader without a record", leadingReplica, 42, []string{hwForward}},
	} {
		h := newHandmade(clusterPromise{})
		before := replicaView{Role: c.role, LogStart: c.start, HighWatermark: 42, Durable: 42, LogEnd: 42}
		after := replicaView{Role: c.role, LogStart: 40, HighWatermark: 40, Durable: 40, LogEnd: 45}
		w := h.o.window(3)
		w.read[handmadePlace] = &reading{}
		h.o.checkForward(w, h.o.subject(handmadePlace), before, after)
		if !slices.Equal(h.said, c.want) {
			t.Errorf("%s: %v (%s), want %v", c.claim, h.said, h.sentence, c.want)
		}
	}
}

// With unclean elections what the others had may be gone, and nothing else.
func TestUncleanElectionsTakeWhatOthersHad(t *testing.T) {
	for _, unclean := range []bool{true, false} {
		h := newHandmade(clusterPromise{Unclean: unclean})
		h.isr(1, 2)
		h.decide()
		h.cut(3, 2)
		h.views[3].HighWatermark = 20
		h.look()
		d := &h.image.Partitions[0]
		d.Epoch, d.ISR = 9, []kafka.NodeID{1}
		h.decide()
		d.Leader, d.LeaderEpoch, d.Epoch, d.ISR = 3, 6, 10, []kafka.NodeID{3}
		v := h.views[3]
		v.Role, v.ISR, v.LeaderEpoch = leadingReplica, []kafka.NodeID{3}, 6
		h.decide()
		h.look()
		if unclean == (len(h.said) > 0) {
			t.Errorf("unclean elections promised %t: %v %s", unclean, h.said, h.sentence)
		}
	}
	h := newHandmade(clusterPromise{Unclean: true})
	h.look()
	h.replace(2, 1, func(b *batch) { b.sum++ })
	if h.look(); !slices.Contains(h.said, logMatching) {
		t.Error("with unclean elections logs of one epoch need not match")
	}
}

// A replica may hear of an unclean election long before it cuts its log, and may be killed
// in between. What it was told after the election stays.
func TestWhatAnUncleanElectionTakesIsCutLater(t *testing.T) {
	for _, c := range []struct {
		claim  string
		unseen bool // it hears of the election, and is killed, before it cuts anything
		told   kafka.Offset
		want   string
	}{
		{"cut after it has heard", false, 0, ""},
		{"cut after it was told in the new epoch", false, 45, hwForward},
		{"cut in its next life", true, 0, ""},
		{"cut in its next life after it was told in the new epoch", true, 45, recoversAcked},
	} {
		h := newHandmade(clusterPromise{Unclean: true})
		h.isr(1, 2)
		h.views[2].HighWatermark = 30
		h.decide()
		h.look()
		d := &h.image.Partitions[0]
		d.Leader, d.LeaderEpoch, d.Epoch, d.ISR = 3, 6, 20, []kafka.NodeID{3}
		h.decide()
		h.views[2].LeaderEpoch = 6
		h.look()
		if c.told > 0 {
			h.views[2].HighWatermark = c.told
			h.look()
		}
		if c.unseen {
			h.o.started(2)
		}
		h.cut(2, 2)
		h.views[2].HighWatermark = 20
		h.look()
		if got := strings.Join(h.said, " "); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q (%s), want %q", c.claim, got, h.sentence, c.want)
		}
	}
}

func TestLogsAreEqualInTheEnd(t *testing.T) {
	for _, c := range []struct {
		claim  string
		change func(*handmade)
		want   string
	}{
		{"all are equal", func(*handmade) {}, ""},
		{"one is behind", func(h *handmade) { h.copies[3].batches = h.copies[3].batches[:4] }, logMatching},
		{"one begins later", func(h *handmade) { h.copies[3].start, h.copies[3].batches = 20, h.copies[3].batches[2:] }, ""},
		{"one has deleted everything", func(h *handmade) {
			h.views[3].LogStart, h.views[3].HighWatermark = 50, 50
			h.copies[3] = &logCopy{}
		}, ""},
		{"one has deleted everything, and lacks the last batch", func(h *handmade) {
			v := h.views[3]
			v.LogStart, v.HighWatermark, v.Durable, v.LogEnd = 45, 45, 45, 45
			h.copies[3] = &logCopy{}
		}, logMatching},
		{"one is not there", func(h *handmade) { h.isr(1, 2); h.decide(); h.copies[3] = nil }, logMatching},
	} {
		h := newHandmade(clusterPromise{})
		c.change(h)
		h.o.ended()
		if got := strings.Join(h.said, " "); got != c.want {
			t.Errorf("%s: %s %s", c.claim, got, h.sentence)
		}
	}
}

// An unclean election is marked with where the logs part, when the old leader knows
// of it.
func TestElectionsAreMarked(t *testing.T) {
	h := newHandmade(clusterPromise{Unclean: true})
	var marks []string
	h.o.mark = func(kind history.MarkKind, p place, at kafka.Offset, leader kafka.NodeID) {
		marks = append(marks, fmt.Sprint(kind, " ", p.partition, " ", at, " ", leader))
	}
	see := func(claim, want string) {
		t.Helper()
		h.look()
		if got := strings.Join(marks, ", "); got != want || len(h.said) > 0 {
			t.Errorf("%s: marked %q, want %q; %v %s", claim, got, want, h.said, h.sentence)
		}
		marks = nil
	}
	h.isr(1, 2)
	h.decide()
	h.replace(3, 3, func(b *batch) { b.epoch, b.sum = 4, 44 })
	h.cut(3, 4)
	h.views[3].HighWatermark = 30
	see("nobody was elected", "")
	h.move()
	see("a clean election", "election orders-0 -1 2")
	d := &h.image.Partitions[0]
	d.Leader, d.LeaderEpoch, d.Epoch, d.ISR = 3, 7, 20, []kafka.NodeID{3}
	h.decide()
	v := h.views[3]
	v.Role, v.ISR, v.LeaderEpoch = leadingReplica, []kafka.NodeID{3}, 7
	see("an unclean one, while the old leader does not know", "election orders-0 -1 3")
	h.views[2].Role, h.views[2].LeaderEpoch = followingReplica, 7
	see("it knows", "unclean-election orders-0 30 3")
	d.LeaderEpoch, d.Epoch = 8, 21
	h.decide()
	see("the same leads again", "")
}

// A node that follows several decisions in one step commits records with one of them,
// perhaps, and resigns with the next: nobody sees it lead with its high watermark.
func TestALeadershipThatIsOverHasExposedWhatItCommitted(t *testing.T) {
	for _, c := range []struct {
		claim  string
		change func(*handmade)
		want   string
	}{
		{"before it resigned", func(h *handmade) { h.views[1].Exposed = exposure{50, 5, 8} }, ""},
		{"and failed", func(h *handmade) {
			h.views[1].Exposed, h.views[1].Role = exposure{50, 5, 8}, offlineReplica
		}, ""},
		{"nobody did", func(*handmade) {}, string(checker.ReadCommittedOnly)},
		{"only of less", func(h *handmade) { h.views[1].Exposed = exposure{49, 5, 8} }, string(checker.ReadCommittedOnly)},
		{"the next leader lacks it", func(h *handmade) {
			h.views[1].Exposed = exposure{50, 5, 8}
			h.cut(2, 4)
			h.views[2].LogEnd, h.views[2].Durable = 40, 40
		}, committedDurable},
		{"in another's epoch", func(h *handmade) { h.views[3].Exposed = exposure{50, 5, 8} }, oneLeaderPerEpoch},
	} {
		h := newHandmade(clusterPromise{})
		h.look()
		h.move()
		h.views[1].HighWatermark = 50
		c.change(h)
		h.look()
		(&clusterWatch{clusterObserver: h.o}).consumed(handmadePlace.partition, 50)
		got := ""
		if len(h.said) > 0 {
			got = h.said[0]
		}
		if got != c.want {
			t.Errorf("%s: %q (%s), want %q", c.claim, got, h.sentence, c.want)
		}
	}
}

func TestTheObserverSaysWhereAndWhen(t *testing.T) {
	h := newHandmade(clusterPromise{})
	h.look()
	h.copies[3].batches = h.copies[3].batches[:3]
	h.look()
	want := "orders-0: records up to offset 40 were exposed by 1, and in-sync replica 3 holds the records up to 30 at 0s"
	if fmt.Sprint(h.said, h.sentence) != "["+committedDurable+"]"+want && h.sentence != want {
		t.Errorf("%v %s", h.said, h.sentence)
	}
}

// A sentence calls nodes what faults and logs call them.
func TestTheObserverCallsNodesByTheirNames(t *testing.T) {
	h := newHandmade(clusterPromise{})
	for _, w := range h.o.windows {
		w.name = fmt.Sprintf("n%d", w.id)
	}
	h.o.complain(isrAlive, "%s: %d and %v, %d of %v", handmadePlace.partition, kafka.NodeID(3), kafka.NodeID(77), 3, []kafka.NodeID{1, 2})
	if want := "orders-0: n3 and 77, 3 of [n1 n2] at 0s"; h.sentence != want {
		t.Errorf("%q, want %q", h.sentence, want)
	}
}
