package meta

import (
	"fmt"
	"slices"
)

// Apply changes the image by one record of the log. An error means that the log
// is not one that this code, or an older version of it, can have written; the
// image is then as it was before, and the node must not go on.
func (m *Image) Apply(r Record) error {
	if f, first := r.(Feature); m.Level() == 0 && !(first && f.Name == MetadataVersion) {
		return fmt.Errorf("%T before the first feature level: %w", r, ErrMalformed)
	}
	switch r := r.(type) {
	case Feature:
		return m.applyFeature(r)
	case Cluster:
		return m.applyCluster(r)
	case Broker:
		return m.applyBroker(r)
	case BrokerChange:
		return m.applyBrokerChange(r)
	case BrokerOffline:
		return m.applyBrokerOffline(r)
	case RemoveBroker:
		return m.applyRemoveBroker(r)
	case BrokerEpoch:
		return m.applyBrokerEpoch(r)
	case TopicRecord:
		return m.applyTopic(r)
	case Partitions:
		return m.applyPartitions(r)
	case RemoveTopic:
		return m.applyRemove(r)
	case ConfigRecord:
		return m.applyConfig(r)
	case BrokerConfig:
		m.applyBrokerConfig(r)
		return nil
	case GroupConfig:
		m.applyGroupConfig(r)
		return nil
	case ProducerBlock:
		return m.applyBlock(r)
	}
	return fmt.Errorf("%T: %w", r, ErrMalformed)
}

func (m *Image) applyCluster(r Cluster) error {
	if m.cluster != "" || r.ID == "" {
		return fmt.Errorf("cluster id %q after %q: %w", r.ID, m.cluster, ErrMalformed)
	}
	m.cluster = r.ID
	return nil
}

func (m *Image) applyTopic(r TopicRecord) error {
	i, found := m.search(r.Name)
	if _, known := m.byID[r.ID]; found || known {
		return fmt.Errorf("topic %s, id %s: exists already: %w", r.Name, r.ID, ErrMalformed)
	}
	t := &Topic{Name: r.Name, ID: r.ID}
	m.topics = slices.Insert(m.topics, i, t)
	m.byID[r.ID] = t
	return nil
}

func (m *Image) applyRemove(r RemoveTopic) error {
	t, ok := m.byID[r.ID]
	if !ok {
		return fmt.Errorf("removal of unknown topic %s: %w", r.ID, ErrMalformed)
	}
	i, _ := m.search(t.Name)
	m.topics = slices.Delete(m.topics, i, i+1)
	delete(m.byID, r.ID)
	return nil
}

func (m *Image) applyBlock(r ProducerBlock) error {
	if r.End <= m.nextPID {
		return fmt.Errorf("producer ids up to %d after %d: %w", r.End, m.nextPID, ErrMalformed)
	}
	m.nextPID = r.End
	return nil
}
