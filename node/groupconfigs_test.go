package node

import (
	"testing"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// interval has a new member join a group, and returns after how many milliseconds it
// is to send its next heartbeat.
func (w *wire) interval(group, member string) int32 {
	w.t.Helper()
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKeys = []string{group}
	q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	q.Group, q.MemberID, q.RebalanceTimeoutMillis = group, member, 30_000
	q.SubscribedTopicNames, q.Topics = []string{"orders"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for range 10_000 {
		w.ask(find, 4, kmsg.NewPtrFindCoordinatorResponse()) // and have its topic created
		r := kmsg.NewPtrConsumerGroupHeartbeatResponse()
		w.ask(q, 1, r)
		switch code := kafka.Error(r.ErrorCode); code {
		case kafka.None:
			return r.HeartbeatIntervalMillis
		case kafka.ErrNotCoordinator, kafka.ErrCoordinatorLoadInProgress, kafka.ErrCoordinatorNotAvailable:
		default:
			w.t.Fatal(code)
		}
	}
	w.t.Fatal("there is no coordinator")
	return 0
}

// What is set on a group acts on its members at once, on no other group's, and after
// a restart.
func TestSettingsOfAGroupActOnItsMembers(t *testing.T) {
	m := run(t)
	w := m.wire()
	wantCode(t, "alter", w.alterOne(1, typeGroup, "slow", set("consumer.heartbeat.interval.ms", "7000")), kafka.None)
	look := func(member string, slow int32) {
		t.Helper()
		if got := w.interval("slow", member); got != slow {
			t.Errorf("members of the group beat every %d ms, want %d", got, slow)
		}
		if got := w.interval("other", member); got != 5000 {
			t.Errorf("members of another group beat every %d ms", got)
		}
	}
	look("a", 7000)
	m.kill()
	m.start()
	w = m.wire()
	look("b", 7000)
	if got := w.value(typeGroup, "slow", "consumer.heartbeat.interval.ms"); got != "7000 from 8" {
		t.Errorf("it is told as %s", got)
	}
	if got := w.value(typeGroup, "slow", "consumer.session.timeout.ms"); got != "45000 from 5" {
		t.Errorf("what is not set is told as %s", got)
	}
	list := kmsg.NewPtrListConfigResourcesRequest()
	list.ResourceTypes = []int8{int8(typeGroup)}
	r := kmsg.NewPtrListConfigResourcesResponse()
	w.ask(list, 1, r)
	if len(r.ConfigResources) != 1 || r.ConfigResources[0].Name != "slow" {
		t.Errorf("groups with settings: %+v", r.ConfigResources)
	}
	wantCode(t, "delete", w.alterOne(1, typeGroup, "slow", operate(kmsg.IncrementalAlterConfigOpDelete, "consumer.heartbeat.interval.ms", "")), kafka.None)
	look("c", 5000)
}
