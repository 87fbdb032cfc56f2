package commitlog

import (
	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// A chore is work behind the scenes that no append and no read waits for.
type chore struct {
	do      choreType
	segment *segment
}

type choreType uint8

const (
	choreSeal    choreType = iota // make the manifest vouch for finished segments
	choreReindex                  // build a segment's index again
)

// chore has work done by the keeper task, one piece after the other.
func (l *Log) chore(c chore) {
	l.chores = append(l.chores, c)
	if !l.keeping {
		l.keeping = true
		l.w.Go("keep "+l.name, l.keep)
	}
}

// keep is the keeper task. It ends when there is nothing to do.
func (l *Log) keep() {
	for len(l.chores) > 0 && l.dir.failed == nil {
		c := l.chores[0]
		l.chores = l.chores[1:]
		if err := l.carryOut(c); err != nil && !passing(err) {
			l.w.Log.Warn("work behind the scenes failed", "partition", l.name, "err", err)
		}
	}
	l.chores = nil
	l.keeping = false
	l.changed.Broadcast()
}

func (l *Log) carryOut(c chore) error {
	if c.do == choreReindex {
		return l.rebuildIndex(c.segment)
	}
	return l.sealSegments()
}

// sealSegments makes the manifest vouch for every segment that is not written to
// any more: log, index and the producers' state at its end are durable first.
// Blocks.
func (l *Log) sealSegments() error {
	if err := l.care.Take(kafka.Never); err != nil {
		return err
	}
	defer l.care.Leave()
	if err := l.turn.Take(kafka.Never); err != nil {
		return err
	}
	todo := l.unsealed()
	l.turn.Leave()
	if err := l.sealInOrder(todo); err != nil {
		return err
	}
	return l.manifest.maybeRewrite()
}

// sealInOrder seals segments up to the first that cannot be now: those that are
// not sealed are always the last ones.
func (l *Log) sealInOrder(todo []*segment) error {
	for _, s := range todo {
		if s.gone || s == l.active() {
			continue
		}
		if err := l.sealSegment(s); err != nil || !s.sealed {
			return err
		}
	}
	return nil
}

// unsealed returns the segments that the manifest does not vouch for, the active
// one excepted.
func (l *Log) unsealed() []*segment {
	var out []*segment
	for i := len(l.known) - 2; i >= 0 && !l.known[i].sealed; i-- {
		out = append([]*segment{l.known[i]}, out...)
	}
	return out
}

func (l *Log) sealSegment(s *segment) error {
	cuts := l.manifest.catalog.cuts
	if err := l.flush(); err != nil {
		return err
	}
	if err := s.index.flush(l); err != nil {
		return err
	}
	if err := s.index.sync(l); err != nil {
		return err
	}
	next := l.after(s)
	if next == nil || cuts != l.manifest.catalog.cuts || s.gone {
		return nil
	}
	if err := l.settle(next); err != nil {
		return err
	}
	if err := l.saveSnapshot(next); err != nil {
		return err
	}
	if cuts != l.manifest.catalog.cuts || s.gone {
		return nil
	}
	facts := append(l.newEpochs(), s.sealFact(), next.added())
	if err := l.manifest.append(mayWait, facts...); err != nil {
		return err
	}
	assert.That(cuts == l.manifest.catalog.cuts && !s.gone, "%s: %s changed in another's care", l.name, s)
	s.sealed = true
	return nil
}

// settle waits until a segment's name is durable: the manifest lists nothing that
// a crash could take away. Blocks.
func (l *Log) settle(s *segment) error {
	for !s.settled && s.failure == nil {
		if err := l.changed.Wait(kafka.Never); err != nil {
			return err
		}
	}
	return s.failure
}

func (s *segment) sealFact() fact {
	return fact{is: factSealed, n: [6]int64{int64(s.base), s.size, int64(s.end),
		int64(s.maxTimestamp), int64(s.maxAt), int64(s.index.entries)}}
}

// after returns the segment behind s, nil if there is none.
func (l *Log) after(s *segment) *segment {
	for i := len(l.known) - 1; i > 0; i-- {
		if l.known[i-1] == s {
			return l.known[i]
		}
	}
	return nil
}

// newEpochs returns the facts about leader epochs that began in what is durable
// and that the manifest does not know.
func (l *Log) newEpochs() []fact {
	known := l.manifest.catalog.epochs.Latest()
	var facts []fact
	for _, e := range l.epochs.Entries() {
		if e.Epoch > known && e.Start < l.durable {
			facts = append(facts, epochFact(e))
		}
	}
	return facts
}

// rebuildIndex makes a new index of a segment that is not written to any more,
// from the segment. Blocks.
func (l *Log) rebuildIndex(s *segment) error {
	if err := l.care.Take(kafka.Never); err != nil {
		return err
	}
	defer l.care.Leave()
	if s == l.active() || s.gone || !s.index.broken {
		return nil
	}
	f, err := s.log().pin()
	if err != nil {
		return err
	}
	defer s.log().unpin()
	fresh := &segment{}
	fresh.init(s.dir, s.path, s.base)
	w := walk{f: f, end: s.size}
	buf := make([]byte, identitySize)
	for {
		h, ok, err := w.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		gap := h.base != fresh.end
		fresh.observe(h)
		if !gap && !fresh.index.due(h.position, l.o.Config.IndexInterval) {
			continue
		}
		if err := readFull(f, buf, h.position); err != nil {
			return err
		}
		fresh.index.note(entry{offset: h.base, position: h.position, length: h.size, epoch: h.epoch,
			identity: identityOf(buf)}, fresh)
	}
	return l.replaceIndex(s, fresh)
}

// replaceIndex writes the index that was collected in fresh as that of s.
// Blocks.
func (l *Log) replaceIndex(s, fresh *segment) error {
	if s.gone {
		return nil
	}
	entries := fresh.index.waiting
	if err := s.index.file().close(); err != nil {
		return l.judge("close index of "+s.String(), err)
	}
	x := index{segment: s, slot: s.index.slot, last: noPosition}
	if err := x.create(l); err != nil {
		return l.judge("create index of "+s.String(), err)
	}
	x.waiting = entries
	if err := x.flush(l); err != nil {
		return err
	}
	if err := x.sync(l); err != nil {
		return err
	}
	s.index = x
	if s.sealed {
		return l.manifest.append(mayWait, s.sealFact()) // nobody drops it, or cuts it: it is in our care
	}
	return nil
}
