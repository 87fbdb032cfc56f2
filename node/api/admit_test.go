package api

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/osenv"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// inWorld runs f as a task of a world without disks.
func inWorld(t *testing.T, f func(w *env.World)) {
	t.Helper()
	host, err := osenv.New(osenv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := host.Do(ctx, func() error { f(host.World()); return nil }); err != nil {
		t.Fatal(err)
	}
}

// await looks again and again until something is so.
func await(w *env.World, so func() bool) {
	for !so() {
		_ = w.Sleep(time.Millisecond)
	}
}

func TestTheBudgetServesFirstComeFirst(t *testing.T) {
	inWorld(t, func(w *env.World) {
		b := &budget{w: w, limit: 10}
		var order []string
		asks := env.NewGroup(w, "asks")
		ask := func(name string, n int64) env.Task {
			task := asks.Go(name, func() {
				if got, err := b.take(n); err == nil {
					order = append(order, name)
					b.give(got)
				} else {
					order = append(order, name+" canceled")
				}
			})
			waiting := len(b.queue)
			await(w, func() bool { return len(b.queue) > waiting })
			return task
		}
		if got, err := b.take(6); got != 6 || err != nil {
			t.Fatalf("took %d, %v", got, err)
		}
		ask("large", 8)
		given := ask("given up", 3)
		ask("small", 4) // fits, and still waits for its turn
		if len(order) != 0 {
			t.Fatalf("let in early: %v", order)
		}
		given.Cancel()
		await(w, func() bool { return len(order) == 1 })
		b.give(6)
		if err := asks.Wait(kafka.Never); err != nil {
			t.Fatal(err)
		}
		if got := order; len(got) != 3 || got[0] != "given up canceled" || got[1] != "large" || got[2] != "small" {
			t.Errorf("order %v", got)
		}
		if got, err := b.take(1000); got != 10 || err != nil {
			t.Errorf("more than the limit: %d, %v", got, err)
		}
		b.give(10)
		if b.used != 0 || len(b.queue) != 0 {
			t.Errorf("%d bytes used, %d asks left", b.used, len(b.queue))
		}
	})
}

// As long as anything is free somebody is let in, however much he asks for, and then nobody
// until something is free again: a request as large as the limit waits for no quiet moment.
func TestTheBudgetOfRequestsLendsToOneAtATime(t *testing.T) {
	inWorld(t, func(w *env.World) {
		b := &budget{w: w, limit: 10, lends: true}
		holder, _ := b.take(1) // somebody whose answer takes minutes
		large, err := b.take(1000)
		if err != nil || large != 10 || b.used != 11 || b.check() != nil {
			t.Fatalf("took %d, %v, %d bytes used: %v", large, err, b.used, b.check())
		}
		in := false
		asks := env.NewGroup(w, "asks")
		asks.Go("ask", func() {
			n, err := b.take(1)
			in = err == nil
			b.give(n)
		})
		await(w, func() bool { return len(b.queue) == 1 })
		b.give(holder)
		w.Offload(func() {})
		if in {
			t.Error("let in with nothing free")
		}
		b.give(large)
		if err := asks.Wait(kafka.Never); err != nil || !in || b.used != 0 || b.check() != nil {
			t.Errorf("let in: %v, %v, %d bytes used: %v", in, err, b.used, b.check())
		}
		b.used = 12
		if b.check() == nil {
			t.Error("more is used than was lent, and the check is content")
		}
	})
}

func TestNothingIsLetInWhileMoreIsChargedThanThereIs(t *testing.T) {
	inWorld(t, func(w *env.World) {
		b := &budget{w: w, limit: 10}
		got, err := b.take(4)
		if err != nil {
			t.Fatal(err)
		}
		b.charge(20)
		if err := b.check(); err != nil || b.used != 24 {
			t.Errorf("%d bytes used: %v", b.used, err)
		}
		in := false
		asks := env.NewGroup(w, "asks")
		asks.Go("ask", func() {
			n, err := b.take(3)
			in = err == nil
			b.give(n)
		})
		await(w, func() bool { return len(b.queue) == 1 })
		b.discharge(13)
		w.Offload(func() {})
		if in {
			t.Error("let in with 11 bytes used of 10")
		}
		b.discharge(7)
		if err := asks.Wait(kafka.Never); err != nil || !in {
			t.Errorf("let in: %v, %v", in, err)
		}
		b.give(got)
		if b.used != 0 || b.over != 0 {
			t.Errorf("%d bytes used, %d charged", b.used, b.over)
		}
	})
}

func TestOnlySoManyConnectionsReadFarAhead(t *testing.T) {
	busy := maxBusy - 1
	var readers []*reader
	for range 2 {
		r := &reader{conn: &dripping{b: make([]byte, 1<<20)}, pool: &pool{}, busy: &busy}
		for range 3 { // full buffers ask for larger ones
			if err := r.fill(); err != nil {
				t.Fatal(err)
			}
		}
		readers = append(readers, r)
	}
	if len(readers[0].buf) != busyAhead || len(readers[1].buf) != quietAhead {
		t.Errorf("buffers of %d and %d bytes", len(readers[0].buf), len(readers[1].buf))
	}
	readers[0].release()
	readers[1].release()
	if busy != maxBusy-1 {
		t.Errorf("%d connections are counted, want %d", busy, maxBusy-1)
	}
}

func TestAProduceRequestHasAsManyPartitionsAsFitIntoIt(t *testing.T) {
	request := func(partitions int, records []byte) []byte {
		q := kmsg.NewPtrProduceRequest()
		q.SetVersion(9)
		q.Topics = []kmsg.ProduceRequestTopic{{Topic: "a"}}
		for range partitions {
			q.Topics[0].Partitions = append(q.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Records: records})
		}
		return q.AppendTo(nil)
	}
	for _, c := range []struct {
		name       string
		partitions int
		bytes      int
		ok         bool
	}{
		{"a few of nothing", fewProduceItems, 0, true},
		{"many of nothing", 1000, 0, false},
		{"many of the smallest batches there are", 1000, 68, true},
		{"more than there may be", maxProduceItems + 1, 68, false},
	} {
		_, err := decodeProduce(request(c.partitions, make([]byte, c.bytes)), 9)
		if ok := err == nil; ok != c.ok || !ok && !errors.Is(err, errFrame) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestTheBudgetNeverGivesMoreThanItHas(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.Int64Range(1, 15), 1, 30).Draw(rt, "sizes")
		lends := rapid.Bool().Draw(rt, "lends")
		inWorld(t, func(w *env.World) {
			b := &budget{w: w, limit: 10, lends: lends}
			asks := env.NewGroup(w, "asks")
			for _, n := range sizes {
				asks.Go("ask", func() {
					got, err := b.take(n)
					most := b.limit
					if lends {
						most += min(slices.Max(sizes), b.limit) - 1
					}
					if err != nil || b.used > most || b.check() != nil {
						rt.Errorf("took %d of %d, %d used: %v, %v", got, n, b.used, err, b.check())
					}
					w.Offload(func() {})
					b.give(got)
				})
			}
			if err := asks.Wait(kafka.Never); err != nil || b.used != 0 {
				rt.Errorf("%d bytes used at the end: %v", b.used, err)
			}
		})
	})
}

func TestThePoolGivesWhatWasAskedForAndKeepsABound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var p pool
		var out [][]byte
		for range rapid.IntRange(1, 50).Draw(rt, "steps") {
			n := rapid.IntRange(0, 5<<20).Draw(rt, "n")
			b := p.get(n)
			if len(b) != n {
				rt.Fatalf("%d bytes, want %d", len(b), n)
			}
			for _, other := range out {
				if cap(other) > 0 && cap(b) > 0 && &other[:1][0] == &b[:1][0] {
					rt.Fatal("one buffer was given twice")
				}
			}
			if out = append(out, b); rapid.Bool().Draw(rt, "put") {
				p.put(out[0])
				out = out[1:]
			}
			if p.kept > poolLimit {
				rt.Fatalf("%d bytes kept", p.kept)
			}
		}
	})
}

// A dripping connection yields its bytes in pieces of drawn sizes.
type dripping struct {
	env.Conn
	b      []byte
	pieces []int
}

func (d *dripping) SetReadDeadline(kafka.Instant) {}
func (d *dripping) PeerAddress() string           { return "fuzz:1" }

func (d *dripping) Read(p []byte) (int, error) {
	if len(d.b) == 0 {
		return 0, io.EOF
	}
	n := len(d.b)
	if len(d.pieces) > 0 {
		n = d.pieces[0]
		d.pieces = d.pieces[1:]
	}
	n = copy(p, d.b[:min(n, len(d.b))])
	d.b = d.b[n:]
	return n, nil
}

func TestFramesDoNotDependOnHowTheirBytesArrive(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(minFrame, 200_000), 1, 6).Draw(rt, "sizes")
		pieces := rapid.SliceOfN(rapid.IntRange(1, 100_000), 0, 20).Draw(rt, "pieces")
		var sent []byte
		for i, n := range sizes {
			sent = append(sent, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
			for j := range n {
				sent = append(sent, byte(i+j))
			}
		}
		r := reader{conn: &dripping{b: sent, pieces: pieces}, pool: &pool{}, busy: new(int)}
		for i, want := range sizes {
			n, err := r.size(1 << 20)
			if err != nil || n != want {
				rt.Fatalf("frame %d: size %d, want %d: %v", i, n, want, err)
			}
			b := make([]byte, n)
			if err := r.full(b); err != nil {
				rt.Fatal(err)
			}
			for j := range b {
				if b[j] != byte(i+j) {
					rt.Fatalf("frame %d byte %d is %d", i, j, b[j])
				}
			}
		}
		if _, err := r.size(1 << 20); !errors.Is(err, io.EOF) {
			rt.Fatalf("at the end: %v", err)
		}
	})
}
