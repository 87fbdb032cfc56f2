package broker

import "github.com/klammlog/klamm/node/kafka"

// View returns what observers see of one partition; false if this node has none of it.
func (b *Broker) View(tp kafka.TopicPartition) (View, bool) {
	t, ok := b.image.Topic(tp.Topic)
	if !ok || b.topics[t.ID] == nil {
		return View{}, false
	}
	local := b.topics[t.ID].partitions
	if int(tp.Partition) >= len(local) || local[tp.Partition] == nil {
		return View{}, false
	}
	return local[tp.Partition].View(), true
}
