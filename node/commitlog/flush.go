package commitlog

import (
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// flushPoll is how often the flusher looks whether flush.messages has become
// due, or the log is being closed, while it waits for flush.ms.
const flushPoll = 100 * time.Millisecond

// flush makes everything durable that is written now. Several tasks may be at it
// at once. An error has taken the directory out of service, or is
// env.ErrCanceled. Blocks.
func (l *Log) flush() error {
	for _, s := range l.unsynced() {
		if err := l.syncSegment(s); err != nil {
			return err
		}
	}
	return nil
}

// unsynced returns the last segments, in order, from the first on that has
// something to sync. The last may be empty yet.
func (l *Log) unsynced() []*segment {
	i := len(l.known)
	for i > 0 && (l.known[i-1].dirty() || l.known[i-1].base >= l.durable) {
		i--
	}
	return append([]*segment(nil), l.known[i:]...)
}

// syncSegment makes what is in a segment now durable; those before it are.
// Blocks.
func (l *Log) syncSegment(s *segment) error {
	if s.gone || !s.dirty() {
		return nil
	}
	if _, err := s.hold(); err != nil {
		return l.judge("open "+s.String(), err)
	}
	// Whoever finishes another sync of it, or removes it, lets it go meanwhile.
	f, err := s.log().pin()
	if err != nil {
		return l.judge("open "+s.String(), err)
	}
	defer s.log().unpin()
	if err := l.alone(&s.syncing); err != nil {
		return err
	}
	size, end, cuts := s.size, s.end, l.manifest.catalog.cuts
	began := l.w.Now()
	err = f.SyncData()
	l.dir.flushes.add(l.w.Now().Sub(began))
	l.leave(&s.syncing)
	if err != nil {
		return l.dir.fail("sync "+s.String(), err)
	}
	if err := l.syncWitnesses(s); err != nil {
		return err
	}
	// Second look: what was synced may have been cut off since.
	if l.manifest.catalog.cuts != cuts || s.gone {
		return nil
	}
	l.stats.Syncs++
	s.durable = max(s.durable, size)
	s.letGo()
	if end > l.durable {
		l.durable = end
		l.announce()
	}
	return nil
}

// alone waits until no other task syncs a file: of two syncs of one file at once
// a failure may be told to one only, and the other one's success means nothing.
// Blocks.
func (l *Log) alone(syncing *bool) error {
	for *syncing {
		if err := l.changed.Wait(kafka.Never); err != nil {
			return err
		}
	}
	if l.dir.failed != nil {
		return l.dir.failed
	}
	*syncing = true
	return nil
}

func (l *Log) leave(syncing *bool) {
	*syncing = false
	l.changed.Broadcast()
}

// syncWitnesses makes durable what must be before a segment's batches count: its
// name, and the index entries without which a gap is not believed. Blocks.
func (l *Log) syncWitnesses(s *segment) error {
	if err := l.settle(s); err != nil {
		return err
	}
	if !s.gap {
		return nil
	}
	if err := s.index.flush(l); err != nil {
		return err
	}
	if err := s.index.sync(l); err != nil {
		return err
	}
	s.gap = len(s.index.waiting) > 0
	return nil
}

// flushed takes the result of a flush. If there was only no space for what must
// be beside the batches, they are written and stay so, and are held later.
func (l *Log) flushed(err error) {
	switch {
	case err == nil:
	case passing(err):
		l.dir.filled()
		l.since = l.w.Now().Add(fullPause)
		if !l.flushing {
			l.flushing = true
			l.w.Go("flush "+l.name, l.flushWhenDue)
		}
	default:
		l.fail(err)
	}
}

// flushLater has what is not synced synced once flush.messages or flush.ms say
// so, with log.flush=os.
func (l *Log) flushLater() {
	c := l.o.Config
	if l.flushing || (c.FlushMessages <= 0 && c.FlushTime <= 0) {
		return
	}
	if c.FlushTime <= 0 && int64(l.written-l.durable) < c.FlushMessages {
		return
	}
	l.flushing = true
	l.w.Go("flush "+l.name, l.flushWhenDue)
}

// flushWhenDue is the flusher task. It ends when everything is synced, or when
// only more records can make something due.
func (l *Log) flushWhenDue() {
	for l.durable < l.written && l.writable() && !l.closed {
		due := l.flushDue()
		if due == kafka.Never {
			break
		}
		if wait := due.Sub(l.w.Now()); wait > 0 {
			if err := l.w.Sleep(min(wait, flushPoll)); err != nil {
				break
			}
			continue
		}
		l.since = l.w.Now()
		l.flushed(l.flush())
	}
	l.flushing = false
	l.changed.Broadcast()
}

// flushDue returns when what is not synced is to be synced.
func (l *Log) flushDue() kafka.Instant {
	c := l.o.Config
	switch {
	case c.Flush == FlushAck:
		return l.since
	case c.FlushMessages > 0 && int64(l.written-l.durable) >= c.FlushMessages:
		return min(l.since, l.w.Now())
	case c.FlushTime > 0:
		return l.since.Add(c.FlushTime)
	}
	return kafka.Never
}
