package meta

import (
	"fmt"
	"slices"
)

// Apply changes the image by one record of the log. An error means that the log
// is not one that this code, or an older version of it, can have written; the
// image is then as it was before, and the node must not go on.
func (m *Image) Apply(r Record) error {
	if _, first := r.(Feature); m.level == 0 && !first {
		return fmt.Errorf("%T before the first feature level: %w", r, ErrMalformed)
	}
	switch r := r.(type) {
	case Feature:
		return m.applyFeature(r)
	case Cluster:
		return m.applyCluster(r)
	case Broker:
		return m.applyBroker(r)
	case TopicRecord:
		return m.applyTopic(r)
	case PartitionRecord:
		return m.applyPartition(r)
	case RemoveTopic:
		return m.applyRemove(r)
	case ConfigRecord:
		return m.applyConfig(r)
	case BrokerConfig:
		m.applyBrokerConfig(r)
		return nil
	case ProducerBlock:
		return m.applyBlock(r)
	}
	return fmt.Errorf("%T: %w", r, ErrMalformed)
}

func (m *Image) applyFeature(r Feature) error {
	if r.Name != MetadataVersion || r.Level < 1 {
		return fmt.Errorf("feature %s level %d: %w", r.Name, r.Level, ErrMalformed)
	}
	if r.Level > Level {
		return fmt.Errorf("%s %d, this version knows %d: %w", r.Name, r.Level, Level, ErrTooNew)
	}
	m.level = r.Level
	return nil
}

func (m *Image) applyCluster(r Cluster) error {
	if m.cluster != "" || r.ID == "" {
		return fmt.Errorf("cluster id %q after %q: %w", r.ID, m.cluster, ErrMalformed)
	}
	m.cluster = r.ID
	return nil
}

func (m *Image) applyBroker(r Broker) error {
	i, found := m.searchBroker(r.ID)
	if !found {
		m.brokers = slices.Insert(m.brokers, i, r)
		return nil
	}
	if r.Epoch <= m.brokers[i].Epoch {
		return fmt.Errorf("broker %d: epoch %d after %d: %w", r.ID, r.Epoch, m.brokers[i].Epoch, ErrMalformed)
	}
	m.brokers[i] = r
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

func (m *Image) applyPartition(r PartitionRecord) error {
	t, ok := m.byID[r.Topic]
	if !ok {
		return fmt.Errorf("partition %d of unknown topic %s: %w", r.Partition, r.Topic, ErrMalformed)
	}
	if err := r.check(); err != nil {
		return fmt.Errorf("%s-%d: %v: %w", t.Name, r.Partition, err, ErrMalformed)
	}
	switch n := int32(len(t.Partitions)); {
	case r.Partition < 0 || r.Partition > n:
		return fmt.Errorf("%s-%d: the topic has %d partitions: %w", t.Name, r.Partition, n, ErrMalformed)
	case r.Partition == n:
		t.Partitions = append(t.Partitions, r.PartitionState)
		return nil
	}
	old := t.Partitions[r.Partition]
	if r.LeaderEpoch < old.LeaderEpoch || r.Epoch <= old.Epoch {
		return fmt.Errorf("%s-%d: leader epoch %d after %d, partition epoch %d after %d: %w",
			t.Name, r.Partition, r.LeaderEpoch, old.LeaderEpoch, r.Epoch, old.Epoch, ErrMalformed)
	}
	t.Partitions[r.Partition] = r.PartitionState
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
