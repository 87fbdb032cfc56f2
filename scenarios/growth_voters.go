package scenarios

import (
	"slices"
	"time"

	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// replaceVoter has a controller join, which learns and then votes, and another
// leave: as often as not the one that leads. Blocks.
func (s *steward) replaceVoter(cl *client.Client, spare *brokerHost) {
	s.doing = "letting " + spare.seat.name + " vote"
	v := client.Voter{ID: kafka.NodeID(spare.seat.id), Directory: s.format(spare), Host: spare.seat.name, Port: controllerPort, Listener: "CONTROLLER"}
	spare.join()
	for kafka.ErrorOf(cl.AddVoter(v, s.soon())) != kafka.ErrDuplicateVoter { // what it says of who votes already
		s.world.Sleep(100 * time.Millisecond)
	}
	s.r.took(replicaMoves, true)
	s.rest()
	s.removeVoter(cl, s.someVoter(spare))
}

// someVoter draws who leaves. One of the first voters stays: it is where a broker
// that comes back finds the others.
func (s *steward) someVoter(spare *brokerHost) *brokerHost {
	if c := s.r.controller(); c != nil && c != spare && !s.isLastOfFirst(c) && s.draws.IntN(2) == 0 {
		return c
	}
	var others []*brokerHost
	for _, b := range s.r.nodes {
		if b.seat.isVoter() && !b.absent && b != spare && !s.isLastOfFirst(b) {
			others = append(others, b)
		}
	}
	return pick(s.draws, others...)
}

// isLastOfFirst reports whether nobody else is left of the first voters.
func (s *steward) isLastOfFirst(c *brokerHost) bool {
	return !c.seat.late && !slices.ContainsFunc(s.r.nodes, func(b *brokerHost) bool {
		return b.seat.isVoter() && !b.seat.late && !b.absent && b != c
	})
}

// removeVoter has a controller vote no more, and ends it. Blocks.
func (s *steward) removeVoter(cl *client.Client, b *brokerHost) {
	s.doing = "taking the vote from " + b.seat.name
	v := client.Voter{ID: kafka.NodeID(b.seat.id), Directory: s.directoryOf(cl, b)}
	for kafka.ErrorOf(cl.RemoveVoter(v, s.soon())) != kafka.ErrVoterNotFound { // what it says of who votes no more
		s.world.Sleep(100 * time.Millisecond)
	}
	b.leave()
}

// format has an operator write down whose a machine's disk is that was never used,
// and returns its directory. Blocks.
func (s *steward) format(b *brokerHost) (id meta.DirectoryID) {
	for id == (meta.DirectoryID{}) {
		b.node.Go("format", func() {
			if cluster := s.clusterID(); cluster != "" {
				if all, err := node.Format(b.world, node.FormatOptions{NodeID: kafka.NodeID(b.seat.id), ClusterID: cluster}); err == nil {
					id = all[0].Directory
				}
			}
		})
		s.world.Sleep(100 * time.Millisecond)
	}
	return id
}

// clusterID returns the cluster's name as a running node has it, "" if none runs.
func (s *steward) clusterID() string {
	for _, b := range s.r.nodes {
		if b.running != nil {
			return b.running.Image().ClusterID()
		}
	}
	return ""
}

// directoryOf asks the cluster by which directory it knows a voter. Blocks.
func (s *steward) directoryOf(cl *client.Client, b *brokerHost) meta.DirectoryID {
	for {
		q, err := cl.DescribeQuorum(s.soon())
		for _, v := range q.Voters {
			if err == nil && v.ID == kafka.NodeID(b.seat.id) && v.Directory != (meta.DirectoryID{}) {
				return v.Directory
			}
		}
		s.world.Sleep(100 * time.Millisecond)
	}
}
