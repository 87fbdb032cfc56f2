package api

import (
	"testing"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestTheLimitsOfConnectionsAreKeptToTheLast(t *testing.T) {
	view, err := config.NewBroker([]config.Pair{{Name: "max.connections", Value: "3"}, {Name: "max.connections.per.ip", Value: "2"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		open, one int // connections, and those of the address that asks
		want      bool
	}{
		{"nobody is there", 0, 0, false},
		{"one place is left", 2, 1, false},
		{"all places are taken", 3, 0, true},
		{"all places of the address are taken", 2, 2, true},
	} {
		s := &Server{config: view, clients: c.open, perIP: map[string]int{"10.0.0.1": c.one}}
		if got := s.full("10.0.0.1:4711"); got != c.want {
			t.Errorf("%s: full is %t", c.name, got)
		}
	}
}

func TestClientsDoNotTakeThePlacesOfNodes(t *testing.T) {
	at := func(pairs ...config.Pair) *Server {
		view, err := config.NewBroker(append(pairs, config.Pair{Name: "max.connections", Value: "2"}))
		if err != nil {
			t.Fatal(err)
		}
		return &Server{config: view, perIP: map[string]int{}}
	}
	one := at(config.Pair{Name: "listeners", Value: "PLAINTEXT://:1,CONTROLLER://:2"}, config.Pair{Name: "controller.quorum.voters", Value: "1@a:2"},
		config.Pair{Name: "node.id", Value: "1"})
	two := at(config.Pair{Name: "listeners", Value: "PLAINTEXT://:1,INSIDE://:2"}, config.Pair{Name: "inter.broker.listener.name", Value: "INSIDE"},
		config.Pair{Name: "listener.security.protocol.map", Value: "INSIDE:PLAINTEXT"})
	for _, c := range []struct {
		name           string
		s              *Server
		l              listener
		clients, nodes int
		want           bool
	}{
		{"clients have taken all places, and a controller comes", one, listener{name: "CONTROLLER", via: ofControllers}, 2, 0, false},
		{"clients have taken all places, and a client comes", one, listener{name: "PLAINTEXT"}, 2, 0, true},
		{"nodes have taken all of theirs, and a client comes", one, listener{name: "PLAINTEXT"}, 1, 2, false},
		{"nodes have taken all of theirs, and a controller comes", one, listener{name: "CONTROLLER", via: ofControllers}, 0, 2, true},
		{"clients have taken all places, and a broker comes by its own listener", two, listener{name: "INSIDE"}, 2, 0, false},
		{"clients have taken all places of theirs", two, listener{name: "PLAINTEXT"}, 2, 0, true},
	} {
		c.s.clients, c.s.nodes = c.clients, c.nodes
		if got := c.s.fullFor(&c.l, "10.0.0.1:4711"); got != c.want {
			t.Errorf("%s: full is %t", c.name, got)
		}
	}
}

// What clients hold does not keep nodes waiting.
func TestNodesHaveMemoryOfTheirOwn(t *testing.T) {
	inWorld(t, func(w *env.World) {
		s, _ := bare(t, w)
		s.budget = budget{w: w, limit: 10, used: 10}
		s.nodeRequests = budget{w: w, limit: 1 << 20}
		q := &peer.ReadMetadata{ClusterID: "c"}
		c := s.newConn(&dripping{b: kmsg.NewRequestFormatter().AppendRequest(nil, q, 1)}, &listener{name: "CONTROLLER", via: ofControllers})
		call, err := c.readCall()
		if err != nil || s.nodeRequests.used == 0 {
			t.Fatalf("%d bytes of the nodes' budget are used: %v", s.nodeRequests.used, err)
		}
		call.frame.release()
		if s.nodeRequests.used != 0 || s.budget.used != 10 || c.held != 0 {
			t.Errorf("%d and %d bytes are used at the end", s.nodeRequests.used, s.budget.used)
		}
	})
}
