package broker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// What the leader told last came to who followed in the leader epoch before, and was
// not taken over: the leader's session, which tells a high watermark once, has to forget
// the partition before it is asked for again (docs/bugs/0048.md).
func TestWhatIsFollowedAnewIsForgottenFirst(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	r := meta.Replica{Topic: orders}
	var asked []kafka.LeaderEpoch
	var forgot []kafka.LeaderEpoch // the epoch that was asked for last before
	c.onFetch = func(_, _ kafka.NodeID, q *ReplicaFetch, _ *ReplicaFetched) {
		if slices.Contains(q.Forgotten, r) {
			forgot = append(forgot, asked[len(asked)-1])
		}
		for _, it := range q.Items {
			if it.Replica == r {
				asked = append(asked, it.LeaderEpoch)
			}
		}
	}
	m := c.machine(2)
	disksim.Fault{Kind: disksim.FaultStall, Disk: m.disk.Name(), Path: "orders-0/*", For: 50 * time.Millisecond}.Apply(m.disk)
	c.machine(1).node.Go("append", func() { _ = c.machine(1).append(kafka.AcksLeader, "b", time.Second) })
	c.until("it is appended", func() bool { return m.p().log.End() == 2 })
	was := c.state()
	next := was
	next.LeaderEpoch, next.Epoch = was.LeaderEpoch+1, was.Epoch+1
	if err := c.decide(func(*meta.Image) ([]meta.Record, error) {
		return []meta.Record{meta.Partitions{States: []meta.PartitionRecord{{Topic: orders, PartitionState: next}}}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if m.p().log.Held() == 2 {
		t.Fatal("its disk did not stall")
	}
	c.until("it has what is committed", func() bool { return m.p().high == 2 })
	if !slices.Equal(forgot, []kafka.LeaderEpoch{was.LeaderEpoch}) || asked[len(asked)-1] != next.LeaderEpoch {
		t.Errorf("asked in leader epochs %v; forgotten after %v", asked, forgot)
	}
}

// What a follower's slow disk was to write does not fit at last: it is taken back, and
// to be fetched again, for the held end that was waited for is not reached by itself
// (docs/bugs/0079.md).
func TestWhatASlowDiskRefusesIsFetchedAgain(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	m := c.machine(2)
	disksim.Fault{Kind: disksim.FaultStall, Disk: m.disk.Name(), Path: "orders-0/*", For: 300 * time.Millisecond}.Apply(m.disk)
	disksim.Fault{Kind: disksim.FaultFull, Disk: m.disk.Name(), Path: "*", For: 600 * time.Millisecond}.Apply(m.disk)
	large := strings.Repeat("b", 1<<16)
	c.machine(1).node.Go("append", func() { _ = c.machine(1).append(kafka.AcksLeader, large, time.Second) })
	c.until("the follower waits for its disk", func() bool { return m.p().follows.waiting == 2 })
	c.until("its disk has refused it", func() bool { return m.p().log.End() == 1 })
	c.until("it has what is committed", func() bool { return m.p().high == 2 })
}
