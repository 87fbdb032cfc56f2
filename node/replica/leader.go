// Package replica decides how a partition is replicated: what is committed, who is
// in sync, and where a follower cuts its log.
//
// It promises that the high watermark never passes what every member of the in-sync
// set holds, whichever of two sets the controller has: the leader acts on the larger
// one until it knows (KIP-497). It does not elect leaders, and it knows neither
// disks nor networks. It is pure: facts in, decisions out, time included.
//
// The one rule for callers: a fact is about one leader epoch. What a fetch or an
// answer says is compared with the epoch it was meant for, and dropped if that is
// another.
package replica

import (
	"fmt"
	"slices"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/kafka"
)

// NoEpoch is the broker epoch of a follower that has not fetched yet.
const NoEpoch int64 = -1

// A State is what the controller has decided about the partition.
type State struct {
	Replicas []kafka.NodeID
	ISR      []kafka.NodeID
	Epoch    int32 // of the partition: counts the changes (KIP-497)

	// Removing are the replicas that a reassignment takes away once all of Adding are in
	// sync (KIP-455).
	Adding, Removing []kafka.NodeID
}

// A Position is how far a replica has got.
type Position struct {
	Start   kafka.Offset // log start offset
	Held    kafka.Offset // end of what it holds in the sense of log.flush
	Written kafka.Offset // end of what followers may read
	End     kafka.Offset // of the log: where the next record will be
}

// A Leader tracks how far each follower has replicated the leader's log, for one
// partition and one leader epoch.
//
// The maximal set is the committed in-sync set with the one that was asked for.
//
// Invariants:
//
//  1. 0 <= high watermark <= Held <= Written <= End of the leader
//  2. the leader is in the committed set, which is a subset of the replicas
//  3. the high watermark never goes back, nor does the partition epoch
//  4. the high watermark moves only to what every member of the maximal set holds,
//     and only while the committed set has min.insync.replicas members (KIP-966)
//
// Check verifies (1) and (2). (3) and (4) hold because advance and adopt are the only
// places that assign.
type Leader struct {
	self      kafka.NodeID
	epoch     kafka.LeaderEpoch
	began     kafka.Offset
	since     kafka.Instant // it leads
	high      kafka.Offset
	own       Position
	least     int
	state     State
	followers []follower // every replica but this one, in the order of the replicas

	pending   []Member      // the set that was asked for; nil if none was
	unknown   bool          // a request for it may yet be carried out
	unknownAt kafka.Instant // since when at the latest
	inFlight  bool
}

// A follower is what the leader knows of one other replica.
type follower struct {
	id     kafka.NodeID
	epoch  int64 // of its broker, as its last fetch said
	known  bool  // it has fetched, in this leader epoch and this life
	start  kafka.Offset
	held   kafka.Offset
	caught kafka.Instant // it had everything then

	fetched   kafka.Instant // the last time
	endAtThen kafka.Offset  // what it could have read when it did
}

// A Beginning is how a broker begins to lead.
type Beginning struct {
	Self          kafka.NodeID
	Epoch         kafka.LeaderEpoch
	HighWatermark kafka.Offset // as the replica knew it
	Own           Position
	State         State
	Least         int // min.insync.replicas
}

// Lead begins a leadership at an instant. The epoch begins at the log's end: from
// now on that is where the epochs before it ended, though nothing is written yet
// (KAFKA-7415).
func Lead(b Beginning, now kafka.Instant) *Leader {
	l := &Leader{
		self: b.Self, epoch: b.Epoch, began: b.Own.End, own: b.Own, least: b.Least,
		high:  min(b.HighWatermark, b.Own.Held),
		state: State{Epoch: -1}, since: now,
	}
	l.adopt(b.State, now)
	l.advance()
	return l
}

// Epoch returns the leader epoch.
func (l *Leader) Epoch() kafka.LeaderEpoch { return l.epoch }

// Began returns where the leader's log ended when its epoch began. Until the high
// watermark has reached it the leader does not know what is committed (KIP-207).
func (l *Leader) Began() kafka.Offset { return l.began }

// HighWatermark returns the end of what is committed.
func (l *Leader) HighWatermark() kafka.Offset { return l.high }

// State returns what the controller has decided, as far as the leader knows.
func (l *Leader) State() State { return l.state }

// Settled reports whether the leader knows what was committed before it led.
func (l *Leader) Settled() bool { return l.high >= l.began }

// Maximal returns the set that the high watermark waits for.
func (l *Leader) Maximal() []kafka.NodeID {
	if l.pending == nil {
		return l.state.ISR
	}
	all := slices.Clone(l.state.ISR)
	for _, m := range l.pending {
		if !slices.Contains(all, m.ID) {
			all = append(all, m.ID)
		}
	}
	return all
}

// AwaitedFrom reports whether the high watermark waits for a replica.
func (l *Leader) AwaitedFrom(id kafka.NodeID) bool { return l.inMaximal(id) }

func (l *Leader) inMaximal(id kafka.NodeID) bool {
	return slices.Contains(l.state.ISR, id) ||
		slices.ContainsFunc(l.pending, func(m Member) bool { return m.ID == id })
}

// EnoughInSync reports whether the committed set is as large as min.insync.replicas
// demands. A partition with fewer replicas than that is content with all of them.
func (l *Leader) EnoughInSync() bool {
	return len(l.state.ISR) >= min(l.least, len(l.state.Replicas))
}

// SetLeast changes min.insync.replicas, and reports whether the high watermark
// moved.
func (l *Leader) SetLeast(n int) (moved bool) {
	l.least = n
	return l.advance()
}

// Moved takes in how far the leader's own log has got, and reports whether the high
// watermark moved. A follower that had everything until now was caught up now.
func (l *Leader) Moved(own Position, now kafka.Instant) (moved bool) {
	if own.Written > l.own.Written {
		for i := range l.followers {
			if f := &l.followers[i]; f.known && f.held >= l.own.Written {
				f.caught = now
			}
		}
	}
	l.own = own
	l.began = min(l.began, own.End) // what had been queued was refused
	return l.advance()
}

// A Fetch is what a follower's fetch says about the follower.
type Fetch struct {
	ID          kafka.NodeID
	BrokerEpoch int64
	LeaderEpoch kafka.LeaderEpoch // as the follower knows it
	Start       kafka.Offset
	Held        kafka.Offset
}

// Fetched records how far a follower has got. It reports whether that counts: a
// fetch for another leader epoch may speak of records that the follower will yet
// truncate (KIP-320), one of an earlier life of its broker of what is gone
// (KIP-903). Who finds that the follower's log diverges does not call it
// (KAFKA-13141).
func (l *Leader) Fetched(q Fetch, now kafka.Instant) (counts, moved bool) {
	f := l.find(q.ID)
	if f == nil || q.LeaderEpoch != l.epoch || q.BrokerEpoch < f.epoch {
		return false, false
	}
	if q.BrokerEpoch > f.epoch && f.known {
		f.caught = min(f.caught, now) // another life: it begins with what it says now
	}
	f.epoch, f.known, f.start, f.held = q.BrokerEpoch, true, q.Start, q.Held
	switch {
	case q.Held >= l.own.Written:
		f.caught = now
	case q.Held >= f.endAtThen && f.fetched > f.caught:
		f.caught = f.fetched // it has all that there was when it last asked
	}
	f.fetched, f.endAtThen = now, l.own.Written
	return true, l.advance()
}

// Forget says that a follower's broker has a new life: until it fetches, nothing is
// known of what it holds.
func (l *Leader) Forget(id kafka.NodeID, brokerEpoch int64) {
	if f := l.find(id); f != nil && f.epoch < brokerEpoch {
		f.epoch, f.known, f.held, f.start = brokerEpoch, false, kafka.NoOffset, kafka.NoOffset
	}
}

func (l *Leader) find(id kafka.NodeID) *follower {
	for i := range l.followers {
		if l.followers[i].id == id {
			return &l.followers[i]
		}
	}
	return nil
}

// advance moves the high watermark as far as it may go.
func (l *Leader) advance() (moved bool) {
	if !l.EnoughInSync() {
		return false
	}
	lowest := l.own.Held
	for i := range l.followers {
		f := &l.followers[i]
		if f.held < lowest && l.inMaximal(f.id) {
			lowest = f.held
		}
	}
	if lowest <= l.high {
		return false
	}
	l.high = lowest
	return true
}

// LowestLogStart returns the lowest log start of the leader and those followers
// whose brokers are alive: below it the records are gone everywhere. It is
// kafka.NoOffset while one of them has not told.
func (l *Leader) LowestLogStart(alive func(kafka.NodeID) bool) kafka.Offset {
	lowest := l.own.Start
	for i := range l.followers {
		if f := &l.followers[i]; f.start < lowest && alive(f.id) {
			lowest = f.start
		}
	}
	return lowest
}

// A Progress is what the leader knows of one follower.
type Progress struct {
	ID          kafka.NodeID
	BrokerEpoch int64
	Start, Held kafka.Offset  // kafka.NoOffset until it has fetched
	CaughtUp    kafka.Instant // when it last had everything, at the latest known
}

// Followers returns what is known of each follower, in the order of the replicas.
func (l *Leader) Followers() []Progress {
	var out []Progress
	for _, f := range l.followers {
		out = append(out, Progress{ID: f.id, BrokerEpoch: f.epoch, Start: f.start, Held: f.held, CaughtUp: f.caught})
	}
	return out
}

// Check returns the first broken invariant.
func (l *Leader) Check() error {
	if l.high < 0 || l.high > l.own.Held || l.own.Held > l.own.Written || l.own.Written > l.own.End {
		return fmt.Errorf("leader epoch %d: high watermark %d, held %d, written %d, end %d", l.epoch, l.high, l.own.Held, l.own.Written, l.own.End)
	}
	if !slices.Contains(l.state.ISR, l.self) {
		return fmt.Errorf("leader epoch %d: leader %d is not in its in-sync set %v", l.epoch, l.self, l.state.ISR)
	}
	for _, id := range l.state.ISR {
		if !slices.Contains(l.state.Replicas, id) {
			return fmt.Errorf("leader epoch %d: %d of in-sync set %v is none of the replicas %v", l.epoch, id, l.state.ISR, l.state.Replicas)
		}
	}
	return nil
}

// adopt takes over what the controller has decided.
func (l *Leader) adopt(s State, now kafka.Instant) {
	assert.That(s.Epoch > l.state.Epoch, "partition epoch %d after %d", s.Epoch, l.state.Epoch)
	was := l.state.ISR
	l.state = s
	l.pending, l.unknown = nil, false
	l.seat(was, now)
}

// seat has the followers be those of the replicas; was is the committed set before.
func (l *Leader) seat(was []kafka.NodeID, now kafka.Instant) {
	s := &l.state
	followers := make([]follower, 0, len(s.Replicas))
	for _, id := range s.Replicas {
		if id == l.self {
			continue
		}
		f := follower{id: id, epoch: NoEpoch, start: kafka.NoOffset, held: kafka.NoOffset, caught: now}
		if old := l.find(id); old != nil {
			f = *old
			if slices.Contains(s.ISR, id) && !slices.Contains(was, id) {
				f.caught = max(f.caught, now) // the controller let it in: it has the whole time
			}
		}
		followers = append(followers, f)
	}
	l.followers = followers
}
