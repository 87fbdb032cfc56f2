package session

import (
	"fmt"

	"github.com/klammlog/klamm/node/kafka"
)

// A Place names a partition as the reader does: by its topic's id or, in versions
// that have none, by its name.
type Place struct {
	Topic     kafka.TopicID
	Name      string // "" if the reader speaks of ids
	Partition int32
}

// A Partition is what a reader asks of one partition.
type Partition struct {
	Place
	Offset      kafka.Offset
	MaxBytes    int32
	LeaderEpoch kafka.LeaderEpoch // as the reader knows it
	LastEpoch   kafka.LeaderEpoch // of the last record that it has
	LogStart    kafka.Offset      // of followers, as is what follows
	Held        kafka.Offset
}

// A Session is what a reader has asked for, and what it was told last.
type Session struct {
	id, epoch     int32
	kind          Kind
	byID          bool // topics are ids
	created, used kafka.Instant
	gone          bool // it has been ended or evicted
	bytes         int64

	at     map[Place]*entry
	awake  list // what is read by the next fetch, in that order
	asleep list // what is not: the reader was told everything, and nothing has changed

	stirred []*entry          // woken since a fetch was begun
	onStir  func(bytes int64) // of the fetch that waits, nil if none does

	prev, next *Session // in the order of use
}

// An entry is one partition of a session.
type entry struct {
	Partition
	session        *Session
	high, logStart kafka.Offset // as the reader was told
	list           *list        // where it is; nil if it was dropped from the session
	prev, next     *entry
	watched        Watched // who will stir it, nil if nobody will
}

// A list is entries one after the other. The zero value is empty.
type list struct{ first, last *entry }

// weight is what an entry takes, about.
func (p *Partition) weight() int64 {
	const entry = 256
	return entry + int64(len(p.Name))
}

func (s *Session) size() int { return len(s.at) }

// put adds a partition, or changes what is asked of it.
func (s *Session) put(p Partition) *entry {
	if e := s.at[p.Place]; e != nil {
		e.Partition = p
		if e.list == &s.asleep {
			e.moveTo(&s.awake)
		}
		return e
	}
	e := &entry{Partition: p, session: s, high: kafka.NoOffset, logStart: kafka.NoOffset}
	s.at[p.Place] = e
	s.bytes += p.weight()
	s.awake.append(e)
	return e
}

// drop takes a partition out of the session.
func (s *Session) drop(p Place) {
	e := s.at[p]
	if e == nil {
		return
	}
	delete(s.at, p)
	s.bytes -= e.weight()
	e.unlink()
	e.unwatch()
}

// end has nobody stir the session's partitions any more.
func (s *Session) end() {
	s.gone = true
	for _, l := range []*list{&s.awake, &s.asleep} {
		for e := l.first; e != nil; e = e.next {
			e.unwatch()
		}
	}
}

// Stir says that there may be more to tell than the reader was told, and whether the
// fetch that waits is to be answered for it. If it is, nobody stirs it again until
// it sleeps.
func (e *entry) Stir(bytes int64) {
	s := e.session
	if bytes > 0 {
		e.watched = nil
	}
	if e.list == &s.asleep {
		e.moveTo(&s.awake)
		s.stirred = append(s.stirred, e)
	}
	if bytes > 0 && s.onStir != nil {
		s.onStir(bytes)
	}
}

// sleep has the entry not read until it is stirred.
func (e *entry) sleep(watch func(Sleeper) Watched) {
	if e.watched == nil {
		e.watched = watch(e)
	}
	e.moveTo(&e.session.asleep)
}

func (e *entry) unwatch() {
	if e.watched != nil {
		e.watched.Unwatch(e)
		e.watched = nil
	}
}

// moveTo puts the entry at the end of a list, which may be its own.
func (e *entry) moveTo(l *list) {
	e.unlink()
	l.append(e)
}

func (l *list) append(e *entry) {
	e.list = l
	if e.prev = l.last; e.prev == nil {
		l.first = e
	} else {
		e.prev.next = e
	}
	l.last = e
}

func (e *entry) unlink() {
	l := e.list
	if e.prev == nil {
		l.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.list, e.prev, e.next = nil, nil, nil
}

// advance takes the next epoch. After the largest comes 1: 0 and -1 mean something
// else.
func (s *Session) advance() {
	if s.epoch++; s.epoch < 0 {
		s.epoch = 1
	}
}

func (s *Session) check() error {
	n := 0
	var bytes int64
	for _, l := range []*list{&s.awake, &s.asleep} {
		for e := l.first; e != nil; e = e.next {
			n++
			bytes += e.weight()
			if s.at[e.Place] != e || e.list != l || (e.Name == "") != s.byID {
				return fmt.Errorf("fetch session %d: %s%s-%d is not where it should be", s.id, e.Name, e.Topic, e.Partition.Partition)
			}
			if l == &s.asleep && e.watched == nil {
				return fmt.Errorf("fetch session %d: %s%s-%d sleeps, and nobody will stir it", s.id, e.Name, e.Topic, e.Partition.Partition)
			}
		}
	}
	if n != len(s.at) || bytes != s.bytes || s.epoch < 1 {
		return fmt.Errorf("fetch session %d, epoch %d: %d partitions and %d bytes, counted %d and %d", s.id, s.epoch, n, bytes, len(s.at), s.bytes)
	}
	return nil
}
