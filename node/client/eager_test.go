package client_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// An eager member has let go of everything before it joins a rebalance, however it
// hears of it: what it kept would be another's in the generation in which it commits
// (docs/bugs/0095.md).
func TestAnEagerMemberLetsGoOfEverythingFirst(t *testing.T) {
	for _, c := range []struct {
		name string
		tell func(x *fixture, p *client.GroupConsumer)
		want []string
	}{
		{"a heartbeat tells, of what Poll has not begun with", (*fixture).rebalanceUnpolled, []string{"assigned 3 in 1", "revoked 3 in 1", "assigned 3 in 2"}},
		{"a commit tells", func(x *fixture, m *client.GroupConsumer) { x.failCommit(m, kafka.ErrRebalanceInProgress) }, []string{"assigned 3 in 1", "revoked 3 in 1", "assigned 3 in 2"}},
		{"a commit tells too late", func(x *fixture, m *client.GroupConsumer) { x.failCommit(m, kafka.ErrIllegalGeneration) }, []string{"assigned 3 in 1", "lost 3 in 1", "assigned 3 in 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(x *fixture) {
				var events []string
				var m *client.GroupConsumer
				note := func(what string) func([]kafka.TopicPartition) {
					return func(tps []kafka.TopicPartition) {
						events = append(events, fmt.Sprintf("%s %d in %d", what, len(tps), m.Handed()))
					}
				}
				g, config := client.DefaultGroup("g", "orders"), client.DefaultConsumer()
				g.Assignors, g.Heartbeat, g.AutoCommit = []string{"range"}, 10*time.Millisecond, 0
				g.OnAssigned, g.OnRevoked, g.OnLost = note("assigned"), note("revoked"), note("lost")
				config.Reset, config.MaxWait = client.ResetEarliest, 10*time.Millisecond
				m = ok(x, call(x.client.NewGroupConsumer(g, config)))
				c.tell(x, m)
				x.pollUntil(m, func() bool { return len(events) >= len(c.want) || m.Handed() >= 2 })
				if _, generation := m.Member(); generation < 2 || !slices.Equal(events, c.want) {
					x.Errorf("in generation %d: %q, want %q", generation, events, c.want)
				}
				x.check("close", m.Close(x.deadline))
			}, kfake.NumBrokers(1))
		})
	}
}

// pollUntil polls until something is so, or until the test has taken too long.
func (x *fixture) pollUntil(m *client.GroupConsumer, so func() bool) {
	x.Helper()
	for !so() && x.w.Now() < x.deadline {
		_, err := m.Poll(x.w.Now().Add(10*time.Millisecond), 1)
		x.check("poll", err)
	}
}

// rebalanceUnpolled has a heartbeat of a member that nobody has polled yet tell of a
// rebalance, and returns when the member has heard it.
func (x *fixture) rebalanceUnpolled(m *client.GroupConsumer) {
	beats := 0
	x.brokers.ControlKey(int16(kmsg.Heartbeat), func(r kmsg.Request) (kmsg.Response, error, bool) {
		x.brokers.KeepControl()
		resp := r.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = int16(kafka.ErrRebalanceInProgress)
		beats++
		return resp, nil, beats == 1
	})
	for m.Stats().Heartbeats < 2 && x.w.Now() < x.deadline { // the second comes when the first is answered
		x.check("sleep", x.w.Sleep(time.Millisecond))
	}
}

// failCommit has a member's commit answered with an error.
func (x *fixture) failCommit(m *client.GroupConsumer, code kafka.Error) {
	x.brokers.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		resp := r.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, t := range r.(*kmsg.OffsetCommitRequest).Topics {
			topic := kmsg.NewOffsetCommitResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				of := kmsg.NewOffsetCommitResponseTopicPartition()
				of.Partition, of.ErrorCode = p.Partition, int16(code)
				topic.Partitions = append(topic.Partitions, of)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, nil, true
	})
	x.pollUntil(m, func() bool { return len(m.Assignment()) > 0 })
	x.want("commit", m.Commit([]client.Commit{{Partition: orders0, Offset: 1}}, x.deadline), code)
}

// A cooperative member that is none any more loses what it owned: with it, it would be a
// new member of a group in which that is another's, and commit for it until it has given it
// back (docs/bugs/0102.md).
func TestACooperativeMemberThatIsNoneAnyMoreLosesEverything(t *testing.T) {
	for _, code := range []kafka.Error{kafka.ErrUnknownMemberID, kafka.ErrIllegalGeneration} {
		run(t, func(x *fixture) {
			lost, kept := 0, -1
			var m *client.GroupConsumer
			g, config := client.DefaultGroup("g", "orders"), client.DefaultConsumer()
			g.Assignors, g.Heartbeat, g.AutoCommit = []string{"cooperative-sticky"}, 10*time.Millisecond, 0
			g.OnLost = func(tps []kafka.TopicPartition) { lost = len(tps) }
			g.OnAssigned = func(tps []kafka.TopicPartition) {
				if m != nil && m.Handed() > 1 {
					kept = len(m.Assignment()) - len(tps)
				}
			}
			config.Reset, config.MaxWait = client.ResetEarliest, 10*time.Millisecond
			m = ok(x, call(x.client.NewGroupConsumer(g, config)))
			x.failCommit(m, code)
			x.pollUntil(m, func() bool { return kept >= 0 })
			if lost != 3 || kept != 0 {
				x.Errorf("%v: it lost %d partitions, want 3, and came back with %d, want 0", code, lost, kept)
			}
			x.check("close", m.Close(x.deadline))
		}, kfake.NumBrokers(1))
	}
}
