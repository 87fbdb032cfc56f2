package record

import (
	"fmt"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/klammlog/klamm/internal/assert"
)

// A Compression is a codec and how hard it tries. Level 0 is the codec's
// default; the others are Kafka's: gzip 1 to 9, lz4 1 to 17, zstd up to 22.
// Negative ones are the default for gzip and lz4, and the fastest for zstd.
type Compression struct {
	Codec Codec
	Level int
}

// Pack appends src, compressed, to dst. It fails only with ErrCodec.
func (c *Codecs) Pack(dst []byte, how Compression, src []byte) ([]byte, error) {
	switch how.Codec {
	case None:
		return append(dst, src...), nil
	case Gzip:
		return c.packGzip(dst, how.Level, src), nil
	case Snappy:
		return c.packSnappy(dst, src), nil
	case Lz4:
		return c.packLz4(dst, how.Level, src), nil
	case Zstd:
		return c.packZstd(dst, how.Level, src), nil
	}
	return nil, fmt.Errorf("%s: %w", how.Codec, ErrCodec)
}

// A sink is where the encoders write to. It never fails, so neither do they.
type sink struct{ b []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

// take returns what was written and forgets it.
func (s *sink) take() []byte {
	b := s.b
	s.b = nil
	return b
}

// packSnappy writes one plain block, which every consumer reads.
func (c *Codecs) packSnappy(dst, src []byte) []byte {
	if cap(c.snappy) > keepAtMost {
		c.snappy = nil
	}
	c.snappy = s2.EncodeSnappy(c.snappy[:cap(c.snappy)], src)
	return append(dst, c.snappy...)
}

func (c *Codecs) packGzip(dst []byte, level int, src []byte) []byte {
	level = min(max(level, 0), len(c.gzips)-1)
	if c.gzips[level] == nil {
		at := level
		if level == 0 {
			at = gzip.DefaultCompression
		}
		w, err := gzip.NewWriterLevel(&c.out, at)
		assert.NoError(err)
		c.gzips[level] = w
	}
	c.out.b = dst
	w := c.gzips[level]
	w.Reset(&c.out)
	_, err := w.Write(src)
	assert.NoError(err)
	assert.NoError(w.Close())
	return c.out.take()
}

// lz4Default is the level that Kafka calls the default: the fast method.
const lz4Default = 9

var lz4Levels = [...]lz4.CompressionLevel{lz4.Fast, lz4.Level1, lz4.Level2, lz4.Level3,
	lz4.Level4, lz4.Level5, lz4.Level6, lz4.Level7, lz4.Level8, lz4.Level9}

func (c *Codecs) packLz4(dst []byte, level int, src []byte) []byte {
	if level < 0 || level == lz4Default {
		level = 0
	}
	if c.tolz4 == nil {
		c.tolz4 = lz4.NewWriter(&c.out)
	}
	c.out.b = dst
	c.tolz4.Reset(&c.out)
	assert.NoError(c.tolz4.Apply(
		lz4.BlockSizeOption(lz4.Block64Kb), // what consumers expect to hold in memory
		lz4.ConcurrencyOption(1),           // on the caller's stack
		lz4.CompressionLevelOption(lz4Levels[min(level, len(lz4Levels)-1)])))
	_, err := c.tolz4.Write(src)
	assert.NoError(err)
	assert.NoError(c.tolz4.Close())
	return c.out.take()
}

// zstdDefault is Kafka's default level.
const zstdDefault = 3

func (c *Codecs) packZstd(dst []byte, level int, src []byte) []byte {
	if level == 0 {
		level = zstdDefault
	}
	speed := zstd.EncoderLevelFromZstd(level)
	if c.zstds[speed] == nil {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(speed),
			zstd.WithEncoderConcurrency(1), // on the caller's stack
			zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true))
		assert.NoError(err)
		c.zstds[speed] = e
	}
	return c.zstds[speed].EncodeAll(src, dst)
}
