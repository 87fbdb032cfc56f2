// Package machine names what a replicated state machine, and who runs it, say to
// each other. It decides nothing and waits for nothing.
//
// A machine is the state of one partition of an internal topic: of consumer groups,
// of transactions. Requests come in with a ticket each. What comes out are records
// to append, and answers by ticket. The one rule: a machine answers, and shows an
// effect, only when the records of the decision are committed.
package machine

import "github.com/klammlog/klamm/node/kafka"

// A Ticket names a request that waits for its answer. Who runs the machine draws
// them, in rising order. Each gets exactly one answer.
type Ticket uint64

// An AppendID names an Append of one machine. They rise with its decisions.
type AppendID uint64

// A Record is one record of the internal topic. A nil Value is a tombstone.
type Record struct{ Key, Value []byte }

// An Append is the records of one decision. They are appended as one batch, so that
// all of them are committed or none is, and behind those of earlier Appends.
type Append struct {
	ID      AppendID
	Records []Record
}

// An Answer is what became of a request. The value is one of the types that the
// machine documents with the request.
type Answer struct {
	Ticket Ticket
	Value  any
}

// Effects are what came out of a machine since the last look, in order.
type Effects struct {
	Appends []Append
	Answers []Answer
}

// A Moment is now on both clocks: what waits is measured by the first, what is
// written down by the second.
type Moment struct {
	Now  kafka.Instant
	Wall kafka.Timestamp
}
