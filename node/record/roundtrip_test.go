package record

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
)

func TestWhatIsBuiltIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records, spec := drawRecords(t), drawSpec(t)
		b := build(spec, records)
		view, size, err := View(append(bytes.Clone(b.Bytes()), "more"...))
		if err != nil || size != b.Size() || !bytes.Equal(view.Bytes(), b.Bytes()) {
			t.Fatalf("view of %v: %v, %d bytes, %v", b, view, size, err)
		}
		if err := view.CheckCRC(); err != nil {
			t.Fatal(err)
		}
		got, err := read(view, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for i := range records {
			records[i].Offset = spec.BaseOffset + kafka.Offset(i)
			if spec.TimestampType == LogAppendTime {
				records[i].Timestamp = spec.AppendTime
			}
		}
		if diff := cmp.Diff(records, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSizesAreKnownBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w Builder
		for _, r := range drawRecords(t) {
			want := w.SizeWith(r)
			w.Append(r)
			if w.Size() != want {
				t.Fatalf("size %d after the record, %d foretold", w.Size(), want)
			}
		}
		b, err := w.Build(Spec{}, nil)
		if err != nil || b.Size() != w.Size() {
			t.Fatalf("batch of %d bytes (%v), %d foretold", b.Size(), err, w.Size())
		}
	})
}

// TestOthersReadWhatIsBuilt compares with the encoding of franz-go's kmsg.
func TestOthersReadWhatIsBuilt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records, spec := drawRecords(t), drawSpec(t)
		spec.Compression = Compression{}
		b := build(spec, records)
		var theirs kmsg.RecordBatch
		if err := theirs.ReadFrom(b.Bytes()); err != nil {
			t.Fatal(err)
		}
		if again := theirs.AppendTo(nil); !bytes.Equal(again, b.Bytes()) {
			t.Fatalf("kmsg writes %x\nwe wrote   %x", again, b.Bytes())
		}
		compareHeader(t, b, theirs)
		var payload []byte
		for i, r := range records {
			payload = theirRecord(theirs, int32(i), r).AppendTo(payload)
		}
		if !bytes.Equal(payload, b.payload()) {
			t.Fatalf("kmsg writes %x\nwe wrote   %x", payload, b.payload())
		}
	})
}

func compareHeader(t *rapid.T, b Batch, k kmsg.RecordBatch) {
	ours := []int64{int64(b.BaseOffset()), int64(b.LeaderEpoch()), int64(b.CRC()), int64(b.Attributes()),
		int64(b.LastOffsetDelta()), int64(b.FirstTimestamp()), int64(b.MaxTimestamp()), int64(b.ProducerID()),
		int64(b.ProducerEpoch()), int64(b.BaseSequence()), int64(b.Count())}
	theirs := []int64{k.FirstOffset, int64(k.PartitionLeaderEpoch), int64(uint32(k.CRC)), int64(k.Attributes),
		int64(k.LastOffsetDelta), k.FirstTimestamp, k.MaxTimestamp, k.ProducerID,
		int64(k.ProducerEpoch), int64(k.FirstSequence), int64(k.NumRecords)}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Fatal(diff)
	}
}

func theirRecord(k kmsg.RecordBatch, i int32, r Record) *kmsg.Record {
	out := &kmsg.Record{TimestampDelta64: int64(r.Timestamp) - k.FirstTimestamp, OffsetDelta: i, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
	}
	// The length counts what follows itself, one byte of it in the length 0.
	out.Length = int32(len(out.AppendTo(nil)) - 1)
	return out
}

func TestAssignLeavesTheChecksumAlone(t *testing.T) {
	b := build(Spec{}, []Record{{Value: []byte("a")}, {Value: []byte("b")}})
	b.Assign(900, 7)
	if b.BaseOffset() != 900 || b.LastOffset() != 901 || b.EndOffset() != 902 || b.LeaderEpoch() != 7 {
		t.Errorf("after Assign: %v", b)
	}
	if err := b.CheckCRC(); err != nil {
		t.Error(err)
	}
}

func TestLogAppendTimeDatesEveryRecord(t *testing.T) {
	b := build(Spec{}, []Record{{Timestamp: 5}, {Timestamp: 9}})
	b.SetMaxTimestamp(LogAppendTime, 1234)
	if err := b.CheckCRC(); err != nil {
		t.Fatal(err)
	}
	records, err := read(b, 1000)
	if err != nil || records[0].Timestamp != 1234 || records[1].Timestamp != 1234 {
		t.Errorf("records %+v, %v", records, err)
	}
	b.SetMaxTimestamp(CreateTime, 9)
	if records, _ = read(b, 1000); records[0].Timestamp != 5 || b.CheckCRC() != nil {
		t.Errorf("records %+v after CreateTime again", records)
	}
}

func TestLastSequenceWraps(t *testing.T) {
	b := build(Spec{Producer: &Producer{1, 0, 1<<31 - 2}}, make([]Record, 4))
	if got := b.LastSequence(); got != 1 {
		t.Errorf("last sequence %d, want 1", got)
	}
	if got := build(Spec{}, make([]Record, 4)).LastSequence(); got != kafka.NoSequence {
		t.Errorf("last sequence %d without a producer", got)
	}
}

func TestControlBatch(t *testing.T) {
	want := Marker{Commit, 42}
	b := BuildControl(Producer{ID: 9, Epoch: 3}, want, 1000)
	if b.Attributes() != 0x30 || b.ProducerID() != 9 || b.ProducerEpoch() != 3 || b.BaseSequence() != kafka.NoSequence {
		t.Errorf("batch %v, attributes %#x", b, b.Attributes())
	}
	if err := b.CheckCRC(); err != nil {
		t.Error(err)
	}
	if got, err := ParseControl(b); got != want || err != nil {
		t.Errorf("marker %+v, %v", got, err)
	}
	it := b.Records(1000)
	it.Next()
	var key kmsg.ControlRecordKey
	var value kmsg.EndTxnMarker
	if err := key.ReadFrom(it.Key()); err != nil || key.Type != kmsg.ControlRecordKeyTypeCommit {
		t.Errorf("kmsg reads key %+v, %v", key, err)
	}
	if err := value.ReadFrom(it.Value()); err != nil || value.CoordinatorEpoch != 42 {
		t.Errorf("kmsg reads value %+v, %v", value, err)
	}
}

// TestRewriteKeepsOffsetsAndSequences rewrites with a random subset.
func TestRewriteKeepsOffsetsAndSequences(t *testing.T) {
	var c Codecs
	rapid.Check(t, func(t *rapid.T) {
		original := build(drawSpec(t), drawRecords(t))
		horizon := rapid.SampledFrom([]kafka.Timestamp{kafka.NoTimestamp, 500}).Draw(t, "horizon")
		all, _ := read(original, 1<<20)
		var rw Rewrite
		rw.Start(original)
		if horizon != kafka.NoTimestamp {
			rw.SetHorizon(horizon)
		}
		var want []Record
		for _, r := range all {
			if rapid.Bool().Draw(t, "keep") {
				rw.Keep(r)
				want = append(want, r)
			}
		}
		out, err := rw.AppendTo(nil, &c)
		if err != nil {
			t.Fatal(err)
		}
		b, size, err := View(out)
		if err != nil || size != len(out) || b.CheckCRC() != nil {
			t.Fatalf("rewritten batch %v: %d of %d bytes, %v, %v", b, size, len(out), err, b.CheckCRC())
		}
		got, err := read(b, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if b.BaseOffset() != original.BaseOffset() || b.LastOffset() != original.LastOffset() ||
			b.BaseSequence() != original.BaseSequence() || b.LastSequence() != original.LastSequence() ||
			b.LeaderEpoch() != original.LeaderEpoch() || b.ProducerID() != original.ProducerID() {
			t.Fatalf("%v became %v", original, b)
		}
		if h, set := b.DeleteHorizon(); set != (horizon != kafka.NoTimestamp) || set && h != horizon {
			t.Fatalf("delete horizon %d %t, want %d", h, set, horizon)
		}
	})
}
