package scenarios

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Attacks by batches: well-formed requests with records that must not get into a
// log. Positions are those of a batch of magic 2.
const (
	lengthAt     = 8
	magicAt      = 16
	crcAt        = 17
	crcFrom      = 21
	attributesAt = 21
	lastDeltaAt  = 23
	firstTimeAt  = 27
	producerAt   = 43
	sequenceAt   = 53
	countAt      = 57
	recordsAt    = 61
)

var attacksOfBatches = []attack{
	onOrders("a wrong checksum", func(h *hostile, b []byte) []byte {
		b[crcAt+h.draws.IntN(4)] ^= 1 << h.draws.IntN(8)
		return b
	}),
	onOrders("a bit of the records changed", func(h *hostile, b []byte) []byte {
		b[recordsAt+h.draws.IntN(len(b)-recordsAt)] ^= 1 << h.draws.IntN(8)
		return b
	}),
	onOrders("a wrong length", func(h *hostile, b []byte) []byte {
		n := int32(binary.BigEndian.Uint32(b[lengthAt:]))
		return put32(b, lengthAt, pick(h.draws, n+1, n-1, 0, -1, math.MaxInt32, math.MinInt32))
	}),
	onOrders("a message format of the past or the future", func(h *hostile, b []byte) []byte {
		b[magicAt] = pick[byte](h.draws, 0, 1, 3, 0xff)
		return b
	}),
	onOrders("attributes that are not a producer's", func(h *hostile, b []byte) []byte {
		binary.BigEndian.PutUint16(b[attributesAt:], pick[uint16](h.draws, 0x05, 0x06, 0x07, 0x10, 0x20, 0x30, 0x40, 0x80, 0x8000))
		return seal(b)
	}),
	onOrders("a wrong count", func(h *hostile, b []byte) []byte {
		n := int32(binary.BigEndian.Uint32(b[countAt:]))
		return seal(put32(b, countAt, pick(h.draws, n+1, n-1, 0, -1, math.MaxInt32)))
	}),
	onOrders("a wrong last offset", func(h *hostile, b []byte) []byte {
		return seal(put32(b, lastDeltaAt, pick[int32](h.draws, -1, 100, math.MaxInt32, math.MinInt32)))
	}),
	onOrders("a count without records", func(h *hostile, b []byte) []byte {
		n := pick(h.draws, int32(1000), 1<<20, math.MaxInt32)
		return seal(put32(put32(b, countAt, n), lastDeltaAt, n-1))
	}),
	onOrders("a time before all times", func(h *hostile, b []byte) []byte {
		binary.BigEndian.PutUint64(b[firstTimeAt:], uint64(pick[int64](h.draws, -2, math.MinInt64)))
		return seal(b)
	}),
	onOrders("a producer without a sequence", func(h *hostile, b []byte) []byte {
		binary.BigEndian.PutUint64(b[producerAt:], uint64(h.draws.Int64N(100)))
		return seal(put32(b, sequenceAt, -1))
	}),
	onOrders("a negative producer", func(h *hostile, b []byte) []byte {
		binary.BigEndian.PutUint64(b[producerAt:], uint64(-2-h.draws.Int64N(100)))
		return seal(b)
	}),
	onOrders("a record with a length of its own", func(h *hostile, b []byte) []byte {
		b[recordsAt] = pick[byte](h.draws, 0, 1, 2, 3, 0x7f, 0xff)
		return seal(b)
	}),
	onOrders("a record without an end", func(h *hostile, b []byte) []byte {
		for i := recordsAt; i < len(b); i++ {
			b[i] = 0xff
		}
		return seal(b)
	}),
	onOrders("two batches", func(h *hostile, b []byte) []byte { return append(b, b...) }),
	onOrders("bytes behind the batch", func(h *hostile, b []byte) []byte { return append(b, h.noise(20)...) }),
	onOrders("half of a batch", func(h *hostile, b []byte) []byte { return b[:h.draws.IntN(len(b))] }),
	onOrders("no batch", func(*hostile, []byte) []byte { return nil }),
	onOrders("noise for a batch", func(h *hostile, _ []byte) []byte { return h.noise(300) }),
	onJunk("noise, compressed it says", func(h *hostile) []byte { return compressed(pickCodec(h), h.noise(300)) }),
	onJunk("records without an end, compressed", func(h *hostile) []byte {
		codec := pickCodec(h)
		return compressed(codec, packed(codec, bytes.Repeat([]byte{0xff}, 4000)))
	}),
	onJunk("a compressed batch cut short", func(h *hostile) []byte {
		codec := pickCodec(h)
		b := packed(codec, h.noise(4000))
		return compressed(codec, b[:h.draws.IntN(len(b))])
	}),
	onJunk("much out of little", func(h *hostile) []byte {
		if h.attacks%4 != 0 {
			return compressed(record.Gzip, packed(record.Gzip, make([]byte, 100_000)))
		}
		codec := pick(h.draws, record.Gzip, record.Zstd, record.Lz4)
		return compressed(codec, packed(codec, make([]byte, bombSize)))
	}),
}

// bombSize is what a few kilobytes inflate to: little for a bomb, but inflating it
// takes the simulator's own time.
const bombSize = 8 << 20

// onOrders is a batch for the topic of the honest, made worse.
func onOrders(name string, worse func(*hostile, []byte) []byte) attack {
	return attack{name, func(h *hostile, c *rawConn) string {
		partition := h.draws.Int32N(h.r.options.Partitions)
		return h.produce(c, topicName, partition, worse(h, h.batch()))
	}}
}

// onJunk is a batch for a compacted topic.
func onJunk(name string, make func(*hostile) []byte) attack {
	return attack{name, func(h *hostile, c *rawConn) string { return h.produce(c, junkTopic, 0, make(h)) }}
}

// batch returns a batch that is in order but for what it says.
func (h *hostile) batch() []byte {
	var w record.Builder
	for range 1 + h.draws.IntN(3) {
		w.Append(record.Record{Timestamp: h.world.Wall(), Key: []byte("hostile"), Value: []byte("nobody sent this record")})
	}
	b, err := w.Build(record.Spec{}, nil)
	if err != nil {
		panic(err)
	}
	return slices.Clone(b.Bytes())
}

// produce sends a batch that must be refused: with a code, or with the end of the
// connection. Without acks there is nothing but the latter. Blocks.
func (h *hostile) produce(c *rawConn, topic string, partition int32, records []byte) string {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = 3+h.version(9), pick[int16](h.draws, -1, -1, 1, 0), 5000
	q.Topics = []kmsg.ProduceRequestTopic{{Topic: topic,
		Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: records}}}}
	h.write(c, c.frame(q))
	if q.Acks == 0 {
		return h.wantEnd(c)
	}
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = q.Version
	return h.wantCode(c, resp, func() error {
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return fmt.Errorf("%d topics: %w", len(resp.Topics), errNoAnswer)
		}
		if p := resp.Topics[0].Partitions[0]; kafka.Error(p.ErrorCode) == kafka.None {
			return fmt.Errorf("was appended to %s-%d at offset %d", topic, partition, p.BaseOffset)
		}
		return nil
	})
}

func put32(b []byte, at int, v int32) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(v))
	return b
}

// seal gives a batch the checksum that it should have.
func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b[crcAt:], record.Checksum(b[crcFrom:]))
	return b
}

func pickCodec(h *hostile) record.Codec {
	return pick(h.draws, record.Gzip, record.Snappy, record.Lz4, record.Zstd)
}

// packed returns bytes compressed.
func packed(codec record.Codec, b []byte) []byte {
	var c record.Codecs
	out, err := c.Pack(nil, record.Compression{Codec: codec}, b)
	if err != nil {
		panic(err)
	}
	return out
}

// compressed returns a batch of one record that says it is compressed, whatever
// its payload is.
func compressed(codec record.Codec, payload []byte) []byte {
	b := make([]byte, recordsAt, recordsAt+len(payload))
	b = append(b, payload...)
	put32(b, lengthAt, int32(len(b)-12))
	b[magicAt] = 2
	binary.BigEndian.PutUint16(b[attributesAt:], uint16(codec))
	binary.BigEndian.PutUint64(b[producerAt:], math.MaxUint64)
	binary.BigEndian.PutUint16(b[producerAt+8:], math.MaxUint16)
	put32(b, sequenceAt, -1)
	put32(b, countAt, 1)
	return seal(b)
}
