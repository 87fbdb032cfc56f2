package api

import (
	"strings"

	"github.com/klammlog/klamm/node/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A Served is one API and the versions that ApiVersions tells of it.
type Served struct {
	Key      int16
	Name     string
	Min, Max int16
}

// APIs returns what brokers serve, by key.
func APIs() []Served {
	var out []Served
	for _, h := range table() {
		if !h.on.serves(ofBrokers) {
			continue
		}
		out = append(out, Served{int16(h.key), nameOf(h.key), h.advertise, h.max})
	}
	return out
}

// nameOf returns a key's name as Kafka writes it: InitProducerId.
func nameOf(key kmsg.Key) string {
	if key == kmsg.AlterPartitionAssignments {
		return "AlterPartitionReassignments"
	}
	return strings.ReplaceAll(peer.NameForKey(int16(key)), "ID", "Id")
}
