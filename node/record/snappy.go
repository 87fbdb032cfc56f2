package record

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// Snappy comes in two forms. Most producers write one plain block; those on
// the snappy-java library write its stream: a magic, two versions, then blocks,
// each with its length before it.
var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const xerialHeader = 16 // the magic, the version, the oldest version that can read it

func unpackSnappy(dst, src []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(src, xerialMagic) {
		return unpackSnappyBlock(dst, src, limit)
	}
	if len(src) < xerialHeader {
		return nil, fmt.Errorf("%d bytes of a snappy stream's header: %w", len(src), ErrCorrupt)
	}
	src = src[xerialHeader:]
	for len(src) > 0 {
		if bytes.HasPrefix(src, xerialMagic) && len(src) >= xerialHeader {
			src = src[xerialHeader:] // streams that were put one after the other
			continue
		}
		block, rest, err := nextXerialBlock(src)
		if err != nil {
			return nil, err
		}
		if dst, err = unpackSnappyBlock(dst, block, limit); err != nil {
			return nil, err
		}
		src = rest
	}
	return dst, nil
}

func nextXerialBlock(src []byte) (block, rest []byte, err error) {
	if len(src) < 4 {
		return nil, nil, fmt.Errorf("%d bytes of a snappy block's length: %w", len(src), ErrCorrupt)
	}
	n, src := binary.BigEndian.Uint32(src), src[4:]
	if uint64(n) > uint64(len(src)) {
		return nil, nil, fmt.Errorf("snappy block of %d bytes, %d left: %w", n, len(src), ErrCorrupt)
	}
	return src[:n], src[n:], nil
}

// unpackSnappyBlock appends one block to dst. Its length is asked first: memory
// is taken only for what the limit allows.
func unpackSnappyBlock(dst, src []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	if err != nil {
		return nil, corrupt(err)
	}
	if n > limit-len(dst) {
		return nil, fmt.Errorf("%d bytes and more: %w", len(dst)+n, ErrTooLarge)
	}
	from := len(dst)
	dst = append(dst, make([]byte, n)...)
	if _, err := s2.Decode(dst[from:], src); err != nil {
		return nil, corrupt(err)
	}
	return dst, nil
}
