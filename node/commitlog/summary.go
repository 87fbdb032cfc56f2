package commitlog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// A clean start has to cost the same with one segment and with many. So the last
// facts of a clean shutdown sum up all those before, but for the segments before
// the active one: a start reads the manifest's end and believes it if it says
// which facts of the file it sums up. Whoever needs the other segments has the
// whole file read (manifest.complete), and so has whoever adds a fact.

// totals are segments that are not looked at one by one.
type totals struct {
	segments int
	size     int64
}

const (
	// tailSlots is how many slots of the manifest are read first. With summed up
	// epochs, the last append of a clean shutdown, and zeros behind it, fit.
	tailSlots = 256

	epochsPerFact = 3

	// maxSummedEpochs bounds what a summary repeats of the leader epochs. With
	// more of them a start reads everything.
	maxSummedEpochs = 64 * epochsPerFact
)

// summed returns what a clean shutdown adds to its facts to sum up the catalog as
// it will be after them, nothing if there is no use in it.
func (c *catalog) summed() []fact {
	n := len(c.segments) - 1
	if n < 0 || c.segments[n].sealed || c.point.base != c.segments[n].base || c.swapping != nil || len(c.epochs.entries) > maxSummedEpochs {
		return nil
	}
	var t totals
	for _, s := range c.segments[:n] {
		if !s.sealed {
			return nil
		}
		t.segments, t.size = t.segments+1, t.size+s.size
	}
	fs := []fact{{is: factTotals, n: [6]int64{int64(t.segments), t.size, int64(c.start), int64(c.first),
		int64(c.cleaned), int64(c.segments[n].follows)}}}
	for es := range slices.Chunk(c.epochs.entries, epochsPerFact) {
		f := fact{is: factEpochs, n: [6]int64{-1, 0, -1, 0, -1, 0}}
		for i, e := range es {
			f.n[2*i], f.n[2*i+1] = int64(e.Epoch), int64(e.Start)
		}
		fs = append(fs, f)
	}
	return fs
}

// summarized puts a summary before the last of the facts, the clean one, that are
// about to be appended.
func (m *manifest) summarized(facts []fact) []fact {
	if m.catalog.partial {
		return facts // then nothing was appended, and the old one holds
	}
	after := m.catalog.clone()
	for _, f := range facts {
		after.apply(f)
	}
	sum := after.summed()
	if sum == nil {
		return facts
	}
	last := len(facts) - 1
	out := slices.Concat(facts[:last], sum, facts[last:])
	out[len(out)-1].n[3] = int64(m.used + len(out) - 1)
	return out
}

// clone returns a catalog that can be added to while c stays as it is.
func (c *catalog) clone() *catalog {
	d := *c
	d.segments = slices.Clone(c.segments)
	d.epochs = Epochs{entries: c.epochs.Entries()}
	return &d
}

// tailCatalog returns what the end of a manifest sums up: b are its slots from
// the from-th on. used is how many hold facts. ok is false if the last one does
// not end a summary, or anything is wrong with it. Pure.
func tailCatalog(b []byte, from int, seed uint32) (c *catalog, used int, ok bool) {
	n := len(b) / factSize
	for n > 0 && zero(b[(n-1)*factSize:n*factSize]) {
		n--
	}
	if n == 0 {
		return nil, 0, false
	}
	clean, sound := parseFact(b[(n-1)*factSize:], seed)
	used = from + n
	if !sound || clean.is != factClean || clean.n[3] != int64(used-1) || int(clean.synced) < from || int(clean.synced) >= used {
		return nil, 0, false
	}
	// Everything that was appended together with it has to be there: of one write
	// any part may be missing.
	c = &catalog{}
	c.point.base = kafka.NoOffset
	found := false
	for at := int(clean.synced) - from; at < n; at++ {
		f, sound := parseFact(b[at*factSize:], seed)
		if !sound {
			return nil, 0, false
		}
		found = c.applySummary(f) || found
	}
	if !found || c.point.base == kafka.NoOffset {
		return nil, 0, false
	}
	c.segments[0].base = c.point.base
	c.partial, c.clean, c.cuts = true, true, clean.cut
	return c, used, true
}

// applySummary adds a fact of the last append of a clean shutdown, and reports
// whether it is the one with the totals.
func (c *catalog) applySummary(f fact) (isTotals bool) {
	n := f.n
	switch f.is {
	case factPoint, factClean:
		c.apply(f)
	case factTotals:
		c.elder = totals{segments: int(n[0]), size: n[1]}
		c.start, c.first, c.cleaned = kafka.Offset(n[2]), kafka.Offset(n[3]), kafka.Offset(n[4])
		c.segments = []listed{{follows: kafka.Offset(n[5])}}
		c.epochs.Clear()
		return true
	case factEpochs:
		for i := 0; i < 2*epochsPerFact; i += 2 {
			c.epochs.Assign(kafka.LeaderEpoch(n[i]), kafka.Offset(n[i+1]))
		}
	}
	return false
}

// checkSummary returns how a partial catalog differs from the one that all the
// facts amount to.
func (c *catalog) checkSummary(whole *catalog) error {
	again := &catalog{clean: true, cuts: whole.cuts, opening: whole.opening, snapshot: whole.snapshot, end: whole.end,
		point: whole.point, epochs: whole.epochs}
	for _, f := range whole.summed() {
		again.applySummary(f)
	}
	switch {
	case len(again.segments) == 0 || !whole.clean || whole.cutting != nil:
		return fmt.Errorf("%w: the summary is of a log that was not closed", ErrQuarantined)
	case c.elder != again.elder || c.start != again.start || c.first != again.first || c.cleaned != again.cleaned ||
		c.segments[0].follows != again.segments[0].follows || c.segments[0].base != whole.segments[len(whole.segments)-1].base:
		return fmt.Errorf("%w: the summary has %+v before %d, the facts %+v", ErrQuarantined, c.elder, c.point.base, again.elder)
	case c.cuts != again.cuts || c.opening != again.opening || c.snapshot != again.snapshot || c.end != again.end || c.point != again.point:
		return fmt.Errorf("%w: the summary ends at %d with %+v, the facts at %d with %+v", ErrQuarantined, c.end, c.point, again.end, again.point)
	case !slices.Equal(c.epochs.entries, again.epochs.entries):
		return fmt.Errorf("%w: the summary has %d leader epochs, the facts %d", ErrQuarantined, len(c.epochs.entries), len(again.epochs.entries))
	}
	return nil
}

// knows reports whether the segment of an offset is known.
func (l *Log) knows(at kafka.Offset) bool { return l.elder.segments == 0 || at >= l.known[0].base }

// segments returns all segments. Whoever asks has called complete.
func (l *Log) segments() []*segment {
	if l.elder.segments > 0 {
		assert.That(false, "%s: %d segments are not known yet", l.name, l.elder.segments)
	}
	return l.known
}

// complete makes all segments known: after a clean start only the last one is. If
// the manifest has rotted the log has failed afterwards; other errors, of reading
// it, may pass. Blocks.
func (l *Log) complete() error {
	if !l.manifest.catalog.partial {
		return nil
	}
	err := l.manifest.complete()
	if errors.Is(err, ErrQuarantined) && l.failed == nil {
		l.w.Log.Error("partition is quarantined", "partition", l.name, "dir", l.dir.name, "err", err)
		l.fail(err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	return nil
}

// learn takes over what a whole manifest says. As long as it was not known, nothing
// was added to it, and so no segment came or went. Blocks.
func (l *Log) learn(whole *catalog) {
	list := whole.list()
	list = list[:len(list)-len(l.known)]
	var elder []*segment
	l.w.Offload(func() { elder = l.segmentsOf(list) }) // there may be thousands
	l.known = append(elder, l.known...)
	l.elder = totals{}
}
