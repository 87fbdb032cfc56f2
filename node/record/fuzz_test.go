package record

import (
	"bytes"
	"errors"
	"testing"
)

// seeds is a corpus of batches of every kind.
func seeds() [][]byte {
	var out [][]byte
	records := []Record{
		{Timestamp: 1000, Key: []byte("key"), Value: []byte("value"), Headers: []Header{{"h", []byte("v")}, {"n", nil}}},
		{Timestamp: 990}, {Timestamp: 1010, Value: bytes.Repeat([]byte("x"), 100)}}
	for codec := None; codec <= Zstd; codec++ {
		out = append(out, build(Spec{Compression: Compression{Codec: codec}}, records).Bytes())
	}
	out = append(out, compressed(Snappy, xerial(plainRecords(2)), 2).Bytes())
	out = append(out, BuildControl(Producer{ID: 1, Epoch: 2}, Marker{Abort, 3}, 4).Bytes())
	out = append(out, build(Spec{Producer: &Producer{5, 6, 7}, Transactional: InTransaction}, records).Bytes())
	out = append(out, append(bytes.Clone(out[0]), out[1]...))
	return out
}

func addSeeds(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Add([]byte{})
	f.Add(make([]byte, HeaderSize))
}

var allErrors = []error{ErrShort, ErrCorrupt, ErrMagic, ErrInvalid, ErrTimestamp, ErrTooLarge, ErrCodec}

func known(err error) bool {
	for _, e := range allErrors {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// FuzzView: no bytes make View or the accessors panic, and the batches of a
// buffer are that buffer.
func FuzzView(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var all []byte
		for batch, err := range All(b) {
			if err != nil {
				if !known(err) {
					t.Fatalf("%v is of no kind", err)
				}
				return
			}
			_ = batch.String()
			_ = batch.LastSequence()
			all = append(all, batch.Bytes()...)
		}
		if !bytes.Equal(all, b) {
			t.Fatalf("%d bytes of batches in %d", len(all), len(b))
		}
	})
}

// FuzzValidate: with a checksum that is right, only sound batches pass, and what
// passes can be read to its end.
func FuzzValidate(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, _, err := View(bytes.Clone(b))
		if err != nil {
			return
		}
		batch.seal()
		if err := batch.Accept(NoLimits); err != nil {
			if !known(err) {
				t.Fatalf("%v is of no kind", err)
			}
			return
		}
		if batch.Control() || int64(batch.EndOffset()-batch.BaseOffset()) != int64(batch.Count()) {
			t.Fatalf("accepted %v", batch)
		}
		if batch.Compression() != None {
			return
		}
		records, err := read(batch, 1<<20)
		if err != nil || len(records) != int(batch.Count()) {
			t.Fatalf("accepted %v, then read %d records, %v", batch, len(records), err)
		}
	})
}

// FuzzRecords: hostile records neither panic nor unpack beyond the limit, and
// those that are read survive being written again.
func FuzzRecords(f *testing.F) {
	addSeeds(f)
	var c Codecs
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, _, err := View(b)
		if err != nil {
			return
		}
		const limit = 1 << 16
		var w Builder
		read := 0
		it := c.Records(batch, limit)
		for it.Next() {
			r := it.Record()
			read += len(r.Key) + len(r.Value)
			w.Append(r)
		}
		if read > max(limit, len(b)) {
			t.Fatalf("read %d bytes", read)
		}
		if it.Err() != nil {
			if !known(it.Err()) {
				t.Fatalf("%v is of no kind", it.Err())
			}
			return
		}
		if w.Count() != batch.Count() {
			t.Fatalf("%d records of %d without an error", w.Count(), batch.Count())
		}
	})
}
