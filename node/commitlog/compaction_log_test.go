package commitlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/sim"
)

func compactConfig() Config {
	c := smallConfig()
	c.SegmentBytes, c.IndexInterval = 1500, 200
	c.Cleanup, c.MinCleanableRatio = CleanupCompact, 0
	return c
}

// tableBatch returns a batch of records with few keys; one in five is a
// tombstone.
func tableBatch(r *rand.Rand, at kafka.Offset) []byte {
	var w record.Builder
	for i := range 1 + r.IntN(4) {
		rec := record.Record{Timestamp: kafka.Timestamp(at), Key: fmt.Appendf(nil, "key %d", r.IntN(12))}
		if r.IntN(5) > 0 {
			rec.Value = fmt.Appendf(nil, "value %d of %s", int(at)+i, strings.Repeat("x", r.IntN(60)))
		}
		w.Append(rec)
	}
	codec := record.Codec(r.IntN(2)) * record.Zstd
	b, err := w.Build(record.Spec{Compression: record.Compression{Codec: codec}}, new(record.Codecs))
	if err != nil {
		panic(err)
	}
	return b.Bytes()
}

// writeTable appends count batches and waits until they are held. Blocks.
func writeTable(l *Log, r *rand.Rand, count int) error {
	for range count {
		a, err := l.Append(tableBatch(r, l.End()), 1)
		if err == nil {
			err = l.WaitHeld(a, kafka.Never)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// view reads the whole log as a consumer does. Blocks.
func view(l *Log, maxBytes int) ([]seen, error) {
	batches, err := readAll(l, l.LogStart(), maxBytes)
	if err != nil {
		return nil, err
	}
	var out []seen
	for _, raw := range batches {
		b, _, err := record.View(raw)
		if err != nil {
			return nil, err
		}
		it := b.Records(maxUnpacked)
		for it.Next() {
			out = append(out, seen{it.Offset(), string(it.Key()), string(it.Value()), it.Value() == nil})
		}
		if it.Err() != nil {
			return nil, it.Err()
		}
	}
	return out, nil
}

// compact seals what is written and compacts. Blocks.
func compact(l *Log, now kafka.Timestamp) error {
	if err := l.Checkpoint(); err != nil {
		return err
	}
	return l.Compact(now)
}

// compactRig returns a log of several segments that could be compacted, and what
// is in it.
func compactRig(t testing.TB, o sim.Options, batches int) (*rig, []seen) {
	r := newRig(t, o, compactConfig())
	r.open()
	var all []seen
	r.must(func() error {
		if err := writeTable(r.log, rand.New(rand.NewPCG(1, o.Seed)), batches); err != nil {
			return err
		}
		var err error
		if all, err = view(r.log, 1000); err == nil {
			err = r.log.Checkpoint()
		}
		return err
	})
	return r, all
}

// holds checks that the log says what was written, no more and, of the last
// values, no less. Blocks.
func holds(l *Log, written []seen) error {
	if err := l.Check(); err != nil {
		return err
	}
	got, err := view(l, 1000)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(latest(written), latest(got)); diff != "" {
		return errors.New(diff)
	}
	byOffset := map[kafka.Offset]seen{}
	for _, r := range written {
		byOffset[r.Offset] = r
	}
	last := kafka.NoOffset
	for _, r := range got {
		if byOffset[r.Offset] != r || r.Offset <= last {
			return fmt.Errorf("%+v after offset %d was never written", r, last)
		}
		last = r.Offset
	}
	return nil
}

func TestCompactReplacesSegments(t *testing.T) {
	r, written := compactRig(t, sim.Options{Seed: 1}, 100)
	segments, size := len(r.log.segments()), r.log.Size()
	r.must(func() error { return r.log.Compact(1000) })
	if r.log.Size() >= size/2 {
		t.Errorf("%d bytes became %d", size, r.log.Size())
	}
	r.must(func() error {
		if err := writeTable(r.log, rand.New(rand.NewPCG(9, 9)), 30); err != nil {
			return err
		}
		more, err := view(r.log, 1000)
		if err != nil {
			return err
		}
		written = more
		return compact(r.log, 1500)
	})
	if len(r.log.segments()) >= segments {
		t.Errorf("%d segments became %d", segments, len(r.log.segments()))
	}
	for _, again := range []func(){
		func() {},
		func() { r.must(func() error { return r.log.Compact(2000) }) },
		func() { r.close(); r.open() },
		func() { r.kill(); r.open() },
		func() { r.unplug(); r.open() },
	} {
		again()
		r.must(func() error { return holds(r.log, written) })
	}
	r.settle()
	for _, name := range r.disk.Files() {
		if strings.Contains(name, cleanedSuffix) || strings.Contains(name, deletedSuffix) {
			t.Errorf("%s is left", name)
		}
	}
}

// TestCompactedLogIsFound: offsets, timestamps and the index work as before.
func TestCompactedLogIsFound(t *testing.T) {
	r, _ := compactRig(t, sim.Options{Seed: 2}, 150)
	r.must(func() error { return r.log.Compact(1000) })
	r.close()
	r.open()
	r.must(func() error {
		kept, err := view(r.log, 300)
		if err != nil {
			return err
		}
		for _, k := range kept {
			c, err := r.log.Read(k.Offset, 1, r.log.Written(), TakeOversize)
			if err != nil {
				return err
			}
			b := make([]byte, c.Len())
			err = c.Copy(b)
			c.Release()
			if v, _, viewErr := record.View(b); err != nil || viewErr != nil || v.BaseOffset() > k.Offset || v.LastOffset() < k.Offset {
				return fmt.Errorf("read at %d: %v, %v, %v", k.Offset, v, err, viewErr)
			}
		}
		return checkTimes(r.log, kept)
	})
}

// checkTimes: records carry the base offset of their batch as timestamp, so the
// first record at or behind a time is easy to tell.
func checkTimes(l *Log, kept []seen) error {
	times := map[kafka.Offset]kafka.Timestamp{}
	batches, err := readAll(l, l.LogStart(), 1000)
	if err != nil {
		return err
	}
	for _, raw := range batches {
		b, _, _ := record.View(raw)
		for it := b.Records(maxUnpacked); it.Next(); {
			times[it.Offset()] = it.Timestamp()
		}
	}
	for ts := range kafka.Timestamp(l.End()) {
		at, err := l.OffsetForTimestamp(ts)
		if err != nil {
			return err
		}
		want := kafka.NoOffset
		for _, k := range kept {
			if times[k.Offset] >= ts {
				want = k.Offset
				break
			}
		}
		if at.Offset != want {
			return fmt.Errorf("timestamp %d is at %d, want %d", ts, at.Offset, want)
		}
	}
	return nil
}

func TestCompactRemembersWhatIsClean(t *testing.T) {
	r, _ := compactRig(t, sim.Options{Seed: 3}, 100)
	r.must(func() error { return r.log.Compact(1000) })
	cleaned, swaps := r.log.manifest.catalog.cleaned, r.log.swaps
	if cleaned == 0 || swaps == 0 {
		t.Fatalf("clean up to %d after %d swaps", cleaned, swaps)
	}
	r.close()
	r.open()
	r.must(func() error { return compact(r.log, 2000) })
	if got := r.log.manifest.catalog.cleaned; got < cleaned {
		t.Errorf("clean up to %d after a restart, %d before", got, cleaned)
	}
	before := r.log.swaps
	r.must(func() error { return compact(r.log, 3000) })
	if r.log.swaps != before {
		t.Error("a pass without anything new replaced segments")
	}
}

func TestCompactKeepsOutOfTheWay(t *testing.T) {
	r, written := compactRig(t, sim.Options{Seed: 4}, 100)
	r.cfg.Cleanup = CleanupDelete
	r.must(func() error { return r.log.Compact(1000) })
	if r.log.swaps != 0 {
		t.Error("a log without cleanup.policy=compact was compacted")
	}
	r.cfg.Cleanup = CleanupCompact
	stable := r.log.segments()[2].base + 1
	r.must(func() error { return r.log.CompactBelow(1000, stable) })
	if got := r.log.manifest.catalog.cleaned; got > stable || got == 0 {
		t.Errorf("clean up to %d, stable is %d", got, stable)
	}
	r.must(func() error { return holds(r.log, written) })
}

// TestCompactFindsRot: a corrupt batch ends the pass; nothing is replaced.
func TestCompactFindsRot(t *testing.T) {
	r, _ := compactRig(t, sim.Options{Seed: 5}, 100)
	path := r.log.segments()[1].String()
	r.must(func() error {
		f, err := r.w.LogDirs[0].FS.OpenFile(path, env.Write)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte{0xff, 0xff}, 100)
		return errors.Join(err, f.Close())
	})
	r.do(func() {
		if err := r.log.Compact(1000); !errors.Is(err, ErrCorrupt) {
			t.Errorf("compacting rot: %v", err)
		}
	})
	if r.log.swaps != 0 {
		t.Error("segments were replaced")
	}
}

func TestCompactOnAFullDisk(t *testing.T) {
	for room := 0; room < 6000; room += 900 {
		r, written := compactRig(t, sim.Options{Seed: 6}, 100)
		r.inject(fmt.Sprintf("disk-full disk=n/0 n=%d", room))
		r.do(func() {
			if err := r.log.Compact(1000); err != nil && !errors.Is(err, env.ErrNoSpace) {
				t.Errorf("room for %d: %v", room, err)
			}
		})
		r.must(func() error { return holds(r.log, written) })
		r.disk.Heal()
		r.must(func() error { return r.log.Compact(1000) })
		r.must(func() error { return holds(r.log, written) })
		if r.log.manifest.catalog.swapping != nil || r.log.swaps == 0 {
			t.Errorf("room for %d: %d swaps, pending %v", room, r.log.swaps, r.log.manifest.catalog.swapping)
		}
	}
}

// TestCrashAtEveryStep crashes at every step of a compaction, with every kind of
// power loss. The log holds what was written, and can be compacted.
func TestCrashAtEveryStep(t *testing.T) {
	stride := uint64(17) // 1 takes a minute
	if testing.Short() {
		stride = 37
	}
	kinds := []string{"process", "posix", "ext4", "xfs", "prefix"}
	finished := false
	crashes, redone := 0, 0
	for step := uint64(0); !finished; step += stride {
		for i, kind := range kinds {
			if (step/stride+uint64(i))%2 == 1 && kind != "posix" {
				continue
			}
			r, written := compactRig(t, sim.Options{Seed: step}, 60)
			r.node.Go("compact", func() { _ = r.log.Compact(1000); finished = true })
			until := r.k.Steps() + step
			if end := r.k.Run(kafka.Never-1, func() bool { return r.k.Steps() >= until || finished }); end != sim.Finished {
				t.Fatalf("step %d: %s %v", step, end, stacks(r.k.Panics()))
			}
			crashLog(t, r, kind)
			crashes++
			r.open()
			if r.probed("open finished a swap of segments") {
				redone++
			}
			r.must(func() error { return holds(r.log, written) })
			r.must(func() error { return compact(r.log, 2000) })
			r.must(func() error { return holds(r.log, written) })
			r.close()
			r.open()
			r.must(func() error { return holds(r.log, written) })
			r.k.Close()
		}
	}
	t.Logf("%d crashes, %d swaps finished by Open", crashes, redone)
	if redone == 0 {
		t.Error("no crash left a swap half done")
	}
}

func crashLog(t *testing.T, r *rig, kind string) {
	r.node.Crash()
	if kind != "process" {
		p, err := media.ParseProfile(kind)
		if err != nil {
			t.Fatal(err)
		}
		r.disk.PowerLoss(p, 0)
	}
	r.node.Restart()
	r.log, r.dir = nil, nil
}

// TestReadersWhileSegmentsAreReplaced: whoever reads, by offset or by timestamp,
// while a log is compacted, written to, checkpointed and its start moved, sees
// offsets grow and every key's last value.
func TestReadersWhileSegmentsAreReplaced(t *testing.T) {
	for seed := range uint64(10) {
		k := sim.New(sim.Options{Seed: seed, HoldOneIn: 20, HoldMax: 3 * time.Millisecond, Buggify: seed%2 == 0})
		disk := disksim.New(k, "n/0", disksim.DrawOptions(k.Rand("disk options")))
		r := newRigOn(t, k, disk, compactConfig())
		r.open()
		stream := rand.New(rand.NewPCG(2, seed))
		r.must(func() error { return writeTable(r.log, stream, 80) })
		left, failures := 0, []error{}
		start := func(name string, f func() error) {
			left++
			r.node.Go(name, func() {
				if err := f(); err != nil {
					failures = append(failures, fmt.Errorf("%s: %w", name, err))
				}
				left--
			})
		}
		start("write", func() error { return writeTable(r.log, stream, 60) })
		start("compact", func() error { return repeat(8, func() error { return compact(r.log, r.w.Wall()) }) })
		start("read", func() error { return repeat(6, func() error { _, err := view(r.log, 400); return err }) })
		start("look up", func() error {
			return repeat(40, func() error {
				_, err := r.log.OffsetForTimestamp(kafka.Timestamp(stream.Int64N(100)))
				return err
			})
		})
		if end := k.Run(kafka.Never-1, func() bool { return left == 0 }); end != sim.Finished || len(failures) > 0 {
			t.Fatalf("seed %d: %s, %v, %v", seed, end, failures, k.Panics())
		}
		r.must(func() error { return r.log.Check() })
		k.Close()
	}
}

func repeat(n int, f func() error) error {
	for range n {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// TestCompactionInterrupted: truncation, a new log start and the end of the log
// come in between, and the pass gives way.
func TestCompactionInterrupted(t *testing.T) {
	interrupted := 0
	for seed := range uint64(60) {
		r, written := compactRig(t, sim.Options{Seed: seed, HoldOneIn: 10, HoldMax: time.Millisecond}, 60)
		done := 0
		r.node.Go("compact", func() {
			if err := r.log.Compact(1000); err != nil && !errors.Is(err, ErrClosed) {
				t.Errorf("seed %d: %v", seed, err)
			}
			done++
		})
		r.node.Go("interrupt", func() {
			for range r.k.Rand("when").IntN(150) {
				if err := r.w.Sleep(time.Microsecond); err != nil {
					t.Error(err)
				}
			}
			if err := interrupt(r.log, seed); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			done++
		})
		if end := r.k.Run(kafka.Never-1, func() bool { return done == 2 }); end != sim.Finished {
			t.Fatalf("seed %d: %s %+v", seed, end, stacks(r.k.Panics()))
		}
		if r.probed("a compaction was interrupted") {
			interrupted++
		}
		if seed%4 == 3 {
			r.log = nil
			r.open()
			r.must(func() error { return holds(r.log, written) })
		}
		r.must(func() error { return r.log.Check() })
		r.must(func() error { return drain(r.log) })
		r.close()
		r.open()
		r.must(func() error { return drain(r.log) })
		r.k.Close()
	}
	if interrupted == 0 {
		t.Error("no compaction was interrupted")
	}
}

// drain reads what there is. A truncation below what was compacted, which no
// caller does, may leave nothing. Blocks.
func drain(l *Log) error {
	for from := l.LogStart(); from < l.Written(); {
		c, err := l.Read(from, 500, l.Written(), TakeOversize)
		if err != nil || c.Len() == 0 {
			return err
		}
		b := make([]byte, c.Len())
		err = c.Copy(b)
		c.Release()
		if err != nil {
			return err
		}
		for batch, err := range record.All(b) {
			if err != nil || batch.EndOffset() <= from {
				return fmt.Errorf("read %v at %d: %w", batch, from, err)
			}
			from = batch.EndOffset()
		}
	}
	return nil
}

func stacks(ps []sim.Panic) string {
	var out strings.Builder
	for _, p := range ps {
		fmt.Fprintln(&out, p.Value, p.Stack)
	}
	return out.String()
}

func interrupt(l *Log, seed uint64) error {
	switch seed % 4 {
	case 0:
		return l.Truncate(l.End() / 2)
	case 1:
		_, err := l.DeleteRecords(l.End() / 2)
		return err
	case 2:
		return l.Reset(l.End() + 5)
	}
	return l.Close()
}
