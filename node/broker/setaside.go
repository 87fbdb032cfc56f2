package broker

import (
	"slices"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// replaceable reports whether the partition's files are not whole and nobody needs
// them. The controllers have to know that this log cannot be used: otherwise they may
// have let the replica into the in-sync set meanwhile. In a log directory that is out
// of service nothing is changed.
func (p *Partition) replaceable() bool {
	return (p.aside || p.rotten != nil) && p.cutting == 0 && !p.stranded() && p.dispensable() && p.toldOffline()
}

// stranded reports whether the partition is in a log directory that is out of service.
func (p *Partition) stranded() bool {
	d, placed := p.b.places[p.name]
	return placed && d.Failed() != nil
}

// toldOffline reports whether the metadata says that this life of the node cannot use
// the partition's log.
func (p *Partition) toldOffline() bool {
	self, ok := p.b.image.Broker(p.b.id)
	return ok && self.Epoch == p.b.epoch && slices.Contains(self.Offline, p.id)
}

// dispensable reports whether nobody needs what this node has of the partition:
// another broker leads, and this one counts neither as in sync nor as eligible to
// lead, so that all that was committed is elsewhere.
func (p *Partition) dispensable() bool {
	s := &p.state
	return s.Leader != meta.NoLeader && s.Leader != p.b.id && !slices.Contains(s.ISR, p.b.id) && !slices.Contains(s.ELR, p.b.id)
}

// recheckReplaceable has the files replaced that may be now.
func (b *Broker) recheckReplaceable() {
	for _, p := range b.all() {
		p.replaceIfPossible()
	}
}

// replaceIfPossible has the files of a partition replaced that are not whole, if
// nobody needs them.
func (p *Partition) replaceIfPossible() {
	if p.replaceable() {
		p.b.changedTopic(p.topic.id)
	}
}

// setAsideReplica takes the partition's files away, so that it can be fetched anew.
// It reports whether that was done. Blocks.
func (b *Broker) setAsideReplica(p *Partition) bool {
	b.w.Log.Warn("a replica is not whole: it is fetched anew", "partition", p.name.String(), "leader", int(p.state.Leader))
	p.detach(p.openError(kafka.ErrStorageError))
	p.aside = true
	if err := b.removePartition(p); err != nil {
		b.w.Log.Error("replica was not set aside", "partition", p.name.String(), "err", err)
		return false
	}
	b.w.Probe("a replica that was not whole is fetched anew")
	b.stats.Replaced++
	p.rotten, p.aside, p.anew, p.last = nil, false, true, nil
	return !p.gone()
}

// dropReplica removes a replica that was reassigned to others. Blocks.
func (b *Broker) dropReplica(t *topic, p *Partition) {
	b.w.Probe("a replica was removed by a reassignment")
	t.partitions[p.name.Partition] = nil
	p.detach(p.openError(kafka.ErrNotLeaderOrFollower))
	if err := b.removePartition(p); err != nil {
		b.w.Log.Error("replica was not removed", "partition", p.name.String(), "err", err)
	}
}

// clearStranger sets aside what lies under a partition's name and is of another
// topic, one that is deleted: it reports whether there was such. Blocks.
func (b *Broker) clearStranger(d *logDir, p *Partition) bool {
	id, err := commitlog.Identify(d.Dir, partitionPath(p.name))
	if err != nil || id == p.topic.id {
		return false
	}
	if _, exists := b.image.TopicByID(id); exists {
		return false
	}
	b.w.Probe("a deleted topic's files were in the way")
	return b.removeFiles(d, p.name, id) == nil
}

// removePartition sets the directory aside; the files are removed in the
// background. Blocks.
func (b *Broker) removePartition(p *Partition) error {
	d, ok := b.places[p.name]
	if !ok {
		return nil
	}
	if p.last != nil {
		if err := p.last.Close(); err != nil {
			b.w.Log.Warn("log of a replica that is removed was not closed cleanly", "partition", p.name.String(), "err", err)
		}
	}
	if err := b.removeFiles(d, p.name, p.topic.id); err != nil {
		return err
	}
	b.forget(p.name)
	return nil
}

// removeFiles sets a partition's directory aside and has it removed. Blocks.
func (b *Broker) removeFiles(d *logDir, tp kafka.TopicPartition, id kafka.TopicID) error {
	b.removals++
	gone := deletedPath(id, tp.Partition, b.removals)
	if err := setAside(d.fs, partitionPath(tp), gone); err != nil {
		return err
	}
	b.tasks.Go("broker/remove "+gone, func() {
		if err := removeAll(d.fs, gone); err != nil {
			b.w.Log.Error("files that are not needed were not removed", "directory", gone, "err", err)
		}
	})
	return nil
}
