package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/klammlog/klamm/node/kafka"
)

func TestValidatePassesWhatIsBuilt(t *testing.T) {
	var c Codecs
	rapid.Check(t, func(t *rapid.T) {
		spec := drawSpec(t)
		spec.TimestampType = CreateTime
		b := build(spec, drawRecords(t))
		before := bytes.Clone(b.Bytes())
		if err := b.Validate(NoLimits); err != nil {
			t.Fatal(err)
		}
		if err := b.ValidateDeep(NoLimits, &c); err != nil {
			t.Fatal(err)
		}
		if err := b.Accept(NoLimits); err != nil || !bytes.Equal(before, b.Bytes()) {
			t.Fatalf("accepting changed a sound batch: %v", err)
		}
	})
}

// patch16, patch32 and patch64 change a field of the header.
func patch16(at int, v int16) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint16(b[at:], uint16(v)) }
}

func patch32(at int, v int32) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint32(b[at:], uint32(v)) }
}

func patch64(at int, v int64) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint64(b[at:], uint64(v)) }
}

// TestValidateRefuses changes one thing at a time in a batch of three records
// of an idempotent producer, and makes the checksum right again.
func TestValidateRefuses(t *testing.T) {
	limits := NoLimits
	limits.Now, limits.BeforeMax, limits.AfterMax, limits.MaxBytes = 10_000, 5_000, 1_000, 200
	for _, test := range []struct {
		name  string
		patch func(b []byte)
		want  error
	}{
		{"nothing", func([]byte) {}, nil},
		{"a codec that does not exist", patch16(attributesAt, 5), ErrCodec},
		{"a control batch", patch16(attributesAt, controlBit|transactionalBit), ErrInvalid},
		{"a delete horizon", patch16(attributesAt, deleteHorizonBit), ErrInvalid},
		{"an attribute nobody knows", patch16(attributesAt, 0x80), ErrInvalid},
		{"the sign bit of the attributes", patch16(attributesAt, math.MinInt16), ErrInvalid},
		{"LogAppendTime", patch16(attributesAt, logAppendTimeBit), ErrTimestamp},
		{"no records", patch32(countAt, 0), ErrInvalid},
		{"a negative count", patch32(countAt, -3), ErrInvalid},
		{"fewer records than there are", func(b []byte) { patch32(countAt, 2)(b); patch32(lastOffsetDeltaAt, 1)(b) }, ErrInvalid},
		{"more records than there are", func(b []byte) { patch32(countAt, 4)(b); patch32(lastOffsetDeltaAt, 3)(b) }, ErrInvalid},
		{"far more records than fit", func(b []byte) { patch32(countAt, math.MaxInt32)(b); patch32(lastOffsetDeltaAt, math.MaxInt32-1)(b) }, ErrInvalid},
		{"a last offset that skips", patch32(lastOffsetDeltaAt, 3), ErrInvalid},
		{"a negative base offset", patch64(baseOffsetAt, -1), ErrInvalid},
		{"a base offset at the end of numbers", patch64(baseOffsetAt, math.MaxInt64), ErrInvalid},
		{"a producer below none", patch64(producerIDAt, -2), ErrInvalid},
		{"a producer without a sequence", patch32(baseSequenceAt, -1), ErrInvalid},
		{"a producer without an epoch", patch16(producerEpochAt, -1), ErrInvalid},
		{"a transaction without a producer", func(b []byte) { patch64(producerIDAt, -1)(b); patch16(attributesAt, transactionalBit)(b) }, ErrInvalid},
		{"timestamps too old", patch64(baseTimestampAt, 4_000), ErrTimestamp},
		{"timestamps of the future", patch64(maxTimestampAt, 11_001), ErrTimestamp},
		{"timestamps before 1970", patch64(maxTimestampAt, -2), ErrTimestamp},
		{"the smallest timestamp", patch64(maxTimestampAt, math.MinInt64), ErrTimestamp},
		{"a record that is out of order", func(b []byte) { b[HeaderSize+3] = 2 }, ErrInvalid},
		{"a record that is too long", func(b []byte) { b[HeaderSize] = 0x7e }, ErrInvalid},
		{"a record that is too short", func(b []byte) { b[HeaderSize] = 0x0a }, ErrInvalid},
		{"a key that leaves its record", func(b []byte) { b[HeaderSize+4] = 0x40 }, ErrInvalid},
		{"a key of a negative length", func(b []byte) { b[HeaderSize+4] = 0x03 }, ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := build(Spec{Producer: &Producer{7, 0, 0}}, []Record{
				{Timestamp: 9_000, Key: []byte("k"), Value: []byte("v")},
				{Timestamp: 10_000, Key: []byte("k"), Value: []byte("v")},
				{Timestamp: 9_500, Key: []byte("k")}})
			test.patch(b.Bytes())
			b.seal()
			if err := b.Validate(limits); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

func TestValidateRefusesEveryFlippedBit(t *testing.T) {
	b := build(Spec{Producer: &Producer{7, 0, 0}}, []Record{{Key: []byte("key"), Value: []byte("value")}, {}})
	for bit := range 8 * b.Size() {
		flipped := bytes.Clone(b.Bytes())
		flipped[bit/8] ^= 1 << (bit % 8)
		view, _, err := View(flipped)
		if err == nil {
			err = view.Validate(NoLimits)
		}
		unchecked := bit/8 < lengthAt || bit/8 >= leaderEpochAt && bit/8 < MagicAt
		if err == nil && !unchecked {
			t.Errorf("bit %d of byte %d flipped, and nobody minds", bit%8, bit/8)
		}
	}
}

func TestViewNeedsAllOfTheBatch(t *testing.T) {
	b := build(Spec{}, []Record{{Value: []byte("abc")}}).Bytes()
	for n := range b {
		if _, _, err := View(b[:n]); !errors.Is(err, ErrShort) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	for _, length := range []int32{-1, 0, 48, math.MinInt32, math.MaxInt32} {
		bad := bytes.Clone(b)
		patch32(lengthAt, length)(bad)
		if _, _, err := View(bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("length %d: %v", length, err)
		}
	}
	bad := bytes.Clone(b)
	bad[MagicAt] = 1
	if _, _, err := View(bad); !errors.Is(err, ErrMagic) {
		t.Errorf("magic 1: %v", err)
	}
}

func TestSingleRefusesMore(t *testing.T) {
	b := build(Spec{}, []Record{{Value: []byte("abc")}}).Bytes()
	if _, err := Single(b); err != nil {
		t.Error(err)
	}
	for _, more := range [][]byte{append(bytes.Clone(b), b...), append(bytes.Clone(b), 0), {}} {
		if _, err := Single(more); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d bytes: %v", len(more), err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	b := build(Spec{}, []Record{{Value: []byte("abc")}})
	limits := NoLimits
	limits.MaxBytes = b.Size()
	if err := b.Validate(limits); err != nil {
		t.Error(err)
	}
	limits.MaxBytes--
	if err := b.Validate(limits); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

func TestKeysRequired(t *testing.T) {
	limits := NoLimits
	limits.Keys = KeysRequired
	records := []Record{{Key: []byte("a")}, {}, {Key: []byte{}}, {}}
	want := &RecordsError{ErrInvalid, []RecordError{
		{1, "compacted topic needs a key"}, {3, "compacted topic needs a key"}}}
	for codec := None; codec <= Zstd; codec++ {
		b := build(Spec{Compression: Compression{Codec: codec}}, records)
		err := b.Validate(limits)
		if b.NeedsDeep(limits) != (codec != None) {
			t.Errorf("%s: NeedsDeep is %t", codec, b.NeedsDeep(limits))
		}
		if b.NeedsDeep(limits) {
			if err != nil {
				t.Errorf("%s: %v", codec, err)
			}
			err = b.ValidateDeep(limits, new(Codecs))
		}
		var got *RecordsError
		if !errors.As(err, &got) {
			t.Fatalf("%s: %v", codec, err)
		}
		if !errors.Is(got, want.Kind) || !cmp.Equal(got.Records, want.Records) {
			t.Errorf("%s: %v", codec, got)
		}
	}
}

func TestTimestampsOfSingleRecords(t *testing.T) {
	limits := NoLimits
	limits.Now, limits.AfterMax = 1_000, 500
	// The header says nothing of the record in the middle.
	b := build(Spec{}, []Record{{Timestamp: 900}, {Timestamp: 1_501}, {Timestamp: kafka.NoTimestamp}})
	b.SetMaxTimestamp(CreateTime, 900)
	var got *RecordsError
	if err := b.Validate(limits); !errors.As(err, &got) || got.Kind != ErrTimestamp || got.Records[0].Index != 1 {
		t.Errorf("error %v", err)
	}
	limits.Timestamps = LogAppendTime
	if err := b.Validate(limits); err != nil {
		t.Errorf("under LogAppendTime the producer's timestamps do not count: %v", err)
	}
}

func TestAcceptCorrectsTheLargestTimestamp(t *testing.T) {
	b := build(Spec{}, []Record{{Timestamp: 500}, {Timestamp: 900}, {Timestamp: 100}})
	b.SetMaxTimestamp(CreateTime, 100)
	if err := b.Accept(NoLimits); err != nil || b.MaxTimestamp() != 900 || b.CheckCRC() != nil {
		t.Errorf("accepted as %d, %v", b.MaxTimestamp(), err)
	}
	limits := NoLimits
	limits.Timestamps, limits.Now = LogAppendTime, 4_000
	if err := b.Accept(limits); err != nil || b.MaxTimestamp() != 4_000 || b.TimestampType() != LogAppendTime || b.CheckCRC() != nil {
		t.Errorf("accepted as %d %s, %v", b.MaxTimestamp(), b.TimestampType(), err)
	}
}

func TestViewAndValidateAllocateNothing(t *testing.T) {
	raw := build(Spec{}, []Record{{Timestamp: 900, Key: []byte("a"), Value: make([]byte, 500)}, {Timestamp: 901}}).Bytes()
	if n := testing.AllocsPerRun(100, func() {
		b, _, err := View(raw)
		if err != nil || b.Accept(NoLimits) != nil {
			t.Fatal("refused")
		}
		for it := b.Records(1 << 20); it.Next(); {
			_ = it.Record()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
