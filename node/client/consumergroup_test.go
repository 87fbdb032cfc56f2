package client

import (
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
