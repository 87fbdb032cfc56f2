package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/klammlog/klamm/node/kafka"
)

func TestAGroupHasWhatItSetsAndItsNodesRest(t *testing.T) {
	broker := mustBroker(t, Pair{"group.consumer.heartbeat.interval.ms", "700"})
	v := GroupInForce(broker, []Pair{{"consumer.session.timeout.ms", "50000"}, {"invented.later", "1"}})
	for _, c := range []struct {
		of     Millis
		number int64
		source Source
	}{
		{ConsumerSession, 50_000, FromGroup}, {ConsumerHeartbeat, 700, FromStaticBroker},
	} {
		if got, source := v.Get(c.of.Setting); got.Number != c.number || source != c.source {
			t.Errorf("%s: %d from %s, want %d from %s", c.of.Name, got.Number, source, c.number, c.source)
		}
	}
}

func TestWhatAGroupCannotSet(t *testing.T) {
	for _, c := range []struct {
		pairs  []Pair
		broker []Pair
		want   string // how the error begins; "": it can be set
	}{
		{pairs: []Pair{{"consumer.session.timeout.ms", "45000"}, {"consumer.heartbeat.interval.ms", "15000"}}},
		{pairs: []Pair{{"consumer.session.timeout.ms", "44999"}}, want: "consumer.session.timeout.ms=44999: not from 45000 to 60000"},
		{pairs: []Pair{{"consumer.session.timeout.ms", "60001"}}, want: "consumer.session.timeout.ms=60001: not from 45000 to 60000"},
		{pairs: []Pair{{"consumer.heartbeat.interval.ms", "4999"}}, want: "consumer.heartbeat.interval.ms=4999: not from 5000 to 15000"},
		{pairs: []Pair{{"consumer.heartbeat.interval.ms", "15001"}}, want: "consumer.heartbeat.interval.ms=15001: not from 5000 to 15000"},
		{pairs: []Pair{{"consumer.session.timeout.ms", "10000"}, {"consumer.heartbeat.interval.ms", "10000"}},
			broker: []Pair{{"group.consumer.min.session.timeout.ms", "1000"}}, want: "consumer.heartbeat.interval.ms=10000: not less than consumer.session.timeout.ms=10000"},
		{pairs: []Pair{{"consumer.session.timeout.ms", "x"}}, want: "consumer.session.timeout.ms=x: not a whole number"},
		{pairs: []Pair{{"group.consumer.session.timeout.ms", "45000"}}, want: "group.consumer.session.timeout.ms: is a setting of a broker, not of a group"},
		{pairs: []Pair{{"retention.ms", "45000"}}, want: "retention.ms: is a setting of a topic, not of a group"},
		{pairs: []Pair{{"share.session.timeout.ms", "45000"}}, want: "share.session.timeout.ms: does not act here, for there are no share groups yet"},
		{pairs: []Pair{{"consumer.session.timeout.ms", "45000"}, {"consumer.session.timeout.ms", "46000"}}, want: "consumer.session.timeout.ms: set twice"},
	} {
		err := CheckGroup(mustBroker(t, c.broker...), c.pairs)
		if (err == nil) != (c.want == "") || err != nil && (!strings.HasPrefix(err.Error(), c.want) || !errors.Is(err, kafka.ErrInvalidConfig)) {
			t.Errorf("%v: %v, want %q", c.pairs, err, c.want)
		}
	}
}
