package commitlog

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A cut moves the place from which the next recovery reads. What began below it and
// no checkpoint has told yet is not forgotten (docs/bugs/0021.md).
func TestACutForgetsNoEpochBelowIt(t *testing.T) {
	for _, end := range []func(*rig){(*rig).kill, (*rig).unplug} {
		cfg := smallConfig()
		cfg.SegmentBytes = 1 << 20 // a segment that is full tells its epochs
		r := newRig(t, sim.Options{Seed: 1}, cfg)
		r.open()
		for epoch := range kafka.LeaderEpoch(5) {
			r.must(func() error {
				a, err := r.log.Append(batchOf(2, 600, 1, nil), epoch)
				if err == nil {
					err = r.log.WaitHeld(a, kafka.Never)
				}
				return err
			})
		}
		r.must(func() error { return r.log.Truncate(6) })
		want := r.log.Epochs().Entries()
		if len(want) != 3 {
			t.Fatalf("%v after the cut", want)
		}
		end(r)
		r.open()
		if diff := cmp.Diff(want, r.log.Epochs().Entries()); diff != "" {
			t.Error(diff)
		}
		r.must(func() error { _, err := readAll(r.log, 0, 1<<20); return err })
	}
}

// A chunk of what a truncation then takes is out of range, and no rot.
func TestAChunkThatWasCutOffIsNotCorrupt(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(6, 1, 100)
	r.do(func() {
		c, err := r.log.Read(3, 1<<20, 6, TakeOversize)
		r.want(err)
		r.want(r.log.Truncate(3))
		if err := c.Copy(make([]byte, c.Len())); !errors.Is(err, ErrOutOfRange) || errors.Is(err, ErrCorrupt) {
			t.Errorf("copy: %v", err)
		}
		c.Release()
	})
	if n := r.log.Stats().Corrupt; n != 0 {
		t.Errorf("%d reads found rot", n)
	}
}
