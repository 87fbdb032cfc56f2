package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"math"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/env"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
	"github.com/klammlog/klamm/node/replica"
)

// A Partition is this node's replica of one partition.
//
// Invariants, which Check verifies besides those of its log and of its leader:
//
//  1. log start <= high watermark <= held end
//  2. it leads only what the metadata says that it leads, in that leader epoch, and
//     then it fetches from nobody
//  3. the high watermark goes back only when a leader has the log cut
//  4. it is left out of fetches only for what its log has still to write
type Partition struct {
	b     *Broker
	topic *topic
	id    meta.Replica
	name  kafka.TopicPartition
	state meta.PartitionState // as the metadata has it

	log    *commitlog.Log // nil while the partition cannot be used
	broken error          // why it cannot, as a client is told
	last   *commitlog.Log // the log it had, or has: it knows what became of appends
	rotten error          // part of the log is corrupt: the records are to come from a peer
	aside  bool           // its files may be set aside when others have all that they held
	anew   bool           // they were: it begins anew wherever there is room

	leader  *replica.Leader // while this node leads
	follows *following      // while it fetches from another
	cutting int             // truncations under way: meanwhile it does not lead
	alters  bool            // it waits to ask for another in-sync set

	start   kafka.Offset // of the log, when it was last looked at
	high    kafka.Offset // everything below is committed
	sizes   []sized      // what was appended and is not yet committed
	exposed Exposure     // by the last leadership that raised high
	moved   bool         // the log has changed since it was last looked after

	takenBack uint64 // by the log, when it was last looked at

	held      marks      // appends that wait for this machine
	committed marks      // appends that wait for the high watermark
	tails     marks      // fetches that wait for bytes below the high watermark
	pulls     marks      // fetches of followers, that wait for bytes to be written
	unwritten *unwritten // appends of leaderships that are over; nil until there is a log
	watchers  []Watcher  // sessions of followers that were told everything

	started env.Cond // deletions that wait for the followers; nil if there was none
}

// A sized is the end of an append and how many bytes it has.
type sized struct {
	end   kafka.Offset
	bytes int64
}

// Name returns the partition's name.
func (p *Partition) Name() kafka.TopicPartition { return p.name }

// HighWatermark returns the end of what is committed, as far as this node knows.
func (p *Partition) HighWatermark() kafka.Offset { return p.high }

// leading returns the partition's log if this node leads the partition, and
// what a client is told if not.
func (p *Partition) leading(epoch kafka.LeaderEpoch) (*commitlog.Log, error) {
	switch {
	case p.broken != nil:
		return nil, p.broken
	case p.log == nil:
		return nil, fmt.Errorf("%s: not open yet: %w", p.name, kafka.ErrLeaderNotAvailable)
	case p.leader == nil:
		return nil, fmt.Errorf("%s: node %d leads: %w", p.name, p.state.Leader, kafka.ErrNotLeaderOrFollower)
	}
	return p.log, p.checkEpoch(epoch)
}

// serving is leading for who may as well read from a follower (KIP-392).
func (p *Partition) serving(epoch kafka.LeaderEpoch) (*commitlog.Log, error) {
	if p.broken != nil || p.log == nil || p.leader != nil || p.follows == nil {
		return p.leading(epoch)
	}
	return p.log, p.checkEpoch(epoch)
}

// checkEpoch compares the epoch a client knows with the current one (KIP-320).
func (p *Partition) checkEpoch(epoch kafka.LeaderEpoch) error {
	switch {
	case epoch == kafka.NoLeaderEpoch || epoch == p.state.LeaderEpoch:
		return nil
	case epoch < p.state.LeaderEpoch:
		return fmt.Errorf("%s: leader epoch %d, now %d: %w", p.name, epoch, p.state.LeaderEpoch, kafka.ErrFencedLeaderEpoch)
	}
	return fmt.Errorf("%s: leader epoch %d, still %d: %w", p.name, epoch, p.state.LeaderEpoch, kafka.ErrUnknownLeaderEpoch)
}

// attach makes an opened log the partition's.
func (p *Partition) attach(l *commitlog.Log) {
	p.log, p.last, p.broken, p.rotten, p.aside, p.anew = l, l, nil, nil, false, false
	p.start, p.high, p.takenBack = l.LogStart(), l.LogStart(), l.TakenBack()
	l.OnAdvance(p.advance)
	l.OnWrite(p.wrote)
	p.unwritten = &unwritten{log: l}
	l.OnAdvance(p.unwritten.settle)
	l.OnWrite(p.unwritten.settle)
	l.OnDamage(func(err error) { p.damaged(l, err) })
	p.takeRole()
	p.advance()
}

// detach takes the log out of use and lets everyone who waits find out why. The
// log is still to be closed.
func (p *Partition) detach(why error) {
	p.b.changes++
	p.unfollow()
	p.log, p.broken = nil, why
	p.resign()
}

// advance follows what the log holds.
func (p *Partition) advance() {
	if p.log == nil {
		return
	}
	p.moved = true
	p.takeBack(p.log.End())
	held, all := p.log.Held(), p.log.Lame() != nil || p.log.TakenBack() != p.takenBack
	p.takenBack = p.log.TakenBack()
	if start := p.log.LogStart(); start != p.start {
		p.start = start
		p.b.changes++
	}
	p.held.passed(held)
	if p.leader != nil {
		p.leader.Moved(p.position(), p.b.w.Now())
		p.raise(p.leader.HighWatermark())
		p.announceStart()
	} else {
		p.high = max(p.log.LogStart(), min(p.high, held))
	}
	if p.follows != nil {
		p.follows.moved()
	}
	p.committed.passed(p.high)
	p.touch()
	if all {
		p.held.dropLost(p.lost)
		p.committed.dropLost(p.lost)
	}
	if err := p.log.Lame(); err != nil {
		p.fail(err)
	}
}

// fail takes a log out of use that has failed. If its directory goes on, so does the
// partition: the log is opened again after a pause, as a restart would do, or
// fetched anew if it is not whole and nobody needs it.
func (p *Partition) fail(err error) {
	p.b.w.Probe("a partition went offline")
	p.detach(p.clientError(err))
	p.b.tellOffline()
	if _, placed := p.b.places[p.name]; !placed || p.stranded() || errors.Is(err, commitlog.ErrClosed) {
		return
	}
	p.aside = notWhole(err)
	p.replaceIfPossible()
	p.b.tryLater(p, firstPause, err)
}

// notWhole reports whether an error says that part of a log is damaged, so that
// opening it again is of no use.
func notWhole(err error) bool {
	return errors.Is(err, commitlog.ErrQuarantined) || errors.Is(err, commitlog.ErrCorrupt)
}

// wrote tells followers that there is more to fetch. They do not wait for this
// machine's disk, so that all sync at once.
func (p *Partition) wrote() {
	if p.leader == nil || p.log == nil {
		return
	}
	p.leader.Moved(p.position(), p.b.w.Now())
	p.pulls.each(math.MaxInt32)
	p.stirAll()
}

func (p *Partition) position() replica.Position {
	l := p.log
	return replica.Position{Start: l.LogStart(), Held: l.Held(), Written: l.Written(), End: l.End()}
}

// takeBack forgets what was appended above the log's end: it was refused.
func (p *Partition) takeBack(end kafka.Offset) {
	for n := len(p.sizes); n > 0 && p.sizes[n-1].end > end; n-- {
		p.sizes = p.sizes[:n-1]
	}
}

// raise moves the high watermark, if it is higher, and credits the fetches that wait
// for bytes.
func (p *Partition) raise(high kafka.Offset) {
	if high <= p.high {
		return
	}
	p.high = high
	if p.leader != nil {
		p.exposed = Exposure{End: high, LeaderEpoch: p.leader.Epoch(), PartitionEpoch: p.leader.State().Epoch}
	}
	p.b.changes++
	if p.b.w.Sight.Tracing() {
		p.b.w.Sight.Trace("high watermark", slog.String("partition", p.name.String()), slog.Int64("offset", int64(high)))
	}
	var bytes int64
	passed := 0
	for passed < len(p.sizes) && p.sizes[passed].end <= high {
		bytes += p.sizes[passed].bytes
		passed++
	}
	p.sizes = p.sizes[passed:]
	p.tails.each(max(bytes, 1)) // something has come, whoever counted
	p.touch()
	p.committed.passed(high)
}

// lost reports whether an append will never be held.
func (p *Partition) lost(m *mark) bool { return p.log.Lost(m.at) != nil }

// Check returns the first broken invariant.
func (p *Partition) Check() error {
	if p.leader != nil {
		if err := p.checkLeader(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if p.leader == nil && len(p.watchers) > 0 {
		return fmt.Errorf("%s: %d sessions of followers watch it, and it does not lead", p.name, len(p.watchers))
	}
	if p.log == nil {
		return nil
	}
	if start := p.log.LogStart(); p.cutting == 0 && (start > p.high || p.high > p.log.Held()) {
		return fmt.Errorf("%s: log start %d, high watermark %d, held %d", p.name, start, p.high, p.log.Held())
	}
	if fo := p.follows; fo != nil && fo.waiting != kafka.NoOffset && fo.waiting > p.log.End() {
		return fmt.Errorf("%s: it is not fetched until %d is held, and the log ends at %d", p.name, fo.waiting, p.log.End())
	}
	return p.log.Check()
}

func (p *Partition) checkLeader() error {
	switch {
	case p.log == nil || p.follows != nil:
		return errors.New("leads without a log, or while it fetches")
	case p.state.Leader != p.b.id || p.state.LeaderEpoch != p.leader.Epoch():
		return fmt.Errorf("leads in leader epoch %d; the metadata has node %d in %d", p.leader.Epoch(), p.state.Leader, p.state.LeaderEpoch)
	case p.high != p.leader.HighWatermark():
		return fmt.Errorf("high watermark %d, its leader has %d", p.high, p.leader.HighWatermark())
	}
	return p.leader.Check()
}

// A View is what an observer sees of a partition.
type View struct {
	Partition      kafka.TopicPartition
	Topic          kafka.TopicID
	Role           Role
	Leader         kafka.NodeID // as this node knows it
	LeaderEpoch    kafka.LeaderEpoch
	PartitionEpoch int32          // as the metadata has it, or a leader was answered
	ISR            []kafka.NodeID // the set that a leader acts on; elsewhere what the metadata says
	Began          kafka.Offset   // where the log of a leader ended when its epoch began
	LogStart       kafka.Offset
	HighWatermark  kafka.Offset
	LogEnd         kafka.Offset
	Held           kafka.Offset
	Durable        kafka.Offset
	Size           int64 // bytes of all segments
	Broken         error // why it is not served; then the offsets are zero

	// Exposed is what the last leadership committed that this node had and that
	// committed something. Between two looks a leadership may have done so and ended.
	Exposed Exposure
}

// An Exposure is how far a leadership showed records to be committed.
type Exposure struct {
	End            kafka.Offset // the high watermark
	LeaderEpoch    kafka.LeaderEpoch
	PartitionEpoch int32 // as the leader knew it
}

// View returns the partition as it is now.
func (p *Partition) View() View {
	v := View{Partition: p.name, Topic: p.topic.id, Role: p.Role(), Leader: p.state.Leader, LeaderEpoch: p.state.LeaderEpoch,
		PartitionEpoch: p.state.Epoch, ISR: p.state.ISR, Broken: p.broken, Exposed: p.exposed}
	if p.leader != nil {
		v.ISR, v.Began, v.PartitionEpoch = p.leader.Maximal(), p.leader.Began(), p.leader.State().Epoch
	}
	if p.log != nil {
		// While the log is cut its ends go first.
		v.LogStart = p.log.LogStart()
		v.HighWatermark = max(v.LogStart, min(p.high, p.log.Held()))
		v.LogEnd, v.Held, v.Durable, v.Size = p.log.End(), p.log.Held(), p.log.Durable(), p.log.Size()
	}
	return v
}

// A Closeup is what an observer sees of a replica besides its View.
type Closeup struct {
	View
	Epochs    *commitlog.Epochs  // of its log, which goes on changing them; nil without one
	Followers []replica.Progress // that a leader counts
}

// Closeup returns a replica as it is now; false if this node has none.
func (b *Broker) Closeup(topic kafka.TopicID, partition int32) (Closeup, bool) {
	p, err := b.PartitionByID(topic, partition)
	if err != nil {
		return Closeup{}, false
	}
	c := Closeup{View: p.View()}
	if p.log != nil {
		c.Epochs = p.log.Epochs()
	}
	if p.leader != nil {
		c.Followers = p.leader.Followers()
	}
	return c, true
}

// clientError turns what a log fails with into what the client is told. What
// may have been appended is of unknown outcome.
func (p *Partition) clientError(err error) error {
	var code kafka.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &code):
	case errors.Is(err, commitlog.ErrUnknownOutcome) && errors.Is(err, commitlog.ErrClosed):
		code = kafka.ErrRequestTimedOut
	case errors.Is(err, commitlog.ErrUnknownOutcome):
		code = kafka.ErrStorageError
	case errors.Is(err, commitlog.ErrOutOfRange):
		code = kafka.ErrOffsetOutOfRange
	case errors.Is(err, commitlog.ErrRefused):
		code = kafka.ErrNotEnoughReplicas // retriable, and nothing was appended
	case errors.Is(err, commitlog.ErrBadBatch), errors.Is(err, commitlog.ErrCorrupt):
		code = kafka.ErrCorruptMessage
	case errors.Is(err, commitlog.ErrClosed):
		code = kafka.ErrUnknownTopicOrPartition
	default:
		code = kafka.ErrStorageError
	}
	assert.That(code != kafka.None, "%s: %v carries no error", p.name, err)
	return fmt.Errorf("%s: %w: %w", p.name, err, code)
}
