package broker

import (
	"errors"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// A consumer that has read what another leader committed comes, by old metadata, to one
// that does not know that it was replaced: told that its offset lies outside the log it
// would begin anew (docs/bugs/0074.md).
func TestAConsumerAheadOfALeaderOfAnotherTimeKeepsItsPlace(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	c.ack(c.machine(1), "a")
	m := c.machine(1)
	fetch := func(at kafka.Offset, last kafka.LeaderEpoch) error {
		f := &Fetch{MaxBytes: 1 << 20, Items: []FetchItem{{Topic: "orders", Offset: at, MaxBytes: 1 << 20,
			LeaderEpoch: kafka.NoLeaderEpoch, LastEpoch: last}}}
		c.must(m, func() error { return m.b.Fetch(f) })
		defer f.Release()
		return f.Items[0].Err
	}
	if err := fetch(2, kafka.NoLeaderEpoch); !errors.Is(err, kafka.ErrOffsetOutOfRange) {
		t.Errorf("behind the end of what a sure leader has: %v", err)
	}
	m.lags = true
	c.mute("beat", 1)
	c.fence(1)
	c.leads(c.machine(2))
	c.ack(c.machine(2), "b", "c")
	c.sleep(time.Second) // its session
	if m.p().Role() != Leading {
		t.Fatalf("it is a %s", m.p().Role())
	}
	if err := fetch(3, kafka.NoLeaderEpoch); !errors.Is(err, kafka.ErrNotLeaderOrFollower) {
		t.Errorf("at an offset that the next leader has: %v", err)
	}
	if err := fetch(1, c.state().LeaderEpoch); !errors.Is(err, kafka.ErrNotLeaderOrFollower) {
		t.Errorf("after a record of the next leader's: %v", err)
	}
	if err := fetch(1, kafka.NoLeaderEpoch); err != nil {
		t.Errorf("at the end of what it has: %v", err)
	}
	c.lose = nil
	m.lags = false
	c.tell(m)
	c.same("0:a 1:b 1:c")
}

// A consumer comes with the id of a topic that was created after this broker heard of
// anything for the last time (docs/bugs/0085.md).
func TestABrokerOfAnotherTimeDoesNotTellThatATopicIsGone(t *testing.T) {
	c := start(t, 2)
	c.create([]kafka.NodeID{1, 2})
	m := c.machine(1)
	fetch := func() error {
		f := &Fetch{MaxBytes: 1 << 20, Items: []FetchItem{{TopicID: kafka.TopicID{7}, MaxBytes: 1 << 20,
			LeaderEpoch: kafka.NoLeaderEpoch, LastEpoch: kafka.NoLeaderEpoch}}}
		c.must(m, func() error { return m.b.Fetch(f) })
		defer f.Release()
		return f.Items[0].Err
	}
	if err := fetch(); !errors.Is(err, kafka.ErrUnknownTopicID) {
		t.Errorf("an id that nobody has: %v", err)
	}
	m.lags = true
	c.mute("beat", 1)
	c.sleep(time.Second) // its session
	if err := fetch(); !errors.Is(err, kafka.ErrNotLeaderOrFollower) {
		t.Errorf("an id that this broker may not have heard of: %v", err)
	}
	c.lose = nil
	m.lags = false
	c.tell(m)
	c.same("")
}
