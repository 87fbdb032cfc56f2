package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/klammlog/klamm/node/config"
)

// Each place wins over those before it; what is no setting is left alone.
func TestWhereSettingsComeFrom(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.properties")
	if err := os.WriteFile(file, []byte("node.id=1\nnum.partitions=2\nlog.dirs=there\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{ //klamm:unordered each is a variable of its own
		"KAFKA_NODE_ID": "3", "KLAMM_NODE_ID": "4", "KAFKA_NUM_PARTITIONS": "5", "KLAMM_BOOTSTRAP": "x:1",
		"KLAMM_PORT": "tcp://10.0.0.1:9092", "KAFKA_BROKER_RACK": "r", "OTHER_NODE_ID": "9",
	} {
		t.Setenv(name, value)
	}
	f := nodeFlags{file: file, dataDir: "here", nodeID: 6, listen: "a:1", controller: "b:2", roles: "broker", voters: "1@c:3",
		set: []string{"node.id=7"}}
	pairs, err := f.pairs()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range pairs {
		got[p.Name] = p.Value
	}
	want := map[string]string{"node.id": "7", "num.partitions": "5", "log.dirs": "here", "broker.rack": "r",
		"listeners": "PLAINTEXT://a:1,CONTROLLER://b:2", "process.roles": "broker", "controller.quorum.voters": "1@c:3"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]config.Pair{{Name: "node.id", Value: "3"}, {Name: "node.id", Value: "4"}},
		environment([]string{"KLAMM_NODE_ID=4", "KAFKA_NODE_ID=3"})); d != "" {
		t.Error(d)
	}
}

func TestVariablesNameSettings(t *testing.T) {
	for variable, want := range map[string]string{ //klamm:unordered each by itself
		"NODE_ID": "node.id", "A__B_C": "a_b.c", "CONTROLLER_QUORUM_VOTERS": "controller.quorum.voters",
	} {
		if got := settingOf(variable); got != want {
			t.Errorf("%s: %s, want %s", variable, got, want)
		}
	}
}
