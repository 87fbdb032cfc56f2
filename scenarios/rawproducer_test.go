package scenarios

import (
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
)

// Who loses patience while nothing is pending has no acknowledgement to wait for:
// after the round in which there is nothing to send again, it sends what is new.
func TestARawProducerThatMissesNothingGoesOn(t *testing.T) {
	r, err := newRun(Spec{Scenario: "hostile-client", Seed: 1}, Watch{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.k.Close()
	r.healed = true
	b := r.brokers[0]
	b.node.Go("listen", func() {
		if _, err := b.world.Net.Listen(b.address); err != nil {
			t.Error(err)
		}
		_ = b.world.Sleep(time.Hour)
	})
	p := r.newRaw("r9")
	p.rawStyle = rawStyle{acks: kafka.AcksAll, repeats: 2, maxInFlight: 1, version: 7}
	done := false
	p.node.Go("impatient", func() {
		_ = p.world.Sleep(time.Millisecond)
		p.connect()
		p.leave(p.conn)
		p.connect()
		p.sendAgain()
		if !p.mayGo() || p.again {
			t.Errorf("nothing is pending, in round %d, again: %t: want that something new is sent", p.rounds, p.again)
		}
		done = true
	})
	if end := r.k.Run(kafka.Instant(time.Minute), func() bool { return done }); end != sim.Finished {
		t.Fatal(end)
	}
}
