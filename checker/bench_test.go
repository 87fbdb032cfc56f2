package checker

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klammlog/klamm/checker/history"
)

// What judging costs per operation of a client, all judges together. Histories
// are those of goodRun: about half of the operations are sends, the others polls
// of one to four records and lookups; all is read twice or more.
func BenchmarkJudge(b *testing.B) {
	for _, steps := range []int{10_000, 100_000, 1_000_000} {
		h, d := benchRun(steps)
		b.Run(fmt.Sprintf("operations=%d", h.Operations()), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r := Judge(h, d); r.Status() == Violated {
					b.Fatalf("bad:\n%v", &r)
				}
			}
			perOp := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(h.Operations())
			b.ReportMetric(perOp, "ns/operation")
			b.ReportMetric(1e9/perOp, "operations/s")
		})
	}
}

// Each judge alone, with the index made before.
func BenchmarkEach(b *testing.B) {
	h, d := benchRun(100_000)
	b.Run("index", func(b *testing.B) {
		for b.Loop() {
			newIndex(h, d)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(h.Operations()), "ns/operation")
	})
	ix := newIndex(h, d)
	for i := range judges {
		b.Run(string(judges[i].guarantee), func(b *testing.B) {
			for b.Loop() {
				judges[i].decide(ix)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(h.Operations()), "ns/operation")
		})
	}
}

func BenchmarkJSONL(b *testing.B) {
	h, _ := benchRun(100_000)
	var text bytes.Buffer
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			text.Reset()
			if err := history.Encode(&text, h); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(text.Len()))
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(h.Operations()), "ns/operation")
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := history.Decode(bytes.NewReader(text.Bytes()), history.DefaultLimits); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(text.Len()))
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(h.Operations()), "ns/operation")
	})
}

func benchRun(steps int) (*history.History, Demands) {
	rng := rand.New(rand.NewPCG(1, 7))
	s, d := goodRun(rng, runSize{partitions: 6, producers: 6, consumers: 12, steps: steps,
		delivery: []history.Delivery{history.Idempotent, history.OneInFlight}})
	return s.build(), d
}
