// Package envtest judges whether a world keeps the contract of package env. Each
// check returns an error that says what the world did wrong, so that it can be
// run by any test, program or simulator.
//
// A world passes when every check returns nil. Package envtest/broken holds
// worlds that break one promise each, and the checks that must notice.
//
// What a check may rely on: the world injects no faults, and time passes.
package envtest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A Harness makes worlds of one kind. Each check is given a new one.
type Harness interface {
	// Run runs every part as a task of its host and returns when all have
	// returned, with their errors joined. It also fails when a task panics, or
	// when the parts do not come to an end.
	//
	// A host begins with the first Run that names it and lives until it is
	// killed or the harness is dropped. Tasks that a part leaves behind go on
	// during later Runs. Each host has at least one log directory, empty at
	// first.
	Run(parts ...Part) error

	// Address returns the address with port 0 on which a host can listen. Every
	// host can dial what its Listener.Address then tells.
	Address(host string) string

	// Kill ends a host between two Runs as SIGKILL ends a process: its tasks
	// are gone, the system closes its sockets and drops its locks, and what its
	// completed disk calls did is there when a Run names the host again.
	Kill(host string) error

	// Patience is how long to wait for what must happen before the world is
	// found wrong. In virtual time it costs nothing.
	Patience() time.Duration
}

// A Part is what one host does in a Run.
type Part struct {
	Host string
	Run  func(w *env.World) error
}

// A Check tests one promise.
type Check struct {
	Name string // reads as a claim
	Run  func(h Harness) error
}

// Checks returns all checks.
func Checks() []Check {
	return slices.Concat(
		clockChecks, taskChecks, condChecks, turnChecks, mailboxChecks, groupChecks, randomChecks,
		connChecks, closeChecks, deadlineChecks, cancelChecks, transferChecks, sendFileChecks, hostChecks,
		fileChecks, truncateChecks, directoryChecks, diskChecks, killChecks,
	)
}

// A trial is one check under way on one host.
type trial struct {
	*env.World
	harness  Harness
	host     string
	patience time.Duration
	group    *env.Group
	errs     []error
}

func newTrial(h Harness, host string, w *env.World) *trial {
	return &trial{World: w, harness: h, host: host, patience: h.Patience(), group: env.NewGroup(w, "trial")}
}

// one makes a check that needs a single host.
func one(name string, f func(t *trial) error) Check {
	return Check{name, func(h Harness) error { return h.Run(part(h, "a", f)) }}
}

// part runs f as a trial on a host. It ends when all tasks of the trial have.
func part(h Harness, host string, f func(t *trial) error) Part {
	return Part{host, func(w *env.World) error {
		t := newTrial(h, host, w)
		err := f(t)
		if err != nil {
			t.group.Cancel()
		}
		return errors.Join(err, t.finish())
	}}
}

// start runs f as a task; its error fails the trial.
func (t *trial) start(name string, f func() error) env.Task {
	return t.group.Go(name, func() {
		if err := f(); err != nil {
			t.errs = append(t.errs, fmt.Errorf("%s: %w", name, err))
		}
	})
}

// finish waits for all tasks that were started.
func (t *trial) finish() error {
	if err := t.group.Wait(t.soon()); err != nil {
		t.errs = append(t.errs, fmt.Errorf("%d tasks have not ended: %w", t.group.Len(), err))
	}
	return errors.Join(t.errs...)
}

// soon is the latest instant for something that must happen.
func (t *trial) soon() kafka.Instant { return t.Now().Add(t.patience) }

// until waits for done to become true.
func (t *trial) until(what string, done func() bool) error {
	for end := t.soon(); !done(); {
		if t.Now() > end {
			return fmt.Errorf("in vain waited for: %s", what)
		}
		if err := t.Sleep(time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// settle lets the other tasks get to where they wait. Nothing may depend on
// whether they do.
func (t *trial) settle() { _ = t.Sleep(5 * time.Millisecond) }

// wants fails unless err is want.
func wants(what string, err, want error) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("%s: error is %v, want %v", what, err, want)
}

// first returns the first error that is not nil: of calls in a row that are all
// made.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
