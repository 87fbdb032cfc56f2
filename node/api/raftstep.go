package api

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/peer"
	"github.com/klammlog/klamm/node/quorum"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// RaftStep (key 20000, klamm's own): messages of the quorum from one controller to
// another. 0, on controllers' listeners.
//
// They are taken as they arrive; the answer says nothing about what becomes of
// them. Those of another cluster are INCONSISTENT_CLUSTER_ID, and what is no message
// INVALID_REQUEST.

func beginRaftStep(s *Server, call *Call) (answer, error) {
	q := &peer.RaftStep{}
	if err := s.decode(q, call); err != nil {
		return nil, err
	}
	err := s.sameCluster(q.ClusterID)
	if err == nil {
		for _, m := range q.Messages {
			err = errors.Join(err, s.quorum.Step(kafka.NodeID(q.From), m))
		}
	}
	return served(func() kmsg.Response { return &peer.RaftStepped{ErrorCode: kafka.Code(err)} }), nil
}

// sameCluster refuses who is of another cluster. A node that is new knows none.
func (s *Server) sameCluster(id string) error {
	if s.quorum == nil {
		return fmt.Errorf("this node is no controller: %w", kafka.ErrNotController)
	}
	if own := s.image().ClusterID(); id != "" && own != "" && id != own {
		s.w.Probe("a node of another cluster knocked")
		return fmt.Errorf("cluster %.100q: this is %q: %w", id, own, kafka.ErrInconsistentClusterID)
	}
	return nil
}

// ReadMetadata (key 20001, klamm's own): committed metadata for nodes that are no
// controllers, from any controller. 0, on controllers' listeners.
//
// It waits until there is some, or the wait is over: then the page is empty.

// maxPage is the most bytes of one page, unless one decision alone is larger.
const maxPage = 4 << 20

func readMetadata(s *Server, call *Call, q *peer.ReadMetadata) kmsg.Response {
	err := s.sameCluster(q.ClusterID)
	var page quorum.Page
	if err == nil {
		s.quorum.NoteObserver(kafka.NodeID(q.ReplicaID), meta.DirectoryID(q.Directory), kafka.Offset(q.From))
		bytes := min(max(int(q.MaxBytes), 1), maxPage)
		page, err = s.quorum.ReadCommitted(kafka.Offset(q.From), bytes, call.deadlineIn(max(q.MaxWaitMillis, 0)))
	}
	if err != nil {
		return &peer.MetadataRead{ErrorCode: kafka.Code(err), ErrorMessage: *message(err)}
	}
	return &peer.MetadataRead{Page: quorum.AppendPage(nil, page)}
}
