package broker

import (
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/txn"
)

// A DirView is what can be seen of one log directory.
type DirView struct {
	Name   string
	Failed error // why it is out of service; then nothing else is known

	Partitions  []PlacedView // in the order of their names
	Free, Total int64        // bytes of the disk; -1 if it does not tell
}

// A PlacedView is a partition in a log directory.
type PlacedView struct {
	Partition kafka.TopicPartition
	Size      int64 // bytes of all segments
}

// A LostDir is a log directory that could not be taken into use.
type LostDir struct {
	Name string
	Err  error
}

// Directories returns what can be seen of the log directories: those in use, and
// behind them those that could not be used from the start. Blocks.
func (b *Broker) Directories() []DirView {
	var out []DirView
	for _, d := range b.dirs {
		v := DirView{Name: d.Name(), Failed: d.Failed(), Free: -1, Total: -1}
		if v.Failed == nil {
			v.look(d)
		}
		out = append(out, v)
	}
	// Second look: other directories were asked meanwhile.
	for i, d := range b.dirs {
		if out[i].Failed = d.Failed(); out[i].Failed == nil {
			out[i].Partitions = b.placedIn(d)
		}
	}
	for _, lost := range b.lost {
		out = append(out, DirView{Name: lost.Name, Failed: lost.Err, Free: -1, Total: -1})
	}
	return out
}

// look asks the disk how much room there is. Blocks.
func (v *DirView) look(d *logDir) {
	if free, total, err := d.fs.Usage(); err == nil {
		v.Free, v.Total = free, total
	}
}

func (b *Broker) placedIn(d *logDir) []PlacedView {
	var out []PlacedView
	for _, p := range b.all() {
		if p.log != nil && b.places[p.name] == d {
			out = append(out, PlacedView{Partition: p.name, Size: p.log.Size()})
		}
	}
	return out
}

// Producers describes the idempotent producers that a partition knows of, by
// growing id.
func (b *Broker) Producers(topic string, partition int32) ([]txn.Info, error) {
	p, err := b.Partition(topic, partition)
	if err != nil {
		return nil, err
	}
	l, err := p.leading(kafka.NoLeaderEpoch)
	if err != nil {
		return nil, err
	}
	return l.Producers(), nil
}

// OfflineReplicas returns the replicas of a partition whose logs cannot be used, as
// far as this node knows: its own.
func (b *Broker) OfflineReplicas(t *meta.Topic, partition int32) []kafka.NodeID {
	p, err := b.replica(t, partition)
	if err != nil || p.broken == nil || kafka.ErrorOf(p.broken) != kafka.ErrStorageError {
		return nil
	}
	return []kafka.NodeID{b.id}
}
