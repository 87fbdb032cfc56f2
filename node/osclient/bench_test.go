package osclient_test

import (
	"testing"

	"github.com/klammlog/klamm/node/osclient"
)

// What it costs a program to hand over a record of 100 bytes, one at a time or a
// hundred together, a klamm node in the same process included.
func BenchmarkSend(b *testing.B) {
	x := start(b)
	x.topic("orders", 4, nil)
	p := x.producer(nil)
	r := osclient.Record{Topic: "orders", Value: make([]byte, 100)}
	b.SetBytes(100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Send(x.ctx, r); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Close(x.ctx); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkSendAll(b *testing.B) {
	x := start(b)
	x.topic("orders", 4, nil)
	p := x.producer(nil)
	records := make([]osclient.Record, 100)
	for i := range records {
		records[i] = osclient.Record{Topic: "orders", Value: make([]byte, 100)}
	}
	b.SetBytes(100)
	b.ReportAllocs()
	sent := 0
	for b.Loop() {
		if sent++; sent%len(records) != 0 {
			continue
		}
		if _, err := p.SendAll(x.ctx, records); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Close(x.ctx); err != nil {
		b.Fatal(err)
	}
}

// And with a callback each.
func BenchmarkProduce(b *testing.B) {
	x := start(b)
	x.topic("orders", 4, nil)
	p := x.producer(nil)
	r := osclient.Record{Topic: "orders", Value: make([]byte, 100)}
	called := 0
	b.SetBytes(100)
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Produce(x.ctx, r, func(osclient.Result) { called++ }); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Close(x.ctx); err != nil {
		b.Fatal(err)
	}
}
