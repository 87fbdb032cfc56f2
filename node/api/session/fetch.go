package session

import (
	"github.com/klammlog/klamm/node/kafka"
)

// A Request is what a fetch says of its session.
type Request struct {
	ID, Epoch  int32 // zeros from who does not know of sessions
	Kind       Kind
	ByID       bool // topics are ids
	Partitions []Partition
	Forgotten  []Place
	Sessions   Wish
}

// A Wish says whether a reader can have a session.
type Wish bool

const (
	Declined Wish = false // versions before there were sessions
	Wanted   Wish = true
)

// A Sleeper is a partition that is not read until it is stirred: bytes says how much
// there may be to read, or that it is worth an answer at once; with 0 it is told with
// the next answer. Stir does not block.
type Sleeper = interface{ Stir(bytes int64) }

// A Watched stirs a sleeper, until it has once done so with bytes or is told not to.
type Watched interface{ Unwatch(Sleeper) }

// A Fetch is one request on its way through its session.
type Fetch struct {
	// Watch has the i-th partition stir a sleeper when there may be more to tell
	// than was found. Without it no partition sleeps.
	Watch func(i int, s Sleeper) Watched

	c       *Cache
	request Request
	session *Session // nil if the request names all that it is about
	epoch   int32    // of the session, when the request is answered
	entries []*entry
}

// Begin takes a request up. It fails with FETCH_SESSION_ID_NOT_FOUND,
// INVALID_FETCH_SESSION_EPOCH or FETCH_SESSION_TOPIC_ID_ERROR; then the reader
// begins anew.
func (c *Cache) Begin(q Request, now kafka.Instant) (*Fetch, kafka.Error) {
	f := &Fetch{c: c, request: q}
	if q.Epoch == initialEpoch || q.Epoch == finalEpoch {
		if s := c.byID[q.ID]; s != nil {
			c.remove(s)
		}
		return f, kafka.None
	}
	s := c.byID[q.ID]
	switch {
	case s == nil:
		return nil, kafka.ErrFetchSessionIDNotFound
	case s.epoch != q.Epoch:
		return nil, kafka.ErrInvalidFetchSessionEpoch
	case s.byID != q.ByID:
		return nil, kafka.ErrFetchSessionTopicIDError
	case !c.update(s, q, now):
		return nil, kafka.ErrFetchSessionIDNotFound
	}
	for e := s.awake.first; e != nil; e = e.next {
		f.entries = append(f.entries, e)
	}
	s.stirred = s.stirred[:0]
	if s.size() == 0 {
		c.remove(s)
		return f, kafka.None
	}
	s.advance()
	f.session, f.epoch = s, s.epoch
	return f, kafka.None
}

// update brings a session up to what a request says. If there is no room for it
// the session is over, and the result false.
func (c *Cache) update(s *Session, q Request, now kafka.Instant) bool {
	c.account(s, -1)
	for _, p := range q.Partitions {
		s.put(p)
	}
	for _, p := range q.Forgotten {
		s.drop(p)
	}
	c.account(s, 1)
	c.touch(s, now)
	if c.partitions > c.limits.Partitions || c.bytes > c.limits.Bytes {
		c.remove(s)
		return false
	}
	return true
}

// More adds the partitions that were stirred since Begin, or the last More, to those
// that are to be read, in the places behind them.
func (f *Fetch) More() {
	if s := f.session; s != nil && f.current() {
		for _, e := range s.stirred {
			if e.list != nil {
				f.entries = append(f.entries, e)
			}
		}
		s.stirred = s.stirred[:0]
	}
}

// Sleeping reports whether the session has partitions that are not to be read.
func (f *Fetch) Sleeping() bool { return f.session != nil && f.session.asleep.first != nil }

// Park has f called when a partition that sleeps is stirred with bytes, until Leave.
// It reports false, and does not, if some were stirred that More has not added.
func (f *Fetch) Park(stir func(bytes int64)) bool {
	if f.session == nil || !f.current() {
		return true
	}
	if len(f.session.stirred) > 0 {
		return false
	}
	f.session.onStir = stir
	return true
}

// Leave ends Park.
func (f *Fetch) Leave() {
	if f.session != nil && f.current() {
		f.session.onStir = nil
	}
}

// current reports whether the session is where this fetch left it.
func (f *Fetch) current() bool { return !f.session.gone && f.session.epoch == f.epoch }

// Len returns how many partitions are to be read.
func (f *Fetch) Len() int {
	if f.session == nil {
		return len(f.request.Partitions)
	}
	return len(f.entries)
}

// At returns the partition to be read in the i-th place.
func (f *Fetch) At(i int) Partition {
	if f.session == nil {
		return f.request.Partitions[i]
	}
	return f.entries[i].Partition
}

// A Found is what reading a partition came to.
type Found struct {
	Code          kafka.Error
	HighWatermark kafka.Offset
	LogStart      kafka.Offset

	// Urgent: there are records, or something else is told however often it was
	// told before.
	Urgent bool

	// Records: there are. The partition is read last the next time.
	Records bool

	// Settled: there is nothing else to tell by now, and no error.
	Settled bool
}

// Finish decides what a reader is told: the id of its session, 0 if it has none,
// and for each partition whether it is answered for. It fails as Begin does, if the
// session went on or ended meanwhile: then nothing is told.
func (f *Fetch) Finish(found func(i int) Found, tell func(i int), now kafka.Instant) (int32, kafka.Error) {
	if f.session == nil {
		for i := range f.request.Partitions {
			tell(i)
		}
		return f.establish(found, now), kafka.None
	}
	s := f.session
	switch {
	case s.gone:
		return none, kafka.ErrFetchSessionIDNotFound
	case s.epoch != f.epoch:
		return none, kafka.ErrInvalidFetchSessionEpoch
	}
	for i, e := range f.entries {
		r := found(i)
		if e.note(r) {
			tell(i)
		}
		switch {
		case e.list == nil: // it was taken out meanwhile
		case r.Records:
			e.moveTo(&s.awake)
		case r.Settled && f.Watch != nil:
			e.sleep(func(s Sleeper) Watched { return f.Watch(i, s) })
		}
	}
	f.c.touch(s, now)
	return s.id, kafka.None
}

// note remembers what a reader is told, and reports whether it is worth telling.
func (e *entry) note(r Found) bool {
	tell := r.Urgent || r.Records || r.Code != kafka.None || r.HighWatermark != e.high || r.LogStart != e.logStart
	e.high, e.logStart = r.HighWatermark, r.LogStart
	if r.Code != kafka.None || r.Urgent {
		// So that it is told when the error has gone; and to who was told something
		// else first: a follower that truncates has not taken it.
		e.high = kafka.NoOffset
	}
	return tell
}

// establish begins a session with what the request named, if it may have one.
func (f *Fetch) establish(found func(i int) Found, now kafka.Instant) int32 {
	q := &f.request
	if q.Sessions == Declined || q.Epoch != initialEpoch || len(q.Partitions) == 0 {
		return none
	}
	s := &Session{kind: q.Kind, byID: q.ByID, epoch: 1, created: now, used: now, at: make(map[Place]*entry, len(q.Partitions))}
	for i, p := range q.Partitions {
		s.put(p).note(found(i))
	}
	if !f.c.room(q.Kind, s.size(), s.bytes, now) {
		return none
	}
	f.c.insert(s)
	for i, p := range q.Partitions {
		if e := s.at[p.Place]; f.Watch != nil && e.Partition == p && found(i).Settled { // it may stand there twice
			e.sleep(func(s Sleeper) Watched { return f.Watch(i, s) })
		}
	}
	return s.id
}
