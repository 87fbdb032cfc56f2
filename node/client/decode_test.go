package client

import (
	"bytes"
	"errors"
	"testing"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

func build(t testing.TB, codec record.Codec, base kafka.Offset, values ...string) []byte {
	var b record.Builder
	for _, v := range values {
		b.Append(record.Record{Key: []byte("k"), Value: []byte(v), Headers: []record.Header{{Key: "h", Value: []byte(v)}}})
	}
	batch, err := b.Build(record.Spec{BaseOffset: base, Compression: record.Compression{Codec: codec}}, new(record.Codecs))
	if err != nil {
		t.Fatal(err)
	}
	return batch.Bytes()
}

func decode(b []byte, from kafka.Offset) (chunk, error) {
	d := decoder{codecs: new(record.Codecs), tp: kafka.TopicPartition{Topic: "t"}, limit: 1 << 20, check: checkCRCs}
	return d.decode(b, from)
}

func TestDecode(t *testing.T) {
	two := append(build(t, record.None, 10, "a", "b"), build(t, record.Zstd, 20, "c", "d")...)
	marker := record.BuildControl(record.Producer{ID: 1}, record.Marker{Type: record.Commit}, 0)
	marker.Assign(22, 0)
	marked := append(append(bytes.Clone(two), marker.Bytes()...), build(t, record.None, 23, "e")...)
	flipped := bytes.Clone(two)
	flipped[len(flipped)-1] ^= 1
	for _, c := range []struct {
		name  string
		bytes []byte
		from  kafka.Offset
		want  string
		end   kafka.Offset
		err   error
	}{
		{"nothing", nil, 10, "", 10, nil},
		{"all", two, 10, "abcd", 22, nil},
		{"from inside a batch", two, 11, "bcd", 22, nil},
		{"from the gap", two, 15, "cd", 22, nil},
		{"from behind a batch", two, 12, "cd", 22, nil},
		{"markers are passed over", marked, 10, "abcde", 24, nil},
		{"nothing but a marker", marker.Bytes(), 22, "", 23, nil},
		{"the last batch is cut", two[:len(two)-1], 10, "ab", 12, nil},
		{"the only batch is cut", two[:30], 10, "", 10, record.ErrShort},
		{"the last batch is corrupt", flipped, 10, "ab", 12, record.ErrCorrupt},
		{"behind everything", two, 50, "", 50, nil},
	} {
		ch, err := decode(c.bytes, c.from)
		var got string
		for _, r := range ch.records {
			got += string(r.Value)
			if string(r.Headers[0].Value) != string(r.Value) || string(r.Key) != "k" {
				t.Errorf("%s: %+v", c.name, r)
			}
		}
		if got != c.want || ch.end != c.end || !errors.Is(err, c.err) {
			t.Errorf("%s: %q up to %d, %v; want %q up to %d, %v", c.name, got, ch.end, err, c.want, c.end, c.err)
		}
	}
}

// With check.crcs=false a flipped bit reaches the application, or the parser.
func TestUncheckedBatchesAreBelieved(t *testing.T) {
	b := build(t, record.None, 0, "value")
	at := bytes.Index(b, []byte("value"))
	b[at] ^= 1
	d := decoder{codecs: new(record.Codecs), tp: kafka.TopicPartition{Topic: "t"}, limit: 1 << 20}
	ch, err := d.decode(b, 0)
	if err != nil || len(ch.records) != 1 || string(ch.records[0].Value) != "walue" {
		t.Errorf("%+v, %v", ch.records, err)
	}
}

// What the codecs unpacked is copied: the next batch uses their memory again.
func TestDecodedRecordsStay(t *testing.T) {
	codecs := new(record.Codecs)
	d := decoder{codecs: codecs, tp: kafka.TopicPartition{Topic: "t"}, limit: 1 << 20, check: checkCRCs}
	first, err := d.decode(build(t, record.Gzip, 0, "first"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.decode(build(t, record.Gzip, 0, "other"), 0); err != nil {
		t.Fatal(err)
	}
	if r := first.records[0]; string(r.Value) != "first" || string(r.Headers[0].Value) != "first" {
		t.Errorf("%+v", r)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(build(f, record.None, 0, "a", "b"), int64(0))
	f.Add(append(build(f, record.Lz4, 3, "a"), build(f, record.Snappy, 4, "b")...), int64(3))
	f.Fuzz(func(t *testing.T, b []byte, from int64) {
		ch, _ := decode(b, kafka.Offset(from))
		c := &cursor{}
		c.restart(At(kafka.Offset(from)), nil)
		c.deliver(ch)
		if err := c.check(); err != nil {
			t.Fatal(err)
		}
	})
}
