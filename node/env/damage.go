package env

import "slices"

// Damaged returns a copy of b in which one bit is wrong, from the byte at on if there are so
// many: what broken memory or a broken network card makes of bytes that TCP's checksum has
// passed. Points of Buggify have it done to what a checksum of klamm's own protects.
func Damaged(b []byte, at int) []byte {
	b = slices.Clone(b)
	if len(b) > 0 {
		b[min(at, len(b)-1)] ^= 1
	}
	return b
}
