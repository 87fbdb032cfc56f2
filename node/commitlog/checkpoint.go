package commitlog

import (
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// Checkpoint makes durable how far the log is durable, which bounds both what a
// recovery reads and the rot that it could mistake for a torn tail; with
// log.flush=os it syncs the log first. It also tidies up: producers that
// expired are forgotten, files that nobody uses closed. The owner calls it every minute or
// so. Blocks.
func (l *Log) Checkpoint() error {
	if err := l.usable(); err != nil {
		return err
	}
	if age := l.o.Config.ProducerExpiry; age > 0 {
		l.producers.Expire(l.w.Wall(), age.Milliseconds())
	}
	if err := l.sealSegments(); err != nil {
		return err
	}
	if err := l.care.Take(kafka.Never); err != nil {
		return err
	}
	defer l.care.Leave()
	if l.written > l.lastPoint {
		if err := l.point(); err != nil {
			return err
		}
	}
	if len(l.queue) == 0 && l.durable == l.written {
		l.recent = recent{}
	}
	return l.dir.files.closeIdle(l.w.Now().Add(-idleFile))
}

// point records the recovery point. Blocks.
func (l *Log) point() error {
	s := l.active()
	if s == nil {
		return nil
	}
	cuts := l.manifest.catalog.cuts
	p := point{base: s.base, position: s.size, offset: l.written,
		entries: s.index.entries + len(s.index.waiting), maxTimestamp: s.maxTimestamp, maxAt: s.maxAt}
	if err := l.flush(); err != nil {
		return err
	}
	if err := s.index.flush(l); err != nil {
		return err
	}
	if err := s.index.sync(l); err != nil {
		return err
	}
	// Second look: what was synced may be cut off by now, or rolled over.
	if cuts != l.manifest.catalog.cuts || s.gone || s.index.synced < p.entries || l.durable < p.offset {
		return nil
	}
	if s.sealed || !s.settled {
		return nil
	}
	facts := append(l.newEpochs(), pointFact(p))
	if !l.listed(s) {
		facts = append([]fact{s.added()}, facts...)
	}
	if err := l.manifest.append(mayWait, facts...); err != nil {
		return err
	}
	assert.That(cuts == l.manifest.catalog.cuts && !s.gone && !s.sealed, "%s: %s changed in another's care", l.name, s)
	l.lastPoint = max(l.lastPoint, p.offset)
	return nil
}

// listed reports whether the manifest knows a segment.
func (l *Log) listed(s *segment) bool {
	_, ok := l.manifest.catalog.find(s.base)
	return ok
}

// emptyPoint says that the log holds nothing and ends at an offset.
func emptyPoint(end kafka.Offset) fact {
	return pointFact(point{base: kafka.NoOffset, offset: end, maxTimestamp: kafka.NoTimestamp, maxAt: kafka.NoOffset})
}
