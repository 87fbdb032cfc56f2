package commitlog

import (
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// A segment's name has to be durable before anything in it is held.
func TestNothingIsHeldBeforeItsSegmentsNameIsDurable(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.inject("disk-stall disk=n/0 for=5s path=" + rigPath)
	held := kafka.Never
	r.node.Go("append", func() {
		a, err := r.log.Append(batchOf(1, 10, 1, nil), 1)
		r.want(err)
		r.want(r.log.WaitHeld(a, kafka.Never))
		held = r.w.Now()
	})
	began := r.k.Now()
	r.k.Run(began.Add(10*time.Second), func() bool { return held != kafka.Never })
	if held.Sub(began) < 5*time.Second {
		t.Errorf("held %s after the append, while the directory was not synced", held.Sub(began))
	}
	if r.log.Written() != 1 {
		t.Error("the append was not written meanwhile")
	}
	r.unplug()
	r.open()
	r.check(1)
}

// A clean shutdown that the file contradicts is not believed.
func TestACleanShutdownIsCheckedAgainstTheFile(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(5, 3, 50)
	name, size := r.log.active().String(), r.log.active().size
	r.close()
	r.scribble(name, size)
	r.open()
	if !r.probed("a clean shutdown was not believed") {
		t.Error("it was believed")
	}
	r.check(5)
}

// What is rotten in a segment that recovery does not look at is not served.
func TestRotIsNotServed(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.fill(60, 3, 50)
	first := r.log.segments()[0]
	name, at := first.String(), first.size/2
	r.close()
	r.scribble(name, at)
	r.open()
	r.do(func() {
		got, err := readAll(r.log, 0, 500)
		if !errorIs(err, ErrCorrupt) {
			t.Errorf("%d batches, %v: want an error about the rotten one", len(got), err)
		}
		if _, err := readAll(r.log, r.log.segments()[1].base, 500); err != nil {
			t.Errorf("the other segments: %v", err)
		}
	})
}

// The cost of a clean start: so many calls of the disk, whatever the number of
// segments.
func TestACleanStartOpensNoSegment(t *testing.T) {
	for _, batches := range []int{10, 400} {
		r := newRig(t, sim.Options{Seed: 1}, smallConfig())
		r.open()
		r.fill(batches, 3, 50)
		segments := r.log.Segments()
		r.close()
		r.open()
		if n := r.dir.OpenFiles(); n != 0 || r.log.Segments() != segments {
			t.Errorf("%d of %d segments: %d files open", r.log.Segments(), segments, n)
		}
	}
}
