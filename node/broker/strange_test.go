package broker

import (
	"errors"
	"slices"
	"testing"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/sim"
)

func (c *cluster) probed(name string) bool {
	return slices.ContainsFunc(c.k.Probes(), func(p sim.Count) bool { return p.Name == name })
}

// A topic may have a setting of a later version, by whoever led the controllers before a
// downgrade: it is not in force, and all else is.
func TestASettingOfALaterVersionIsNotInForce(t *testing.T) {
	c := start(t, 1)
	c.create([]kafka.NodeID{1}, config.Pair{Name: "min.insync.replicas", Value: "1"})
	value := "x"
	if err := c.decide(func(*meta.Image) ([]meta.Record, error) {
		return []meta.Record{meta.ConfigRecord{Topic: orders, Name: "setting.of.tomorrow", Value: &value}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	c.until("the broker knows of it", func() bool { return c.probed("a topic has a setting that this version does not know") })
	c.ack(c.machine(1), "a")
}

// What lies under a partition's name and is of a topic that is deleted makes room.
func TestFilesOfADeletedTopicMakeRoom(t *testing.T) {
	c := start(t, 1)
	one := config.Pair{Name: "min.insync.replicas", Value: "1"}
	c.create([]kafka.NodeID{1}, one)
	gone := kafka.TopicID{8}
	c.createAs("gone", gone, []kafka.NodeID{1}, one)
	m := c.machine(1)
	leads := func(name string) bool {
		p, err := m.b.Partition(name, 0)
		return err == nil && p.Role() == Leading && p.log != nil
	}
	c.until("the topic that goes is served", func() bool { return leads("gone") })
	c.must(m, func() error {
		fs := m.b.dirs[0].fs
		return errors.Join(fs.Mkdir("back-0"), copyFile(fs, "gone-0/partition", "back-0/partition"),
			copyFile(fs, "gone-0/manifest", "back-0/00000000000000000000.log"))
	})
	if err := c.decide(func(i *meta.Image) ([]meta.Record, error) { return i.DeleteTopic(gone) }); err != nil {
		t.Fatal(err)
	}
	c.createAs("back", kafka.TopicID{9}, []kafka.NodeID{1}, one)
	c.until("the new topic is served", func() bool { return leads("back") })
	if !c.probed("a deleted topic's files were in the way") {
		t.Error("nothing was in the way")
	}
}
