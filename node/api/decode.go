package api

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A header is what every request begins with.
type header struct {
	key         int16
	version     int16
	correlation int32
	clientID    string // "" if there is none
	body        []byte
}

// parseHeader takes the header off a frame: version 1 of Kafka's request header,
// or 2 if flexible says so.
func parseHeader(b []byte, flexible func(key, version int16) bool) (header, error) {
	r := fields{b: b}
	h := header{key: r.int16(), version: r.int16(), correlation: r.int32()}
	if !r.bad && flexible(h.key, h.version) {
		h.clientID = r.nullableText()
		r.skipTags()
	} else if !r.bad && len(r.b) > 0 {
		h.clientID = r.nullableText()
	}
	h.body = r.b
	if r.bad {
		return h, fmt.Errorf("%w: header of key %d version %d is cut short", errFrame, h.key, h.version)
	}
	return h, nil
}

// decode reads a request's body, once it is known that it is there and what it
// takes.
func decode(request kmsg.Request, version int16, body []byte) error {
	request.SetVersion(version)
	if s, ok := shapes[kmsg.Key(request.Key())]; ok {
		if err := s.check(body, version, encoding(request.IsFlexible())); err != nil {
			return fmt.Errorf("key %d version %d: %w", request.Key(), version, err)
		}
	}
	if err := guarded(func() error { return request.ReadFrom(body) }); err != nil {
		return fmt.Errorf("%w: key %d version %d: %w", errFrame, request.Key(), version, err)
	}
	return nil
}

// guarded reads somebody else's bytes. It is the one place where a panic is taken
// for their fault: the code that reads them was generated.
func guarded(read func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoder: %v", p)
		}
	}()
	return read()
}

// decodeAnswer reads what another node of the cluster answered.
func decodeAnswer(response kmsg.Response, body []byte) error {
	return guarded(func() error { return response.ReadFrom(body) })
}

// fields takes primitive fields off its bytes. After the first that is not
// there it is bad and yields zeros.
type fields struct {
	b   []byte
	bad bool
}

func (r *fields) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	taken := r.b[:n:n]
	r.b = r.b[n:]
	return taken
}

func (r *fields) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *fields) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *fields) uvarint() uint32 {
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 || v > 1<<32-1 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return uint32(v)
}

// nullableText takes a string with a 16-bit length; null is "".
func (r *fields) nullableText() string {
	n := r.int16()
	if n < 0 {
		return ""
	}
	return string(r.take(int(n)))
}

// shortText takes a string with a 16-bit length.
func (r *fields) shortText() string { return string(r.take(int(r.int16()))) }

// compactText takes a string with a varint length.
func (r *fields) compactText() string { return string(r.take(int(r.uvarint()) - 1)) }

// nullableBytes takes bytes with a 32-bit length; null is nil.
func (r *fields) nullableBytes() []byte {
	n := r.int32()
	if n < 0 {
		return nil
	}
	return r.take(int(n))
}

// compactBytes takes bytes with a varint length; null is nil.
func (r *fields) compactBytes() []byte {
	n := r.uvarint()
	if n == 0 {
		return nil
	}
	return r.take(int(n) - 1)
}

// skipTags passes over tagged fields.
func (r *fields) skipTags() {
	for range r.uvarint() {
		if r.bad {
			return
		}
		r.uvarint()
		r.take(int(r.uvarint()))
	}
}
