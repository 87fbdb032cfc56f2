package broker

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/quorum"
)

// Partitions lie in directories named as in Kafka: "orders-2". What is being
// removed is renamed first, so that the name is free for a topic that is created
// again and a crash leaves nothing that could be taken for its data:
// "<topic id>-2.7-delete", the seventh removal of this process.
const deleteSuffix = "-delete"

func partitionPath(tp kafka.TopicPartition) string { return tp.String() }

func deletedPath(id kafka.TopicID, partition int32, nth int) string {
	return id.String() + "-" + strconv.Itoa(int(partition)) + "." + strconv.Itoa(nth) + deleteSuffix
}

// parsePath reads what partitionPath writes.
func parsePath(path string) (kafka.TopicPartition, bool) {
	dash := strings.LastIndexByte(path, '-')
	if dash <= 0 {
		return kafka.TopicPartition{}, false
	}
	n, err := strconv.ParseInt(path[dash+1:], 10, 32)
	tp := kafka.TopicPartition{Topic: path[:dash], Partition: int32(n)}
	return tp, err == nil && n >= 0 && tp.String() == path
}

// IsPartition reports whether a name in a log directory is that of a partition,
// other than the metadata's.
func IsPartition(name string) bool {
	_, ok := parsePath(name)
	return ok && name != quorum.MetadataPath
}

// A logDir is one log directory and how many partitions lie in it.
type logDir struct {
	*commitlog.Dir
	fs         env.FS
	partitions int
}

// sweepDirs looks through the log directories at the start: it finishes removals
// that a crash cut short, removes what belongs to no topic any more, and notes
// where each partition is. Blocks.
func (b *Broker) sweepDirs() error {
	for _, d := range b.dirs {
		names, err := d.fs.ReadDir(".")
		if err != nil {
			return fmt.Errorf("log directory %s: %w", d.Name(), err)
		}
		slices.Sort(names)
		for _, name := range names {
			if err := b.sweep(d, name); err != nil {
				b.w.Log.Error("leftover was not removed", "dir", d.Name(), "name", name, "err", err)
			}
		}
	}
	for _, q := range b.doubtful {
		if _, found := b.places[q.tp]; !found {
			b.note(q.tp, q.dir)
		}
	}
	return nil
}

// A doubt is a directory with a partition's name that cannot be read. It is the
// partition's place only if there is no other.
type doubt struct {
	tp  kafka.TopicPartition
	dir *logDir
}

// sweep looks at one entry of a log directory. Blocks.
func (b *Broker) sweep(d *logDir, name string) error {
	if strings.HasSuffix(name, deleteSuffix) {
		b.w.Probe("a removal that a crash cut short was finished")
		return removeAll(d.fs, name)
	}
	tp, ok := parsePath(name)
	if !ok || name == quorum.MetadataPath {
		return nil
	}
	id, err := commitlog.Identify(d.Dir, name)
	switch {
	case errors.Is(err, commitlog.ErrQuarantined):
		b.doubtful = append(b.doubtful, doubt{tp, d}) // opening it says what is wrong
		return nil
	case errors.Is(err, env.ErrNotExist):
		b.w.Probe("a partition whose creation a crash cut short was removed")
		return removeAll(d.fs, name)
	case err != nil:
		return err
	}
	t, exists := b.image.TopicByID(id)
	if !exists || t.Name != tp.Topic || int(tp.Partition) >= len(t.Partitions) || !contains(t.Partitions[tp.Partition].Replicas, b.id) {
		b.w.Probe("a partition of a deleted topic was removed")
		b.removals++
		gone := deletedPath(id, tp.Partition, b.removals)
		b.w.Log.Info("removing a partition of a topic that was deleted, or that is elsewhere now", "partition", name, "topic id", id.String())
		// The name has to be durable first: a power loss could bring the old one back,
		// with what is left of the files.
		if err := setAside(d.fs, name, gone); err != nil {
			return err
		}
		return removeAll(d.fs, gone)
	}
	b.note(tp, d)
	return nil
}

// note remembers where a partition is. Of two places the first one counts.
func (b *Broker) note(tp kafka.TopicPartition, d *logDir) {
	if _, twice := b.places[tp]; twice {
		b.w.Log.Error("partition is in two log directories: the first is used", "partition", tp.String(), "second", d.Name())
		return
	}
	b.places[tp] = d
	d.partitions++
}

// forget says that a partition is nowhere any more.
func (b *Broker) forget(tp kafka.TopicPartition) {
	if d, ok := b.places[tp]; ok {
		d.partitions--
		delete(b.places, tp)
	}
}

// setAside renames a partition's directory, durably, so that its name is free.
// Blocks.
func setAside(fs env.FS, path, gone string) error {
	if err := fs.Rename(path, gone); err != nil && !errors.Is(err, env.ErrNotExist) {
		return err
	}
	return fs.SyncDir(".")
}

// removeAll removes a directory with the files in it. What is not there is fine.
// Blocks.
func removeAll(fs env.FS, path string) error {
	names, err := fs.ReadDir(path)
	if errors.Is(err, env.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := fs.Remove(path + "/" + name); err != nil && !errors.Is(err, env.ErrNotExist) {
			return err
		}
	}
	if err := fs.Remove(path); err != nil && !errors.Is(err, env.ErrNotExist) {
		return err
	}
	return fs.SyncDir(".")
}

// errNowhere: a partition lies in none of the log directories that are there.
var errNowhere = errors.New("found in no log directory")

// placeFor returns the log directory of a partition: where it is, or the one in
// service with the fewest partitions. What may lie in a directory that is missing is
// not begun anew elsewhere, unless others have all that it held.
func (b *Broker) placeFor(p *Partition) (*logDir, error) {
	tp := p.name
	if d, ok := b.places[tp]; ok {
		return d, nil
	}
	var best *logDir
	for _, d := range b.dirs {
		if d.Failed() == nil && !d.Full() && (best == nil || d.partitions < best.partitions) {
			best = d
		}
	}
	if b.starting && b.missing != nil && !p.anew {
		return nil, fmt.Errorf("%s: %w, and %w: %w", tp, errNowhere, b.missing, kafka.ErrStorageError)
	}
	if best == nil {
		return nil, fmt.Errorf("%s: every log directory is full or out of service: %w", tp, kafka.ErrStorageError)
	}
	b.note(tp, best)
	return best, nil
}
