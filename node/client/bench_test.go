package client_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osenv"
	"github.com/klammlog/klamm/node/record"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A sink is a broker that does next to nothing, so that what is measured is the
// client: it acknowledges whatever it is sent, and answers each fetch with the
// same batches under other offsets.
type sink struct {
	listener net.Listener
	batches  []byte // of one answer to a fetch
	records  int64  // in them
	size     int    // of each batch
}

func startSink(b *testing.B, batches []byte, records int64, size int) *sink {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &sink{listener: l, batches: batches, records: records, size: size}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	b.Cleanup(func() { l.Close() })
	return s
}

// serve answers the requests of one connection.
func (s *sink) serve(c net.Conn) {
	defer c.Close()
	var head [4]byte
	var frame, out []byte
	appended := int64(0)
	for {
		if _, err := readFull(c, head[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(head[:]))
		if cap(frame) < n {
			frame = make([]byte, n)
		}
		frame = frame[:n]
		if _, err := readFull(c, frame); err != nil {
			return
		}
		r := kbin.Reader{Src: frame}
		key, version, correlation := r.Int16(), r.Int16(), r.Int32()
		r.NullableString()
		req := kmsg.RequestForKey(key)
		req.SetVersion(version)
		if req.IsFlexible() {
			kmsg.SkipTags(&r)
		}
		if err := req.ReadFrom(r.Src); err != nil {
			return
		}
		resp := s.answer(req, &appended)
		out = append(out[:0], 0, 0, 0, 0)
		out = binary.BigEndian.AppendUint32(out, uint32(correlation))
		if resp.IsFlexible() && key != 18 {
			out = append(out, 0)
		}
		out = resp.AppendTo(out)
		binary.BigEndian.PutUint32(out, uint32(len(out)-4))
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

func readFull(c net.Conn, b []byte) (int, error) {
	at := 0
	for at < len(b) {
		n, err := c.Read(b[at:])
		if err != nil {
			return at, err
		}
		at += n
	}
	return at, nil
}

func (s *sink) answer(req kmsg.Request, appended *int64) kmsg.Response {
	resp := req.ResponseKind()
	switch r := resp.(type) {
	case *kmsg.ApiVersionsResponse:
		r.ApiKeys = append(r.ApiKeys, []kmsg.ApiVersionsResponseApiKey{
			{ApiKey: 0, MinVersion: 3, MaxVersion: 11}, {ApiKey: 1, MinVersion: 4, MaxVersion: 12},
			{ApiKey: 3, MaxVersion: 12}, {ApiKey: 18, MaxVersion: 3}, {ApiKey: 22, MaxVersion: 4},
		}...)
	case *kmsg.MetadataResponse:
		r.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 1, Host: "127.0.0.1", Port: int32(s.listener.Addr().(*net.TCPAddr).Port)}}
		t := kmsg.NewMetadataResponseTopic()
		t.Topic = kmsg.StringPtr("orders")
		for i := range int32(4) {
			t.Partitions = append(t.Partitions, kmsg.MetadataResponseTopicPartition{Partition: i, Leader: 1})
		}
		r.Topics = append(r.Topics, t)
	case *kmsg.InitProducerIDResponse:
		r.ProducerID = 1
	case *kmsg.ProduceResponse:
		for _, t := range req.(*kmsg.ProduceRequest).Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.BaseOffset = p.Partition, *appended
				*appended += 1000
				rt.Partitions = append(rt.Partitions, rp)
			}
			r.Topics = append(r.Topics, rt)
		}
	case *kmsg.FetchResponse:
		for _, t := range req.(*kmsg.FetchRequest).Topics {
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewFetchResponseTopicPartition()
				rp.Partition, rp.HighWatermark = p.Partition, p.FetchOffset+s.records
				rp.RecordBatches = s.from(p.FetchOffset)
				rt.Partitions = append(rt.Partitions, rp)
			}
			r.Topics = append(r.Topics, rt)
		}
	}
	return resp
}

// from returns the batches with offsets from the given one on.
func (s *sink) from(offset int64) []byte {
	count := s.records / int64(len(s.batches)/s.size)
	for at := 0; at < len(s.batches); at += s.size {
		binary.BigEndian.PutUint64(s.batches[at:], uint64(offset))
		offset += count
	}
	return s.batches
}

// onHost runs f as a task of a host with a client of a sink.
func onHost(b *testing.B, s *sink, f func(w *env.World, c *client.Client)) {
	host, err := osenv.New(osenv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer host.Close()
	err = host.Do(context.Background(), func() error {
		c, err := client.New(host.World(), client.DefaultConfig(s.listener.Addr().String()))
		if err != nil {
			return err
		}
		f(host.World(), c)
		return c.Close(kafka.Never)
	})
	if err != nil {
		b.Fatal(err)
	}
}

// measure runs a benchmark's loop and reports the processor time of the whole
// process for each operation: on a machine that others use, too, the time that
// passes says little.
func measure(b *testing.B, size int, f func()) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	began := processorTime(b)
	f()
	b.ReportMetric(float64((processorTime(b)-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSend is the way of a record from Send to its acknowledgement, with the
// requests on a socket and a broker that does next to nothing in the same process.
// Bytes are those of the values.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{100, 1024} {
		for _, codec := range []record.Codec{record.None, record.Lz4} {
			b.Run(fmt.Sprintf("%dB/%s", size, codec), func(b *testing.B) {
				onHost(b, startSink(b, nil, 0, 1), func(w *env.World, c *client.Client) { send(b, w, c, size, codec) })
			})
		}
	}
}

func send(b *testing.B, w *env.World, c *client.Client, size int, codec record.Codec) {
	config := client.DefaultProducer()
	config.Compression.Codec = codec
	p, err := c.NewProducer(config)
	if err != nil {
		b.Fatal(err)
	}
	value := make([]byte, size)
	for i := range value {
		value[i] = byte('a' + i*i%23)
	}
	r := client.Record{Topic: "orders", Value: value}
	measure(b, size, func() {
		for b.Loop() {
			if _, err := p.Send(r); err != nil {
				b.Fatal(err)
			}
		}
		if err := p.Close(kafka.Never); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkPoll is the way of a record from a socket to who polls, likewise.
func BenchmarkPoll(b *testing.B) {
	for _, size := range []int{100, 1024} {
		for _, codec := range []record.Codec{record.None, record.Lz4} {
			b.Run(fmt.Sprintf("%dB/%s", size, codec), func(b *testing.B) {
				batches, records, each := fetchable(b, size, codec)
				onHost(b, startSink(b, batches, records, each), func(w *env.World, c *client.Client) { poll(b, w, c, size) })
			})
		}
	}
}

// fetchable returns a megabyte of batches of about 16 KiB.
func fetchable(b *testing.B, size int, codec record.Codec) (batches []byte, records int64, each int) {
	var w record.Builder
	value := make([]byte, size)
	for w.Size() < 16<<10 {
		for i := range value {
			value[i] = byte('a' + i*i%23)
		}
		w.Append(record.Record{Value: value, Timestamp: 1})
	}
	batch, err := w.Build(record.Spec{LeaderEpoch: 0, Compression: record.Compression{Codec: codec}}, new(record.Codecs))
	if err != nil {
		b.Fatal(err)
	}
	for range 64 {
		batches = append(batches, batch.Bytes()...)
		records += int64(w.Count())
	}
	return batches, records, batch.Size()
}

func poll(b *testing.B, w *env.World, c *client.Client, size int) {
	cons := c.NewConsumer(client.DefaultConsumer())
	cons.Assign(client.Place{Partition: orders0, From: client.At(0)})
	left := 0
	measure(b, size, func() {
		for b.Loop() {
			if left > 0 {
				left--
				continue
			}
			records, err := cons.Poll(w.Now().Add(10*time.Second), 0)
			if err != nil || len(records) == 0 {
				b.Fatalf("%d records, %v", len(records), err)
			}
			left = len(records) - 1
		}
	})
	if err := cons.Close(kafka.Never); err != nil {
		b.Fatal(err)
	}
}
