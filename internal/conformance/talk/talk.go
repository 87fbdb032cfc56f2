// Package talk says how the conformance driver and the programs that wrap a client
// speak with each other: lines of tab-separated fields on standard input and output.
//
// A program is called as
//
//	PROGRAM produce BOOTSTRAP CODEC
//	PROGRAM consume BOOTSTRAP TOPIC/PARTITIONS...
//	PROGRAM times BOOTSTRAP
//	PROGRAM console BOOTSTRAP TOPIC
//	PROGRAM group BOOTSTRAP GROUP STRATEGY NAME TOPIC...
//
// produce takes a Record a line, sends each at once to the partition it names, and
// tells an Ack for each; it ends when its input has ended and all is answered.
// consume begins at offset 0 of every partition and tells what each Poll
// returned; it takes an End a line, and ends when every partition has one and all
// are passed. times takes a Lookup a line and tells it again with the answer.
// console asks what a web console asks, tells what it asked a line at a time, and
// fails if it does not like an answer. group is a member of a group, under a name of
// its own in what it tells: it processes what it reads, which is to tell of it, and
// then commits it; when its input ends it leaves. It tells Events. Whatever else a program has to say goes to
// standard error.
//
// Bytes are in base64, "-" is null. Instants are nanoseconds of the machine's
// monotonic clock, which all processes share.
package talk

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Now returns the instant.
func Now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // every kernel has this clock
	}
	return t.Nano()
}

// A Header is one header of a record.
type Header struct {
	Name  string
	Value []byte
}

// A Record is what one message is made of. A nil key or value is null.
type Record struct {
	Timestamp  int64 // in milliseconds; 0 leaves it to the client
	Key, Value []byte
	Headers    []Header
}

// A Send is a record on its way to a partition.
type Send struct {
	Number    int
	Topic     string
	Partition int32
	Record
}

// An Ack is what became of a send.
type Ack struct {
	Number             int
	Invoked, Completed int64
	Offset, Timestamp  int64  // -1 if the client was not told
	Error              string // of unknown outcome, if not ""
}

// A Poll is one look at one partition.
type Poll struct {
	Topic              string
	Partition          int32
	Invoked, Completed int64
	Before, After      int64
	Records            []Read
}

// A Read is one record as a client got it.
type Read struct {
	Offset int64
	Record
}

// An End is where reading a partition ends.
type End struct {
	Topic     string
	Partition int32
	Until     int64
}

// A Lookup asks for the first offset whose record is not older than a timestamp.
type Lookup struct {
	Topic              string
	Partition          int32
	Asked              int64 // a timestamp in milliseconds
	Invoked, Completed int64
	Offset             int64 // -1 if there is none
}

func bytesText(b []byte) string {
	if b == nil {
		return "-"
	}
	return base64.StdEncoding.EncodeToString(b)
}

func (r *Record) fields() []string {
	headers := make([]string, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = h.Name + ":" + bytesText(h.Value)
	}
	return []string{strconv.FormatInt(r.Timestamp, 10), bytesText(r.Key), bytesText(r.Value), strings.Join(headers, ",")}
}

// String returns the line.
func (s *Send) String() string {
	return fmt.Sprintf("%d\t%s\t%d\t%s", s.Number, s.Topic, s.Partition, strings.Join(s.fields(), "\t"))
}

// String returns the line.
func (a *Ack) String() string {
	if a.Error != "" {
		return fmt.Sprintf("%d\t%d\t%d\t!\t%s", a.Number, a.Invoked, a.Completed, strings.Join(strings.Fields(a.Error), " "))
	}
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%d", a.Number, a.Invoked, a.Completed, a.Offset, a.Timestamp)
}

// String returns the lines: one for the poll and one for each record.
func (p *Poll) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\t%d\t%d\t%d\t%d\t%d\t%d", p.Topic, p.Partition, p.Invoked, p.Completed, p.Before, p.After, len(p.Records))
	for i := range p.Records {
		r := &p.Records[i]
		fmt.Fprintf(&b, "\n%d\t%s", r.Offset, strings.Join(r.fields(), "\t"))
	}
	return b.String()
}

// String returns the line.
func (e End) String() string { return fmt.Sprintf("%s\t%d\t%d", e.Topic, e.Partition, e.Until) }

// String returns the line.
func (l *Lookup) String() string {
	return fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%d", l.Topic, l.Partition, l.Asked, l.Invoked, l.Completed, l.Offset)
}

// errLine: a line is not what it should be.
var errLine = errors.New("malformed line")

// A line's fields, taken one after the other. After the first that is not there
// or no number, it is bad.
type line struct {
	fields []string
	bad    bool
}

func split(text string) *line { return &line{fields: strings.Split(text, "\t")} }

func (l *line) text() string {
	if len(l.fields) == 0 {
		l.bad = true
		return ""
	}
	f := l.fields[0]
	l.fields = l.fields[1:]
	return f
}

func (l *line) number() int64 {
	n, err := strconv.ParseInt(l.text(), 10, 64)
	l.bad = l.bad || err != nil
	return n
}

func (l *line) bytes() []byte { return l.decode(l.text()) }

func (l *line) decode(text string) []byte {
	if text == "-" {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(text)
	l.bad = l.bad || err != nil
	return b
}

func (l *line) record() Record {
	r := Record{Timestamp: l.number(), Key: l.bytes(), Value: l.bytes()}
	if headers := l.text(); headers != "" {
		for h := range strings.SplitSeq(headers, ",") {
			name, value, _ := strings.Cut(h, ":")
			r.Headers = append(r.Headers, Header{name, l.decode(value)})
		}
	}
	return r
}

// end returns an error unless the line was taken whole.
func (l *line) end(text string) error {
	if l.bad || len(l.fields) > 0 {
		return fmt.Errorf("%w: %.200q", errLine, text)
	}
	return nil
}

// ParseSend reads a line.
func ParseSend(text string) (Send, error) {
	l := split(text)
	s := Send{Number: int(l.number()), Topic: l.text(), Partition: int32(l.number()), Record: l.record()}
	return s, l.end(text)
}

// ParseAck reads a line.
func ParseAck(text string) (Ack, error) {
	l := split(text)
	a := Ack{Number: int(l.number()), Invoked: l.number(), Completed: l.number(), Offset: -1, Timestamp: -1}
	if len(l.fields) > 0 && l.fields[0] == "!" {
		l.text()
		a.Error = "failed: " + l.text()
		return a, l.end(text)
	}
	a.Offset, a.Timestamp = l.number(), l.number()
	return a, l.end(text)
}

// ParsePoll reads the first line of a poll, and next for each of its records.
func ParsePoll(text string, next func() string) (Poll, error) {
	l := split(text)
	p := Poll{
		Topic: l.text(), Partition: int32(l.number()), Invoked: l.number(), Completed: l.number(),
		Before: l.number(), After: l.number(),
	}
	count := l.number()
	if err := l.end(text); err != nil {
		return p, err
	}
	for range count {
		text := next()
		l := split(text)
		p.Records = append(p.Records, Read{Offset: l.number(), Record: l.record()})
		if err := l.end(text); err != nil {
			return p, err
		}
	}
	return p, nil
}

// ParseEnd reads a line.
func ParseEnd(text string) (End, error) {
	l := split(text)
	e := End{l.text(), int32(l.number()), l.number()}
	return e, l.end(text)
}

// ParseLookup reads a line.
func ParseLookup(text string) (Lookup, error) {
	l := split(text)
	q := Lookup{l.text(), int32(l.number()), l.number(), l.number(), l.number(), l.number()}
	return q, l.end(text)
}
