package api

import (
	"github.com/klammlog/klamm/node/coordinator"
	"github.com/klammlog/klamm/node/group"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/machine"
)

// Groups are the coordinators of groups on this node.
type Groups = coordinator.Coordinators[*group.Shard]

// SetGroups has the server ask the coordinators of groups on this node. It is called
// before SetBroker.
func (s *Server) SetGroups(g *Groups) { s.groups = g }

// askGroup has the coordinator of a group decide about a request. Blocks.
func askGroup[A any, R group.Request](s *Server, id string, r R, method func(*group.Shard, machine.Moment, machine.Ticket, R)) A {
	v, err := s.groups.Do(id, func(m *group.Shard, at machine.Moment, t machine.Ticket) { method(m, at, t, r) })
	if err != nil {
		v = group.Failed(r, coordinatorCode(err))
	}
	return v.(A)
}

// coordinatorCode is what clients are told when the machine could not be asked. Each
// code has them look for the coordinator again.
func coordinatorCode(err error) kafka.Error {
	switch code := kafka.ErrorOf(err); code {
	case kafka.ErrNotCoordinator, kafka.ErrCoordinatorLoadInProgress:
		return code
	}
	return kafka.ErrCoordinatorNotAvailable
}

// client says who sends a call.
func (call *Call) client() group.Client {
	return group.Client{ID: call.ClientID, Host: "/" + hostOf(call.Client.Peer)}
}

// text returns what a nullable string says, "" for null.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// nullable returns null for "".
func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
