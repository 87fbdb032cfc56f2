package main

import (
	"errors"
	"fmt"
	"syscall"
)

// Exit codes. They are documented in `klamm help exit-codes` and stay as they are:
// gates and bisections depend on them.
const (
	exitFailed           = 1 // a command that is no judgement failed
	exitViolated         = 1 // a safety guarantee was broken
	exitUsage            = 2
	exitStuck            = 3 // liveness: something never finished after the heal
	exitInconclusive     = 4 // nothing was tested
	exitNotDeterministic = 5
	exitMissed           = 6 // a gate was missed
	exitNotReproduced    = 7
	exitInternal         = 70  // our own tooling failed
	exitSkip             = 125 // git bisect: this commit shows nothing either way
	exitInterrupted      = 130
)

const exitCodesHelp = `What the exit code of klamm run, klamm replay, klamm diff, klamm campaign merge and klamm check says:

  0    every guarantee held; of replay: --until ended the run before a verdict
  1    a safety guarantee was broken, or the broker crashed by itself; of diff: two runs differ
  2    usage: the command line or the configuration is wrong
  3    something never finished after the faults had stopped
  4    a run tested nothing; of check: a history shows nothing either way
  5    a repeated run was not the same
  6    with --must-reach: no run reached a probe that some run must; with --gate: the time was up
       before the cases were through, or before any fresh seed; of campaign merge: shards are
       missing, or nobody found the canary
  7    a replay did not reproduce a failure: every guarantee held; of shrink and why: the run does not fail
  70   internal error: a process of klamm's own died, or evidence could not be written
  125  of replay --bisect: git is to skip this commit
  130  interrupted

If runs of a campaign end differently, the first of 1, 5, 70, 3, 4, 6 that occurs decides;
of campaign merge 6 goes before 4.

klamm replay --bisect is for git bisect run, which takes 0 for a good commit, 125 for one to skip
and everything else for a bad one: it exits with 0 if every guarantee held, 1 or 3 as above, and
125 for all that is no verdict, such as a scenario that this klamm does not have.

Other commands exit with 0, 1 if they failed, 2, 70 or 130; klamm dev -- COMMAND exits with
the code of the command, or 128 and the number of the signal that killed it.`

// An exitCode is an error that has been told already: only the code is left.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// A usageError is the caller's mistake: one line that says what to do.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// usage marks err as the caller's mistake.
func usage(err error) error { return usageError{err} }

// An internalError is our own tooling's failure: nothing was judged, and it must
// not look as if a guarantee was broken.
type internalError struct{ err error }

func (e internalError) Error() string { return e.err.Error() }
func (e internalError) Unwrap() error { return e.err }

// judging gives the errors of a command whose exit code is a verdict: those
// without a code of their own are internal, as 1 means a broken guarantee.
func judging(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return errInterrupted // by who was to read what it says
	}
	if err == nil || codeOf(err) != exitFailed || errors.As(err, new(exitCode)) {
		return err
	}
	return internalError{err}
}

// codeOf returns the exit code for what a command returned.
func codeOf(err error) int {
	var code exitCode
	var mistake usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(skipError)):
		return exitSkip
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &mistake):
		return exitUsage
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, new(internalError)):
		return exitInternal
	}
	return exitFailed
}
