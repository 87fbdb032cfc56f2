package record

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
)

// minRecordSize is the size of a record with nothing in it: seven fields of one
// byte. It bounds a batch's count by its bytes.
const minRecordSize = 7

// A Record is one record as applications know it. A nil Value is a tombstone in
// a compacted topic.
type Record struct {
	Offset    kafka.Offset
	Timestamp kafka.Timestamp
	Key       []byte
	Value     []byte
	Headers   []Header
}

// A Header is a named value beside a record's own. Names may repeat.
type Header struct {
	Key   string
	Value []byte
}

// An Iterator goes through the records of one batch:
//
//	for it := batch.Records(limit); it.Next(); {
//		r := it.Record()
//	}
//	if err := it.Err(); err != nil { ... }
//
// Keys and values alias the batch, or the memory it was decompressed to.
type Iterator struct {
	f        fields
	batch    Batch
	raw      raw
	seen     int32
	err      error
	headers  []Header
	stopped  bool
	base     kafka.Offset
	baseTime kafka.Timestamp
}

// raw is a record as it is encoded, its headers not taken apart.
type raw struct {
	timeDelta   int64
	offsetDelta int32
	key, value  []byte
	headers     []byte
	headerCount int32
}

// Records returns an iterator over the batch's records, decompressed to at most
// limit bytes. Without compression it allocates nothing; whoever decompresses
// often uses Codecs.Records. What is wrong with the records Err tells.
func (b Batch) Records(limit int) Iterator {
	if b.Compression() == None {
		return b.iterate(b.payload())
	}
	var c Codecs
	return c.Records(b, limit)
}

// Records is Batch.Records with the memory and the decoders of c. What the
// iterator yields is valid until the next use of c.
func (c *Codecs) Records(b Batch, limit int) Iterator {
	payload, err := c.Unpack(b, limit)
	if err != nil {
		return Iterator{batch: b, err: err, stopped: true}
	}
	return b.iterate(payload)
}

func (b Batch) iterate(payload []byte) Iterator {
	it := Iterator{
		f: fields{b: payload}, batch: b,
		base: b.BaseOffset(), baseTime: b.FirstTimestamp(),
	}
	if n := b.Count(); n < 0 || int(n) > len(payload)/minRecordSize {
		it.fail(fmt.Sprintf("count %d in %d bytes", n, len(payload)))
	}
	return it
}

// Next moves to the next record and reports whether there is one.
func (it *Iterator) Next() bool {
	if it.stopped {
		return false
	}
	if it.seen == it.batch.Count() {
		it.stopped = true
		if n := it.f.left(); n > 0 {
			it.fail(fmt.Sprintf("%d bytes after the last of %d records", n, it.seen))
		}
		return false
	}
	if !parse(&it.f, &it.raw) {
		it.fail(fmt.Sprintf("record %d of %d is malformed", it.seen, it.batch.Count()))
		return false
	}
	it.seen++
	return true
}

func (it *Iterator) fail(what string) {
	it.stopped = true
	it.err = fmt.Errorf("offset %d: %s: %w", it.batch.BaseOffset(), what, ErrInvalid)
}

// Err returns what ended the iteration early: ErrInvalid, ErrCorrupt,
// ErrTooLarge or ErrCodec, wrapped; nil if every record was yielded.
func (it *Iterator) Err() error { return it.err }

// Record returns the current record. Its headers are valid until the next call.
func (it *Iterator) Record() Record {
	r := Record{Offset: it.Offset(), Timestamp: it.Timestamp(), Key: it.raw.key, Value: it.raw.value}
	if it.raw.headerCount > 0 {
		it.headers = appendHeaders(it.headers[:0], it.raw.headers, it.raw.headerCount)
		r.Headers = it.headers
	}
	return r
}

// Offset returns the current record's offset.
func (it *Iterator) Offset() kafka.Offset { return it.base + kafka.Offset(it.raw.offsetDelta) }

// Timestamp returns the current record's timestamp; under LogAppendTime the
// batch's.
func (it *Iterator) Timestamp() kafka.Timestamp {
	if it.batch.TimestampType() == LogAppendTime {
		return it.batch.MaxTimestamp()
	}
	return it.baseTime + kafka.Timestamp(it.raw.timeDelta)
}

// Key returns the current record's key, nil if it has none.
func (it *Iterator) Key() []byte { return it.raw.key }

// Value returns the current record's value, nil if it has none.
func (it *Iterator) Value() []byte { return it.raw.value }

// parse reads one record from f and reports whether it is well-formed: every
// field within the record's length, and none left over.
func parse(f *fields, r *raw) bool {
	n := int(f.int32())
	if n < minRecordSize-1 || n > f.left() {
		return false
	}
	g := fields{b: f.b[:f.at+n], at: f.at + 1} // past the attributes, which no version uses
	r.timeDelta = g.int64()
	r.offsetDelta = g.int32()
	r.key = g.bytes()
	r.value = g.bytes()
	r.headerCount = g.int32()
	r.headers = g.b[g.at:]
	if r.headerCount != 0 {
		skipHeaders(&g, r.headerCount)
	}
	f.at += n
	return !g.bad && g.left() == 0
}

// skipHeaders checks that n headers are there. The name of a header cannot be
// missing, its value can.
func skipHeaders(f *fields, n int32) {
	if n < 0 || int(n) > f.left()/2 {
		f.fail()
		return
	}
	for range n {
		f.skip(int(f.int32()))
		f.bytes()
	}
}

// appendHeaders decodes headers that skipHeaders has checked.
func appendHeaders(hs []Header, b []byte, n int32) []Header {
	f := fields{b: b}
	for range n {
		key := f.bytes()
		hs = append(hs, Header{Key: string(key), Value: f.bytes()})
	}
	return hs
}
