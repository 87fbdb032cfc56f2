package node

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A wire is a connection on which a test writes and reads frames by hand.
type wire struct {
	t    *testing.T
	conn net.Conn
	next int32
}

func (m *machine) wire() *wire {
	m.t.Helper()
	conn, err := net.Dial("tcp", m.address())
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { conn.Close() })
	return &wire{t: m.t, conn: conn}
}

// send writes a request of a version and returns its correlation id.
func (w *wire) send(q kmsg.Request, version int16) int32 {
	w.t.Helper()
	w.next++
	q.SetVersion(version)
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, q, w.next)
	if _, err := w.conn.Write(frame); err != nil {
		w.t.Fatal(err)
	}
	return w.next
}

// frame reads one answer and returns its correlation id and what follows it.
func (w *wire) frame() (int32, []byte) {
	w.t.Helper()
	b, err := w.maybeFrame()
	if err != nil {
		w.t.Fatal(err)
	}
	return int32(binary.BigEndian.Uint32(b)), b[4:]
}

func (w *wire) maybeFrame() ([]byte, error) {
	size := make([]byte, 4)
	if _, err := io.ReadFull(w.conn, size); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size))
	_, err := io.ReadFull(w.conn, b)
	return b, err
}

// receive reads the answer to a request of correlation id want.
func (w *wire) receive(r kmsg.Response, version int16, want int32) {
	w.t.Helper()
	got, b := w.frame()
	if got != want {
		w.t.Fatalf("answer to request %d, want %d", got, want)
	}
	r.SetVersion(version)
	if r.IsFlexible() && r.Key() != int16(kmsg.ApiVersions) {
		b = b[1:]
	}
	if err := r.ReadFrom(b); err != nil {
		w.t.Fatal(err)
	}
}

// wantClosed waits for the node to close the connection.
func (w *wire) wantClosed() {
	w.t.Helper()
	if b, err := w.maybeFrame(); err == nil {
		w.t.Fatalf("an answer %x, want the end of the connection", b)
	}
}

func batchOf(values ...string) []byte {
	return producerBatch(nil, values...)
}

func producerBatch(p *record.Producer, values ...string) []byte {
	var b record.Builder
	for _, v := range values {
		b.Append(record.Record{Timestamp: kafka.Timestamp(time.Now().UnixMilli()), Value: []byte(v)})
	}
	batch, err := b.Build(record.Spec{Producer: p}, nil)
	if err != nil {
		panic(err)
	}
	return batch.Bytes()
}

func produceRequest(topic string, acks int16, records []byte) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Acks, q.TimeoutMillis = acks, 10_000
	q.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records}}}}
	return q
}

func fetchRequest(topic string, offset int64, minBytes int32, maxWait time.Duration) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.MinBytes, q.MaxBytes, q.MaxWaitMillis = minBytes, 1<<20, int32(maxWait.Milliseconds())
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = offset, 1<<20, -1
	q.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return q
}

func (w *wire) produce(topic string, acks int16, records []byte) kmsg.ProduceResponseTopicPartition {
	w.t.Helper()
	r := kmsg.NewPtrProduceResponse()
	w.receive(r, 9, w.send(produceRequest(topic, acks, records), 9))
	return r.Topics[0].Partitions[0]
}

func (w *wire) wantProduced(topic string, records []byte, want int64) {
	w.t.Helper()
	if p := w.produce(topic, -1, records); p.ErrorCode != 0 || p.BaseOffset != want {
		w.t.Fatalf("produced at %d with error %s, want %d", p.BaseOffset, kafka.Error(p.ErrorCode).Name(), want)
	}
}

// KIP-511.
func TestAnUnknownVersionOfApiVersionsIsAnsweredInVersion0(t *testing.T) {
	w := run(t).wire()
	r := kmsg.NewPtrApiVersionsResponse()
	w.receive(r, 0, w.send(&kmsg.ApiVersionsRequest{ClientSoftwareName: "x", ClientSoftwareVersion: "1"}, 5))
	if r.ErrorCode != int16(kafka.ErrUnsupportedVersion) || len(r.ApiKeys) != 1 || r.ApiKeys[0].ApiKey != 18 || r.ApiKeys[0].MaxVersion != 4 {
		t.Errorf("%+v", r)
	}
	w.receive(r, 3, w.send(&kmsg.ApiVersionsRequest{ClientSoftwareName: "no spaces", ClientSoftwareVersion: "1"}, 3))
	if r.ErrorCode != int16(kafka.ErrInvalidRequest) {
		t.Errorf("a name that is none: %+v", r)
	}
	w.receive(r, 4, w.send(&kmsg.ApiVersionsRequest{ClientSoftwareName: "x", ClientSoftwareVersion: "1"}, 4))
	if r.ErrorCode != 0 || r.ApiKeys[0].ApiKey != 0 || r.ApiKeys[0].MinVersion != 0 {
		t.Errorf("produce must be told from version 0 on: %+v", r)
	}
}

func TestWhatIsNotARequestEndsItsConnectionAndNoOther(t *testing.T) {
	m := run(t)
	other := m.wire()
	for name, frame := range map[string][]byte{
		"a version that is not served": {0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 1, 0, 0},
		"a key that there is not":      {0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0, 0},
		"a negative key":               {0, 0, 0, 10, 0xff, 0, 0, 0, 0, 0, 0, 1, 0, 0},
		"a negative size":              {0xff, 0xff, 0xff, 0xff},
		"a size that is too large":     {0x7f, 0xff, 0xff, 0xff},
		"a size that is too small":     {0, 0, 0, 1, 0},
		"a body that is cut short":     {0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 9},
		"a list that is not there":     {0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			w := m.wire()
			w.t = t
			if _, err := w.conn.Write(frame); err != nil {
				t.Fatal(err)
			}
			w.wantClosed()
		})
	}
	other.receive(kmsg.NewPtrMetadataResponse(), 12, other.send(kmsg.NewPtrMetadataRequest(), 12))
}

func TestAFetchThatWaitsHearsOfARequestBehindIt(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	fetch := w.send(fetchRequest("orders", 0, 1, time.Hour), 11)
	produce := w.send(produceRequest("orders", -1, batchOf("a", "b")), 9)
	versions := w.send(kmsg.NewPtrApiVersionsRequest(), 0)

	fetched, produced := kmsg.NewPtrFetchResponse(), kmsg.NewPtrProduceResponse()
	w.receive(fetched, 11, fetch)
	w.receive(produced, 9, produce)
	w.receive(kmsg.NewPtrApiVersionsResponse(), 0, versions)
	p := fetched.Topics[0].Partitions[0]
	if p.HighWatermark != 2 || len(p.RecordBatches) == 0 || p.ErrorCode != 0 {
		t.Errorf("%+v", p)
	}
}

func TestAFetchWaitsForItsMinBytes(t *testing.T) {
	m := run(t)
	m.create("orders")
	w, producer := m.wire(), m.wire()
	one := int32(len(batchOf("x")))
	fetch := w.send(fetchRequest("orders", 0, 2*one+1, time.Hour), 4)
	for i := range int64(3) {
		producer.wantProduced("orders", batchOf("x"), i)
	}
	r := kmsg.NewPtrFetchResponse()
	w.receive(r, 4, fetch)
	if got := int32(len(r.Topics[0].Partitions[0].RecordBatches)); got != 3*one {
		t.Errorf("%d bytes, want those of three batches, %d", got, 3*one)
	}
	r = kmsg.NewPtrFetchResponse()
	w.receive(r, 4, w.send(fetchRequest("orders", 2, 1<<20, time.Millisecond), 4))
	if got := int32(len(r.Topics[0].Partitions[0].RecordBatches)); got != one {
		t.Errorf("after max wait %d bytes, want what there is, %d", got, one)
	}
}

func TestAcks0HasNoAnswerButTheEndOfTheConnection(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	w.send(produceRequest("orders", 0, batchOf("a")), 9)
	w.wantProduced("orders", batchOf("b"), 1)
	w.send(produceRequest("nowhere", 0, batchOf("a")), 9)
	w.wantClosed()
}

func TestABatchSentAgainGetsTheOffsetItHad(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	id := kmsg.NewPtrInitProducerIDResponse()
	w.receive(id, 4, w.send(kmsg.NewPtrInitProducerIDRequest(), 4))
	p := &record.Producer{ID: kafka.ProducerID(id.ProducerID)}
	w.wantProduced("orders", producerBatch(p, "a", "b"), 0)
	w.wantProduced("orders", batchOf("between"), 2)
	w.wantProduced("orders", producerBatch(p, "a", "b"), 0)
	p.Sequence = 9
	if r := w.produce("orders", -1, producerBatch(p, "gap")); r.ErrorCode != int16(kafka.ErrOutOfOrderSequence) {
		t.Errorf("a gap: %+v", r)
	}
}

func TestProduceSaysWhatIsWrong(t *testing.T) {
	m := run(t)
	m.create("orders", "max.message.bytes", "100", "min.insync.replicas", "2")
	w := m.wire()
	corrupt := batchOf("x")
	corrupt[len(corrupt)-1]++
	for _, c := range []struct {
		name    string
		topic   string
		acks    int16
		records []byte
		want    kafka.Error
	}{
		{"a checksum that is wrong", "orders", 1, corrupt, kafka.ErrCorruptMessage},
		{"a batch that is cut short", "orders", 1, corrupt[:len(corrupt)-1], kafka.ErrCorruptMessage},
		{"no batch", "orders", 1, nil, kafka.ErrInvalidRecord},
		{"a batch that is too large", "orders", 1, batchOf(string(make([]byte, 100))), kafka.ErrMessageTooLarge},
		{"acks that there are not", "orders", 2, batchOf("x"), kafka.ErrInvalidRequiredAcks},
		{"too few replicas in sync", "orders", -1, batchOf("x"), kafka.ErrNotEnoughReplicas},
		{"a topic that there is not", "nowhere", -1, batchOf("x"), kafka.ErrUnknownTopicOrPartition},
		{"nothing wrong", "orders", 1, batchOf("x"), kafka.None},
	} {
		if p := w.produce(c.topic, c.acks, c.records); p.ErrorCode != int16(c.want) {
			t.Errorf("%s: %s, want %s", c.name, kafka.Error(p.ErrorCode).Name(), c.want.Name())
		}
	}
}

func TestAClosedConnectionTakesItsWaitWithIt(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	w.send(fetchRequest("orders", 0, 1, time.Hour), 11)
	m.until(func() bool { return m.node.Stats().Broker.FetchWaits == 1 })
	w.conn.Close()
	m.until(func() bool { return m.node.Stats().API.Connections == 0 && m.node.Stats().API.QueuedBytes == 0 })
}

func TestAStopAnswersWhatWasTakenUp(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	fetch := w.send(fetchRequest("orders", 0, 1, time.Hour), 11)
	m.until(func() bool { return m.node.Stats().Broker.FetchWaits == 1 })
	m.stop()
	w.receive(kmsg.NewPtrFetchResponse(), 11, fetch)
	w.wantClosed()
}

func TestAnIdleConnectionIsClosedAndOneThatWaitsIsNot(t *testing.T) {
	m := run(t, config.Pair{Name: "connections.max.idle.ms", Value: "50"})
	m.create("orders")
	w := m.wire()
	fetch := w.send(fetchRequest("orders", 0, 1, 300*time.Millisecond), 11)
	w.receive(kmsg.NewPtrFetchResponse(), 11, fetch)
	w.wantClosed()
}

func TestThereAreNoMoreConnectionsThanAllowed(t *testing.T) {
	m := run(t, config.Pair{Name: "max.connections", Value: "1"})
	first := m.wire()
	first.receive(kmsg.NewPtrMetadataResponse(), 12, first.send(kmsg.NewPtrMetadataRequest(), 12))
	m.wire().wantClosed()
	first.receive(kmsg.NewPtrMetadataResponse(), 12, first.send(kmsg.NewPtrMetadataRequest(), 12))
	m.as(func() {
		if s := m.node.Stats().API; s.Connections != 1 || s.Refused != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// However many requests a client sends ahead, and however little the node takes
// in at once, each is answered in its turn.
func TestRequestsSentAheadAreAnsweredInOrder(t *testing.T) {
	m := run(t, config.Pair{Name: "max.requests.in.flight.per.connection", Value: "2"},
		config.Pair{Name: "queued.max.request.bytes", Value: "100"})
	m.create("orders")
	w := m.wire()
	const n = 50
	go func() {
		for range n {
			frame := kmsg.NewRequestFormatter().AppendRequest(nil, atVersion(produceRequest("orders", -1, batchOf("x")), 9), w.next)
			w.next++
			if _, err := w.conn.Write(frame); err != nil {
				t.Error(err)
			}
		}
	}()
	for i := range int32(n) {
		r := kmsg.NewPtrProduceResponse()
		w.receive(r, 9, i)
		if p := r.Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != int64(i) {
			t.Fatalf("request %d: %+v", i, p)
		}
	}
}

func atVersion(q kmsg.Request, version int16) kmsg.Request {
	q.SetVersion(version)
	return q
}
