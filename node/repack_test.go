package node

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func packedBatch(codec record.Codec, values ...string) []byte {
	var b record.Builder
	for _, v := range values {
		b.Append(record.Record{Timestamp: kafka.Timestamp(time.Now().UnixMilli()), Value: []byte(v)})
	}
	batch, err := b.Build(record.Spec{Compression: record.Compression{Codec: codec}}, new(record.Codecs))
	if err != nil {
		panic(err)
	}
	return batch.Bytes()
}

// batchAt fetches the batch of an offset.
func (w *wire) batchAt(topic string, offset int64) record.Batch {
	w.t.Helper()
	r := kmsg.NewPtrFetchResponse()
	w.ask(fetchRequest(topic, offset, 1, time.Second), 12, r)
	b, _, err := record.View(r.Topics[0].Partitions[0].RecordBatches)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// The codec of a topic is in force from the next batch on; what is there stays.
func TestATopicsCodecIsWhatItsLogHas(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	value := strings.Repeat("klamm ", 50)
	next := int64(0)
	for _, c := range []struct {
		topic string
		sent  record.Codec
		kept  record.Codec
	}{
		{"producer", record.Lz4, record.Lz4},
		{"gzip", record.None, record.Gzip},
		{"gzip", record.Gzip, record.Gzip},
		{"snappy", record.Gzip, record.Snappy},
		{"lz4", record.Zstd, record.Lz4},
		{"zstd", record.Snappy, record.Zstd},
		{"uncompressed", record.Zstd, record.None},
		{"uncompressed", record.None, record.None},
	} {
		wantCode(t, "alter", w.alterOne(1, typeTopic, "orders", set("compression.type", c.topic)), kafka.None)
		sent := packedBatch(c.sent, value, value)
		w.wantProduced("orders", bytes.Clone(sent), next)
		got := w.batchAt("orders", next)
		if got.Compression() != c.kept {
			t.Errorf("compression.type=%s, sent %s: kept %s", c.topic, c.sent, got.Compression())
		}
		if err := got.CheckCRC(); err != nil {
			t.Error(err)
		}
		if c.sent == c.kept && !bytes.Equal(got.Bytes()[record.HeaderSize:], sent[record.HeaderSize:]) {
			t.Errorf("compression.type=%s, sent %s: changed", c.topic, c.sent)
		}
		records := new(record.Codecs).Records(got, 1<<20)
		for i := range 2 {
			if !records.Next() || string(records.Record().Value) != value {
				t.Errorf("compression.type=%s, sent %s: record %d: %v", c.topic, c.sent, i, records.Err())
			}
		}
		next += 2
	}
}

func TestABatchThatUnpacksTooLargeIsRefused(t *testing.T) {
	m := run(t)
	m.create("orders", "compression.type", "uncompressed", "max.message.bytes", "1000")
	w := m.wire()
	zipped := packedBatch(record.Gzip, strings.Repeat("x", 2000))
	wantCode(t, "too large", w.produce("orders", -1, zipped).ErrorCode, kafka.ErrMessageTooLarge)
	broken := packedBatch(record.Gzip, "small")
	broken = broken[:len(broken)-3]
	wantCode(t, "cut short", w.produce("orders", -1, broken).ErrorCode, kafka.ErrCorruptMessage)
	w.wantProduced("orders", packedBatch(record.Gzip, "small"), 0)
}

// What a request grows by is bounded as if it had come so: a megabyte of zeros is a
// few bytes in gzip.
func TestARequestGrowsNoMoreThanARequestMayHave(t *testing.T) {
	m := run(t, config.Pair{Name: "socket.request.max.bytes", Value: "20000"})
	request := produceRequest("t0", -1, nil)
	request.Topics = nil
	for _, name := range []string{"t0", "t1", "t2", "t3"} {
		m.create(name, "compression.type", "uncompressed")
		one := produceRequest(name, -1, packedBatch(record.Gzip, strings.Repeat("x", 9000)))
		request.Topics = append(request.Topics, one.Topics...)
	}
	w := m.wire()
	r := kmsg.NewPtrProduceResponse()
	w.receive(r, 9, w.send(request, 9))
	for i, want := range []kafka.Error{kafka.None, kafka.None, kafka.None, kafka.ErrMessageTooLarge} {
		wantCode(t, r.Topics[i].Topic, r.Topics[i].Partitions[0].ErrorCode, want)
	}
	w.wantProduced("t3", packedBatch(record.Gzip, strings.Repeat("x", 9000)), 0)
	m.until(func() bool { return m.node.Stats().API.QueuedBytes == 0 })
}

// Levels act: more effort makes fewer bytes.
func TestTheLevelOfATopicsCodecActs(t *testing.T) {
	m := run(t)
	words := make([]string, 5000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range words {
		words[i] = []string{"alpha", "beta", "gamma", "delta", "epsilon"}[r.IntN(5)] + strings.Repeat("z", r.IntN(11))
	}
	text := strings.Join(words, " ")
	for _, c := range []struct{ codec, setting, low, high string }{
		{"gzip", "compression.gzip.level", "1", "9"},
		{"lz4", "compression.lz4.level", "1", "17"},
		{"zstd", "compression.zstd.level", "-5", "22"},
	} {
		m.create(c.codec, "compression.type", c.codec)
		w := m.wire()
		var sizes []int
		for offset, level := range []string{c.low, c.high} {
			wantCode(t, "alter", w.alterOne(1, typeTopic, c.codec, set(c.setting, level)), kafka.None)
			w.wantProduced(c.codec, batchOf(text), int64(offset))
			sizes = append(sizes, w.batchAt(c.codec, int64(offset)).Size())
		}
		if sizes[1] >= sizes[0] {
			t.Errorf("%s: level %s makes %d bytes, level %s %d", c.codec, c.low, sizes[0], c.high, sizes[1])
		}
	}
}

func TestDuplicatesAreRecognisedInATopicWithACodec(t *testing.T) {
	m := run(t)
	m.create("orders", "compression.type", "zstd")
	w := m.wire()
	p := &record.Producer{ID: 0, Epoch: 0, Sequence: 0}
	r := kmsg.NewPtrInitProducerIDResponse()
	w.ask(kmsg.NewPtrInitProducerIDRequest(), 4, r)
	p.ID = kafka.ProducerID(r.ProducerID)
	w.wantProduced("orders", producerBatch(p, "a", "b"), 0)
	w.wantProduced("orders", producerBatch(p, "a", "b"), 0)
	p.Sequence = 2
	w.wantProduced("orders", producerBatch(p, "c"), 2)
}
