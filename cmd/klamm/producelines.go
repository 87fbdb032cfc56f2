package main

import (
	"bytes"
	"io"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// producedJSON is the result of one record.
type producedJSON struct {
	Kind      string `json:"_kind"`
	Version   int    `json:"_version"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    *int64 `json:"offset"` // null if it is not known
	Outcome   string `json:"outcome"`
	Error     string `json:"error,omitempty"`
}

// A resultLines prints results as they come, in the order of the input, in a task
// of its own: whoever reads them may be slow.
type resultLines struct {
	c       *call
	out     io.Writer
	waiting []*produced // without a line yet
	changed env.Cond
	closing bool
	closed  bool
	err     error // of the output
}

// maxWaiting bounds the records that wait for their line.
const maxWaiting = 10_000

func newResultLines(c *call, out io.Writer) *resultLines {
	l := &resultLines{c: c, out: out, changed: c.w.NewCond("result lines")}
	c.w.Go("result lines", l.print)
	return l
}

// add takes the next record, and waits until there is room for it. Blocks.
func (l *resultLines) add(p *produced) error {
	for l.err == nil && len(l.waiting) >= maxWaiting {
		if err := l.changed.Wait(kafka.Never); err != nil {
			return err
		}
	}
	l.waiting = append(l.waiting, p)
	return l.err
}

// print prints until close.
func (l *resultLines) print() {
	defer func() { l.closed = true; l.changed.Broadcast() }()
	var text bytes.Buffer
	for l.err == nil {
		text.Reset()
		for len(l.waiting) > 0 && l.waiting[0].result != nil {
			l.err = printJSON(&text, l.waiting[0].line())
			l.waiting = l.waiting[1:]
		}
		if text.Len() == 0 {
			if l.closing || l.changed.Wait(kafka.Never) != nil {
				return
			}
			continue
		}
		l.changed.Broadcast() // there is room
		var err error
		l.c.host.Outside(func() { _, err = l.out.Write(text.Bytes()) })
		if err != nil {
			l.err = err
		}
	}
}

// close prints the results that there are. A record that was never taken has none.
// Blocks.
func (l *resultLines) close() error {
	l.closing = true
	l.changed.Broadcast()
	for !l.closed {
		if err := l.changed.Wait(kafka.Never); err != nil {
			return err
		}
	}
	return l.err
}

// line returns what to print of a record.
func (p *produced) line() producedJSON {
	r := p.result
	j := producedJSON{Kind: "klamm.produced", Version: 1, Topic: r.Partition.Topic,
		Partition: r.Partition.Partition, Outcome: r.Outcome.String()}
	if r.Offset != kafka.NoOffset {
		o := int64(r.Offset)
		j.Offset = &o
	}
	if r.Err != nil {
		j.Error = r.Err.Error()
	}
	return j
}
