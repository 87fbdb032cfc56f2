package node_test

import (
	"strings"
	"testing"

	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// formatted returns a cluster whose nodes know their voters, the first three, by
// their log directories alone.
func formatted(t *testing.T, roles ...string) *cluster {
	t.Helper()
	c := newCluster(t, 6, roles...)
	voters := []config.Voter{{ID: 3, Address: "n3:9093"}, {ID: 1, Address: "n1:9093"}, {ID: 2, Address: "n2:9093"}}
	for _, h := range c.hosts {
		h.with("controller.quorum.voters", "")
		all, err := h.format(node.FormatOptions{NodeID: kafka.NodeID(h.id), ClusterID: "mine", Voters: voters})
		if err != nil || all[0].Voters != "1@n1:9093,2@n2:9093,3@n3:9093" {
			t.Fatalf("%+v, %v", all, err)
		}
	}
	return c
}

func TestNodesThatAreFormattedWithVotersNeedNoOthers(t *testing.T) {
	c := formatted(t, "bc", "bc", "c", "b")
	c.start()
	c.create("orders")
	c.produce("orders", "x")
	h := c.hosts[1]
	h.stop()
	h.start()
	c.until("the node is back", func() bool { return h.node != nil })
	if v, ok := h.node.Quorum(); !ok || v.Committed == 0 {
		t.Errorf("it sees %+v", v)
	}
	h.stop()
	if all, err := h.format(node.FormatOptions{NodeID: 2}); err != nil || all[0].Voters == "" {
		t.Errorf("formatted again, without voters: %+v, %v", all, err)
	}
	h.with("controller.quorum.voters", "1@n1:9093,2@n2:9093,3@n3:9093")
	h.start()
	c.until("the node is back, with the same voters configured", func() bool { return h.node != nil })
}

func TestOtherVotersThanFormattedAreRefused(t *testing.T) {
	c := formatted(t, "bc", "bc", "bc", "b")
	for i, voters := range []string{"1@n1:9093,2@n2:9093", "1@n1:9093,2@n2:9093,5@n5:9093"} {
		h := c.hosts[3*i]
		h.with("controller.quorum.voters", voters)
		h.start()
		h.refused("formatted with the voters 1@n1:9093,2@n2:9093,3@n3:9093: leave the setting out")
	}
	h := c.hosts[1]
	_, err := h.format(node.FormatOptions{NodeID: 2, Voters: []config.Voter{{ID: 1, Address: "n1:9093"}}})
	if err == nil || !strings.Contains(err.Error(), "is formatted with the voters 1@n1:9093,2@n2:9093,3@n3:9093, not with 1@n1:9093") {
		t.Errorf("formatted with other voters: %v", err)
	}
}

func TestABrokerThatKnowsNoVotersIsRefused(t *testing.T) {
	c := newCluster(t, 7, "c", "b")
	h := c.hosts[1]
	h.with("controller.quorum.voters", "")
	h.start()
	h.refused("no log directory is formatted with voters")
}
