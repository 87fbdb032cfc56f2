package partitioner_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/client/cluster"
	"github.com/klammlog/klamm/node/client/partitioner"
	"github.com/klammlog/klamm/node/kafka"
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

// topic returns a topic whose partitions have the given leaders, -1 for none.
func topic(leaders ...kafka.NodeID) *cluster.Topic {
	t := &cluster.Topic{Name: "t"}
	for i, leader := range leaders {
		t.Partitions = append(t.Partitions, cluster.Partition{ID: int32(i), Leader: leader})
	}
	return t
}

func source() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }

var (
	keyless = &partitioner.Record{Topic: "t"}
	keyed   = &partitioner.Record{Topic: "t", Key: []byte("foobar")}
)

// A player sends records as a producer does whose batches take limit bytes.
type player struct {
	p     partitioner.Partitioner
	t     *cluster.Topic
	draws *rand.Rand
	limit int
	open  map[int32]int // bytes of the open batches
	whole map[int32]int // bytes sent
}

func newPlayer(p partitioner.Partitioner, t *cluster.Topic, limit int) *player {
	return &player{p: p, t: t, draws: source(), limit: limit, open: map[int32]int{}, whole: map[int32]int{}}
}

// send sends one record and returns its partition.
func (y *player) send(size int) int32 {
	at := y.p.Choose(keyless, y.t, y.draws)
	if y.open[at] > 0 && y.open[at]+size > y.limit {
		y.close(at)
	}
	y.open[at] += size
	y.whole[at] += size
	y.p.Appended(kafka.TopicPartition{Topic: "t", Partition: at}, size)
	if y.open[at] >= y.limit {
		y.close(at)
	}
	return at
}

func (y *player) close(at int32) {
	y.open[at] = 0
	y.p.Closed(kafka.TopicPartition{Topic: "t", Partition: at})
}

func TestStickyStaysUntilABatchsWorthIsSent(t *testing.T) {
	y := newPlayer(partitioner.Sticky(1000), topic(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), 1000)
	first := y.send(250)
	for range 3 {
		if got := y.send(250); got != first {
			t.Fatalf("record went to %d, the one before to %d", got, first)
		}
	}
	for range 20 {
		y.send(1000)
	}
	if len(y.whole) < 5 {
		t.Errorf("21 batches went to %d of 10 partitions", len(y.whole))
	}
}

func TestStickyLeavesNoSmallBatchBehind(t *testing.T) {
	y := newPlayer(partitioner.Sticky(1000), topic(1, 1, 1), 1000)
	at := y.send(600)
	for _, size := range []int{600, 300} { // the second record began another batch
		if got := y.send(size); got != at {
			t.Fatalf("left a batch of %d bytes in partition %d", y.open[at], at)
		}
	}
	y.close(at) // it lingered long enough
	counts := map[int32]int{}
	for range 100 {
		counts[y.send(1000)]++
	}
	if len(counts) != 3 {
		t.Errorf("100 batches went to %d of 3 partitions", len(counts))
	}
}

// A counter counts the numbers drawn.
type counter struct {
	rand.Source
	drawn int
}

func (c *counter) Uint64() uint64 {
	c.drawn++
	return c.Source.Uint64()
}

// However small the batches are that lingering leaves, twice a batch's worth is
// the most that goes to one draw; and between two batches one suffices.
func TestStickyDrawsInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := partitioner.Sticky(1000)
		all := topic(1, 1, 1, 1, 1)
		source := &counter{Source: rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)}
		draws := rand.New(source)
		inRow, open, last := 0, false, int32(-1)
		for range rapid.IntRange(1, 200).Draw(t, "records") {
			before := source.drawn
			at := p.Choose(keyless, all, draws)
			drew := source.drawn > before
			if due := last < 0 || inRow >= 2000 || inRow >= 1000 && !open; due != drew {
				t.Fatalf("%d bytes, batch open: %v: drew another partition: %v", inRow, open, drew)
			}
			if at != last && !drew {
				t.Fatalf("went from %d to %d", last, at)
			}
			if drew {
				inRow, last = 0, at
			}
			size := rapid.IntRange(1, 500).Draw(t, "size")
			inRow += size
			p.Appended(kafka.TopicPartition{Topic: "t", Partition: at}, size)
			if open = !rapid.Bool().Draw(t, "closed"); !open {
				p.Closed(kafka.TopicPartition{Topic: "t", Partition: at})
			}
		}
	})
}

func TestStickyIsUniform(t *testing.T) {
	y := newPlayer(partitioner.Sticky(1000), topic(1, 1, 1, 1), 1000)
	const total = 4_000_000
	for range total / 100 {
		y.send(100)
	}
	for at, bytes := range y.whole {
		if bytes < total/4*8/10 || bytes > total/4*12/10 {
			t.Errorf("partition %d got %d of %d bytes", at, bytes, total)
		}
	}
}

func TestPartitionsWithoutLeaderAreAvoided(t *testing.T) {
	for name, p := range map[string]partitioner.Partitioner{
		"sticky": partitioner.Sticky(10), "round robin": partitioner.RoundRobin(), "default": partitioner.Default(10),
	} {
		y := newPlayer(p, topic(-1, 1, -1, 1), 10)
		for range 100 {
			if at := y.send(10); at != 1 && at != 3 {
				t.Errorf("%s: record for partition %d, which has no leader", name, at)
			}
		}
		y.t = topic(-1, -1)
		for range 100 {
			y.send(10)
		}
		if y.whole[0]+y.whole[1] < 1000 {
			t.Errorf("%s: nobody has a leader: %v", name, y.whole)
		}
	}
}

func TestStickyLeavesAPartitionThatLosesItsLeader(t *testing.T) {
	y := newPlayer(partitioner.Sticky(1000), topic(1, 1), 1000)
	at := y.send(10)
	y.t = topic(1, 1)
	y.t.Partitions[at].Leader = cluster.NoNode
	if got := y.send(10); got == at {
		t.Errorf("record for partition %d, which has lost its leader", at)
	}
}

func TestRoundRobinTakesTurns(t *testing.T) {
	p := partitioner.RoundRobin()
	var got []int32
	for _, r := range []*partitioner.Record{keyless, keyed, {Topic: "u"}, keyed, keyless} {
		got = append(got, p.Choose(r, topic(1, 1, 1), nil))
	}
	if diff := cmp.Diff([]int32{0, 1, 0, 2, 0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOnlyTheDefaultLooksAtKeys(t *testing.T) {
	all := topic(1, 1, 1, 1, 1, 1, 1)
	want := partitioner.ByKey(keyed.Key, 7)
	p, draws := partitioner.Default(1), source()
	counts := map[int32]int{}
	for range 100 {
		if got := p.Choose(keyed, all, draws); got != want {
			t.Fatalf("key in partition %d, want %d", got, want)
		}
		at := p.Choose(keyless, all, draws)
		counts[at]++
		p.Appended(kafka.TopicPartition{Topic: "t", Partition: at}, 1)
		p.Closed(kafka.TopicPartition{Topic: "t", Partition: at})
	}
	if len(counts) != 7 {
		t.Errorf("records without key went to %d of 7 partitions", len(counts))
	}
	if got := partitioner.Func(func(r *partitioner.Record, n int32) int32 { return n - 1 }).Choose(keyed, all, nil); got != 6 {
		t.Errorf("a function chose %d, want 6", got)
	}
}
