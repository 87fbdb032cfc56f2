package scenarios

import (
	"testing"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/kafka"
)

// What is written with acks=1 is acknowledged before consumers are told of it
// (docs/bugs/0062.md).
func TestAPartitionHasNotEndedBeforeItsLeaderHasExposedEverything(t *testing.T) {
	leading := func(high, end kafka.Offset) broker.View {
		return broker.View{Role: broker.Leading, HighWatermark: high, LogEnd: end}
	}
	following := leading(5, 5)
	following.Role = broker.Following
	for name, c := range map[string]struct {
		v    broker.View
		told kafka.Offset
		want bool
	}{
		"everything is exposed, and told":            {leading(5, 5), 5, true},
		"the followers have not fetched the rest":    {leading(5, 9), 5, false},
		"they have, since the answer was given":      {leading(9, 9), 5, false},
		"a leader that has lost what another told":   {leading(4, 4), 5, false},
		"a broker that is to lead, and does not yet": {following, 5, false},
	} {
		if got := shows(c.v, c.told); got != c.want {
			t.Errorf("%s: shows everything: %v, want %v", name, got, c.want)
		}
	}
}
