package api

import "strings"

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
		out = append(out, Served{int16(h.key), kafkaName(h.key.Name()), h.advertise, h.max})
	}
	return out
}

// kafkaName writes a name as Kafka does: InitProducerId.
func kafkaName(name string) string { return strings.ReplaceAll(name, "ID", "Id") }
