package client_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osenv"
)

// An ordinary Go program makes a host, and enters it with Do.
func Example() {
	brokers, err := kfake.NewCluster(kfake.SeedTopics(1, "orders")) // any Kafka cluster
	if err != nil {
		log.Fatal(err)
	}
	defer brokers.Close()
	host, err := osenv.New(osenv.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = host.Do(ctx, func() error {
		c, err := client.New(host.World(), client.DefaultConfig(brokers.ListenAddrs()...))
		if err != nil {
			return err
		}
		defer c.Close(kafka.Never)
		if err := produce(c); err != nil {
			return err
		}
		return consume(c)
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// acked at orders-0 offset 0
	// offset 0: hello
}

func produce(c *client.Client) error {
	p, err := c.NewProducer(client.DefaultProducer())
	if err != nil {
		return err
	}
	defer p.Close(kafka.Never)
	delivery, err := p.Send(client.Record{Topic: "orders", Value: []byte("hello")})
	if err != nil {
		return err
	}
	result, err := delivery.Wait(kafka.Never)
	if err != nil {
		return err
	}
	switch result.Outcome {
	case client.Acked:
		fmt.Printf("acked at %s offset %d\n", result.Partition, result.Offset)
	case client.Failed:
		fmt.Println("not in the log:", result.Err)
	case client.Unknown:
		fmt.Println("perhaps in the log:", result.Err)
	}
	return nil
}

func consume(c *client.Client) error {
	consumer := c.NewConsumer(client.DefaultConsumer())
	defer consumer.Close(kafka.Never)
	consumer.Assign(client.Place{
		Partition: kafka.TopicPartition{Topic: "orders", Partition: 0},
		From:      client.Earliest(),
	})
	records, err := consumer.Poll(kafka.Never, 100)
	if err != nil {
		return err
	}
	for _, r := range records {
		fmt.Printf("offset %d: %s\n", r.Offset, r.Value)
	}
	return nil
}
