package kafka

import (
	"errors"
	"strconv"
)

// An Error is one of Kafka's error codes, and a Go error. Code that fails wraps
// it with the object and the values:
//
//	fmt.Errorf("%s: offset %d: %w", partition, offset, kafka.ErrOffsetOutOfRange)
//
// and ErrorOf is the one place that turns the result into what goes over the
// wire.
type Error int16

// An Outcome is what an error says about what was done.
type Outcome uint8

const (
	// Definite: nothing happened, and trying again changes nothing.
	Definite Outcome = iota

	// Retriable: nothing happened; it may succeed later, or on another broker.
	Retriable

	// Unknown: it may have happened, now or some time after the answer.
	Unknown
)

func (o Outcome) String() string {
	switch o {
	case Definite:
		return "definite"
	case Retriable:
		return "retriable"
	}
	return "unknown outcome"
}

// Name returns Kafka's name of the code, such as "NOT_CONTROLLER".
func (e Error) Name() string {
	if !e.known() {
		return "ERROR_" + strconv.Itoa(int(e))
	}
	return known[e+1].name
}

// Outcome tells what the code says about what was done. A code that this table
// does not know says nothing.
//
// It judges the code alone. A broker that has begun to append never answers a
// definite or retriable code: who gives up waiting for an append answers
// ErrRequestTimedOut, ErrNotEnoughReplicasAfterAppend or ErrStorageError,
// whatever the reason. (Kafka answers NOT_LEADER_OR_FOLLOWER there, after
// which the records may turn out to be committed.)
func (e Error) Outcome() Outcome {
	if !e.known() {
		return Unknown
	}
	return known[e+1].kind
}

// Error returns the code's text, and its name.
func (e Error) Error() string {
	if !e.known() {
		return e.Name()
	}
	return known[e+1].text + " (" + e.Name() + ")"
}

func (e Error) known() bool { return e >= -1 && int(e)+1 < len(known) }

// ErrorOf returns the code that err carries: None for nil, the outermost Error
// it wraps, or ErrUnknownServerError, whose outcome is unknown, if it wraps
// none.
func ErrorOf(err error) Error {
	if err == nil {
		return None
	}
	var e Error
	if errors.As(err, &e) {
		return e
	}
	return ErrUnknownServerError
}

// Code returns the number that stands for err in an answer.
func Code(err error) int16 { return int16(ErrorOf(err)) }

// AsError returns nil for None and e otherwise: a code that came over the wire,
// as an error.
func (e Error) AsError() error {
	if e == None {
		return nil
	}
	return e
}
