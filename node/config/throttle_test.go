package config

import (
	"errors"
	"testing"

	"github.com/klammlog/klamm/node/kafka"
)

func TestThrottledReplicasAreNamedAsInKafka(t *testing.T) {
	for text, on2 := range map[string][]int32{
		"": {}, "*": {0, 1, 7}, " 1:2 , 0:3,7:2": {1, 7}, "0:2,0:2": {0}, "1:22,22:1": {},
	} {
		v, err := NewTopic(newBroker(), []Pair{{FollowerThrottledReplicas.Name, text}})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		set := FollowerThrottledReplicas.On(v, 2)
		want := map[int32]bool{}
		for _, p := range on2 {
			want[p] = true
		}
		for _, p := range []int32{0, 1, 7} {
			if set.Has(p) != want[p] {
				t.Errorf("%q: partition %d on broker 2: %t", text, p, set.Has(p))
			}
		}
	}
	for _, text := range []string{"1", "1:", ":1", "1:2:3", "-1:2", "1:-2", "a:b", "*,1:2", "*,*", "1: 2", "2147483648:1", "+1:2"} {
		if _, err := NewTopic(newBroker(), []Pair{{LeaderThrottledReplicas.Name, text}}); !errors.Is(err, kafka.ErrInvalidConfig) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestThrottledRatesMayBeSetWhileABrokerRuns(t *testing.T) {
	for _, name := range []string{LeaderThrottledRate.Name, FollowerThrottledRate.Name} {
		v, err := newBroker().Overlaid(Overlay{Every: []Pair{{name, "7"}}, Own: []Pair{{name, "1000"}}})
		if err != nil {
			t.Fatal(err)
		}
		if s, _ := Lookup(Broker, name); v.value(s).Number != 1000 {
			t.Errorf("%s is %v", name, v.value(s))
		}
		if _, err := newBroker().Overlaid(Overlay{Own: []Pair{{name, "-1"}}}); !errors.Is(err, kafka.ErrInvalidConfig) {
			t.Errorf("%s=-1: %v", name, err)
		}
	}
}
