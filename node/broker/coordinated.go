package broker

import "github.com/klammlog/klamm/node/kafka"

// OnLead has f called when this node begins to lead a partition, with the leader
// epoch, and when it ceases to, with NoLeaderEpoch. f must not block.
func (b *Broker) OnLead(f func(p kafka.TopicPartition, epoch kafka.LeaderEpoch)) {
	b.onLead = append(b.onLead, f)
}

func (b *Broker) announceLead(p kafka.TopicPartition, epoch kafka.LeaderEpoch) {
	for _, f := range b.onLead {
		f(p, epoch)
	}
}

// Progress returns the high watermark and the log end of a partition that this node
// leads in a leader epoch. What earlier leaders have acknowledged lies below the
// log end that the epoch began with.
func (b *Broker) Progress(name kafka.TopicPartition, epoch kafka.LeaderEpoch) (high, end kafka.Offset, err error) {
	p, err := b.Partition(name.Topic, name.Partition)
	if err != nil {
		return kafka.NoOffset, kafka.NoOffset, err
	}
	l, err := p.leading(epoch)
	if err != nil {
		return kafka.NoOffset, kafka.NoOffset, err
	}
	return p.high, l.End(), nil
}

// SurelyLeads reports whether nobody else can lead by now what this node leads as
// far as it knows: its session cannot be over.
func (b *Broker) SurelyLeads() bool { return b.surelyLeads() }
