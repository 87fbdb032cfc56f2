package osclient_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/osclient"
)

// The examples run against a klamm node on a real socket.

// Send a record, wait until it is in the log, and read it back.
func Example() {
	address, stop, err := startNode() // or the address of any Kafka cluster
	if err != nil {
		log.Fatal(err)
	}
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	c, err := osclient.New(osclient.DefaultConfig(address))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.CreateTopics(ctx, osclient.NewTopic{Name: "orders", Partitions: 1, Replicas: 1}); err != nil {
		log.Fatal(err)
	}

	p, err := c.NewProducer(osclient.DefaultProducer())
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(ctx)
	delivery, err := p.Send(ctx, osclient.Record{Topic: "orders", Value: []byte("hello")})
	if err != nil {
		log.Fatal(err)
	}
	result, err := delivery.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	switch result.Outcome {
	case osclient.Acked:
		fmt.Printf("acked at %s offset %d\n", result.Partition, result.Offset)
	case osclient.Failed:
		fmt.Println("not in the log:", result.Err)
	case osclient.Unknown:
		fmt.Println("perhaps in the log:", result.Err)
	}

	consumer, err := c.NewConsumer(osclient.DefaultConsumer())
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	if err := consumer.AssignTopic(ctx, "orders", osclient.Earliest()); err != nil {
		log.Fatal(err)
	}
	records, err := consumer.Poll(ctx, 100)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range records {
		fmt.Printf("offset %d: %s\n", r.Offset, r.Value)
	}
	// Output:
	// acked at orders-0 offset 0
	// offset 0: hello
}

// Callbacks tell what became of each record; Close waits for them.
func ExampleProducer_Produce() {
	c, stop := connect("orders")
	defer stop()
	ctx := context.Background()

	p, err := c.NewProducer(osclient.DefaultProducer())
	if err != nil {
		log.Fatal(err)
	}
	for i := range 3 {
		r := osclient.Record{Topic: "orders", Value: fmt.Append(nil, "order ", i)}
		err := p.Produce(ctx, r, func(result osclient.Result) {
			fmt.Println(result.Outcome, result.Offset)
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	if err := p.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// acked 0
	// acked 1
	// acked 2
}

// A function of the program's own decides where records go.
func ExampleProducerConfig_partition() {
	c, stop := connect("orders")
	defer stop()
	ctx := context.Background()

	config := osclient.DefaultProducer()
	config.Partition = func(r *osclient.Record, count int32) int32 {
		if string(r.Key) == "urgent" {
			return 0
		}
		return 1 + int32(len(r.Key))%(count-1)
	}
	p, err := c.NewProducer(config)
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(ctx)
	for _, key := range []string{"urgent", "a", "urgent"} {
		d, err := p.Send(ctx, osclient.Record{Topic: "orders", Key: []byte(key)})
		if err != nil {
			log.Fatal(err)
		}
		result, err := d.Wait(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(key, result.Partition)
	}
	// Output:
	// urgent orders-0
	// a orders-2
	// urgent orders-0
}

// Begin with what was sent since a time.
func ExampleClient_Offsets() {
	c, stop := connect("orders")
	defer stop()
	ctx := context.Background()

	p, err := c.NewProducer(osclient.DefaultProducer())
	if err != nil {
		log.Fatal(err)
	}
	noon := osclient.Timestamp(time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC).UnixMilli())
	for i := range 4 {
		minute := osclient.Timestamp(i) * 60_000
		_, err := p.SendTo(ctx, 0, osclient.Record{Topic: "orders", Value: []byte("order"), Timestamp: noon + minute})
		if err != nil {
			log.Fatal(err)
		}
	}
	if err := p.Close(ctx); err != nil {
		log.Fatal(err)
	}
	tp := osclient.TopicPartition{Topic: "orders", Partition: 0}
	found, err := c.Offsets(ctx,
		osclient.Place{Partition: tp, From: osclient.Earliest()},
		osclient.Place{Partition: tp, From: osclient.AtTime(noon + 90_000)},
		osclient.Place{Partition: tp, From: osclient.Latest()})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range found {
		fmt.Println(f.Offset)
	}
	// Output:
	// 0
	// 2
	// 4
}

// Keep a topic's records for a day, and give it more partitions.
func ExampleClient_IncrementalAlterConfigs() {
	c, stop := connect("orders")
	defer stop()
	ctx := context.Background()

	orders := osclient.TopicSettings("orders")
	altered, err := c.IncrementalAlterConfigs(ctx, osclient.CarryOut, osclient.Alteration{
		Resource: orders, Changes: []osclient.ConfigChange{osclient.SetConfig("retention.ms", "86400000")},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := altered[0].Err; err != nil {
		log.Fatal(err)
	}
	if _, err := c.CreatePartitions(ctx, osclient.CarryOut, osclient.Growth{Name: "orders", Partitions: 5}); err != nil {
		log.Fatal(err)
	}

	settings, err := c.DescribeConfigs(ctx, osclient.SettingsQuestion{Resources: []osclient.Resource{orders}, Names: []string{"retention.ms"}})
	if err != nil {
		log.Fatal(err)
	}
	topics, err := c.DescribeTopics(ctx, "orders")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*settings[0].Settings[0].Value, len(topics[0].Partitions))
	// Output:
	// 86400000 5
}

// connect starts a node with a topic of three partitions, and a client of it.
func connect(topic string, set ...config.Pair) (*osclient.Client, func()) {
	address, stop, err := startNode(set...)
	if err != nil {
		log.Fatal(err)
	}
	c, err := osclient.New(osclient.DefaultConfig(address))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.CreateTopics(context.Background(), osclient.NewTopic{Name: topic, Partitions: 3, Replicas: 1}); err != nil {
		log.Fatal(err)
	}
	return c, func() {
		if err := c.Close(); err != nil {
			log.Print(err)
		}
		stop()
	}
}
