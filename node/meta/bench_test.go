package meta

import (
	"fmt"
	"testing"

	"github.com/klammlog/klamm/node/kafka"
)

// large has three brokers, and ten topics of 1,000 partitions with three replicas
// each.
func large(b *testing.B) *Image {
	m := NewImage()
	apply := func(records []Record, err error) {
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range records {
			if err := m.Apply(r); err != nil {
				b.Fatal(err)
			}
		}
	}
	apply(Format("c"), nil)
	for id := range kafka.NodeID(3) {
		apply([]Record{Broker{ID: id, Epoch: int64(id) + 1}}, nil)
	}
	for i := range 10 {
		n := NewTopic{Name: fmt.Sprint("t", i), ID: kafka.TopicID{byte(i + 1)}, Partitions: 1000, Replicas: 3, First: i}
		apply(m.CreateTopic(n, Defaults{}))
	}
	return m
}

// A broker with 10,000 partitions dies.
func BenchmarkFence(b *testing.B) {
	m := large(b)
	b.ReportAllocs()
	for b.Loop() {
		records := m.Fence([]kafka.NodeID{1}, nil)
		if len(records) != 6 {
			b.Fatal(len(records))
		}
	}
}

// What that decides, as bytes and back.
func BenchmarkFenceCodec(b *testing.B) {
	records := large(b).Fence([]kafka.NodeID{1}, nil)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = EncodeAll(buf[:0], records)
		if _, err := DecodeAll(buf); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}

// What that decides, applied.
func BenchmarkFenceApply(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		m := large(b)
		records := m.Fence([]kafka.NodeID{1}, nil)
		b.StartTimer()
		for _, r := range records {
			if err := m.Apply(r); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// A heartbeat that changes nothing.
func BenchmarkHeartbeat(b *testing.B) {
	m := large(b)
	beat := Beat{ID: 1, Epoch: 2}
	b.ReportAllocs()
	for b.Loop() {
		if records, _, err := m.Heartbeat(beat, 0, nil); err != nil || len(records) > 0 {
			b.Fatal(records, err)
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	m := large(b)
	b.ReportAllocs()
	for b.Loop() {
		m.Digest()
	}
}
