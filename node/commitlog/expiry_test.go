package commitlog

import (
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/klammlog/klamm/sim"
)

// How old a producer's records claim to be says nothing about how long it has been
// silent: a batch that is sent again is recognised.
func TestProducersExpireBySilenceNotByTimestamps(t *testing.T) {
	c := smallConfig()
	c.ProducerExpiry = time.Hour
	r := newRig(t, sim.Options{}, c)
	r.open()
	old := func() []byte {
		ts := r.node.WallTime() - kafka.Timestamp((48 * time.Hour).Milliseconds())
		return batchOf(1, 20, ts, &record.Producer{ID: 5})
	}
	first := r.append(old())
	r.must(r.log.Checkpoint)
	if again := r.append(old()); !again.Duplicate || again.Base != first.Base {
		t.Errorf("sent again at once: %+v, first %+v", again, first)
	}
	r.node.JumpWall(2 * time.Hour)
	r.must(r.log.Checkpoint)
	if n := len(r.log.producers.All()); n != 0 {
		t.Errorf("%d producers are remembered after two hours of silence", n)
	}
}
