// Package session decides which partitions a fetch is about, and which of them
// are worth an answer (KIP-227).
//
// A reader that fetches from many partitions names them once. From then on it
// tells only what has changed at its end, and is told only about partitions that
// have records for it, or of which something else has changed. Consumers and
// followers have sessions alike.
//
// A partition of which a reader was told everything sleeps, if somebody can tell
// when that changes: it is not read until it is stirred. So what a fetch costs
// follows what has changed, and not what the session has.
//
// It is pure: no clock, no randomness, no waiting. The one rule for callers:
// Begin in the order in which requests arrive; Finish once the partitions have
// been read, in any order, however much later.
package session

import (
	"fmt"
	"time"

	"github.com/klammlog/klamm/node/kafka"
)

// Epochs with a meaning of their own in requests.
const (
	initialEpoch int32 = 0  // a full request, which may begin a session
	finalEpoch   int32 = -1 // a full request, which ends the session that it names
)

// none is the id of no session.
const none int32 = 0

// staleAfter is how long a session must have been unused, or have lived, before
// others may take its place.
const staleAfter = 2 * time.Minute

// Limits bound what sessions hold together.
type Limits struct {
	Sessions   int   // max.incremental.fetch.session.cache.slots
	Partitions int   // of all sessions
	Bytes      int64 // of all sessions, about
}

// A Cache holds the sessions of one broker.
//
// Invariants:
//
//  1. sessions, partitions and bytes are within the limits
//  2. the sessions are in the order of their last use
//  3. counts and lists agree
//
// Check verifies them.
type Cache struct {
	limits     Limits
	draw       func() int32
	byID       map[int32]*Session
	oldest     *Session // by last use
	newest     *Session
	partitions int
	bytes      int64
	evicted    uint64
}

// NewCache returns an empty cache. draw yields numbers for the sessions' ids, any
// at all.
func NewCache(limits Limits, draw func() int32) *Cache {
	return &Cache{limits: limits, draw: draw, byID: map[int32]*Session{}}
}

// SetLimits changes the limits. Sessions that are too many stay until they are
// evicted.
func (c *Cache) SetLimits(l Limits) { c.limits = l }

// A Usage is what sessions hold.
type Usage struct {
	Sessions, Partitions int
	Bytes                int64
	Evicted              uint64 // since the start
}

// Usage returns what the sessions hold now.
func (c *Cache) Usage() Usage {
	return Usage{Sessions: len(c.byID), Partitions: c.partitions, Bytes: c.bytes, Evicted: c.evicted}
}

// A Kind says who fetches. A follower may take a consumer's place.
type Kind uint8

const (
	Consumer Kind = iota
	Follower
)

// room makes room for a session of so many partitions, or reports that there is
// none: by the rules of KIP-227 a session gives way that was not used for a while,
// or is old and smaller, or is a consumer's when a follower comes.
func (c *Cache) room(k Kind, size int, bytes int64, now kafka.Instant) bool {
	if size > c.limits.Partitions || bytes > c.limits.Bytes || c.limits.Sessions < 1 {
		return false
	}
	for len(c.byID) >= c.limits.Sessions || c.partitions+size > c.limits.Partitions || c.bytes+bytes > c.limits.Bytes {
		victim := c.victim(k, size, now)
		if victim == nil {
			return false
		}
		c.evicted++
		c.remove(victim)
	}
	return true
}

// victim returns the session that gives way to another, nil if none has to.
func (c *Cache) victim(k Kind, size int, now kafka.Instant) *Session {
	if c.oldest != nil && now.Sub(c.oldest.used) > staleAfter {
		return c.oldest
	}
	var least *Session
	for s := c.oldest; s != nil; s = s.next {
		old := now.Sub(s.created) > staleAfter
		if (old || k == Follower && s.kind == Consumer) && (least == nil || s.below(least.kind, least.size())) {
			least = s
		}
	}
	if least == nil || !least.below(k, size) {
		return nil
	}
	return least
}

// below reports whether a session is worth less than one of this kind and size.
func (s *Session) below(k Kind, size int) bool {
	if s.kind != k {
		return s.kind == Consumer
	}
	return s.size() < size
}

// insert adds a session under a new id.
func (c *Cache) insert(s *Session) {
	for s.id == none || c.byID[s.id] != nil {
		s.id = c.draw() & 0x7fffffff
	}
	c.byID[s.id] = s
	c.append(s)
	c.account(s, 1)
}

// remove ends a session.
func (c *Cache) remove(s *Session) {
	delete(c.byID, s.id)
	c.unlink(s)
	c.account(s, -1)
	s.end()
}

// account counts what a session holds, or no longer holds.
func (c *Cache) account(s *Session, sign int) {
	c.partitions += sign * s.size()
	c.bytes += int64(sign) * s.bytes
}

// touch notes that a session was used.
func (c *Cache) touch(s *Session, now kafka.Instant) {
	s.used = now
	c.unlink(s)
	c.append(s)
}

func (c *Cache) append(s *Session) {
	if s.prev = c.newest; s.prev == nil {
		c.oldest = s
	} else {
		s.prev.next = s
	}
	c.newest = s
}

func (c *Cache) unlink(s *Session) {
	if s.prev == nil {
		c.oldest = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		c.newest = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
}

// Check returns the first broken invariant. Sessions that a smaller limit finds too
// many are none.
func (c *Cache) Check() error {
	var sessions, partitions int
	var bytes int64
	used := kafka.Instant(0)
	for s := c.oldest; s != nil; s = s.next {
		sessions++
		partitions += s.size()
		bytes += s.bytes
		if s.used < used || c.byID[s.id] != s || s.gone {
			return fmt.Errorf("fetch session %d, used at %v after one used at %v, gone %t", s.id, s.used, used, s.gone)
		}
		used = s.used
		if err := s.check(); err != nil {
			return err
		}
	}
	if sessions != len(c.byID) || partitions != c.partitions || bytes != c.bytes {
		return fmt.Errorf("%d fetch sessions with %d partitions and %d bytes, counted %d, %d and %d",
			sessions, partitions, bytes, len(c.byID), c.partitions, c.bytes)
	}
	return nil
}
