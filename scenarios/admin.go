package scenarios

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

// An adminClient creates the topic, looks offsets up while the others work, and
// at the end reads everything back. Its machine is spared by the faults.
type adminClient struct {
	machine
	draws *rand.Rand
	ready bool             // the topic is there
	ends  []history.Offset // by partition, once nothing more is written
	doing string           // what it does, for reports of what is stuck
	done  bool

	readBacks int32 // begun

	seen      []history.Offset // by partition: an end of the log that a lookup told
	deletions int              // of records, that the broker confirmed
}

func (r *run) newAdmin(name string) *adminClient {
	a := &adminClient{draws: r.k.Rand("workload/" + name), doing: "connecting"}
	a.machine = r.newMachine(name, a.main)
	a.seen = make([]history.Offset, r.options.Partitions)
	return a
}

func (a *adminClient) pending() string {
	if a.done {
		return ""
	}
	return "admin is " + a.doing
}

func (a *adminClient) main() {
	cl, err := client.New(a.world, a.r.clientConfig("admin"))
	if err != nil {
		panic(err)
	}
	a.doing = "creating the topic"
	a.createTopic(cl)
	a.leaveBookmarks(cl)
	a.ready = true
	a.r.topicReady()
	for !a.r.healed || !a.r.workloadDone() || a.owesDeletion() {
		a.doing = "looking offsets up until the producers have finished"
		a.lookUp(cl)
		if a.r.options.DeleteRecords && (!a.r.healed && a.draws.IntN(4) == 0 || a.r.healed && a.owesDeletion()) {
			a.deleteRecords()
		}
		a.world.Sleep(time.Duration(a.draws.Int64N(int64(a.r.options.LookupPause))))
	}
	a.ends = a.findEnds(cl)
	for _, c := range a.r.consumers {
		a.doing = "waiting for the consumers to read everything"
		for !c.done {
			a.world.Sleep(50 * time.Millisecond)
		}
	}
	for _, w := range a.r.workers {
		a.doing = "waiting for the groups to process everything"
		for !w.done {
			a.world.Sleep(50 * time.Millisecond)
		}
	}
	a.readBack(cl)
	a.doing = "closing"
	cl.Close(kafka.Never)
	a.done = true
}

// findEnds asks where the partitions end, until everything that their leaders hold is
// exposed: what was written with acks=1 is not at first, and whoever is through before
// it is would leave it to nobody. A cluster that does not come so far within the time
// it has to converge is told of there. Blocks.
func (a *adminClient) findEnds(cl *client.Client) []history.Offset {
	ends := make([]history.Offset, a.r.options.Partitions)
	patience := a.world.Now().Add(convergeBound)
	for i := range ends {
		a.doing = fmt.Sprintf("asking where %s-%d ends", topicName, i)
		ends[i] = a.offset(cl, i, latest)
		for a.r.hides(int32(i), ends[i]) && !a.r.givenUp(int32(i)) && a.world.Now() < patience {
			a.world.Probe("a partition had records to expose when everything was written")
			a.world.Sleep(50 * time.Millisecond)
			ends[i] = a.offset(cl, i, latest)
		}
	}
	return ends
}

// createTopic asks until the topic is there.
func (a *adminClient) createTopic(cl *client.Client) {
	topic := client.NewTopic{Name: topicName, Partitions: a.r.options.Partitions, Replicas: int16(a.r.options.Replicas), Configs: map[string]string{}}
	for _, p := range a.r.topicConfig() {
		topic.Configs[p.Name] = p.Value
	}
	for {
		results, err := cl.CreateTopics([]client.NewTopic{topic}, a.world.Now().Add(a.r.requestTimeout))
		if err == nil {
			err = results[0].Err
		}
		if err == nil || errors.Is(err, kafka.ErrTopicAlreadyExists) {
			return
		}
		if a.r.allGivenUp() {
			return // no broker starts, and each says clearly why
		}
		a.world.Sleep(50 * time.Millisecond)
	}
}

// A lookup is what ListOffsets is asked.
type lookup struct {
	from  client.Start
	query history.Query
	asked history.Timestamp // by time
}

var (
	earliest = lookup{from: client.Earliest(), query: history.Earliest}
	latest   = lookup{from: client.Latest(), query: history.Latest}
)

// byTime asks for the first record that is not older than one that was
// acknowledged, give or take a millisecond.
func (a *adminClient) byTime() lookup {
	var ts kafka.Timestamp
	if n := len(a.r.stamps); n > 0 {
		ts = a.r.stamps[a.draws.IntN(n)] + kafka.Timestamp(a.draws.IntN(3)-1)
	}
	return lookup{from: client.AtTime(ts), query: history.ByTime, asked: history.Timestamp(ts)}
}

// lookUp asks for one offset of a drawn partition and records the answer.
func (a *adminClient) lookUp(cl *client.Client) {
	i := a.draws.IntN(int(a.r.options.Partitions))
	switch a.draws.IntN(4) {
	case 0:
		a.ask(cl, i, earliest)
	case 1:
		a.ask(cl, i, a.byTime())
	default:
		a.ask(cl, i, latest)
	}
}

// ask makes one lookup and records it.
func (a *adminClient) ask(cl *client.Client, partition int, q lookup) (history.Offset, error) {
	h := a.r.history.ListOffsets(history.ListOffsets{
		Client: a.id, Partition: a.r.history.Partition(topicName, int32(partition)), Query: q.query, Asked: q.asked,
	})
	tp := kafka.TopicPartition{Topic: topicName, Partition: int32(partition)}
	found, err := cl.Offsets([]client.Place{{Partition: tp, From: q.from}}, a.world.Now().Add(a.r.requestTimeout))
	if err != nil {
		h.Failed(err.Error())
		a.r.refused(tp.Partition, err)
		return history.NoOffset, err
	}
	h.Answered(history.Offset(found[0].Offset), history.Timestamp(found[0].Timestamp))
	if q.query == history.Latest {
		a.seen[partition] = history.Offset(found[0].Offset)
	}
	return history.Offset(found[0].Offset), nil
}

// offset asks until there is an answer, or the partition is given up.
func (a *adminClient) offset(cl *client.Client, partition int, q lookup) history.Offset {
	for !a.r.givenUp(int32(partition)) {
		o, err := a.ask(cl, partition, q)
		if err == nil {
			return o
		}
		a.world.Sleep(50 * time.Millisecond)
	}
	return 0
}

// readBack reads every partition from its start to its end.
func (a *adminClient) readBack(cl *client.Client) {
	for i := range int(a.r.options.Partitions) {
		a.doing = fmt.Sprintf("reading %s-%d back", topicName, i)
		for !a.r.givenUp(int32(i)) && !a.maybeReadBack(cl, i) {
			a.world.Sleep(50 * time.Millisecond)
		}
	}
}

// maybeReadBack reads a partition, and reports whether it did: its start can move
// meanwhile.
func (a *adminClient) maybeReadBack(cl *client.Client, partition int) bool {
	id := a.r.history.Partition(topicName, int32(partition))
	back := a.r.history.ReadBack(a.id, id)
	a.r.remaining[partition] = nil
	start := a.offset(cl, partition, earliest)
	end := a.offset(cl, partition, latest)
	consumer := cl.NewConsumer(client.DefaultConsumer())
	defer consumer.Close(kafka.Never)
	a.readBacks++
	tp := kafka.TopicPartition{Topic: topicName, Partition: int32(partition)}
	consumer.Assign(client.Place{Partition: tp, From: client.At(kafka.Offset(start))})
	for at := start; at < end; {
		if a.r.givenUp(int32(partition)) {
			back.Failed("the partition is out of service")
			return false
		}
		h := a.r.history.Poll(history.Poll{Client: a.id, Generation: a.readBacks, Partition: id, Final: true, Before: at})
		records, err := consumer.Poll(a.world.Now().Add(time.Second), 1000)
		reads, after := readsOf(records, int32(partition))
		after = max(after, passed(consumer, tp))
		switch {
		case len(consumer.Resets()) > 0:
			h.Failed("the start of the log has moved")
			back.Failed("the start of the log has moved")
			return false
		case err != nil:
			h.Failed(err.Error())
			a.r.refused(int32(partition), err)
			a.world.Sleep(10 * time.Millisecond)
		case after <= at:
			h.Failed("nothing within a second")
		default:
			h.Returned(reads, after, history.NoOffset)
			a.r.served(int32(partition))
			for _, rec := range records {
				a.r.remaining[partition] = append(a.r.remaining[partition], delivery.Offset(rec.Offset))
			}
			at = after
		}
	}
	back.Done(start, end)
	return true
}
