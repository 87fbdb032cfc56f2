package commitlog

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// manyConfig makes enough segments that a start does not read all of the manifest.
func manyConfig() Config {
	c := smallConfig()
	c.SegmentBytes = 200
	return c
}

// openMany returns a log of many segments that was closed and opened again.
func openMany(t *testing.T) *rig {
	r := newRig(t, sim.Options{Seed: 1}, manyConfig())
	r.open()
	r.fill(400, 1, 100)
	r.close()
	r.open()
	if l := r.log; l.elder.segments < 300 || !l.manifest.catalog.partial {
		t.Fatalf("%d segments of %d are known", len(l.known), l.Segments())
	}
	return r
}

func TestCleanStartReadsTheEndOfTheManifest(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, manyConfig())
	r.open()
	r.fill(400, 1, 100)
	segments, size, end := r.log.Segments(), r.log.Size(), r.log.End()
	r.close()
	r.open()
	l := r.log
	if l.Segments() != segments || l.Size() != size || l.End() != end || l.LogStart() != 0 || l.Epochs().Latest() != 1 {
		t.Errorf("%d segments of %d bytes to %d, want %d, %d, %d", l.Segments(), l.Size(), l.End(), segments, size, end)
	}
	r.must(func() error { _, err := readAll(l, end-1, 1000); return err })
	r.must(func() error { return l.Checkpoint() })
	if !l.manifest.catalog.partial {
		t.Error("the tail was read, and everything is known")
	}
	r.close() // nothing was changed, nothing is said again
	r.open()
	r.check(400)
	if r.log.manifest.catalog.partial || !r.probed("a manifest was read when it was needed") {
		t.Error("everything was read, and not everything is known")
	}
}

// Whatever touches a log that was just opened finds all of it.
func TestEverythingIsKnownWhenItIsNeeded(t *testing.T) {
	for name, f := range map[string]func(r *rig) error{
		"append": func(r *rig) error {
			a, err := r.log.Append(batchOf(1, 100, 1, nil), 1)
			return errors.Join(err, r.log.WaitHeld(a, kafka.Never))
		},
		"delete":    func(r *rig) error { _, err := r.log.DeleteRecords(17); return err },
		"truncate":  func(r *rig) error { return r.log.Truncate(17) },
		"reset":     func(r *rig) error { return r.log.Reset(1000) },
		"retain":    func(r *rig) error { return r.log.Retain(1) },
		"timestamp": func(r *rig) error { _, err := r.log.OffsetForTimestamp(5); return err },
		"largest":   func(r *rig) error { _, err := r.log.MaxTimestamp(); return err },
		"read":      func(r *rig) error { return r.read(0) },
	} {
		t.Run(name, func(t *testing.T) {
			r := openMany(t)
			r.must(func() error { return f(r) })
			if r.log.manifest.catalog.partial || r.log.elder != (totals{}) {
				t.Error("it went without knowing all segments")
			}
			r.settle()
			r.must(r.log.Check)
			r.close()
			r.open()
			r.must(func() error { _, err := readAll(r.log, r.log.LogStart(), 1000); return err })
		})
	}
}

func (r *rig) read(from kafka.Offset) error {
	c, err := r.log.Read(from, 100, r.log.Written(), TakeOversize)
	c.Release()
	return err
}

// What was synced and is bad quarantines a partition, if not at the start, then
// when it is needed. The end of the log, which is known to be good, is served.
func TestRotInsideTheManifestIsFoundWhenItIsNeeded(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, manyConfig())
	r.open()
	r.fill(400, 1, 100)
	r.close()
	r.damage("manifest", headerSize+100*factSize+20)
	r.open()
	r.do(func() {
		r.want(r.read(399))
		for _, err := range []error{r.read(3), second(r.log.MaxTimestamp()), r.log.Retain(1), r.log.Truncate(4)} {
			if !errors.Is(err, ErrQuarantined) {
				t.Errorf("got %v, want %v", err, ErrQuarantined)
			}
		}
		a, err := r.log.Append(batchOf(1, 100, 1, nil), 1)
		if err == nil {
			err = r.log.WaitHeld(a, kafka.Never)
		}
		if !errors.Is(err, ErrQuarantined) {
			t.Errorf("append got %v, want %v", err, ErrQuarantined)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// damage changes a byte of one of the log's files.
func (r *rig) damage(name string, at int64) {
	r.t.Helper()
	r.must(func() error {
		f, err := r.w.LogDirs[0].FS.OpenFile(rigPath+"/"+name, env.Write)
		if err != nil {
			return err
		}
		b := make([]byte, 1)
		err = readFull(f, b, at)
		b[0] ^= 0x40
		if err == nil {
			_, err = f.WriteAt(b, at)
		}
		return errors.Join(err, f.Sync(), f.Close())
	})
}

// Of the last append of a clean shutdown any slots may be missing after a crash:
// a summary is believed only if all of it is there.
func TestATornSummaryIsNoSummary(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, manyConfig())
	r.open()
	r.fill(50, 1, 100)
	r.close()
	var b []byte
	r.must(func() (err error) { b, err = readWhole(r.w.LogDirs[0].FS, rigPath+"/manifest"); return err })
	h, err := parseHeader(b, kindManifest)
	if err != nil {
		t.Fatal(err)
	}
	b = b[headerSize:]
	_, used, ok := tailCatalog(b, 0, h.seed())
	if !ok {
		t.Fatal("no summary")
	}
	clean, _ := parseFact(b[(used-1)*factSize:], h.seed())
	for slot := int(clean.synced); slot < used; slot++ {
		for _, torn := range []byte{0, 1} {
			c := slices.Clone(b)
			if clear(c[slot*factSize : (slot+1)*factSize]); torn > 0 {
				c[slot*factSize] = torn
			}
			if _, _, ok := tailCatalog(c, 0, h.seed()); ok {
				t.Errorf("slot %d of %d to %d is bad and the summary is believed", slot, clean.synced, used)
			}
		}
	}
	behind := slices.Clone(b)
	behind[used*factSize+7] = 1
	if _, _, ok := tailCatalog(behind, 0, h.seed()); ok {
		t.Error("something is behind the summary and it is believed")
	}
	moved := append(make([]byte, factSize), b...)
	if _, _, ok := tailCatalog(moved, 0, h.seed()); ok {
		t.Error("the summary is in another place and is believed")
	}
}

// TestSummaryIsWhatTheFactsSay: for any history of a manifest, what its end sums
// up is what all of it amounts to.
func TestSummaryIsWhatTheFactsSay(t *testing.T) {
	summaries := 0
	rapid.Check(t, func(t *rapid.T) {
		m := &manifest{}
		m.catalog.point.base = kafka.NoOffset
		var end, epoch int64
		draw := func(n int, label string) int64 { return int64(rapid.IntRange(0, n-1).Draw(t, label)) }
		for range draw(40, "facts") {
			fs := drawFacts(&m.catalog, &end, &epoch, draw)
			for _, f := range fs {
				m.catalog.apply(f)
			}
			m.used += len(fs)
		}
		m.proven = m.used
		last := pointFact(point{base: kafka.NoOffset, offset: kafka.Offset(end)})
		if n := len(m.catalog.segments); n > 0 {
			last = pointFact(point{base: m.catalog.segments[n-1].base, position: end, offset: kafka.Offset(end), entries: 3})
		}
		facts := m.summarized([]fact{last, {is: factClean, n: [6]int64{end, end, -1}}})
		b := make([]byte, (m.used+len(facts)+int(draw(70, "behind")))*factSize)
		for i, f := range facts {
			f.synced, f.cut = uint32(m.proven), max(f.cut, m.catalog.cuts)
			f.encode(b[(m.used+i)*factSize:], 5)
			m.catalog.apply(f)
		}
		from := m.used
		c, used, ok := tailCatalog(b[from*factSize:], from, 5)
		if wanted := len(facts) > 2; ok != wanted {
			t.Fatalf("summary of %d facts: %t", len(facts), ok)
		}
		if !ok {
			return
		}
		summaries++
		if used != m.used+len(facts) {
			t.Fatalf("%d slots are used, %d are said to be", m.used+len(facts), used)
		}
		if err := c.checkSummary(&m.catalog); err != nil {
			t.Fatal(err)
		}
		n := len(m.catalog.segments) - 1
		if c.elder.segments != n || c.segments[0].base != m.catalog.segments[n].base {
			t.Fatalf("%d segments before %d, want %d before %d", c.elder.segments, c.segments[0].base, n, m.catalog.segments[n].base)
		}
		ignore := cmpopts.IgnoreFields(catalog{}, "segments", "partial", "elder", "cutBase")
		if d := cmp.Diff(&m.catalog, c, cmp.AllowUnexported(catalog{}, Epochs{}, point{}), ignore, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("summary (+) is not what the facts (-) say:\n%s", d)
		}
	})
	if summaries == 0 {
		t.Error("no history ended with a summary")
	}
}

// drawFacts draws what may happen next to a log.
func drawFacts(c *catalog, end, epoch *int64, draw func(int, string) int64) []fact {
	n := len(c.segments)
	*end += 1 + draw(9, "records")
	switch kind := draw(7, "kind"); {
	case kind < 3 || n == 0: // roll
		added := fact{is: factAdded, n: [6]int64{*end, *end}}
		if n == 0 {
			return []fact{added}
		}
		base := int64(c.segments[n-1].base)
		return []fact{{is: factSealed, n: [6]int64{base, 100 + draw(100, "size"), *end, -1, base, 1}}, added}
	case kind == 3:
		*epoch += 1 + draw(2, "epochs")
		return []fact{epochFact(EpochStart{kafka.LeaderEpoch(*epoch), kafka.Offset(*end)})}
	case kind == 4: // retention
		first := c.segments[draw(n, "segment")].base
		return []fact{{is: factFirst, n: [6]int64{int64(max(first, c.start)), int64(first)}}}
	case kind == 5: // a cut
		s := c.segments[draw(n, "segment")]
		*end = max(int64(s.base), int64(c.start)) + draw(3, "cut")
		return []fact{cutFact(s.base, cut{number: c.cuts + 1, position: draw(50, "position"), offset: kafka.Offset(*end)}),
			pointFact(point{base: s.base, offset: kafka.Offset(*end)})}
	}
	i := draw(n, "compacted")
	if s := c.segments[i]; s.sealed {
		return []fact{swapFact(s.base, s.end, swapPrepared, 0), {is: factSealed, n: [6]int64{int64(s.base), 10, int64(s.end), -1, 0, 1}},
			swapFact(s.base, s.end, swapDone, s.end)}
	}
	return []fact{{is: factOpen}}
}

// With more leader epochs than a summary repeats, a start reads everything.
func TestManyEpochsAreNotSummedUp(t *testing.T) {
	for _, n := range []int{maxSummedEpochs, maxSummedEpochs + 1} {
		c := &catalog{segments: []listed{{base: 0}}}
		for i := range n {
			c.apply(epochFact(EpochStart{kafka.LeaderEpoch(i), kafka.Offset(i)}))
		}
		c.apply(pointFact(point{offset: kafka.Offset(n)}))
		if got := len(c.summed()); (n > maxSummedEpochs) != (got == 0) || got > tailSlots/2 {
			t.Errorf("%d epochs are summed up in %d facts", n, got)
		}
	}
}
