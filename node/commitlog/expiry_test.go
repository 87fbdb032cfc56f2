package commitlog

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/sim"
)

// How old a producer's records claim to be says nothing about how long it has been
// silent: a batch that is sent again is recognised.
func TestProducersExpireBySilenceNotByTimestamps(t *testing.T) {
	c := smallConfig()
	c.ProducerExpiry = time.Hour
	r := newRig(t, sim.Options{}, c)
	r.open()
	old := func() []byte {
		ts := r.node.WallTime() - kafka.Timestamp((48 * time.Hour).Milliseconds())
		return batchOf(1, 20, ts, &record.Producer{ID: 5})
	}
	first := r.append(old())
	r.must(r.log.Checkpoint)
	if again := r.append(old()); !again.Duplicate || again.Base != first.Base {
		t.Errorf("sent again at once: %+v, first %+v", again, first)
	}
	r.node.JumpWall(2 * time.Hour)
	r.must(r.log.Checkpoint)
	if n := len(r.log.producers.All()); n != 0 {
		t.Errorf("%d producers are remembered after two hours of silence", n)
	}
}

// Retention takes the segments that tell of a producer, and not the producer.
func TestProducersOutliveTheirSegments(t *testing.T) {
	for name, empty := range map[string]func(*rig) error{
		"everything is too old": func(r *rig) error { return r.log.RetainBelow(1_000_000_000, r.log.End()) },
		"everything is deleted": func(r *rig) error { _, err := r.log.DeleteRecords(r.log.End()); return err },
	} {
		t.Run(name, func(t *testing.T) {
			c := smallConfig()
			c.SegmentBytes, c.RetentionTime = 1000, time.Hour
			r := newRig(t, sim.Options{}, c)
			r.open()
			p := &kafkaProducer{id: 5}
			var last AppendResult
			for range 20 {
				last = r.append(p.batch(3))
			}
			r.settle()
			r.must(func() error { return empty(r) })
			if r.log.Segments() > 0 || r.log.LogStart() != r.log.End() {
				t.Fatalf("%d segments from offset %d to %d are left", r.log.Segments(), r.log.LogStart(), r.log.End())
			}
			r.unplug()
			r.open()
			p.next = p.next.Add(-3)
			if again := r.append(p.batch(3)); !again.Duplicate || again.Base != last.Base {
				t.Errorf("sent again after a power loss: %+v, first %+v", again, last)
			}
		})
	}
}

// Without a good snapshot a recovery asks the heads of old batches about producers.
// One that has rotted says nonsense, and is not believed.
func TestARottenHeadSaysNothingOfItsProducer(t *testing.T) {
	for name, rot := range map[string]struct {
		at  int64
		bit byte
	}{"base offset": {0, 0x03}, "producer epoch": {51, 0x86}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, sim.Options{}, smallConfig())
			r.open()
			p := &kafkaProducer{id: 5}
			r.append(p.batch(3))
			second := r.log.Size()
			r.append(p.batch(3))
			r.fill(100, 3, 50)
			r.settle()
			r.must(r.log.Checkpoint)
			r.kill()
			r.removeSnapshots()
			r.do(func() {
				f, err := r.disk.FS(r.node).OpenFile(rigPath+"/00000000000000000000.log", env.Write)
				r.want(err)
				_, err = f.WriteAt([]byte{rot.bit}, second+rot.at)
				r.want(errors.Join(err, f.Sync(), f.Close()))
			})
			r.open()
			all := r.log.producers.All()
			if len(all) != 1 || all[0].LastOffset != 2 {
				t.Errorf("producers %+v, want one with its first batch", all)
			}
		})
	}
}

// After an unclean end the snapshot where the log begins anew may never have been
// written.
func TestProducersOutliveTheirSegmentsAfterACrash(t *testing.T) {
	c := smallConfig()
	c.SegmentBytes = 1000
	r := newRig(t, sim.Options{}, c)
	r.open()
	p := &kafkaProducer{id: 5}
	first := r.append(p.batch(3))
	r.fill(100, 3, 50)
	r.settle()
	r.kill()
	r.removeSnapshots()
	r.open()
	r.must(func() error { _, err := r.log.DeleteRecords(r.log.End() - 3); return err })
	if r.log.LogStart() < first.End {
		t.Fatalf("the producer's batch was not deleted: the log starts at %d", r.log.LogStart())
	}
	r.unplug()
	r.open()
	p.next = p.next.Add(-3)
	if again := r.append(p.batch(3)); !again.Duplicate || again.Base != first.Base {
		t.Errorf("sent again after a power loss: %+v, first %+v", again, first)
	}
}

// removeSnapshots removes what a dead log left.
func (r *rig) removeSnapshots() {
	r.do(func() {
		fs := r.disk.FS(r.node)
		names, err := fs.ReadDir(rigPath)
		r.want(err)
		for _, name := range names {
			if strings.HasSuffix(name, snapshotSuffix) {
				r.want(fs.Remove(rigPath + "/" + name))
			}
		}
		r.want(fs.SyncDir(rigPath))
	})
}

// What is above the high watermark may have to go: it does not count as what
// retention.bytes keeps.
func TestRetentionCountsWhatIsDecided(t *testing.T) {
	cfg := smallConfig()
	cfg.RetentionBytes = 4096
	r := newRig(t, sim.Options{Seed: 1}, cfg)
	r.open()
	r.fill(60, 1, 500)
	const decided = 30
	var above int64
	r.must(func() (err error) {
		above, err = r.log.sizeAbove(decided)
		return err
	})
	if half := r.log.Size() / 2; above != half {
		t.Errorf("%d bytes are above, of %d", above, r.log.Size())
	}
	r.must(func() error { return r.log.RetainBelow(r.node.WallTime(), decided) })
	if kept := r.log.Size() - above; r.log.LogStart() == 0 || kept < cfg.RetentionBytes {
		t.Errorf("the log starts at %d, %d bytes of what is decided are kept", r.log.LogStart(), kept)
	}
	r.must(func() error { return r.log.RetainBelow(r.node.WallTime(), 0) })
}

// Retention that looks for how much lies above the high watermark while the log is
// truncated takes what is missing then for no damage (docs/bugs/0056).
func TestRetentionAndTruncationAtOnce(t *testing.T) {
	for seed := range uint64(40) {
		c := smallConfig()
		c.RetentionBytes = 100
		r := newRig(t, sim.Options{Seed: seed, HoldOneIn: 5, HoldMax: time.Millisecond}, c)
		r.open()
		r.fill(30, 3, 100)
		ended := false
		r.node.Go("truncate", func() {
			r.want(r.log.Truncate(81))
			ended = true
		})
		r.do(func() {
			for !ended {
				r.want(r.log.RetainBelow(0, 81))
				r.want(r.w.Sleep(10 * time.Microsecond))
			}
		})
		if n := r.log.Stats().Corrupt; n > 0 {
			t.Errorf("seed %d: %d reads were refused", seed, n)
		}
		r.must(r.log.Check)
	}
}
