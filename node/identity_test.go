package node_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// on runs f as a task of the host.
func (h *host) on(what string, f func()) {
	h.c.t.Helper()
	if !h.sim.Alive() {
		h.sim.Restart()
	}
	done := false
	h.sim.Go(what, func() {
		f()
		done = true
	})
	h.c.until(what, func() bool { return done })
}

func (h *host) format(o node.FormatOptions) (all []node.Identity, err error) {
	h.on("format", func() { all, err = node.Format(h.w, o) })
	return all, err
}

// refused waits until the host's node has ended without having served.
func (h *host) refused(want string) {
	h.c.t.Helper()
	err := error(nil)
	ended := func() bool { err = h.ended; return err != nil || h.node != nil }
	h.c.k.Run(h.c.k.Now().Add(time.Minute), ended)
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		h.c.t.Fatalf("node %d: %v, want %q in one line", h.id, err, want)
	}
	h.ended = nil
	h.crash()
}

func TestDirectoriesBelongToOneNodeOfOneCluster(t *testing.T) {
	c := newCluster(t, 1, "bc", "bc", "bc")
	c.start()
	cluster := c.hosts[0].node.Image().ClusterID()
	h := c.hosts[2]
	h.stop()

	before := h.set
	h.with("node.id", "2")
	h.with("controller.quorum.voters", "2@n3:9093")
	h.start()
	h.refused("log directory n3/disk0 belongs to node 3")
	h.set = before

	if _, err := h.format(node.FormatOptions{NodeID: 2}); err == nil || !strings.Contains(err.Error(), "belongs to node 3") {
		t.Errorf("formatted as another node: %v", err)
	}
	if _, err := h.format(node.FormatOptions{NodeID: 3, ClusterID: "other"}); err == nil || !strings.Contains(err.Error(), "belongs to cluster "+cluster) {
		t.Errorf("formatted for another cluster: %v", err)
	}
	all, err := h.format(node.FormatOptions{NodeID: 3})
	if err != nil || len(all) != 1 || all[0].ClusterID != cluster || all[0].NodeID != 3 {
		t.Errorf("formatted again: %+v, %v", all, err)
	}
	h.start()
	c.until("the node is back", func() bool { return h.node != nil })
}

func TestANodeOfAnotherClusterIsRefused(t *testing.T) {
	c := newCluster(t, 2, "c", "b")
	for i, cluster := range []string{"mine", "theirs"} {
		if _, err := c.hosts[i].format(node.FormatOptions{NodeID: kafka.NodeID(i + 1), ClusterID: cluster}); err != nil {
			t.Fatal(err)
		}
	}
	c.hosts[0].start()
	c.until("the controller serves", func() bool { return c.hosts[0].node != nil })
	if got := c.hosts[0].node.Image().ClusterID(); got != "mine" {
		t.Errorf("the cluster is %s", got)
	}
	c.hosts[1].start()
	c.hosts[1].refused("belongs to cluster theirs, and the controllers to cluster mine")
}

func TestWhatIsNotANodesIdentityIsNotTakenForOne(t *testing.T) {
	c := newCluster(t, 3, "c")
	h := c.hosts[0]
	if _, err := h.format(node.FormatOptions{NodeID: 1, ClusterID: "mine"}); err != nil {
		t.Fatal(err)
	}
	h.on("damage", func() {
		f, err := h.w.LogDirs[0].FS.OpenFile("node", env.Write)
		if err == nil {
			_, err = f.WriteAt([]byte{'!'}, 10)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Error(err)
		}
	})
	h.start()
	h.refused("file node: damaged")
}

func TestAControllerJoinsTheVoters(t *testing.T) {
	c := newCluster(t, 4, "bc", "bc", "bc", "bc")
	late := c.hosts[3]
	for _, h := range c.hosts {
		h.with("controller.quorum.voters", "1@n1:9093,2@n2:9093,3@n3:9093")
	}
	for _, h := range c.hosts[:3] {
		h.start()
	}
	c.until("three nodes serve", func() bool { return len(c.bootstrap()) == 3 })
	all, err := late.format(node.FormatOptions{NodeID: 4, ClusterID: c.hosts[0].node.Image().ClusterID()})
	if err != nil {
		t.Fatal(err)
	}
	late.start()
	c.admin("adding a voter", func(cl *client.Client, deadline kafka.Instant) error {
		return cl.AddVoter(client.Voter{ID: 4, Directory: all[0].Directory, Host: "n4", Port: 9093, Listener: "CONTROLLER"}, deadline)
	})
	c.until("the fourth serves", func() bool { return late.node != nil })
	lost := c.hosts[0]
	lost.crash()
	c.create("orders")
	c.produce("orders", "x")
	if v, ok := late.node.Quorum(); !ok || v.Leader < 2 {
		t.Errorf("the new voter sees %+v", v)
	}
}

func TestAControllerThatLostItsDiskJoinsAgain(t *testing.T) {
	c := newCluster(t, 5, "bc", "bc", "bc")
	for _, h := range c.hosts {
		h.with("controller.quorum.auto.join.enable", "true")
	}
	c.start()
	c.create("orders")
	c.produce("orders", "x")
	c.inSync()
	lost := c.hosts[2]
	lost.crash()
	lost.w.LogDirs[0].FS = disksim.New(c.k, "n3/new", disksim.Options{}).FS(lost.sim)
	lost.start()
	c.until("the node is back", func() bool { return lost.node != nil })
	c.inSync()
	c.hosts[0].crash()
	c.create("more")
	lost.on("reading identities", func() {
		if all, err := node.Identities(lost.w); err != nil || len(all) != 1 || all[0].NodeID != 3 {
			t.Errorf("identities %+v, %v", all, err)
		}
	})
}

func TestASecondLiveBrokerUnderANumberIsRefusedInOneLine(t *testing.T) {
	c := newCluster(t, 6, "c", "b", "b")
	twin := c.hosts[2]
	twin.with("node.id", "2")
	c.hosts[0].start()
	c.hosts[1].start()
	c.until("the first serves", func() bool { return c.hosts[1].node != nil })
	twin.start()
	twin.refused("node.id=2 is taken by a broker that is alive at n2:9092")

	c.hosts[1].crash()
	c.until("its session has ended", func() bool { return !c.hosts[0].node.Image().Alive(2) })
	twin.start()
	c.until("the second serves", func() bool { return twin.node != nil })

	// The first one's disk is that of a former life: it is refused as any other.
	c.hosts[1].start()
	c.hosts[1].refused("node.id=2 is taken by a broker that is alive at n3:9092")
	twin.crash()
	c.until("the second's session has ended", func() bool { return !c.hosts[0].node.Image().Alive(2) })
	c.hosts[1].start()
	c.until("the first is back", func() bool { return c.hosts[1].node != nil })
}
