package quorum

import (
	"encoding/binary"
	"hash/fnv"
)

// chained returns the hash of a log that goes on with one more entry: equal
// hashes, equal logs.
func chained(chain uint64, e entry) uint64 {
	h := fnv.New64a()
	b := binary.BigEndian.AppendUint64(nil, chain)
	b = binary.BigEndian.AppendUint64(b, e.index)
	b = binary.BigEndian.AppendUint64(b, e.term)
	_, _ = h.Write(append(b, byte(e.kind)))
	_, _ = h.Write(e.data)
	return h.Sum64()
}
