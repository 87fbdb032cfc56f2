package record

import (
	"fmt"
	"testing"
)

// benchBatch returns a batch of about 16 KiB of values of the given size.
func benchBatch(size int, codec Codec) Batch {
	records := make([]Record, max(1, 16384/size))
	for i := range records {
		value := make([]byte, size)
		for j := range value {
			value[j] = "abcdefghijklmnop"[(i*7+j*j)%16]
		}
		records[i] = Record{Timestamp: 1000, Value: value}
	}
	return build(Spec{Compression: Compression{Codec: codec}}, records)
}

func perRecord(b *testing.B, n int32) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
}

func BenchmarkViewAndValidate(b *testing.B) {
	for _, size := range []int{100, 1024, 16384} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			raw := benchBatch(size, None).Bytes()
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			var count int32
			for b.Loop() {
				batch, _, err := View(raw)
				if err != nil || batch.Accept(NoLimits) != nil {
					b.Fatal("refused")
				}
				batch.Assign(5, 1)
				count = batch.Count()
			}
			perRecord(b, count)
		})
	}
}

func BenchmarkIterate(b *testing.B) {
	for codec := None; codec <= Zstd; codec++ {
		b.Run(codec.String(), func(b *testing.B) {
			batch := benchBatch(100, codec)
			b.ReportAllocs()
			var c Codecs
			for b.Loop() {
				for it := c.Records(batch, 1<<20); it.Next(); {
					_ = it.Record()
				}
			}
			perRecord(b, batch.Count())
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	for codec := None; codec <= Zstd; codec++ {
		b.Run(codec.String(), func(b *testing.B) {
			batch := benchBatch(100, codec)
			records, err := read(batch, 1<<20)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var c Codecs
			var w Builder
			for b.Loop() {
				w.Reset()
				for _, r := range records {
					w.Append(r)
				}
				if _, err := w.Build(Spec{Compression: Compression{Codec: codec}}, &c); err != nil {
					b.Fatal(err)
				}
			}
			perRecord(b, batch.Count())
		})
	}
}
