package client

import (
	"errors"
	"strings"

	"github.com/klammlog/klamm/node/client/link"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// Errors of the client itself.
var (
	// ErrClosed: the producer, consumer or client was closed.
	ErrClosed = errors.New("client closed")

	// ErrTooLarge: the record is larger than max.request.size.
	ErrTooLarge = errors.New("record too large")

	// ErrBufferFull: no memory became free within max.block.ms.
	ErrBufferFull = errors.New("buffer memory exhausted")

	// ErrNoPartition: the topic has no such partition.
	ErrNoPartition = errors.New("no such partition")

	// ErrNotAssigned: the partition is not assigned to the consumer.
	ErrNotAssigned = errors.New("partition not assigned")

	// ErrNoPosition: where to read from is not yet known.
	ErrNoPosition = errors.New("position not known yet")

	// ErrNoOffset: auto.offset.reset is none, and there is no offset to read
	// from.
	ErrNoOffset = errors.New("no valid offset, and no policy to choose one")

	// ErrTruncated: the log has lost records that were read.
	ErrTruncated = errors.New("log was truncated")

	// ErrRecreated: the topic was deleted, and another has its name.
	ErrRecreated = errors.New("topic was created anew")
)

// OutcomeOf tells what an error of this package says about what was done. For an
// error it cannot place, that is kafka.Unknown.
func OutcomeOf(err error) kafka.Outcome {
	var code kafka.Error
	switch {
	case errors.As(err, &code):
		return code.Outcome()
	case errors.Is(err, link.ErrNotSent):
		return kafka.Retriable
	case errors.Is(err, ErrClosed), errors.Is(err, ErrTooLarge), errors.Is(err, ErrBufferFull),
		errors.Is(err, ErrNoPartition), errors.Is(err, ErrNotAssigned), errors.Is(err, ErrNoOffset):
		return kafka.Definite
	}
	return kafka.Unknown
}

// hopeless reports whether asking another broker is of no use.
func hopeless(err error) bool {
	return errors.Is(err, env.ErrCanceled) || errors.Is(err, kafka.ErrUnsupportedVersion) ||
		errors.Is(err, ErrClosed)
}

func isDeadline(err error) bool { return errors.Is(err, env.ErrDeadline) }

// A brokerError is a code with what the broker says about it.
type brokerError struct {
	code    kafka.Error
	message string
}

// toldBy returns a code as an error, with the broker's message if there is one.
func toldBy(code int16, message *string) error {
	e := kafka.Error(code)
	if e == kafka.None || message == nil || *message == "" {
		return e.AsError()
	}
	return brokerError{e, *message}
}

func (e brokerError) Error() string {
	if strings.Contains(e.message, e.code.Name()) {
		return e.message // klamm's brokers tell all there is to tell
	}
	return e.code.Error() + ": " + e.message
}

func (e brokerError) Unwrap() error { return e.code }
