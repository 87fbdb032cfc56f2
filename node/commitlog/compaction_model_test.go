package commitlog

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/klammlog/klamm/disksim"
	"github.com/klammlog/klamm/disksim/media"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/sim"
)

// A tableModel is a compacted log as the list of what was written to it. Passes
// run in a task of their own, while the log is written to, its start moves, its
// end is cut off, it is closed, and the machine crashes.
type tableModel struct {
	*rig
	stream   *rand.Rand
	records  map[kafka.Offset]tableRecord // what was written last at an offset
	start    kafka.Offset                 // acknowledged
	maxStart kafka.Offset                 // asked for
	stable   kafka.Offset                 // below it passes may have removed something
	passing  int                          // passes that run
	met      map[kafka.Offset]kafka.Timestamp
	passed   kafka.Timestamp // when the last pass began
	profile  media.Profile
	failures []error
}

type tableRecord struct {
	seen
	held bool
}

func newTableModel(t *testing.T, seed uint64) *tableModel {
	k := sim.New(sim.Options{Seed: seed, Buggify: seed%2 == 0, HoldOneIn: 20, HoldMax: time.Millisecond})
	disk := disksim.New(k, "n/0", disksim.DrawOptions(k.Rand("disk options")))
	cfg := compactConfig()
	cfg.SegmentBytes = 400 << (seed % 4)
	cfg.DeleteRetention = 200 * time.Millisecond
	if seed%3 == 0 {
		cfg.Cleanup |= CleanupDelete
		cfg.RetentionBytes = 1000
	}
	m := &tableModel{rig: newRigOn(t, k, disk, cfg), stream: rand.New(rand.NewPCG(seed, 3)),
		records: map[kafka.Offset]tableRecord{}, met: map[kafka.Offset]kafka.Timestamp{}}
	m.profile = media.Profile(m.stream.IntN(4))
	return m
}

// write appends a batch. Blocks.
func (m *tableModel) write() error {
	raw := tableBatch(m.stream, kafka.Offset(m.stream.Int64N(1000)))
	l := m.log
	a, err := l.Append(raw, 1)
	if err != nil {
		return err
	}
	b, _, err := record.View(raw)
	if err != nil {
		return err
	}
	var mine []kafka.Offset
	it := b.Records(maxUnpacked)
	for it.Next() {
		mine = append(mine, it.Offset())
		delete(m.met, it.Offset())
		m.records[it.Offset()] = tableRecord{seen: seen{it.Offset(), string(it.Key()), string(it.Value()), it.Value() == nil}}
	}
	if err := l.WaitHeld(a, kafka.Never); err != nil {
		return err
	}
	for _, at := range mine {
		r := m.records[at]
		r.held = true
		m.records[at] = r
	}
	return nil
}

// compact begins a pass over what is below some held offset.
func (m *tableModel) compact() {
	if m.passing > 0 {
		return
	}
	l := m.log
	stable := l.LogStart() + kafka.Offset(m.stream.Int64N(int64(l.Held()-l.LogStart())+1))
	if m.stream.IntN(2) == 0 {
		stable = l.Held()
	}
	now := m.w.Wall()
	m.stable, m.passed = max(m.stable, stable), now
	for at, r := range m.records {
		if _, met := m.met[at]; !met && r.Tombstone && at < stable {
			m.met[at] = now
		}
	}
	m.passing++
	m.node.Go("compact", func() {
		err := l.CompactBelow(now, stable)
		m.passing--
		if err != nil && !errors.Is(err, ErrClosed) {
			m.failures = append(m.failures, fmt.Errorf("pass below %d: %w", stable, err))
		}
	})
}

// step carries out one drawn step. Blocks.
func (m *tableModel) step() error {
	l := m.log
	at := l.LogStart() + kafka.Offset(m.stream.Int64N(int64(l.Written()-l.LogStart())+1))
	switch kind := m.stream.IntN(20); {
	case kind < 9:
		return m.write()
	case kind < 12:
		if err := l.Checkpoint(); err != nil {
			return err
		}
		m.compact()
		return nil
	case kind < 13:
		return m.w.Sleep(time.Duration(m.stream.IntN(150)) * time.Millisecond)
	case kind < 14:
		at = min(at, l.LogStart()+20)
		m.maxStart = max(m.maxStart, at)
		start, err := l.DeleteRecords(at)
		m.start = max(m.start, start)
		return err
	case kind < 15:
		m.maxStart = max(m.maxStart, l.Written())
		err := l.RetainBelow(m.w.Wall(), l.Held())
		m.start = max(m.start, l.LogStart())
		if err == nil {
			m.maxStart = m.start
		}
		return err
	case kind < 16:
		return m.truncate(max(m.stable, m.maxStart, l.End()-kafka.Offset(m.stream.Int64N(30))))
	case kind < 17:
		return m.reopen()
	}
	return m.check()
}

func (m *tableModel) truncate(to kafka.Offset) error {
	to = min(to, m.log.End())
	if to-4 < max(m.stable, m.maxStart) {
		return nil // a batch of up to 4 records goes wholly, and passes may have been there
	}
	for at, r := range m.records {
		if at >= to-4 {
			r.held = false
			m.records[at] = r
		}
	}
	err := m.log.Truncate(to)
	if errors.Is(err, env.ErrTooManyFiles) { // a cut that is not complete: Open carries it out
		_ = m.log.Close()
		err = m.openAtLast()
	}
	if err != nil {
		return err
	}
	maps.DeleteFunc(m.records, func(at kafka.Offset, _ tableRecord) bool { return at >= m.log.End() })
	return nil
}

func (m *tableModel) reopen() error {
	if err := errors.Join(m.log.Close(), m.dir.Close()); err != nil {
		return err
	}
	m.log, m.dir = nil, nil
	return m.openAtLast()
}

// check reads everything and compares it with what was written. Blocks.
func (m *tableModel) check() error {
	l := m.log
	if err := l.Check(); err != nil {
		return err
	}
	got, err := view(l, 700)
	if errors.Is(err, ErrOutOfRange) {
		return nil // the log start has moved meanwhile
	}
	if err != nil {
		return err
	}
	start := l.LogStart()
	if start < m.start || start > m.maxStart {
		return fmt.Errorf("log starts at %d, not between %d and %d", start, m.start, m.maxStart)
	}
	there := map[kafka.Offset]bool{}
	for _, r := range got {
		if m.records[r.Offset].seen != r {
			return fmt.Errorf("%+v was not written, but %+v", r, m.records[r.Offset])
		}
		there[r.Offset] = true
	}
	last := m.last(there, start)
	for _, r := range got {
		if e := last[r.Key]; r.Offset >= start && e.Tombstone && !there[e.Offset] && r.Offset < e.Offset {
			return fmt.Errorf("%+v is back, which %+v had deleted", r, e)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(last)) {
		if err := m.checkLast(last[key], there); err != nil {
			return err
		}
	}
	return nil
}

// last returns the last record of each key, of those that are held and those
// that are there.
func (m *tableModel) last(there map[kafka.Offset]bool, start kafka.Offset) map[string]seen {
	out := map[string]seen{}
	for _, at := range slices.Sorted(maps.Keys(m.records)) {
		if r := m.records[at]; at >= start && (r.held || there[at]) {
			out[r.Key] = r.seen
		}
	}
	return out
}

func (m *tableModel) checkLast(r seen, there map[kafka.Offset]bool) error {
	since, met := m.met[r.Offset]
	switch {
	case there[r.Offset]:
		return nil
	case !r.Tombstone:
		return fmt.Errorf("%+v is gone and was the last of its key", r)
	case !met || m.passed < since+milliseconds(m.cfg.DeleteRetention):
		return fmt.Errorf("tombstone %+v is gone: met at %d (%t), the last pass was at %d", r, since, met, m.passed)
	}
	return nil
}

// crash ends the process, often in the middle of something, and opens the log.
func (m *tableModel) crash() error {
	steps, limit := 0, m.stream.IntN(400)
	m.node.Go("step", func() { _ = m.step() })
	m.k.Run(m.k.Now().Add(time.Second), func() bool { steps++; return steps > limit })
	m.node.Crash()
	if m.stream.IntN(2) == 0 {
		m.disk.PowerLoss(m.profile, 0)
	}
	m.node.Restart()
	m.log, m.dir, m.passing = nil, nil, 0
	var err error
	m.do(func() {
		if err = m.openAtLast(); err == nil {
			err = m.check()
		}
	})
	if err == nil {
		m.start = m.log.LogStart()
		m.maxStart = m.start
		// What a crash left of the end is what there is.
		maps.DeleteFunc(m.records, func(at kafka.Offset, _ tableRecord) bool { return at >= m.log.End() })
		for at, r := range m.records {
			r.held = r.held || at >= m.stable
			m.records[at] = r
		}
	}
	return err
}

func (m *tableModel) run(steps int) error {
	m.open()
	for i := range steps {
		var err error
		if m.stream.IntN(12) == 0 {
			err = m.crash()
		} else {
			m.do(func() { err = m.step() })
		}
		if err = errors.Join(append(m.failures, err)...); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

// TestCompactionModel: whatever happens while segments are replaced, every key's
// last value stays, what was deleted stays so, and a tombstone stays its time.
func TestCompactionModel(t *testing.T) {
	count := *modelCount
	if count == 0 {
		if count = 60; testing.Short() {
			count = 25
		}
	}
	reached := map[string]uint64{}
	for seed := uint64(*modelFrom); seed < uint64(*modelFrom+count); seed++ {
		m := newTableModel(t, seed)
		if err := m.run(60 + m.stream.IntN(60)); err != nil {
			t.Errorf("-model.from=%d -model.count=1: %v", seed, err)
		}
		for _, c := range m.k.Probes() {
			reached[c.Name] += c.Times
		}
		m.k.Close()
	}
	for _, name := range []string{"compaction swapped segments", "a compaction was interrupted", "open finished a swap of segments",
		"retention deleted a segment", "a read began again because its segment was gone"} {
		t.Logf("%7d %s", reached[name], name)
		if reached[name] == 0 && count >= 60 {
			t.Errorf("never reached: %s", name)
		}
	}
}
