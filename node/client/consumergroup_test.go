package client

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/kafka"
)

// A heartbeat of KIP-848 that is sent again says all that a coordinator needs to tell
// everything: the answer that was lost may have told what is assigned
// (docs/bugs/0061.md).
func TestAHeartbeatThatIsSentAgainTellsEverything(t *testing.T) {
	k := &keeper{GroupConsumer: &GroupConsumer{c: DefaultGroup("g", "orders"), reader: &Consumer{}, generation: 3}, toldAny: true}
	k.owned = []kafka.TopicPartition{{Topic: "orders", Partition: 1}}
	k.told = k.owned
	build := k.requests()
	for i, whole := range []bool{false, true, true} {
		q := build().(*kmsg.ConsumerGroupHeartbeatRequest)
		if (q.SubscribedTopicNames != nil) != whole || (q.Topics != nil) != whole || (q.RebalanceTimeoutMillis >= 0) != whole {
			t.Errorf("sent for time %d: topics %v, owned %v, time-out %d", i+1, q.SubscribedTopicNames, q.Topics, q.RebalanceTimeoutMillis)
		}
	}
}

// A member of KIP-848 that is about to take partitions over says that it has them: a
// coordinator that is told that it does not would give them to another, and nothing holds
// Poll back from taking them over (docs/bugs/0101.md).
func TestAHeartbeatTellsWhatIsOnItsWayToPoll(t *testing.T) {
	k := &keeper{GroupConsumer: &GroupConsumer{c: DefaultGroup("g", "orders"), reader: &Consumer{}, generation: 3}, toldAny: true}
	at := func(p int32) []kafka.TopicPartition { return []kafka.TopicPartition{{Topic: "orders", Partition: p}} }
	k.owned, k.told, k.taking = at(1), at(1), at(2)
	k.handovers = []handover{{kind: assigned, partitions: at(3)}, {kind: revoked, partitions: at(1)}}
	q := k.requests()().(*kmsg.ConsumerGroupHeartbeatRequest)
	if len(q.Topics) != 1 || !slices.Equal(q.Topics[0].Partitions, []int32{1, 2, 3}) {
		t.Errorf("it says that it has %+v, want partitions 1, 2 and 3", q.Topics)
	}
}

// What a coordinator assigns is answered with what the member has, even if that is what
// it said last: a coordinator that has partitions revoked waits for it.
func TestAnAssignmentIsAnsweredWithWhatTheMemberHas(t *testing.T) {
	k := &keeper{GroupConsumer: &GroupConsumer{c: DefaultGroup("g", "orders"), reader: &Consumer{}, generation: 3, joined: true}, toldAny: true}
	k.owned = []kafka.TopicPartition{{Topic: "orders", Partition: 1}}
	k.told, k.target.settled, k.due = k.owned, true, kafka.Never
	if k.wants(0) {
		t.Error("a member with nothing to tell wants to")
	}
	k.toldAny = false
	if q := k.requests()().(*kmsg.ConsumerGroupHeartbeatRequest); !k.wants(0) || q.Topics == nil {
		t.Errorf("it is told at once: %v, owned %v", k.wants(0), q.Topics)
	}
}

// What the group gives to others is lost also where it was to be joined again already.
func TestWhatIsLostIsLostBeforeTheGroupIsJoinedAgain(t *testing.T) {
	m := &GroupConsumer{c: DefaultGroup("g", "orders"), reader: &Consumer{news: nobody{}, wake: nobody{}}, joined: true, wake: nobody{}}
	m.c.Assignors = []string{"cooperative-sticky"}
	m.owned = []kafka.TopicPartition{{Topic: "orders", Partition: 1}}
	m.rebalance()
	if m.busy() {
		t.Error("a cooperative member lets go of what is its own")
	}
	m.joinAgain(lost)
	if len(m.handovers) != 1 || m.handovers[0].kind != lost {
		t.Errorf("it carries out %+v, want that everything is lost", m.handovers)
	}
}

// nobody waits.
type nobody struct{}

func (nobody) Wait(kafka.Instant) error { return nil }
func (nobody) Broadcast()               {}
