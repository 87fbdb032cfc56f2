package node_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// want fails the test unless err is what is wanted.
func (c *cluster) want(what string, err, target error) {
	c.t.Helper()
	if !errors.Is(err, target) {
		c.t.Errorf("%s: %v, want %v", what, err, target)
	}
}

// Groups of both protocols are listed and described with their members, and what has
// members is neither altered nor deleted.
func TestGroupsAreAdministered(t *testing.T) {
	for _, is := range []struct {
		kind, assignor string
		protocol       client.GroupProtocol
	}{
		{"classic", "range", client.ClassicGroup},
		{"consumer", "uniform", client.ConsumerGroup},
	} {
		t.Run(is.kind, func(t *testing.T) {
			c := newCluster(t, 1, "bc", "bc", "bc")
			c.start()
			c.createWide("orders")
			c.send("orders", 0, 30)
			seen := map[string]int{}
			var readers []*reader
			for i := range 2 {
				readers = append(readers, c.reader(fmt.Sprint("r", i), seen, func(g *client.GroupConfig) { g.Protocol = is.protocol }))
			}
			c.until("the group has read everything", func() bool {
				return shared(readers...) && len(readers[0].member.Assignment()) == 3 && len(seen) == 30
			})
			c.admin("a group with members", func(cl *client.Client, deadline kafka.Instant) error {
				return c.lookAtMembers(cl, deadline, is.kind, is.assignor, readers)
			})
			for _, r := range readers {
				r.stop = true
			}
			c.until("the readers have left", func() bool { return readers[0].done && readers[1].done })
			c.admin("a group without members", c.alterAndDelete)
		})
	}
}

func (c *cluster) lookAtMembers(cl *client.Client, deadline kafka.Instant, kind, assignor string, readers []*reader) error {
	listed, err := cl.ListGroups(client.GroupFilter{States: []string{"stable"}, Types: []string{kind}}, deadline)
	if err != nil || len(listed) != 1 || listed[0].ID != "readers" || listed[0].State != "Stable" || listed[0].Type != kind {
		c.t.Errorf("listed %+v, %v", listed, err)
	}
	if empty, err := cl.ListGroups(client.GroupFilter{States: []string{"Empty"}}, deadline); err != nil || len(empty) > 0 {
		c.t.Errorf("listed as empty: %+v, %v", empty, err)
	}
	groups, err := cl.DescribeGroups([]string{"readers", "nobody"}, deadline)
	c.want("the error of all", err, kafka.ErrGroupIDNotFound)
	c.want("a group that is not there", groups[1].Err, kafka.ErrGroupIDNotFound)
	g := groups[0]
	if g.Err != nil || g.State != "Stable" || g.Type != kind || g.Assignor != assignor || g.Coordinator.ID != listed[0].Coordinator || len(g.Members) != 2 {
		c.t.Fatalf("described %+v", g)
	}
	var all []kafka.TopicPartition
	for _, m := range g.Members {
		all = append(all, m.Assigned...)
		if !slices.ContainsFunc(readers, func(r *reader) bool { id, _ := r.member.Member(); return id == m.ID }) || m.ClientID != "klamm" || m.Host == "" ||
			m.Protocol != kind || !slices.Equal(m.Topics, []string{"orders"}) || kind == "consumer" && !slices.Equal(m.Assigned, m.Target) {
			c.t.Errorf("member %+v", m)
		}
	}
	if len(all) != 6 {
		c.t.Errorf("assigned %v", all)
	}
	zero := kafka.TopicPartition{Topic: "orders", Partition: 0}
	_, err = cl.AlterGroupOffsets("readers", []client.Commit{{Partition: zero, Offset: 1}}, deadline)
	c.want("altering", err, kafka.ErrNonEmptyGroup)
	_, err = cl.DeleteGroupOffsets("readers", []kafka.TopicPartition{zero}, deadline)
	c.want("deleting an offset", err, kafka.ErrGroupSubscribedToTopic)
	_, err = cl.DeleteGroups([]string{"readers"}, deadline)
	c.want("deleting", err, kafka.ErrNonEmptyGroup)
	return nil
}

func (c *cluster) alterAndDelete(cl *client.Client, deadline kafka.Instant) error {
	offsets := func() (out []kafka.Offset) {
		found, err := cl.GroupOffsets("readers", nil, deadline)
		for _, f := range found {
			out = append(out, f.Offset)
		}
		if err != nil {
			c.t.Error(err)
		}
		return out
	}
	if got := offsets(); !slices.Equal(got, []kafka.Offset{5, 5, 5, 5, 5, 5}) {
		c.t.Errorf("committed %v", got)
	}
	two, three := kafka.TopicPartition{Topic: "orders", Partition: 2}, kafka.TopicPartition{Topic: "orders", Partition: 3}
	if _, err := cl.AlterGroupOffsets("readers", []client.Commit{{Partition: two, Offset: 1}, {Partition: three, Offset: 2}}, deadline); err != nil {
		return err
	}
	if _, err := cl.DeleteGroupOffsets("readers", []kafka.TopicPartition{three}, deadline); err != nil {
		return err
	}
	if got := offsets(); !slices.Equal(got, []kafka.Offset{5, 5, 1, 5, 5}) {
		c.t.Errorf("committed %v", got)
	}
	if of, err := cl.GroupOffsets("readers", []kafka.TopicPartition{three, two}, deadline); err != nil || of[0].Offset != 1 || of[1].Offset != kafka.NoOffset {
		c.t.Errorf("of two partitions: %v, %v", of, err)
	}
	results, err := cl.DeleteGroups([]string{"nobody", "readers"}, deadline)
	c.want("deleting what is not there", err, kafka.ErrGroupIDNotFound)
	if results[1].Err != nil || len(offsets()) > 0 {
		c.t.Errorf("deleting: %v, and %v is committed", results[1].Err, offsets())
	}
	_, err = cl.DescribeGroups([]string{""}, deadline)
	c.want("a group without a name", err, kafka.ErrInvalidGroupID)
	return nil
}

// Who keeps no offsets and has no policy to begin without is told so.
func TestAMemberWithoutAPlaceToBeginSaysSo(t *testing.T) {
	c := deliveryCluster(t)
	d := &deliverer{}
	d.make = func(d *deliverer, cl *client.Client, g client.GroupConfig, config client.ConsumerConfig) (*client.Processor, error) {
		config.Reset = client.ResetNone
		return cl.NewAtLeastOnce(g, config, d.process)
	}
	c.newDeliverer("d", d)
	c.until("it has given up", func() bool { return d.done })
	c.want("its end", d.ended, client.ErrNoOffset)
}

// Who is closed while it joins is no member afterwards, for whom the others would have
// to wait.
func TestWhoStillJoinsLeaves(t *testing.T) {
	for name, protocol := range map[string]client.GroupProtocol{"classic": client.ClassicGroup, "consumer": client.ConsumerGroup} {
		t.Run(name, func(t *testing.T) {
			c := deliveryCluster(t)
			c.hosts[0].stop()
			c.hosts[0].with("group.initial.rebalance.delay.ms", "3000")
			c.start()
			c.admin("joining and leaving", func(cl *client.Client, deadline kafka.Instant) error {
				g := client.DefaultGroup("readers", "orders")
				g.Protocol = protocol
				m, err := cl.NewGroupConsumer(g, client.DefaultConsumer())
				if err != nil {
					return err
				}
				for id, _ := m.Member(); id == ""; id, _ = m.Member() {
					if _, err := m.Poll(c.user.Now().Add(100*time.Millisecond), 0); err != nil {
						return err
					}
				}
				if _, err := m.Poll(c.user.Now().Add(500*time.Millisecond), 0); err != nil {
					return err
				}
				if err := m.Close(deadline); err != nil {
					return err
				}
				groups, err := cl.DescribeGroups([]string{"readers"}, deadline)
				if len(groups[0].Members) > 0 {
					t.Errorf("the group has members: %+v", groups[0].Members)
				}
				if errors.Is(err, kafka.ErrGroupIDNotFound) {
					return nil
				}
				return err
			})
		})
	}
}
