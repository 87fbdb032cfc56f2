package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// A head is what a walk from batch to batch needs to know of one.
type head struct {
	base, end    kafka.Offset
	position     int64
	size         int
	epoch        kafka.LeaderEpoch
	attributes   int16
	maxTimestamp kafka.Timestamp

	producer      kafka.ProducerID
	producerEpoch kafka.ProducerEpoch
	sequence      kafka.Sequence
}

func headOf(b record.Batch, position int64) head { return parseHead(b.Bytes(), position) }

// parseHead reads a batch's header, record.HeaderSize bytes.
func parseHead(b []byte, position int64) head {
	be := binary.BigEndian
	base := kafka.Offset(be.Uint64(b))
	return head{
		base:         base,
		position:     position,
		size:         int(int32(be.Uint32(b[8:]))) + 12,
		epoch:        kafka.LeaderEpoch(be.Uint32(b[12:])),
		attributes:   int16(be.Uint16(b[21:])),
		end:          base + kafka.Offset(int32(be.Uint32(b[23:]))) + 1,
		maxTimestamp: kafka.Timestamp(be.Uint64(b[35:])),

		producer:      kafka.ProducerID(be.Uint64(b[43:])),
		producerEpoch: kafka.ProducerEpoch(be.Uint16(b[51:])),
		sequence:      kafka.Sequence(be.Uint32(b[53:])),
	}
}

func (h head) control() bool { return h.attributes&0x20 != 0 }

// next returns the position behind the batch.
func (h head) next() int64 { return h.position + int64(h.size) }

// A walk goes through the heads of a segment's batches without reading the
// batches.
type walk struct {
	f   env.File
	at  int64 // the next batch
	end int64
	buf []byte
	pos int64 // of buf in the file
	len int

	read int64 // bytes, so far
}

// walkBuffer is read at once: small batches have many heads in it, and behind an
// index entry there is not much more to walk.
const walkBuffer = 4096

// next returns the next head; ok is false at the end. Blocks.
func (w *walk) next() (h head, ok bool, err error) {
	if w.at >= w.end {
		return head{}, false, nil
	}
	if w.end-w.at < record.HeaderSize {
		return head{}, false, fmt.Errorf("%w: %d bytes at %d are no batch", ErrCorrupt, w.end-w.at, w.at)
	}
	if w.at < w.pos || w.at+record.HeaderSize > w.pos+int64(w.len) {
		if err := w.fill(); err != nil {
			return head{}, false, err
		}
	}
	b := w.buf[w.at-w.pos:]
	size := int64(int32(binary.BigEndian.Uint32(b[8:]))) + 12
	if b[record.MagicAt] != record.Magic || size < record.HeaderSize || w.at+size > w.end {
		return head{}, false, fmt.Errorf("%w: no batch at %d", ErrCorrupt, w.at)
	}
	h = parseHead(b, w.at)
	w.at += size
	return h, true, nil
}

func (w *walk) fill() error {
	if w.buf == nil {
		w.buf = make([]byte, walkBuffer)
	}
	w.pos, w.len = w.at, int(min(walkBuffer, w.end-w.at))
	w.read += int64(w.len)
	return readFull(w.f, w.buf[:w.len], w.pos)
}

// A reader goes through the batches of a segment, with their bytes.
type reader struct {
	f    env.File
	at   int64 // the next batch
	end  int64
	buf  []byte
	pos  int64 // of buf in the file
	held int   // bytes in buf
}

const (
	readerBuffer = 1 << 20

	// maxBatch is the size above which something is no batch, so that garbage
	// in a length field does not have all memory filled.
	maxBatch = 256 << 20
)

// errBatch says that what was read is no batch, as opposed to an error of
// reading it.
var errBatch = errors.New("not a batch")

// next returns the next batch, which is valid until the call after; ok is false
// at the end. What is there but is no batch gives one of record's errors, and
// not even the checksum is taken for granted. Blocks.
func (r *reader) next() (b record.Batch, ok bool, err error) {
	if r.at >= r.end {
		return record.Batch{}, false, nil
	}
	b, n, err := record.View(r.left())
	if err != nil && r.pos+int64(r.held) < r.end {
		if err := r.fill(r.want()); err != nil {
			return record.Batch{}, false, err
		}
		b, n, err = record.View(r.left())
	}
	if err == nil {
		err = b.CheckCRC()
	}
	if err != nil {
		return record.Batch{}, false, fmt.Errorf("%w: at %d: %w", errBatch, r.at, err)
	}
	r.at += int64(n)
	return b, true, nil
}

func (r *reader) left() []byte {
	if r.at < r.pos || r.at > r.pos+int64(r.held) {
		return nil
	}
	return r.buf[r.at-r.pos : r.held]
}

// want returns how many bytes are needed for the batch that begins here.
func (r *reader) want() int {
	b := r.left()
	if len(b) < 12 {
		return readerBuffer
	}
	size := int64(int32(binary.BigEndian.Uint32(b[8:]))) + 12
	if size > maxBatch {
		return readerBuffer
	}
	return int(max(readerBuffer, size))
}

func (r *reader) fill(want int) error {
	want = int(min(int64(want), r.end-r.at))
	if cap(r.buf) < want {
		r.buf = make([]byte, want)
	}
	r.buf = r.buf[:cap(r.buf)]
	r.pos, r.held = r.at, 0
	if err := readFull(r.f, r.buf[:want], r.at); err != nil {
		return err
	}
	r.held = want
	return nil
}
