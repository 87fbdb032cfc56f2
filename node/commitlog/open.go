package commitlog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/txn"
)

const partitionName = "partition"

// Open opens a log, and makes it if there is none. What a crash left behind is
// put in order first.
//
// It fails with ErrQuarantined if something that was synced is not there any
// more, and has changed nothing then; with ErrOffline if the directory is or
// went out of service. Blocks.
func Open(w *env.World, d *Dir, o Options) (*Log, error) {
	l := &Log{w: w, dir: d, o: o, name: o.Partition.String(), producers: &txn.Producers{}, era: &era{}, opened: w.Wall()}
	l.turn = env.NewTurn(w, "log "+l.name)
	l.care = env.NewTurn(w, "care "+l.name)
	l.changed = w.NewCond("changed " + l.name)
	l.manifest = newManifest(d, o.Path, l.header(kindManifest))
	l.manifest.completing = l.learn
	if d.failed != nil {
		return nil, fmt.Errorf("%s: %w", l.name, d.failed)
	}
	if err := l.open(); err != nil {
		l.ended = true
		l.letGoAll()
		if errors.Is(err, ErrQuarantined) {
			w.Log.Error("partition is quarantined", "partition", l.name, "dir", d.name, "err", err)
		}
		return nil, fmt.Errorf("%s: %w", l.name, err)
	}
	d.logs = append(d.logs, l)
	return l, nil
}

// header returns the header of one of the log's files, but for base and number.
func (l *Log) header(k kind) header {
	return header{kind: k, dir: l.dir.id, topic: l.o.TopicID, partition: l.o.Partition.Partition}
}

func (l *Log) open() error {
	made, err := l.checkIdentity()
	if err != nil {
		return err
	}
	if made {
		return nil
	}
	torn, err := l.manifest.load()
	if errors.Is(err, env.ErrNotExist) {
		return l.beginAnew()
	}
	if err != nil {
		return err
	}
	if err := l.finishSwap(); err != nil {
		return err
	}
	c := &l.manifest.catalog
	if c.clean && !torn {
		ok, err := l.openClean()
		if err != nil || ok {
			return err
		}
	}
	l.w.Probe("a log was opened after an unclean end")
	if err := l.manifest.complete(); err != nil {
		return err
	}
	if err := l.proveIdentity(); err != nil {
		return err
	}
	return l.recover()
}

// proveIdentity makes the partition file durable where nothing proves that it is:
// it was synced before it got its name, but whoever gave it the name may have
// failed to sync the directory. Whatever the manifest was told after its beginning
// it was told behind a durable identity. Blocks.
func (l *Log) proveIdentity() error {
	if l.manifest.used > len((&catalog{}).facts()) {
		return nil
	}
	return l.syncPlace()
}

// syncPlace makes the names durable that lead to the log's files. Blocks.
func (l *Log) syncPlace() error {
	for _, dir := range []string{l.o.Path, "."} {
		if err := l.dir.fs.SyncDir(dir); err != nil {
			return l.dir.fail("sync directory "+dir, err)
		}
	}
	return nil
}

// checkIdentity reads the partition file, or makes a new log where there is
// none. made reports that it did.
func (l *Log) checkIdentity() (made bool, err error) {
	b, err := readWhole(l.dir.fs, l.o.Path+"/"+partitionName)
	if err != nil && !errors.Is(err, env.ErrNotExist) {
		return false, err
	}
	if err == nil {
		if err = l.parseIdentity(b); err == nil {
			return false, nil
		}
	}
	// A log whose making a crash cut short never took a record.
	names, listErr := l.dir.fs.ReadDir(l.o.Path)
	if listErr != nil && !errors.Is(listErr, env.ErrNotExist) {
		return false, listErr
	}
	for _, name := range names {
		if !ofBeginning(name) {
			return false, fmt.Errorf("%w: %s/%s: %w", ErrQuarantined, l.o.Path, partitionName, err)
		}
	}
	if slices.Contains(names, partitionName) && l.manifestSound() {
		return false, fmt.Errorf("%w: %s/%s: %w", ErrQuarantined, l.o.Path, partitionName, err)
	}
	return true, l.create()
}

// beginAnew makes a log that has an identity and no manifest: a power loss cut its
// making short, and of its first names not all were there. They are all durable before
// it takes a record. Blocks.
func (l *Log) beginAnew() error {
	names, err := l.dir.fs.ReadDir(l.o.Path)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !ofBeginning(name) {
			return fmt.Errorf("%w: %s is missing", ErrQuarantined, l.manifest.path)
		}
	}
	l.w.Probe("a log was made again that had a name and no manifest")
	return l.create()
}

// ofBeginning reports whether a file of that name is there before a log takes its
// first record.
func ofBeginning(name string) bool {
	return name == partitionName || name == partitionName+tempSuffix || name == manifestName
}

// manifestSound reports whether there is a manifest that was used.
func (l *Log) manifestSound() bool {
	m := newManifest(l.dir, l.o.Path, l.header(kindManifest))
	_, err := m.load()
	return err == nil && m.used > len((&catalog{}).facts())
}

func (l *Log) identity() []byte {
	b := l.header(kindPartition).encode()
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = append(b, l.o.Partition.Topic...)
	seal(b[at:], le.Uint32(b[60:]))
	return b
}

func (l *Log) parseIdentity(b []byte) error {
	h, err := parseHeader(b, kindPartition)
	if err != nil {
		return err
	}
	if len(b) < headerSize+4 || !sound(b[headerSize:], h.seed()) {
		return fmt.Errorf("%w: checksum", errHeader)
	}
	topic := string(b[headerSize+4:])
	if !h.sameOwner(l.header(kindPartition)) || topic != l.o.Partition.Topic {
		return fmt.Errorf("%w: holds %s-%d of topic id %s in directory %x, not topic id %s in directory %x",
			errHeader, topic, h.partition, h.topic, h.dir, l.o.TopicID, l.dir.id)
	}
	return nil
}

// create makes an empty log, durably. Blocks.
func (l *Log) create() error {
	if err := l.dir.fs.Mkdir(l.o.Path); err != nil && !errors.Is(err, env.ErrExist) {
		return l.judge("make "+l.o.Path, err)
	}
	if err := l.manifest.create(); err != nil {
		return l.judge("create "+l.manifest.path, err)
	}
	// Renamed into place, so that what has the name has been synced: of a file whose
	// sync failed the next process would see the page cache, and believe it.
	path := l.o.Path + "/" + partitionName
	if err := writeWhole(l.dir.fs, l.o.Path, path, l.identity()); err != nil {
		return l.judge("write "+path, err)
	}
	return l.syncPlace()
}

// openClean takes everything from the manifest, after a look at the one file that
// would differ if the log had been written to since. ok reports whether it does
// not. Its cost does not depend on the number of segments. Blocks.
func (l *Log) openClean() (ok bool, err error) {
	c := &l.manifest.catalog
	l.start, l.epochs = c.start, Epochs{entries: c.epochs.Entries()}
	l.known, l.elder = l.segmentsOf(c.segments), c.elder
	l.end = c.end
	if len(l.unsealed()) > 0 {
		return false, nil
	}
	if s := l.active(); s != nil && !s.sealed {
		if c.point.base != s.base || c.point.entries == unknownEntries {
			return false, nil
		}
		info, err := l.dir.fs.Stat(s.String())
		if err != nil && !errors.Is(err, env.ErrNotExist) {
			return false, err
		}
		if err != nil || info.Size != c.point.position {
			l.w.Probe("a clean shutdown was not believed")
			return false, nil
		}
		s.take(c.point)
		s.opening = c.opening
	}
	l.durable, l.written, l.lastPoint = l.end, l.end, l.end
	l.tailAtEnd()
	if c.snapshot != kafka.NoOffset {
		p, from, err := l.loadProducers([]kafka.Offset{c.snapshot})
		if err != nil {
			return false, err
		}
		if from != c.snapshot {
			return false, nil
		}
		l.producers = p
	}
	return true, nil
}

// tailAtEnd has the next batch go behind the last one there is: to the active
// segment, or to a new one if the manifest has already vouched for that.
func (l *Log) tailAtEnd() {
	l.tail = tail{end: l.end}
	if s := l.active(); s != nil && !s.sealed {
		l.setTail(s, l.end)
	}
}

// segmentsOf makes segments of what the manifest lists.
func (l *Log) segmentsOf(list []listed) []*segment {
	slab := make([]segment, len(list))
	out := make([]*segment, len(list))
	for i, k := range list {
		s := &slab[i]
		s.init(l.dir, l.o.Path, k.base)
		s.ready, s.settled, s.sealed, s.follows = true, true, k.sealed, k.follows
		s.began = l.opened // files have no time that could be trusted
		if k.sealed {
			s.end, s.size, s.durable = k.end, k.size, k.size
			s.maxTimestamp, s.maxAt = k.maxTimestamp, k.maxAt
			s.index.entries, s.index.synced = k.entries, k.entries
		}
		out[i] = s
	}
	return out
}

// take sets a segment to what a point says about it.
func (s *segment) take(p point) {
	s.size, s.durable, s.end = p.position, p.position, max(s.base, p.offset)
	s.maxTimestamp, s.maxAt = p.maxTimestamp, p.maxAt
	s.index.entries, s.index.synced = p.entries, p.entries
}

func (l *Log) letGoAll() {
	for _, s := range l.known {
		if s.pinned {
			s.pinned = false
			s.log().unpin()
		}
	}
}
