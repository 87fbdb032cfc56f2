package main

import (
	"errors"
	"io"

	"github.com/klammlog/klamm/scenarios"
)

// A skipError is what a commit shows nothing of, either way, says to a bisection. It is
// told as the error in it is.
type skipError struct{ err error }

func (e skipError) Error() string { return e.err.Error() }
func (e skipError) Unwrap() error { return e.err }

// bisected makes a run for git bisect run: a commit is good if every guarantee holds, bad
// if one is broken or something never finishes, and skipped whatever else happens.
func bisected(out io.Writer, name string, f replayFlags) error {
	err := judging(bisectedRun(out, name, f))
	switch codeOf(err) {
	case exitNotReproduced:
		return nil
	case 0, exitViolated, exitStuck, exitNotDeterministic:
		return err
	}
	return skipError{err}
}

// bisectedRun makes the run in a process of its own: if that hangs or dies there is
// no verdict.
func bisectedRun(out io.Writer, name string, f replayFlags) error {
	if f.until != "" || f.write != "" || f.log || f.state || len(f.trace) > 0 {
		return usage(errors.New("--bisect is for the verdict: not with --until, --case, --trace, --log or --state"))
	}
	spec, err := f.spec(name)
	if err != nil {
		return usage(err)
	}
	if err := checkOutput(f.output); err != nil {
		return err
	}
	c, err := startCrew(1)
	if err != nil {
		return err
	}
	found := c.run(order{Spec: spec, File: name})
	c.stop()
	if err := errors.Join(found.Died, textError(found.Error)); err != nil {
		return err
	}
	return tellReplay(out, &scenarios.Outcome{Result: found.Result}, nil, f)
}
