package commitlog

import (
	"crypto/sha256"
	"fmt"
	"sort"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// keyEntryBytes is about what one key takes in the map, by which a budget of
// memory becomes a number of keys.
const keyEntryBytes = 64

// lastOffsets maps keys to the offset of their last record in the dirty part.
// Keys are known by a digest. Two keys with the same one would lose a record, so
// it is one that nobody can make collide.
type lastOffsets struct {
	offsets map[keyDigest]kafka.Offset
	limit   int          // keys
	end     kafka.Offset // every record from dirty to here was noted
	last    kafka.Offset // where the last batch ends that was noted wholly
}

type keyDigest [16]byte

func digestOf(key []byte) keyDigest {
	sum := sha256.Sum256(key)
	return keyDigest(sum[:16])
}

// newLastOffsets returns an empty map of the records from dirty on, that takes
// about as many bytes of memory at most.
func newLastOffsets(dirty kafka.Offset, bytes int) *lastOffsets {
	return &lastOffsets{offsets: map[keyDigest]kafka.Offset{}, limit: max(1, bytes/keyEntryBytes), end: dirty}
}

// put notes a record, and reports whether there was room.
func (m *lastOffsets) put(key []byte, at kafka.Offset) bool {
	d := digestOf(key)
	if len(m.offsets) >= m.limit {
		if _, known := m.offsets[d]; !known {
			return false
		}
	}
	m.offsets[d] = at
	return true
}

// superseded reports whether a later record with this key was noted.
func (m *lastOffsets) superseded(key []byte, at kafka.Offset) bool {
	last, known := m.offsets[digestOf(key)]
	return known && last > at
}

// readKeys notes the records of a batch of the dirty part. Its result is false
// when the map is full: then records from m.end on are not in it, and the pass
// ends there. Control batches have no keys, even if theirs look like some, and
// records of aborted transactions make nothing void.
func (m *lastOffsets) readKeys(b record.Batch, t *outcomes, c *record.Codecs) (room bool, err error) {
	if b.EndOffset() <= m.end {
		return true, nil
	}
	if !b.Control() && t.of(b) == committed {
		it := c.Records(b, maxUnpacked)
		for it.Next() {
			if it.Offset() < m.end {
				continue
			}
			if it.Key() != nil && !m.put(it.Key(), it.Offset()) {
				return false, nil
			}
			m.end = it.Offset() + 1
		}
		if it.Err() != nil {
			return false, fmt.Errorf("%w: %w", ErrCorrupt, it.Err())
		}
	}
	m.end, m.last = b.EndOffset(), b.EndOffset()
	return true, nil
}

// maxUnpacked bounds what a batch may decompress to in memory. Nobody can
// produce more than the largest batch compresses to; a batch beyond is corrupt.
const maxUnpacked = 1 << 30

// An outcome is what became of the transaction that a batch belongs to.
type outcome uint8

const (
	committed outcome = iota // or outside of any transaction
	aborted
	undecided
)

// outcomes knows how the transactions of the dirty part ended. It has to see the
// control batches from dirty to the end of the log, because a transaction that
// began below the end of the pass may have ended above. What is below dirty was
// cleaned before: of aborted transactions nothing is left there.
type outcomes struct {
	dirty   kafka.Offset
	markers map[kafka.ProducerID][]ending // by offset
}

type ending struct {
	at      kafka.Offset
	outcome outcome
}

func newOutcomes(dirty kafka.Offset) *outcomes {
	return &outcomes{dirty: dirty, markers: map[kafka.ProducerID][]ending{}}
}

// readMarker notes a control batch. Batches come in order; others are ignored.
func (t *outcomes) readMarker(b record.Batch) error {
	if !b.Control() || b.Count() == 0 || b.LastOffset() < t.dirty {
		return nil
	}
	marker, err := record.ParseControl(b)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	e := ending{b.BaseOffset(), undecided}
	switch marker.Type {
	case record.Commit:
		e.outcome = committed
	case record.Abort:
		e.outcome = aborted
	default:
		return nil // of no transaction
	}
	t.markers[b.ProducerID()] = append(t.markers[b.ProducerID()], e)
	return nil
}

// of returns what became of a batch's transaction: what the producer's next
// marker says.
func (t *outcomes) of(b record.Batch) outcome {
	if !b.Transactional() || b.LastOffset() < t.dirty {
		return committed
	}
	es := t.markers[b.ProducerID()]
	i := sort.Search(len(es), func(i int) bool { return es[i].at > b.LastOffset() })
	if i == len(es) {
		return undecided
	}
	return es[i].outcome
}
