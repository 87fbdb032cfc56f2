package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/node/kafka"
	"pgregory.net/rapid"
)

func TestWhatIsSetWhileANodeRunsWinsOverItsConfiguration(t *testing.T) {
	static := mustBroker(t, Pair{"log.retention.ms", "1"}, Pair{"message.max.bytes", "2"}, Pair{"log.segment.bytes", "2000000"})
	v, err := static.Overlaid(Overlay{
		Every: []Pair{{"log.retention.ms", "10"}, {"message.max.bytes", "20"}},
		Own:   []Pair{{"log.retention.ms", "100"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	topic := mustTopic(t, v, Pair{"segment.bytes", "3000000"})
	for _, c := range []struct {
		setting *Setting
		number  int64
		source  Source
	}{
		{RetentionTime.Setting, 100, FromBroker},
		{MaxMessageBytes.Setting, 20, FromEveryBroker},
		{SegmentBytes.Setting, 3_000_000, FromTopic},
		{SegmentTime.Setting, 604_800_000, FromDefault},
	} {
		if got, source := topic.Get(c.setting); got.Number != c.number || source != c.source {
			t.Errorf("%s: %d from %s, want %d from %s", c.setting.Name, got.Number, source, c.number, c.source)
		}
	}
	want := []Synonym{
		{"log.retention.ms", "100", FromBroker}, {"log.retention.ms", "10", FromEveryBroker},
		{"log.retention.ms", "1", FromStaticBroker}, {"log.retention.hours", "168", FromDefault},
	}
	if diff := cmp.Diff(want, topic.Synonyms(RetentionTime.Setting)); diff != "" {
		t.Error(diff)
	}
	want = []Synonym{{"segment.bytes", "3000000", FromTopic}, {"log.segment.bytes", "2000000", FromStaticBroker},
		{"log.segment.bytes", "1073741824", FromDefault}}
	if diff := cmp.Diff(want, topic.Synonyms(SegmentBytes.Setting)); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCannotBeOverlaid(t *testing.T) {
	static := mustBroker(t, Pair{"log.cleaner.max.compaction.lag.ms", "50"})
	for _, c := range []struct {
		pair Pair
		want string
	}{
		{Pair{"num.partitions", "3"}, "num.partitions: cannot change while the node runs"},
		{Pair{"retention.ms", "3"}, "retention.ms: is a setting of a topic, not of a broker"},
		{Pair{"log.retention.ms", "0"}, "log.retention.ms=0: neither -1 nor more than 0"},
		{Pair{"num.io.threads", "3"}, "num.io.threads: does not act here, for each connection and each log has tasks of its own, not threads"},
		{Pair{"ssl.keystore.location", "x"}, "ssl.keystore.location: does not act here, for the only security protocol is PLAINTEXT"},
		{Pair{"log.cleaner.min.compaction.lag.ms", "51"}, "log.cleaner.min.compaction.lag.ms=51: more than log.cleaner.max.compaction.lag.ms=50"},
	} {
		o := Overlay{Every: []Pair{{"message.max.bytes", "9"}}, Own: []Pair{c.pair}}
		_, err := static.Overlaid(o)
		if err == nil || !strings.HasPrefix(err.Error(), c.want+": ") || !errors.Is(err, kafka.ErrInvalidConfig) {
			t.Errorf("%v: %v, want %s", c.pair, err, c.want)
		}
		// What is in force goes on with all else.
		s, _ := Lookup(Broker, "message.max.bytes")
		if v, source := static.InForce(o).Get(s); v.Number != 9 || source != FromEveryBroker {
			t.Errorf("%v: beside it message.max.bytes=%d from %s", c.pair, v.Number, source)
		}
	}
}

func TestATopicStaysInForceWhenItsNodeContradictsIt(t *testing.T) {
	broker := mustBroker(t, Pair{"log.cleaner.max.compaction.lag.ms", "5"})
	pairs := []Pair{{"min.compaction.lag.ms", "10"}, {"invented.later", "1"}, {"retention.ms", "7"}}
	if err := CheckTopic(broker, pairs[:1]); err == nil {
		t.Error("it can be set")
	}
	v := TopicInForce(broker, pairs)
	if MinCompactionLag.In(v) != 10 || RetentionTime.In(v) != 7 || v.Contradicts() == nil {
		t.Errorf("min.compaction.lag.ms=%d retention.ms=%d contradicts: %v", MinCompactionLag.In(v), RetentionTime.In(v), v.Contradicts())
	}
}

func TestEdits(t *testing.T) {
	text := func(s string) *string { return &s }
	now := []Pair{{"cleanup.policy", "compact"}, {"invented.later", "1"}, {"retention.ms", "5"}}
	inherited := mustTopic(t, mustBroker(t))
	for _, c := range []struct {
		name string
		edit Edit
		now  []Pair
		want []Pair
		err  kafka.Error
	}{
		{"set what is set", Changing(Topic, []Change{{"retention.ms", Set, text("6")}}), now,
			[]Pair{{"cleanup.policy", "compact"}, {"invented.later", "1"}, {"retention.ms", "6"}}, 0},
		{"set what is not", Changing(Topic, []Change{{"max.message.bytes", Set, text("6")}}), now,
			[]Pair{{"cleanup.policy", "compact"}, {"invented.later", "1"}, {"max.message.bytes", "6"}, {"retention.ms", "5"}}, 0},
		{"delete", Changing(Topic, []Change{{"retention.ms", Delete, text("ignored")}, {"invented.later", Delete, nil}}), now,
			[]Pair{{"cleanup.policy", "compact"}}, 0},
		{"delete what is not set", Changing(Topic, []Change{{"segment.ms", Delete, nil}}), now, now, 0},
		{"delete what there is not", Changing(Topic, []Change{{"segment.eons", Delete, nil}}), now, nil, kafka.ErrInvalidConfig},
		{"append", Changing(Topic, []Change{{"cleanup.policy", Append, text("delete,compact")}}), now[:1],
			[]Pair{{"cleanup.policy", "compact,delete"}}, 0},
		{"append to the default", Changing(Topic, []Change{{"cleanup.policy", Append, text("compact")}}), nil,
			[]Pair{{"cleanup.policy", "delete,compact"}}, 0},
		{"subtract", Changing(Topic, []Change{{"cleanup.policy", Subtract, text("compact,shred")}}), now[:1],
			[]Pair{{"cleanup.policy", ""}}, 0},
		{"append to a number", Changing(Topic, []Change{{"retention.ms", Append, text("1")}}), now, nil, kafka.ErrInvalidConfig},
		{"append more than a value holds", Changing(Topic, []Change{{"cleanup.policy", Append, text(strings.Repeat("x,", maxValue))}}), now,
			nil, kafka.ErrInvalidConfig},
		{"no value", Changing(Topic, []Change{{"retention.ms", Set, nil}}), now, nil, kafka.ErrInvalidRequest},
		{"no operation", Changing(Topic, []Change{{"retention.ms", 4, text("1")}}), now, nil, kafka.ErrInvalidRequest},
		{"one name twice", Changing(Topic, []Change{{"retention.ms", Set, text("1")}, {"retention.ms", Delete, nil}}), now,
			nil, kafka.ErrInvalidRequest},
		{"replace", Replacing([]Pair{{"segment.ms", "2"}, {"retention.ms", "1"}}), now,
			[]Pair{{"retention.ms", "1"}, {"segment.ms", "2"}}, 0},
		{"replace with more than there is", Replacing(make([]Pair, maxPairs+1)), now, nil, kafka.ErrInvalidRequest},
		{"replace with one name twice", Replacing([]Pair{{"retention.ms", "1"}, {"retention.ms", "1"}}), now, nil, kafka.ErrInvalidRequest},
	} {
		before := append([]Pair{}, c.now...)
		got, err := c.edit(c.now, inherited)
		if kafka.ErrorOf(err) != c.err {
			t.Errorf("%s: %v, want %s", c.name, err, c.err.Name())
		}
		if diff := cmp.Diff(c.want, got); err == nil && diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if diff := cmp.Diff(before, append([]Pair{}, c.now...)); diff != "" {
			t.Errorf("%s changed what it was given: %s", c.name, diff)
		}
	}
}

// Whatever the changes: the first of the synonyms is the value in force, and all
// that is set is there.
func TestTheFirstSynonymIsInForce(t *testing.T) {
	value := func(rt *rapid.T, s *Setting, label string) (Pair, bool) {
		if s.Type != TypeInt && s.Type != TypeLong || rapid.IntRange(0, 3).Draw(rt, label+s.Name) > 0 {
			return Pair{}, false
		}
		p := Pair{s.Name, rapid.SampledFrom([]string{"1", "2", "1048576", "1048577", "2000000"}).Draw(rt, label)}
		_, err := s.Parse(p.Value)
		return p, err == nil
	}
	rapid.Check(t, func(rt *rapid.T) {
		var static, topic []Pair
		var o Overlay
		for _, s := range Settings(Broker) {
			if p, ok := value(rt, s, "static "); ok {
				static = append(static, p)
			}
			if p, ok := value(rt, s, "every "); ok {
				o.Every = append(o.Every, p)
			}
			if p, ok := value(rt, s, "own "); ok {
				o.Own = append(o.Own, p)
			}
		}
		for _, s := range Settings(Topic) {
			if p, ok := value(rt, s, "topic "); ok {
				topic = append(topic, p)
			}
		}
		configured, _ := NewBroker(static)
		broker := configured.InForce(o)
		views := []*View{broker, TopicInForce(broker, topic)}
		for _, v := range views {
			for _, s := range Settings(v.scope) {
				got, source := v.Get(s)
				synonyms := v.Synonyms(s)
				if len(synonyms) == 0 && source == FromDefault {
					continue
				}
				y := synonyms[0]
				if source != y.Source || y.Name == s.Name && y.Text != got.Text {
					rt.Fatalf("%s=%s from %s, synonyms %v", s.Name, got.Text, source, synonyms)
				}
			}
		}
	})
}
