package broker

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/klammlog/klamm/internal/assert"
	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/kafka"
	"github.com/klammlog/klamm/node/meta"
)

// A Partition is this node's replica of one partition.
//
// Invariants, which Check verifies besides those of its log:
//
//  1. log start <= high watermark <= held end
//  2. the high watermark never goes back while the partition is open
type Partition struct {
	b     *Broker
	topic *topic
	name  kafka.TopicPartition
	state meta.PartitionState // as the metadata has it

	log    *commitlog.Log // nil while the partition cannot be used
	broken error          // why it cannot, as a client is told
	last   *commitlog.Log // the log it had, or has: it knows what became of appends

	began kafka.Offset // where the log ended when the leader epoch began
	high  kafka.Offset // everything below is committed
	sizes []sized      // what was appended and is not yet committed
	moved bool         // the log has changed since it was last looked after

	takenBack uint64 // by the log, when it was last looked at

	held      marks // appends that wait for this machine
	committed marks // appends that wait for the high watermark
	tails     marks // fetches that wait for bytes below the high watermark
}

// A sized is the end of an append and how many bytes it has.
type sized struct {
	end   kafka.Offset
	bytes int64
}

// Name returns the partition's name.
func (p *Partition) Name() kafka.TopicPartition { return p.name }

// HighWatermark returns the end of what is committed: what this machine holds,
// as long as it is the only replica.
func (p *Partition) HighWatermark() kafka.Offset { return p.high }

// leading returns the partition's log if this node leads the partition, and
// what a client is told if not.
func (p *Partition) leading(epoch kafka.LeaderEpoch) (*commitlog.Log, error) {
	if p.broken != nil {
		return nil, p.broken
	}
	if p.log == nil {
		return nil, fmt.Errorf("%s: not open yet: %w", p.name, kafka.ErrLeaderNotAvailable)
	}
	if p.state.Leader != p.b.id {
		return nil, fmt.Errorf("%s: node %d leads: %w", p.name, p.state.Leader, kafka.ErrNotLeaderOrFollower)
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
	p.log, p.last, p.broken = l, l, nil
	p.high, p.began = l.Held(), l.End()
	l.OnAdvance(p.advance)
	p.advance()
}

// become takes over what the metadata says about the partition.
func (p *Partition) become(state meta.PartitionState) {
	if p.log != nil && state.LeaderEpoch != p.state.LeaderEpoch {
		p.began = p.log.End()
	}
	p.state = state
}

// epochEnd returns the largest leader epoch that is not larger than the one asked
// for, and where it ends. The log learns of an epoch with its first record; the
// current one counts from its beginning (KIP-101).
func (p *Partition) epochEnd(epoch kafka.LeaderEpoch) (kafka.LeaderEpoch, kafka.Offset) {
	latest := p.log.Epochs().Latest()
	switch {
	case epoch == p.state.LeaderEpoch:
		return epoch, p.log.End()
	case epoch > latest && epoch < p.state.LeaderEpoch && latest >= 0:
		return latest, p.began
	case epoch == latest && epoch < p.state.LeaderEpoch:
		return latest, p.began
	}
	return p.log.Epochs().EndOffsetFor(epoch, p.log.End())
}

// detach takes the log out of use and lets everyone who waits find out why. The
// log is still to be closed.
func (p *Partition) detach(why error) {
	p.log, p.broken, p.sizes = nil, why, nil
	p.held.drop()
	p.committed.drop()
	p.tails.drop()
}

// advance follows what the log holds: the seam where a leader with followers
// will ask them too.
func (p *Partition) advance() {
	if p.log == nil {
		return
	}
	p.moved = true
	p.takeBack(p.log.End())
	held, all := p.log.Held(), p.log.Lame() != nil || p.log.TakenBack() != p.takenBack
	p.takenBack = p.log.TakenBack()
	p.held.passed(held)
	if held > p.high {
		p.raise(held)
	}
	p.committed.passed(p.high)
	if all {
		p.held.dropLost(p.lost)
		p.committed.dropLost(p.lost)
	}
	if err := p.log.Lame(); err != nil {
		p.b.w.Probe("a partition went offline")
		p.detach(p.clientError(err))
	}
}

// takeBack forgets what was appended above the log's end: it was refused.
func (p *Partition) takeBack(end kafka.Offset) {
	for n := len(p.sizes); n > 0 && p.sizes[n-1].end > end; n-- {
		p.sizes = p.sizes[:n-1]
	}
	p.began = min(p.began, end)
}

// raise moves the high watermark and credits the fetches that wait for bytes.
func (p *Partition) raise(high kafka.Offset) {
	p.high = high
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
}

// lost reports whether an append will never be held.
func (p *Partition) lost(m *mark) bool { return p.log.Lost(m.at) != nil }

// Check returns the first broken invariant.
func (p *Partition) Check() error {
	if p.log == nil {
		return nil
	}
	if start := p.log.LogStart(); start > p.high || p.high > p.log.Held() {
		return fmt.Errorf("%s: log start %d, high watermark %d, held %d", p.name, start, p.high, p.log.Held())
	}
	return p.log.Check()
}

// A View is what an observer sees of a partition.
type View struct {
	Partition     kafka.TopicPartition
	Topic         kafka.TopicID
	LeaderEpoch   kafka.LeaderEpoch
	LogStart      kafka.Offset
	HighWatermark kafka.Offset
	LogEnd        kafka.Offset
	Durable       kafka.Offset
	Size          int64 // bytes of all segments
	Broken        error // why it is not served; then the offsets are zero
}

// View returns the partition as it is now.
func (p *Partition) View() View {
	v := View{Partition: p.name, Topic: p.topic.id, LeaderEpoch: p.state.LeaderEpoch, Broken: p.broken}
	if p.log != nil {
		v.LogStart, v.HighWatermark = p.log.LogStart(), p.high
		v.LogEnd, v.Durable, v.Size = p.log.End(), p.log.Durable(), p.log.Size()
	}
	return v
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
