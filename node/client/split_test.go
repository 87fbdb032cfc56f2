package client

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// recordsOf returns what a builder holds.
func recordsOf(t *rapid.T, b record.Builder) []record.Record {
	batch, err := b.Build(record.Spec{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []record.Record
	it := batch.Records(batch.Size())
	for it.Next() {
		r := it.Record()
		r.Offset, r.Headers = 0, slices.Clone(r.Headers)
		out = append(out, r)
	}
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	return out
}

func TestHalvesHoldEveryRecordInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var whole record.Builder
		largest := 0
		for range rapid.IntRange(2, 40).Draw(t, "records") {
			r := record.Record{
				Timestamp: kafka.Timestamp(rapid.Int64Range(0, 1<<40).Draw(t, "timestamp")),
				Key:       rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "key"),
				Value:     make([]byte, rapid.IntRange(0, 300).Draw(t, "value")),
			}
			if rapid.Bool().Draw(t, "header") {
				r.Headers = []record.Header{{Key: "h", Value: r.Key}}
			}
			var alone record.Builder
			largest = max(largest, alone.SizeWith(r))
			whole.Append(r)
		}
		halves := halve(whole)
		if len(halves) < 2 {
			t.Fatalf("%d pieces of %d records", len(halves), whole.Count())
		}
		var got []record.Record
		for _, half := range halves {
			if half.Size() > max(largest, (whole.Size()+record.HeaderSize)/2) {
				t.Fatalf("a piece of %d bytes, of %d in all, the largest record of %d", half.Size(), whole.Size(), largest)
			}
			got = append(got, recordsOf(t, half)...)
		}
		if diff := cmp.Diff(recordsOf(t, whole), got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}
