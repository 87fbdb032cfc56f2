package scenarios

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/netsim"
	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/sim"
	"github.com/klammlog/klamm/sim/world"
)

// A keptLog is a log on a simulated disk, and what must be found there.
type keptLog struct {
	t    *testing.T
	log  *commitlog.Log
	fs   env.FS
	ends []kafka.Offset
	r    *diskReader
}

func openKept(w *env.World, cfg *commitlog.Config) (*commitlog.Log, error) {
	dir, err := commitlog.OpenDir(w, w.LogDirs[0], commitlog.DirOptions{})
	if err != nil {
		return nil, err
	}
	return commitlog.Open(w, dir, commitlog.Options{Path: "orders-2", Partition: kafka.TopicPartition{Topic: "orders", Partition: 2},
		TopicID: kafka.TopicID{7}, Config: cfg})
}

// add appends batches of two records, and waits until they are held.
func (l *keptLog) add(n int, epoch kafka.LeaderEpoch) {
	for range n {
		a, err := l.log.Append(twoRecords(), epoch)
		if err = errors.Join(err, l.log.WaitHeld(a, kafka.Never)); err != nil {
			l.t.Error(err)
		}
		l.ends = append(l.ends, l.log.End())
	}
}

func (l *keptLog) cut(n int) {
	if err := l.log.Truncate(l.ends[n-1]); err != nil {
		l.t.Error(err)
	}
	l.ends = l.ends[:n]
}

// unbegun leaves the file of a segment that was made, and never written to.
func (l *keptLog) unbegun(base kafka.Offset) {
	f, err := l.fs.OpenFile("orders-2/"+segmentName(base), env.Write|env.Create)
	if err == nil {
		err = errors.Join(f.Close(), l.fs.SyncDir("orders-2"))
	}
	if err != nil {
		l.t.Error(err)
	}
}

func twoRecords() []byte {
	var b record.Builder
	b.Append(record.Record{Value: make([]byte, 300)})
	b.Append(record.Record{Value: []byte("second")})
	batch, err := b.Build(record.Spec{}, nil)
	if err != nil {
		panic(err)
	}
	return batch.Bytes()
}

// compare looks at the disk.
func (l *keptLog) compare(claim string) {
	l.r.refresh()
	c := l.r.copyOf("orders-2")
	if c == nil || len(c.batches) != len(l.ends) || c.end() != l.log.End() {
		l.t.Errorf("%s: read %+v, want ends %v", claim, c, l.ends)
		return
	}
	for i, b := range c.batches {
		if b.end != l.ends[i] || b.base != b.end-2 {
			l.t.Errorf("%s: batch %d: %+v, want the end %d", claim, i, b, l.ends[i])
		}
	}
}

// live is the life of a log.
func (l *keptLog) live(durable bool) {
	l.add(1, 3)
	l.compare("one batch")
	l.add(40, 3)
	l.compare("many segments")
	l.unbegun(3)
	l.compare("beside a segment that was never begun")
	for _, n := range []int{35, 20, 20, 3} {
		l.cut(n)
		l.compare("cut")
		l.add(9, 4)
		l.compare("appended behind a cut")
	}
	if _, err := l.log.Append(twoRecords(), 4); err != nil {
		l.t.Error(err)
	}
	l.r.refresh()
	if got := l.r.copyOf("orders-2").end(); durable && got != l.log.Durable() {
		l.t.Errorf("what is not durable is read as if it were: end %d, durable %d", got, l.log.Durable())
	}
}

// rot hits the leader epoch of the first batch, which is behind no checksum.
func (l *keptLog) rot(disk *disksim.Disk) {
	disk.Rot("orders-2/"+segmentName(0), 15, 6)
	l.r.refresh()
	if l.r.forget(); l.r.copyOf("orders-2").batches[0].epoch != 3+64 {
		l.t.Error("what was read before the rot is not forgotten")
	}
	disk.Rot("orders-2/"+segmentName(0), 15, 6)
	l.r.forget()
}

// What is read from outside is what the log says of itself, whatever was appended,
// cut off, made durable or lost.
func TestLogsAreReadFromTheDisk(t *testing.T) {
	for _, flush := range []string{"ack", "os"} {
		k := sim.New(sim.Options{Seed: 3})
		defer k.Close()
		node, disk := k.NewNode("n"), disksim.New(k, "n/0", disksim.Options{})
		w := world.New(netsim.New(k, netsim.DefaultOptions()), node, disk)
		cfg := commitlog.Defaults()
		cfg.SegmentBytes, cfg.FileDeleteDelay = 2048, 0
		if cfg.Flush = commitlog.FlushAck; flush == "os" {
			cfg.Flush = commitlog.FlushOS
		}
		l := &keptLog{t: t, r: newDiskReader(flush, disk), fs: w.LogDirs[0].FS}
		done := false
		node.Go("test", func() {
			var err error
			if l.log, err = openKept(w, &cfg); err != nil {
				t.Error(err)
				return
			}
			l.live(flush == "ack")
			done = true
		})
		if k.Run(kafka.Never-1, func() bool { return done || len(k.Panics()) > 0 }); !done {
			t.Fatalf("%v", k.Panics())
		}
		l.rot(disk)
		before := l.r.copyOf("orders-2").end()
		node.Crash()
		disk.PowerLoss(media.Posix, 0)
		if l.r.refresh(); flush == "ack" && l.r.copyOf("orders-2").end() < before {
			t.Errorf("a power loss took what was read: it ended at %d, and ends at %d", before, l.r.copyOf("orders-2").end())
		}
	}
}

// While a compacted segment's files have taken the names of the first of those that it
// was made of, the others are there too: what is behind them is read all the same
// (docs/bugs/0073.md).
func TestALogIsReadWhileASegmentIsReplaced(t *testing.T) {
	k := sim.New(sim.Options{Seed: 3})
	defer k.Close()
	node, disk := k.NewNode("n"), disksim.New(k, "n/0", disksim.Options{})
	w := world.New(netsim.New(k, netsim.DefaultOptions()), node, disk)
	at := func(base uint64) []byte {
		b := twoRecords()
		binary.BigEndian.PutUint64(b, base)
		return b
	}
	dirs := map[string]kafka.Offset{broker.OffsetsTopic + "-0": 89, "orders-2": 87}
	done := false
	node.Go("test", func() {
		for dir := range dirs { //klamm:unordered each by itself
			err := w.LogDirs[0].FS.Mkdir(dir)
			for base, content := range map[kafka.Offset][]byte{0: append(at(0), at(85)...), 48: at(48), 87: at(87)} { //klamm:unordered each by itself
				f, openErr := w.LogDirs[0].FS.OpenFile(dir+"/"+segmentName(base), env.Write|env.Create)
				if err = errors.Join(err, openErr); err != nil {
					break
				}
				_, writeErr := f.WriteAt(content, 0)
				err = errors.Join(err, writeErr, f.Close())
			}
			if err != nil {
				t.Error(err)
			}
		}
		done = true
	})
	if k.Run(kafka.Never-1, func() bool { return done || len(k.Panics()) > 0 }); !done {
		t.Fatalf("%v", k.Panics())
	}
	r := newDiskReader("os", disk)
	r.refresh()
	for dir, end := range dirs {
		if got := r.copyOf(dir).end(); got != end {
			t.Errorf("%s is read up to %d, want %d", dir, got, end)
		}
	}
}

// A compacted segment has taken the place of two, and the second has lost its name, which
// is not durable yet: what was appended to it since it was looked at is read from the
// first (docs/bugs/0083.md).
func TestALogIsReadWhileASegmentGoes(t *testing.T) {
	k := sim.New(sim.Options{Seed: 3})
	defer k.Close()
	node, disk := k.NewNode("n"), disksim.New(k, "n/0", disksim.Options{})
	fs := world.New(netsim.New(k, netsim.DefaultOptions()), node, disk).LogDirs[0].FS
	const dir = "orders-2"
	write := func(name string, bases ...uint64) (err error) {
		f, err := fs.OpenFile(dir+"/"+name, env.Write|env.Create)
		if err != nil {
			return err
		}
		for i, base := range bases {
			b := twoRecords()
			binary.BigEndian.PutUint64(b, base)
			_, writeErr := f.WriteAt(b, int64(i*len(b)))
			err = errors.Join(err, writeErr)
		}
		return errors.Join(err, f.Sync(), f.Close(), fs.SyncDir(dir))
	}
	r := newDiskReader("ack", disk)
	r.compacts = true
	ends := func(want kafka.Offset) {
		r.refresh()
		if got := r.copyOf(dir).end(); got != want {
			t.Errorf("the log is read up to %d, want %d", got, want)
		}
	}
	first, second, cleaned := segmentName(0), segmentName(2), segmentName(0)+".cleaned"
	done := false
	node.Go("test", func() {
		err := errors.Join(fs.Mkdir(dir), fs.SyncDir("."), write(first, 0), write(second, 2))
		ends(4)
		err = errors.Join(err, write(second, 2, 4), write(cleaned, 0, 2, 4),
			fs.Rename(dir+"/"+cleaned, dir+"/"+first), fs.SyncDir(dir), fs.Rename(dir+"/"+second, dir+"/"+second+".deleted"))
		ends(6)
		if err != nil {
			t.Error(err)
		}
		done = true
	})
	if k.Run(kafka.Never-1, func() bool { return done || len(k.Panics()) > 0 }); !done {
		t.Fatalf("%v", k.Panics())
	}
}

// A batch whose bytes are not what they were ends the log that is read.
func TestWhatHasRottenIsNotRead(t *testing.T) {
	b := twoRecords()
	if _, size, ok := parseBatch(b); !ok || size != len(b) {
		t.Fatalf("a whole batch: %d %t", size, ok)
	}
	for i := range b {
		bad := append([]byte{}, b...)
		bad[i] ^= 1
		got, _, ok := parseBatch(bad)
		if want, _, _ := parseBatch(b); ok && got == want {
			t.Fatalf("byte %d changed, and nothing was noticed", i)
		}
	}
	if _, _, ok := parseBatch(b[:len(b)-1]); ok {
		t.Error("a batch without its last byte was read")
	}
	if _, _, ok := parseBatch(make([]byte, 200)); ok {
		t.Error("zeros were read as a batch")
	}
}
