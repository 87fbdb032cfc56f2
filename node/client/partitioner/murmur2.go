package partitioner

import "encoding/binary"

// Constants of MurmurHash2, 32 bits, and the seed that Kafka's clients use.
const (
	murmurMultiplier = 0x5bd1e995
	murmurShift      = 24
	murmurSeed       = 0x9747b28c
)

// Murmur2 returns MurmurHash2 of b with the seed of Kafka's clients.
func Murmur2(b []byte) uint32 {
	h := uint32(murmurSeed) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b)
		k *= murmurMultiplier
		k ^= k >> murmurShift
		h = h*murmurMultiplier ^ k*murmurMultiplier
	}
	if len(b) > 0 {
		for i := len(b) - 1; i >= 0; i-- {
			h ^= uint32(b[i]) << (8 * i)
		}
		h *= murmurMultiplier
	}
	h ^= h >> 13
	h *= murmurMultiplier
	return h ^ h>>15
}

// ByKey returns the partition of a key among n partitions. The sign bit is
// dropped, not the sign: that is what Kafka's clients do.
func ByKey(key []byte, n int32) int32 {
	return int32(Murmur2(key)&0x7fffffff) % n
}
