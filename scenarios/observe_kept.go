package scenarios

import (
	"hash/crc32"
	"slices"

	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// Each replica compacts by itself, so that logs of a compacted topic differ in their
// bytes. What they keep does not: the last record of each key.

// A kept is the last record of a key that a replica has.
type kept struct {
	offset    kafka.Offset
	sum       uint32 // of the value
	tombstone bool
}

// A keptKeys is what a replica's log keeps.
type keptKeys struct {
	order []string // keys as they were first met
	last  map[string]kept
	err   error // some batch could not be looked into
}

// checkKept: in the end every replica of a compacted partition has the same last record
// of each key. A tombstone goes some time after it was first compacted, here before
// there: then nothing of its key may be left instead, unless the replica was away for
// longer than that and never got it, which nobody is promised not to happen.
func (o *clusterObserver) checkKept(s *subject) {
	if !o.promised.KeepsKeys || s.partition.Topic != topicName {
		return
	}
	var first *keptKeys
	var by kafka.NodeID
	start := o.start(s.place) // below it some replica may have deleted
	for _, id := range s.decided.Replicas {
		w := o.window(id)
		if w == nil || w.keptIn == nil || w.damaged {
			continue
		}
		keys := w.keptIn(s.place)
		if keys.err != nil {
			o.complain(compactedAlike, "%s on %d: %v", s.partition, id, keys.err)
			return
		}
		if first == nil {
			first, by = keys, id
			continue
		}
		if key, at := unlike(first, keys, start); at != kafka.NoOffset {
			o.complain(compactedAlike, "%s: of key %q %d and %d keep different last records, one of them at offset %d", s.partition, key, by, id, at)
		}
	}
}

// unlike finds a key of which two replicas keep different last records at a log start or
// behind it. It returns where the later of them is, NoOffset if there is none.
func unlike(a, b *keptKeys, start kafka.Offset) (string, kafka.Offset) {
	for _, pair := range [][2]*keptKeys{{a, b}, {b, a}} {
		for _, key := range pair[0].order {
			mine := pair[0].last[key]
			other, has := pair[1].last[key]
			if mine.offset < start || has && other.offset > mine.offset {
				continue // deleted elsewhere; or looked at from the other side
			}
			if has && other != mine || !has && !mine.tombstone {
				return key, mine.offset
			}
		}
	}
	return "", kafka.NoOffset
}

// keptIn reads all of a log anew, and returns the last record of each key.
func (r *diskReader) keptIn(p place) *keptKeys {
	k := &keptKeys{last: map[string]kept{}}
	dir := p.partition.String()
	l, ok := r.listed[dir]
	if !ok {
		return k
	}
	bases := slices.Clone(l.bases)
	slices.Sort(bases)
	end := kafka.Offset(0)
	for _, base := range bases {
		for at, n := int64(0), readAtOnce; ; {
			buf := r.bytes(l.disk, dir, base, at, n)
			_, size, whole := parseBatch(buf)
			if !whole && size > n && len(buf) == n {
				n = size
				continue
			}
			if !whole {
				break
			}
			end = k.take(buf[:size], end)
			at, n = at+int64(size), readAtOnce
		}
	}
	return k
}

// mostUnpacked bounds what one batch of the workload is unpacked to.
const mostUnpacked = 4 << 20

// take notes the records of a batch, unless an earlier segment has its offsets: a
// segment that was swapped out may still be there. It returns where the log ends then.
func (k *keptKeys) take(b []byte, end kafka.Offset) kafka.Offset {
	batch, _, err := record.View(b)
	if err != nil {
		k.err = err
		return end
	}
	if batch.BaseOffset() < end {
		return end
	}
	it := batch.Records(mostUnpacked)
	for it.Next() {
		key := string(it.Key())
		if _, known := k.last[key]; !known {
			k.order = append(k.order, key)
		}
		k.last[key] = kept{offset: it.Offset(), sum: crc32.Checksum(it.Value(), castagnoli), tombstone: it.Value() == nil}
	}
	if it.Err() != nil {
		k.err = it.Err()
	}
	return batch.EndOffset()
}
