package history

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// A scanner reads the JSON of one line, strictly: every value is of the type asked
// for. Its first error stays, and what it returns after it is of no use. It is
// written by hand since reflection costs more than judging what was read.
type scanner struct {
	b   []byte
	at  int
	err error
}

func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("byte %d: "+format, append([]any{s.at + 1}, args...)...)
	}
}

// take reads one character behind white space, if it is the next.
func (s *scanner) take(c byte) bool {
	for s.at < len(s.b) && (s.b[s.at] == ' ' || s.b[s.at] == '\t' || s.b[s.at] == '\r') {
		s.at++
	}
	if s.err != nil || s.at == len(s.b) || s.b[s.at] != c {
		return false
	}
	s.at++
	return true
}

// object reads an object; value reads each of its values. The name is good until
// then.
func (s *scanner) object(value func(name []byte)) {
	if !s.take('{') {
		s.fail("want an object")
	}
	if s.take('}') {
		return
	}
	for s.err == nil {
		name := s.text()
		if !s.take(':') {
			s.fail("want a colon")
			return
		}
		value(name)
		if s.take('}') {
			return
		}
		if !s.take(',') {
			s.fail("want , or }")
		}
	}
}

// array reads an array; item reads each of its items.
func (s *scanner) array(item func()) {
	if !s.take('[') {
		s.fail("want an array")
	}
	if s.take(']') {
		return
	}
	for s.err == nil {
		item()
		if s.take(']') {
			return
		}
		if !s.take(',') {
			s.fail("want , or ]")
		}
	}
}

// end reads the end of the line.
func (s *scanner) end() {
	s.take(' ')
	if s.at < len(s.b) {
		s.fail("more than one value on the line")
	}
}

// null reads null, if it is next.
func (s *scanner) null() bool {
	if !s.take('n') {
		return false
	}
	if !bytes.HasPrefix(s.b[s.at:], []byte("ull")) {
		s.fail("want null or a value")
		return false
	}
	s.at += 3
	return true
}

// text reads a string. It may be part of the line.
func (s *scanner) text() []byte {
	if !s.take('"') {
		s.fail("want a string")
		return nil
	}
	rest := s.b[s.at:]
	var high byte // of all bytes
	for i, c := range rest {
		switch {
		case c == '"':
			s.at += i + 1
			if high >= utf8.RuneSelf {
				return s.checked(rest[:i])
			}
			return rest[:i]
		case c == '\\':
			return s.escaped(s.at + i)
		case c < ' ':
			s.at += i
			s.fail("a control character in a string")
			return nil
		}
		high |= c
	}
	s.at = len(s.b)
	s.fail("a string without an end")
	return nil
}

func (s *scanner) checked(b []byte) []byte {
	if !utf8.Valid(b) {
		s.fail("a string that is not UTF-8: bytes go into the field whose name ends in _base64")
	}
	return b
}

// escaped reads a string whose first escape is at a place.
func (s *scanner) escaped(at int) []byte {
	from := s.at - 1
	for s.at = at; s.at < len(s.b) && s.b[s.at] != '"'; s.at++ {
		if s.b[s.at] == '\\' {
			s.at++
		}
	}
	if s.at >= len(s.b) {
		s.at = len(s.b)
		s.fail("a string without an end")
		return nil
	}
	s.at++
	var text string
	if err := json.Unmarshal(s.checked(s.b[from:s.at]), &text); err != nil {
		s.fail("%v", err)
	}
	return []byte(text)
}

// bytes reads a string of base64.
func (s *scanner) bytes() []byte {
	text := s.text()
	b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(b, text)
	if err != nil {
		s.fail("base64: %v", err)
	}
	return b[:n]
}

var errNotWhole = errors.New("want a whole number of 64 bits")

// whole reads an integer.
func (s *scanner) whole() int64 {
	negative := s.take('-')
	n := s.natural()
	switch {
	case negative && n == 1<<63:
		return math.MinInt64
	case n > math.MaxInt64:
		s.fail("%w", errNotWhole)
	case negative:
		return -int64(n)
	}
	return int64(n)
}

// natural reads an integer from 0 up.
func (s *scanner) natural() uint64 {
	s.take(' ')
	var n uint64
	from := s.at
	for ; s.at < len(s.b) && '0' <= s.b[s.at] && s.b[s.at] <= '9'; s.at++ {
		d := uint64(s.b[s.at] - '0')
		if n > (math.MaxUint64-d)/10 {
			s.fail("%w", errNotWhole)
			return 0
		}
		n = 10*n + d
	}
	if s.at == from || s.at > from+1 && s.b[from] == '0' || s.at < len(s.b) && bytes.IndexByte([]byte(".eE"), s.b[s.at]) >= 0 {
		s.fail("%w", errNotWhole)
	}
	return n
}

// boolean reads true or false.
func (s *scanner) boolean() bool {
	s.take(' ')
	for _, value := range []string{"true", "false"} {
		if bytes.HasPrefix(s.b[s.at:], []byte(value)) {
			s.at += len(value)
			return value == "true"
		}
	}
	s.fail("want true or false")
	return false
}
