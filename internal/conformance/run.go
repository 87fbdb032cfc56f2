package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

// patience is how long one run of a client program may take.
var patience = 10 * time.Minute

// A running is a client program at work.
type running struct {
	what   string
	cmd    *exec.Cmd
	in     *bufio.Writer
	closer io.Closer
	cancel context.CancelFunc
	stderr tail
	told   atomic.Int64 // how often it has had something to say
	done   chan error   // one, when all its output is taken
}

// start starts a program and has take called for each line it prints, and for
// more of them by next.
func start(command []string, args []string, take func(line string, next func() string) error) (*running, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r := &running{what: strings.Join(args, " "), cancel: cancel, done: make(chan error, 1)}
	r.cmd = exec.CommandContext(ctx, command[0], append(command[1:], args...)...)
	r.cmd.Stderr = &r.stderr
	in, err := r.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.in, r.closer = bufio.NewWriter(in), in
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { r.done <- r.takeLines(out, take) }()
	return r, nil
}

func (r *running) takeLines(out io.Reader, take func(line string, next func() string) error) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	next := func() string { lines.Scan(); return lines.Text() }
	for lines.Scan() {
		if err := take(lines.Text(), next); err != nil {
			_, _ = io.Copy(io.Discard, out) // so that the program can end
			return err
		}
		r.told.Add(1)
	}
	return lines.Err()
}

// awaitWord returns when the program has told something, or has ended.
func (r *running) awaitWord() error {
	for begun := time.Now(); r.told.Load() == 0 && len(r.done) == 0; {
		if time.Since(begun) > time.Minute {
			return fmt.Errorf("%s: not a word within a minute", r.what)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// tell writes a line to the program.
func (r *running) tell(line fmt.Stringer) error {
	_, err := fmt.Fprintln(r.in, line)
	return err
}

// finish ends the program's input and returns when it has ended and all its output
// was taken.
func (r *running) finish() error {
	flushed := r.in.Flush()
	return r.await(errors.Join(flushed, r.closer.Close()))
}

// await returns when the program has ended, its input left open. An error of the
// input matters only if the program did not fail by itself.
func (r *running) await(input error) error {
	defer r.cancel()
	taken := <-r.done
	err := r.cmd.Wait()
	if err == nil && taken == nil && input == nil {
		return nil
	}
	return fmt.Errorf("%s: %w\n%s", r.what, errors.Join(err, taken, input), r.stderr.text())
}

// A tail keeps the end of what is written to it. Only one process writes to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - 4<<10; over > 0 {
		t.b = t.b[over:]
	}
	return len(p), nil
}

func (t *tail) text() string { return strings.TrimSpace(string(t.b)) }
