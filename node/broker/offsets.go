package broker

import (
	"fmt"

	"github.com/klammlog/klamm/node/commitlog"
	"github.com/klammlog/klamm/node/kafka"
)

// A Lookup is what ListOffsets asks of one partition: a timestamp, or one of the
// offsets with a meaning of their own, such as kafka.LatestOffset, as a number.
type Lookup struct {
	Topic       string
	Partition   int32
	Timestamp   kafka.Timestamp
	LeaderEpoch kafka.LeaderEpoch // as the client knows it, or kafka.NoLeaderEpoch
}

// ListOffset looks an offset up. What is above the high watermark is not found.
// Without a record at or after the timestamp the result has kafka.NoOffset. A leader
// that does not know yet what was committed before it led answers
// OFFSET_NOT_AVAILABLE but to who asks for the log start (KIP-207); one that does
// not hear the controllers or of what they decide, or that has told them that its log is
// damaged, NOT_LEADER_OR_FOLLOWER, for others may have committed what it does not know
// of. Blocks.
func (b *Broker) ListOffset(q Lookup) (commitlog.Located, error) {
	none := commitlog.Located{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp, Epoch: kafka.NoLeaderEpoch}
	p, err := b.Partition(q.Topic, q.Partition)
	if err != nil {
		return none, err
	}
	l, err := p.leading(q.LeaderEpoch)
	if err != nil {
		return none, err
	}
	at := none
	if err := p.checkSettled(q); err != nil {
		return none, err
	}
	switch kafka.Offset(q.Timestamp) {
	case kafka.LatestOffset:
		at.Offset, at.Epoch = p.high, p.state.LeaderEpoch
	case kafka.EarliestOffset, kafka.EarliestLocalOffset:
		at.Offset = l.LogStart()
		at.Epoch = l.Epochs().EpochAt(at.Offset)
	case kafka.LatestTieredOffset, kafka.EarliestPendingUploadOffset:
		return none, nil // there is no second tier
	case kafka.MaxTimestampOff:
		at, err = l.MaxTimestamp()
	default:
		if q.Timestamp < 0 {
			return none, fmt.Errorf("%s: timestamp %d: %w", p.name, q.Timestamp, kafka.ErrUnsupportedVersion)
		}
		at, err = l.OffsetForTimestamp(q.Timestamp)
	}
	if err != nil {
		return none, p.clientError(err)
	}
	if kafka.Offset(q.Timestamp) != kafka.LatestOffset && at.Offset >= p.high && at.Timestamp != kafka.NoTimestamp {
		return none, nil // not committed yet
	}
	return at, nil
}

// checkSettled tells that the leader has to learn first what is committed.
func (p *Partition) checkSettled(q Lookup) error {
	earliest := kafka.Offset(q.Timestamp) == kafka.EarliestOffset || kafka.Offset(q.Timestamp) == kafka.EarliestLocalOffset
	switch {
	case earliest:
		return nil
	case p.mayBePast():
		p.b.w.Probe("a leader did not know whether it still leads")
		return fmt.Errorf("%s: leader epoch %d: others may lead by now: %w", p.name, p.leader.Epoch(), kafka.ErrNotLeaderOrFollower)
	case p.leader.Settled():
		return nil
	}
	p.b.w.Probe("a new leader did not know yet what was committed")
	return fmt.Errorf("%s: high watermark %d, leader epoch %d began at %d: %w", p.name, p.high, p.leader.Epoch(), p.leader.Began(), kafka.ErrOffsetNotAvailable)
}

// mayBePast reports whether others may lead by now what this node leads as far as it
// knows, and may have committed what it does not know of.
func (p *Partition) mayBePast() bool {
	return !p.b.surelyLeads() || p.rotten != nil && p.elsewhere()
}

// An EpochEnd is where a leader epoch ends in a log.
type EpochEnd struct {
	Epoch kafka.LeaderEpoch
	End   kafka.Offset
}

// EpochEnd answers who wants to know whether the log still has what it has read:
// the largest leader epoch that is not larger than the one asked for, and where it
// ends (KIP-320). current is the leader epoch that the client knows.
func (b *Broker) EpochEnd(topic string, partition int32, current, epoch kafka.LeaderEpoch) (EpochEnd, error) {
	none := EpochEnd{Epoch: kafka.NoLeaderEpoch, End: kafka.NoOffset}
	p, err := b.Partition(topic, partition)
	if err != nil {
		return none, err
	}
	if _, err := p.leading(current); err != nil {
		return none, err
	}
	at, end := p.epochEnd(epoch)
	return EpochEnd{Epoch: at, End: end}, nil
}
