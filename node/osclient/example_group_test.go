package osclient_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/osclient"
)

// withGroups starts a node whose groups begin at once, with the topic orders that has
// some records in one partition.
func withGroups(records int) (*osclient.Client, func()) {
	c, stop := connect("orders",
		config.Pair{Name: "group.initial.rebalance.delay.ms", Value: "0"},
		config.Pair{Name: "offsets.topic.num.partitions", Value: "1"})
	p, err := c.NewProducer(osclient.DefaultProducer())
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for i := range records {
		if _, err := p.SendTo(ctx, 0, osclient.Record{Topic: "orders", Value: fmt.Append(nil, "order ", i)}); err != nil {
			log.Fatal(err)
		}
	}
	if err := p.Close(ctx); err != nil {
		log.Fatal(err)
	}
	return c, stop
}

// fromTheBeginning has a group without offsets begin with the first record.
func fromTheBeginning() osclient.ConsumerConfig {
	config := osclient.DefaultConsumer()
	config.Reset = osclient.ResetEarliest
	return config
}

// Share a topic with the other members of a group; offsets are committed now and
// then, and when the member leaves.
func ExampleClient_NewGroupConsumer() {
	c, stop := withGroups(3)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	group := osclient.DefaultGroup("billing", "orders")
	group.OnAssigned = func(tps []osclient.TopicPartition) { fmt.Println("mine now:", tps) }
	member, err := c.NewGroupConsumer(group, fromTheBeginning())
	if err != nil {
		log.Fatal(err)
	}
	for seen := 0; seen < 3; {
		records, err := member.Poll(ctx, 100)
		if err != nil {
			log.Fatal(err)
		}
		for _, r := range records {
			fmt.Printf("%s\n", r.Value)
			seen++
		}
	}
	if err := member.Close(ctx); err != nil {
		log.Fatal(err)
	}
	committed, err := c.GroupOffsets(ctx, "billing", osclient.TopicPartition{Topic: "orders", Partition: 0})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("committed:", committed[0].Offset)
	// Output:
	// mine now: [orders-0 orders-1 orders-2]
	// order 0
	// order 1
	// order 2
	// committed: 3
}

// What fails is processed again: each record at least once.
func ExampleClient_NewAtLeastOnce() {
	c, stop := withGroups(2)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	down := true
	p, err := c.NewAtLeastOnce(osclient.DefaultGroup("billing", "orders"), fromTheBeginning(), func(records []osclient.Record) error {
		for _, r := range records {
			fmt.Printf("bill %s\n", r.Value)
			if down {
				down = false
				return fmt.Errorf("%s offset %d: the printer is out of paper", r.At(), r.Offset)
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	for done := 0; done < 2; {
		n, err := p.Step(ctx, 100)
		if err != nil {
			fmt.Println(err) // a program that gives up here begins with these records the next time
		}
		done += n
	}
	if err := p.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// bill order 0
	// orders-0 offset 0: the printer is out of paper
	// bill order 0
	// bill order 1
}

// Commit first: a bill that fails is not written again.
func ExampleClient_NewAtMostOnce() {
	c, stop := withGroups(2)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	down := true
	p, err := c.NewAtMostOnce(osclient.DefaultGroup("billing", "orders"), fromTheBeginning(), func(records []osclient.Record) error {
		if down {
			down = false
			return fmt.Errorf("%s offset %d: the printer is out of paper", records[0].At(), records[0].Offset)
		}
		fmt.Printf("bill %s\n", records[0].Value)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	for done := 0; done < 2; {
		n, err := p.Step(ctx, 1)
		if err != nil {
			fmt.Println(err) // nobody is given this record again
		}
		done += n
	}
	if err := p.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// orders-0 offset 0: the printer is out of paper
	// bill order 1
}

// A total is an output in memory: in a database the sum and the highest offset would
// be written in one transaction.
type total struct {
	orders  int
	highest map[osclient.TopicPartition]osclient.Offset
}

func (t *total) Highest(of []osclient.TopicPartition) ([]osclient.Offset, error) {
	out := make([]osclient.Offset, len(of))
	for i, tp := range of {
		out[i] = -1
		if at, ok := t.highest[tp]; ok {
			out[i] = at
		}
	}
	return out, nil
}

func (t *total) Store(tp osclient.TopicPartition, records []osclient.Record) error {
	for _, r := range records {
		if at, ok := t.highest[tp]; ok && r.Offset <= at {
			continue // it is in there
		}
		t.orders++
		t.highest[tp] = r.Offset
	}
	return nil
}

// The output knows how far it is, whatever the group has committed: each record
// counts once.
func ExampleClient_NewExactlyOnce() {
	c, stop := withGroups(5)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	first := osclient.TopicPartition{Topic: "orders", Partition: 0}
	output := &total{orders: 2, highest: map[osclient.TopicPartition]osclient.Offset{first: 1}} // from before
	p, err := c.NewExactlyOnce(osclient.DefaultGroup("billing", "orders"), fromTheBeginning(), output)
	if err != nil {
		log.Fatal(err)
	}
	for output.highest[first] < 4 {
		if _, err := p.Step(ctx, 100); err != nil {
			log.Fatal(err)
		}
	}
	if err := p.Close(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(output.orders, "orders")
	// Output:
	// 5 orders
}

// Have a group that nobody is in read again from an offset.
func ExampleClient_AlterGroupOffsets() {
	c, stop := withGroups(5)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	tp := osclient.TopicPartition{Topic: "orders", Partition: 0}
	if _, err := c.AlterGroupOffsets(ctx, "billing", osclient.Commit{Partition: tp, Offset: 3}); err != nil {
		log.Fatal(err)
	}
	groups, err := c.ListGroups(ctx, osclient.GroupFilter{})
	if err != nil {
		log.Fatal(err)
	}
	described, err := c.DescribeGroups(ctx, "billing")
	if err != nil {
		log.Fatal(err)
	}
	offsets, err := c.GroupOffsets(ctx, "billing")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(groups[0].ID, described[0].State, offsets[0].Partition, offsets[0].Offset)

	if _, err := c.DeleteGroups(ctx, "billing"); err != nil {
		log.Fatal(err)
	}
	groups, err = c.ListGroups(ctx, osclient.GroupFilter{})
	fmt.Println(len(groups), err)
	// Output:
	// billing Empty orders-0 3
	// 0 <nil>
}
