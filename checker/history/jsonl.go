package history

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// The JSONL form of a history is UTF-8 text, one JSON object a line. There are two:
// operations, below, is what simulated runs leave behind; events, in events.go, is
// what programs write while they run.
//
// The first line is the header: {"history":"klamm","version":1}. Each other line
// is an operation or a mark, in the order of "op", which counts from 0; "type" is
// send, poll, list-offsets, read-back or mark. Instants ("invoked_ns",
// "completed_ns", "at_ns") are nanoseconds of one clock; a pending operation has
// no "completed_ns". Digests and keys are hexadecimal strings, so that readers
// whose numbers have 53 bits keep them whole. What is not known is left out:
// offsets, timestamps, epochs, errors. The fields are those of the Go types of
// the same names; testdata/all.jsonl shows each. Unknown fields are errors: a
// misspelt one must not silently be no evidence.
const (
	formatName    = "klamm"
	formatVersion = 1 // operations, as above
	eventsVersion = 2 // events, as an eventDecoder reads them
)

type headerLine struct {
	History string          `json:"history"`
	Version int             `json:"version"`
	Demands json.RawMessage `json:"demands,omitempty"` // checker.Demands
	Note    string          `json:"note,omitempty"`

	// Of the events form: of all sends that tell none.
	Acks     *Acks     `json:"acks,omitempty"`
	Delivery *Delivery `json:"delivery,omitempty"`
	Groups   []Group   `json:"groups,omitempty"`
}

// A lineHead is what all lines have in common.
type lineHead struct {
	Op   OpID   `json:"op"`
	Type string `json:"type"`
}

// A callHead is what all operations have in common.
type callHead struct {
	Client    string   `json:"client"`
	Topic     string   `json:"topic"`
	Partition int32    `json:"partition"`
	Invoked   Instant  `json:"invoked_ns"`
	Completed *Instant `json:"completed_ns,omitempty"`
	Outcome   Outcome  `json:"outcome"`
	Error     string   `json:"error,omitempty"`
}

type sendLine struct {
	lineHead
	callHead
	Incarnation int32      `json:"incarnation,omitempty"`
	Seq         int64      `json:"seq"`
	Record      RecordID   `json:"record"`
	Key         Digest     `json:"key"`
	Digest      Digest     `json:"digest"`
	Acks        Acks       `json:"acks"`
	Delivery    Delivery   `json:"delivery"`
	Tombstone   bool       `json:"tombstone,omitempty"`
	Offset      *Offset    `json:"offset,omitempty"`
	Timestamp   *Timestamp `json:"timestamp,omitempty"`
}

type pollLine struct {
	lineHead
	callHead
	Incarnation int32      `json:"incarnation,omitempty"`
	Generation  int32      `json:"generation,omitempty"`
	Isolation   Isolation  `json:"isolation"`
	Final       bool       `json:"final,omitempty"`
	Before      Offset     `json:"before"`
	After       Offset     `json:"after"`
	End         *Offset    `json:"end,omitempty"`
	Records     []readLine `json:"records,omitempty"`
}

type readLine struct {
	Offset Offset   `json:"offset"`
	Record RecordID `json:"record"`
	Digest Digest   `json:"digest"`
	Epoch  *int32   `json:"epoch,omitempty"`
}

type listLine struct {
	lineHead
	callHead
	Query     Query      `json:"query"`
	Isolation Isolation  `json:"isolation"`
	Asked     *Timestamp `json:"asked,omitempty"`
	Offset    *Offset    `json:"offset,omitempty"`
	Timestamp *Timestamp `json:"timestamp,omitempty"`
}

type backLine struct {
	lineHead
	callHead
	LogStart *Offset `json:"log_start,omitempty"`
	LogEnd   *Offset `json:"log_end,omitempty"`
}

type markLine struct {
	lineHead
	Kind      MarkKind `json:"kind"`
	At        Instant  `json:"at_ns"`
	Target    string   `json:"target,omitempty"`
	Topic     string   `json:"topic,omitempty"`
	Partition *int32   `json:"partition,omitempty"`
	Offset    *Offset  `json:"offset,omitempty"`
	Note      string   `json:"note,omitempty"`
}

// The types of lines.
const (
	typeSend = "send"
	typePoll = "poll"
	typeList = "list-offsets"
	typeBack = "read-back"
	typeMark = "mark"

	typeCommit = "offset-commit" // of events
	typeFetch  = "offset-fetch"
)

// unless returns a pointer to v, or nil if it is the value for "not known".
func unless[T comparable](v, unknown T) *T {
	if v == unknown {
		return nil
	}
	return &v
}

// or returns what p points to, or the value for "not known".
func or[T any](p *T, unknown T) T {
	if p == nil {
		return unknown
	}
	return *p
}

// MarshalText writes the hexadecimal form.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the hexadecimal form.
func (d *Digest) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 16, 64)
	if err != nil {
		return fmt.Errorf("digest %q: want up to 16 hexadecimal digits", b)
	}
	*d = Digest(n)
	return nil
}

// MarshalText writes the name, as the JSONL form has it.
func (o Outcome) MarshalText() ([]byte, error)   { return []byte(o.String()), nil }
func (d Delivery) MarshalText() ([]byte, error)  { return []byte(d.String()), nil }
func (i Isolation) MarshalText() ([]byte, error) { return []byte(i.String()), nil }
func (q Query) MarshalText() ([]byte, error)     { return []byte(q.String()), nil }

// UnmarshalText reads the name.
func (o *Outcome) UnmarshalText(b []byte) error   { return parseName((*uint8)(o), b, outcomeNames) }
func (d *Delivery) UnmarshalText(b []byte) error  { return parseName((*uint8)(d), b, deliveryNames) }
func (i *Isolation) UnmarshalText(b []byte) error { return parseName((*uint8)(i), b, isolationNames) }
func (q *Query) UnmarshalText(b []byte) error     { return parseName((*uint8)(q), b, queryNames) }

func parseName(to *uint8, b []byte, names []string) error {
	for i, n := range names {
		if n == string(b) {
			*to = uint8(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of %q", b, names)
}

// MarshalJSON writes "all", or the number.
func (a Acks) MarshalJSON() ([]byte, error) {
	if a == AcksAll {
		return []byte(`"all"`), nil
	}
	return json.Marshal(int8(a))
}

// UnmarshalJSON reads "all", 0 or 1.
func (a *Acks) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"all"`:
		*a = AcksAll
	case "0":
		*a = AcksNone
	case "1":
		*a = AcksLeader
	default:
		return fmt.Errorf(`acks %s: want "all", 0 or 1`, b)
	}
	return nil
}
