package client_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
)

func withoutKey(key int16) *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(key, -1)
	return v
}

func TestFeaturesAreToldAndChanged(t *testing.T) {
	run(t, func(x *fixture) {
		level := func(name string) int16 {
			for _, f := range ok(x, call(x.client.Features(x.deadline))) {
				if f.Name == name {
					return f.Level
				}
			}
			t.Fatalf("no feature %s", name)
			return 0
		}
		const name = "transaction.version"
		x.check("downgrade", x.client.UpdateFeatures([]client.FeatureUpdate{{Name: name, Level: 1, Downgrade: client.SafeDowngrade}}, client.CarryOut, x.deadline))
		if l := level(name); l != 1 {
			t.Errorf("level %d, want 1", l)
		}
		x.check("only checked", x.client.UpdateFeatures([]client.FeatureUpdate{{Name: name, Level: 2}}, client.OnlyValidate, x.deadline))
		if l := level(name); l != 1 {
			t.Errorf("level %d, want 1 as before", l)
		}
		err := x.client.UpdateFeatures([]client.FeatureUpdate{{Name: "flight", Level: 1}}, client.CarryOut, x.deadline)
		x.want("no such feature", err, kafka.ErrFeatureUpdateFailed)
	})
}

// The brokers of the test know no quorum: what is asked of them is what matters.
func TestTheQuorumIsAsked(t *testing.T) {
	run(t, func(x *fixture) {
		_, err := x.client.DescribeQuorum(x.deadline)
		x.want("describe", err, kafka.ErrUnsupportedVersion)
		x.want("add", x.client.AddVoter(client.Voter{ID: 3, Host: "h", Port: 1, Listener: "CONTROLLER"}, x.deadline), kafka.ErrUnsupportedVersion)
		x.want("remove", x.client.RemoveVoter(client.Voter{ID: 3}, x.deadline), kafka.ErrUnsupportedVersion)
		x.want("unregister", x.client.UnregisterBroker(3, x.deadline), kafka.ErrUnsupportedVersion)
	})
}
