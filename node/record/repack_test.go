package record

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
)

func TestARepackedBatchDiffersInItsCodecOnly(t *testing.T) {
	var c Codecs
	rapid.Check(t, func(t *rapid.T) {
		spec := drawSpec(t)
		spec.TimestampType = CreateTime
		b := build(spec, drawRecords(t))
		before := bytes.Clone(b.Bytes())
		to := Codec(rapid.IntRange(0, 4).Draw(t, "to"))
		limits := NoLimits
		limits.Now, limits.Timestamps = 5000, TimestampType(rapid.IntRange(0, 1).Draw(t, "dated by"))
		got, err := b.Repack(Compression{Codec: to, Level: rapid.IntRange(-1, 9).Draw(t, "to level")}, limits, &c)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, b.Bytes()) {
			t.Fatal("the original has changed")
		}
		if got.Compression() != to || got.TimestampType() != limits.Timestamps {
			t.Fatalf("%s, dated %v", got, got.TimestampType())
		}
		if err := got.CheckCRC(); err != nil {
			t.Fatal(err)
		}
		back, err := got.Repack(Compression{Codec: None}, NoLimits, &c)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := b.Repack(Compression{Codec: None}, limits, &c)
		if err != nil {
			t.Fatal(err)
		}
		if limits.Timestamps == LogAppendTime {
			if got.MaxTimestamp() != limits.Now {
				t.Fatalf("largest timestamp %d", got.MaxTimestamp())
			}
			return // on the way back the records' own timestamps count again
		}
		if diff := cmp.Diff(plain.Bytes(), back.Bytes()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestWhatIsRepackedIsChecked(t *testing.T) {
	var c Codecs
	records := []Record{{Timestamp: 1, Key: []byte("a"), Value: bytes.Repeat([]byte("x"), 1000)}, {Timestamp: 2}}
	zipped := build(Spec{Compression: Compression{Codec: Gzip}}, records)
	limits := NoLimits
	limits.MaxBytes = 500
	if _, err := zipped.Repack(Compression{Codec: Zstd}, limits, &c); err != nil {
		t.Errorf("small enough: %v", err)
	}
	if _, err := zipped.Repack(Compression{Codec: None}, limits, &c); !errors.Is(err, ErrTooLarge) {
		t.Errorf("unpacked it is too large: %v", err)
	}
	limits.MaxBytes = HeaderSize
	if _, err := zipped.Repack(Compression{Codec: Lz4}, limits, &c); !errors.Is(err, ErrTooLarge) {
		t.Errorf("packed it is too large: %v", err)
	}
	limits = NoLimits
	limits.Keys = KeysRequired
	var refused *RecordsError
	if _, err := zipped.Repack(Compression{Codec: Lz4}, limits, &c); !errors.As(err, &refused) || refused.Records[0].Index != 1 {
		t.Errorf("a record without a key: %v", err)
	}
	if _, err := zipped.Repack(Compression{Codec: 9}, NoLimits, &c); !errors.Is(err, ErrCodec) {
		t.Errorf("a codec that there is not: %v", err)
	}
	late := build(Spec{}, []Record{{Timestamp: kafka.Timestamp(9)}})
	late.SetMaxTimestamp(CreateTime, 3) // as some producers send it
	got, err := late.Repack(Compression{Codec: Gzip}, NoLimits, &c)
	if err != nil || got.MaxTimestamp() != 9 {
		t.Errorf("the true largest timestamp: %d %v", got.MaxTimestamp(), err)
	}
}
