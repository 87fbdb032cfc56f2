package record

import (
	"bytes"
	stdgzip "compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"pgregory.net/rapid"
)

// compressed returns a batch whose records are the given compressed bytes.
func compressed(codec Codec, payload []byte, count int32) Batch {
	b := Batch{b: append(make([]byte, HeaderSize), payload...)}
	b.putHeader(Spec{Compression: Compression{Codec: codec}}, count-1, count)
	b.seal()
	return b
}

// plainRecords returns n encoded records.
func plainRecords(n int) []byte {
	var w Builder
	for i := range n {
		w.Append(Record{Key: fmt.Appendf(nil, "key %d", i), Value: []byte(strings.Repeat("value ", 30))})
	}
	return w.buf
}

func xerial(blocks ...[]byte) []byte {
	out := append(bytes.Clone(xerialMagic), 0, 0, 0, 1, 0, 0, 0, 1)
	for _, b := range blocks {
		packed := s2.EncodeSnappy(nil, b)
		out = binary.BigEndian.AppendUint32(out, uint32(len(packed)))
		out = append(out, packed...)
	}
	return out
}

func lz4Frame(t *testing.T, plain []byte, options ...lz4.Option) []byte {
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	if err := w.Apply(options...); err != nil {
		t.Fatal(err)
	}
	w.Write(plain)
	w.Close()
	return out.Bytes()
}

func zstdStream(t *testing.T, plain []byte, options ...zstd.EOption) []byte {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, options...)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range plain { // by single bytes: the frame's content size stays unknown
		w.Write([]byte{b})
	}
	w.Close()
	return out.Bytes()
}

// TestFormsThatOthersWrite reads compressed records in the forms that producers
// in other languages choose.
func TestFormsThatOthersWrite(t *testing.T) {
	const count = 200
	plain := plainRecords(count)
	var gz bytes.Buffer
	w, _ := stdgzip.NewWriterLevel(&gz, 1)
	w.Write(plain)
	w.Close()
	for _, test := range []struct {
		name    string
		codec   Codec
		payload []byte
	}{
		{"gzip", Gzip, gz.Bytes()},
		{"snappy, one block", Snappy, s2.EncodeSnappy(nil, plain)},
		{"snappy, a stream of one block", Snappy, xerial(plain)},
		{"snappy, a stream of blocks", Snappy, xerial(plain[:100], plain[100:101], plain[101:])},
		{"snappy, two streams", Snappy, append(xerial(plain[:500]), xerial(plain[500:])...)},
		{"lz4 with blocks of 64 KiB", Lz4, lz4Frame(t, plain, lz4.BlockSizeOption(lz4.Block64Kb))},
		{"lz4 with blocks of 4 MiB, all checksums and the size", Lz4, lz4Frame(t, plain,
			lz4.BlockSizeOption(lz4.Block4Mb), lz4.BlockChecksumOption(true), lz4.ChecksumOption(true), lz4.SizeOption(uint64(len(plain))))},
		{"lz4 without checksums", Lz4, lz4Frame(t, plain, lz4.ChecksumOption(false))},
		{"zstd, size unknown", Zstd, zstdStream(t, plain)},
		{"zstd, large window", Zstd, zstdStream(t, plain, zstd.WithWindowSize(128<<20))},
		{"zstd, small window and checksum", Zstd, zstdStream(t, plain, zstd.WithWindowSize(zstd.MinWindowSize), zstd.WithEncoderCRC(true))},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := compressed(test.codec, test.payload, count)
			var c Codecs
			for range 2 { // the second time with what the first left behind
				if err := b.ValidateDeep(NoLimits, &c); err != nil {
					t.Fatal(err)
				}
				got, err := c.Unpack(b, len(plain))
				if err != nil || !bytes.Equal(got, plain) {
					t.Fatalf("unpacked %d bytes of %d, %v", len(got), len(plain), err)
				}
				if _, err := c.Unpack(b, len(plain)-1); !errors.Is(err, ErrTooLarge) {
					t.Fatalf("one byte over the limit: %v", err)
				}
			}
		})
	}
}

func TestPackedAtEveryLevelIsUnpacked(t *testing.T) {
	var c Codecs // one for all: what one call leaves behind must not reach the next
	rapid.Check(t, func(t *rapid.T) {
		plain := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "plain"), rapid.IntRange(1, 300).Draw(t, "times"))
		how := Compression{Codec(rapid.IntRange(0, 4).Draw(t, "codec")), rapid.IntRange(-10, 30).Draw(t, "level")}
		packed, err := c.Pack([]byte("before"), how, plain)
		if err != nil || !bytes.HasPrefix(packed, []byte("before")) {
			t.Fatalf("packed %q, %v", packed, err)
		}
		again, err := new(Codecs).Pack(nil, how, plain)
		if err != nil || !bytes.Equal(again, packed[len("before"):]) {
			t.Fatalf("%+v: other bytes from a new encoder, %v", how, err)
		}
		got, err := c.Unpack(compressed(how.Codec, again, 1), len(plain))
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%+v: %d bytes of %d, %v", how, len(got), len(plain), err)
		}
	})
}

// TestBombs: little that unpacks to much is refused, and memory is taken in
// proportion to the limit.
func TestBombs(t *testing.T) {
	const limit = 1 << 20
	zeros := make([]byte, 64<<20)
	for codec := Gzip; codec <= Zstd; codec++ {
		packed, err := new(Codecs).Pack(nil, Compression{Codec: codec}, zeros)
		if err != nil {
			t.Fatal(err)
		}
		var c Codecs
		_, err = c.Unpack(compressed(codec, packed, 1), limit)
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %d bytes of bomb: %v", codec, len(packed), err)
		}
		if cap(c.plain) > 2*limit {
			t.Errorf("%s: %d bytes kept", codec, cap(c.plain))
		}
	}
}

func TestGarbageIsRefused(t *testing.T) {
	var c Codecs
	for codec := Gzip; codec <= Zstd; codec++ {
		for _, garbage := range []string{"\xff\xff\xff\xff\xff\xff", "nonsense", "\x82SNAPPY\x00\x00\x00"} {
			if _, err := c.Unpack(compressed(codec, []byte(garbage), 1), 1000); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s %q: %v", codec, garbage, err)
			}
		}
		// A good batch after a bad one.
		if err := build(Spec{Compression: Compression{Codec: codec}}, make([]Record, 3)).ValidateDeep(NoLimits, &c); err != nil {
			t.Errorf("%s after garbage: %v", codec, err)
		}
	}
	if _, err := c.Unpack(compressed(7, nil, 1), 10); !errors.Is(err, ErrCodec) {
		t.Errorf("codec 7: %v", err)
	}
}

func TestTruncatedStreamsAreRefused(t *testing.T) {
	plain := plainRecords(100)
	var c Codecs
	for codec := Gzip; codec <= Zstd; codec++ {
		packed, _ := new(Codecs).Pack(nil, Compression{Codec: codec}, plain)
		for n := range packed {
			got, err := c.Unpack(compressed(codec, packed[:n], 1), 1<<20)
			if err == nil && !bytes.Equal(got, plain) && n > 0 {
				t.Errorf("%s: %d of %d bytes unpack to %d of %d", codec, n, len(packed), len(got), len(plain))
			}
		}
	}
}

func TestCodecNames(t *testing.T) {
	for codec := None; codec <= Zstd; codec++ {
		if got, err := ParseCodec(codec.String()); got != codec || err != nil {
			t.Errorf("%s: %v, %v", codec, got, err)
		}
	}
	if got, err := ParseCodec("uncompressed"); got != None || err != nil {
		t.Errorf("uncompressed: %v, %v", got, err)
	}
	if _, err := ParseCodec("brotli"); !errors.Is(err, ErrCodec) {
		t.Errorf("brotli: %v", err)
	}
}

func TestPoolGivesBack(t *testing.T) {
	var p Pool
	a, b := p.Take(), p.Take()
	if a == b {
		t.Fatal("the same codecs twice")
	}
	p.Give(a)
	if p.Take() != a {
		t.Error("what was given was not taken")
	}
}
