// Package assert stops a program that is wrong about itself.
//
// A failed assertion is a bug in klamm, never a fault of the world and never a
// client's mistake: it panics, is on in production, and nobody recovers it but
// the root of a task, which reports it.
package assert

import "fmt"

// A Failure is the value a failed assertion panics with.
type Failure struct{ Message string }

func (f Failure) Error() string { return "assertion failed: " + f.Message }

// That panics with a Failure unless ok holds. The message names the object and
// the values; it is formatted only on failure, but its arguments are evaluated
// always, so hot paths pass plain numbers.
func That(ok bool, format string, args ...any) {
	if !ok {
		panic(Failure{fmt.Sprintf(format, args...)})
	}
}

// NoError panics with a Failure if err is not nil: for errors that only a bug
// can cause.
func NoError(err error) {
	if err != nil {
		panic(Failure{err.Error()})
	}
}
