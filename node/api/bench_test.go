package api

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What it costs to look at a request before it is decoded, beside decoding it.
func BenchmarkFetchRequests(b *testing.B) {
	for name, partitions := range map[string]int{"1 partition": 1, "1000 partitions": 1000} {
		q := kmsg.NewPtrFetchRequest()
		q.SetVersion(12)
		q.Topics = []kmsg.FetchRequestTopic{{Topic: "orders", Partitions: make([]kmsg.FetchRequestTopicPartition, partitions)}}
		body := q.AppendTo(nil)
		b.Run("look/"+name, func(b *testing.B) {
			for b.Loop() {
				if err := shapes[kmsg.Fetch].check(body, 12, flexible); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("look and decode/"+name, func(b *testing.B) {
			for b.Loop() {
				if err := decode(kmsg.NewPtrFetchRequest(), 12, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
