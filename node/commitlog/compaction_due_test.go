package commitlog

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/sim"
)

// put appends one record at a time of its own. Blocks.
func put(l *Log, key, value string, ts kafka.Timestamp) error {
	var w record.Builder
	r := record.Record{Timestamp: ts, Key: []byte(key)}
	if value != "" {
		r.Value = []byte(value)
	}
	w.Append(r)
	b, err := w.Build(record.Spec{}, new(record.Codecs))
	if err != nil {
		return err
	}
	a, err := l.Append(b.Bytes(), 1)
	if err == nil {
		err = l.WaitHeld(a, kafka.Never)
	}
	return err
}

func TestMaxCompactionLagRollsTheActiveSegment(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, compactConfig())
	r.cfg.SegmentBytes, r.cfg.MinCleanableRatio = 1<<20, 1
	r.open()
	r.must(func() error {
		for i := range 20 {
			if err := put(r.log, "a", fmt.Sprint(i), kafka.Timestamp(1000+i)); err != nil {
				return err
			}
		}
		return nil
	})
	dirt := func(now kafka.Timestamp) (d Dirt) {
		r.must(func() (err error) { d, err = r.log.Dirt(now, r.log.End()); return err })
		return d
	}
	if d := dirt(1 << 40); d.Due || r.log.Segments() != 1 {
		t.Errorf("without max.compaction.lag.ms: %+v, %d segments", d, r.log.Segments())
	}
	r.cfg.MaxCompactionLag = 5 * time.Second
	if d := dirt(6000); d.Due || r.log.Segments() != 1 {
		t.Errorf("not older than max.compaction.lag.ms: %+v, %d segments", d, r.log.Segments())
	}
	if d := dirt(6001); !d.Due || r.log.Segments() != 2 || d.Dirty == 0 || d.Dirty != d.Total {
		t.Errorf("older than max.compaction.lag.ms: %+v, %d segments", d, r.log.Segments())
	}
	r.close() // with an active segment that is empty
	r.open()
	if d := dirt(6001); !d.Due {
		t.Errorf("after a restart: %+v", d)
	}
	r.must(func() error { return r.log.Compact(6001) })
	r.must(func() error { return r.log.Check() })
	var got []seen
	r.must(func() (err error) { got, err = view(r.log, 1000); return err })
	if len(got) != 1 || got[0].Offset != 19 {
		t.Errorf("left is %+v", got)
	}
	r.unplug()
	r.open()
	r.must(func() error { return put(r.log, "a", "z", 9000) })
	if r.log.End() != 21 || dirt(9001).Due {
		t.Errorf("log ends at %d, dirt %+v", r.log.End(), dirt(9001))
	}
}

// By append, a segment of a compacted log is rolled after the shorter of
// segment.ms and max.compaction.lag.ms; of another log, after segment.ms.
func TestMaxCompactionLagRollsByAppend(t *testing.T) {
	for _, test := range []struct {
		cleanup      Cleanup
		segment, lag time.Duration
		want         int
	}{
		{CleanupCompact, 0, 2 * time.Second, 2},
		{CleanupCompact, time.Second, 2 * time.Second, 3},
		{CleanupCompact, 2 * time.Second, time.Hour, 2},
		{CleanupCompact | CleanupDelete, time.Hour, 2 * time.Second, 2},
		{CleanupDelete, time.Hour, 2 * time.Second, 1},
		{CleanupCompact, 0, 0, 1},
	} {
		r := newRig(t, sim.Options{Seed: 1}, compactConfig())
		r.cfg.SegmentBytes, r.cfg.SegmentTime, r.cfg.MaxCompactionLag, r.cfg.Cleanup = 1<<20, test.segment, test.lag, test.cleanup
		r.open()
		r.must(func() error {
			for ts := kafka.Timestamp(1000); ts <= 4000; ts += 500 {
				if err := put(r.log, "a", "b", ts); err != nil {
					return err
				}
			}
			return nil
		})
		if r.log.Segments() != test.want {
			t.Errorf("%+v: %d segments", test, r.log.Segments())
		}
	}
}

// The tombstone's horizon is delete.retention.ms after the pass that met it
// first, whatever the record's own time says (KIP-534).
func TestTombstonesOutliveThePassThatMeetsThem(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, compactConfig())
	r.cfg.SegmentBytes, r.cfg.DeleteRetention = 200, 5*time.Second
	r.open()
	passAt := func(now kafka.Timestamp) (keys string) {
		r.must(func() error {
			for i := range 6 {
				if err := put(r.log, fmt.Sprint("filler ", i), "x", 1); err != nil {
					return err
				}
			}
			if err := compact(r.log, now); err != nil {
				return err
			}
			got, err := view(r.log, 1000)
			for _, s := range got {
				if s.Key == "gone" {
					keys += fmt.Sprint(s.Key, s.Tombstone)
				}
			}
			return err
		})
		return keys
	}
	r.must(func() error { return errors.Join(put(r.log, "gone", "x", 1), put(r.log, "gone", "", 2)) })
	const first = 1_000_000
	for _, pass := range []struct {
		now  kafka.Timestamp
		want string
	}{{first, "gonetrue"}, {first + 1, "gonetrue"}, {first + 4999, "gonetrue"}, {first + 5000, ""}} {
		if got := passAt(pass.now); got != pass.want {
			t.Errorf("pass at %d leaves %q, want %q", pass.now, got, pass.want)
		}
	}
}

func TestDirtiestComesFirst(t *testing.T) {
	for _, test := range []struct {
		a, b Dirt
		more bool
	}{
		{Dirt{Dirty: 1, Total: 2}, Dirt{Dirty: 1, Total: 3}, true},
		{Dirt{Dirty: 1, Total: 3}, Dirt{Dirty: 1, Total: 2}, false},
		{Dirt{Dirty: 2, Total: 4}, Dirt{Dirty: 1, Total: 2}, false},
		{Dirt{Dirty: math.MaxInt64 - 1, Total: math.MaxInt64}, Dirt{Dirty: math.MaxInt64 - 2, Total: math.MaxInt64 - 1}, true},
	} {
		if got := test.a.More(test.b); got != test.more {
			t.Errorf("%+v more than %+v: %t", test.a, test.b, got)
		}
	}
}

// A pass takes as long as its bytes demand, and appends do not wait for it.
func TestCompactionIsThrottled(t *testing.T) {
	r, _ := compactRig(t, sim.Options{Seed: 1}, 100)
	rate := int64(1000)
	r.log.o.Throttle = &Throttle{Rate: func() int64 { return rate }}
	began, done := r.k.Now(), false
	r.node.Go("compact", func() { r.want(r.log.Compact(1000)); done = true })
	r.k.Run(began.Add(3*time.Second), func() bool { return false })
	if done {
		t.Fatal("the pass is over in seconds")
	}
	before := r.k.Now()
	r.append(batchOf(1, 10, 1, nil))
	if took := r.k.Now().Sub(before); took > time.Second {
		t.Errorf("an append took %s", took)
	}
	r.k.Run(kafka.Never-1, func() bool { return done })
	s := r.log.Stats()
	wanted := time.Duration(s.CompactRead+s.CompactWritten) * time.Second / 1000
	if took := r.k.Now().Sub(began); took < wanted || took > 3*wanted {
		t.Errorf("%d bytes read and %d written took %s", s.CompactRead, s.CompactWritten, took)
	}
}

// Who closes a log does not wait for a compaction that rests.
func TestCloseEndsAThrottledPass(t *testing.T) {
	r, written := compactRig(t, sim.Options{Seed: 1}, 100)
	r.log.o.Throttle = &Throttle{Rate: func() int64 { return 1 }}
	var err error
	done := false
	r.node.Go("compact", func() { err = r.log.Compact(1000); done = true })
	r.k.Run(r.k.Now().Add(3*time.Second), func() bool { return false })
	before := r.k.Now()
	r.close()
	r.k.Run(kafka.Never-1, func() bool { return done })
	if took := r.k.Now().Sub(before); took > 10*time.Second || !errors.Is(err, ErrClosed) {
		t.Errorf("the pass ended after %s with %v", took, err)
	}
	r.open()
	r.must(func() error { return holds(r.log, written) })
}

func TestThrottleCountsWhatIsSpent(t *testing.T) {
	rate := int64(1000)
	th := &Throttle{Rate: func() int64 { return rate }}
	if got := th.spend(100, 500); got != kafka.Instant(100).Add(500*time.Millisecond) {
		t.Errorf("500 bytes at 1000 a second: until %d", got)
	}
	if got := th.spend(100, 1500); got != kafka.Instant(100).Add(2*time.Second) {
		t.Errorf("and 1500 more: until %d", got)
	}
	rate = math.MaxInt64
	now := kafka.Instant(100).Add(time.Hour)
	for range 100 {
		if got := th.spend(now, rand.Int64N(1<<40)); got != now {
			t.Errorf("without a limit: until %d, now is %d", got, now)
		}
	}
}
