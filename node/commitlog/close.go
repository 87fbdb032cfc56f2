package commitlog

import (
	"errors"
	"fmt"

	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
)

// Close writes and syncs what was appended and ends the log cleanly, so that the
// next Open need not look at it. It fails if that is not possible; the log is
// closed all the same, unless it failed with env.ErrCanceled. Blocks.
func (l *Log) Close() error {
	if l.ended {
		return nil
	}
	l.closed = true
	if err := l.rest(); err != nil {
		return err
	}
	leave, err := l.halt()
	if err != nil {
		return err
	}
	defer leave()
	if err = l.finish(); err != nil && errors.Is(err, env.ErrCanceled) {
		return err
	}
	l.end0()
	if err != nil {
		return fmt.Errorf("%s: close: %w", l.name, err)
	}
	return nil
}

// rest waits until no task works on the log. Blocks.
func (l *Log) rest() error {
	for l.writing || l.keeping || l.flushing || l.preparing > 0 {
		if err := l.changed.Wait(kafka.Never); err != nil {
			return err
		}
	}
	return nil
}

// halt waits until neither what keeps the log in order nor who writes it is at work, and
// has both wait until leave. Blocks.
func (l *Log) halt() (leave func(), err error) {
	if err := l.care.Take(kafka.Never); err != nil {
		return nil, err
	}
	if err := l.turn.Take(kafka.Never); err != nil {
		l.care.Leave()
		return nil, err
	}
	return func() { l.turn.Leave(); l.care.Leave() }, nil
}

// end0 takes the log out of the world.
func (l *Log) end0() {
	l.ended = true
	l.letGoAll()
	l.dir.forget(l)
	l.waiters.all()
	l.announce()
}

// finish makes the clean shutdown: everything first, the fact last.
func (l *Log) finish() error {
	if err := l.writableOr(); err != nil {
		return err
	}
	if l.manifest.catalog.clean {
		return l.closeFiles()
	}
	if err := l.flush(); err != nil {
		return err
	}
	if err := l.sealInOrder(l.unsealed()); err != nil {
		return err
	}
	if left := l.unsealed(); len(left) > 0 {
		return fmt.Errorf("%s is not sealed", left[0])
	}
	facts, err := l.lastFacts()
	if err != nil {
		return err
	}
	if err := l.dir.sweep.finish(l); err != nil {
		return err
	}
	facts = l.manifest.summarized(facts)
	if err := l.manifest.append(mayWait, facts...); err != nil {
		return err
	}
	return l.closeFiles()
}

// lastFacts makes durable what a clean shutdown vouches for, and returns what is
// to be said about it.
func (l *Log) lastFacts() ([]fact, error) {
	facts := l.newEpochs()
	clean := fact{is: factClean, n: [6]int64{int64(kafka.NoTimestamp), int64(l.written), int64(kafka.NoOffset)}}
	s := l.active()
	switch {
	case s == nil:
		facts = append(facts, emptyPoint(l.written))
	case !s.sealed:
		if err := s.index.flush(l); err != nil {
			return nil, err
		}
		if err := s.index.sync(l); err != nil {
			return nil, err
		}
		if err := l.saveSnapshot(s); err != nil {
			return nil, err
		}
		entries := s.index.entries
		if s.index.broken || s.index.synced != entries {
			entries = unknownEntries
		}
		if !l.listed(s) {
			facts = append(facts, s.added())
		}
		facts = append(facts, pointFact(point{base: s.base, position: s.size, offset: l.written, entries: entries,
			maxTimestamp: s.maxTimestamp, maxAt: s.maxAt}))
		clean.n[0] = int64(s.opening)
	}
	if l.producers.Len() > 0 {
		if err := l.writeSnapshot(l.written, l.encodeSnapshot(l.written, l.producers)); err != nil {
			return nil, err
		}
		clean.n[2] = int64(l.written)
	}
	return append(facts, clean), nil
}

func (l *Log) closeFiles() error {
	errs := []error{l.manifest.slot.close()}
	for _, s := range l.known {
		if s.slot != nil {
			s.letGo()
			errs = append(errs, s.slot.close())
		}
		if s.index.slot != nil {
			errs = append(errs, s.index.slot.close())
		}
	}
	return errors.Join(errs...)
}

// Delete closes the log and removes it from the disk. Blocks.
func (l *Log) Delete() error {
	l.closed = true
	if err := l.rest(); err != nil {
		return err
	}
	leave, err := l.halt()
	if err != nil {
		return err
	}
	defer leave()
	if !l.ended {
		err := l.closeFiles()
		l.end0()
		if err != nil {
			return l.judge("close "+l.o.Path, err)
		}
	}
	if l.dir.failed != nil {
		return fmt.Errorf("%s: %w", l.name, l.dir.failed)
	}
	return RemoveLog(l.dir, l.o.Path)
}

// RemoveLog removes the directory of a log that is not open: one that was
// deleted, or is quarantined and given up. What a crash leaves of it opens as no
// log. Blocks.
func RemoveLog(d *Dir, path string) error {
	gone := path + deletedSuffix
	if err := d.fs.Rename(path, gone); err != nil && !errors.Is(err, env.ErrNotExist) {
		return d.removeFailed("rename "+path, err)
	}
	if err := d.fs.SyncDir("."); err != nil {
		return d.fail("sync directory .", err)
	}
	names, err := d.fs.ReadDir(gone)
	if errors.Is(err, env.ErrNotExist) {
		return nil
	}
	if err != nil {
		return d.removeFailed("list "+gone, err)
	}
	for _, name := range names {
		if err := d.fs.Remove(gone + "/" + name); err != nil && !errors.Is(err, env.ErrNotExist) {
			return d.removeFailed("remove "+gone+"/"+name, err)
		}
	}
	if err := d.fs.Remove(gone); err != nil && !errors.Is(err, env.ErrNotExist) {
		return d.removeFailed("remove "+gone, err)
	}
	return nil
}

func (d *Dir) removeFailed(op string, err error) error {
	if passing(err) {
		return fmt.Errorf("%s: %w", op, err)
	}
	return d.fail(op, err)
}
