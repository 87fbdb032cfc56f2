package api

import (
	"fmt"
	"slices"
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
	if known, ok := x.voter(q.VoterID); ok && known.Directory == v.Directory {
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
	known, ok := x.voter(q.VoterID)
	if !ok || known.Directory != q.VoterDirectoryID {
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

func (x *control) voter(id int32) (quorum.Voter, bool) {
	voters := x.s.quorum.Voters()
	i := slices.IndexFunc(voters, func(v quorum.Voter) bool { return v.ID == kafka.NodeID(id) })
	if i < 0 {
		return quorum.Voter{}, false
	}
	return voters[i], true
}

// hostPort joins a host and a port, with brackets around a host that has colons.
func hostPort(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(port))
}
