package meta

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// Dump returns the image as records: applied to a new image, they give an equal
// one. They share the image's lists, which are never changed in place.
func (m *Image) Dump() []Record {
	if m.Level() == 0 {
		return nil
	}
	out := []Record{Feature{Name: MetadataVersion, Level: m.Level()}}
	for _, f := range m.features {
		if f.Name != MetadataVersion {
			out = append(out, f)
		}
	}
	if m.cluster != "" {
		out = append(out, Cluster{ID: m.cluster})
	}
	out = append(out, m.dumpBrokers()...)
	for _, s := range m.brokerSettings {
		for _, p := range s.pairs {
			out = append(out, BrokerConfig{Broker: s.id, Name: p.Name, Value: &p.Value})
		}
	}
	out = append(out, m.dumpGroups()...)
	var states []PartitionRecord
	for _, t := range m.topics {
		out = append(out, TopicRecord{Name: t.Name, ID: t.ID})
		out = append(out, settingsOf(t.ID, t.Settings)...)
		for i, s := range t.Partitions {
			states = append(states, PartitionRecord{Topic: t.ID, Partition: int32(i), PartitionState: s})
		}
	}
	out = append(out, partitionRecords(states)...)
	if m.nextPID > 0 {
		out = append(out, ProducerBlock{Broker: NoLeader, End: m.nextPID})
	}
	return out
}

// dumpBrokers returns the registrations in the order they were made.
func (m *Image) dumpBrokers() []Record {
	brokers := slices.Clone(m.brokers)
	slices.SortFunc(brokers, func(a, b Broker) int { return cmp.Compare(a.Epoch, b.Epoch) })
	var out []Record
	last := int64(0)
	for _, b := range brokers {
		out = append(out, b)
		last = b.Epoch
	}
	if last < m.brokerEpoch {
		out = append(out, BrokerEpoch{Last: m.brokerEpoch})
	}
	return out
}

// Digest returns a number that is equal for equal images, on every machine.
func (m *Image) Digest() uint64 {
	h := fnv.New64a()
	h.Write(EncodeAll(nil, m.Dump()))
	return h.Sum64()
}
