package record

// Variable-length integers as Protocol Buffers writes them, zigzagged: what
// the fields of a record are made of.

// varint decodes an integer of at most 64 bits and returns how many bytes it
// took; 0 if b ends inside it, negative if it is too long.
func varint(b []byte) (int64, int) {
	var u uint64
	for i, c := range b {
		if i == 9 && c > 1 {
			return 0, -1
		}
		u |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), i + 1
		}
	}
	return 0, 0
}

func appendVarint(b []byte, v int64) []byte {
	u := uint64(v<<1) ^ uint64(v>>63)
	for u >= 0x80 {
		b = append(b, byte(u)|0x80)
		u >>= 7
	}
	return append(b, byte(u))
}

func varintSize(v int64) int {
	u := uint64(v<<1) ^ uint64(v>>63)
	n := 1
	for u >= 0x80 {
		u >>= 7
		n++
	}
	return n
}

// ended is the position after something that did not fit. Reading on from there
// stays there, so that a record is checked once, at its end.
const ended = -1

// readVarint reads an integer at a position of b and returns the position after
// it, or ended. Most integers of a record take one byte or two.
func readVarint(b []byte, at int) (int64, int) {
	if uint(at) >= uint(len(b)) {
		return 0, ended
	}
	b = b[at:]
	u := uint64(b[0])
	if u < 0x80 {
		return int64(u>>1) ^ -int64(u&1), at + 1
	}
	if len(b) > 1 && b[1] < 0x80 {
		u = u&0x7f | uint64(b[1])<<7
		return int64(u>>1) ^ -int64(u&1), at + 2
	}
	v, n := varint(b)
	if n <= 0 {
		return 0, ended
	}
	return v, at + n
}

// readBytes reads a length and that many bytes: nil for the length -1. A nil in
// place of a value and an empty value are two things.
func readBytes(b []byte, at int) ([]byte, int) {
	n, at := readVarint(b, at)
	if n == -1 {
		return nil, at
	}
	if at == ended || n < 0 || n > int64(len(b)-at) {
		return nil, ended
	}
	return b[at : at+int(n) : at+int(n)], at + int(n)
}
