package config

import (
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/klammlog/klamm/node/kafka"
)

func TestTheDefaultsOfTopicAndBrokerAgree(t *testing.T) {
	for _, s := range Settings(Topic) {
		if len(s.Fallback) == 0 {
			continue
		}
		agrees := false
		for _, f := range s.Fallback {
			b, ok := Lookup(Broker, f.Name)
			if !ok {
				t.Fatalf("%s falls back to %s, which does not exist", s.Name, f.Name)
			}
			if b.Optional {
				agrees = agrees || s == FlushTime.Setting
				continue
			}
			agrees = agrees || scaled(b.initial, f.Scale).Text == s.initial.Text
		}
		if !agrees {
			t.Errorf("%s: no broker setting has its default %s", s.Name, s.Default)
		}
	}
}

func TestEverySettingIsDocumentedAndNamedOnce(t *testing.T) {
	for scope := range scopes {
		seen := map[string]bool{}
		for _, s := range Settings(scope) {
			if seen[s.Name] {
				t.Errorf("%s %s is defined twice", scope, s.Name)
			}
			seen[s.Name] = true
			if !strings.HasSuffix(s.Doc, ".") {
				t.Errorf("%s %s has no documentation that is a sentence", scope, s.Name)
			}
		}
	}
}

func TestATopicTakesWhatItSetsThenTheBrokersThenTheDefault(t *testing.T) {
	broker := mustBroker(t, Pair{"log.retention.hours", "2"})
	topic := mustTopic(t, broker)
	if got := RetentionTime.In(topic); got != 7_200_000 {
		t.Errorf("retention.ms from log.retention.hours=2: %d", got)
	}
	broker = mustBroker(t, Pair{"log.retention.hours", "2"}, Pair{"log.retention.ms", "-1"})
	if got := RetentionTime.In(mustTopic(t, broker)); got != -1 {
		t.Errorf("log.retention.ms beats hours: %d", got)
	}
	topic = mustTopic(t, broker, Pair{"retention.ms", "5"})
	if got, source := topic.Get(RetentionTime.Setting); got.Number != 5 || source != FromTopic {
		t.Errorf("the topic's own value: %v from %d", got, source)
	}
	if got := SegmentTime.In(topic); got != 604_800_000 {
		t.Errorf("segment.ms by default: %d", got)
	}
}

func TestWhatDoesNotActIsRefusedByName(t *testing.T) {
	for _, c := range []struct {
		pair Pair
		want string
	}{
		{Pair{"retention.eons", "1"}, "retention.eons: no setting of a topic that klamm knows and acts on"},
		{Pair{"remote.storage.enable", "false"}, "remote.storage.enable: does not act here, for there is no tiered storage"},
		{Pair{"num.partitions", "3"}, "num.partitions: is a setting of a broker, not of a topic"},
		{Pair{"retention.ms", "soon"}, "retention.ms=soon: not a whole number"},
		{Pair{"retention.ms", "-2"}, "retention.ms=-2: less than -1"},
		{Pair{"segment.bytes", "3000000000"}, "segment.bytes=3000000000: not a whole number of 32 bits"},
		{Pair{"cleanup.policy", "delete,shred"}, "cleanup.policy=delete,shred: shred is not one of delete, compact"},
		{Pair{"cleanup.policy", ""}, ""},
		{Pair{"cleanup.policy", "delete, delete"}, "cleanup.policy=delete, delete: delete stands there twice"},
		{Pair{"compression.type", "none"}, "compression.type=none: not one of producer, uncompressed, gzip, snappy, lz4, zstd"},
		{Pair{"compression.gzip.level", "0"}, "compression.gzip.level=0: less than 1"},
		{Pair{"compression.gzip.level", "-1"}, ""},
		{Pair{"min.cleanable.dirty.ratio", "1.5"}, "min.cleanable.dirty.ratio=1.5: not between 0 and 1"},
		{Pair{"min.cleanable.dirty.ratio", "."}, "min.cleanable.dirty.ratio=.: not a decimal number"},
		{Pair{"min.compaction.lag.ms", "9223372036854775807"}, ""},
	} {
		err := CheckTopic(nil, []Pair{c.pair})
		if c.want == "" {
			if err != nil {
				t.Errorf("%v: %v", c.pair, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v, want %s", c.pair, err, c.want)
		}
		if !errors.Is(err, kafka.ErrInvalidConfig) {
			t.Errorf("%v: %v is not INVALID_CONFIG", c.pair, err)
		}
	}
}

func TestCompactionLagsMustNotContradictEachOther(t *testing.T) {
	err := CheckTopic(nil, []Pair{{"min.compaction.lag.ms", "10"}, {"max.compaction.lag.ms", "9"}})
	if err == nil {
		t.Error("a least lag above the largest is accepted")
	}
}

func TestDecimalsAreExact(t *testing.T) {
	for text, want := range map[string]int64{"0.5": 500_000, "1": 1_000_000, ".000001": 1, "0.": 0, "-0.25": -250_000,
		"1e3": 1_000_000_000, "+15E-1": 1_500_000, "0.00000010e1": 1, "1.7976931348623157E308": math.MaxInt64,
		"99999999999999999999": math.MaxInt64, "9300000000000": math.MaxInt64, "0E400": 0} {
		if got, err := parseDecimal(text); err != nil || got != want {
			t.Errorf("%s: %d %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", ".", "e3", "1e", "1e401", "0.-5", "--1", "0.0000001", "1e-7", "NaN"} {
		if got, err := parseDecimal(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
}

func TestWithoutALimitARateIsTheLargestNumber(t *testing.T) {
	if got := LogCleanerIOMax.In(mustBroker(t)); got != math.MaxInt64 {
		t.Errorf("by default: %d", got)
	}
	if got := LogCleanerIOMax.In(mustBroker(t, Pair{"log.cleaner.io.max.bytes.per.second", "1048576.5"})); got != 1<<20 {
		t.Errorf("set: %d", got)
	}
	if _, err := NewBroker([]Pair{{"log.cleaner.io.max.bytes.per.second", "0"}}); err == nil {
		t.Error("a rate of nothing is accepted")
	}
}

func TestValuesAreShownInTheirPlainestForm(t *testing.T) {
	v := mustTopic(t, mustBroker(t, Pair{"log.preallocate", "FALSE"}), Pair{"retention.ms", " +007"}, Pair{"cleanup.policy", " compact,, delete"})
	for s, want := range map[*Setting]string{RetentionTime.Setting: "7", CleanupPolicy.Setting: "compact,delete", Preallocate.Setting: "false"} {
		if got, _ := v.Get(s); got.Text != want {
			t.Errorf("%s: %q, want %q", s.Name, got.Text, want)
		}
	}
}

func TestListeners(t *testing.T) {
	for text, want := range map[string]Listener{
		"PLAINTEXT://:9092":       {"PLAINTEXT", "", 9092},
		"plaintext://localhost:0": {"PLAINTEXT", "localhost", 0},
		"PLAINTEXT://[::1]:9092":  {"PLAINTEXT", "::1", 9092},
	} {
		got, err := ParseListener(text)
		if err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"localhost:9092", "SSL://h:1", "PLAINTEXT://h", "PLAINTEXT://h:65536", "PLAINTEXT://h:x"} {
		if got, err := ParseListener(text); err == nil {
			t.Errorf("%s: %v, want an error", text, got)
		}
	}
	if got := (Listener{"PLAINTEXT", "::1", 9092}).Address(); got != "[::1]:9092" {
		t.Errorf("address of an IPv6 host: %s", got)
	}
}

func TestPropertiesAreReadAsKafkaReadsThem(t *testing.T) {
	file := "# a comment\n! another\n\n" +
		"node.id=1\r\n" +
		"  listeners : PLAINTEXT://:9092  \n" +
		"log.dirs   /a,\\\n     /b\n" +
		"empty=\n" +
		"lone\n" +
		"a\\=b\\ c=d=e:f\n" +
		"text=tab\\tend\\\\ \\u00e4 \\q\n" +
		"#joined \\\nnot.joined=1\n" +
		"last=x\\"
	want := []Pair{
		{"node.id", "1"},
		{"listeners", "PLAINTEXT://:9092  "},
		{"log.dirs", "/a,/b"},
		{"empty", ""},
		{"lone", ""},
		{"a=b c", "d=e:f"},
		{"text", "tab\tend\\ ä q"},
		{"not.joined", "1"},
		{"last", "x"},
	}
	got, err := ParseProperties([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPropertiesErrorsNameTheLine(t *testing.T) {
	for file, want := range map[string]string{
		"a=1\n\nb=\\u12":    `line 3: \u without four hexadecimal digits`,
		"a=1\\\n2\n= value": "line 3: a value without a name",
		"\xff":              "properties file: not UTF-8",
	} {
		_, err := ParseProperties([]byte(file))
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
}

// A pair that is written out with every special character escaped reads back as
// it was, whatever stands around it.
func FuzzParseProperties(f *testing.F) {
	f.Add("listeners", "PLAINTEXT://:9092", "# x\n")
	f.Add("a=b", " \\ \t", "b \\\n c")
	f.Fuzz(func(t *testing.T, name, value, noise string) {
		ParseProperties([]byte(noise)) // must neither hang nor panic
		if name == "" || !utf8.ValidString(name) || !utf8.ValidString(value) {
			return
		}
		pairs, err := ParseProperties([]byte(escape(name) + "=" + escape(value) + "\n"))
		if err != nil || len(pairs) != 1 || pairs[0] != (Pair{name, value}) {
			t.Fatalf("%q=%q reads back as %q, %v", name, value, pairs, err)
		}
	})
}

func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch r {
		case '\t':
			b.WriteString(`\t`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\f':
			b.WriteString(`\f`)
		case '\\', '=', ':', ' ', '#', '!':
			b.WriteString(`\` + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func mustBroker(t *testing.T, pairs ...Pair) *View {
	t.Helper()
	v, err := NewBroker(pairs)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustTopic(t *testing.T, broker *View, pairs ...Pair) *View {
	t.Helper()
	v, err := NewTopic(broker, pairs)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestASettingIsSetOnceAndNotWithANovel(t *testing.T) {
	for _, pairs := range [][]Pair{
		{{"retention.ms", "1"}, {"retention.ms", "1"}},
		{{"cleanup.policy", "delete" + strings.Repeat(",", maxValue)}},
	} {
		if err := CheckTopic(nil, pairs); !errors.Is(err, kafka.ErrInvalidConfig) {
			t.Errorf("%d settings: %v", len(pairs), err)
		}
	}
}
