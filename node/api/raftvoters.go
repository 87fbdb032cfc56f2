package api

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/quorum"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// AddRaftVoter (key 80) and RemoveRaftVoter (key 81): controllers join and leave
// the quorum while it works (KIP-853). 0 to 1, and 0.
//
// A voter is a node with the directory that its log is in. One that joins learns
// first and is a voter once it has caught up; the answer waits for that, up to the
// request's timeout: then it is REQUEST_TIMED_OUT, and the voter joins all the same.
// One that is a voter already is DUPLICATE_VOTER, one that is none VOTER_NOT_FOUND,
// another cluster's id INCONSISTENT_CLUSTER_ID. The first of the listeners counts.
//
// Deviation: v1 may ask for an answer before the change is committed; it is not
// given.

func addRaftVoter(x *control, q *kmsg.AddRaftVoterRequest) *kmsg.AddRaftVoterResponse {
	r := kmsg.NewPtrAddRaftVoterResponse()
	if err := x.addVoter(q); err != nil {
		r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
	}
	return r
}

func (x *control) addVoter(q *kmsg.AddRaftVoterRequest) error {
	if err := x.checkQuorum(q.ClusterID); err != nil {
		return err
	}
	if len(q.Listeners) == 0 {
		return fmt.Errorf("voter %d: no listener: %w", q.VoterID, kafka.ErrInvalidRequest)
	}
	at := q.Listeners[0]
	v := quorum.Voter{ID: kafka.NodeID(q.VoterID), Address: hostPort(at.Host, at.Port), Directory: q.VoterDirectoryID}
	votes := func() bool {
		known, ok := x.s.quorum.Voter(kafka.NodeID(q.VoterID))
		return ok && known.Directory == v.Directory
	}
	if sure, err := x.isSure(votes, x.deadline(q)); err != nil {
		return err
	} else if sure {
		return fmt.Errorf("voter %d: %w", q.VoterID, kafka.ErrDuplicateVoter)
	}
	return x.s.quorum.AddVoter(v, x.deadline(q))
}

func removeRaftVoter(x *control, q *kmsg.RemoveRaftVoterRequest) *kmsg.RemoveRaftVoterResponse {
	r := kmsg.NewPtrRemoveRaftVoterResponse()
	if err := x.removeVoter(q); err != nil {
		r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
	}
	return r
}

func (x *control) removeVoter(q *kmsg.RemoveRaftVoterRequest) error {
	if err := x.checkQuorum(q.ClusterID); err != nil {
		return err
	}
	none := func() bool {
		known, ok := x.s.quorum.Voter(kafka.NodeID(q.VoterID))
		return !ok || known.Directory != q.VoterDirectoryID
	}
	if sure, err := x.isSure(none, x.deadline(q)); err != nil {
		return err
	} else if sure {
		return fmt.Errorf("voter %d, directory %x: %w", q.VoterID, q.VoterDirectoryID, kafka.ErrVoterNotFound)
	}
	return x.s.quorum.RemoveVoter(kafka.NodeID(q.VoterID), x.deadline(q))
}

// checkQuorum refuses what is not for this quorum, or not for this member of it.
func (x *control) checkQuorum(clusterID *string) error {
	switch own := x.s.image().ClusterID(); {
	case x.refused != nil:
		return x.refused
	case clusterID != nil && *clusterID != own:
		return fmt.Errorf("cluster %.100q: this is %q: %w", *clusterID, own, kafka.ErrInconsistentClusterID)
	case x.s.quorum == nil:
		return fmt.Errorf("this node is no controller: %w", kafka.ErrNotController)
	}
	return nil
}

// isSure reports whether something is so of the voters, in everything that was
// committed when it was called: a controller that leads no more without knowing it
// may know others. Blocks.
func (x *control) isSure(is func() bool, deadline kafka.Instant) (bool, error) {
	if !is() {
		return false, nil
	}
	if err := x.s.quorum.Barrier(deadline); err != nil {
		return false, fmt.Errorf("voters: %w: %w", err, kafka.ErrNotController)
	}
	return is(), nil
}

// hostPort joins a host and a port, with brackets around a host that has colons.
func hostPort(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(port))
}
