package record

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
)

// What passes quickly would have passed slowly, with the same largest timestamp:
// for sound batches, and for batches with bytes changed.
func TestQuicklyAgreesWithTheSlowCheck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := drawSpec(t)
		spec.Compression = Compression{}
		b := build(spec, drawRecords(t))
		payload := b.payload()
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			payload[rapid.IntRange(0, len(payload)-1).Draw(t, "at")] = byte(rapid.OneOf(rapid.IntRange(0, 8), rapid.IntRange(0, 255)).Draw(t, "to"))
		}
		l := NoLimits
		l.Keys = rapid.SampledFrom([]Keys{KeysOptional, KeysRequired}).Draw(t, "keys")
		if rapid.Bool().Draw(t, "bounded") {
			l.Now, l.BeforeMax, l.AfterMax = 2000, 1900, 500
		}
		largest, ok := b.quickly(l)
		if !ok {
			return // the slow one decides
		}
		want, err := b.checkRecords(b.iterate(b.payload()), l)
		if err != nil || largest != want {
			t.Fatalf("quickly: largest timestamp %d; slowly: %d, %v", largest, want, err)
		}
	})
}

// A quick check that leaves everything to the slow one would agree with it.
func TestQuicklyPassesWhatIsUsual(t *testing.T) {
	for _, size := range []int{0, 1, 63, 64, 100, 1024, 8000} {
		var w Builder
		for i := range 300 {
			w.Append(Record{Timestamp: kafka.Timestamp(5000 - i), Key: make([]byte, size%70), Value: make([]byte, size)})
		}
		w.Append(Record{Timestamp: 7000})
		b, err := w.Build(Spec{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if largest, ok := b.quickly(NoLimits); !ok || largest != 7000 {
			t.Errorf("values of %d bytes: largest timestamp %d, passed %t; want 7000, passed", size, largest, ok)
		}
	}
}
