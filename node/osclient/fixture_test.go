package osclient_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/klammlog/klamm/node"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osclient"
	"github.com/klammlog/klamm/node/osenv"
)

// startNode runs a klamm node on a real socket and a real disk, and returns its
// address and how to end it.
func startNode(set ...config.Pair) (address string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "klamm-client-test-")
	if err != nil {
		return "", nil, err
	}
	settings, err := config.NewBroker(append([]config.Pair{
		{Name: "node.id", Value: "1"},
		{Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"},
		{Name: "log.flush", Value: "os"},
	}, set...))
	if err != nil {
		return "", nil, err
	}
	host, err := osenv.New(osenv.Options{LogDirs: []string{dir}})
	if err != nil {
		return "", nil, err
	}
	var n *node.Node
	err = host.Do(context.Background(), func() error {
		if n, err = node.Start(host.World(), node.Config{Settings: settings}); err == nil {
			address = n.Address()
		}
		return err
	})
	return address, func() {
		_ = host.Do(context.Background(), func() error { return n.Stop(kafka.Never) })
		host.Close()
		os.RemoveAll(dir)
	}, err
}

// A fixture is a client of a klamm node.
type fixture struct {
	testing.TB
	ctx     context.Context
	address string
	client  *osclient.Client
}

func start(t testing.TB, set ...config.Pair) *fixture {
	t.Helper()
	address, stop, err := startNode(set...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	c, err := osclient.New(osclient.DefaultConfig(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &fixture{t, ctx, address, c}
}

// topic creates a topic.
func (x *fixture) topic(name string, partitions int32, configs map[string]string) {
	x.Helper()
	results, err := x.client.CreateTopics(x.ctx, osclient.NewTopic{Name: name, Partitions: partitions, Replicas: 1, Configs: configs})
	if err == nil {
		err = results[0].Err
	}
	if err != nil {
		x.Fatal(err)
	}
}

func (x *fixture) producer(change func(*osclient.ProducerConfig)) *osclient.Producer {
	x.Helper()
	config := osclient.DefaultProducer()
	if change != nil {
		change(&config)
	}
	p, err := x.client.NewProducer(config)
	if err != nil {
		x.Fatal(err)
	}
	return p
}

// values reads n records of a topic from its beginning and returns their values by
// partition.
func (x *fixture) values(topic string, n int) map[int32][]string {
	x.Helper()
	c, err := x.client.NewConsumer(osclient.DefaultConsumer())
	if err != nil {
		x.Fatal(err)
	}
	defer c.Close()
	if err := c.AssignTopic(x.ctx, topic, osclient.Earliest()); err != nil {
		x.Fatal(err)
	}
	out := map[int32][]string{}
	for seen := 0; seen < n; {
		records, err := c.Poll(x.ctx, 0)
		if err != nil {
			x.Fatalf("%d of %d records: %v", seen, n, err)
		}
		for _, r := range records {
			out[r.Partition] = append(out[r.Partition], string(r.Value))
		}
		seen += len(records)
	}
	return out
}
