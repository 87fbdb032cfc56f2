package node_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/sim"
	"github.com/klammlog/klamm/sim/world"
)

// A deliverer is a program that makes something of records, and where it keeps that:
// the keeping outlives the program, whose process may die in the middle.
type deliverer struct {
	c    *cluster
	sim  *sim.Node
	w    *env.World
	p    *client.Processor
	make func(*deliverer, *client.Client, client.GroupConfig, client.ConsumerConfig) (*client.Processor, error)

	effects map[string]int
	highest map[kafka.TopicPartition]kafka.Offset
	dieAt   int // effects after which the process hangs, to be killed; 0: never
	hangs   bool
	failAt  int // effects after which processing fails, once; 0: never
	failed  []error
	stop    bool
	ended   error
	done    bool
}

var errEffect = errors.New("the database is not there")

// newDeliverer starts the program.
func (c *cluster) newDeliverer(name string, d *deliverer) *deliverer {
	d.c, d.sim = c, c.k.NewNode(name)
	d.w = world.New(c.network, d.sim)
	d.effects, d.highest = map[string]int{}, map[kafka.TopicPartition]kafka.Offset{}
	d.start()
	return d
}

func (d *deliverer) start() {
	if !d.sim.Alive() {
		d.sim.Restart()
	}
	d.done = false
	d.sim.Go("deliverer", func() { d.ended = d.run(); d.done = true })
}

func (d *deliverer) run() error {
	cl, err := client.New(d.w, client.DefaultConfig("n1:9092"))
	if err != nil {
		return err
	}
	g, config := client.DefaultGroup("deliverers", "orders"), client.DefaultConsumer()
	g.Session, g.Heartbeat = 6*time.Second, time.Second
	config.Reset = client.ResetEarliest
	if d.p, err = d.make(d, cl, g, config); err != nil {
		return err
	}
	for !d.stop {
		if _, err := d.p.Step(d.w.Now().Add(100*time.Millisecond), 10); errors.Is(err, errEffect) {
			d.failed = append(d.failed, err)
		} else if err != nil {
			return err
		}
	}
	err = d.p.Close(d.w.Now().Add(30 * time.Second))
	return errors.Join(err, cl.Close(d.w.Now().Add(time.Second)))
}

// process has effects, one by one.
func (d *deliverer) process(records []client.Record) error {
	for _, r := range records {
		d.effects[string(r.Value)]++
		if d.failAt > 0 && len(d.effects) >= d.failAt {
			d.failAt = 0
			return errEffect
		}
		if d.dieAt > 0 && len(d.effects) >= d.dieAt {
			d.hangs, d.dieAt = true, 0
			d.w.Sleep(time.Hour)
		}
	}
	return nil
}

// Highest and Store keep the highest offset with the effects, in one step.
func (d *deliverer) Highest(of []kafka.TopicPartition) ([]kafka.Offset, error) {
	out := make([]kafka.Offset, len(of))
	for i, tp := range of {
		out[i] = kafka.NoOffset
		if at, ok := d.highest[tp]; ok {
			out[i] = at
		}
	}
	return out, nil
}

func (d *deliverer) Store(tp kafka.TopicPartition, records []client.Record) error {
	for _, r := range records {
		if at, ok := d.highest[tp]; ok && r.Offset <= at {
			continue
		}
		d.highest[tp] = r.Offset
		if err := d.process([]client.Record{r}); err != nil {
			return err
		}
	}
	return nil
}

func atMostOnce(d *deliverer, cl *client.Client, g client.GroupConfig, c client.ConsumerConfig) (*client.Processor, error) {
	return cl.NewAtMostOnce(g, c, d.process)
}

func atLeastOnce(d *deliverer, cl *client.Client, g client.GroupConfig, c client.ConsumerConfig) (*client.Processor, error) {
	return cl.NewAtLeastOnce(g, c, d.process)
}

func exactlyOnce(d *deliverer, cl *client.Client, g client.GroupConfig, c client.ConsumerConfig) (*client.Processor, error) {
	return cl.NewExactlyOnce(g, c, d)
}

// A program dies in the middle of what it makes of records, and another time it fails
// and lives on. What that costs is what each delivery says, no less and no more.
func TestDeliveriesCostWhatTheySay(t *testing.T) {
	const records = 60
	for _, is := range []struct {
		name          string
		make          func(*deliverer, *client.Client, client.GroupConfig, client.ConsumerConfig) (*client.Processor, error)
		misses, twice bool
	}{
		{"at most once", atMostOnce, true, false},
		{"at least once", atLeastOnce, false, true},
		{"exactly once", exactlyOnce, false, false},
	} {
		for _, fault := range []string{"dies", "fails"} {
			t.Run(is.name+", "+fault, func(t *testing.T) {
				c := deliveryCluster(t)
				c.send("orders", 0, records/2)
				d := &deliverer{make: is.make}
				if fault == "dies" {
					d.dieAt = 13
				} else {
					d.failAt = 13
				}
				c.newDeliverer("d", d)
				if fault == "dies" {
					c.until("it is in the middle", func() bool { return d.hangs })
					d.sim.Crash()
					d.start()
				} else {
					c.until("it has failed", func() bool { return len(d.failed) == 1 })
				}
				c.send("orders", records/2, records/2)
				c.until("the last of every partition has come through", func() bool {
					for p := range 6 {
						if d.effects[fmt.Sprint("v", records-6+p)] == 0 {
							return false
						}
					}
					return true
				})
				d.stop = true
				c.until("it has left", func() bool { return d.done })
				if d.ended != nil {
					t.Fatal(d.ended)
				}
				missed, twice := 0, 0
				for i := range records {
					switch n := d.effects[fmt.Sprint("v", i)]; {
					case n == 0:
						missed++
					case n > 1:
						twice++
					}
				}
				if missed > 0 != is.misses || twice > 0 != is.twice {
					t.Errorf("%d records were missed, %d processed twice", missed, twice)
				}
			})
		}
	}
}

func deliveryCluster(t *testing.T) *cluster {
	c := newCluster(t, 1, "bc")
	c.hosts[0].with("offsets.topic.num.partitions", "1")
	c.hosts[0].with("group.initial.rebalance.delay.ms", "0")
	c.hosts[0].with("default.replication.factor", "1")
	c.hosts[0].with("min.insync.replicas", "1")
	c.start()
	c.createWide("orders")
	return c
}

// What was processed is committed when the member leaves, though each commit before
// was lost; and what is processed at most once was committed before.
func TestCommitsStandWhereTheDeliverySays(t *testing.T) {
	c := deliveryCluster(t)
	c.send("orders", 0, 30)
	d := &deliverer{}
	d.make = func(d *deliverer, cl *client.Client, g client.GroupConfig, config client.ConsumerConfig) (*client.Processor, error) {
		return cl.NewAtMostOnce(g, config, func(records []client.Record) error {
			last := records[len(records)-1]
			found, err := cl.GroupOffsets("deliverers", []kafka.TopicPartition{last.At()}, d.w.Now().Add(10*time.Second))
			if err != nil || found[0].Offset <= last.Offset {
				return fmt.Errorf("processing offset %d of %s, and %v is committed: %v", last.Offset, last.At(), found, err)
			}
			return d.process(records)
		})
	}
	c.newDeliverer("first", d)
	c.until("all is processed", func() bool { return d.ended != nil || len(d.effects) == 30 })
	d.stop = true
	c.until("it has left", func() bool { return d.done })
	if d.ended != nil {
		t.Fatal(d.ended)
	}

	c.send("orders", 30, 30)
	d = &deliverer{}
	var commits []error
	d.make = func(d *deliverer, cl *client.Client, g client.GroupConfig, config client.ConsumerConfig) (*client.Processor, error) {
		g.OnCommit = func([]client.Commit) func(error) {
			if d.stop = true; len(commits) == 0 {
				c.hosts[0].crash()
			}
			return func(err error) {
				if commits = append(commits, err); len(commits) == 1 {
					c.hosts[0].start()
				}
			}
		}
		return cl.NewAtLeastOnce(g, config, d.process)
	}
	c.newDeliverer("second", d)
	c.until("it has left", func() bool { return d.done })
	if len(commits) < 2 || commits[0] == nil || commits[len(commits)-1] != nil || d.ended != nil {
		t.Fatalf("commits came to %v; %v", commits, d.ended)
	}
	through := map[int32]kafka.Offset{}
	for v := range d.effects {
		var n int32
		fmt.Sscanf(v, "v%d", &n)
		through[n%6] = max(through[n%6], kafka.Offset(n/6)+1)
	}
	c.admin("looking", func(cl *client.Client, deadline kafka.Instant) error {
		found, err := cl.GroupOffsets("deliverers", nil, deadline)
		for _, f := range found {
			if f.Offset != max(through[f.Partition.Partition], 5) {
				t.Errorf("%s: %d is committed, want %d", f.Partition, f.Offset, max(through[f.Partition.Partition], 5))
			}
		}
		if len(found) != 6 {
			t.Errorf("%d partitions have an offset, want 6", len(found))
		}
		return err
	})
}
