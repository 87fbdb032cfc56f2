package commitlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A lines collects what is logged at level error.
type lines struct{ errors []string }

func (h *lines) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (h *lines) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h *lines) WithGroup(string) slog.Handler                { return h }
func (h *lines) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	h.errors = append(h.errors, line)
	return nil
}

// stored returns the batches of a log by their offsets.
func (r *rig) stored() map[kafka.Offset][]byte {
	r.t.Helper()
	out := map[kafka.Offset][]byte{}
	r.must(func() error {
		all, err := readAll(r.log, r.log.LogStart(), 1<<20)
		for _, b := range all {
			out[kafka.Offset(headOf2(b).base)] = b
		}
		return err
	})
	return out
}

// TestGarbageIsTakenOut: a part of a .log that something overwrote after a clean
// stop is not served, everybody who asks is told, whoever looks after the node
// once; the rest of the partition goes on.
func TestGarbageIsTakenOut(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(100, 3, 50)
	batches := r.stored()
	path := r.log.segments()[0].String()
	r.close()
	r.must(func() error {
		f, err := r.w.LogDirs[0].FS.OpenFile(path, env.Write)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(bytes.Repeat([]byte("garbage "), 100), 1500)
		return errors.Join(err, f.Sync(), f.Close())
	})
	logged := &lines{}
	r.w.Log = slog.New(logged)
	r.open()
	var refused, served int
	for round := range 2 {
		for at, want := range batches {
			r.do(func() {
				got, err := oneBatch(r.log, at)
				switch {
				case errors.Is(err, ErrCorrupt):
					refused++
				case err != nil || !bytes.Equal(got, want):
					t.Errorf("round %d: batch at %d: %v", round, at, err)
				default:
					served++
				}
			})
		}
	}
	if refused < 6 || refused > 30 || served+refused != 200 {
		t.Errorf("%d served, %d refused", served, refused)
	}
	if len(logged.errors) != 1 || !strings.Contains(logged.errors[0], path) {
		t.Errorf("logged %q", logged.errors)
	}
	if s := r.log.Stats(); s.TakenOut < 800 || s.TakenOut > 2500 {
		t.Errorf("%d bytes were taken out", s.TakenOut)
	}
	r.fill(10, 3, 50)
	r.close()
}

// oneBatch reads the batch at an offset, by itself. Blocks.
func oneBatch(l *Log, at kafka.Offset) ([]byte, error) {
	c, err := l.Read(at, 1, l.Written(), TakeOversize)
	if err != nil {
		return nil, err
	}
	defer c.Release()
	b := make([]byte, c.Len())
	return b, c.Copy(b)
}

// TestNothingWrongIsServed: whatever byte of a .log a disk changes while the node
// is down, what is read is what was written, and what cannot be read is near.
func TestNothingWrongIsServed(t *testing.T) {
	for _, kind := range []string{"appended", "compacted"} {
		t.Run(kind, func(t *testing.T) {
			stream, flips := rand.New(rand.NewPCG(1, 1)), 25
			if testing.Short() {
				flips = 8
			}
			refused := 0
			for range flips {
				refused += flipAByte(t, stream, kind == "compacted")
			}
			if refused < flips*9/10 {
				t.Errorf("%d of %d changed bytes were noticed", refused, flips)
			}
		})
	}
}

// flipAByte returns 1 if something could not be read afterwards.
func flipAByte(t *testing.T, stream *rand.Rand, compacted bool) int {
	r := newRig(t, sim.Options{Seed: 1}, compactConfig())
	defer r.k.Close()
	r.cfg.IndexInterval = 600
	r.open()
	r.must(func() error {
		if err := writeTable(r.log, rand.New(rand.NewPCG(1, 2)), 60); err != nil || !compacted {
			return err
		}
		return compact(r.log, 1000)
	})
	batches := r.stored()
	s := r.firstFull()
	at := stream.Int64N(s.size)
	if stream.IntN(2) == 0 { // in a head, which checksums do not cover
		var bases []kafka.Offset
		for base := range batches {
			if s.base <= base && base < s.end {
				bases = append(bases, base)
			}
		}
		slices.Sort(bases)
		at = r.positionOf(bases[stream.IntN(len(bases))]) + stream.Int64N(21)
	}
	r.close()
	name := strings.TrimPrefix(s.String(), rigPath+"/")
	r.damage(name, at)
	r.open()
	refused := 0
	for base, want := range batches {
		r.do(func() {
			got, err := oneBatch(r.log, base)
			if errors.Is(err, ErrCorrupt) && base >= s.base && base < s.end {
				refused = 1
				return
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("byte %d of %s: batch at %d is not what was written: %v", at, name, base, err)
			}
		})
	}
	r.do(func() {
		all, err := readAll(r.log, r.log.LogStart(), 1<<20)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d: %v", at, err)
		}
		for _, b := range all {
			if !bytes.Equal(batches[headOf2(b).base], b) {
				t.Errorf("byte %d of %s: what is read at %d was not written", at, name, headOf2(b).base)
			}
		}
	})
	return refused
}

// firstFull returns the first segment that is not empty.
func (r *rig) firstFull() *segment {
	return r.log.segments()[slices.IndexFunc(r.log.segments(), func(s *segment) bool { return s.size > 0 })]
}

// positionOf returns where the batch at an offset is in that segment.
func (r *rig) positionOf(base kafka.Offset) (at int64) {
	r.must(func() error {
		s := r.firstFull()
		f, err := s.log().pin()
		if err != nil {
			return err
		}
		defer s.log().unpin()
		w := walk{f: f, end: s.size}
		for {
			h, ok, err := w.next()
			if err != nil || !ok || h.base == base {
				at = h.position
				return err
			}
		}
	})
	return at
}

// A compacted log without its index is still read, if with less certainty.
func TestGapsWithoutAnIndexAreBelieved(t *testing.T) {
	r, written := compactRig(t, sim.Options{Seed: 4}, 100)
	r.must(func() error { return r.log.Compact(1000) })
	index := r.firstFull().file(indexSuffix)
	r.close()
	r.must(func() error { return r.w.LogDirs[0].FS.Remove(index) })
	r.open()
	r.must(func() error { return holds(r.log, written) })
	r.settle()
	r.must(func() error { return holds(r.log, written) })
	if !r.probed("an index was bad and is built again") {
		t.Error("the index was not missed")
	}
	r.close()
	r.open()
	r.must(func() error { return holds(r.log, written) })
}

// TestUnreadableTailIsNotCut: what the disk does not give may have been promised,
// even beyond what is proven. The log does not open, nothing is changed, and it
// opens once the disk gives it.
func TestUnreadableTailIsNotCut(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(20, 3, 50)
	path := r.log.active().String()
	r.kill()
	r.inject(fmt.Sprintf("disk-read-error disk=n/0 path=%s onein=1", path))
	before := r.disk.Files()
	r.do(func() {
		for range 3 {
			if err := r.openErr(); !errors.Is(err, env.ErrIO) || errors.Is(err, ErrQuarantined) {
				t.Errorf("open: %v", err)
			}
		}
	})
	if after := r.disk.Files(); strings.Join(after, " ") != strings.Join(before, " ") {
		t.Errorf("files are %q, were %q", after, before)
	}
	r.disk.Heal()
	r.open()
	r.check(20)
}

// A segment that cannot be read is told of once.
func TestUnreadableSegmentIsToldOfOnce(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	logged := &lines{}
	r.w.Log = slog.New(logged)
	r.open()
	r.fill(100, 3, 50)
	path := r.log.segments()[0].String()
	r.close()
	r.open()
	r.inject(fmt.Sprintf("disk-read-error disk=n/0 path=%s onein=1", path))
	r.do(func() {
		for range 5 {
			if err := r.read(3); !errors.Is(err, env.ErrIO) {
				t.Errorf("read: %v", err)
			}
		}
		r.want(r.read(290))
	})
	if len(logged.errors) != 1 || !strings.Contains(logged.errors[0], path) {
		t.Errorf("logged %q", logged.errors)
	}
	r.disk.Heal()
	r.check(100)
}

// After a pass has met rot the log is not compacted again and again.
func TestRotEndsCompaction(t *testing.T) {
	r, _ := compactRig(t, sim.Options{Seed: 5}, 100)
	name := strings.TrimPrefix(r.log.segments()[1].String(), rigPath+"/")
	r.damage(name, 100)
	r.do(func() {
		if err := r.log.Compact(1000); !errors.Is(err, ErrCorrupt) {
			t.Errorf("compacting rot: %v", err)
		}
		d, err := r.log.Dirt(1000, r.log.End())
		if r.want(err); d.Due {
			t.Errorf("dirt %+v", d)
		}
		r.want(r.log.Compact(1000))
	})
}

// What a truncation takes between the finding of a part and its check is missing and
// not rotten: nothing is taken out, and nobody who looks after the log is told.
func TestWhatIsCutOffWhileItIsCheckedIsNotRotten(t *testing.T) {
	quicker := false
	for seed := range uint64(20) {
		r := newRig(t, sim.Options{Seed: seed, HoldOneIn: 5, HoldMax: 100 * time.Millisecond}, smallConfig())
		r.cfg.IndexInterval = 4096 // every check begins with the segment, below the cut
		r.open()
		r.fill(14, 3, 50)
		r.close()
		r.open() // what another process wrote is checked when it is read
		r.log.OnDamage(func(err error) { t.Errorf("seed %d: %v", seed, err) })
		readers := 0
		for at := range kafka.Offset(40) {
			readers++
			r.node.Go("read", func() {
				defer func() { readers-- }()
				if at%4 == 0 {
					_, err := r.log.OffsetForTimestamp(kafka.Timestamp(at))
					r.want(err)
				} else if _, err := oneBatch(r.log, at); err != nil && !errors.Is(err, ErrOutOfRange) {
					t.Errorf("seed %d: read at %d: %v", seed, at, err)
				}
			})
		}
		r.must(func() error { return r.log.Truncate(20) })
		r.k.Run(kafka.Never-1, func() bool { return readers == 0 })
		if s := r.log.Stats(); s.TakenOut > 0 || s.Corrupt > 0 || readers > 0 {
			t.Errorf("seed %d: %d bytes taken out, %d reads refused, %d readers left", seed, s.TakenOut, s.Corrupt, readers)
		}
		quicker = quicker || r.probed("a part was cut off or replaced while it was checked")
		r.k.Close()
	}
	if !quicker {
		t.Error("no truncation was quicker than a check")
	}
}
