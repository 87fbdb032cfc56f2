package main

import (
	"errors"
	"fmt"
)

// Exit codes. They are documented in `klamm run --help` and stay as they are:
// gates and bisections depend on them.
const (
	exitFailed           = 1 // a command that is no judgement failed
	exitViolated         = 1 // a safety guarantee was broken
	exitUsage            = 2
	exitStuck            = 3 // liveness: something never finished after the heal
	exitInconclusive     = 4 // nothing was tested
	exitNotDeterministic = 5
	exitNotReproduced    = 7
	exitInternal         = 70 // our own tooling failed
	exitInterrupted      = 130
)

// An exitCode is an error that has been told already: only the code is left.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// A usageError is the caller's mistake: one line that says what to do.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// usage marks err as the caller's mistake.
func usage(err error) error { return usageError{err} }

// codeOf returns the exit code for what a command returned.
func codeOf(err error) int {
	var code exitCode
	var mistake usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &mistake):
		return exitUsage
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	}
	return exitFailed
}
