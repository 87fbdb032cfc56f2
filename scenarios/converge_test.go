package scenarios

import (
	"testing"

	"github.com/klammlog/klamm/node/kafka"
)

func TestReplicasBeginWhereTheirLeaderDoes(t *testing.T) {
	keeps, deletes := &Options{}, &Options{Habits: Habits{DeleteRecords: true}}
	for _, c := range []struct {
		claim   string
		options *Options
		topic   string
		leaders kafka.Offset
		own     kafka.Offset
		apart   bool
	}{
		{"both have everything", keeps, topicName, 0, 0, false},
		{"both were told", deletes, topicName, 7, 7, false},
		{"a follower has not heard of a deletion", deletes, topicName, 7, 0, true},
		{"a follower has not heard of a deletion in somebody's topic", keeps, "junk", 7, 6, true},
		{"a follower led and deleted, and nobody heard", deletes, topicName, 0, 7, false},
		{"a follower deletes by itself", &Options{RetentionBytes: 1}, topicName, 0, 7, false},
		{"a follower deletes by age", &Options{Keeping: Keeping{RetentionTime: 1}}, topicName, 0, 7, false},
		{"a follower lacks what nobody deletes", keeps, topicName, 0, 7, true},
	} {
		tp := kafka.TopicPartition{Topic: c.topic}
		if why := c.options.startsApart(c.leaders, c.own, tp); (why != "") != c.apart {
			t.Errorf("%s: %q", c.claim, why)
		}
	}
}
