package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestANodeThatIsToldNothingIsAlone(t *testing.T) {
	v := mustBroker(t)
	if !IsBroker(v) || !IsController(v) || len(VotersIn(v)) != 0 || InterBrokerListener(v) != "PLAINTEXT" {
		t.Errorf("broker %t, controller %t, voters %v, brokers meet on %s", IsBroker(v), IsController(v), VotersIn(v), InterBrokerListener(v))
	}
}

// cluster is a node of a cluster that the cases below spoil.
func cluster(more ...Pair) []Pair {
	return append([]Pair{
		{"node.id", "2"},
		{"controller.quorum.voters", "3@c:9093, 1@a:9093,2@[::1]:9093"},
		{"listeners", "INSIDE://:9092,OUTSIDE://:9094,CONTROLLER://:9093"},
		{"listener.security.protocol.map", "inside:PLAINTEXT,OUTSIDE:plaintext"},
		{"advertised.listeners", "OUTSIDE://public:9094,INSIDE://b:9092"},
		{"inter.broker.listener.name", "inside"},
	}, more...)
}

func TestTheListenersOfANodeAreBrokersOrControllers(t *testing.T) {
	v := mustBroker(t, cluster()...)
	want := []Voter{{1, "a:9093"}, {2, "[::1]:9093"}, {3, "c:9093"}}
	if d := cmp.Diff(want, VotersIn(v)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Listener{{"INSIDE", "", 9092}, {"OUTSIDE", "", 9094}}, BrokerListeners(v)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Listener{{"CONTROLLER", "", 9093}}, ControllerListeners(v)); d != "" {
		t.Error(d)
	}
	if got := InterBrokerListener(v); got != "INSIDE" {
		t.Errorf("brokers meet on %s", got)
	}
}

func TestSettingsOfAClusterMustNotContradictEachOther(t *testing.T) {
	for _, c := range []struct {
		name string
		set  []Pair
		want string
	}{
		{"a broker is no voter", []Pair{{"process.roles", "broker"}, {"listeners", "INSIDE://:1,OUTSIDE://:2"}}, "has node.id=2, which is no controller"},
		{"a controller has no broker's listeners", []Pair{{"process.roles", "controller"}}, "process.roles=controller has only those in controller.listener.names"},
		{"a broker has one of its own", []Pair{{"listeners", "CONTROLLER://:1"}}, "a broker has one that is not in controller.listener.names"},
		{"a broker has no controllers' listeners", []Pair{{"node.id", "7"}, {"process.roles", "broker"}}, "process.roles=broker has none of controller.listener.names"},
		{"a controller among others listens", []Pair{{"listeners", "INSIDE://:1,OUTSIDE://:2"}}, "has one of controller.listener.names"},
		{"a listener has a protocol", []Pair{{"listener.security.protocol.map", "INSIDE:PLAINTEXT"}}, "OUTSIDE has no security protocol"},
		{"the protocol is PLAINTEXT", []Pair{{"listener.security.protocol.map", "INSIDE:SSL"}}, "the only security protocol is PLAINTEXT"},
		{"controllers are not advertised", []Pair{{"advertised.listeners", "INSIDE://b:1,CONTROLLER://b:2"}}, "CONTROLLER is the controllers'"},
		{"what is advertised exists", []Pair{{"advertised.listeners", "INSIDE://b:1,PLAINTEXT://b:2"}}, "PLAINTEXT is not in listeners"},
		{"brokers meet where they listen", []Pair{{"inter.broker.listener.name", "PLAINTEXT"}}, "not one of the broker's listeners"},
		{"brokers meet where they are found", []Pair{{"advertised.listeners", "OUTSIDE://b:1"}}, "lacks INSIDE"},
		{"a session has several beats", []Pair{{"broker.session.timeout.ms", "2000"}}, "not less than broker.session.timeout.ms=2000"},
		{"a name stands once", []Pair{{"listeners", "INSIDE://:1,inside://:2"}}, "INSIDE stands there twice"},
		{"a voter stands once", []Pair{{"controller.quorum.voters", "1@a:1,1@b:1"}}, "voter 1 stands there twice"},
		{"a voter has a port", []Pair{{"controller.quorum.voters", "1@a"}}, "1@a is not id@host:port"},
		{"a voter has a number", []Pair{{"controller.quorum.voters", "x@a:1"}}, "x is not a node's number"},
		{"a role exists", []Pair{{"process.roles", "leader"}}, "leader is not one of broker, controller"},
	} {
		_, err := NewBroker(cluster(c.set...))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestRolesMayStandApart(t *testing.T) {
	for name, set := range map[string][]Pair{
		"a controller that joins later": cluster(Pair{"node.id", "4"}),
		"a broker":                      {{"node.id", "9"}, {"process.roles", "broker"}, {"controller.quorum.voters", "1@a:1"}},
		"a controller":                  {{"process.roles", "controller"}, {"controller.quorum.voters", "1@a:1"}, {"listeners", "CONTROLLER://:1"}},
	} {
		if _, err := NewBroker(set); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVotersThatAreToldElsewhereAreCheckedWithTheRest(t *testing.T) {
	v := mustBroker(t, Pair{"process.roles", "broker"}, Pair{"node.id", "4"})
	got, err := v.WithVoters("2@b:9093,1@a:9093")
	if d := cmp.Diff([]Voter{{1, "a:9093"}, {2, "b:9093"}}, VotersIn(got)); err != nil || d != "" {
		t.Errorf("%v, (-want +got):\n%s", err, d)
	}
	if len(VotersIn(v)) != 0 {
		t.Error("the settings changed that they were added to")
	}
	for _, bad := range []string{"4@d:9093", "1@a", "1@a:1,1@b:1"} {
		if _, err := v.WithVoters(bad); err == nil {
			t.Errorf("a broker of number 4 takes %s for its voters", bad)
		}
	}
}
