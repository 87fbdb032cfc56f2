package partitioner_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/client/partitioner"
)

// The values are those that Kafka's own test of its hash expects.
func TestMurmur2HashesAsKafkaDoes(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(partitioner.Murmur2([]byte(key))); got != want {
			t.Errorf("Murmur2(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestKeysGoWhereAnotherClientSendsThem(t *testing.T) {
	theirs := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "key")
		n := rapid.Int32Range(1, 1000).Draw(t, "partitions")
		want := theirs.Partition(&kgo.Record{Key: key}, int(n))
		if got := partitioner.ByKey(key, n); int(got) != want {
			t.Fatalf("ByKey(%x, %d) = %d, want %d", key, n, got, want)
		}
	})
}

func TestStickyStaysUntilTheBatchIsFull(t *testing.T) {
	var s partitioner.Sticky
	next := 0
	draw := func(n int) int { next++; return (next - 1) % n }
	all := []int32{0, 1, 2}
	claim := func(what string, got, want int32) {
		t.Helper()
		if got != want {
			t.Errorf("%s: partition %d, want %d", what, got, want)
		}
	}
	claim("first", s.Choose("t", all, draw), 0)
	claim("same again", s.Choose("t", all, draw), 0)
	s.Switch("t", 2)
	claim("another partition's batch is full", s.Choose("t", all, draw), 0)
	s.Switch("t", 0)
	claim("its batch is full", s.Choose("t", all, draw), 1)
	claim("another topic", s.Choose("u", all, draw), 2)
	claim("no longer available", s.Choose("t", []int32{0, 2}, draw), 2)
}
