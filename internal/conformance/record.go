package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/klammlog/klamm/internal/conformance/talk"
)

// A style is what a client can put into a record.
type style int

const (
	binary style = iota // anything
	text                // a key, a value, and the same header in all; no timestamp
)

// filler makes values of 20 to 220 bytes that compress, but not to nothing.
var filler = func() string {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "%x ", i*i*2654435761)
	}
	return b.String()
}()

// recordOf returns record number n, from 1 up; the first happens at begin, a
// timestamp in milliseconds. Timestamps grow but for a little disorder.
func recordOf(n int, s style, begin int64) talk.Record {
	key := fmt.Appendf(nil, "key-%d", n%97)
	value := fmt.Appendf(nil, "%d %s", n, filler[n%200:n%200+20+n*31%200])
	if s == text {
		return talk.Record{Key: key, Value: value, Headers: []talk.Header{{Name: "made-by", Value: []byte("kcat")}}}
	}
	r := talk.Record{Timestamp: begin + int64(n)*5 + int64(n*7919%40), Key: append(key, 0, 0xff, '\t', '\n'), Value: value}
	switch {
	case n%50 == 49:
		r.Key, r.Value = fmt.Appendf(nil, "gone-%d", n), nil
	case n%10 == 3:
		r.Key = nil
	case n%10 == 7:
		r.Key = []byte{}
	}
	switch n % 3 {
	case 1:
		r.Headers = []talk.Header{{Name: "number", Value: strconv.AppendInt(nil, int64(n), 10)}}
	case 2:
		r.Headers = []talk.Header{{Name: "twice", Value: []byte("1")}, {Name: "twice", Value: []byte{0xff, 0}}, {Name: "empty", Value: []byte{}}}
	}
	return r
}

// numberOf returns which record was read, or 0 if it is none of ours.
func numberOf(r *talk.Record) int {
	digits, _, _ := strings.Cut(string(r.Value), " ")
	if r.Value == nil {
		digits = strings.TrimPrefix(string(r.Key), "gone-")
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 {
		return 0
	}
	return n
}

// difference says how two records differ, or "". Without a timestamp a client
// chose its own.
func difference(want, got *talk.Record) string {
	switch {
	case !same(want.Key, got.Key):
		return fmt.Sprintf("key %q, want %q", got.Key, want.Key)
	case !same(want.Value, got.Value):
		return fmt.Sprintf("value %q, want %q", got.Value, want.Value)
	case want.Timestamp != 0 && want.Timestamp != got.Timestamp:
		return fmt.Sprintf("timestamp %d, want %d", got.Timestamp, want.Timestamp)
	case len(want.Headers) != len(got.Headers):
		return fmt.Sprintf("headers %v, want %v", got.Headers, want.Headers)
	}
	for i, h := range want.Headers {
		if g := got.Headers[i]; g.Name != h.Name || !same(g.Value, h.Value) {
			return fmt.Sprintf("header %d %s=%q, want %s=%q", i, g.Name, g.Value, h.Name, h.Value)
		}
	}
	return ""
}

// same tells null from empty.
func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
