package api

import (
	"testing"

	"github.com/klammlog/klamm/node/config"
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
		s := &Server{config: view, conns: make([]*conn, c.open), perIP: map[string]int{"10.0.0.1": c.one}}
		if got := s.full("10.0.0.1:4711"); got != c.want {
			t.Errorf("%s: full is %t", c.name, got)
		}
	}
}
