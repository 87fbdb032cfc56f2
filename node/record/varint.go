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

// A fields reads the fields of one record, or of the list of records. After
// the first field that does not fit, bad is set and everything reads as zero.
type fields struct {
	b   []byte
	at  int
	bad bool
}

// int64 reads an integer. Almost all of them take one byte or two.
func (f *fields) int64() int64 {
	if f.at < len(f.b) {
		if c := f.b[f.at]; c < 0x80 {
			f.at++
			return int64(c>>1) ^ -int64(c&1)
		}
	}
	return f.longInt64()
}

func (f *fields) longInt64() int64 {
	v, n := varint(f.b[f.at:])
	if n <= 0 {
		f.fail()
		return 0
	}
	f.at += n
	return v
}

// int32 reads an integer that fits 32 bits.
func (f *fields) int32() int32 {
	v := f.int64()
	if int64(int32(v)) != v {
		f.fail()
		return 0
	}
	return int32(v)
}

// skip passes n bytes.
func (f *fields) skip(n int) {
	if n < 0 || n > len(f.b)-f.at {
		f.fail()
		return
	}
	f.at += n
}

// bytes reads a length and that many bytes: nil for the length -1. A nil in
// place of a value and an empty value are two things.
func (f *fields) bytes() []byte {
	n := f.int32()
	if n == -1 {
		return nil
	}
	from := f.at
	f.skip(int(n))
	if f.bad {
		return nil
	}
	return f.b[from:f.at:f.at]
}

// fail stops reading.
func (f *fields) fail() {
	f.bad = true
	f.at = len(f.b)
}

// left returns how many bytes have not been read.
func (f *fields) left() int { return len(f.b) - f.at }
