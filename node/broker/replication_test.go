package broker

import (
	"testing"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

func TestFollowersHoldWhatIsAcknowledged(t *testing.T) {
	c := start(t, 3)
	c.create([]kafka.NodeID{1, 2, 3}, config.Pair{Name: "min.insync.replicas", Value: "2"})
	for _, v := range []string{"a", "b", "c"} {
		if err := c.machine(1).produce(kafka.AcksAll, v, time.Second); err != nil {
			t.Fatal(err)
		}
		for _, m := range c.machines {
			if m.p().log.Durable() != c.machine(1).p().high {
				t.Errorf("broker %d has %d on its disk, %d is acknowledged", m.id, m.p().log.Durable(), c.machine(1).p().high)
			}
		}
	}
	c.same("1:a 1:b 1:c")
}
