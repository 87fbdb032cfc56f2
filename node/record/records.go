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
	b        []byte // the records
	at       int    // where the next one begins
	batch    Batch
	count    int32
	raw      raw
	seen     int32
	err      error
	headers  []Header
	stopped  bool
	base     kafka.Offset
	baseTime kafka.Timestamp
	dated    bool // by the log
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

// RecordsFrom is Records over what Codecs.Unpack returned for the batch, or over
// a copy of that.
func (b Batch) RecordsFrom(payload []byte) Iterator { return b.iterate(payload) }

func (b Batch) iterate(payload []byte) Iterator {
	it := Iterator{
		b: payload, batch: b, count: b.Count(), dated: b.TimestampType() == LogAppendTime,
		base: b.BaseOffset(), baseTime: b.FirstTimestamp(),
	}
	if n := it.count; n < 0 || int(n) > len(payload)/minRecordSize {
		it.fail(fmt.Sprintf("count %d in %d bytes", n, len(payload)))
	}
	return it
}

// Next moves to the next record and reports whether there is one.
func (it *Iterator) Next() bool {
	if it.stopped {
		return false
	}
	if it.seen == it.count {
		it.stopped = true
		if n := len(it.b) - it.at; n > 0 {
			it.fail(fmt.Sprintf("%d bytes after the last of %d records", n, it.seen))
		}
		return false
	}
	it.at = parse(it.b, it.at, &it.raw)
	if it.at == ended {
		it.fail(fmt.Sprintf("record %d of %d is malformed", it.seen, it.count))
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
	if it.dated {
		return it.batch.MaxTimestamp()
	}
	return it.baseTime + kafka.Timestamp(it.raw.timeDelta)
}

// Key returns the current record's key, nil if it has none.
func (it *Iterator) Key() []byte { return it.raw.key }

// Value returns the current record's value, nil if it has none.
func (it *Iterator) Value() []byte { return it.raw.value }

// parse reads the record at a position of b and returns the position after it,
// or ended unless it is well-formed: every field within the record's length, and
// nothing left over.
func parse(b []byte, at int, r *raw) int {
	n, at := readVarint(b, at)
	if at == ended || n < minRecordSize-1 || n > int64(len(b)-at) {
		return ended
	}
	end := at + int(n)
	b = b[:end]
	var offsetDelta, headers int64
	r.timeDelta, at = readVarint(b, at+1) // past the attributes, which no version uses
	offsetDelta, at = readVarint(b, at)
	r.key, at = readBytes(b, at)
	r.value, at = readBytes(b, at)
	headers, at = readVarint(b, at)
	r.offsetDelta, r.headerCount = int32(offsetDelta), int32(headers)
	if at != ended && headers != 0 {
		r.headers = b[at:]
		at = skipHeaders(b, at, headers)
	}
	if at != end || int64(r.offsetDelta) != offsetDelta {
		return ended
	}
	return end
}

// skipHeaders passes n headers and returns the position after them, or ended.
// The name of a header cannot be missing, its value can.
func skipHeaders(b []byte, at int, n int64) int {
	if n < 0 || n > int64(len(b)-at)/2 {
		return ended
	}
	for range n {
		size, next := readVarint(b, at)
		if next == ended || size < 0 || size > int64(len(b)-next) {
			return ended
		}
		_, at = readBytes(b, next+int(size))
	}
	return at
}

// appendHeaders decodes headers that skipHeaders has passed.
func appendHeaders(hs []Header, b []byte, n int32) []Header {
	at := 0
	for range n {
		var key, value []byte
		key, at = readBytes(b, at)
		value, at = readBytes(b, at)
		hs = append(hs, Header{Key: string(key), Value: value})
	}
	return hs
}
