package scenarios

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// An onlooker asks for what groups have committed, as programs do that show how far
// behind they are. It asks any broker, for who coordinated yesterday is who is asked
// by those that have not heard of the change: who answers must know all that was
// committed before. What it is told is judged as what members are told.
type onlooker struct {
	caller
	draws *rand.Rand
}

func (r *run) newOnlooker(name string) *onlooker {
	o := &onlooker{caller: r.newCaller(onlookerPatience), draws: r.k.Rand("workload/" + name)}
	o.machine = r.newMachine(name, o.main)
	return o
}

// onlookerPatience is how long it waits for one broker, onlookerPause how long it
// rests at most between two.
const (
	onlookerPatience = 500 * time.Millisecond
	onlookerPause    = 100 * time.Millisecond
)

// unfinished says nothing: it looks on until everybody else has finished.
func (o *onlooker) unfinished() string { return "" }

func (o *onlooker) main() {
	for !o.r.admin.done {
		o.look(pick(o.draws, o.r.groups...), o.draws.IntN(len(o.conns)))
		o.world.Sleep(time.Duration(o.draws.Int64N(int64(onlookerPause))))
	}
	o.hangUpAll()
}

// look asks one broker what a group has committed. Blocks.
func (o *onlooker) look(g *workGroup, broker int) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 5, g.name
	of := kmsg.OffsetFetchRequestTopic{Topic: topicName}
	for p := range o.r.options.Partitions {
		of.Partitions = append(of.Partitions, p)
	}
	req.Topics = append(req.Topics, of)
	if o.r.options.Bookmarks {
		req.Topics = append(req.Topics, kmsg.OffsetFetchRequestTopic{Topic: bookmark.Topic, Partitions: []int32{bookmark.Partition}})
	}
	invoked := delivery.Instant(o.r.k.Now())
	resp, ok := o.ask(broker, req).(*kmsg.OffsetFetchResponse)
	if !ok || kafka.Error(resp.ErrorCode) != kafka.None {
		return
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if kafka.Error(p.ErrorCode) == kafka.None {
				o.told(g, broker, kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}, p.Offset, invoked)
			}
		}
	}
}

// told notes what a broker says that is committed.
func (o *onlooker) told(g *workGroup, broker int, tp kafka.TopicPartition, offset int64, invoked delivery.Instant) {
	if tp == bookmark {
		if offset != bookmarked {
			o.r.observer.complain(string(delivery.CommitForward), fmt.Sprintf("group %s: %s was told offset %d for %s by broker %s at %s, and %d had been committed by hand before the group began",
				g.name, o.node.Name(), offset, tp, o.r.brokers[broker].seat.name, o.r.k.Now(), bookmarked))
		}
		return
	}
	if number, ok := o.r.numberOf(tp); ok {
		g.history.Fetches = append(g.history.Fetches, delivery.Fetch{
			Member: o.node.Name() + " at broker " + o.r.brokers[broker].seat.name, Partition: number, Offset: delivery.Offset(offset),
			Invoked: invoked, Returned: delivery.Instant(o.r.k.Now()),
		})
	}
}

// A bookmark is an offset that somebody has committed by hand, for a partition that no
// member reads. Nothing changes it while a run lasts; and a group that has committed
// something is not forgotten.
var bookmark = kafka.TopicPartition{Topic: "__consumer_offsets", Partition: 0}

// bookmarked is the offset.
const bookmarked = 7

// leaveBookmarks commits a bookmark for each group, before it begins. Blocks.
func (a *adminClient) leaveBookmarks(cl *client.Client) {
	if !a.r.options.Bookmarks {
		return
	}
	for _, g := range a.r.groups {
		a.doing = "committing a bookmark for group " + g.name
		for {
			_, err := cl.AlterGroupOffsets(g.name, []client.Commit{{Partition: bookmark, Offset: bookmarked}}, a.world.Now().Add(a.r.requestTimeout))
			if err == nil {
				break
			}
			a.world.Sleep(50 * time.Millisecond)
		}
	}
}
