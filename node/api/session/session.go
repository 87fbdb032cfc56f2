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

	at          map[Place]*entry
	first, last *entry // in the order in which they are read

	prev, next *Session // in the order of use
}

// An entry is one partition of a session.
type entry struct {
	Partition
	high, logStart kafka.Offset // as the reader was told
	prev, next     *entry
	dropped        bool // from the session
}

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
		return e
	}
	e := &entry{Partition: p, high: kafka.NoOffset, logStart: kafka.NoOffset}
	s.at[p.Place] = e
	s.bytes += p.weight()
	s.append(e)
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
	s.unlink(e)
	e.dropped = true
}

func (s *Session) append(e *entry) {
	if e.prev = s.last; e.prev == nil {
		s.first = e
	} else {
		e.prev.next = e
	}
	s.last = e
}

func (s *Session) unlink(e *entry) {
	if e.prev == nil {
		s.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		s.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.prev, e.next = nil, nil
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
	for e := s.first; e != nil; e = e.next {
		n++
		bytes += e.weight()
		if s.at[e.Place] != e || e.dropped || (e.Name == "") != s.byID {
			return fmt.Errorf("fetch session %d: %s%s-%d is not where it should be", s.id, e.Name, e.Topic, e.Partition.Partition)
		}
	}
	if n != len(s.at) || bytes != s.bytes || s.epoch < 1 {
		return fmt.Errorf("fetch session %d, epoch %d: %d partitions and %d bytes, counted %d and %d", s.id, s.epoch, n, bytes, len(s.at), s.bytes)
	}
	return nil
}
