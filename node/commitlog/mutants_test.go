package commitlog

import (
	"testing"

	"github.com/klammlog/klamm/sim"
)

func TestShortWritesAreCompleted(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	r.inject("disk-short-write disk=n/0 path=*.log onein=2")
	r.fill(100, 3, 50)
	r.check(100)
	r.kill()
	r.open()
	r.check(100)
	if s := r.log.Stats(); s.Cut > 0 {
		t.Errorf("%d bytes of batches that were held were torn", s.Cut)
	}
}

// A snapshot that counts and a snapshot that a power loss may empty must not be
// the same one: otherwise what producers sent before the last roll is forgotten.
func TestProducersBeforeTheLastRollSurvivePowerLoss(t *testing.T) {
	r := newRig(t, sim.Options{Seed: 1}, smallConfig())
	r.open()
	p := &kafkaProducer{id: 9}
	sent := p.batch(3)
	first := r.append(append([]byte(nil), sent...))
	for segments := r.log.Segments(); r.log.Segments() < segments+2; {
		r.fill(1, 3, 50)
	}
	r.settle()
	r.unplug()
	r.open()
	again := r.append(sent)
	if !again.Duplicate || again.Base != first.Base {
		t.Errorf("sent again after the power loss: %+v, want a duplicate of %+v", again, first)
	}
}
