package history

import (
	"bytes"
	"runtime"
	"testing"
)

// What reading a history costs: for each send its two lines, and its record in one
// of a hundred records.
func BenchmarkDecodeEvents(b *testing.B) {
	const sends = 200_000
	var w EventWriter
	acks, delivery := AcksAll, Idempotent
	if err := w.Begin(File{Sends: SendDefaults{&acks, &delivery}}); err != nil {
		b.Fatal(err)
	}
	at := Partition{"orders", 0}
	var records []PolledRecord
	for i := range Offset(sends) {
		now := Instant(i) * 1000
		id := EventID{"p1", int64(i) + 1, now}
		w.Send(id, at, []byte("key"), Send{Record: RecordID(i) + 1, Digest: Digest(i * 7919), Acks: AcksAll, Delivery: Idempotent})
		id.At += 10
		w.Acked(id, i, 1_700_000_000_000)
		records = append(records, PolledRecord{at, Read{i, RecordID(i) + 1, Digest(i * 7919), 1}})
		if len(records) == 100 {
			c := EventID{"c1", 0, now}
			w.Poll(c)
			c.At += 20
			w.Polled(c, records)
			records = records[:0]
		}
	}
	text := w.Take(nil)
	b.SetBytes(int64(len(text)))
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		h, err := Decode(bytes.NewReader(text), DefaultLimits)
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(h)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sends, "ns/send")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/sends, "B/send")
	b.ReportMetric(float64(len(text))/sends, "text-B/send")
}
