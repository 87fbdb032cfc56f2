package node_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/group"
	"github.com/klammlog/klamm/node/kafka"
)

// commit has a group without members commit an offset of orders-0.
func (c *cluster) commit(at kafka.Offset) {
	c.t.Helper()
	c.admin("committing", func(cl *client.Client, deadline kafka.Instant) error {
		offsets := []client.Commit{{Partition: kafka.TopicPartition{Topic: "orders"}, Offset: at}}
		results, err := cl.AlterGroupOffsets("readers", offsets, deadline)
		return errors.Join(err, results[0].Err)
	})
}

// A coordinator whose log was compacted finds in it what was committed last, and does
// not wait for offsets that are gone.
func TestACoordinatorReadsACompactedLog(t *testing.T) {
	c := newCluster(t, 1, "bc")
	h := c.hosts[0]
	h.with("offsets.topic.num.partitions", "1")
	h.with("offsets.topic.replication.factor", "1")
	h.with("default.replication.factor", "1")
	h.with("min.insync.replicas", "1")
	h.with("internal.offsets.topic.segment.bytes", "512")
	h.with("log.cleaner.backoff.ms", "200")
	h.with("log.cleaner.min.cleanable.ratio", "0.01")
	c.start()
	c.createWide("orders")
	last := kafka.Offset(0)
	for ; last < 60; last++ {
		c.commit(last + 1)
	}
	since := c.k.Now()
	c.until("the log is compacted", func() bool { return c.k.Now().Sub(since) > 5*time.Second })
	h.crash()
	h.start()
	c.until("the node is back", func() bool { return h.node != nil })
	c.admin("asking", func(cl *client.Client, deadline kafka.Instant) error {
		found, err := cl.GroupOffsets("readers", nil, deadline)
		if err == nil && (len(found) != 1 || found[0].Offset != last) {
			t.Errorf("committed is %v, want offset %d", found, last)
		}
		return err
	})
	for _, p := range c.k.Probes() {
		if p.Name == "a coordinator read a log with a gap" && p.Times > 0 {
			return
		}
	}
	t.Error("nothing was compacted")
}

// coordinates reports whether a node coordinates any group.
func coordinates(h *host) (is bool) {
	h.node.Groups(func(_ kafka.TopicPartition, _ kafka.LeaderEpoch, m *group.Shard) { is = is || m.Groups() > 0 })
	return is
}

// Who has lost leadership coordinates nothing any more, though it runs on.
func TestAFormerCoordinatorForgets(t *testing.T) {
	c := newCluster(t, 1, "bc", "bc", "bc")
	for _, h := range c.hosts {
		h.with("offsets.topic.num.partitions", "1")
	}
	c.start()
	c.createWide("orders")
	c.commit(7)
	former := slices.IndexFunc(c.hosts, func(h *host) bool { return coordinates(h) })
	if former < 0 {
		t.Fatal("nobody coordinates")
	}
	c.admin("moving leadership", func(cl *client.Client, deadline kafka.Instant) error {
		tp := kafka.TopicPartition{Topic: "__consumer_offsets"}
		order := []kafka.NodeID{kafka.NodeID((former+1)%3 + 1), kafka.NodeID((former+2)%3 + 1), kafka.NodeID(former + 1)}
		_, err := cl.AlterPartitionReassignments([]client.Reassignment{{Partition: tp, Replicas: order}}, deadline)
		if err == nil {
			_, err = cl.ElectLeaders(client.PreferredElection, []kafka.TopicPartition{tp}, deadline)
		}
		return err
	})
	c.until("another coordinates", func() bool {
		return slices.ContainsFunc(c.hosts, func(h *host) bool { return h != c.hosts[former] && coordinates(h) })
	})
	c.until("the former has heard of it", func() bool {
		topic, _ := c.hosts[former].node.Image().Topic("__consumer_offsets")
		return topic.Partitions[0].Leader != c.hosts[former].node.ID()
	})
	if coordinates(c.hosts[former]) {
		t.Error("two nodes coordinate the group")
	}
	c.admin("asking", func(cl *client.Client, deadline kafka.Instant) error {
		found, err := cl.GroupOffsets("readers", nil, deadline)
		if err == nil && (len(found) != 1 || found[0].Offset != 7) {
			t.Errorf("committed is %v, want offset 7", found)
		}
		return err
	})
}
