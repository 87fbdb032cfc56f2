package session

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/klammlog/klamm/node/kafka"
	"pgregory.net/rapid"
)

// counting draws numbers that are new.
func counting() func() int32 {
	n := int32(0)
	return func() int32 { n++; return n }
}

// collide has a cache draw the id of a session that lives before each new one. It
// draws none of a session that is gone: its reader could not tell the two apart,
// and of 31 random bits two are hardly ever the same.
func collide(c *Cache) {
	fresh, again := c.draw, false
	c.draw = func() int32 {
		if again = !again; again && c.newest != nil {
			return c.newest.id
		}
		return fresh()
	}
}

// A log is what there is to say about a partition.
type log struct {
	high, start kafka.Offset
	code        kafka.Error
	records     bool
}

// A yard is where the sleepers of one partition are.
type yard struct{ sleepers []Sleeper }

func (y *yard) Unwatch(s Sleeper) {
	y.sleepers = slices.DeleteFunc(y.sleepers, func(other Sleeper) bool { return other == s })
}

func (y *yard) stir(bytes int64) {
	all := y.sleepers
	if bytes > 0 {
		y.sleepers = nil
	}
	for _, s := range all {
		s.Stir(bytes)
	}
}

// A reader follows the protocol: it names what has changed since its session's
// last answer, and knows of every partition what it was told last.
type reader struct {
	kind      Kind
	byID      bool
	id, epoch int32
	wants     map[Place]Partition
	told      map[Place]Partition // what the session knows of its wants
	seen      map[Place]log
}

func newReader(k Kind, byID bool) *reader {
	return &reader{kind: k, byID: byID, wants: map[Place]Partition{}, told: map[Place]Partition{}, seen: map[Place]log{}}
}

func (r *reader) place(n int) Place {
	if r.byID {
		return Place{Topic: kafka.TopicID{byte(n)}, Partition: 1}
	}
	return Place{Name: fmt.Sprint("t", n), Partition: 1}
}

// request returns what the reader asks next.
func (r *reader) request() Request {
	q := Request{ID: r.id, Epoch: r.epoch, Kind: r.kind, ByID: r.byID, Sessions: Wanted}
	if r.epoch == initialEpoch {
		clear(r.told)
		clear(r.seen)
	}
	for n := range 8 {
		at := r.place(n)
		want, wanted := r.wants[at]
		was, known := r.told[at]
		if wanted && (!known || was != want) {
			q.Partitions = append(q.Partitions, want)
			r.told[at] = want
		}
		if known && !wanted {
			q.Forgotten = append(q.Forgotten, at)
			delete(r.told, at)
			delete(r.seen, at)
		}
	}
	return q
}

// startAnew begins a new session, and lets the old one be ended.
func (r *reader) startAnew() { r.epoch = initialEpoch }

// follow takes an answer.
func (r *reader) follow(id int32) {
	if id == none {
		r.id, r.epoch = none, initialEpoch
		return
	}
	r.id = id
	if r.epoch++; r.epoch < 0 {
		r.epoch = 1
	}
}

// After every answer a reader knows of every partition what there is to know, as
// if it had been told of all of them.
func TestReadersMissNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := NewCache(Limits{Sessions: rapid.IntRange(1, 3).Draw(rt, "slots"), Partitions: 12, Bytes: 1 << 20}, counting())
		collide(c)
		logs, yards := make([]log, 8), make([]yard, 8)
		readers := []*reader{newReader(Consumer, false), newReader(Follower, true), newReader(Consumer, true), newReader(Consumer, false)}
		now := kafka.Instant(0)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 50).Draw(rt, "seconds")) * time.Second)
			r := rapid.SampledFrom(readers).Draw(rt, "reader")
			n := rapid.IntRange(0, 7).Draw(rt, "partition")
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				logs[n] = log{high: logs[n].high + 1, start: logs[n].start, records: rapid.Bool().Draw(rt, "records")}
				yards[n].stir(rapid.Int64Range(0, 1).Draw(rt, "bytes"))
			case 1:
				logs[n].code = rapid.SampledFrom([]kafka.Error{kafka.None, kafka.ErrNotLeaderOrFollower}).Draw(rt, "code")
				yards[n].stir(rapid.Int64Range(0, 1).Draw(rt, "bytes"))
			case 2:
				p := Partition{Place: r.place(n), Offset: kafka.Offset(rapid.IntRange(0, 9).Draw(rt, "offset"))}
				r.wants[p.Place] = p
			case 3:
				delete(r.wants, r.place(n))
			default:
				r.fetch(rt, c, logs, yards, now)
			}
			if err := c.Check(); err != nil {
				rt.Fatal(err)
			}
			if u := c.Usage(); u.Sessions > c.limits.Sessions || u.Partitions > c.limits.Partitions {
				rt.Fatalf("%+v, limits %+v", u, c.limits)
			}
		}
	})
}

// fetch goes once around, with whatever can go wrong.
func (r *reader) fetch(rt *rapid.T, c *Cache, logs []log, yards []yard, now kafka.Instant) {
	q := r.request()
	f, code := c.Begin(q, now)
	if code != kafka.None {
		if q.Epoch == initialEpoch {
			rt.Fatalf("a full request was refused: %v", code)
		}
		r.startAnew()
		return
	}
	f.Watch = r.watch(f, yards)
	if f.Len() != len(r.wants) && f.Watch == nil {
		rt.Fatalf("%d partitions are read, want %d", f.Len(), len(r.wants))
	}
	for i := range f.Len() {
		if p := f.At(i); r.wants[p.Place] != p {
			rt.Fatalf("read at %+v, want %+v", p, r.wants[p.Place])
		}
	}
	if n := rapid.IntRange(0, 15).Draw(rt, "meanwhile"); n < len(logs) && len(r.wants) > 0 {
		logs[n].high++
		yards[n].stir(1)
		f.More()
	}
	if rapid.IntRange(0, 9).Draw(rt, "fate") == 0 { // the connection broke
		r.startAnew()
		return
	}
	r.answer(rt, f, logs, now)
}

// watch returns how partitions watch over a follower's session; nil for consumers.
func (r *reader) watch(f *Fetch, yards []yard) func(int, Sleeper) Watched {
	if r.kind == Consumer {
		return nil
	}
	return func(i int, s Sleeper) Watched {
		for n := range yards {
			if r.place(n) == f.At(i).Place {
				yards[n].sleepers = append(yards[n].sleepers, s)
				return &yards[n]
			}
		}
		return &yard{}
	}
}

func (r *reader) answer(rt *rapid.T, f *Fetch, logs []log, now kafka.Instant) {
	truth := func(p Place) log {
		for n := range logs {
			if r.place(n) == p {
				return logs[n]
			}
		}
		return log{}
	}
	found := func(i int) Found {
		l := truth(f.At(i).Place)
		return Found{Code: l.code, HighWatermark: l.high, LogStart: l.start, Records: l.records, Settled: l.code == kafka.None && !l.records}
	}
	told := map[Place]log{}
	order := make([]Place, f.Len())
	for i := range order {
		order[i] = f.At(i).Place
	}
	id, code := f.Finish(found, func(i int) { told[order[i]] = truth(order[i]) }, now)
	if code != kafka.None {
		rt.Fatalf("%v, and nobody interfered", code)
	}
	for p, l := range told {
		r.seen[p] = l
	}
	for p := range r.wants {
		l := truth(p)
		if _, ok := told[p]; !ok && (l.records || l.code != kafka.None) {
			rt.Fatalf("%v: nothing was told of %+v", p, l)
		}
		if l.code == kafka.None && (r.seen[p].high != l.high || r.seen[p].start != l.start) {
			rt.Fatalf("%v: knows of %+v, and there is %+v", p, r.seen[p], l)
		}
	}
	if r.follow(id); id == none {
		r.startAnew()
	}
}

// A fetch that waits is told what is stirred meanwhile, and reads that and no more.
func TestWhatSleepsIsReadOnceItIsStirred(t *testing.T) {
	c := NewCache(Limits{Sessions: 9, Partitions: 99, Bytes: 1 << 20}, counting())
	yards := make([]yard, 4)
	watch := func(f *Fetch) {
		f.Watch = func(i int, s Sleeper) Watched {
			y := &yards[f.At(i).Topic[0]]
			y.sleepers = append(y.sleepers, s)
			return y
		}
	}
	settled := func(int) Found { return Found{Settled: true} }
	f, _ := c.Begin(full(Follower, 3), 0)
	watch(f)
	id, _ := f.Finish(settled, func(int) {}, 0)
	for round, s := range []struct{ topic, bytes, credit int64 }{{2, 0, 0}, {2, 7, 7}, {2, 7, 7}, {3, 1, 1}} {
		f, code := c.Begin(Request{ID: id, Epoch: int32(round + 1), ByID: true, Kind: Follower}, 0)
		if code != kafka.None || f.Len() != 0 || !f.Sleeping() {
			t.Fatalf("round %d: %v, %d partitions are read and nothing has changed", round, code, f.Len())
		}
		watch(f)
		var credit int64
		if !f.Park(func(n int64) { credit += n }) {
			t.Fatalf("round %d: there is something to read, and nothing has changed", round)
		}
		yards[s.topic].stir(s.bytes)
		f.Leave()
		if credit != s.credit || f.Park(func(int64) {}) {
			t.Errorf("round %d: credit %d, want %d", round, credit, s.credit)
		}
		if f.More(); f.Len() != 1 || int64(f.At(0).Topic[0]) != s.topic {
			t.Fatalf("round %d: %d partitions are read", round, f.Len())
		}
		f.Finish(settled, func(int) {}, 0)
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
	}
	c.Begin(Request{ID: id, Epoch: finalEpoch, ByID: true}, 0)
	for i, y := range yards {
		if len(y.sleepers) > 0 {
			t.Errorf("partition %d watches over a session that has ended", i)
		}
	}
}

var someday = kafka.Instant(0).Add(time.Hour)

func full(k Kind, n int) Request {
	q := Request{Kind: k, ByID: true, Sessions: Wanted}
	for i := range n {
		q.Partitions = append(q.Partitions, Partition{Place: Place{Topic: kafka.TopicID{byte(i + 1)}}})
	}
	return q
}

// begin goes through a request of which everything is told, and returns its
// session.
func begin(t *testing.T, c *Cache, q Request, now kafka.Instant) int32 {
	t.Helper()
	f, code := c.Begin(q, now)
	if code != kafka.None {
		t.Fatal(code)
	}
	id, code := f.Finish(func(int) Found { return Found{} }, func(int) {}, now)
	if code != kafka.None {
		t.Fatal(code)
	}
	return id
}

func TestOnlyTheNextRequestOfASessionIsTaken(t *testing.T) {
	c := NewCache(Limits{Sessions: 9, Partitions: 99, Bytes: 1 << 20}, counting())
	id := begin(t, c, full(Consumer, 2), 0)
	for _, s := range []struct {
		name string
		q    Request
		want kafka.Error
	}{
		{"of no session", Request{ID: id + 1, Epoch: 1, ByID: true}, kafka.ErrFetchSessionIDNotFound},
		{"of a later epoch", Request{ID: id, Epoch: 2, ByID: true}, kafka.ErrInvalidFetchSessionEpoch},
		{"with names instead of ids", Request{ID: id, Epoch: 1}, kafka.ErrFetchSessionTopicIDError},
		{"the next", Request{ID: id, Epoch: 1, ByID: true}, kafka.None},
		{"the same again", Request{ID: id, Epoch: 1, ByID: true}, kafka.ErrInvalidFetchSessionEpoch},
		{"that forgets all", Request{ID: id, Epoch: 2, ByID: true, Forgotten: []Place{{Topic: kafka.TopicID{1}}, {Topic: kafka.TopicID{2}}}}, kafka.None},
		{"after which there is none", Request{ID: id, Epoch: 3, ByID: true}, kafka.ErrFetchSessionIDNotFound},
	} {
		if _, code := c.Begin(s.q, 0); code != s.want {
			t.Errorf("%s: %v, want %v", s.name, code, s.want)
		}
	}
}

func TestAnAnswerThatWasOvertakenTellsNothing(t *testing.T) {
	for name, next := range map[string]struct {
		q    Request
		want kafka.Error
	}{
		"by the next request":  {Request{Epoch: 2, ByID: true}, kafka.ErrInvalidFetchSessionEpoch},
		"by the session's end": {Request{Epoch: finalEpoch, ByID: true}, kafka.ErrFetchSessionIDNotFound},
	} {
		c := NewCache(Limits{Sessions: 9, Partitions: 99, Bytes: 1 << 20}, counting())
		id := begin(t, c, full(Consumer, 1), 0)
		slow, _ := c.Begin(Request{ID: id, Epoch: 1, ByID: true}, 0)
		next.q.ID = id
		if _, code := c.Begin(next.q, 0); code != kafka.None {
			t.Fatal(code)
		}
		_, code := slow.Finish(func(int) Found { return Found{Records: true} }, func(int) { t.Errorf("%s: told", name) }, 0)
		if code != next.want {
			t.Errorf("%s: %v, want %v", name, code, next.want)
		}
	}
}

// The rules of KIP-227, one after the other.
func TestSessionsGiveWay(t *testing.T) {
	for _, s := range []struct {
		name   string
		before Request
		age    time.Duration // of it
		idle   time.Duration // of it
		after  Request
		want   bool
	}{
		{"a young consumer to nobody of its kind", full(Consumer, 1), 0, 0, full(Consumer, 5), false},
		{"a young consumer to a follower", full(Consumer, 5), 0, 0, full(Follower, 1), true},
		{"an old consumer to a larger one", full(Consumer, 1), 3 * time.Minute, 0, full(Consumer, 2), true},
		{"an old consumer to no smaller one", full(Consumer, 2), 3 * time.Minute, 0, full(Consumer, 2), false},
		{"an old follower to no consumer", full(Follower, 1), 3 * time.Minute, 0, full(Consumer, 9), false},
		{"an old follower to a larger one", full(Follower, 1), 3 * time.Minute, 0, full(Follower, 2), true},
		{"a young follower to nobody", full(Follower, 1), 0, 0, full(Follower, 9), false},
		{"whoever was not seen for long to anybody", full(Follower, 9), 3 * time.Minute, 3 * time.Minute, full(Consumer, 1), true},
	} {
		c := NewCache(Limits{Sessions: 1, Partitions: 99, Bytes: 1 << 20}, counting())
		id := begin(t, c, s.before, someday)
		now := someday.Add(s.age)
		if s.idle == 0 {
			c.touch(c.byID[id], now)
		}
		if got := begin(t, c, s.after, now) != none; got != s.want {
			t.Errorf("%s: the other has a session: %t", s.name, got)
		}
	}
}

func TestSessionsStayWithinTheirMemory(t *testing.T) {
	c := NewCache(Limits{Sessions: 99, Partitions: 4, Bytes: 1 << 20}, counting())
	if begin(t, c, full(Consumer, 5), 0) != none {
		t.Error("a session of more partitions than there may be")
	}
	id := begin(t, c, full(Consumer, 3), 0)
	if begin(t, c, full(Consumer, 2), 0) != none {
		t.Error("a session for which there is no room")
	}
	if _, code := c.Begin(Request{ID: id, Epoch: 1, ByID: true, Partitions: []Partition{
		{Place: Place{Topic: kafka.TopicID{8}}}, {Place: Place{Topic: kafka.TopicID{9}}}}}, 0); code != kafka.ErrFetchSessionIDNotFound {
		t.Errorf("a session that grows beyond its room: %v", code)
	}
	if u := c.Usage(); u.Sessions != 0 || u.Partitions != 0 || u.Bytes != 0 {
		t.Errorf("%+v is left", u)
	}
}

func TestPartitionsWithRecordsAreReadLastTheNextTime(t *testing.T) {
	c := NewCache(Limits{Sessions: 9, Partitions: 99, Bytes: 1 << 20}, counting())
	id := begin(t, c, full(Consumer, 3), 0)
	orders := [][]byte{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}}
	for epoch, want := range orders {
		f, code := c.Begin(Request{ID: id, Epoch: int32(epoch + 1), ByID: true}, 0)
		if code != kafka.None {
			t.Fatal(code)
		}
		for i, topic := range want {
			if got := f.At(i).Topic[0]; got != topic {
				t.Errorf("epoch %d: place %d has topic %d, want %d", epoch+1, i, got, topic)
			}
		}
		f.Finish(func(i int) Found { return Found{Records: i == 0} }, func(int) {}, 0)
	}
}

func TestTheEpochAfterTheLastIsTheFirst(t *testing.T) {
	s := &Session{epoch: 1<<31 - 1}
	if s.advance(); s.epoch != 1 {
		t.Errorf("epoch %d", s.epoch)
	}
}

func TestWhatComesBehindAnErrorOrSomethingUrgentIsToldOnce(t *testing.T) {
	e := &entry{high: 5, logStart: 1}
	for i, s := range []struct {
		r    Found
		want bool
	}{
		{Found{HighWatermark: 5, LogStart: 1}, false},
		{Found{Code: kafka.ErrStorageError, HighWatermark: 5, LogStart: 1}, true},
		{Found{Code: kafka.ErrStorageError, HighWatermark: 5, LogStart: 1}, true},
		{Found{HighWatermark: 5, LogStart: 1}, true},
		{Found{HighWatermark: 5, LogStart: 1}, false},
		{Found{HighWatermark: 5, LogStart: 2}, true},
		{Found{HighWatermark: 5, LogStart: 2, Urgent: true}, true},
		{Found{HighWatermark: 5, LogStart: 2}, true},
		{Found{HighWatermark: 5, LogStart: 2}, false},
	} {
		if got := e.note(s.r); got != s.want {
			t.Errorf("step %d: told %t", i, got)
		}
	}
}
