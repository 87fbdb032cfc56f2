package assignor

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/node/kafka"
	"pgregory.net/rapid"
)

// own reads "t0-1 t0-2" as partitions.
func own(text string) []kafka.TopicPartition {
	out := []kafka.TopicPartition{}
	for _, f := range strings.Fields(text) {
		at := strings.LastIndexByte(f, '-')
		var n int32
		fmt.Sscan(f[at+1:], &n)
		out = append(out, kafka.TopicPartition{Topic: f[:at], Partition: n})
	}
	return out
}

func TestExamples(t *testing.T) {
	two := []Topic{{"t0", 3}, {"t1", 3}}
	both := []string{"t0", "t1"}
	for _, c := range []struct {
		name    string
		assign  Assignor
		members []Member
		topics  []Topic
		want    []string
	}{
		{"range: the first ones get one more of each topic", Range,
			[]Member{{ID: "c0", Topics: both}, {ID: "c1", Topics: both}}, two,
			[]string{"t0-0 t0-1 t1-0 t1-1", "t0-2 t1-2"}},
		{"range: who has an instance id comes first", Range,
			[]Member{{ID: "c0", Topics: both}, {ID: "c1", Instance: "z", Topics: both}}, two,
			[]string{"t0-2 t1-2", "t0-0 t0-1 t1-0 t1-1"}},
		{"range: more members than partitions", Range,
			[]Member{{ID: "c0", Topics: both[:1]}, {ID: "c1", Topics: both[:1]}}, []Topic{{"t0", 1}},
			[]string{"t0-0", ""}},
		{"round robin deals over the topics", RoundRobin,
			[]Member{{ID: "c0", Topics: both}, {ID: "c1", Topics: both}}, two,
			[]string{"t0-0 t0-2 t1-1", "t0-1 t1-0 t1-2"}},
		{"round robin passes over who does not subscribe", RoundRobin,
			[]Member{{ID: "c0", Topics: []string{"t0"}}, {ID: "c1", Topics: []string{"t0", "t1"}}, {ID: "c2", Topics: []string{"t0", "t1", "t2"}}},
			[]Topic{{"t0", 1}, {"t1", 2}, {"t2", 3}},
			[]string{"t0-0", "t1-0", "t1-1 t2-0 t2-1 t2-2"}},
		{"sticky: a member that leaves leaves the others what they have (KIP-54)", Sticky,
			[]Member{{ID: "c0", Topics: both, Owned: own("t0-0 t1-1"), Generation: 1}, {ID: "c2", Topics: both, Owned: own("t0-2 t1-0"), Generation: 1}}, two,
			[]string{"t0-0 t0-1 t1-1", "t0-2 t1-0 t1-2"}},
		{"sticky: a claim of an older generation does not count (KIP-341)", Sticky,
			[]Member{{ID: "c0", Topics: both[:1], Owned: own("t0-0 t0-1"), Generation: 1}, {ID: "c1", Topics: both[:1], Owned: own("t0-0 t0-1"), Generation: 2}}, []Topic{{"t0", 2}},
			[]string{"t0-0", "t0-1"}},
		{"cooperative: what another owns is given to nobody at first (KIP-429)", CooperativeSticky,
			[]Member{{ID: "c0", Topics: both[:1], Owned: own("t0-0 t0-1 t0-2"), Generation: 1}, {ID: "c1", Topics: both[:1], Generation: NoGeneration}}, []Topic{{"t0", 3}},
			[]string{"t0-1 t0-2", ""}},
		{"cooperative: in the next round nobody owns it", CooperativeSticky,
			[]Member{{ID: "c0", Topics: both[:1], Owned: own("t0-1 t0-2"), Generation: 2}, {ID: "c1", Topics: both[:1], Generation: 2}}, []Topic{{"t0", 3}},
			[]string{"t0-1 t0-2", "t0-0"}},
		{"nobody subscribes", Sticky, []Member{{ID: "c0"}}, two, []string{""}},
		{"nobody is there", Range, nil, two, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.assign(c.members, c.topics)
			if len(got) != len(c.want) {
				t.Fatalf("%d lists for %d members", len(got), len(c.want))
			}
			for i := range got {
				if d := cmp.Diff(own(c.want[i]), got[i]); d != "" {
					t.Errorf("%s (-want +got):\n%s", c.members[i].ID, d)
				}
			}
		})
	}
}

// A draw is some group, with claims as confused as members can make them.
func draw(t *rapid.T, alike bool) ([]Member, []Topic) {
	topics := make([]Topic, rapid.IntRange(1, 4).Draw(t, "topics"))
	var names []string
	var all []kafka.TopicPartition
	for i := range topics {
		topics[i] = Topic{fmt.Sprint("t", i), int32(rapid.IntRange(0, 6).Draw(t, "partitions"))}
		names = append(names, topics[i].Name)
		for n := range topics[i].Partitions {
			all = append(all, kafka.TopicPartition{Topic: topics[i].Name, Partition: n})
		}
	}
	all = append(all, kafka.TopicPartition{Topic: "gone", Partition: 1}, kafka.TopicPartition{Topic: "t0", Partition: 99})
	members := make([]Member, rapid.IntRange(1, 5).Draw(t, "members"))
	for i := range members {
		m := &members[i]
		m.ID, m.Topics = fmt.Sprint("m", (i*7)%10), names
		if !alike {
			m.Topics = rapid.SliceOfDistinct(rapid.SampledFrom(append(names, "unknown")), func(s string) string { return s }).Draw(t, "subscribed")
		}
		if rapid.Bool().Draw(t, "static") {
			m.Instance = fmt.Sprint("i", i)
		}
		m.Generation = int32(rapid.IntRange(-1, 2).Draw(t, "generation"))
		m.Owned = rapid.SliceOfDistinct(rapid.SampledFrom(all), func(p kafka.TopicPartition) string { return p.String() }).Draw(t, "owned")
	}
	return members, topics
}

// legal fails unless everything is given exactly once, to a subscriber; held
// back may be what somebody owns.
func legal(t *rapid.T, members []Member, topics []Topic, plan [][]kafka.TopicPartition, held func(kafka.TopicPartition) bool) {
	given := map[kafka.TopicPartition]int{}
	for i, list := range plan {
		for _, p := range list {
			given[p]++
			if !slices.Contains(members[i].Topics, p.Topic) {
				t.Fatalf("%s is given %s and does not subscribe", members[i].ID, p)
			}
		}
		if !slices.IsSortedFunc(list, comparePartitions) {
			t.Fatalf("not sorted: %v", list)
		}
	}
	for _, topic := range topics {
		wanted := slices.ContainsFunc(members, func(m Member) bool { return slices.Contains(m.Topics, topic.Name) })
		for n := range topic.Partitions {
			p := kafka.TopicPartition{Topic: topic.Name, Partition: n}
			if got := given[p]; got > 1 || wanted && got == 0 && !held(p) || !wanted && got > 0 {
				t.Fatalf("%s is given %d times", p, got)
			}
			delete(given, p)
		}
	}
	if len(given) > 0 {
		t.Fatalf("given, but not there: %v", given)
	}
}

func nothing(kafka.TopicPartition) bool { return false }

func TestEverythingIsGivenOnceToASubscriber(t *testing.T) {
	for name, assign := range map[string]Assignor{"range": Range, "roundrobin": RoundRobin, "sticky": Sticky, "uniform": Uniform} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			members, topics := draw(t, rapid.Bool().Draw(t, "alike"))
			legal(t, members, topics, assign(members, topics), nothing)
		}))
	}
}

func TestStickyIsBalanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, topics := draw(t, rapid.Bool().Draw(t, "alike"))
		plan := Sticky(members, topics)
		for from, list := range plan {
			for _, p := range list {
				for to := range members {
					if len(plan[to])+1 < len(list) && slices.Contains(members[to].Topics, p.Topic) {
						t.Fatalf("%s has %d and could give %s to %s, which has %d", members[from].ID, len(list), p, members[to].ID, len(plan[to]))
					}
				}
			}
		}
	})
}

// Where all subscribe to the same, what can stay stays: nobody who has more than
// its share keeps less than it, nobody who has less loses anything.
func TestStickyKeepsWhatIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, topics := draw(t, true)
		for i := range members { // claims that agree
			members[i].Generation = 1
			members[i].Owned = slices.DeleteFunc(members[i].Owned, func(p kafka.TopicPartition) bool {
				return slices.ContainsFunc(members[:i], func(m Member) bool { return slices.Contains(m.Owned, p) }) ||
					!slices.ContainsFunc(topics, func(x Topic) bool { return x.Name == p.Topic && p.Partition < x.Partitions })
			})
		}
		total := 0
		for _, x := range topics {
			total += int(x.Partitions)
		}
		share := total / len(members)
		plan := Sticky(members, topics)
		for i, m := range members {
			kept := 0
			for _, p := range plan[i] {
				if slices.Contains(m.Owned, p) {
					kept++
				}
			}
			if kept < min(len(m.Owned), share) {
				t.Fatalf("%s owned %d, its share is %d, and it keeps %d", m.ID, len(m.Owned), share, kept)
			}
		}
	})
}

func TestCooperativeGivesNobodyWhatAnotherOwns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, topics := draw(t, rapid.Bool().Draw(t, "alike"))
		owns := func(m Member, p kafka.TopicPartition) bool { return slices.Contains(m.Owned, p) }
		plan := CooperativeSticky(members, topics)
		legal(t, members, topics, plan, func(p kafka.TopicPartition) bool {
			return slices.ContainsFunc(members, func(m Member) bool { return owns(m, p) })
		})
		for i, list := range plan {
			for _, p := range list {
				for j, other := range members {
					if i != j && owns(other, p) && other.Generation >= members[i].Generation && !owns(members[i], p) {
						t.Fatalf("%s is given %s, which %s owns", members[i].ID, p, other.ID)
					}
				}
			}
		}
	})
}

func TestNamesAreKafkas(t *testing.T) {
	for _, name := range []string{"range", "roundrobin", "sticky", "cooperative-sticky"} {
		if f, ok := Named(name); !ok || f == nil {
			t.Errorf("no assignor is called %s", name)
		}
	}
	if _, ok := Named("rangy"); ok {
		t.Error("an assignor is called rangy")
	}
}

func BenchmarkAThousandMembers(b *testing.B) {
	for _, n := range []int{100, 1000} {
		members := make([]Member, n)
		topics := []Topic{{"a", int32(5 * n)}, {"b", int32(5 * n)}}
		for i := range members {
			members[i] = Member{ID: fmt.Sprintf("m%04d", i), Topics: []string{"a", "b"}}
		}
		for i, list := range Sticky(members, topics) {
			members[i].Owned, members[i].Generation = list, 1
		}
		for _, a := range []struct {
			name   string
			assign Assignor
		}{{"range", Range}, {"roundrobin", RoundRobin}, {"sticky", Sticky}} {
			b.Run(fmt.Sprintf("%s/members=%d", a.name, n), func(b *testing.B) {
				for b.Loop() {
					a.assign(members, topics)
				}
			})
		}
	}
}
