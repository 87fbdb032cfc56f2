package client_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
)

// setting finds a setting of a result.
func (x *fixture) setting(r client.ResourceSettings, name string) client.Setting {
	x.Helper()
	x.check(r.Resource.String(), r.Err)
	for _, s := range r.Settings {
		if s.Name == name {
			return s
		}
	}
	x.Fatalf("%s has no setting %s", r.Resource, name)
	return client.Setting{}
}

func (x *fixture) describe(resources ...client.Resource) []client.ResourceSettings {
	x.Helper()
	return ok(x, call(x.client.DescribeConfigs(client.DescribeConfigs{Resources: resources, Synonyms: true, Docs: true}, x.deadline)))
}

func TestSettingsAreChangedAndDescribed(t *testing.T) {
	run(t, func(x *fixture) {
		orders := client.TopicSettings("orders")
		changed := ok(x, call(x.client.IncrementalAlterConfigs([]client.Alteration{
			{client.TopicSettings("nothing"), []config.Change{client.SetConfig("retention.ms", "5")}},
			{orders, []config.Change{client.SetConfig("retention.ms", "5"), client.SetConfig("segment.ms", "6")}},
			{client.BrokerSettings(2), []config.Change{client.SetConfig("log.retention.ms", "7")}},
		}, client.CarryOut, x.deadline)))
		x.want("change nothing", changed[0].Err, kafka.ErrUnknownTopicOrPartition)
		x.check("change orders", changed[1].Err)
		x.check("change broker 2", changed[2].Err)

		told := x.describe(client.BrokerSettings(2), orders, client.TopicSettings("nothing"), client.BrokerSettings(1))
		if s := x.setting(told[1], "retention.ms"); *s.Value != "5" || s.Source != config.FromTopic {
			t.Errorf("%+v", s)
		}
		if s := x.setting(told[1], "max.message.bytes"); s.Source != config.FromDefault {
			t.Errorf("%+v", s)
		}
		x.want("describe nothing", told[2].Err, kafka.ErrUnknownTopicOrPartition)
		for i := range 2 {
			if told[3*i].Resource != client.BrokerSettings(kafka.NodeID(2-i)) || told[3*i].Err != nil || len(told[3*i].Settings) == 0 {
				t.Errorf("%+v", told[3*i])
			}
		}

		replaced := ok(x, call(x.client.AlterConfigs([]client.Replacement{
			{orders, []config.Pair{{Name: "segment.ms", Value: "8"}}},
		}, client.CarryOut, x.deadline)))
		x.check("replace", replaced[0].Err)
		told = x.describe(orders)
		if s := x.setting(told[0], "segment.ms"); *s.Value != "8" {
			t.Errorf("%+v", s)
		}
		if s := x.setting(told[0], "retention.ms"); s.Source == config.FromTopic {
			t.Errorf("%+v", s)
		}
	})
}

func TestWhatIsOnlyValidatedIsNotChanged(t *testing.T) {
	run(t, func(x *fixture) {
		orders := client.TopicSettings("orders")
		checked := ok(x, call(x.client.IncrementalAlterConfigs([]client.Alteration{
			{orders, []config.Change{client.SetConfig("retention.ms", "5")}},
		}, client.OnlyValidate, x.deadline)))
		x.check("validate", checked[0].Err)
		if s := x.setting(x.describe(orders)[0], "retention.ms"); s.Source == config.FromTopic {
			t.Errorf("%+v", s)
		}
	})
}

func TestSettingsOfABrokerAreAskedOfIt(t *testing.T) {
	run(t, func(x *fixture) {
		var asked [3]atomic.Int32 // by broker
		for _, key := range []kmsg.Key{kmsg.DescribeConfigs, kmsg.IncrementalAlterConfigs} {
			x.brokers.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
				x.brokers.KeepControl()
				asked[x.brokers.CurrentNode()].Add(1)
				return nil, nil, false
			})
		}
		x.describe(client.BrokerSettings(0), client.BrokerSettings(2), client.BrokerSettings(0))
		changed := ok(x, call(x.client.IncrementalAlterConfigs([]client.Alteration{
			{client.BrokerSettings(2), []config.Change{client.SetConfig("log.retention.ms", "7")}},
		}, client.CarryOut, x.deadline)))
		x.check("change", changed[0].Err)
		if got := [3]int32{asked[0].Load(), asked[1].Load(), asked[2].Load()}; got != [3]int32{1, 0, 2} {
			t.Errorf("requests by broker: %v", got)
		}
		_, err := x.client.DescribeConfigs(client.DescribeConfigs{Resources: []client.Resource{client.BrokerSettings(9)}}, x.deadline)
		x.want("a broker that there is not", err, kafka.ErrBrokerNotAvailable)
	})
}

func TestAChangeWithoutAnswerIsOfUnknownOutcomeAndNotRepeated(t *testing.T) {
	run(t, func(x *fixture) {
		var asked atomic.Int32
		x.brokers.ControlKey(int16(kmsg.IncrementalAlterConfigs), func(kmsg.Request) (kmsg.Response, error, bool) {
			x.brokers.KeepControl()
			asked.Add(1)
			return nil, nil, true
		})
		for _, r := range []client.Resource{client.TopicSettings("orders"), client.BrokerSettings(1)} {
			asked.Store(0)
			_, err := x.client.IncrementalAlterConfigs([]client.Alteration{{r, []config.Change{client.SetConfig("retention.ms", "5")}}},
				client.CarryOut, x.w.Now().Add(100*time.Millisecond))
			x.want(r.String(), err, link.ErrNoAnswer)
			if client.OutcomeOf(err) != kafka.Unknown || asked.Load() != 1 {
				t.Errorf("%s: %v after %d requests", r, client.OutcomeOf(err), asked.Load())
			}
		}
	})
}

func TestTheControllerOfSettingsIsLookedForAgain(t *testing.T) {
	run(t, func(x *fixture) {
		x.brokers.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.IncrementalAlterConfigs}, Err: kerr.NotController, Count: 2})
		changed := ok(x, call(x.client.IncrementalAlterConfigs([]client.Alteration{
			{client.TopicSettings("orders"), []config.Change{client.SetConfig("retention.ms", "5")}},
		}, client.CarryOut, x.deadline)))
		x.check("change", changed[0].Err)
	})
}

func TestResourcesAreListed(t *testing.T) {
	run(t, func(x *fixture) {
		found := ok(x, call(x.client.ListConfigResources([]client.ResourceType{client.TopicResource}, x.deadline)))
		if len(found) != 1 || found[0] != client.TopicSettings("orders") {
			t.Errorf("%v", found)
		}
		all := ok(x, call(x.client.ListConfigResources(nil, x.deadline)))
		if len(all) < 4 {
			t.Errorf("%v", all)
		}
		_, err := x.client.ListConfigResources([]client.ResourceType{99}, x.deadline)
		x.want("no type", err, kafka.ErrUnsupportedVersion)
	})
}
