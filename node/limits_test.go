package node

import (
	"bytes"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestThereAreNoMoreConnectionsOfOneAddressThanAllowed(t *testing.T) {
	m := run(t, config.Pair{Name: "max.connections.per.ip", Value: "1"})
	first := m.wire()
	first.ask(kmsg.NewPtrMetadataRequest(), 12, kmsg.NewPtrMetadataResponse())
	m.wire().wantClosed()
	first.conn.Close()
	m.until(func() bool { return m.node.Stats().API.Connections == 0 })
	again := m.wire()
	again.ask(kmsg.NewPtrMetadataRequest(), 12, kmsg.NewPtrMetadataResponse())
}

func TestAFrameThatDoesNotEndIsGivenUp(t *testing.T) {
	m := run(t, config.Pair{Name: "connections.max.idle.ms", Value: "50"})
	w := m.wire()
	if _, err := w.conn.Write([]byte{0, 1, 0, 0, 0, 0, 0, 9}); err != nil {
		t.Fatal(err)
	}
	w.wantClosed()
	m.until(func() bool { return m.node.Stats().API.Connections == 0 && m.node.Stats().API.QueuedBytes == 0 })
}

// impatient takes every unlucky path that has to do with memory.
type impatient struct{ env.Blind }

func (impatient) Buggify(name string) bool {
	return name == "who waits for memory asks for help at once" || name == "a connection counts as slow at once"
}

func TestWhoHoldsMemoryInTheMiddleOfAFrameGoesWhenOthersWaitForIt(t *testing.T) {
	m := &machine{t: t, dirs: []string{t.TempDir()}, set: []config.Pair{{Name: "queued.max.request.bytes", Value: "98304"}}} // 96 KiB: as long as any is free, who asks is let in
	m.change = func(w *env.World) { w.Sight = impatient{} }
	m.start()
	t.Cleanup(func() { m.stop() })
	slow := m.wire()
	if _, err := slow.conn.Write([]byte{0, 1, 0x80, 0, 0, 0, 0, 9}); err != nil { // 96 KiB of records, they say
		t.Fatal(err)
	}
	m.until(func() bool { return m.node.Stats().API.QueuedBytes == 96<<10 })
	m.create("orders")
	m.wire().wantProduced("orders", batchOf("x"), 0)
	slow.wantClosed()
	m.as(func() {
		if n := m.node.Stats().API.Dropped; n != 1 {
			t.Errorf("%d connections were dropped, want one", n)
		}
	})
}

func TestWhoDoesNotReadItsAnswersGoesWhenOthersWaitForMemory(t *testing.T) {
	m := &machine{t: t, dirs: []string{t.TempDir()}, set: []config.Pair{{Name: "queued.max.request.bytes", Value: "40000"}}}
	m.change = func(w *env.World) { w.Sight = impatient{} }
	m.start()
	t.Cleanup(func() { m.stop() })
	m.create("orders")
	m.wire().wantProduced("orders", batchOf(string(make([]byte, 1_000_000))), 0)
	deaf := m.wire()
	go func() {
		for {
			frame := kmsg.NewRequestFormatter().AppendRequest(nil, atVersion(fetchRequest("orders", 0, 1, time.Hour), 11), 1)
			if _, err := deaf.conn.Write(frame); err != nil {
				return
			}
		}
	}()
	m.until(func() bool { return m.node.Stats().API.Dropped == 1 })
	m.wire().wantProduced("orders", batchOf("x"), 1)
}

// Large chunks go from their files in several pieces, and small ones are copied
// together; either way the bytes are those of the log.
func TestLargeAnswersArriveWhole(t *testing.T) {
	m := run(t)
	const partitions = 120
	if _, err := kadm.NewClient(m.client()).CreateTopic(within(t), partitions, 1, map[string]*string{}, "orders"); err != nil {
		t.Fatal(err)
	}
	w := m.wire()
	batch := make([][]byte, partitions)
	fetch := fetchRequest("orders", 0, 1, time.Hour)
	fetch.MaxBytes = 50 << 20
	part := fetch.Topics[0].Partitions[0]
	part.PartitionMaxBytes = 10 << 20
	fetch.Topics[0].Partitions = nil
	for p := range int32(partitions) {
		size := 15 << 10
		if p%50 == 7 {
			size = 1_000_000
		}
		for i := range 3 {
			b := batchOf(string(bytes.Repeat([]byte{byte(p), byte(i)}, size/2)))
			q := produceRequest("orders", 1, b)
			q.Topics[0].Partitions[0].Partition = p
			r := kmsg.NewPtrProduceResponse()
			w.ask(q, 9, r)
			wantCode(t, "produce", r.Topics[0].Partitions[0].ErrorCode, kafka.None)
			batch[p] = append(batch[p], b[16:]...) // the broker writes into what is before
			if size < 1_000_000 {
				break
			}
		}
		part.Partition = p
		fetch.Topics[0].Partitions = append(fetch.Topics[0].Partitions, part)
	}
	r := kmsg.NewPtrFetchResponse()
	w.ask(fetch, 11, r)
	for p, got := range r.Topics[0].Partitions {
		var bodies []byte
		for rest := got.RecordBatches; len(rest) > 0; {
			n := 12 + int(rest[8])<<24 + int(rest[9])<<16 + int(rest[10])<<8 + int(rest[11])
			bodies = append(bodies, rest[16:n]...)
			rest = rest[n:]
		}
		if got.ErrorCode != 0 || !bytes.Equal(bodies, batch[p]) {
			t.Fatalf("partition %d: %d bytes of batches with error %d, want %d as they were sent", p, len(bodies), got.ErrorCode, len(batch[p]))
		}
	}
	m.until(func() bool { return m.node.Stats().API.AnswerBytes == 0 })
}

func TestATopicIsAnsweredForOnce(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	name := "orders"
	q := kmsg.NewPtrMetadataRequest()
	for range 100 {
		q.Topics = append(q.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	r := kmsg.NewPtrMetadataResponse()
	w.ask(q, 12, r)
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		t.Errorf("%d answers", len(r.Topics))
	}
	producers := kmsg.NewPtrDescribeProducersRequest()
	producers.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: name, Partitions: []int32{0, 0}}}
	p := kmsg.NewPtrDescribeProducersResponse()
	w.ask(producers, 0, p)
	wantCode(t, "again", p.Topics[0].Partitions[1].ErrorCode, kafka.ErrInvalidRequest)
}
