package commitlog

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/sim"
)

func (r *rig) check(want int) {
	r.t.Helper()
	r.must(func() error {
		if err := r.log.Check(); err != nil {
			return err
		}
		got, err := readAll(r.log, r.log.LogStart(), 1000)
		if err != nil {
			return err
		}
		if len(got) != want {
			r.t.Errorf("read %d batches, want %d: %v", len(got), want, offsets(got))
		}
		return nil
	})
}

func TestWhatWasAppendedIsRead(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(100, 3, 50)
	r.check(100)
	if r.log.Segments() < 3 {
		t.Errorf("%d segments, want several", r.log.Segments())
	}
	if r.log.End() != 300 || r.log.Durable() != 300 {
		t.Errorf("end %d, durable %d, want 300", r.log.End(), r.log.Durable())
	}
}

func TestCleanShutdownIsReopenedWithoutScan(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(100, 3, 50)
	r.close()
	r.open()
	if s := r.log.Stats(); s.Scanned != 0 {
		t.Errorf("%d bytes were scanned", s.Scanned)
	}
	r.check(100)
	r.fill(100, 3, 50)
	r.check(200)
}

func TestHeldSurvivesPowerLoss(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	for round := range 5 {
		r.fill(20, 3, 50)
		r.unplug()
		r.open()
		r.check(20 * (round + 1))
	}
}

func TestWrittenSurvivesTheProcessWithFlushOS(t *testing.T) {
	c := smallConfig()
	c.Flush = FlushOS
	r := newRig(t, sim.Options{Seed: 1}, c)
	r.open()
	for round := range 5 {
		r.fill(20, 3, 50)
		r.kill()
		r.open()
		r.check(20 * (round + 1))
	}
}

func TestNothingRunsAndNothingIsOpenWhenIdle(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(50, 3, 50)
	r.settle()
	if n := len(r.node.LiveTasks()); n != 0 {
		t.Errorf("%d tasks live", n)
	}
	r.must(func() error { return r.w.Sleep(2 * idleFile) })
	r.must(func() error { return r.log.Checkpoint() })
	r.must(func() error { return r.w.Sleep(2 * idleFile) })
	r.must(func() error { return r.log.Checkpoint() })
	if n := r.dir.OpenFiles(); n != 0 {
		t.Errorf("%d files are open", n)
	}
}

func TestRotBelowASyncedPositionQuarantines(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(10, 3, 50)
	r.must(func() error { return r.log.Checkpoint() })
	s := r.log.active()
	if !r.disk.Rot(s.String(), s.size-30, 3) {
		t.Fatal("nothing to rot")
	}
	r.unplug()
	before := r.files()
	for range 2 {
		var err error
		r.do(func() { err = r.openErr() })
		if !errorIs(err, ErrQuarantined) {
			t.Fatalf("open: %v, want quarantine", err)
		}
		r.must(func() error { return r.dir.Close() })
		r.dir = nil
	}
	if diff := cmp.Diff(before, r.files()); diff != "" {
		t.Errorf("quarantine changed files:\n%s", diff)
	}
	if !r.probed("recovery refused rot below a synced position") {
		t.Error("probe was not reached")
	}
}

// TestAnIndexEntryProves: nothing but the page cache's index entries says that
// the segment had been synced.
func TestAnIndexEntryProves(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(10, 3, 50)
	r.settle()
	s := r.log.active()
	r.kill()
	r.scribble(s.String(), s.size/2)
	var err error
	r.do(func() { err = r.openErr() })
	if !errorIs(err, ErrQuarantined) {
		t.Fatalf("open: %v, want quarantine", err)
	}
}

// files returns the bytes of all files of the log.
func (r *rig) files() map[string]string {
	out := map[string]string{}
	r.must(func() error {
		fs := r.w.LogDirs[0].FS
		names, err := fs.ReadDir(rigPath)
		if err != nil {
			return err
		}
		for _, name := range names {
			b, err := readWhole(fs, rigPath+"/"+name)
			if err != nil {
				return err
			}
			out[name] = string(b)
		}
		return nil
	})
	return out
}

// scribble changes three bytes of a file.
func (r *rig) scribble(name string, at int64) {
	r.t.Helper()
	r.must(func() error {
		f, err := r.w.LogDirs[0].FS.OpenFile(name, env.Write)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt([]byte{1, 2, 3}, at); err != nil {
			return err
		}
		return f.Close()
	})
}

func TestTornTailIsCut(t *testing.T) {
	c := smallConfig()
	c.Flush = FlushOS
	r := newRig(t, sim.Options{Seed: 1}, c)
	r.open()
	r.fill(10, 3, 50)
	r.must(func() error { return r.log.Checkpoint() })
	durable := r.log.Durable()
	r.fill(5, 3, 50)
	name, size := r.log.active().String(), r.log.active().size
	r.kill()
	r.scribble(name, size-40)
	r.open()
	if r.log.End() < durable || r.log.End() != 14*3 {
		t.Errorf("end %d, want %d", r.log.End(), 14*3)
	}
	r.check(14)
	r.fill(3, 3, 50)
	r.kill()
	r.open()
	r.check(17)
}

func TestRetentionDeletesWholeSegments(t *testing.T) {
	c := smallConfig()
	c.RetentionBytes = 8192
	r := newRig(t, sim.Options{Seed: 1}, c)
	r.open()
	r.fill(100, 3, 50)
	before := r.log.Segments()
	r.must(func() error { return r.log.Retain(0) })
	if r.log.Segments() >= before || r.log.LogStart() == 0 || r.log.Size() < c.RetentionBytes {
		t.Errorf("%d of %d segments, start %d, size %d", r.log.Segments(), before, r.log.LogStart(), r.log.Size())
	}
	start := r.log.LogStart()
	r.settle()
	r.unplug()
	r.open()
	if r.log.LogStart() != start || r.log.segments()[0].base != start {
		t.Errorf("start %d, want %d", r.log.LogStart(), start)
	}
	r.cfg.RetentionTime, r.cfg.RetentionBytes = 10, -1
	r.must(func() error { return r.log.Retain(1e12) })
	if r.log.LogStart() != 300 || r.log.Segments() != 0 {
		t.Errorf("start %d, %d segments, want all gone", r.log.LogStart(), r.log.Segments())
	}
	r.fill(10, 3, 50)
	r.kill()
	r.open()
	r.check(10)
}

func TestDeleteRecordsSurvives(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(100, 3, 50)
	r.must(func() error { _, err := r.log.DeleteRecords(151); return err })
	r.unplug()
	r.open()
	if r.log.LogStart() != 151 {
		t.Errorf("log start %d, want 151", r.log.LogStart())
	}
	r.must(func() error {
		if _, err := r.log.Read(150, 100, 300, TakeOversize); !errorIs(err, ErrOutOfRange) {
			t.Errorf("read below the start: %v", err)
		}
		return nil
	})
	r.check(50)
}

func TestTruncate(t *testing.T) {
	for _, crash := range []string{"none", "kill", "unplug", "clean"} {
		t.Run(crash, func(t *testing.T) {
			r := newRig(t, sim.Options{Seed: 1}, smallConfig())
			r.open()
			r.fill(100, 3, 50)
			r.must(func() error { return r.log.Truncate(100) })
			if r.log.End() != 99 {
				t.Errorf("end %d, want 99: the batch that holds 100 goes", r.log.End())
			}
			r.fill(10, 3, 20)
			switch crash {
			case "kill":
				r.kill()
				r.open()
			case "unplug":
				r.unplug()
				r.open()
			case "clean":
				r.close()
				r.open()
			}
			r.check(43)
			if r.log.End() != 129 {
				t.Errorf("end %d, want 129", r.log.End())
			}
			r.must(func() error { return r.log.Reset(5000) })
			r.fill(2, 3, 20)
			r.kill()
			r.open()
			r.check(2)
			if r.log.LogStart() != 5000 || r.log.End() != 5006 {
				t.Errorf("start %d end %d", r.log.LogStart(), r.log.End())
			}
		})
	}
}

// A log whose truncation fails half way is not written to any more, and read as far as
// it was to be kept (docs/bugs/0040.md).
func TestATruncationThatFailsHalfWay(t *testing.T) {
	for _, line := range []string{
		"disk-sync-keep disk=n/0 path=*.log times=1",
		"disk-syncdir-error disk=n/0 path=* times=1",
		"disk-meta-error disk=n/0 path=*102.log times=1",
	} {
		t.Run(line, func(t *testing.T) {
			r := newRig(t, sim.Options{Seed: 1}, smallConfig())
			r.open()
			r.fill(100, 3, 50)
			r.inject(line)
			var err error
			r.do(func() { err = r.log.Truncate(100) })
			if err == nil || r.log.Lame() == nil {
				t.Fatalf("truncate: %v, and the log is %v", err, r.log.Lame())
			}
			if err := r.log.Check(); err != nil {
				t.Error(err)
			}
			if r.log.Written() != 99 {
				t.Errorf("written up to %d", r.log.Written())
			}
			r.check(33)
			r.must(func() error {
				max, err := r.log.MaxTimestamp()
				if max.Offset != 98 {
					t.Errorf("the largest timestamp is at %d", max.Offset)
				}
				later, err2 := r.log.OffsetForTimestamp(kafka.Timestamp(101))
				if later != nowhere {
					t.Errorf("a record that was cut off is at %d", later.Offset)
				}
				return errors.Join(err, err2)
			})
			r.kill()
			r.open()
			r.check(33)
		})
	}
}

// A leader that has compacted its log sends a batch from behind the log's end, which
// begins a segment and cannot be written. Then another leader sends what lies in
// between (docs/bugs/0055).
func TestASegmentThatBeginsBehindAGapIsNotWritten(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(5, 3, 50)
	at := func(base kafka.Offset, n, size int) []byte {
		b, _, err := record.View(batchOf(n, size, kafka.Timestamp(base), nil))
		if err != nil {
			t.Fatal(err)
		}
		b.Assign(base, 1)
		return b.Bytes()
	}
	replicate := func(b []byte) (err error) {
		r.do(func() {
			var a AppendResult
			if a, err = r.log.AppendReplica(b); err == nil {
				if err = r.log.Check(); err == nil {
					err = r.log.WaitHeld(a, kafka.Never)
				}
			}
		})
		return err
	}
	r.inject("disk-full disk=n/0 n=8192 for=1s")
	if err := replicate(at(22, 20, 1000)); !errors.Is(err, ErrRefused) {
		t.Fatalf("on a disk that is full: %v", err)
	}
	if err := r.log.Check(); err != nil || r.log.Written() != 15 {
		t.Fatalf("%v, written up to %d", err, r.log.Written())
	}
	r.must(func() error { return r.w.Sleep(3 * time.Second) })
	for _, b := range [][]byte{at(15, 3, 50), at(22, 20, 1000), at(50, 20, 1000)} {
		if err := replicate(b); err != nil {
			t.Fatal(err)
		}
	}
	r.check(8)
	r.unplug()
	r.open()
	r.check(8)
}

func TestTimestampsAreFoundToTheRecord(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	for i := range 60 {
		r.append(batchOf(4, 50, kafka.Timestamp(1000+10*i), nil))
	}
	r.append(batchOf(2, 50, 9000, nil))
	r.append(batchOf(2, 50, 2000, nil))
	for _, c := range []struct{ ts, at kafka.Offset }{{0, 0}, {1000, 0}, {1002, 2}, {1004, 4}, {1591, 237}, {1594, 240}, {9001, 241}, {9002, -1}} {
		r.must(func() error {
			got, err := r.log.OffsetForTimestamp(kafka.Timestamp(c.ts))
			if got.Offset != c.at {
				t.Errorf("timestamp %d: offset %d, want %d", c.ts, got.Offset, c.at)
			}
			return err
		})
	}
	r.must(func() error {
		got, err := r.log.MaxTimestamp()
		if got.Offset != 241 || got.Timestamp != 9001 {
			t.Errorf("largest timestamp: %+v", got)
		}
		return err
	})
}

func TestReadStopsBelowUpToAndWithinMaxBytes(t *testing.T) {
	for _, known := range []string{"by heart", "from the files"} {
		t.Run(known, func(t *testing.T) {
			r := newRig(t, sim.Options{Seed: 1}, smallConfig())
			r.open()
			r.fill(100, 3, 50)
			if known == "from the files" {
				r.kill()
				r.open()
			}
			r.checkReads()
		})
	}
}

func (r *rig) checkReads() {
	sizes := map[kafka.Offset]int{}
	r.must(func() error {
		all, err := readAll(r.log, 0, 1<<20)
		for _, b := range all {
			sizes[kafka.Offset(headOf2(b).base)] = len(b)
		}
		return err
	})
	for from := kafka.Offset(0); from < 300; from += 7 {
		for _, max := range []int{0, 100, 300, 700, 5000} {
			for _, upTo := range []kafka.Offset{from + 1, from + 5, from + 20, 300} {
				r.must(func() error { return r.checkRead(from, max, upTo, sizes) })
			}
		}
	}
}

func headOf2(b []byte) head { return parseHead(b, 0) }

// checkRead compares a read with the definition.
func (r *rig) checkRead(from kafka.Offset, max int, upTo kafka.Offset, sizes map[kafka.Offset]int) error {
	c, err := r.log.Read(from, max, upTo, TakeOversize)
	if err != nil {
		return err
	}
	defer c.Release()
	seg := r.log.segments()[r.log.segmentFor(from)]
	want, base := 0, from-from%3
	for b := base; b < seg.end && b+3 <= upTo; b += 3 {
		if want > 0 && want+sizes[b] > max {
			break
		}
		want += sizes[b]
	}
	if c.Len() != want {
		r.t.Errorf("read(%d, %d, %d): %d bytes, want %d", from, max, upTo, c.Len(), want)
	}
	return nil
}

func TestSyncFailureTakesTheDirectoryOutOfService(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(10, 3, 50)
	r.inject("disk-sync-keep disk=n/0 path=*.log times=1")
	var err error
	r.do(func() {
		a, e := r.log.Append(batchOf(1, 10, 1, nil), 1)
		if e != nil {
			err = e
			return
		}
		err = r.log.WaitHeld(a, kafka.Never)
	})
	if !errorIs(err, ErrUnknownOutcome) {
		t.Errorf("held: %v, want an unknown outcome", err)
	}
	r.do(func() { _, err = r.log.Append(batchOf(1, 10, 1, nil), 1) })
	if !errorIs(err, ErrOffline) || r.dir.Failed() == nil {
		t.Errorf("append afterwards: %v", err)
	}
	// The same bytes are in the page cache only. After a restart of the process they
	// are there, and must be made durable before anybody relies on them.
	r.kill()
	r.open()
	r.check(11)
	r.unplug()
	r.open()
	r.check(11)
}

// A log whose making failed at a sync looks whole to the next process, which sees
// the page cache. It must not rely on it (docs/bugs/0018.md).
func TestIdentityThatWasNotSyncedIsNotReliedOn(t *testing.T) {
	for _, fault := range []string{
		"disk-sync-keep disk=n/0 path=*/partition* times=1",
		"disk-syncdir-error disk=n/0 path=orders-2 times=1",
		"disk-syncdir-error disk=n/0 path=. times=1",
	} {
		r := newRig(t, sim.Options{Seed: 1}, smallConfig())
		r.do(func() { r.dir, _ = OpenDir(r.w, r.w.LogDirs[0], DirOptions{OpenFiles: 4}) })
		r.inject(fault)
		r.do(func() {
			if r.openErr() == nil {
				t.Errorf("%s: the log was made", fault)
			}
		})
		r.kill()
		r.open()
		r.fill(3, 1, 10)
		r.unplug()
		r.open()
		r.check(3)
	}
}

// Of the files of a log that is being made a power loss may leave any. Without its
// manifest it took no record, unless there are others (docs/bugs/0051.md).
func TestALogWithoutManifestIsMadeAgain(t *testing.T) {
	for _, records := range []int{0, 1} {
		r := newRig(t, sim.Options{Seed: 1}, smallConfig())
		r.open()
		r.fill(records, 3, 50)
		r.kill()
		r.must(func() error { return r.w.LogDirs[0].FS.Remove(rigPath + "/" + manifestName) })
		var err error
		r.do(func() { err = r.openErr() })
		if records > 0 {
			if !errorIs(err, ErrQuarantined) {
				t.Errorf("with records: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		r.fill(2, 3, 50)
		r.unplug()
		r.open()
		r.check(2)
	}
}

func TestFullDiskRefusesAppendsAndRecovers(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(10, 3, 50)
	r.settle()
	r.inject("disk-full disk=n/0 n=100")
	p := &kafkaProducer{id: 5}
	var err error
	r.do(func() {
		a, e := r.log.Append(p.batch(500), 1)
		if e == nil {
			e = r.log.WaitHeld(a, kafka.Never)
		}
		err = e
	})
	if !errorIs(err, ErrRefused) {
		t.Fatalf("append on a full disk: %v", err)
	}
	r.check(10)
	r.disk.Heal()
	r.must(func() error { return r.w.Sleep(2 * fullPause) })
	p.next = 0
	a := r.append(p.batch(500)) // the same sequence: it had not happened
	if a.Duplicate {
		t.Error("what was refused counts as appended")
	}
	r.fill(20, 3, 50)
	r.check(31)
	r.unplug()
	r.open()
	r.check(31)
}

// What is queued behind an append that is refused goes with it, offsets and
// sequences: nobody sees a gap, and nobody is answered with another's success.
func TestRefusedOffsetsAreGivenAgain(t *testing.T) {
	for _, segment := range []int64{1 << 20, 1000} { // one segment, and one for each batch
		cfg, n := smallConfig(), 500
		cfg.SegmentBytes = segment
		r := newRig(t, sim.Options{Seed: 1}, cfg)
		r.open()
		r.fill(3, 3, 50)
		r.settle()
		r.inject("disk-full disk=n/0 n=10")
		p := &kafkaProducer{id: 5}
		var errs []error
		r.do(func() {
			var at []AppendResult
			for range 4 {
				a, err := r.log.Append(p.batch(n), 1)
				if err != nil {
					t.Fatal(err)
				}
				at = append(at, a)
			}
			errs = append(errs, r.log.WaitHeld(at[0], kafka.Never))
			r.disk.Heal()
			r.want(r.w.Sleep(2 * fullPause))
			if a, err := r.log.Append(batchOf(40, 10, 1, nil), 1); err != nil || a.Base != at[0].Base {
				t.Errorf("the next append is at %d, %v, want %d", a.Base, err, at[0].Base)
			} else {
				r.want(r.log.WaitHeld(a, kafka.Never))
			}
			for _, a := range at[1:] {
				errs = append(errs, r.log.WaitHeld(a, kafka.Never))
			}
		})
		for i, err := range errs {
			if !errorIs(err, ErrRefused) {
				t.Errorf("append %d: %v, want it refused", i, err)
			}
		}
		later := p.batch(n)
		r.do(func() {
			if _, err := r.log.Append(later, 1); !errorIs(err, kafka.ErrOutOfOrderSequence) {
				t.Errorf("a batch behind those that were refused: %v", err)
			}
		})
		p.next = 0
		if a := r.append(p.batch(n)); a.Duplicate || a.Base != 49 {
			t.Errorf("repeated: %+v, want offset 49", a)
		}
		r.unplug()
		r.open()
		r.check(5)
	}
}

func TestASegmentIsAbandonedBeforeItIsMade(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.do(func() {
		for range 5 {
			if _, err := r.log.Append(batchOf(1, 10, 1, nil), 1); err != nil {
				t.Fatal(err)
			}
			r.want(r.log.Truncate(0))
		}
	})
	r.fill(10, 3, 50)
	r.close()
	r.open()
	r.check(10)
}

func TestAnIndexThatCannotBeReadIsMadeAgain(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(60, 3, 50)
	r.must(func() error { return r.log.Checkpoint() })
	r.fill(1, 3, 50)
	r.settle()
	r.unplug()
	for range 20 {
		r.inject("disk-bad-sector disk=n/0 path=*.index")
	}
	r.open()
	if !r.probed("recovery did without an index that cannot be read") {
		t.Error("every index was read")
	}
	r.check(61)
	r.fill(20, 3, 50)
	r.kill()
	r.open()
	r.check(81)
}

// What cannot be read may be what was promised: it is not cut off, and the log
// opens when it can be read again.
func TestALogThatCannotBeReadIsNotCut(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(60, 3, 50)
	r.settle()
	r.kill()
	r.inject("disk-read-error disk=n/0 path=*.log")
	var err error
	r.do(func() { err = r.openErr() })
	if !errorIs(err, env.ErrIO) || r.dir.Failed() != nil {
		t.Errorf("open: %v, directory %v", err, r.dir.Failed())
	}
	r.disk.Heal()
	r.open()
	r.check(60)
}

func TestDuplicatesAreRecognisedAfterEveryEnd(t *testing.T) {
	for _, end := range []string{"none", "kill", "unplug", "clean"} {
		r := newRig(t, sim.Options{Seed: 1}, smallConfig())
		r.open()
		p := &kafkaProducer{id: 9}
		var last []byte
		var at AppendResult
		for i := range 60 {
			last = p.batch(3)
			at = r.append(slices.Clone(last))
			if i%7 == 0 {
				r.fill(1, 2, 30)
			}
		}
		switch end {
		case "kill":
			r.kill()
			r.open()
		case "unplug":
			r.unplug()
			r.open()
		case "clean":
			r.close()
			r.open()
		}
		again := r.append(last)
		if !again.Duplicate || again.Base != at.Base || again.End != at.End {
			t.Errorf("%s: %+v, want a duplicate of %+v", end, again, at)
		}
		if n := r.append(p.batch(3)); n.Duplicate {
			t.Errorf("%s: the next batch is a duplicate", end)
		}
	}
}

// A snapshot of producers that has rotted is not taken: what it said is read from the log.
func TestABadProducerSnapshotIsNotTaken(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	p := &kafkaProducer{id: 9}
	var last []byte
	for range 200 {
		last = p.batch(3)
		r.append(slices.Clone(last))
	}
	r.settle()
	r.kill()
	for name := range r.files() { //klamm:unordered all of them
		if strings.HasSuffix(name, snapshotSuffix) {
			r.scribble(rigPath+"/"+name, headerSize+3)
		}
	}
	r.open()
	if !r.probed("a producer snapshot was bad and an older one was taken") {
		t.Error("every snapshot was good")
	}
	if again := r.append(last); !again.Duplicate {
		t.Errorf("%+v, want a duplicate", again)
	}
}

// What recovery reads again does not move the beginning of a leader epoch that
// began before.
func TestLeaderEpochsSurviveRecovery(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.cfg.SegmentBytes = 600
	r.open()
	for i := range 10 { // two to a segment, the last of which has two epochs
		r.must(func() error {
			a, err := r.log.Append(batchOf(2, 100, 1, nil), kafka.LeaderEpoch(i/3))
			if err == nil {
				err = r.log.WaitHeld(a, kafka.Never)
			}
			return err
		})
	}
	r.settle()
	r.must(func() error { return r.log.Checkpoint() })
	want := r.log.Epochs().Entries()
	for range 2 {
		r.kill()
		r.open()
		if diff := cmp.Diff(want, r.log.Epochs().Entries()); diff != "" {
			t.Error(diff)
		}
		r.check(10)
	}
}

// A wrongReader reads a wrong bit, so many times: a cable, a controller.
type wrongReader struct {
	env.FS
	left int
}

type wrongFile struct {
	env.File
	fs *wrongReader
}

func (w *wrongReader) OpenFile(name string, flag env.Flag) (env.File, error) {
	f, err := w.FS.OpenFile(name, flag)
	if err == nil && strings.HasSuffix(name, logSuffix) {
		f = wrongFile{f, w}
	}
	return f, err
}

func (f wrongFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if f.fs.left > 0 && n > 200 {
		f.fs.left--
		p[n/2] ^= 1
	}
	return n, err
}

// What a recovery reads wrong once is read again before it is cut off.
func TestWhatWasReadWrongOnceIsNotCut(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(60, 3, 50)
	r.settle()
	r.kill()
	r.w.LogDirs[0].FS = &wrongReader{FS: r.w.LogDirs[0].FS, left: 1}
	r.open()
	if !r.probed("recovery read again what seemed bad and it was good") {
		t.Error("nothing was read again")
	}
	r.check(60)
}
