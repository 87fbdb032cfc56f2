package broker

import (
	"errors"
	"hash/fnv"
	"slices"
	"time"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/config"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A fetcher copies partitions from one leader: one task with one fetch under way,
// in a session of which both sides remember what was asked (KIP-227). Partitions
// come and go while it runs. num.replica.fetchers is how many there are for a
// leader.
type fetcher struct {
	b       *Broker
	source  fetchSource
	members []*following // in the order in which they came
	by      map[meta.Replica]*following
	changed env.Cond

	session      int32 // 0: none
	sessionEpoch int32
	asked        map[meta.Replica]bool // what the leader's session has
	forgotten    []meta.Replica        // what is to be taken out of it
	leaving      map[meta.Replica]bool // the same, to be asked
	pause        time.Duration         // after the last failure
}

// A fetchSource names a fetcher.
type fetchSource struct {
	leader kafka.NodeID
	slot   int
}

// A following is a partition's place with a fetcher, in one leader epoch.
type following struct {
	p     *Partition
	f     *fetcher
	epoch kafka.LeaderEpoch

	from    kafka.Offset // where the last fetch that asked for it began; kafka.NoOffset before that
	leaders kafka.Offset // high watermark, as it was told last; kafka.NoOffset before
	told    bool         // the session has where it is
	waiting kafka.Offset // it is not asked for before the log holds so much; kafka.NoOffset
	until   kafka.Instant
	pause   time.Duration // of the last error
}

// The pause after a failure doubles from this to replica.fetch.backoff.ms.
const firstFetchPause = 20 * time.Millisecond

// follow has the partition fetched from its leader, if it has one.
func (p *Partition) follow() {
	if p.state.Leader == meta.NoLeader || p.b.closing {
		p.unfollow()
		return
	}
	want := fetchSource{leader: p.state.Leader, slot: p.slot()}
	if p.follows != nil && p.follows.epoch == p.state.LeaderEpoch && p.follows.f.source == want {
		return
	}
	p.unfollow()
	f := p.b.fetchers[want]
	if f == nil {
		f = &fetcher{b: p.b, source: want, by: map[meta.Replica]*following{}, asked: map[meta.Replica]bool{},
			leaving: map[meta.Replica]bool{}, changed: p.b.w.NewCond("broker/fetcher")}
		p.b.fetchers[want] = f
		p.b.fetching.Go("broker/fetch", f.run)
	}
	p.follows = &following{p: p, f: f, epoch: p.state.LeaderEpoch, from: kafka.NoOffset, leaders: kafka.NoOffset, waiting: kafka.NoOffset}
	f.members = append(f.members, p.follows)
	f.by[p.id] = p.follows
	f.changed.Broadcast()
}

// slot spreads partitions over a leader's fetchers.
func (p *Partition) slot() int {
	n := config.NumReplicaFetchers.In(p.b.config)
	if n <= 1 {
		return 0
	}
	h := fnv.New32a()
	h.Write(p.id.Topic[:])
	return int((int64(h.Sum32()) + int64(p.id.Partition)) % n)
}

// unfollow takes the partition from its fetcher.
func (p *Partition) unfollow() {
	fo := p.follows
	if fo == nil {
		return
	}
	p.follows = nil
	fo.f.remove(fo)
	p.tails.drop() // consumers that wait here find out where to go
}

func (f *fetcher) remove(fo *following) {
	if i := slices.Index(f.members, fo); i >= 0 {
		f.members = slices.Delete(f.members, i, i+1)
	}
	delete(f.by, fo.p.id)
	f.forget(fo.p.id)
	if len(f.members) == 0 {
		f.changed.Broadcast()
	}
}

// forget has a partition taken out of the leader's session.
func (f *fetcher) forget(r meta.Replica) {
	if f.asked[r] {
		delete(f.asked, r)
		f.leaving[r] = true
		f.forgotten = append(f.forgotten, r)
	}
}

// moved notes that the log has changed: the leader is to be told. It may be the held
// end that the partition waits for, or that will not come: a full disk has had what was
// queued taken back, and it is to be asked for again.
func (fo *following) moved() {
	fo.told = false
	if fo.waiting == kafka.NoOffset {
		return
	}
	refused := fo.p.log.End() < fo.waiting
	if refused {
		fo.p.b.w.Probe("a slow disk refused what a follower waited for")
	}
	if refused || fo.p.log.Held() >= fo.waiting {
		fo.waiting = kafka.NoOffset
		fo.f.changed.Broadcast()
	}
}

// current reports whether the partition is still followed as it was.
func (fo *following) current() bool { return fo.p.follows == fo && fo.p.log != nil }

// run is the fetcher's task. It ends when there is nothing left to fetch.
func (f *fetcher) run() {
	defer func() {
		if f.b.fetchers[f.source] == f {
			delete(f.b.fetchers, f.source)
		}
	}()
	for !f.b.closing && len(f.members) > 0 {
		q := f.request()
		if q == nil {
			if err := f.changed.Wait(f.nextUntil()); err != nil && !errors.Is(err, env.ErrDeadline) {
				return
			}
			continue
		}
		if !f.fetch(q) && f.rest() != nil {
			return
		}
	}
}

// fetch carries out one request and what follows from the answer. It reports false
// if there was none. Blocks.
func (f *fetcher) fetch(q *ReplicaFetch) bool {
	deadline := q.MaxWait.Add(config.ReplicaSocketTimeout.Duration(f.b.config))
	got, err := f.b.peers.FetchFrom(f.source.leader, q, deadline)
	if err == nil {
		err = got.Err
	}
	if err != nil {
		f.b.w.Probe("a follower's fetch failed")
		f.b.stats.FetchFailures++
		f.newSession()
		if got != nil && got.Release != nil {
			got.Release()
		}
		return errors.Is(err, kafka.ErrFetchSessionIDNotFound) && q.SessionEpoch > 0
	}
	f.pause = 0
	f.advanceSession(q, got)
	f.take(got)
	return true
}

// rest waits after a failure. Blocks.
func (f *fetcher) rest() error {
	f.pause = nextPause(f.pause, f.b.config)
	return f.b.w.Sleep(f.pause)
}

func nextPause(last time.Duration, v *config.View) time.Duration {
	return min(max(2*last, firstFetchPause), max(config.ReplicaFetchBackoff.Duration(v), time.Millisecond))
}

// newSession has the next request name everything.
func (f *fetcher) newSession() {
	f.session, f.sessionEpoch = 0, 0
	clear(f.asked)
	clear(f.leaving)
	f.forgotten = nil
	for _, fo := range f.members {
		fo.told = false
	}
}

// advanceSession takes over the session that the leader has granted, or goes on
// with it. Without one every request names everything.
func (f *fetcher) advanceSession(q *ReplicaFetch, got *ReplicaFetched) {
	if got.SessionID == 0 {
		f.newSession()
		return
	}
	f.session = got.SessionID
	if f.sessionEpoch = q.SessionEpoch + 1; f.sessionEpoch < 0 {
		f.sessionEpoch = 1
	}
}

// request returns what to ask for next, nil for nothing. With a session only what
// has changed is in it. What has left and come again is taken out of the session first,
// for which the leader need not wait: what it was told last may have come to who
// followed before, and the leader does not tell it twice.
func (f *fetcher) request() *ReplicaFetch {
	v, now := f.b.config, f.b.w.Now()
	room := f.b.copying.quota.Room(now)
	q := &ReplicaFetch{
		Self: meta.Member{ID: f.b.id, Epoch: f.b.epoch}, SessionID: f.session, SessionEpoch: f.sessionEpoch,
		MinBytes: int32(config.ReplicaFetchMinBytes.In(v)), MaxBytes: int32(config.ReplicaFetchResponseMax.In(v)),
		MaxWait: min(now.Add(config.ReplicaFetchWaitMax.Duration(v)), f.nextUntil()),
	}
	for _, fo := range f.members {
		if fo.waiting != kafka.NoOffset || now < fo.until || fo.heldBack(room) {
			f.forget(fo.p.id)
			fo.told = false
			continue
		}
		if f.leaving[fo.p.id] {
			fo.told, q.MaxWait = false, now
			continue
		}
		if !fo.told {
			q.Items = append(q.Items, fo.item(v))
			f.asked[fo.p.id] = true
		}
	}
	if len(f.asked) == 0 && (len(f.forgotten) == 0 || f.session == 0) {
		return nil
	}
	q.Forgotten = f.forgotten
	f.forgotten = nil
	clear(f.leaving)
	return q
}

// item says where the partition is.
func (fo *following) item(v *config.View) ReplicaItem {
	l := fo.p.log
	assert.That(l != nil, "%s is followed without a log", fo.p.name)
	fo.told, fo.from = true, l.End()
	return ReplicaItem{
		Replica: fo.p.id, LeaderEpoch: fo.epoch, LastEpoch: l.Epochs().Latest(), From: fo.from, Held: l.Held(),
		LogStart: l.LogStart(), MaxBytes: fo.most(v),
	}
}

// nextUntil returns when a pause of some partition ends.
func (f *fetcher) nextUntil() kafka.Instant {
	next, now := kafka.Never, f.b.w.Now()
	room := f.b.copying.quota.Until(now)
	for _, fo := range f.members {
		if fo.waiting == kafka.NoOffset && fo.until > now {
			next = min(next, fo.until)
		}
		if room > now && fo.bounded() {
			next = min(next, room)
		}
	}
	return next
}
