package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	typeTopic  = kmsg.ConfigResourceTypeTopic
	typeBroker = kmsg.ConfigResourceTypeBroker
	typeLogger = kmsg.ConfigResourceTypeBrokerLogger
	typeGroup  = kmsg.ConfigResourceTypeGroupConfig
)

// describe asks in one version for the settings of one resource; no names mean
// all.
func (w *wire) describe(version int16, kind kmsg.ConfigResourceType, name string, names ...string) kmsg.DescribeConfigsResponseResource {
	w.t.Helper()
	q := kmsg.NewPtrDescribeConfigsRequest()
	q.IncludeSynonyms, q.IncludeDocumentation = true, true
	q.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kind, ResourceName: name, ConfigNames: names}}
	r := kmsg.NewPtrDescribeConfigsResponse()
	w.ask(q, version, r)
	if len(r.Resources) != 1 || r.Resources[0].ResourceName != name || r.Resources[0].ResourceType != kind {
		w.t.Fatalf("%s: %+v", name, r)
	}
	return r.Resources[0]
}

// told is what is told of a setting, in one line.
func told(c kmsg.DescribeConfigsResponseResourceConfig) string {
	text := func(s *string) string {
		if s == nil {
			return "null"
		}
		return *s
	}
	s := fmt.Sprintf("%s=%s source %d type %d", c.Name, text(c.Value), c.Source, c.ConfigType)
	if c.ReadOnly {
		s += " read-only"
	}
	for _, y := range c.ConfigSynonyms {
		s += fmt.Sprintf(" %s=%s:%d", y.Name, text(y.Value), y.Source)
	}
	if c.Documentation != nil {
		s += " documented"
	}
	return s
}

// shown returns how many settings there are that are not internal.
func shown(scope config.Scope) (n int) {
	for _, s := range config.Settings(scope) {
		if !s.Internal {
			n++
		}
	}
	return n
}

func TestSettingsAreDescribedInEveryVersion(t *testing.T) {
	m := run(t, config.Pair{Name: "log.retention.hours", Value: "2"})
	m.create("orders", "segment.ms", "9")
	w := m.wire()
	wantCode(t, "alter", w.alterOne(1, typeBroker, "", set("message.max.bytes", "5000")), kafka.None)
	wantCode(t, "alter", w.alterOne(1, typeBroker, "1", set("message.max.bytes", "6000")), kafka.None)
	for version := int16(1); version <= 4; version++ {
		mask := func(s string) string {
			if version >= 3 {
				return s
			}
			return strings.NewReplacer(" type 1", " type 0", " type 3", " type 0", " type 5", " type 0", " documented", "").Replace(s)
		}
		for _, c := range []struct {
			kind      kmsg.ConfigResourceType
			name, one string
			want      string
		}{
			{typeTopic, "orders", "segment.ms", "segment.ms=9 source 1 type 5 segment.ms=9:1 log.roll.hours=168:5 documented"},
			{typeTopic, "orders", "retention.ms",
				"retention.ms=7200000 source 4 type 5 log.retention.hours=2:4 log.retention.hours=168:5 documented"},
			{typeTopic, "orders", "max.message.bytes", "max.message.bytes=6000 source 2 type 3 " +
				"message.max.bytes=6000:2 message.max.bytes=5000:3 message.max.bytes=1048588:5 documented"},
			{typeTopic, "orders", "flush.ms", "flush.ms=9223372036854775807 source 5 type 5 documented"},
			{typeBroker, "1", "message.max.bytes", "message.max.bytes=6000 source 2 type 3 " +
				"message.max.bytes=6000:2 message.max.bytes=5000:3 message.max.bytes=1048588:5 documented"},
			{typeBroker, "1", "num.partitions", "num.partitions=1 source 5 type 3 read-only num.partitions=1:5 documented"},
			{typeBroker, "1", "log.retention.ms", "log.retention.ms=null source 5 type 5 documented"},
			{typeBroker, "1", "auto.create.topics.enable",
				"auto.create.topics.enable=true source 5 type 1 read-only auto.create.topics.enable=true:5 documented"},
			{typeBroker, "", "message.max.bytes", "message.max.bytes=5000 source 3 type 3 message.max.bytes=5000:3 documented"},
		} {
			r := w.describe(version, c.kind, c.name, c.one, "no.such.setting")
			if r.ErrorCode != 0 || len(r.Configs) != 1 {
				t.Fatalf("version %d: %s: %+v", version, c.one, r)
			}
			if diff := cmp.Diff(mask(c.want), told(r.Configs[0])); diff != "" {
				t.Errorf("version %d: %s", version, diff)
			}
		}
		for _, c := range []struct {
			kind kmsg.ConfigResourceType
			name string
			want int
		}{
			{typeTopic, "orders", shown(config.Topic)},
			{typeBroker, "1", shown(config.Broker)},
			{typeBroker, "", 1},
			{typeLogger, "1", 0},
		} {
			if r := w.describe(version, c.kind, c.name); r.ErrorCode != 0 || len(r.Configs) != c.want {
				t.Errorf("version %d: type %d %q: error %d, %d settings, want %d", version, c.kind, c.name, r.ErrorCode, len(r.Configs), c.want)
			}
		}
		for _, c := range []struct {
			kind kmsg.ConfigResourceType
			name string
			want kafka.Error
		}{
			{typeTopic, "nothing", kafka.ErrUnknownTopicOrPartition},
			{typeTopic, "a/b", kafka.ErrInvalidTopic},
			{typeBroker, "2", kafka.ErrInvalidRequest},
			{typeBroker, "one", kafka.ErrInvalidRequest},
			{typeLogger, "", kafka.ErrInvalidRequest},
			{typeLogger, "7", kafka.ErrInvalidRequest},
			{typeGroup, "", kafka.ErrInvalidRequest},
			{kmsg.ConfigResourceTypeClientMetrics, "m", kafka.ErrInvalidRequest},
			{99, "x", kafka.ErrInvalidRequest},
		} {
			r := w.describe(version, c.kind, c.name)
			wantCode(t, fmt.Sprintf("version %d: type %d %q", version, c.kind, c.name), r.ErrorCode, c.want)
			if r.ErrorMessage == nil || len(r.Configs) > 0 {
				t.Errorf("version %d: type %d %q: %+v", version, c.kind, c.name, r)
			}
		}
	}
}

func TestAResourceThatIsDescribedTwiceIsRefused(t *testing.T) {
	m := run(t)
	m.create("orders")
	q := kmsg.NewPtrDescribeConfigsRequest()
	one := kmsg.DescribeConfigsRequestResource{ResourceType: typeTopic, ResourceName: "orders"}
	q.Resources = []kmsg.DescribeConfigsRequestResource{one, {ResourceType: typeBroker, ResourceName: "1"}, one}
	r := kmsg.NewPtrDescribeConfigsResponse()
	m.wire().ask(q, 4, r)
	for i, want := range []kafka.Error{kafka.ErrInvalidRequest, kafka.None, kafka.ErrInvalidRequest} {
		wantCode(t, fmt.Sprint("resource ", i), r.Resources[i].ErrorCode, want)
	}
}

type change = kmsg.IncrementalAlterConfigsRequestResourceConfig

func set(name, value string) change { return change{Name: name, Value: &value} }

func operate(op kmsg.IncrementalAlterConfigOp, name, value string) change {
	return change{Name: name, Op: op, Value: &value}
}

func alterRequest(kind kmsg.ConfigResourceType, name string, changes ...change) *kmsg.IncrementalAlterConfigsRequest {
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	q.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kind, ResourceName: name, Configs: changes}}
	return q
}

// alterOne changes settings of one resource and returns the code.
func (w *wire) alterOne(version int16, kind kmsg.ConfigResourceType, name string, changes ...change) int16 {
	w.t.Helper()
	r := kmsg.NewPtrIncrementalAlterConfigsResponse()
	w.ask(alterRequest(kind, name, changes...), version, r)
	if len(r.Resources) != 1 || r.Resources[0].ResourceName != name || r.Resources[0].ResourceType != kind {
		w.t.Fatalf("%+v", r)
	}
	if one := r.Resources[0]; (one.ErrorCode != 0) != (one.ErrorMessage != nil) {
		w.t.Errorf("%s: error %d without a message, or the reverse", name, one.ErrorCode)
	}
	return r.Resources[0].ErrorCode
}

// value returns what is told of one setting of a topic: its value and source.
func (w *wire) value(kind kmsg.ConfigResourceType, name, setting string) string {
	w.t.Helper()
	r := w.describe(4, kind, name, setting)
	if len(r.Configs) != 1 {
		return ""
	}
	value := "null"
	if v := r.Configs[0].Value; v != nil {
		value = *v
	}
	return fmt.Sprintf("%s from %d", value, r.Configs[0].Source)
}

func TestSettingsAreChangedOneByOneInEveryVersion(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	null := change{Name: "retention.ms"}
	for version := int16(0); version <= 1; version++ {
		for _, c := range []struct {
			name    string
			kind    kmsg.ConfigResourceType
			at      string
			changes []change
			want    kafka.Error
		}{
			{"set", typeTopic, "orders", []change{set("retention.ms", "5")}, 0},
			{"set and delete", typeTopic, "orders", []change{set("segment.ms", "5"), operate(1, "retention.ms", "")}, 0},
			{"append", typeTopic, "orders", []change{operate(2, "cleanup.policy", "compact")}, 0},
			{"subtract", typeTopic, "orders", []change{operate(3, "cleanup.policy", "compact")}, 0},
			{"append to a number", typeTopic, "orders", []change{operate(2, "retention.ms", "1")}, kafka.ErrInvalidConfig},
			{"no operation", typeTopic, "orders", []change{operate(7, "retention.ms", "1")}, kafka.ErrInvalidRequest},
			{"no value", typeTopic, "orders", []change{null}, kafka.ErrInvalidRequest},
			{"one setting twice", typeTopic, "orders", []change{set("retention.ms", "5"), set("retention.ms", "5")}, kafka.ErrInvalidRequest},
			{"no number", typeTopic, "orders", []change{set("retention.ms", "soon")}, kafka.ErrInvalidConfig},
			{"no setting", typeTopic, "orders", []change{set("retention.eons", "1")}, kafka.ErrInvalidConfig},
			{"no topic", typeTopic, "nothing", []change{set("retention.ms", "1")}, kafka.ErrUnknownTopicOrPartition},
			{"no name of a topic", typeTopic, "a/b", []change{set("retention.ms", "1")}, kafka.ErrInvalidTopic},
			{"a broker", typeBroker, "1", []change{set("max.connections", "500")}, 0},
			{"all brokers", typeBroker, "", []change{set("max.connections", "600")}, 0},
			{"another broker", typeBroker, "2", []change{set("max.connections", "500")}, kafka.ErrInvalidRequest},
			{"read-only", typeBroker, "1", []change{set("num.partitions", "5")}, kafka.ErrInvalidRequest},
			{"no value of a broker's", typeBroker, "1", []change{set("max.connections", "-1")}, kafka.ErrInvalidRequest},
			{"a logger", typeLogger, "1", []change{set("root", "DEBUG")}, kafka.ErrInvalidRequest},
			{"a group", typeGroup, "g", []change{set("consumer.session.timeout.ms", "50000")}, 0},
			{"no setting of a group", typeGroup, "g", []change{set("x", "1")}, kafka.ErrInvalidConfig},
			{"a group's session that is too short", typeGroup, "g", []change{set("consumer.session.timeout.ms", "1")}, kafka.ErrInvalidConfig},
			{"all groups", typeGroup, "", []change{set("consumer.session.timeout.ms", "50000")}, kafka.ErrInvalidRequest},
		} {
			wantCode(t, fmt.Sprintf("version %d: %s", version, c.name), w.alterOne(version, c.kind, c.at, c.changes...), c.want)
		}
	}
	for setting, want := range map[string]string{"retention.ms": "604800000 from 5", "segment.ms": "5 from 1", "cleanup.policy": "delete from 1"} {
		if got := w.value(typeTopic, "orders", setting); got != want {
			t.Errorf("%s: %s, want %s", setting, got, want)
		}
	}
	if got := w.value(typeBroker, "1", "max.connections"); got != "500 from 2" {
		t.Errorf("max.connections: %s", got)
	}
}

func TestAllThatIsSetIsReplacedInEveryVersion(t *testing.T) {
	m := run(t)
	m.create("orders", "retention.ms", "5", "segment.ms", "5")
	w := m.wire()
	text := func(s string) *string { return &s }
	replace := func(version int16, kind kmsg.ConfigResourceType, name string, configs ...kmsg.AlterConfigsRequestResourceConfig) kafka.Error {
		q := kmsg.NewPtrAlterConfigsRequest()
		q.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: kind, ResourceName: name, Configs: configs}}
		r := kmsg.NewPtrAlterConfigsResponse()
		w.ask(q, version, r)
		return kafka.Error(r.Resources[0].ErrorCode)
	}
	type pair = kmsg.AlterConfigsRequestResourceConfig
	for version := int16(0); version <= 2; version++ {
		value := fmt.Sprint(10 + version)
		for _, c := range []struct {
			name    string
			kind    kmsg.ConfigResourceType
			at      string
			configs []pair
			want    kafka.Error
		}{
			{"a topic", typeTopic, "orders", []pair{{Name: "retention.ms", Value: &value}}, 0},
			{"a broker", typeBroker, "1", []pair{{Name: "max.connections", Value: &value}}, 0},
			{"no value", typeTopic, "orders", []pair{{Name: "retention.ms"}}, kafka.ErrInvalidRequest},
			{"one setting twice", typeTopic, "orders", []pair{{Name: "retention.ms", Value: &value}, {Name: "retention.ms", Value: &value}}, kafka.ErrInvalidRequest},
			{"a bad value beside a good one", typeTopic, "orders",
				[]pair{{Name: "segment.ms", Value: &value}, {Name: "retention.ms", Value: text("soon")}}, kafka.ErrInvalidConfig},
			{"a bad value of a broker's", typeBroker, "1", []pair{{Name: "max.connections", Value: text("many")}}, kafka.ErrInvalidRequest},
			{"no topic", typeTopic, "nothing", nil, kafka.ErrUnknownTopicOrPartition},
			{"a logger", typeLogger, "1", nil, kafka.ErrInvalidRequest},
		} {
			wantCode(t, fmt.Sprintf("version %d: %s", version, c.name), int16(replace(version, c.kind, c.at, c.configs...)), c.want)
		}
		if got := w.value(typeTopic, "orders", "retention.ms") + ", " + w.value(typeTopic, "orders", "segment.ms"); got != value+" from 1, 604800000 from 5" {
			t.Errorf("version %d: retention.ms and segment.ms: %s", version, got)
		}
		if got := w.value(typeBroker, "1", "max.connections"); got != value+" from 2" {
			t.Errorf("version %d: max.connections: %s", version, got)
		}
	}
	wantCode(t, "nothing at all", int16(replace(2, typeBroker, "1")), kafka.None)
	if got := w.value(typeBroker, "1", "max.connections"); got != "2147483647 from 5" {
		t.Errorf("max.connections: %s", got)
	}
}

func TestWhatIsOnlyCheckedChangesNothing(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	q := alterRequest(typeTopic, "orders", set("retention.ms", "5"))
	q.Resources = append(q.Resources, alterRequest(typeBroker, "1", set("num.partitions", "5")).Resources...)
	q.ValidateOnly = true
	r := kmsg.NewPtrIncrementalAlterConfigsResponse()
	w.ask(q, 1, r)
	wantCode(t, "what could be", r.Resources[0].ErrorCode, kafka.None)
	wantCode(t, "what could not", r.Resources[1].ErrorCode, kafka.ErrInvalidRequest)
	if got := w.value(typeTopic, "orders", "retention.ms"); got != "604800000 from 5" {
		t.Error(got)
	}
	q.Resources = append(q.Resources, q.Resources[0])
	w.ask(q, 1, r)
	wantCode(t, "one resource twice", r.Resources[0].ErrorCode, kafka.ErrInvalidRequest)
	wantCode(t, "one resource twice", r.Resources[2].ErrorCode, kafka.ErrInvalidRequest)
}

// Topics follow their node, at once and after a restart of any kind; what they
// set themselves stays.
func TestChangedSettingsAreInForceAtOnceAndAfterARestart(t *testing.T) {
	m := run(t)
	m.create("own")
	m.create("follows")
	w := m.wire()
	large := batchOf(strings.Repeat("x", 500))
	w.wantProduced("follows", large, 0)
	wantCode(t, "alter", w.alterOne(1, typeBroker, "", set("message.max.bytes", "300")), kafka.None)
	wantCode(t, "alter", w.alterOne(1, typeTopic, "own", set("max.message.bytes", "1000")), kafka.None)
	look := func(offset int64) {
		t.Helper()
		wantCode(t, "too large for the node", w.produce("follows", -1, large).ErrorCode, kafka.ErrMessageTooLarge)
		w.wantProduced("own", large, offset)
	}
	look(0)
	m.stop()
	m.start()
	w = m.wire()
	look(1)
	m.kill()
	m.start()
	w = m.wire()
	look(2)
	wantCode(t, "delete", w.alterOne(1, typeBroker, "", operate(1, "message.max.bytes", "")), kafka.None)
	w.wantProduced("follows", large, 1)
}

func TestMinInsyncReplicasActsWithOneReplica(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	wantCode(t, "alter", w.alterOne(1, typeTopic, "orders", set("min.insync.replicas", "2")), kafka.None)
	wantCode(t, "acks=all", w.produce("orders", -1, batchOf("x")).ErrorCode, kafka.ErrNotEnoughReplicas)
	wantCode(t, "acks=1", w.produce("orders", 1, batchOf("x")).ErrorCode, kafka.None)
}

func TestThereIsSomethingToConfigure(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	ask := func(version int16, types ...int8) *kmsg.ListConfigResourcesResponse {
		q := kmsg.NewPtrListConfigResourcesRequest()
		q.ResourceTypes = types
		r := kmsg.NewPtrListConfigResourcesResponse()
		w.ask(q, version, r)
		return r
	}
	if r := ask(0); r.ErrorCode != 0 || len(r.ConfigResources) != 0 {
		t.Errorf("version 0 lists client metrics, and there are none: %+v", r)
	}
	names := func(r *kmsg.ListConfigResourcesResponse) string {
		var out []string
		for _, c := range r.ConfigResources {
			out = append(out, fmt.Sprintf("%d:%s", c.Type, c.Name))
		}
		return strings.Join(out, " ")
	}
	if got := names(ask(1)); got != "2:orders 4:1 8:1" {
		t.Errorf("everything: %s", got)
	}
	if got := names(ask(1, 4, 32)); got != "4:1" {
		t.Errorf("brokers and groups: %s", got)
	}
	wantCode(t, "no type", ask(1, 2, 3).ErrorCode, kafka.ErrUnsupportedVersion)
}

func TestATopicThatIsOnlyCheckedIsToldItsSettings(t *testing.T) {
	m := run(t)
	value := "9"
	r, err := kadm.NewClient(m.client()).ValidateCreateTopics(within(t), 1, 1, map[string]*string{"segment.ms": &value}, "orders")
	if err != nil {
		t.Fatal(err)
	}
	configs := r["orders"].Configs
	if len(configs) != len(config.Settings(config.Topic))-1 {
		t.Errorf("%d settings", len(configs))
	}
	for name, want := range map[string]string{"retention.ms": "604800000", "segment.ms": "9"} {
		if got := configs[name]; got.Value == nil || *got.Value != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
}

// A batch that was appended and whose answer was lost is sent again. Settings that
// would refuse it by now do not undo it (docs/bugs/0020.md).
func TestABatchSentAgainIsNotRefusedByNewSettings(t *testing.T) {
	m := run(t)
	m.create("orders")
	w := m.wire()
	batch := func(sequence int32) []byte {
		return producerBatch(&record.Producer{ID: 7, Sequence: kafka.Sequence(sequence)}, strings.Repeat("x", 500))
	}
	w.wantProduced("orders", batch(0), 0)
	wantCode(t, "alter", w.alterOne(1, typeTopic, "orders", set("max.message.bytes", "100")), kafka.None)
	w.wantProduced("orders", batch(0), 0)
	r := kmsg.NewPtrProduceResponse()
	w.ask(produceRequest("orders", -1, batch(1)), 9, r)
	wantCode(t, "a new one", r.Topics[0].Partitions[0].ErrorCode, kafka.ErrMessageTooLarge)
}
