package commitlog

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// groupSize is about how many bytes are written at once. Larger batches are
// written by themselves.
const groupSize = 1 << 20

// startWriter has the queue written, if nobody is at it.
func (l *Log) startWriter() {
	if l.writing {
		return
	}
	l.writing = true
	l.w.Go("write "+l.name, l.write)
}

// write is the writer task: it writes what is queued, group after group, and
// ends when there is nothing left.
func (l *Log) write() {
	for len(l.queue) > 0 && l.writable() {
		if err := l.turn.Take(kafka.Never); err != nil {
			l.fail(err)
			break
		}
		// Second look: whoever had the turn may have failed, or emptied the queue.
		if len(l.queue) > 0 && l.writable() {
			if err := l.writeGroup(); err != nil {
				l.writeFailed(err)
			}
		}
		l.turn.Leave()
	}
	if !l.writable() {
		l.dropQueue(len(l.queue))
	}
	l.writing = false
	l.changed.Broadcast()
}

// writable is usable without the closing: what was queued before Close is
// still written.
func (l *Log) writable() bool { return l.failed == nil && l.dir.failed == nil }

// writeGroup writes the next group, makes it held, and indexes it. An error
// means that the group is not in the log. Blocks.
func (l *Log) writeGroup() error {
	if err := l.reopen(); err != nil {
		return err
	}
	n, size := l.nextGroup()
	s := l.queue[0].segment
	if s != l.active() {
		if err := l.begin(s); err != nil {
			return err
		}
	}
	f, err := s.hold()
	if err != nil {
		return l.judge("open "+s.String(), err)
	}
	if err := l.put(f, s, n, size); err != nil {
		s.letGo()
		return err
	}
	for _, f := range l.wrote {
		f()
	}
	if l.o.Config.Flush == FlushAck {
		l.flushed(l.flush())
	} else {
		l.announce()
		l.flushLater()
	}
	// Only now: an entry proves what was synced before it was written.
	if err := s.index.flush(l); err != nil && !passing(err) {
		l.fail(err)
	}
	return nil
}

// reopen takes back the clean shutdown, durably, before the first change that
// would make a lie of it. Blocks.
func (l *Log) reopen() error {
	if !l.manifest.catalog.clean {
		return nil
	}
	if err := l.complete(); err != nil {
		return err
	}
	return l.manifest.append(mustFit, fact{is: factOpen})
}

// longWrite is longer than a follower waits for what it was sent.
const longWrite = time.Second

// nextGroup returns how many batches of the queue are written at once, all for
// one segment, and their bytes.
func (l *Log) nextGroup() (n, size int) {
	s := l.queue[0].segment
	for _, q := range l.queue {
		if q.segment != s || (n > 0 && size+q.batch.Size() > groupSize) {
			break
		}
		n, size = n+1, size+q.batch.Size()
		if l.w.Buggify("write a group of one") {
			break
		}
	}
	return n, size
}

// put writes the first n batches of the queue and counts them as written.
// Blocks.
func (l *Log) put(f env.File, s *segment, n, size int) error {
	if err := l.writeQueued(f, n, s.size); err != nil {
		return l.judge("write "+s.String(), err)
	}
	if !s.dirty() {
		l.since = l.w.Now()
	}
	for _, q := range l.queue[:n] {
		h := headOf(q.batch, q.position)
		s.observe(h)
		l.recent.add(s, h)
		s.gap = s.gap || q.gap
		if q.indexed {
			s.index.note(entryOf(q.batch, q.position), s)
		}
	}
	l.dropQueue(n)
	l.written = s.end
	l.producers.Settle(l.written)
	l.stats.Groups++
	l.stats.Batches += uint64(n)
	l.stats.Bytes += uint64(size)
	l.trace("append", slog.Int64("end", int64(s.end)), slog.Int("batches", n), slog.Int("bytes", size))
	return nil
}

// gatherBelow is the size of batches that are gathered to be written at once.
// Copying larger ones costs more than the calls it saves.
const gatherBelow = 32 << 10

// writeQueued writes the first n batches of the queue from a position on. What it
// has written when it fails is for cutPartial to remove. Blocks.
func (l *Log) writeQueued(f env.File, n int, at int64) error {
	gathered := l.dir.takeBuffer()
	defer func() { l.dir.giveBuffer(gathered) }()
	for group := l.queue[:n]; len(group) > 0; {
		b, taken := group[0].batch.Bytes(), 1
		if len(group) > 1 && len(b) < gatherBelow {
			gathered, taken = gather(gathered[:0], group)
			b = gathered
		}
		if _, err := writeFull(f, b, at); err != nil {
			return err
		}
		at += int64(len(b))
		group = group[taken:]
	}
	return nil
}

// gather appends the batches before the first large one, and returns how many.
func gather(to []byte, group []queued) ([]byte, int) {
	for i := range group {
		b := group[i].batch.Bytes()
		if len(b) >= gatherBelow {
			return to, i
		}
		to = append(to, b...)
	}
	return to, len(group)
}

// writeFailed decides what a failed write means. What only lacks space or a
// descriptor is undone. Blocks.
func (l *Log) writeFailed(err error) {
	if !passing(err) {
		l.fail(err)
		return
	}
	if l.w.Buggify("a disk takes long to say that it is full") {
		_ = l.w.Sleep(longWrite) // who is canceled finds it again
	}
	l.dir.filled()
	if s := l.active(); s != nil && s == l.queue[0].segment {
		if err := l.cutPartial(s); err != nil {
			l.fail(err)
			return
		}
	}
	l.refuse(err)
}

// cutPartial cuts off what a failed write may have left behind the last whole
// batch. Blocks.
func (l *Log) cutPartial(s *segment) error {
	f, err := s.log().pin()
	if errors.Is(err, env.ErrTooManyFiles) {
		return nil // then it was not open, and nothing was written
	}
	if err != nil {
		return l.dir.fail("open "+s.String(), err)
	}
	defer s.log().unpin()
	n, err := f.Size()
	if err != nil {
		return l.dir.fail("size of "+s.String(), err)
	}
	if n == s.size {
		return nil
	}
	l.w.Probe("a full disk cut an append off")
	if err := f.Truncate(s.size); err != nil {
		return l.dir.fail("truncate "+s.String(), err)
	}
	if err := l.alone(&s.syncing); err != nil {
		return err
	}
	err = f.Sync()
	l.leave(&s.syncing)
	if err != nil {
		return l.dir.fail("sync "+s.String(), err)
	}
	return nil
}

// maxPreparers is how many new segments of a log are prepared at once: the next
// one, and one behind it. There can be as many as batches are queued.
const maxPreparers = 2

// prepareAll prepares new segments, in the order in which they will be written,
// until there are no more. Blocks.
func (l *Log) prepareAll() {
	for len(l.unprepared) > 0 {
		s := l.unprepared[0]
		l.unprepared = l.unprepared[1:]
		l.prepare(s)
	}
	l.preparers--
}

// prepare makes a new segment's files and then their directory entries durable.
// The writer needs the former to write, and an acknowledgement the latter.
func (l *Log) prepare(s *segment) {
	defer func() {
		l.preparing--
		l.changed.Broadcast()
	}()
	err := l.awaitRemoval(s.before)
	if err == nil {
		err = l.makeFiles(s)
	}
	if err == nil {
		s.ready = true
		l.changed.Broadcast()
		if err = l.dir.fs.SyncDir(l.o.Path); err != nil {
			err = l.dir.fail("sync directory "+l.o.Path, err)
		}
	}
	s.failure, s.settled = err, err == nil
}

func (l *Log) makeFiles(s *segment) error {
	// An abandoned segment's empty file may be there if it could not be removed.
	f, err := l.dir.fs.OpenFile(s.log().path, env.Write|env.Create|env.Trunc)
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = s.index.create(l)
	}
	if err != nil {
		return l.judge("create "+s.String(), err)
	}
	return nil
}

// abandon has the files removed of a segment that was prepared and not begun.
func (l *Log) abandon(s *segment) {
	l.preparing++
	if l.abandoned = append(l.abandoned, s); len(l.abandoned) == 1 {
		l.w.Go("abandon segments of "+l.o.Path, l.removeAbandoned)
	}
}

// removeAbandoned removes abandoned segments in their order, until there are no
// more. Whoever waits for the name of one stands behind it in every queue.
func (l *Log) removeAbandoned() {
	for len(l.abandoned) > 0 {
		s := l.abandoned[0]
		if err := l.removeUnbegun(s); err != nil && !passing(err) {
			l.w.Log.Warn("a segment that was not begun is not removed", "segment", s.String(), "err", err)
		}
		l.abandoned = slices.Delete(l.abandoned, 0, 1)
		l.preparing--
		l.changed.Broadcast()
	}
}

func (l *Log) removeUnbegun(s *segment) error {
	if err := l.settle(s); err != nil && !passing(err) {
		return err
	}
	for _, suffix := range []string{logSuffix, indexSuffix} {
		if err := l.dir.fs.Remove(s.file(suffix)); err != nil && !errors.Is(err, env.ErrNotExist) {
			return l.judge("remove "+s.file(suffix), err)
		}
	}
	return nil
}

// abandonedAt returns the last abandoned segment with a base that is still to be
// removed, nil if there is none.
func (l *Log) abandonedAt(base kafka.Offset) *segment {
	for _, s := range slices.Backward(l.abandoned) {
		if s.base == base {
			return s
		}
	}
	return nil
}

// awaitRemoval waits until an abandoned segment is removed: another takes its
// name. It may be nil. Blocks.
func (l *Log) awaitRemoval(s *segment) error {
	for slices.Contains(l.abandoned, s) {
		if err := l.changed.Wait(kafka.Never); err != nil {
			return err
		}
	}
	return nil
}

// begin makes a prepared segment the active one. Blocks.
func (l *Log) begin(s *segment) error {
	if !s.ready && s.failure == nil {
		l.w.Probe("append waited for the next segment")
	}
	for !s.ready && s.failure == nil {
		if err := l.changed.Wait(kafka.Never); err != nil {
			return err
		}
	}
	if s.failure != nil {
		return s.failure
	}
	// Of two names that are not durable a power loss could leave the second.
	if before := l.active(); before != nil {
		if err := l.settle(before); err != nil {
			return err
		}
	}
	if s.base != s.follows {
		// The gap must be known to be one before anything behind it is held.
		if err := l.settle(s); err != nil {
			return err
		}
		if err := l.manifest.append(mayWait, s.added()); err != nil {
			return err
		}
	}
	l.known = append(l.segments(), s)
	l.recent.reset(s)
	l.chore(chore{do: choreSeal})
	l.stats.Rolls++
	return nil
}

func (s *segment) added() fact {
	return fact{is: factAdded, n: [6]int64{int64(s.base), int64(s.follows)}}
}

// judge decides once what an error of the disk means: it passes, or the
// directory is out of service.
func (l *Log) judge(op string, err error) error {
	if passing(err) || errors.Is(err, env.ErrCanceled) || errors.Is(err, ErrOffline) {
		return fmt.Errorf("%s: %w", op, err)
	}
	return l.dir.fail(op, err)
}
