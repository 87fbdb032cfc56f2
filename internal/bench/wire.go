//go:build linux

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Versions that are asked for: flexible, and with topics by their names.
const (
	produceVersion = 9
	fetchVersion   = 12
)

// An answer to Produce or Fetch begins with its size, a correlation id, and no tags.
const answerHeader = 4 + 1

// A load is a batch that is sent again and again.
type load struct {
	batch   []byte
	records int // in it
	size    int // bytes of each value
}

// newLoad makes a batch of about so many bytes, at least one record, with values of
// size bytes.
func newLoad(batch, size int) load {
	var b record.Builder
	value := []byte(strings.Repeat("klamm ", size/6+1)[:size])
	now := kafka.Timestamp(time.Now().UnixMilli())
	for b.Count() == 0 || b.Size()+size/2 < batch {
		b.Append(record.Record{Timestamp: now, Value: value})
	}
	built, err := b.Build(record.Spec{}, nil)
	if err != nil {
		panic(err) // without a codec it cannot fail
	}
	return load{built.Bytes(), int(b.Count()), size}
}

// name says what the load is.
func (l load) name() string {
	size := fmt.Sprintf("%d B", l.size)
	if l.size >= 1024 {
		size = fmt.Sprintf("%d KiB", l.size>>10)
	}
	return fmt.Sprintf("%s, batches of %d", size, l.records)
}

func frame(q kmsg.Request, version int16) []byte {
	q.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench")).AppendRequest(nil, q, 0)
}

// produceFrame returns a request that appends the load to a partition.
func (l load) produceFrame(topic string, partition int32) []byte {
	q := kmsg.NewPtrProduceRequest()
	q.Acks, q.TimeoutMillis = -1, 30_000
	q.Topics = []kmsg.ProduceRequestTopic{{
		Topic:      topic,
		Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: l.batch}},
	}}
	return frame(q, produceVersion)
}

// fetchFrame returns a request for records of a partition; it waits for one.
func fetchFrame(topic string, partition int32, offset int64, most int32) []byte {
	q := kmsg.NewPtrFetchRequest()
	q.MaxWaitMillis, q.MinBytes, q.MaxBytes = 500, 1, most
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, most
	q.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return frame(q, fetchVersion)
}

// A wire is one connection of a client.
type wire struct {
	net.Conn
	in  *bufio.Reader
	buf []byte
}

func dial(address string) (*wire, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &wire{Conn: c, in: bufio.NewReaderSize(c, 4<<10)}, nil
}

// answer reads one answer, in memory that the next one uses again.
func (w *wire) answer() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(w.in, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(size[:]))
	if cap(w.buf) < n {
		w.buf = make([]byte, n+n/4)
	}
	_, err := io.ReadFull(w.in, w.buf[:n])
	return w.buf[:n], err
}

// produced reads the answer to a produce request.
func (w *wire) produced() error {
	b, err := w.answer()
	if err != nil {
		return err
	}
	a := kmsg.NewPtrProduceResponse()
	a.SetVersion(produceVersion)
	if err := a.ReadFrom(b[answerHeader:]); err != nil {
		return err
	}
	return kerr.ErrorForCode(a.Topics[0].Partitions[0].ErrorCode)
}

// fetched reads the answer to a fetch request and returns the bytes of its
// records.
func (w *wire) fetched() ([]byte, error) {
	b, err := w.answer()
	if err != nil {
		return nil, err
	}
	a := kmsg.NewPtrFetchResponse()
	a.SetVersion(fetchVersion)
	if err := a.ReadFrom(b[answerHeader:]); err != nil {
		return nil, err
	}
	p := a.Topics[0].Partitions[0]
	return p.RecordBatches, kerr.ErrorForCode(p.ErrorCode)
}

// A requestHeader is what the measuring stick needs of one.
type requestHeader struct{ correlation int32 }

// parseRequest is the measuring stick's; requests are in the versions above.
func parseRequest(frame []byte) (requestHeader, kmsg.Request, error) {
	key, version := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
	h := requestHeader{int32(binary.BigEndian.Uint32(frame[4:]))}
	name := int(binary.BigEndian.Uint16(frame[8:]))
	q := kmsg.RequestForKey(key)
	if q == nil {
		return h, nil, fmt.Errorf("key %d", key)
	}
	q.SetVersion(version)
	return h, q, q.ReadFrom(frame[10+name+1:]) // a byte for no tags
}

// appendProduced appends a whole answer to a produce request.
func appendProduced(b []byte, h requestHeader, q *kmsg.ProduceRequest, base int64) []byte {
	a := kmsg.NewPtrProduceResponse()
	a.SetVersion(q.Version)
	p := kmsg.NewProduceResponseTopicPartition()
	p.Partition, p.BaseOffset = q.Topics[0].Partitions[0].Partition, base
	a.Topics = []kmsg.ProduceResponseTopic{{Topic: q.Topics[0].Topic, Partitions: []kmsg.ProduceResponseTopicPartition{p}}}
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(h.correlation))
	b = a.AppendTo(append(b, 0))
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// fetchedAround returns what comes before and after n bytes of records in an
// answer.
func fetchedAround(h requestHeader, q *kmsg.FetchRequest, end, n int64) (before, after []byte) {
	a := kmsg.NewPtrFetchResponse()
	a.SetVersion(q.Version)
	p := kmsg.NewFetchResponseTopicPartition()
	p.Partition, p.HighWatermark, p.LastStableOffset = q.Topics[0].Partitions[0].Partition, end, end
	a.Topics = []kmsg.FetchResponseTopic{{Topic: q.Topics[0].Topic, Partitions: []kmsg.FetchResponseTopicPartition{p}}}
	b := append(make([]byte, 0, 128), 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(h.correlation))
	b = a.AppendTo(append(b, 0))
	// It ends with the empty records' length and three times no tags.
	after = b[len(b)-3:]
	before = binary.AppendUvarint(b[:len(b)-4:len(b)-4], uint64(n)+1)
	binary.BigEndian.PutUint32(before, uint32(int64(len(before)+len(after))-4+n))
	return before, after
}
