package txn

import (
	"encoding/binary"
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
)

var le = binary.LittleEndian

// The body of a snapshot, all numbers little-endian: version u16, number of
// producers u32; of each, by growing id: id i64, epoch i16, last timestamp i64,
// the sequence that its next one follows i32, number of batches u8; of each, the
// oldest first: first sequence i32, last sequence i32, base offset i64, timestamp
// i64.
const (
	snapshotVersion = 1
	snapshotHeader  = 2 + 4
	producerSize    = 8 + 2 + 8 + 4 + 1
	batchSize       = 4 + 4 + 8 + 8
)

// Encode appends the state to dst, what can still be undone included. Equal
// states give equal bytes. Checksums are the caller's.
func (p *Producers) Encode(dst []byte) []byte {
	dst = le.AppendUint16(dst, snapshotVersion)
	dst = le.AppendUint32(dst, uint32(len(p.known)))
	for _, id := range p.ids() {
		s := p.known[id]
		dst = le.AppendUint64(dst, uint64(id))
		dst = le.AppendUint16(dst, uint16(s.epoch))
		dst = le.AppendUint64(dst, uint64(s.seen))
		dst = le.AppendUint32(dst, uint32(s.lastSequence()))
		dst = append(dst, byte(s.count))
		for _, b := range s.window() {
			dst = le.AppendUint32(dst, uint32(b.first))
			dst = le.AppendUint32(dst, uint32(b.last))
			dst = le.AppendUint64(dst, uint64(b.base))
			dst = le.AppendUint64(dst, uint64(b.timestamp))
		}
	}
	return dst
}

// Decode reads what Encode wrote, all of b. Nothing of it can be undone.
func Decode(b []byte) (*Producers, error) {
	if len(b) < snapshotHeader || le.Uint16(b) != snapshotVersion {
		return nil, fmt.Errorf("producer snapshot: no header of version %d in %d bytes", snapshotVersion, len(b))
	}
	n, rest := le.Uint32(b[2:]), b[snapshotHeader:]
	if uint64(n)*producerSize > uint64(len(rest)) {
		return nil, fmt.Errorf("producer snapshot: %d producers in %d bytes", n, len(b))
	}
	p := &Producers{known: make(map[kafka.ProducerID]*producer, n)}
	last := kafka.NoProducerID
	for range n {
		id, s, size := decodeProducer(rest)
		if size == 0 || id <= last {
			return nil, fmt.Errorf("producer snapshot: malformed after producer %d", last)
		}
		p.known[id] = &s
		last, rest = id, rest[size:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("producer snapshot: %d bytes after the last producer", len(rest))
	}
	if err := p.Consistent(); err != nil {
		return nil, fmt.Errorf("producer snapshot: %w", err)
	}
	return p, nil
}

// decodeProducer returns the first producer of b and its size, 0 if there is
// none.
func decodeProducer(b []byte) (kafka.ProducerID, producer, int) {
	if len(b) < producerSize {
		return 0, producer{}, 0
	}
	id := kafka.ProducerID(le.Uint64(b))
	s := producer{epoch: kafka.ProducerEpoch(le.Uint16(b[8:])), seen: kafka.Timestamp(le.Uint64(b[10:]))}
	last, count := kafka.Sequence(le.Uint32(b[18:])), int(b[22])
	if count > Window || len(b) < producerSize+count*batchSize {
		return 0, producer{}, 0
	}
	for i := range count {
		at := b[producerSize+i*batchSize:]
		s.push(appended{
			first: kafka.Sequence(le.Uint32(at)), last: kafka.Sequence(le.Uint32(at[4:])),
			base: kafka.Offset(le.Uint64(at[8:])), timestamp: kafka.Timestamp(le.Uint64(at[16:])),
		})
	}
	if count == 0 {
		s.skipped = last
	}
	if s.lastSequence() != last {
		return 0, producer{}, 0
	}
	return id, s, producerSize + count*batchSize
}

// Consistent returns the first violation of the invariants.
func (p *Producers) Consistent() error {
	for _, id := range p.ids() {
		s := p.known[id]
		if id < 0 || s.epoch < 0 || s.lastSequence() < kafka.NoSequence {
			return fmt.Errorf("producer %d has epoch %d and sequence %d", id, s.epoch, s.lastSequence())
		}
		for i, b := range s.window() {
			if b.first < 0 || b.last < 0 || b.base < 0 {
				return fmt.Errorf("producer %d: batch of sequences %d to %d at %d", id, b.first, b.last, b.base)
			}
			if i == 0 {
				continue
			}
			before := s.batches[i-1]
			if b.base <= before.base {
				return fmt.Errorf("producer %d: sequence %d at %d after %d at %d", id, b.first, b.base, before.first, before.base)
			}
		}
	}
	for i := range p.undo {
		if i > 0 && p.undo[i].end <= p.undo[i-1].end {
			return fmt.Errorf("undo of %d after %d", p.undo[i].end, p.undo[i-1].end)
		}
	}
	return nil
}

// An Info describes one producer, for DescribeProducers.
type Info struct {
	ID            kafka.ProducerID
	Epoch         kafka.ProducerEpoch
	LastSequence  kafka.Sequence // kafka.NoSequence if no batch is remembered
	LastOffset    kafka.Offset   // of the last record, or kafka.NoOffset
	LastTimestamp kafka.Timestamp
	Window        []kafka.Offset // of the last record of each batch that is recognised, by growing offset
}

// All describes every producer, by growing id.
func (p *Producers) All() []Info {
	out := make([]Info, 0, len(p.known))
	for _, id := range p.ids() {
		s := p.known[id]
		info := Info{ID: id, Epoch: s.epoch, LastSequence: s.lastSequence(), LastOffset: kafka.NoOffset, LastTimestamp: s.seen}
		for _, b := range s.window() {
			info.LastOffset = b.end() - 1
			info.Window = append(info.Window, info.LastOffset)
		}
		out = append(out, info)
	}
	return out
}
