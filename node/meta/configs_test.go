package meta

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"pgregory.net/rapid"
)

// configured is the configuration of the scripts' broker 1.
func configured(t *testing.T) *config.View {
	v, err := config.NewBroker([]config.Pair{{Name: "node.id", Value: "1"}, {Name: "log.retention.ms", Value: "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// edit reads set=(a=1,b=2) delete=a append=(a=x) subtract=(a=x), or
// replace=(a=1,b=2).
func edit(scope config.Scope, args []datadriven.CmdArg) config.Edit {
	var changes []config.Change
	for _, arg := range args {
		var pairs []config.Pair
		for _, v := range arg.Vals {
			name, value, _ := strings.Cut(v, "=")
			pairs = append(pairs, config.Pair{Name: name, Value: value})
		}
		if arg.Key == "replace" {
			return config.Replacing(pairs)
		}
		for _, p := range pairs {
			c := config.Change{Name: p.Name, Value: &p.Value}
			c.Operation = config.Operation(slices.Index([]string{"set", "delete", "append", "subtract"}, arg.Key))
			changes = append(changes, c)
		}
	}
	return config.Changing(scope, changes)
}

// Whatever is decided: the records, through their bytes, make the same image of
// an empty one, and what is set is what was asked for.
func TestReplayedSettingsAreTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &altered{T: rt, image: NewImage(), broker: configured(t), want: map[string]string{}}
		m.decided(Format("c"), nil)
		m.decided([]Record{Broker{ID: 1, Epoch: 1}}, nil)
		for i := range 3 {
			m.decided(m.image.CreateTopic(NewTopic{Name: topicName(i), ID: kafka.TopicID{byte(i + 1)}, Partitions: 1, Replicas: 1}, Defaults{}))
		}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			m.step()
		}
		m.compare()
	})
}

func topicName(i int) string { return fmt.Sprint("t", i) }

// An altered is an image, the records that made it, and what is set on its
// topics and brokers as "who name" to value.
type altered struct {
	*rapid.T
	image  *Image
	broker *config.View
	log    [][]byte
	want   map[string]string
}

func (m *altered) decided(records []Record, err error) {
	if err != nil {
		m.Fatal(err)
	}
	for _, r := range records {
		m.log = append(m.log, Encode(r))
		if err := m.image.Apply(r); err != nil {
			m.Fatal(err)
		}
	}
	if err := m.image.Check(); err != nil {
		m.Fatal(err)
	}
}

// step deletes a topic, or changes or replaces settings of a topic, of a group, of the
// broker, or of all.
func (m *altered) step() {
	var who string
	var scope config.Scope
	var decide func(config.Edit) ([]Record, error)
	switch n := rapid.IntRange(0, 6).Draw(m.T, "who"); n {
	case 0:
		who = "all"
		scope, decide = config.Broker, func(e config.Edit) ([]Record, error) { return m.image.AlterBroker(EveryBroker, e, m.broker) }
	case 1:
		who = "own"
		scope, decide = config.Broker, func(e config.Edit) ([]Record, error) { return m.image.AlterBroker(1, e, m.broker) }
	case 6:
		who = "group"
		scope, decide = config.Group, func(e config.Edit) ([]Record, error) { return m.image.AlterGroup("g", e, m.broker) }
	default:
		who = topicName(n % 3)
		scope, decide = config.Topic, func(e config.Edit) ([]Record, error) { return m.image.AlterTopic(who, e, m.broker) }
		topic, ok := m.image.Topic(who)
		if ok && rapid.IntRange(0, 9).Draw(m.T, "delete") == 0 {
			m.decided(m.image.DeleteTopic(topic.ID))
			m.forget(who)
			return
		}
	}
	pairs := m.pairs(scope)
	if rapid.Bool().Draw(m.T, "replace") {
		if m.accepted(decide(config.Replacing(pairs))) {
			m.forget(who)
			m.note(who, pairs)
		}
		return
	}
	var changes []config.Change
	for _, p := range pairs {
		changes = append(changes, config.Change{Name: p.Name, Value: &p.Value})
	}
	if len(changes) > 0 && rapid.Bool().Draw(m.T, "remove") {
		changes[0].Operation, changes[0].Value = config.Delete, nil
		if m.accepted(decide(config.Changing(scope, changes))) {
			delete(m.want, who+" "+changes[0].Name)
			m.note(who, pairs[1:])
		}
		return
	}
	if m.accepted(decide(config.Changing(scope, changes))) {
		m.note(who, pairs)
	}
}

// pairs draws settings, most of which can be set.
func (m *altered) pairs(scope config.Scope) []config.Pair {
	names := []string{"retention.ms", "min.compaction.lag.ms", "max.compaction.lag.ms", "max.message.bytes"}
	if scope == config.Broker {
		names = []string{"log.retention.ms", "log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", "message.max.bytes", "num.partitions"}
	}
	values := []string{"1", "5", "9", "many"}
	if scope == config.Group {
		names, values = []string{"consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"}, []string{"1", "9000", "50000", "many"}
	}
	var out []config.Pair
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID[string]).Draw(m.T, "names") {
		out = append(out, config.Pair{Name: name, Value: rapid.SampledFrom(values).Draw(m.T, name)})
	}
	return out
}

func (m *altered) accepted(records []Record, err error) bool {
	if err != nil {
		return false
	}
	m.decided(records, nil)
	return true
}

func (m *altered) note(who string, pairs []config.Pair) {
	for _, p := range pairs {
		m.want[who+" "+p.Name] = p.Value
	}
}

func (m *altered) forget(who string) {
	for key := range m.want {
		if strings.HasPrefix(key, who+" ") {
			delete(m.want, key)
		}
	}
}

func (m *altered) compare() {
	replayed := NewImage()
	for _, b := range m.log {
		r, err := Decode(b)
		if err == nil {
			err = replayed.Apply(r)
		}
		if err != nil {
			m.Fatal(err)
		}
	}
	if diff := different(m.image, replayed); diff != "" {
		m.Fatal(diff)
	}
	got := map[string]string{}
	put := func(who string, pairs []config.Pair) {
		for _, p := range pairs {
			got[who+" "+p.Name] = p.Value
		}
	}
	put("all", replayed.BrokerSettings(EveryBroker))
	put("own", replayed.BrokerSettings(1))
	put("group", replayed.GroupSettings("g"))
	for _, topic := range replayed.Topics() {
		put(topic.Name, topic.Settings)
	}
	if diff := cmp.Diff(m.want, got); diff != "" {
		m.Fatal(diff)
	}
	view := m.broker.InForce(replayed.Overlay(1))
	if err := view.Contradicts(); err != nil {
		m.Fatal(err)
	}
}
