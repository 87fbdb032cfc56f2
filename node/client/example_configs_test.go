package client_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osenv"
)

// A topic's records are kept for a day instead of what the broker is set to.
func ExampleClient_IncrementalAlterConfigs() {
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
	err = host.Do(context.Background(), func() error {
		w := host.World()
		c, err := client.New(w, client.DefaultConfig(brokers.ListenAddrs()...))
		if err != nil {
			return err
		}
		defer c.Close(kafka.Never)
		return keepForADay(c, w.Now().Add(time.Minute))
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// retention.ms=86400000, set on the topic
}

func keepForADay(c *client.Client, deadline kafka.Instant) error {
	orders := client.TopicSettings("orders")
	results, err := c.IncrementalAlterConfigs([]client.Alteration{
		{Resource: orders, Changes: []config.Change{client.SetConfig("retention.ms", "86400000")}},
	}, client.CarryOut, deadline)
	if err != nil {
		return err
	}
	if err := results[0].Err; err != nil {
		return err
	}
	told, err := c.DescribeConfigs(client.DescribeConfigs{Resources: []client.Resource{orders}, Names: []string{"retention.ms"}}, deadline)
	if err != nil {
		return err
	}
	for _, s := range told[0].Settings {
		fmt.Printf("%s=%s, set on the %s\n", s.Name, *s.Value, s.Source)
	}
	return told[0].Err
}
