package record

import "fmt"

// A Codec is how the records of a batch are compressed. The bytes that Gzip, Lz4
// and Zstd make are the same on every machine for the same version of this
// program; Snappy's depend on the processor architecture, so whatever wants
// seeds to travel does not write with it.
type Codec int8

// The codecs, numbered as in a batch's attributes.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	Lz4    Codec = 3
	Zstd   Codec = 4
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// Known reports whether there is such a codec.
func (c Codec) Known() bool { return c >= None && c <= Zstd }

func (c Codec) String() string {
	if !c.Known() {
		return fmt.Sprintf("codec %d", int8(c))
	}
	return codecNames[c]
}

// ParseCodec reads what String writes, and "uncompressed", which is none in
// topic configurations.
func ParseCodec(s string) (Codec, error) {
	if s == "uncompressed" {
		return None, nil
	}
	for i, name := range codecNames {
		if s == name {
			return Codec(i), nil
		}
	}
	return None, fmt.Errorf("compression %q: %w", s, ErrCodec)
}
