package scenarios

import (
	"strings"
	"testing"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
)

// TestWhatWasReadIsProvenByTheNextLeader has a consumer return what it fetched before
// a log was opened again: the log knows of no high watermark until its broker leads,
// and has to know of all that then.
func TestWhatWasReadIsProvenByTheNextLeader(t *testing.T) {
	tp := kafka.TopicPartition{Topic: topicName, Partition: 1}
	for _, c := range []struct {
		high kafka.Offset
		want string
	}{
		{468, ""},
		{399, "orders-1: a consumer was given records up to offset 400, and the high watermark is 399 at "},
	} {
		r, err := newRun(Spec{Scenario: operating.Name, Seed: 1}, Watch{})
		if err != nil {
			t.Fatal(err)
		}
		o, b := &r.observer, r.nodes[0]
		if o.cluster != nil || !o.keeps() {
			t.Fatal("the run is none of one node that keeps what it has")
		}
		o.read(1, 400) // no node runs yet
		o.prove(b, broker.View{Partition: tp, LogEnd: 468})
		if len(o.violations) > 0 {
			t.Fatalf("of a log that nobody leads: %s", o.violations[0].Sentence)
		}
		for range 2 { // once is enough
			o.prove(b, broker.View{Partition: tp, Role: broker.Leading, HighWatermark: c.high, LogEnd: 468})
		}
		switch {
		case c.want == "" && len(o.violations) > 0:
			t.Errorf("high watermark %d: %s", c.high, o.violations[0].Sentence)
		case c.want != "" && (len(o.violations) != 1 || !strings.HasPrefix(o.violations[0].Sentence, c.want)):
			t.Errorf("high watermark %d: %v", c.high, o.violations)
		}
	}
}
