package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/klammlog/klamm/scenarios"
	"github.com/klammlog/klamm/sim"
)

// An order is what a worker process is asked to do: one run.
type order struct {
	Spec      scenarios.Spec `json:"spec"`
	File      string         `json:"file,omitempty"`      // the case file that says what to run, if one does
	Given     []string       `json:"-"`                   // settings on top of those of the file
	Record    string         `json:"record,omitempty"`    // write every event to this file
	Artifacts string         `json:"artifacts,omitempty"` // on failure, write evidence below this folder
	Tally     bool           `json:"tally,omitempty"`     // count what became of the sends
	When      bool           `json:"when,omitempty"`      // tell when probes were reached first
	Times     int            `json:"-"`                   // how often to make it; 0: with every process of the crew
}

// An answer is what a worker says of one order.
type answer struct {
	Result  scenarios.Result `json:"result"`
	Fates   []fate           `json:"fates,omitempty"`   // if they were asked for
	Moments []sim.Moment     `json:"moments,omitempty"` // likewise
	Error   string           `json:"error,omitempty"`   // the run could not be made
}

// A finding is what came of one run, repeated or not.
type finding struct {
	order
	answer
	Again []scenarios.Result // of the repetitions, each in another process
	Died  error              // a worker process died of it
	Took  time.Duration      // of real time, with the repetitions
}

// diverged returns the first repetition whose chain differs, or nil.
func (f finding) diverged() *scenarios.Result {
	for i := range f.Again {
		if f.Again[i].Chain != f.Result.Chain {
			return &f.Again[i]
		}
	}
	return nil
}

// A worker is a child process that makes runs, one after the other. Processes,
// not goroutines: a run that hangs can be killed, and whatever a run leaves
// behind in a process cannot reach the runs of another.
type worker struct {
	command *exec.Cmd
	orders  *json.Encoder
	in      io.Closer
	answers *bufio.Reader
	stderr  *tail
	wait    func() error // for the process's end; the same error each time
}

// startWorker starts a worker of a klamm, of this one if binary is empty.
func startWorker(binary string) (*worker, error) {
	if binary == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		binary = self
	}
	w := &worker{command: exec.Command(binary, "worker"), stderr: &tail{}}
	w.command.Stderr = w.stderr
	// A group of its own: Ctrl-C of a terminal goes to whole groups, and a worker that
	// dies of it looks as if its run had killed it. Without us its input ends.
	w.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := w.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := w.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.in, w.orders, w.answers = in, json.NewEncoder(in), bufio.NewReaderSize(out, 1<<16)
	w.wait = sync.OnceValue(w.command.Wait)
	return w, w.command.Start()
}

// do sends one order and waits for its answer. An error means that the process
// is gone, and says what it printed last.
func (w *worker) do(o order) (answer, error) {
	var a answer
	if err := w.orders.Encode(o); err == nil {
		line, err := w.answers.ReadBytes('\n')
		if err == nil {
			return a, json.Unmarshal(line, &a)
		}
	}
	end := "ended"
	if err := w.wait(); err != nil {
		end = fmt.Sprintf("died (%v)", err)
	}
	if said := w.stderr.String(); said != "" {
		return a, fmt.Errorf("the process that ran it %s:\n%s", end, said)
	}
	return a, fmt.Errorf("the process that ran it %s without a word", end)
}

func (w *worker) stop() {
	w.in.Close()
	w.wait()
}

func (w *worker) kill() {
	w.command.Process.Kill()
	w.wait()
}

// A tail keeps the end of what a process prints.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailBytes = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.kept))
}

// A crew is the worker processes of one job: one for the run itself, and one for
// each repetition, so that a repetition never shares a process with the original.
type crew []*worker

func startCrew(size int) (crew, error) { return pool{repeat: size}.startCrew() }

func (p pool) startCrew() (crew, error) {
	var c crew
	for range p.repeat {
		w, err := startWorker(p.binary)
		if err != nil {
			c.kill()
			return nil, fmt.Errorf("start a worker process: %w", err)
		}
		c = append(c, w)
	}
	return c, nil
}

func (c crew) stop() {
	for _, w := range c {
		w.stop()
	}
}

func (c crew) kill() {
	for _, w := range c {
		w.kill()
	}
}

// run makes one run and its repetitions. Evidence is written by the run alone.
func (c crew) run(o order) (f finding) {
	begun := time.Now()
	defer func() { f.Took = time.Since(begun) }()
	f.order = o
	for i, w := range c {
		if i > 0 && i == o.Times {
			break
		}
		a, err := w.do(o)
		o.Artifacts = ""
		if err != nil {
			f.Died = err
			return f
		}
		if i == 0 {
			f.answer = a
		} else {
			f.Again = append(f.Again, a.Result)
		}
		if a.Error != "" {
			f.Error = a.Error
			return f
		}
	}
	return f
}

// errInterrupted ends a pool early.
var errInterrupted = errors.New("interrupted")

// runPool makes the ordered runs on jobs crews of repeat processes and hands each
// finding to report, on one goroutine, in the order they end. It returns when
// orders is closed and all are made, when report returns false, or with
// errInterrupted when ctx ends; the processes are gone then.
func runPool(ctx context.Context, orders <-chan order, jobs, repeat int, report func(finding) bool) error {
	return pool{jobs: jobs, repeat: repeat}.run(ctx, orders, report)
}

// A pool is which processes make runs, and how many side by side.
type pool struct {
	binary       string // the klamm that they are; empty: this one
	jobs, repeat int
}

func (p pool) run(ctx context.Context, orders <-chan order, report func(finding) bool) error {
	working, stop := context.WithCancel(ctx)
	findings := make(chan finding)
	var wait sync.WaitGroup
	var failed error
	for range p.jobs {
		c, err := p.startCrew()
		if err != nil {
			failed = err
			break
		}
		wait.Go(func() { p.work(working, c, orders, findings) })
	}
	ended := make(chan struct{})
	go func() { wait.Wait(); close(ended) }()
	defer func() { stop(); <-ended }()
	return errors.Join(failed, gather(ctx, findings, ended, report))
}

// gather reports findings until there are no more.
func gather(ctx context.Context, findings <-chan finding, ended <-chan struct{}, report func(finding) bool) error {
	for {
		select {
		case f := <-findings:
			if !report(f) {
				return nil
			}
		case <-ended:
			return nil
		case <-ctx.Done():
			return errInterrupted
		}
	}
}

// work makes runs until there are no more or ctx ends, replacing a crew that died.
func (p pool) work(ctx context.Context, c crew, orders <-chan order, findings chan<- finding) {
	defer func() { c.kill() }()
	for {
		var o order
		var more bool
		select {
		case o, more = <-orders:
		case <-ctx.Done():
		}
		if !more {
			return
		}
		done := make(chan finding, 1)
		go func() { done <- c.run(o) }()
		var f finding
		select {
		case f = <-done:
		case <-ctx.Done():
			return
		}
		if f.Died != nil {
			c.kill()
			var err error
			if c, err = p.startCrew(); err != nil {
				f.Died = errors.Join(f.Died, err)
			}
		}
		select {
		case findings <- f:
		case <-ctx.Done():
			return
		}
		if c == nil {
			return
		}
	}
}
