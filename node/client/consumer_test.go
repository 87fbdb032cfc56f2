package client_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// fill appends records with the values 0 to n-1, one batch each.
func (x *fixture) fill(n int) {
	x.Helper()
	p := x.producer(func(c *client.ProducerConfig) { c.BatchSize = 1 })
	for _, v := range numbers(n) {
		x.send(p, v)
	}
	x.done(p)
}

// cut deletes the records of partition 0 of orders below an offset.
func (x *fixture) cut(before int64) {
	x.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 1000
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: "orders",
		Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 0, Offset: before}}}}
	for _, b := range x.client.View().Brokers() {
		x.raw(b.Address, req)
	}
}

func TestPollReturnsEverythingOnceInOrder(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(30)
		c := x.consumer(client.ResetNone, client.At(0))
		var got []string
		for len(got) < 30 {
			before, _ := c.Position(orders0)
			records := ok(x, call(c.Poll(x.deadline, 7)))
			after := ok(x, call(c.Position(orders0)))
			if len(records) == 0 || len(records) > 7 || int(after-before) != len(records) {
				t.Fatalf("%d records, position %d, then %d", len(records), before, after)
			}
			for _, r := range records {
				got = append(got, string(r.Value))
			}
		}
		if diff := cmp.Diff(numbers(30), got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if hw := ok(x, call(c.HighWatermark(orders0))); hw != 30 {
			t.Errorf("high watermark %d", hw)
		}
		x.check("close", c.Close(x.deadline))
	})
}

func TestPollReturnsNothingAtItsDeadline(t *testing.T) {
	run(t, func(x *fixture) {
		c := x.consumer(client.ResetNone, client.Earliest())
		records, err := c.Poll(x.w.Now().Add(50*time.Millisecond), 10)
		if len(records) > 0 || err != nil {
			t.Errorf("%v, %v", records, err)
		}
		var canceled error
		task := x.w.Go("polls", func() { _, canceled = c.Poll(kafka.Never, 1) })
		x.check("sleep", x.w.Sleep(time.Millisecond))
		task.Cancel()
		x.await(task)
		x.want("canceled poll", canceled, env.ErrCanceled)
		var closed error
		task = x.w.Go("polls", func() { _, closed = c.Poll(kafka.Never, 1) })
		x.check("sleep", x.w.Sleep(time.Millisecond))
		x.check("close", c.Close(x.deadline))
		x.await(task)
		x.want("closed consumer", closed, client.ErrClosed)
	})
}

func TestSeekAndStarts(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(10)
		c := x.consumer(client.ResetNone, client.At(4))
		want := func(what string, first int) {
			t.Helper()
			if got := x.values(c, 1)[0]; got != fmt.Sprint(first) {
				t.Errorf("%s: %s, want %d", what, got, first)
			}
		}
		want("at 4", 4)
		x.check("seek", c.Seek(orders0, client.At(8)))
		want("seek forward", 8)
		x.check("seek", c.Seek(orders0, client.Earliest()))
		want("earliest", 0)
		x.check("seek", c.Seek(orders0, client.AtTime(1)))
		want("a time before all", 0)
		x.check("seek", c.Seek(orders0, client.AtTime(x.w.Wall()+1_000_000)))
		for {
			if at, err := c.Position(orders0); err == nil {
				if at != 10 {
					t.Errorf("a time after all: position %d", at)
				}
				break
			}
			x.check("sleep", x.w.Sleep(time.Millisecond))
		}
		x.want("not assigned", c.Seek(kafka.TopicPartition{Topic: "orders", Partition: 1}, client.Latest()), client.ErrNotAssigned)
		x.check("close", c.Close(x.deadline))
	})
}

func TestLatestSeesWhatComes(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(3)
		c := x.consumer(client.ResetNone, client.Latest())
		for {
			if _, err := c.Position(orders0); err == nil {
				break
			}
			x.check("sleep", x.w.Sleep(time.Millisecond))
		}
		p := x.producer(nil)
		x.send(p, "new")
		if got := x.values(c, 1); got[0] != "new" {
			t.Errorf("%v", got)
		}
		x.done(p)
		x.check("close", c.Close(x.deadline))
	})
}

func TestAPausedPartitionIsSilent(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(10)
		c := x.consumer(client.ResetNone, client.Earliest())
		x.values(c, 3)
		x.check("pause", c.Pause(orders0))
		records, err := c.Poll(x.w.Now().Add(50*time.Millisecond), 10)
		if len(records) > 0 || err != nil {
			t.Errorf("paused: %v, %v", records, err)
		}
		x.check("resume", c.Resume(orders0))
		if got := x.values(c, 1); got[0] != "3" {
			t.Errorf("resumed: %v", got)
		}
		x.check("close", c.Close(x.deadline))
	})
}

func TestAPositionOutsideTheLog(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy client.ResetPolicy
		from   client.Start
		to     kafka.Offset
	}{
		{"before the start, earliest", client.ResetEarliest, client.At(1), 4},
		{"before the start, latest", client.ResetLatest, client.At(1), 10},
		{"behind the end, earliest", client.ResetEarliest, client.At(99), 4},
		{"behind the end, latest", client.ResetLatest, client.At(99), 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(x *fixture) {
				x.fill(10)
				x.cut(4)
				cons := x.consumer(c.policy, c.from)
				for len(cons.Resets()) == 0 {
					x.check("sleep", x.w.Sleep(time.Millisecond))
				}
				if at := ok(x, call(cons.Position(orders0))); at != c.to {
					t.Errorf("position %d, want %d", at, c.to)
				}
				x.check("close", cons.Close(x.deadline))
			})
		})
	}
}

func TestAResetIsReported(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(10)
		x.cut(4)
		c := x.consumer(client.ResetEarliest, client.At(1))
		if got := x.values(c, 1); got[0] != "4" {
			t.Errorf("%v", got)
		}
		resets := c.Resets()
		if len(resets) != 1 || resets[0].Partition != orders0 || resets[0].From != 1 || resets[0].To != 4 {
			t.Fatalf("%+v", resets)
		}
		x.want("reason", resets[0].Reason, kafka.ErrOffsetOutOfRange)
		if again := c.Resets(); len(again) > 0 {
			t.Errorf("told twice: %+v", again)
		}
		x.check("close", c.Close(x.deadline))
	})
}

func TestWithoutAPolicyEachPollTells(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(10)
		c := x.consumer(client.ResetNone, client.At(99))
		for range 3 {
			_, err := c.Poll(x.deadline, 1)
			x.want("poll", err, client.ErrNoOffset)
			x.want("poll", err, kafka.ErrOffsetOutOfRange)
			var where *client.PartitionError
			if !errors.As(err, &where) || where.Partition != orders0 || where.Offset != 99 {
				t.Errorf("%#v", where)
			}
		}
		x.check("seek", c.Seek(orders0, client.At(9)))
		if got := x.values(c, 1); got[0] != "9" {
			t.Errorf("after seek: %v", got)
		}
		x.check("close", c.Close(x.deadline))
	})
}

// fetched answers one fetch with the given bytes for partition 0 of orders.
func (x *fixture) fetched(records []byte) {
	x.brokers.ControlKey(1, func(r kmsg.Request) (kmsg.Response, error, bool) {
		req := r.(*kmsg.FetchRequest)
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		for _, t := range req.Topics {
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				rp := kmsg.NewFetchResponseTopicPartition()
				rp.Partition, rp.HighWatermark, rp.RecordBatches = p.Partition, 100, records
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
}

func batchOf(x *fixture, base kafka.Offset, values ...string) []byte {
	var b record.Builder
	for _, v := range values {
		b.Append(record.Record{Value: []byte(v)})
	}
	batch := ok(x, call(b.Build(record.Spec{BaseOffset: base}, nil)))
	return batch.Bytes()
}

func TestCorruptRecordsAreNeverReturned(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(3)
		sound := batchOf(x, 0, "forged 0", "forged 1")
		broken := batchOf(x, 2, "forged 2")
		broken[len(broken)-2] ^= 1
		x.fetched(append(sound, broken...)) // what comes before the damage counts
		x.fetched(broken)
		c := x.consumer(client.ResetNone, client.Earliest())
		if diff := cmp.Diff([]string{"forged 0", "forged 1"}, x.values(c, 2)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		_, err := c.Poll(x.deadline, 1)
		x.want("poll", err, record.ErrCorrupt)
		if at := ok(x, call(c.Position(orders0))); at != 2 {
			t.Errorf("position %d behind records that were not returned", at)
		}
		if got := x.values(c, 1); got[0] != "2" {
			t.Errorf("after the damage: %v", got)
		}
		x.check("close", c.Close(x.deadline))
	})
}

func TestABatchThatBeginsEarlierIsCutToThePosition(t *testing.T) {
	run(t, func(x *fixture) {
		x.fetched(batchOf(x, 0, "0", "1", "2", "3"))
		c := x.consumer(client.ResetNone, client.At(2))
		if diff := cmp.Diff([]string{"2", "3"}, x.values(c, 2)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		x.check("close", c.Close(x.deadline))
	})
}

func TestAFetchOfBeforeASeekIsDropped(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(10)
		c := x.consumer(client.ResetNone, client.At(9))
		x.values(c, 1)
		p := x.producer(nil)
		for i := range 50 { // a fetch at the end is under way all the time
			x.check("seek", c.Seek(orders0, client.At(3)))
			x.send(p, fmt.Sprint("new ", i))
			if got := x.values(c, 2); got[0] != "3" || got[1] != "4" {
				t.Fatalf("after seek %d: %v", i, got)
			}
		}
		x.done(p)
		x.check("close", c.Close(x.deadline))
	})
}

// An answer about the old position says nothing about the new one.
func TestARefusalOfBeforeASeekIsDropped(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(10)
		var arrived, released atomic.Bool
		x.brokers.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
			arrived.Store(true)
			x.brokers.SleepControl(func() {
				for !released.Load() {
					runtime.Gosched()
				}
			})
			req := r.(*kmsg.FetchRequest)
			resp := req.ResponseKind().(*kmsg.FetchResponse)
			rt, rp := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
			rt.Topic, rt.TopicID, rp.ErrorCode = req.Topics[0].Topic, req.Topics[0].TopicID, kerr.OffsetOutOfRange.Code
			rt.Partitions = append(rt.Partitions, rp)
			resp.Topics = append(resp.Topics, rt)
			return resp, nil, true
		})
		c := x.consumer(client.ResetNone, client.At(3))
		for !arrived.Load() {
			x.check("sleep", x.w.Sleep(time.Millisecond))
		}
		x.check("seek", c.Seek(orders0, client.At(5)))
		released.Store(true)
		if got := x.values(c, 1); got[0] != "5" {
			t.Errorf("after seek: %v", got)
		}
		x.check("close", c.Close(x.deadline))
	})
}

func TestASeekWhileRecordsAreDecodedWins(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(10)
		c := x.consumer(client.ResetNone, client.At(3))
		x.duringOffload = func() { x.check("seek", c.Seek(orders0, client.At(7))) }
		if got := x.values(c, 1); got[0] != "7" {
			t.Errorf("after seek: %v", got)
		}
		x.check("close", c.Close(x.deadline))
	})
}

// epochEnds answers where leader epochs end: at the given epoch and offset,
// whatever the epoch asked for.
func (x *fixture) epochEnds(at func(asked int32) (epoch int32, end int64)) {
	x.brokers.ControlKey(int16(kmsg.OffsetForLeaderEpoch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		x.brokers.KeepControl()
		req := r.(*kmsg.OffsetForLeaderEpochRequest)
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		rt, rp := kmsg.NewOffsetForLeaderEpochResponseTopic(), kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
		rt.Topic, rp.Partition = req.Topics[0].Topic, req.Topics[0].Partitions[0].Partition
		rp.LeaderEpoch, rp.EndOffset = at(req.Topics[0].Partitions[0].LeaderEpoch)
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
}

func TestConsumersFollowTheLeader(t *testing.T) {
	run(t, func(x *fixture) {
		// These brokers do not know where an epoch ends that no record follows.
		x.epochEnds(func(asked int32) (int32, int64) { return asked, 1000 })
		p := x.producer(nil)
		c := x.consumer(client.ResetNone, client.Earliest())
		for i := range 12 {
			x.check("move", x.brokers.MoveTopicPartition("orders", 0, int32(i%3)))
			x.send(p, fmt.Sprint(i))
			if got := x.values(c, 1); got[0] != fmt.Sprint(i) {
				t.Fatalf("record %d: %v", i, got)
			}
		}
		x.done(p)
		x.check("close", c.Close(x.deadline))
	})
}

// The leader of a later epoch has lost the end of the log (KIP-320).
func TestATruncatedLogIsNoticed(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy client.ResetPolicy
		polled int           // records before the leader changes
		end    int64         // of the records' epoch then
		reset  *client.Reset // what is told
		next   string        // the record that comes then
		err    error
	}{
		{"nothing is missing", client.ResetNone, 5, 10, nil, "5", nil},
		{"what was not returned yet is missing", client.ResetNone, 5, 7, nil, "5", nil},
		{"what was returned is missing", client.ResetEarliest, 5, 3, &client.Reset{Partition: orders0, From: 5, To: 3}, "3", nil},
		{"what was returned is missing, no policy", client.ResetNone, 5, 3, nil, "", client.ErrTruncated},
		{"the epoch is not known", client.ResetEarliest, 5, -1, &client.Reset{Partition: orders0, From: 5, To: 0}, "0", nil},
		{"the epoch is not known, no policy", client.ResetNone, 5, -1, nil, "", client.ErrTruncated},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(x *fixture) {
				x.fill(10)
				cons := x.consumer(c.policy, client.Earliest())
				x.values(cons, c.polled)
				var asked atomic.Bool
				x.epochEnds(func(epoch int32) (int32, int64) {
					asked.Store(true)
					return min(epoch, int32(c.end)), c.end
				})
				x.check("move", x.brokers.MoveTopicPartition("orders", 0, (x.brokers.LeaderFor("orders", 0)+1)%3))
				for !asked.Load() {
					x.check("sleep", x.w.Sleep(time.Millisecond))
				}
				x.check("sleep", x.w.Sleep(20*time.Millisecond)) // the answer comes
				records, err := cons.Poll(x.deadline, 1)
				if c.err != nil {
					x.want("poll", err, c.err)
					x.want("poll", err, client.ErrNoOffset)
				} else if err != nil || string(records[0].Value) != c.next {
					t.Errorf("%+v, %v; want %s", records, err, c.next)
				}
				resets := cons.Resets()
				if c.reset == nil && len(resets) > 0 || c.reset != nil && (len(resets) != 1 ||
					resets[0].From != c.reset.From || resets[0].To != c.reset.To || !errors.Is(resets[0].Reason, client.ErrTruncated)) {
					t.Errorf("resets %+v, want %+v", resets, c.reset)
				}
				x.check("consumer", cons.Check())
				x.check("close", cons.Close(x.deadline))
			})
		})
	}
}

func TestATransientFetchErrorIsNotTold(t *testing.T) {
	run(t, func(x *fixture) {
		x.fill(5)
		for _, e := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch,
			kerr.KafkaStorageError, kerr.ReplicaNotAvailable, kerr.OffsetNotAvailable} {
			x.brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: e, Count: 1})
		}
		c := x.consumer(client.ResetNone, client.Earliest())
		if diff := cmp.Diff(numbers(5), x.values(c, 5)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		x.brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.TopicAuthorizationFailed, Count: 1})
		_, err := c.Poll(x.deadline, 1)
		x.want("poll", err, kafka.ErrTopicAuthorizationFailed)
		x.check("close", c.Close(x.deadline))
	})
}

// A topic that was deleted and created again is another topic: a position in the
// old one means nothing in it (KAFKA-12257).
func TestATopicCreatedAgainIsAnotherTopic(t *testing.T) {
	run(t, func(x *fixture) {
		recreate := func() {
			ok(x, call(x.client.DeleteTopics([]string{"orders"}, x.deadline)))
			made := ok(x, call(x.client.CreateTopics([]client.NewTopic{{Name: "orders", Partitions: 1, Replicas: 1}}, x.deadline)))
			x.check("create", made[0].Err)
			x.fill(10)
		}
		x.fill(10)
		reset := x.consumer(client.ResetEarliest, client.Earliest())
		strict := x.consumer(client.ResetNone, client.Earliest())
		x.values(reset, 10)
		x.values(strict, 10)
		recreate()
		if diff := cmp.Diff(numbers(10), x.values(reset, 10)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if rs := reset.Resets(); len(rs) != 1 || rs[0].From != 10 || rs[0].To != 0 || !errors.Is(rs[0].Reason, client.ErrRecreated) {
			t.Errorf("resets %+v", rs)
		}
		var err error
		for err == nil || !errors.Is(err, client.ErrNoOffset) {
			if _, err = strict.Poll(x.deadline, 1); err == nil {
				t.Fatal("read the new topic from a position in the old one")
			}
		}
		x.want("strict", err, client.ErrRecreated)
		x.check("close", reset.Close(x.deadline))
		x.check("close", strict.Close(x.deadline))
	})
}

func TestATopicThatDoesNotExistIsTold(t *testing.T) {
	run(t, func(x *fixture) {
		c := x.client.NewConsumer(client.DefaultConsumer())
		c.Assign(client.Place{Partition: kafka.TopicPartition{Topic: "nothing"}, From: client.Earliest()})
		_, err := c.Poll(x.deadline, 1)
		x.want("poll", err, kafka.ErrUnknownTopicOrPartition)
		c.Assign(client.Place{Partition: kafka.TopicPartition{Topic: "orders", Partition: 9}, From: client.Earliest()})
		_, err = c.Poll(x.deadline, 1)
		x.want("poll", err, client.ErrNoPartition)
		x.check("close", c.Close(x.deadline))
	})
}
