package link

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/env"
)

// frames cuts a connection's bytes into answers.
type frames struct {
	conn  env.Conn
	limit int
	late  func() error // judges a read deadline that has passed; nil: never go on
}

// growth is how much memory a frame's length alone can claim; the rest follows
// as the bytes come. An answer with a megabyte of records is read in one go.
const growth = 1<<20 + 64<<10

// next returns the next frame without its length, in memory of its own. Blocks.
func (f *frames) next() ([]byte, error) {
	var head [4]byte
	if err := f.fill(head[:]); err != nil {
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:])))
	if size < 4 {
		return nil, fmt.Errorf("frame of %d bytes: %w", size, errFraming)
	}
	if size > f.limit {
		return nil, fmt.Errorf("frame of %d bytes, at most %d: %w", size, f.limit, errFrameMax)
	}
	body := make([]byte, 0, min(size, growth))
	for len(body) < size {
		if len(body) == cap(body) {
			body = append(make([]byte, 0, min(size, 2*cap(body))), body...)
		}
		end := min(size, cap(body))
		if err := f.fill(body[len(body):end]); err != nil {
			return nil, err
		}
		body = body[:end]
	}
	return body, nil
}

// fill reads all of p. Blocks.
func (f *frames) fill(p []byte) error {
	for len(p) > 0 {
		n, err := f.conn.Read(p)
		p = p[n:]
		if err == nil {
			continue
		}
		if errors.Is(err, env.ErrDeadline) && f.late != nil {
			err = f.late()
		}
		if err != nil && len(p) > 0 {
			return err
		}
	}
	return nil
}

// decodeAnswer decodes a frame as the answer to the request with that
// correlation id.
func decodeAnswer(frame []byte, correlation int32, resp kmsg.Response) (kmsg.Response, error) {
	b := kbin.Reader{Src: frame}
	if got := b.Int32(); got != correlation {
		return nil, fmt.Errorf("answer with correlation id %d, want %d: %w", got, correlation, errFraming)
	}
	// The header of an ApiVersions answer never has tags: its reader does not
	// know yet what the broker speaks (KIP-511).
	if resp.IsFlexible() && resp.Key() != apiVersions {
		if !skipTags(&b) {
			return nil, fmt.Errorf("header of %s answer: %w", kmsg.NameForKey(resp.Key()), errFraming)
		}
	}
	if err := readBody(resp, b.Src); err != nil {
		return nil, fmt.Errorf("%s answer, version %d: %w: %w",
			kmsg.NameForKey(resp.Key()), resp.GetVersion(), errFraming, err)
	}
	return resp, nil
}

// skipTags skips a tagged section and reports whether it was well-formed.
func skipTags(b *kbin.Reader) bool {
	for n := b.Uvarint(); n > 0 && b.Ok(); n-- {
		b.Uvarint()
		b.Span(int(b.Uvarint()))
	}
	return b.Ok()
}

// readBody decodes an answer's body, containing whatever the bytes do to the
// decoder.
func readBody(resp kmsg.Response, body []byte) (err error) {
	defer func() {
		// A pure function on bytes a peer sent: a decoder that trips over them
		// must cost the connection, not the node.
		if r := recover(); r != nil {
			err = fmt.Errorf("decoder: %v", r)
		}
	}()
	return resp.ReadFrom(body)
}
