package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/broker"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/osenv"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A machine is a node on real sockets and files.
type machine struct {
	t    *testing.T
	dirs []string
	port int
	set  []config.Pair
	host *osenv.Host
	node *Node

	change func(*env.World) // of the world, before the node sees it; may be nil
}

// run starts a node on a free port and a directory of the test's.
func run(t *testing.T, set ...config.Pair) *machine {
	t.Helper()
	m := &machine{t: t, dirs: []string{t.TempDir()}, set: set}
	m.start()
	t.Cleanup(func() { m.stop() })
	return m
}

func (m *machine) start() {
	m.t.Helper()
	level := slog.LevelWarn
	if testing.Verbose() {
		level = slog.LevelDebug
	}
	host, err := osenv.New(osenv.Options{
		LogDirs: m.dirs,
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
	})
	if err != nil {
		m.t.Fatal(err)
	}
	set := append([]config.Pair{{Name: "listeners", Value: fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", m.port)}}, m.set...)
	settings, err := config.NewBroker(set)
	if err != nil {
		m.t.Fatal(err)
	}
	m.host = host
	m.do(func() error {
		if m.change != nil {
			m.change(host.World())
		}
		m.node, err = Start(host.World(), Config{Settings: settings})
		return err
	})
	fmt.Sscanf(m.node.Address(), "127.0.0.1:%d", &m.port)
}

func (m *machine) do(f func() error) {
	m.t.Helper()
	if err := m.host.Do(context.Background(), f); err != nil {
		m.t.Fatal(err)
	}
}

// as runs f as a task of the node's world.
func (m *machine) as(f func()) {
	m.t.Helper()
	m.do(func() error { f(); return nil })
}

// stop stops the node cleanly.
func (m *machine) stop() {
	m.t.Helper()
	if m.node == nil {
		return
	}
	m.do(m.node.Check)
	m.do(func() error { return m.node.Stop(m.host.World().Now().Add(10 * time.Second)) })
	m.host.Close()
	m.node = nil
}

// kill ends the node's tasks without another word.
func (m *machine) kill() {
	m.t.Helper()
	m.host.Close()
	m.node = nil
}

// until looks again and again, as a task, until something is so.
func (m *machine) until(so func() bool) {
	m.t.Helper()
	w := m.host.World()
	m.do(func() error {
		for !so() {
			if err := w.Sleep(time.Millisecond); err != nil {
				return err
			}
		}
		return nil
	})
}

// create creates a topic of one partition, with settings in turn name and value.
func (m *machine) create(topic string, settings ...string) {
	m.t.Helper()
	set := map[string]*string{}
	for i := 0; i < len(settings); i += 2 {
		set[settings[i]] = &settings[i+1]
	}
	c := m.client()
	defer c.Close()
	if _, err := kadm.NewClient(c).CreateTopic(within(m.t), 1, 1, set, topic); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) address() string { return fmt.Sprintf("127.0.0.1:%d", m.port) }

func (m *machine) client(o ...kgo.Opt) *kgo.Client {
	m.t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(m.address())}, o...)...)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(c.Close)
	return c
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAClientProducesAndConsumesAcrossARestart(t *testing.T) {
	m := run(t)
	ctx := within(t)
	if _, err := kadm.NewClient(m.client()).CreateTopic(ctx, 3, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	const half = 50_000
	produce(t, ctx, m, 0, half)
	m.stop()
	m.start()
	produce(t, ctx, m, half, 2*half)
	consumeAll(t, ctx, m, 3, 2*half)
}

// produce sends numbered records with idempotence.
func produce(t *testing.T, ctx context.Context, m *machine, from, to int) {
	t.Helper()
	c := m.client(kgo.DefaultProduceTopic("orders"))
	for i := from; i < to; i++ {
		c.Produce(ctx, kgo.StringRecord(fmt.Sprint(i)), func(r *kgo.Record, err error) {
			if err != nil {
				t.Errorf("record %s: %v", r.Value, err)
			}
		})
	}
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// consumeAll reads partitions from their beginnings and wants every number once.
func consumeAll(t *testing.T, ctx context.Context, m *machine, partitions int32, want int) {
	t.Helper()
	from := map[int32]kgo.Offset{}
	for p := range partitions {
		from[p] = kgo.NewOffset().AtStart()
	}
	c := m.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"orders": from}))
	seen := map[string]bool{}
	next := map[int32]int64{}
	for len(seen) < want {
		fetches := c.PollFetches(ctx)
		if err := errors.Join(errorsOf(fetches)...); err != nil {
			t.Fatalf("after %d records: %v", len(seen), err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if seen[string(r.Value)] {
				t.Errorf("record %s is there twice", r.Value)
			}
			seen[string(r.Value)] = true
			if r.Offset != next[r.Partition] {
				t.Errorf("partition %d: offset %d, want %d", r.Partition, r.Offset, next[r.Partition])
			}
			next[r.Partition] = r.Offset + 1
		})
	}
	var views []broker.View
	m.as(func() { views = m.node.Partitions() })
	for p := range partitions {
		if int64(views[p].HighWatermark) != next[p] {
			t.Errorf("%s: high watermark %d, read up to %d", views[p].Partition, views[p].HighWatermark, next[p])
		}
	}
}

func errorsOf(f kgo.Fetches) []error {
	var errs []error
	for _, e := range f.Errors() {
		errs = append(errs, e.Err)
	}
	return errs
}

func TestADirectoryIsNotTakenOverByAnotherNode(t *testing.T) {
	m := run(t)
	m.stop()
	settings, err := config.NewBroker([]config.Pair{{Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"}, {Name: "node.id", Value: "2"}})
	if err != nil {
		t.Fatal(err)
	}
	host, err := osenv.New(osenv.Options{LogDirs: m.dirs})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	err = host.Do(within(t), func() error {
		_, err := Start(host.World(), Config{Settings: settings})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "belongs to node 1") {
		t.Errorf("node 2 on the directory of node 1: %v", err)
	}
}
