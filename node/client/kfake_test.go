package client_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osenv"
	"github.com/klammlog/klamm/node/record"
)

// onSockets runs f as a task of a host on real sockets, against brokers that
// others wrote.
func onSockets(t *testing.T, f func(w *env.World, bootstrap []string), opts ...kfake.Opt) {
	t.Helper()
	brokers, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(3, "orders")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	defer brokers.Close()
	host, err := osenv.New(osenv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	err = host.Do(context.Background(), func() error {
		f(host.World(), brokers.ListenAddrs())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestRecordsTravelThroughForeignBrokers(t *testing.T) {
	for _, codec := range []record.Codec{record.None, record.Gzip, record.Snappy, record.Lz4, record.Zstd} {
		t.Run(codec.String(), func(t *testing.T) {
			onSockets(t, func(w *env.World, bootstrap []string) { roundTrip(t, w, bootstrap, codec) })
		})
	}
}

func roundTrip(t *testing.T, w *env.World, bootstrap []string, codec record.Codec) {
	deadline := w.Now().Add(30 * time.Second)
	c := must[*client.Client](t)(client.New(w, client.DefaultConfig(bootstrap...)))
	config := client.DefaultProducer()
	config.Compression.Codec = codec
	p := must[*client.Producer](t)(c.NewProducer(config))
	const n = 1000
	sent := make(map[kafka.TopicPartition]map[kafka.Offset]string)
	var deliveries []*client.Delivery
	for i := range n {
		deliveries = append(deliveries, must[*client.Delivery](t)(p.Send(client.Record{
			Topic: "orders", Key: fmt.Append(nil, i%17), Value: fmt.Append(nil, "value ", i),
			Headers: []record.Header{{Key: "n", Value: fmt.Append(nil, i)}},
		})))
	}
	for i, d := range deliveries {
		r := must[client.Result](t)(d.Wait(deadline))
		if r.Outcome != client.Acked {
			t.Fatalf("record %d: %v %v", i, r.Outcome, r.Err)
		}
		if sent[r.Partition] == nil {
			sent[r.Partition] = make(map[kafka.Offset]string)
		}
		sent[r.Partition][r.Offset] = fmt.Sprint("value ", i)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	cons := c.NewConsumer(client.DefaultConsumer())
	var places []client.Place
	for part := range int32(3) {
		places = append(places, client.Place{Partition: kafka.TopicPartition{Topic: "orders", Partition: part}, From: client.Earliest()})
	}
	cons.Assign(places...)
	seen := 0
	for seen < n {
		records := must[[]client.Record](t)(cons.Poll(deadline, 100))
		if len(records) == 0 {
			t.Fatalf("%d of %d records before the deadline", seen, n)
		}
		for _, r := range records {
			if want := sent[r.At()][r.Offset]; want != string(r.Value) {
				t.Fatalf("%s offset %d: %q, want %q", r.At(), r.Offset, r.Value, want)
			}
			if want := bytes.TrimPrefix(r.Value, []byte("value ")); !bytes.Equal(r.Headers[0].Value, want) {
				t.Fatalf("header %q, want %q", r.Headers[0].Value, want)
			}
		}
		seen += len(records)
	}
	if err := cons.Check(); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"consumer": cons.Close(deadline), "producer": p.Close(deadline), "client": c.Close(deadline),
	} {
		if err != nil {
			t.Errorf("close %s: %v", what, err)
		}
	}
}
