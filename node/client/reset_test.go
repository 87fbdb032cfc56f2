package client

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osenv"
)

// That a topic was deleted says nothing of what an old metadata answer names: it may have
// been deleted before (docs/bugs/0085.md).
func TestATopicThatIsGoneIsNotFollowedByAnOlderOne(t *testing.T) {
	host, err := osenv.New(osenv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	err = host.Do(context.Background(), func() error {
		w := host.World()
		client, err := New(w, DefaultConfig("one:9092"))
		if err != nil {
			return err
		}
		client.meta.running = true // nobody is asked
		c := &Consumer{w: w, client: client, c: DefaultConsumer(), wake: w.NewCond("wake"), news: w.NewCond("news")}
		cur := &cursor{tp: kafka.TopicPartition{Topic: "t"}, topicID: kafka.TopicID{3}}
		cur.restart(At(34), nil)
		told := func(id byte, leader kafka.NodeID) {
			client.meta.view.Apply(cluster.Answer{Brokers: []cluster.Broker{{ID: 2, Address: "two:9092"}, {ID: 3, Address: "three:9092"}},
				Topics: []cluster.Topic{{Name: "t", ID: kafka.TopicID{id}, Partitions: []cluster.Partition{{Leader: leader}}}}})
			c.noticeRecreation(cur)
		}
		refuse := func(by kafka.NodeID) {
			f := &fetcher{c: c, node: by}
			f.refused(errand{cur: cur}, &kmsg.FetchResponseTopicPartition{ErrorCode: int16(kafka.ErrUnknownTopicID)})
			c.noticeRecreation(cur)
		}
		told(3, 3)
		refuse(3)
		told(2, 2)
		if cur.topicID != (kafka.TopicID{3}) || !cur.known {
			t.Errorf("it reads topic %s since the leader of %s said that this is gone", cur.topicID, kafka.TopicID{3})
		}
		cur.err = kafka.ErrUnknownTopicOrPartition // as metadata said in between
		told(4, 3)
		if cur.err != nil {
			t.Errorf("Poll is to tell that there is no such topic (%v), and there is one", cur.err)
		}
		if cur.topicID != (kafka.TopicID{3}) || !cur.known {
			t.Errorf("it reads topic %s, whose leader was not asked since it is known", cur.topicID)
		}
		refuse(3)
		if cur.topicID != (kafka.TopicID{4}) || cur.known {
			t.Errorf("it reads topic %s, known %v, since the leader of the new one said that the old one is gone", cur.topicID, cur.known)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
