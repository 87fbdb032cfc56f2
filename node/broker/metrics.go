package broker

import "github.com/klammlog/klamm/node/commitlog"

// Metrics are counts since the start, and what is there now.
type Metrics struct {
	Stats
	ProduceWaiting, FetchWaiting int64 // requests that wait now
	Topics                       int
	PartitionLogs                []PartitionMetrics // in the order of their names
	Dirs                         []DirMetrics       // in the order of the configuration
}

// PartitionMetrics are one partition's sizes.
type PartitionMetrics struct {
	View
	Segments int
}

// DirMetrics is one log directory's state. Those that could not be taken into use
// have nothing but their name.
type DirMetrics struct {
	Name       string
	Failed     error
	Size       int64 // bytes of the segments of all partitions in it
	Partitions int
	OpenFiles  int
	Flushes    commitlog.Flushes
}

// metricsAtOnce is how many partitions are looked at before other tasks have their
// turn.
const metricsAtOnce = 256

// Metrics gathers the metrics. It lets other tasks run now and then: the numbers
// are of about the same time. Blocks.
func (b *Broker) Metrics() Metrics {
	m := Metrics{Topics: len(b.image.Topics()), ProduceWaiting: b.waiting.produce, FetchWaiting: b.waiting.fetch}
	bytes, counts := map[*logDir]int64{}, map[*logDir]int{}
	for i, p := range b.all() {
		if i%metricsAtOnce == metricsAtOnce-1 {
			b.w.Offload(func() {})
		}
		v := PartitionMetrics{View: p.View()}
		if p.log != nil {
			v.Segments = p.log.Segments()
		}
		d := b.places[p.name]
		bytes[d] += v.Size
		counts[d]++
		m.PartitionLogs = append(m.PartitionLogs, v)
	}
	m.Stats = b.Stats()
	for _, d := range b.dirs {
		m.Dirs = append(m.Dirs, DirMetrics{
			Name: d.Name(), Failed: d.Failed(), Size: bytes[d], Partitions: counts[d],
			OpenFiles: d.OpenFiles(), Flushes: d.Flushes(),
		})
	}
	for _, lost := range b.lost {
		m.Dirs = append(m.Dirs, DirMetrics{Name: lost.Name, Failed: lost.Err})
	}
	return m
}
