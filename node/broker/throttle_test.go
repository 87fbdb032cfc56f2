package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A throttling is which side throttles, and what the topic and the brokers set for it.
type throttling struct {
	replicas config.Replicas
	brokers  config.Int
}

var bothSides = map[string]throttling{
	"leader":   {replicas: config.LeaderThrottledReplicas, brokers: config.LeaderThrottledRate},
	"follower": {replicas: config.FollowerThrottledReplicas, brokers: config.FollowerThrottledRate},
}

// setRate sets a rate on all brokers.
func (c *cluster) setRate(s config.Int, rate string) {
	c.t.Helper()
	err := c.decide(func(i *meta.Image) ([]meta.Record, error) {
		return i.AlterBroker(meta.EveryBroker, config.Changing(config.Broker, []config.Change{{Name: s.Name, Value: &rate}}), c.view(1))
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.sleep(10 * time.Millisecond)
}

// behind starts three brokers, of which the third is not in sync and lacks n batches
// of a kilobyte.
func behind(t *testing.T, n int, settings ...config.Pair) *cluster {
	c := start(t, 3)
	c.create([]kafka.NodeID{1, 2, 3}, settings...)
	c.ack(c.machine(1), "first")
	c.inSync(3)
	c.machine(3).crash()
	c.fence(3)
	c.inSync(2)
	for i := range n {
		c.ack(c.machine(1), fmt.Sprintf("%d%s", i, strings.Repeat("x", 1000)))
	}
	return c
}

// copied returns how much of the log a machine has.
func (m *machine) copied() kafka.Offset {
	if p := m.p(); p != nil && p.log != nil {
		return p.log.End()
	}
	return 0
}

// KIP-73: what is not in sync is copied at the rate and not faster, and all of it in
// the end. Whoever is in sync is not held back meanwhile.
func TestWhoIsNotInSyncIsThrottled(t *testing.T) {
	for side, by := range bothSides {
		t.Run(side, func(t *testing.T) {
			c := behind(t, 40, config.Pair{Name: by.replicas.Name, Value: "0:1,0:3,7:2"})
			c.setRate(by.brokers, "4000")
			c.machine(3).start()
			c.until("it begins", func() bool { return c.machine(3).copied() > 1 })
			began, had := c.k.Now(), c.machine(3).copied()
			if had > 6 {
				t.Errorf("the first fetch brought %d batches at 4000 bytes a second", had-1)
			}
			for range 5 {
				c.sleep(time.Second)
				limit := had + kafka.Offset(4*(c.k.Now().Sub(began).Seconds()+2)) + 1
				if got := c.machine(3).copied(); got > limit {
					t.Fatalf("%d batches of a kilobyte after %v, at 4000 bytes a second", got, c.k.Now().Sub(began))
				}
				at := c.k.Now()
				c.ack(c.machine(1), "meanwhile")
				if took := c.k.Now().Sub(at); took > 100*time.Millisecond {
					t.Errorf("an append that waits for who is in sync took %v", took)
				}
			}
			if len(c.state().ISR) != 2 {
				t.Errorf("in sync are %v", c.state().ISR)
			}
			c.until("it is in sync", func() bool { return len(c.state().ISR) == 3 })
			if took := c.k.Now().Sub(began); took < 8*time.Second || took > 20*time.Second {
				t.Errorf("40 KB at 4000 bytes a second took %v", took)
			}
			one, three := c.machine(1).b.Stats().Sending, c.machine(3).b.Stats().Copying
			if side == "follower" {
				one = three
			}
			if one.Rate != 4000 || one.Bytes < 40_000 || one.HeldBack == 0 {
				t.Errorf("it says of itself: %+v", one)
			}
		})
	}
}

// A batch that is larger than all that the rate allows in a second goes through, and
// the next one waits until it is paid for.
func TestABatchLargerThanTheRateGoesThrough(t *testing.T) {
	for side, by := range bothSides {
		t.Run(side, func(t *testing.T) {
			c := behind(t, 4, config.Pair{Name: by.replicas.Name, Value: "*"})
			c.setRate(by.brokers, "500")
			began := c.k.Now()
			c.machine(3).start()
			c.until("it is in sync", func() bool { return len(c.state().ISR) == 3 })
			if took := c.k.Now().Sub(began); took < 5*time.Second || took > 12*time.Second {
				t.Errorf("4 KB at 500 bytes a second took %v", took)
			}
		})
	}
}

// What a rate of nothing has stopped goes on when it is changed, at once, and so does
// what a topic names no longer.
func TestAThrottleThatIsTakenAwayHoldsNobodyBack(t *testing.T) {
	for side, by := range bothSides {
		for _, how := range []string{"rate", "replicas"} {
			t.Run(side+" "+how, func(t *testing.T) {
				c := behind(t, 4, config.Pair{Name: by.replicas.Name, Value: "*"})
				c.setRate(by.brokers, "0")
				c.machine(3).start()
				c.until("it follows", func() bool { return c.machine(3).p() != nil && c.machine(3).p().Role() == Following })
				c.sleep(3 * time.Second)
				if got := c.machine(3).copied(); got > 1 {
					t.Fatalf("%d batches at 0 bytes a second", got)
				}
				at := c.k.Now()
				if how == "rate" {
					c.setRate(by.brokers, "9223372036854775807")
				} else if err := c.decide(func(i *meta.Image) ([]meta.Record, error) {
					return i.AlterTopic("orders", config.Changing(config.Topic, []config.Change{{Name: by.replicas.Name, Operation: config.Delete}}), c.view(1))
				}); err != nil {
					t.Fatal(err)
				}
				c.until("it is in sync", func() bool { return len(c.state().ISR) == 3 })
				if took := c.k.Now().Sub(at); took > 300*time.Millisecond {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
}
