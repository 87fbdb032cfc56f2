package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/klammlog/klamm/node/client"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/record"
)

// inputFlags say how input becomes records.
type inputFlags struct {
	input     string
	delimiter string
	separator string
	key       string
	hasKey    bool
	null      string
	hasNull   bool
}

func (f *inputFlags) add(flags *pflag.FlagSet) {
	flags.StringVarP(&f.input, "input", "i", "text", "what a line is: text, or json, an object")
	flags.StringVarP(&f.delimiter, "delimiter", "d", `\n`, "what ends a record of text; with \\n, \\t, \\0, \\xHH")
	flags.StringVarP(&f.separator, "key-separator", "K", "", "each line is a key, this, and a value")
	flags.StringVar(&f.key, "key", "", "the key of every record that has no other")
	flags.StringVar(&f.null, "null", "", "`TEXT` that stands for null; '' makes tombstones of empty values")
}

// maxRecord bounds the bytes of a record that are read before it is refused: what
// brokers take by default, and room for JSON around it.
const maxRecord = 16 << 20

// An input is where records come from, in pieces that hold whole records.
type input struct {
	start     func() // begins the reading, in a goroutine of its own
	pieces    chan []byte
	err       error // why pieces ended; io.EOF is the end. Good when it is closed
	stop      chan struct{}
	delimiter []byte // nil: a piece is a record
}

// open checks how to read standard input, or files.
func (f *produceFlags) open(stdin io.Reader, files []string) (*input, error) {
	in := &input{pieces: make(chan []byte, 4), stop: make(chan struct{})}
	switch {
	case f.input != "text" && f.input != "json":
		return nil, fmt.Errorf("--input %q: want text or json", f.input)
	case f.input == "json" && (f.separator != "" || f.hasNull || len(files) > 0):
		return nil, errors.New("--input json reads standard input, where key and null are told in each object")
	case f.separator != "" && f.hasKey:
		return nil, errors.New("--key and --key-separator exclude each other")
	case len(files) > 0:
		in.start = func() { go in.readFiles(files) }
		return in, nil
	}
	var text strings.Builder
	rest := strings.ReplaceAll(f.delimiter, `\0`, `\x00`)
	for i := 0; i < len(rest); i++ {
		if rest[i] != '\\' {
			text.WriteByte(rest[i])
			continue
		}
		n, err := unescape(&text, rest[i+1:])
		if err != nil {
			return nil, fmt.Errorf("--delimiter %q: %w", f.delimiter, err)
		}
		i += n
	}
	if in.delimiter = []byte(text.String()); len(in.delimiter) == 0 {
		return nil, errors.New("--delimiter is empty")
	}
	in.start = func() { go in.readStream(stdin) }
	return in, nil
}

// give hands a piece over, unless nobody wants more.
func (in *input) give(piece []byte) bool {
	select {
	case in.pieces <- piece:
		return true
	case <-in.stop:
		return false
	}
}

// readStream reads until the end. What has no delimiter at the end is a record.
func (in *input) readStream(r io.Reader) {
	defer close(in.pieces)
	var block []byte // read, and not handed over
	for {
		if cap(block)-len(block) < 64<<10 {
			block = append(make([]byte, 0, max(512<<10, 2*len(block))), block...)
		}
		n, err := r.Read(block[len(block):cap(block)])
		block = block[:len(block)+n]
		whole := 0
		if at := bytes.LastIndex(block, in.delimiter); at >= 0 {
			whole = at + len(in.delimiter)
		}
		if err == nil && len(block)-whole > maxRecord {
			err = fmt.Errorf("a record of more than %d bytes", maxRecord)
		}
		if err == io.EOF {
			whole = len(block)
		}
		if whole > 0 && !in.give(block[:whole:whole]) {
			return
		}
		if block = block[whole:]; err != nil {
			in.err = err
			return
		}
	}
}

// readFiles reads each file as one record.
func (in *input) readFiles(files []string) {
	defer close(in.pieces)
	for _, name := range files {
		b, err := readBounded(name)
		if err != nil {
			in.err = err
			return
		}
		if !in.give(b) {
			return
		}
	}
	in.err = io.EOF
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err == nil && len(b) > maxRecord {
		err = fmt.Errorf("%s: more than %d bytes", name, maxRecord)
	}
	return b, err
}

// next cuts the first record off a piece.
func (in *input) next(piece []byte) (one, rest []byte) {
	if in.delimiter == nil {
		return piece, nil
	}
	one, rest, _ = bytes.Cut(piece, in.delimiter)
	return one, rest
}

// A composer makes records of pieces of input.
type composer struct {
	f         *inputFlags
	topic     string
	partition int32 // or -1
	headers   []record.Header
	timestamp kafka.Timestamp // or 0
	separator []byte
	key       []byte
	null      []byte
}

func (f *produceFlags) composer(topic string) (*composer, error) {
	c := &composer{f: &f.inputFlags, topic: topic, partition: f.partition, separator: []byte(f.separator), null: []byte(f.null)}
	if f.hasKey {
		c.key = []byte(f.key)
	}
	var err error
	if c.headers, err = parseHeaders(f.headers); err != nil {
		return nil, err
	}
	if f.timestamp != "" {
		c.timestamp, err = parseTime(f.timestamp)
	}
	return c, err
}

// parseTime reads milliseconds, or RFC 3339.
func parseTime(s string) (kafka.Timestamp, error) {
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && ms >= 0 {
		return kafka.Timestamp(ms), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return kafka.Timestamp(t.UnixMilli()), nil
	}
	return 0, fmt.Errorf("time %q: want milliseconds since 1970, or as in 2026-05-04T10:00:00Z", s)
}

// compose returns the record of a piece, and the partition it names, or -1.
func (c *composer) compose(piece []byte) (client.Record, int32, error) {
	r := client.Record{Topic: c.topic, Key: c.key, Value: piece, Headers: c.headers, Timestamp: c.timestamp}
	if c.f.input == "json" {
		return c.fromJSON(r, piece)
	}
	if len(c.separator) > 0 {
		key, value, ok := bytes.Cut(piece, c.separator)
		if !ok {
			return r, 0, fmt.Errorf("there is no %q in it: every line needs a key, or leave out --key-separator", c.separator)
		}
		r.Key, r.Value = c.orNull(key), value
	}
	r.Value = c.orNull(r.Value)
	return r, c.partition, nil
}

func (c *composer) orNull(b []byte) []byte {
	if c.f.hasNull && bytes.Equal(b, c.null) {
		return nil
	}
	return b
}

// inputJSON is a record as --input json reads it. What 'klamm consume' tells beside
// it is not looked at.
type inputJSON struct {
	Key       json.RawMessage `json:"key"`
	KeyBytes  []byte          `json:"key_base64"`
	Value     json.RawMessage `json:"value"`
	ValBytes  []byte          `json:"value_base64"`
	Headers   []headerJSON    `json:"headers"`
	Partition *int32          `json:"partition"`
	Timestamp *int64          `json:"timestamp"`

	Kind    json.RawMessage `json:"_kind"`
	Version json.RawMessage `json:"_version"`
	Topic   json.RawMessage `json:"topic"`
	Offset  json.RawMessage `json:"offset"`
}

func (c *composer) fromJSON(r client.Record, piece []byte) (client.Record, int32, error) {
	var j inputJSON
	d := json.NewDecoder(bytes.NewReader(piece))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return r, 0, fmt.Errorf("no record in JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return r, 0, errors.New("more than one JSON value")
	}
	if j.Value == nil && j.ValBytes == nil {
		return r, 0, errors.New("no value: null makes a tombstone")
	}
	var err error
	if r.Value, err = bytesOf(j.Value, j.ValBytes); err != nil {
		return r, 0, err
	}
	if j.Key != nil || j.KeyBytes != nil {
		if r.Key, err = bytesOf(j.Key, j.KeyBytes); err != nil {
			return r, 0, err
		}
	}
	for _, h := range j.Headers {
		value := h.ValBytes
		if h.Value != nil {
			value = []byte(*h.Value)
		}
		r.Headers = append(r.Headers[:len(r.Headers):len(r.Headers)], record.Header{Key: h.Key, Value: value})
	}
	if j.Timestamp != nil && r.Timestamp == 0 {
		r.Timestamp = kafka.Timestamp(*j.Timestamp)
	}
	partition := c.partition
	if j.Partition != nil && partition < 0 {
		partition = *j.Partition
	}
	return r, partition, nil
}

// bytesOf returns what a key or a value in JSON stands for.
func bytesOf(text json.RawMessage, b []byte) ([]byte, error) {
	switch {
	case b != nil:
		return b, nil
	case len(text) == 0 || string(text) == "null":
		return nil, nil
	case text[0] == '"':
		var s string
		err := json.Unmarshal(text, &s)
		return []byte(s), err
	}
	var compact bytes.Buffer
	err := json.Compact(&compact, text)
	return compact.Bytes(), err
}
