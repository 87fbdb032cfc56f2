package node

import (
	"slices"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/quorum"
)

// A controller that the others do not know, or know by a directory that is lost,
// hears nothing of the quorum: only voters and those that are to become voters do.
// With controller.quorum.auto.join.enable it asks them to be made one.

// maybeJoin starts the task that asks, if the settings want it.
func (n *Node) maybeJoin() {
	if !config.QuorumAutoJoin.In(n.settings) || len(config.VotersIn(n.settings)) == 0 {
		return
	}
	n.joining = env.NewGroup(n.w, "node/join")
	n.joining.Go("node/join", n.join)
}

// join asks whenever nobody is heard of for so long that somebody would have been
// elected if this node counted.
func (n *Node) join() {
	self := quorum.Voter{ID: n.id, Address: n.controllerAddress(), Directory: meta.DirectoryID(n.dirs[0].Dir.ID())}
	patience := 5 * config.QuorumElectionTimeout.Duration(n.settings)
	for {
		if n.w.Sleep(patience) != nil {
			return
		}
		if n.isVoter() || self.Address == "" {
			continue
		}
		n.w.Probe("a controller asked to be made a voter")
		if err := n.peers.AddVoter(self, n.w.Now().Add(max(patience, time.Second))); err != nil {
			n.w.Log.Info("controller is no voter yet", "controller", int(n.id), "err", err)
		}
	}
}

// isVoter reports whether this node hears of the quorum and votes in it.
func (n *Node) isVoter() bool {
	leader, _ := n.quorum.Leader()
	votes := slices.ContainsFunc(n.quorum.Voters(), func(v quorum.Voter) bool { return v.ID == n.id })
	return votes && leader != meta.NoLeader
}

// controllerAddress returns where the others reach this controller: as the
// configuration says of it as a voter, else its listener; "" if that names no host.
func (n *Node) controllerAddress() string {
	for _, v := range config.VotersIn(n.settings) {
		if v.ID == n.id {
			return v.Address
		}
	}
	for _, l := range config.ControllerListeners(n.settings) {
		if l.Host != "" && l.Port != 0 {
			return l.Address()
		}
	}
	return ""
}

// stopJoining ends the task. Blocks.
func (n *Node) stopJoining(deadline kafka.Instant) error {
	if n.joining == nil {
		return nil
	}
	n.joining.Cancel()
	return n.joining.Wait(deadline)
}
