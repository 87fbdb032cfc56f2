package link

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// What can become of a request. Both are wrapped with the broker's address, the
// request's name, and the cause.
var (
	// ErrNotSent: no byte of the request was written. It did not happen.
	ErrNotSent = errors.New("request not sent")

	// ErrNoAnswer: it was written, at least in part, and no answer that can be
	// relied on came back. It may have happened, or may yet.
	ErrNoAnswer = errors.New("request sent, no answer")
)

var errQueueFull = errors.New("too many requests")

// Options are what a request asks of the link beside being carried.
type Options struct {
	// MaxVersion is the highest version the caller can speak; 0 means the
	// highest this package knows for the key.
	MaxVersion int16

	// MinVersion is the lowest version that means what the caller wants.
	MinVersion int16

	// Patience is how much longer than Config.RequestTimeout the broker may
	// take: what the request itself asks it to wait.
	Patience time.Duration

	// Unanswered says that the broker will not answer (acks=0): the call is
	// done when it is written.
	Unanswered bool
}

type state uint8

const (
	queued    state = iota // nothing is written
	sent                   // written at least in part, the answer is awaited
	abandoned              // as sent, but nobody waits
	done
)

func (s state) String() string {
	return [...]string{"queued", "sent", "abandoned", "done"}[s]
}

// A Call is one request on its way.
type Call struct {
	link        *Link
	req         kmsg.Request
	o           Options
	done        env.Cond
	state       state
	correlation int32
	overdue     kafka.Instant
	resp        kmsg.Response
	err         error
}

// Wait waits for the answer; a request with Options.Unanswered has none, and
// both results are nil. If the deadline passes or the task is canceled the call
// is given up, and its answer, should it come, is dropped. Errors wrap
// ErrNotSent or ErrNoAnswer. Blocks.
func (c *Call) Wait(deadline kafka.Instant) (kmsg.Response, error) {
	for c.state != done {
		if err := c.done.Wait(deadline); err != nil {
			if c.state == done {
				break // answered at the last moment
			}
			return nil, c.abandon(err)
		}
	}
	return c.resp, c.err
}

// abandon gives the call up.
func (c *Call) abandon(why error) error {
	if c.state == queued {
		l := c.link
		if i := slices.Index(l.queue, c); i >= 0 {
			l.queue = slices.Delete(l.queue, i, i+1)
		}
		c.fail(notSent(c, why))
		return c.err
	}
	c.link.w.Probe("a request was given up before its answer came")
	c.state = abandoned
	return noAnswer(c, why)
}

func (c *Call) finish(resp kmsg.Response) {
	if c.state == done || c.state == abandoned {
		return
	}
	c.state, c.resp = done, resp
	c.done.Broadcast()
}

func (c *Call) fail(err error) {
	if c.state == done || c.state == abandoned {
		return
	}
	c.state, c.err = done, err
	c.done.Broadcast()
}

func notSent(c *Call, why error) error { return wrap(c, ErrNotSent, why) }

func noAnswer(c *Call, why error) error { return wrap(c, ErrNoAnswer, why) }

func wrap(c *Call, what, why error) error {
	return fmt.Errorf("%s to %s: %w: %w", nameOf(c.req), c.link.c.Address, what, why)
}

// nameOf returns the name of a message, which those that are not Kafka's tell
// themselves.
func nameOf(m interface{ Key() int16 }) string {
	if own, ok := m.(interface{ Name() string }); ok {
		return own.Name()
	}
	return kmsg.NameForKey(m.Key())
}
