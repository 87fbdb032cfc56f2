package link

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// What closes a connection though the network is well.
var (
	errOverdue  = errors.New("the broker did not answer in time")
	errIdle     = errors.New("connection idle")
	errDoubtful = errors.New("nothing was heard on the connection since another went silent")
	errFraming  = errors.New("the broker's bytes make no sense")
	errFrameMax = errors.New("frame too large")
)

// A session is one connection from its negotiation to its end.
type session struct {
	l         *Link
	conn      env.Conn
	formatter *kmsg.RequestFormatter
	versions  versions
	open      []*Call // written and not answered, oldest first
	ended     bool
	lastUse   kafka.Instant
	heard     kafka.Instant // when the last answer came
	frame     []byte        // of the last request, for the memory
	mutedTill kafka.Instant // the broker asked not to be sent anything before (KIP-219)
}

// keepFrame bounds the memory that a session keeps for its next request.
const keepFrame = 2 << 20

// send writes one request. From the first byte on its outcome is unknown until
// it is answered. Blocks.
func (s *session) send(call *Call) error {
	frame := s.formatter.AppendRequest(s.frame[:0], call.req, call.correlation)
	if s.frame = nil; cap(frame) <= keepFrame {
		s.frame = frame // one request is written at a time
	}
	call.state = sent
	s.lastUse = s.l.w.Now()
	if !call.o.Unanswered {
		// It is open before it is written: the answer may come first.
		s.open = append(s.open, call)
	}
	s.armRead()
	s.conn.SetWriteDeadline(call.overdue)
	_, err := s.conn.Write(frame)
	if err == nil && s.ended {
		// Second look: the connection ended meanwhile, and the open calls with
		// it.
		err = env.ErrClosed
	}
	if call.o.Unanswered {
		if err != nil {
			call.fail(noAnswer(call, err))
		}
		call.finish(nil)
	}
	return err
}

// armRead sets the read deadline: when the first open call is overdue, or when
// the connection has been idle too long.
func (s *session) armRead() { s.conn.SetReadDeadline(s.due()) }

func (s *session) due() kafka.Instant {
	if len(s.open) == 0 {
		return s.lastUse.Add(s.l.c.MaxIdle)
	}
	due := kafka.Never
	for _, call := range s.open {
		due = min(due, call.overdue)
	}
	return due
}

// read takes answers until the connection ends.
func (s *session) read() {
	f := frames{conn: s.conn, limit: s.l.c.MaxFrame, late: s.late}
	for !s.ended {
		frame, err := f.next()
		if err == nil {
			err = s.answer(frame)
		}
		if err != nil {
			s.end(err)
			return
		}
	}
}

// late judges a read deadline that has passed: nil says to go on.
func (s *session) late() error {
	now := s.l.w.Now()
	if now < s.due() {
		s.armRead()
		return nil
	}
	if len(s.open) == 0 {
		if len(s.l.queue) > 0 {
			s.conn.SetReadDeadline(now.Add(s.l.c.RequestTimeout))
			return nil
		}
		s.l.w.Probe("an idle connection was closed by the client")
		return errIdle
	}
	s.l.w.Probe("a broker did not answer in time, and its connection was closed")
	if s.l.c.Silence != nil {
		s.l.c.Silence.at = now
	}
	return errOverdue
}

// doubtful reports whether the connection may be as dead as another that went silent: no
// answer came since. One with open requests has their time limits.
func (s *session) doubtful() bool {
	silence := s.l.c.Silence
	return silence != nil && len(s.open) == 0 && s.heard < silence.at
}

// answer matches a frame with the oldest open call.
func (s *session) answer(frame []byte) error {
	if len(s.open) == 0 {
		return fmt.Errorf("%d bytes nobody asked for: %w", len(frame), errFraming)
	}
	call := s.open[0]
	resp, err := decodeAnswer(frame, call.correlation, call.req.ResponseKind())
	if err != nil {
		return err
	}
	s.open = s.open[1:]
	s.lastUse = s.l.w.Now()
	s.heard = s.lastUse
	s.armRead()
	s.mute(resp)
	call.finish(resp)
	return nil
}

// mute obeys a broker that throttles its client: answers come at once, and it is
// the client's part to send nothing for a while (KIP-219).
func (s *session) mute(resp kmsg.Response) {
	throttle, ok := resp.(kmsg.ThrottleResponse)
	if !ok {
		return
	}
	if ms, ours := throttle.Throttle(); ours && ms > 0 {
		s.l.w.Probe("a broker throttled its client")
		s.mutedTill = max(s.mutedTill, s.l.w.Now().Add(time.Duration(ms)*time.Millisecond))
	}
}

// end closes the connection. Every open call fails with an unknown outcome; if
// there were any, what is queued fails too, lest it overtake what the callers
// will retry. It does not block.
func (s *session) end(why error) {
	if s.ended {
		return
	}
	s.ended = true
	s.conn.Close()
	open := s.open
	s.open = nil
	if s.l.session == s {
		s.l.session = nil
	}
	if errors.Is(why, io.EOF) {
		why = fmt.Errorf("the broker closed the connection: %w", why)
	}
	for _, call := range open {
		call.fail(noAnswer(call, why))
	}
	if len(open) > 0 {
		s.l.failQueue(why)
	}
	s.l.changed.Broadcast()
}
