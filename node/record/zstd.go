package record

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// zstdWindow is the farthest that a zstd frame may refer back. Kafka's own
// decoder takes no more. No memory is taken for a window that is claimed: the
// decoder looks back into its output.
const zstdWindow = 128 << 20

// unpackZstd decodes into memory that is as large as the frames can become, or
// one block larger than the limit; the decoder stops at its end.
func (c *Codecs) unpackZstd(dst, src []byte, limit int) ([]byte, error) {
	if c.unzstd == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), // on the caller's stack
			zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return nil, err
		}
		c.unzstd = d
	}
	bound, err := zstdBound(src)
	if err != nil {
		return nil, corrupt(err)
	}
	room := int(min(bound, int64(limit)+zstdBlockMax))
	dst = slices.Grow(dst, room)
	got, err := c.unzstd.DecodeAll(src, dst[:0:room])
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || err == nil && len(got) > limit {
		return nil, fmt.Errorf("more than %d bytes: %w", limit, ErrTooLarge)
	}
	if err != nil {
		return nil, corrupt(err)
	}
	return got, nil
}

// The parts of a zstd frame's blocks (RFC 8878, section 3.1.1.2).
const (
	zstdBlockHeader = 3
	zstdBlockMax    = 128 << 10 // what one compressed block can become
	zstdRaw         = 0
	zstdRLE         = 1
	zstdChecksum    = 4
)

var errZstdFrame = errors.New("malformed zstd frame")

// zstdBound returns how many bytes the frames of src can become, from the sizes
// in their headers alone. Frames of streaming encoders do not tell it otherwise.
func zstdBound(src []byte) (int64, error) {
	var bound int64
	for len(src) > 0 {
		var h zstd.Header
		if err := h.Decode(src); err != nil {
			return 0, err
		}
		if h.HeaderSize <= 0 || h.HeaderSize > len(src) {
			return 0, errZstdFrame
		}
		src = src[h.HeaderSize:]
		if h.Skippable {
			if uint64(h.SkippableSize) > uint64(len(src)) {
				return 0, errZstdFrame
			}
			src = src[h.SkippableSize:]
			continue
		}
		size, rest, err := zstdBlocks(src)
		if err != nil {
			return 0, err
		}
		if h.HasFCS && h.FrameContentSize < uint64(size) {
			size = int64(h.FrameContentSize)
		}
		bound += size
		src = rest
		if h.HasCheckSum {
			src = src[min(zstdChecksum, len(src)):]
		}
	}
	return bound, nil
}

// zstdBlocks walks over one frame's blocks, and returns what they can become
// and what follows them.
func zstdBlocks(src []byte) (size int64, rest []byte, err error) {
	for last := false; !last; {
		if len(src) < zstdBlockHeader {
			return 0, nil, errZstdFrame
		}
		header := int(src[0]) | int(src[1])<<8 | int(src[2])<<16
		src = src[zstdBlockHeader:]
		last = header&1 != 0
		stored, become := header>>3, zstdBlockMax
		switch header >> 1 & 3 {
		case zstdRaw:
			become = stored
		case zstdRLE:
			stored, become = 1, stored
		}
		if stored > len(src) {
			return 0, nil, errZstdFrame
		}
		src = src[stored:]
		size += int64(become)
	}
	return size, src, nil
}
