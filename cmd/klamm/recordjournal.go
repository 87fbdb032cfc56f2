package main

import (
	"errors"
	"io"
	"time"

	"github.com/klammlog/klamm/checker/history"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// A journal is the history of a workload on its way to a file: events are kept in
// memory until a task of its own has written them. Whoever begins operations makes
// room first, so that a slow disk slows the workload down and memory stays bounded.
type journal struct {
	history.EventWriter
	c       *call
	out     io.Writer
	last    history.Instant
	changed env.Cond
	err     error // of the file
	closing bool
	closed  bool
}

// The sizes, in bytes, at which a journal is written and at which it is full, and
// how long something may wait to be written.
const (
	journalChunk    = 256 << 10
	journalFull     = 4 << 20
	journalPatience = 500 * time.Millisecond
)

func newJournal(c *call, out io.Writer) *journal {
	j := &journal{c: c, out: out, changed: c.w.NewCond("journal")}
	c.w.Go("journal", j.write)
	return j
}

// now returns the instant of the next event. No two are the same.
func (j *journal) now() history.Instant {
	j.last = max(j.last+1, history.Instant(j.c.w.Now()))
	return j.last
}

// id returns the next event of a process.
func (j *journal) id(process string, op int64) history.EventID {
	return history.EventID{Process: process, Op: op, At: j.now()}
}

// wake has what was written taken away, if it is worth it.
func (j *journal) wake() {
	if j.Len() >= journalChunk {
		j.changed.Broadcast()
	}
}

// makeRoom waits until the journal is not full, and returns why it cannot be
// written any more. Blocks.
func (j *journal) makeRoom() error {
	for j.err == nil && j.Len() >= journalFull {
		if err := j.changed.Wait(kafka.Never); err != nil {
			return err
		}
	}
	return j.err
}

// write writes until close.
func (j *journal) write() {
	defer func() { j.closed = true; j.changed.Broadcast() }()
	var spare []byte
	for j.err == nil && !(j.closing && j.Len() == 0) {
		if j.Len() < journalChunk && !j.closing {
			err := j.changed.Wait(j.c.w.Now().Add(journalPatience))
			if err != nil && !errors.Is(err, env.ErrDeadline) {
				return
			}
			if j.Len() == 0 {
				continue
			}
		}
		chunk := j.Take(spare)
		var err error
		j.c.host.Outside(func() { _, err = j.out.Write(chunk) })
		spare, j.err = chunk, err
		j.changed.Broadcast()
	}
}

// close writes what is left. Blocks.
func (j *journal) close() error {
	j.closing = true
	j.changed.Broadcast()
	for !j.closed {
		if err := j.changed.Wait(kafka.Never); err != nil {
			return err
		}
	}
	return j.err
}
