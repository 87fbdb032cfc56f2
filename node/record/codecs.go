package record

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Codecs compresses and decompresses, and keeps encoders, decoders and memory
// between uses. The zero value is ready. It serves one task at a time: a task
// that offloads its compression needs one of its own (see Pool).
type Codecs struct {
	plain  []byte // what was decompressed last
	snappy []byte // what snappy compressed last

	reader bytes.Reader
	gunzip *gzip.Reader
	unlz4  *lz4.Reader
	unzstd *zstd.Decoder

	out   sink
	gzips [10]*gzip.Writer // by level; 0 is the default
	tolz4 *lz4.Writer
	zstds [zstd.SpeedBestCompression + 1]*zstd.Encoder // by how hard it tries
}

// keepAtMost bounds the memory that Codecs keeps for its next use.
const keepAtMost = 4 << 20

// Unpack returns the records of a batch, decompressed to at most limit bytes;
// more fail with ErrTooLarge, soon after the limit is passed.
// Malformed bytes fail with ErrCorrupt, unknown codecs with ErrCodec. The result
// aliases the batch, or is valid until the next use of c.
func (c *Codecs) Unpack(b Batch, limit int) ([]byte, error) {
	src := b.payload()
	if b.Compression() == None {
		if len(src) > limit {
			return nil, fmt.Errorf("%d bytes of records, limit %d: %w", len(src), limit, ErrTooLarge)
		}
		return src, nil
	}
	if cap(c.plain) > keepAtMost {
		c.plain = nil
	}
	plain, err := c.unpack(c.plain[:0], b.Compression(), src, limit)
	if err != nil {
		return nil, fmt.Errorf("%s records at offset %d: %w", b.Compression(), b.BaseOffset(), err)
	}
	c.plain = plain
	return plain, nil
}

func (c *Codecs) unpack(dst []byte, codec Codec, src []byte, limit int) ([]byte, error) {
	switch codec {
	case Gzip:
		return c.unpackGzip(dst, src, limit)
	case Snappy:
		return unpackSnappy(dst, src, limit)
	case Lz4:
		return c.unpackLz4(dst, src, limit)
	case Zstd:
		return c.unpackZstd(dst, src, limit)
	}
	return nil, ErrCodec
}

func (c *Codecs) unpackGzip(dst, src []byte, limit int) ([]byte, error) {
	c.reader.Reset(src)
	if c.gunzip == nil {
		c.gunzip = new(gzip.Reader)
	}
	if err := c.gunzip.Reset(&c.reader); err != nil {
		return nil, corrupt(err)
	}
	return readBounded(dst, c.gunzip, limit)
}

func (c *Codecs) unpackLz4(dst, src []byte, limit int) ([]byte, error) {
	c.reader.Reset(src)
	if c.unlz4 == nil {
		c.unlz4 = lz4.NewReader(&c.reader)
	} else {
		c.unlz4.Reset(&c.reader)
	}
	return readBounded(dst, c.unlz4, limit)
}

// readBounded appends what r yields to dst, up to limit bytes.
func readBounded(dst []byte, r io.Reader, limit int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, make([]byte, max(512, min(len(dst), 1<<20)))...)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst) > limit {
			return nil, fmt.Errorf("more than %d bytes: %w", limit, ErrTooLarge)
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return nil, corrupt(err)
		}
	}
}

func corrupt(err error) error { return fmt.Errorf("%w: %w", ErrCorrupt, err) }
