package commitlog

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// scrub scrubs the log and returns what damage was told.
func (r *rig) scrub(t *Throttle) (told []error) {
	r.t.Helper()
	if r.log.hurt == nil {
		r.log.OnDamage(func(err error) { told = append(told, err) })
	}
	r.must(func() error { return r.log.Scrub(t) })
	return told
}

// A log that is whole is read from its first byte to its last, and nothing is taken
// out of it.
func TestAScrubReadsAll(t *testing.T) {
	for name, again := range map[string]bool{"written by this process": false, "written by the one before": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, sim.Options{Seed: 1}, smallConfig())
			r.open()
			r.fill(100, 3, 50)
			if again {
				r.close()
				r.open()
			}
			told := r.scrub(nil)
			if s := r.log.Stats(); len(told) > 0 || s.Scrubbed != uint64(r.log.Size()) || s.TakenOut != 0 {
				t.Errorf("of %d bytes %d are sound, %d were taken out: %v", r.log.Size(), s.Scrubbed, s.TakenOut, told)
			}
		})
	}
}

// Rot in what this process wrote itself is noticed, told, and not served, wherever
// it is; what else there is stays. A second scrub finds nothing new.
func TestAScrubFindsRot(t *testing.T) {
	for _, kind := range []string{"appended", "compacted"} {
		t.Run(kind, func(t *testing.T) {
			stream := rand.New(rand.NewPCG(3, 1))
			for range 8 {
				rotAndScrub(t, stream, kind == "compacted")
			}
		})
	}
}

func rotAndScrub(t *testing.T, stream *rand.Rand, compacted bool) {
	t.Helper()
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
	s := r.log.segments()[stream.IntN(len(r.log.segments()))]
	if s.size == 0 {
		return
	}
	at := stream.Int64N(s.size)
	if stream.IntN(2) == 0 {
		at = min(at, stream.Int64N(21)) // in a head, most of which no checksum covers
	}
	if !r.disk.Rot(s.String(), at, stream.UintN(8)) {
		t.Fatalf("%s has no byte %d on the disk", s, at)
	}
	if told := r.scrub(nil); len(told) != 1 || !errors.Is(told[0], ErrCorrupt) {
		t.Fatalf("rot at %d of %s: told %v", at, s, told)
	}
	out := r.log.Stats().TakenOut
	if size := min(s.size, 3*600); out == 0 || out > uint64(size) {
		t.Errorf("rot at %d of %s: %d bytes were taken out", at, s, out)
	}
	refused := 0
	for base, want := range batches {
		r.do(func() {
			got, err := oneBatch(r.log, base)
			if errors.Is(err, ErrCorrupt) {
				refused++
			} else if err != nil || !bytes.Equal(got, want) {
				t.Errorf("rot at %d of %s: batch at %d: %v", at, s, base, err)
			}
		})
	}
	if refused == 0 {
		t.Errorf("rot at %d of %s is served", at, s)
	}
	r.must(func() error { return r.log.Scrub(nil) })
	if again := r.log.Stats().TakenOut; again != out {
		t.Errorf("rot at %d of %s: a second scrub took out %d bytes more", at, s, again-out)
	}
}

// A chunk that has rotted between its finding and its copying is refused: a follower
// is not sent what it would refuse again and again.
func TestRotIsNotCopied(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(8, 3, 50)
	for at := range int64(300) {
		s := r.log.segments()[0]
		r.do(func() {
			c, err := r.log.Read(0, 300, r.log.Written(), TakeOversize)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Release()
			r.disk.Rot(s.String(), at, 2)
			if err := c.Copy(make([]byte, c.Len())); at < int64(c.Len()) && !errors.Is(err, ErrCorrupt) {
				t.Errorf("rot at %d is copied: %v", at, err)
			}
		})
		r.disk.Rot(s.String(), at, 2) // the bit is as it was
		s.bad = nil
	}
}

// What a truncation leaves of a damaged part is not served afterwards either.
func TestATruncationForgetsNoDamage(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(8, 3, 50)
	s := r.log.segments()[0]
	r.disk.Rot(s.String(), 100, 1)
	r.scrub(nil)
	r.must(func() error { return r.log.Truncate(18) })
	r.do(func() {
		if _, err := oneBatch(r.log, 0); !errors.Is(err, ErrCorrupt) {
			t.Errorf("after a truncation: %v", err)
		}
	})
}

// A scrub keeps to its pace, and appends and truncations do not wait for it.
func TestAScrubIsSlowAndNobodyWaits(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(100, 3, 50)
	size := r.log.Size()
	began := r.k.Now()
	done := false
	r.node.Go("scrub", func() {
		r.want(r.log.Scrub(&Throttle{Rate: func() int64 { return 1000 }}))
		done = true
	})
	r.fill(10, 3, 50)
	if took := r.k.Now().Sub(began); took > time.Second || done {
		t.Errorf("appends took %s, the scrub is over: %t", took, done)
	}
	r.k.Run(kafka.Never-1, func() bool { return done })
	if took, least := r.k.Now().Sub(began), time.Duration(size)*time.Millisecond; took < least {
		t.Errorf("%d bytes took %s, want %s at least", size, took, least)
	}
}

// What goes away while a scrub is at it is no damage.
func TestAScrubLeavesWhatIsCut(t *testing.T) {
	for seed := range uint64(20) {
		r := newRig(t, sim.Options{Seed: seed, HoldOneIn: 20, HoldMax: 5 * time.Millisecond}, smallConfig())
		r.open()
		r.fill(60, 3, 50)
		r.log.OnDamage(func(err error) { t.Errorf("seed %d: %v", seed, err) })
		done := false
		r.node.Go("scrub", func() {
			r.want(r.log.Scrub(&Throttle{Rate: func() int64 { return 1 << 20 }}))
			done = true
		})
		r.must(func() error {
			if err := r.w.Sleep(time.Duration(seed) * time.Millisecond); err != nil {
				return err
			}
			if _, err := r.log.DeleteRecords(20); err != nil {
				return err
			}
			return r.log.Truncate(100)
		})
		r.fill(20, 5, 30)
		r.k.Run(kafka.Never-1, func() bool { return done })
		if s := r.log.Stats(); s.TakenOut > 0 || s.Corrupt > 0 || !done {
			t.Errorf("seed %d: %d bytes taken out, %d reads refused, done %t", seed, s.TakenOut, s.Corrupt, done)
		}
		r.k.Close()
	}
}

// A disk that does not give a part is told of, and the part is asked for again.
func TestAScrubComesBackToWhatCannotBeRead(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	logged := &lines{}
	r.w.Log = slog.New(logged)
	r.open()
	r.fill(100, 3, 50)
	r.inject("disk-bad-sector disk=n/0 path=" + r.log.segments()[0].String())
	if told := r.scrub(nil); len(told) > 0 || len(logged.errors) != 1 {
		t.Errorf("told %v, logged %q", told, logged.errors)
	}
	some := r.log.Stats().Scrubbed
	if some >= uint64(r.log.Size()) || r.log.Stats().TakenOut > 0 {
		t.Errorf("%d of %d bytes are sound, %d taken out", some, r.log.Size(), r.log.Stats().TakenOut)
	}
	r.disk.Heal()
	r.scrub(nil)
	if s := r.log.Stats(); s.Scrubbed-some != uint64(r.log.Size()) {
		t.Errorf("of %d bytes %d are sound", r.log.Size(), s.Scrubbed-some)
	}
}

// A scrub ends with its log.
func TestAScrubEndsWithItsLog(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(100, 3, 50)
	var err error
	r.node.Go("scrub", func() { err = r.log.Scrub(&Throttle{Rate: func() int64 { return 100 }}) })
	r.must(func() error { return r.w.Sleep(3 * time.Second) })
	r.close()
	r.settle()
	if !errors.Is(err, ErrClosed) {
		t.Errorf("it ended with %v", err)
	}
}

// A partition file that rots under the process that wrote it is written anew: the
// next process would refuse the log (docs/bugs/0039.md).
func TestAScrubMendsThePartitionFile(t *testing.T) {
	for at := range int64(headerSize + 10) {
		r := newRig(t, sim.Options{Seed: 1}, smallConfig())
		r.open()
		r.fill(10, 3, 50)
		path := r.log.o.Path + "/" + partitionName
		if !r.disk.Rot(path, at, uint(at)%8) {
			t.Fatalf("%s has no byte %d on the disk", path, at)
		}
		if told := r.scrub(nil); len(told) > 0 {
			t.Errorf("rot at %d: told %v, and no record is damaged", at, told)
		}
		end := r.log.End()
		r.kill()
		r.open()
		if r.log.End() != end {
			t.Errorf("rot at %d: the log ends at %d, not %d", at, r.log.End(), end)
		}
		r.k.Close()
	}
}

// A manifest that rots under the process that wrote it is written anew from what the
// process knows: the next one would refuse the log.
func TestAScrubMendsTheManifest(t *testing.T) {
	for _, at := range []int64{0, 9, headerSize - 1, headerSize, headerSize + factSize + 5, -2 * factSize, -1, factSize} {
		r := newRig(t, sim.Options{Seed: 1}, smallConfig())
		r.open()
		r.fill(100, 3, 50)
		r.settle()
		m := r.log.manifest
		if facts := headerSize + int64(m.used)*factSize; at < 0 {
			at += facts // in the last ones
		} else if at == factSize {
			at = facts + 1 // behind them
		}
		if !r.disk.Rot(m.path, at, uint(at)%8) {
			t.Fatalf("%s has no byte %d on the disk", m.path, at)
		}
		if told := r.scrub(nil); len(told) > 0 || !r.probed("a manifest was corrupt and was written anew") {
			t.Errorf("rot at %d: told %v, and no record is damaged", at, told)
		}
		r.fill(5, 3, 50)
		segments, end := r.log.Segments(), r.log.End()
		r.kill()
		r.open()
		if r.log.End() != end || r.log.Segments() != segments {
			t.Errorf("rot at %d: the log has %d segments and ends at %d, not %d and %d", at, r.log.Segments(), r.log.End(), segments, end)
		}
		r.check(105)
		r.k.Close()
	}
}

// A scrub that finds a whole partition file and manifest does not touch them, and what it
// cannot read it leaves to the next.
func TestAScrubLeavesTheOtherFilesAlone(t *testing.T) {
	for name, fault := range map[string]string{"whole": "", "not readable": "disk-bad-sector disk=n/0 path=*/partition", "no manifest": "disk-bad-sector disk=n/0 path=*/manifest"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, sim.Options{Seed: 1}, smallConfig())
			r.open()
			r.fill(10, 3, 50)
			if fault != "" {
				r.inject(fault)
			}
			r.scrub(nil)
			if r.probed("a partition file was corrupt and was written anew") || r.probed("a manifest was corrupt and was written anew") {
				t.Error("it was written anew")
			}
			for file, probe := range map[string]string{"/partition": "a scrub could not read a partition file", "/manifest": "a scrub could not read a manifest"} {
				if tried := r.probed(probe); tried != strings.HasSuffix(fault, file) {
					t.Errorf("%s could not be read: %t", file, tried)
				}
			}
		})
	}
}
